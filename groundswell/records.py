"""READ FIRST. The typed records, in the order in which they are born.

Conventions: `_ms` is milliseconds since 1970-01-01 UTC; `_ppm` is an integer share of a million (probabilities are
rounded once, at the scorer, and are integers ever after, so sums do not depend on order); intervals are `[start, end)`.
`known_ms` is when the log took a record (the clock); `published_ms` is when its source says it was published (the place).
Wire rules: a new field has a default, a type never changes, old bytes decode for ever (tests/golden).
Records of plain values say `gc=False`: nothing in them can be part of a cycle, and the collector need not look at millions of them.
"""

from typing import Final, Literal

import msgspec

from groundswell.names import ANY_TONE, series_kind

Kind = Literal["news", "report", "filing", "comment"]
Sentiment = Literal["negative", "neutral", "positive"]
Precision = Literal["second", "minute", "day"]
KnownBasis = Literal["recorded", "claimed", "assumed"]
Role = Literal["central_bank", "regulator", "statistics", "exchange", "issuer", "wire", "press", "forum"]
Outcome = Literal["scored", "duplicate", "edited", "dropped"]
AlertKind = Literal["surge", "amplification", "sighting", "slow_burn", "late", "blind", "model_shift"]
Severity = Literal["low", "medium", "high"]
News = Literal["", "official", "denial", "tier"]
Act = Literal["acknowledge", "assign", "snooze", "mute_story", "comment", "resolve", "reopen"]
VerdictWord = Literal["true", "false", "old_news", "wrong_company", "wrong_topic", "duplicate"]
Corrected = Literal["sentiment", "company", "topic"]

EVENT_KINDS: Final[frozenset[AlertKind]] = frozenset({"surge", "sighting", "amplification"})
"""Kinds that tell of one event, in one incident; they alone use up the day's budget."""


class _Wire(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False, omit_defaults=True):
    """A record that other processes read: immutable, tolerant of fields it does not know."""


# --- 1. what a crawler or an archive brings ----------------------------------------------------------------------------------
class RawDocument(_Wire, frozen=True, tag="document"):
    """A document as its source gave it. Filled by a crawler or an archive reader; nothing here is believed yet."""

    source: str  # name in the catalogue, or as the archive says; 1 to 200 characters
    title: str  # may be empty where text is not
    kind: Kind = "news"
    text: str = ""  # lead or body; at most 100,000 characters reach the store
    url: str | None = None
    id: str | None = None  # the source's own identifier, where it has one
    author_hash: str | None = None  # the handle is hashed at the door and never stored
    owner: str | None = None  # who stands behind the source, from the catalogue; independence is counted in owners
    language: str | None = None  # what the source claims; the script decides
    published_ms: int | None = None
    published_precision: Precision = "second"
    fetched_ms: int = 0  # the crawler's clock; informative only
    known_ms: int | None = None  # replays and archives bring their own; None = the log's append time
    known_basis: KnownBasis = "recorded"
    updated_ms: int | None = None  # when the source says that it was changed last; informative, as are the fields below
    tickers: list[str] = []  # symbols that the source gives or the text names ($TSLA), as written; at most 20
    parent_id: str | None = None  # of a comment: the id of what it answers
    thread_position: int | None = None  # of a comment: its place in the thread as shown, 1 for the first
    asked_url: str | None = None  # where it was read, if that is another address than the one that it claims (url)
    store_text: bool = True  # from the catalogue; False: the text is scored and then goes, title and offsets stay
    tier: int | None = None  # from the catalogue: 1 official or primary .. 4 forums; None: nobody says
    role: str | None = None  # from the catalogue: one of Role; a word that there is not says nothing


class Heartbeat(_Wire, frozen=True, tag="heartbeat"):
    """One poll of one source, successful or not. Filled by a crawler; moves the source's health, never an opinion."""

    source: str
    fetched_ms: int
    ok: bool
    fetched: int = 0  # items in the answer
    new: int = 0  # of these, not seen before
    reason: str | None = None  # why not ok; of a good poll: what of it could not be read


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One Kafka message of the raw topic: up to 256 records of one partition. No records = a punctuation (time only)."""

    v: int = 1
    records: list[msgspec.Raw] = []  # each a RawDocument or a Heartbeat; decoded one by one, so one poison record is one drop
    time_ms: int | None = None  # archives only: everything known before this has been sent; None = the broker's append time


class Position(msgspec.Struct, frozen=True, order=True, gc=False):
    """Where a raw record stands in its log. Unique within a run; orders the records of one partition."""

    partition: int  # 0 to 15; 0 in the embedded log
    offset: int  # of the envelope (Kafka) or of the row (embedded log)
    index: int = 0  # of the record within the envelope


class Stamped(msgspec.Struct, frozen=True):
    """A raw record with its place and time in the log. Filled by a shell; `known_ms` never falls within a partition."""

    position: Position
    known_ms: int
    body: bytes
    source: str = "?"  # as the log's own index says, so that even an undecodable record is counted for its source


# --- 2. what the score stage makes of it --------------------------------------------------------------------------------------
class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A cleaned document with an identity. Filled by the normalise operator; stored once per content."""

    document_id: str  # 16 hex digits of the identity: id, else canonical url, else source + published time + text
    content_hash: str  # 16 hex digits of the normalised title and text
    source: str
    owner: str  # never empty: the author's hash, the catalogue's owner, else the source itself
    owner_known: bool  # False: a platform whose authors are unknown; it counts as one owner
    kind: Kind
    language: str | None  # "en", "zh", another code, or None (no letters)
    title: str
    text: str
    url: str | None
    published_ms: int  # clamped to known_ms; see published_flag
    published_precision: Precision
    published_flag: Literal["", "missing", "future", "ancient"] = ""
    known_ms: int
    known_basis: KnownBasis = "recorded"
    fetched_ms: int = 0
    store_text: bool = True  # never stored itself: what is stored of a document is what may be
    tier: int | None = None  # of its source, 1 to 4; a comment's is 4; None: unknown
    role: Role | None = None  # what its source is for the market; None: unknown


class Mention(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A catalogue company found in a text, by its longest name."""

    entity_id: str
    start: int  # offset in characters of the text that was scored, [start, end)
    end: int
    authority: bool = False  # a regulator, court or central bank: it acts on others, and a risk that it is named beside is not its own


class Score(_Wire, frozen=True):
    """What one model says of one document's content. Immutable; one per document, content and model."""

    document_id: str
    content_hash: str
    model_id: str  # name, hash, engine and number format of the bundle
    language: str
    topic: str  # one of names.TOPICS
    topic_ppm: dict[str, int]  # measured topics only, sums to about 1e6; an absent topic is "not measured", never zero
    sentiment: Sentiment  # the highest of the three
    negative_ppm: int
    neutral_ppm: int
    positive_ppm: int
    native_topic: int | None = None  # 0 to 19, English only
    native_topic_ppm: list[int] = []
    labels: list[str] = []  # FinNL labels, Chinese only
    mentions: list[Mention] = []
    flags: list[str] = []
    digest: bytes = b""  # MinHash of the normalised text, names.DIGEST_WORDS little-endian uint32


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one raw record in one run: the row that the balance is counted from."""

    position: Position
    known_ms: int
    source: str
    language: str | None
    outcome: Outcome
    document_id: str | None = None  # None for a drop
    content_hash: str | None = None
    reason: str | None = None  # why it was dropped
    model_id: str | None = None  # whose score counted; None: the model that the run began with


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """A record that could not be used, kept with its bytes."""

    position: Position
    known_ms: int
    source: str
    reason: str
    body: bytes  # the first 64 KiB


class Arrival(_Wire, frozen=True, array_like=True, gc=False):
    """That a source was heard in a tick. Goes to every partition: exposure must be the same everywhere."""

    source: str
    language: str  # "" where unknown
    known_ms: int  # the first moment of the tick at which it was
    documents: int


class Contribution(_Wire, frozen=True, array_like=True, gc=False):
    """What one document adds to one series. Made from stored rows only, so a replay cannot disagree."""

    series: str
    document_id: str
    known_ms: int
    published_ms: int
    daily: bool  # published time has day precision: left out of windows shorter than a day
    fresh: bool  # known - published <= fresh_s of its kind: only fresh documents can lead to an alert
    owner: str
    owner_known: bool
    sentiment: Sentiment
    negative_ppm: int
    digest: bytes
    tier: int = 0  # of its source, 1 to 4; 0: unknown


# --- 3. what the fold stage makes of a closed tick -----------------------------------------------------------------------------
class Increment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one closed tick added to one pane of one series. Written once, never updated; panes merge (windows.py)."""

    series: str
    tick: int  # known_ms // TICK_MS
    pane: int  # published_ms // PANE_MS
    daily: bool
    members: dict[str, dict[str, list[int]]]  # {story: {owner: counts}}, counts as windows.COUNTS names them
    # Fresh documents that speak against it: [document_id, story, owner, owner_known 0/1, negative_ppm], and the tier where it is known.
    negatives: list[list[str | int]]
    stale: list[list[str | int]] = []  # documents that were known too late and found a story: as above, and 0/1: negative


class Story(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A group of near-duplicates within one series, led by its first document. Stories never merge."""

    series: str
    story: str  # the leader's document id
    founded_ms: int  # the leader's known time
    tick: int
    digest: bytes


class Candidate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A detector's finding for one series and window at one tick, before any decision. Integers and what they rest on."""

    candidate_id: str  # hash of series, window and tick
    series: str
    window_s: int  # 3600 or 86400
    tick: int
    known_until_ms: int  # end of the tick
    statistic: int  # distinct fresh negative stories in the window; what other kinds count: docs/alerts.md
    expected_milli: int  # expected number, thousandths
    limit: int  # the statistic needed for the rule's error rate
    p_ppt: int  # p-value of the count, in 1e-12
    share_p_ppt: int  # p-value of the negative share, in 1e-12
    by: Literal["count", "share"]  # which of the two turned; "count" where both did
    stories: int  # distinct fresh stories of any sentiment
    owners: int  # distinct owners of the negative stories
    owners_known: bool
    baseline_share_ppm: int
    exposure_ppm: int  # share of the usual volume that was seeing
    level: Literal["open", "hold"]  # hysteresis: hold only keeps an open incident alive
    evidence: list[list[str | int]]  # as Increment.negatives, most negative first, one per story first, at most 200
    kind: AlertKind = "surge"
    quiet_days: int = 0  # sighting: days before it that were heard without one, at most the rules' number
    p_open_ppt: int = 0  # how small the p-value of what turned has to be to open, in 1e-12; 0: no p-value decides that
    share_dispersion_ppm: int = 0  # surge: how far the share of negative lies apart from period to period, beyond chance
    late_s: int = 0  # late: how long after they were published its stories were known (median)
    ended: bool = False  # blind: it sees again
    believed_tier: int = 0  # sighting: one story of a source of this tier or a better one was enough; 0: it took more


# --- 4. what the desk decides -------------------------------------------------------------------------------------------------
class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """What the desk did with a candidate, and why: every alert that was not sent has its reason here."""

    candidate_id: str
    tick: int
    incident: str | None
    verdict: Literal["alert", "joined", "held"]
    reason: str  # "opened", "same incident", "cooldown", "budget", ...


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """A document of an alert's evidence, with words that it really says."""

    document_id: str
    title: str  # verbatim, at most 300 characters
    source: str
    published_ms: int
    known_ms: int
    quote: str  # verbatim, at most 150 characters
    start: int  # offsets of the quote in "title\ntext"
    end: int
    negative_ppm: int
    story: str
    url: str | None = None
    # Of its source, where they are known; unset, they are not written: an alert from before there were any keeps its bytes.
    role: Role | msgspec.UnsetType = msgspec.UNSET
    tier: int | msgspec.UnsetType = msgspec.UNSET


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the excess: the parts and minus the expected number sum to it."""

    name: str  # title of the part's first document, "other" or "expected"
    stories: int
    documents: int
    owners: int
    excess_milli: int


class LeftOut(msgspec.Struct, frozen=True, array_like=True):
    """What would be left of an alert without a part of its evidence."""

    what: Literal["comments", "owner"]  # documents of readers; those of the owner with the most stories
    statistic: int
    fires: bool  # whether it would still have opened


class Peers(msgspec.Struct, frozen=True, array_like=True):
    """Negative share of those it is compared with, median of each one's own; over the last 24 closed hours, and before them."""

    of: Literal["sector", "companies", "topics"]  # same sector; companies that were spoken of; other topics of its language
    measured: int
    before_ppm: int
    now_ppm: int


class Alert(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An argument: statistic, baseline, parts, doubt and evidence. Recomputable to the same bytes; no wall time in it."""

    id: str
    incident: str
    update: int  # 0 = the incident's first
    kind: AlertKind
    series: str  # the main one
    all_series: list[str]
    opened_ms: int  # end of the closed tick
    known_until_ms: int
    severity: Severity
    title: str
    statistic: int
    expected_milli: int
    limit: int
    p_ppt: int  # p-value of what turned
    by: Literal["count", "share"]
    window_s: int
    stories: int
    owners: int
    owners_known: bool
    negative_share_ppm: int
    baseline_share_ppm: int
    exposure_ppm: int
    without_largest: int  # the statistic without the largest story, and whether it would still have fired
    without_largest_fires: bool
    parts: list[Part]
    evidence: list[Quote]  # at most 20
    doubts: list[str]
    versions: dict[str, str]  # hashes in force: model, catalogue, rules
    quiet_days: int = 0  # sighting: there was none in so many days before
    late_s: int = 0  # late: how long after they were published its stories were known (median)
    ended: bool = False  # blind: it sees again
    against: list[LeftOut] = []
    peers: Peers | None = None  # None: too few were spoken of
    news: News = ""  # an update: what of it is news, where that is not more of the same
    quiet_from_ms: int = 0  # an update that reopens: known time at which the incident had gone quiet; else 0

    @property
    def any_tone(self) -> bool:
        """Whether it counts stories that are not negative too: of a search and of a risk all but positive ones, of a word all."""
        return series_kind(self.series) in (*ANY_TONE, "word")

    @property
    def alone(self) -> bool:
        """Whether those that it is compared with have not moved half as far as it has."""
        if self.peers is None:
            return False
        return 2 * (self.peers.now_ppm - self.peers.before_ppm) < self.negative_share_ppm - self.baseline_share_ppm


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a notifier says of one attempt."""

    target: str
    ok: bool
    reason: str | None = None
    retry_after_s: float | None = None
    permanent: bool = False  # trying again cannot help
    unknown: bool = False  # it may have arrived all the same: another attempt is marked as a resend
    provider_id: str | None = None


# --- 5. what people do and say ------------------------------------------------------------------------------------------------
# Written once, never changed: what is wrong is said anew. Times are wall times. Names are those of the people who work here.
class Action(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody did about an incident."""

    incident: str
    at_ms: int
    who: str  # 1 to 200 characters
    what: Act
    alert: str | None = None  # the newest one of the incident when this was recorded; None: the store fills it in
    assignee: str | None = None  # assign: to whom
    until_ms: int | None = None  # snooze: until then; None: until the incident's next update
    story: str | None = None  # mute_story: which; None: whatever the incident is about
    note: str = ""  # comment: what was said; else why; at most 2,000 characters


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody says of an alert; a later one of the same person counts in its place."""

    alert: str
    at_ms: int
    who: str
    word: VerdictWord
    note: str = ""


class Correction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What somebody says is wrong with the reading of one document. Facts carry no run, and neither does this."""

    document_id: str
    at_ms: int
    who: str
    what: Corrected
    value: str  # the right sentiment or topic (one of names.TOPICS); company: the entity id that the text is not about
    content_hash: str = ""  # of the text that was read; empty: the store fills in the newest
    note: str = ""


class Miss(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """That somebody expected an alert and got none."""

    name: str  # a company, a topic or a series, as it was said
    moment_ms: int  # known time at which the alert was expected
    at_ms: int  # when this was said
    who: str
    note: str = ""
    gate: str = ""  # what stopped it, as why-not said then
