"""The stored schema, once, for SQLite and PostgreSQL.

Facts (documents, scores) carry no run. Everything derived carries one: live, a backfill, a rehearsal. Integers are
64-bit; times are `_ms` since 1970 UTC or ticks of names.TICK_MS; `body` columns hold canonical JSON of the record named
in the comment. Rows of facts, increments, stories, candidates, and of what people do and say, are written once and never
updated.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import TSVECTOR

metadata = MetaData()


def _key(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, primary_key=True, autoincrement=False)


def _int(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=nullable)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, Text, nullable=nullable)


documents = Table(
    "documents",
    metadata,
    _key("document_id"),
    _key("content_hash"),
    _text("source"),
    _text("owner"),
    Column("owner_known", Boolean, nullable=False),
    _text("kind"),
    _text("language", nullable=True),
    _text("title"),
    _text("text"),
    _text("url", nullable=True),
    _int("published_ms"),
    _text("published_precision"),
    _text("published_flag"),
    _int("known_ms"),
    _text("known_basis"),
    _int("fetched_ms"),
    _int("tier", nullable=True),  # of its source; None: unknown
    _text("role", nullable=True),
)

search = Table(
    "search",
    metadata,
    _key("document_id"),
    _key("content_hash"),
    _int("place"),  # second of publication and a hash: the order of results; on SQLite the rowid
    Column("terms", TSVECTOR().with_variant(Text, "sqlite"), nullable=False),  # groundswell/terms.py
)
"""What documents are found by; on SQLite an FTS5 table (groundswell/store/search.py)."""
Index("search_place", search.c.place)
Index("search_terms", search.c.terms, postgresql_using="gin")

scores = Table(
    "scores",
    metadata,
    _key("document_id"),
    _key("content_hash"),
    _key("model_id"),
    _text("topic"),
    _text("sentiment"),
    _int("negative_ppm"),
    Column("body", LargeBinary, nullable=False),  # Score
)

runs = Table(
    "runs",
    metadata,
    _key("run"),
    _text("kind"),  # live, demo, backfill
    _text("model_id"),
    Column("manifest", LargeBinary, nullable=False),  # JSON: what was read, with which versions
)

fetched = Table("fetched", metadata, _key("run"), _key("source"), _int("documents"))

admissions = Table(
    "admissions",
    metadata,
    _key("run"),
    _key("part", Integer),
    _key("position", BigInteger),
    _key("place", Integer),
    _int("known_ms"),
    _int("tick"),
    _text("source"),
    _text("language", nullable=True),
    _text("outcome"),
    _text("document_id", nullable=True),
    _text("content_hash", nullable=True),
    _text("model_id", nullable=True),  # whose score counted; None: the model that the run began with
)
Index("admissions_document", admissions.c.run, admissions.c.document_id)
Index("admissions_tick", admissions.c.run, admissions.c.tick)

drops = Table(
    "drops",
    metadata,
    _key("run"),
    _key("part", Integer),
    _key("position", BigInteger),
    _key("place", Integer),
    _int("known_ms"),
    _text("source"),
    _text("reason"),
    Column("body", LargeBinary, nullable=False),
)

heartbeats = Table(
    "heartbeats",
    metadata,
    _key("source"),
    _int("polled_ms"),
    _int("ok_ms", nullable=True),
    _int("fetched"),
    _int("new"),
    _text("reason", nullable=True),
)

progress = Table(
    "progress",
    metadata,
    _key("run"),
    _key("role"),
    _key("part", Integer),
    _int("epoch"),
    _text("owner"),
    _int("revision"),
    _int("next_offset"),
    _int("time_ms"),
    _int("closed_tick"),
    _text("log_id", nullable=True),  # the topic id or the log file's id: a recreated log is not the same log
)

increments = Table(
    "increments",
    metadata,
    _key("run"),
    _key("series"),
    _key("tick", BigInteger),
    _key("pane", BigInteger),
    _key("daily", Boolean),
    _int("documents"),
    _int("negative"),
    Column("body", LargeBinary, nullable=False),  # [members, negatives] of Increment, and what was stale
)
Index("increments_tick", increments.c.run, increments.c.tick)

stories = Table(
    "stories",
    metadata,
    _key("run"),
    _key("series"),
    _key("story"),
    _int("founded_ms"),
    _int("tick"),
    Column("digest", LargeBinary, nullable=False),
)

baselines = Table(
    "baselines",
    metadata,
    _key("run"),
    _key("series"),
    _key("period_s", Integer),
    _key("period", BigInteger),
    _int("negative"),
    _int("stories"),
)

source_hours = Table("source_hours", metadata, _key("run"), _key("hour", BigInteger), _key("source"), _key("language"), _int("documents"))

exposures = Table("exposures", metadata, _key("run"), _key("hour", BigInteger), _key("language"), _int("exposure_ppm"))

blind_spans = Table("blind_spans", metadata, _key("run"), _key("source"), _key("since_tick", BigInteger), _int("until_tick"))
"""Blindness that has ended; one that lasts follows from the source's arrivals."""

candidates = Table(
    "candidates",
    metadata,
    _key("run"),
    _key("candidate_id"),
    _text("series"),
    _int("window_s"),
    _int("tick"),
    Column("body", LargeBinary, nullable=False),  # Candidate
)
Index("candidates_tick", candidates.c.run, candidates.c.tick)

decisions = Table(
    "decisions",
    metadata,
    _key("run"),
    _key("candidate_id"),
    _int("tick"),
    _text("incident", nullable=True),
    _text("verdict"),
    _text("reason"),
)
Index("decisions_reason", decisions.c.run, decisions.c.verdict, decisions.c.reason)
Index("decisions_tick", decisions.c.run, decisions.c.tick)

incidents = Table(
    "incidents",
    metadata,
    _key("run"),
    _key("incident"),
    _int("last_tick"),
    Column("body", LargeBinary, nullable=False),  # desk.Incident
)

alerts = Table(
    "alerts",
    metadata,
    _key("run"),
    _key("id"),
    _text("incident"),
    _text("kind"),
    _text("series"),
    _int("opened_ms"),
    _int("tick"),
    _text("severity"),
    Column("body", LargeBinary, nullable=False),  # Alert
)
Index("alerts_opened", alerts.c.run, alerts.c.opened_ms)

outbox = Table(
    "outbox",
    metadata,
    _key("run"),
    _key("alert_id"),
    _key("target"),
    _text("state"),  # of store.outbox.STATES
    Column("attempts", Integer, nullable=False),
    _int("next_ms"),  # not before (wall time)
    _text("reason", nullable=True),
    _text("provider_id", nullable=True),
    Column("how", Text, nullable=False, server_default="now"),  # now, digest or escalation
    _text("digest", nullable=True),  # the one message that several rows go out in
    _text("shown", nullable=True),  # what a first message was last amended to say
    _int("sent_ms", nullable=True),  # when its target took it (wall time)
)

versions = Table("versions", metadata, _key("kind"), _key("hash"), Column("content", LargeBinary, nullable=False))
"""What each version holds; from when on it is in force is said by the next table."""


in_force = Table("in_force", metadata, _key("run"), _key("kind"), _key("effective_ms", BigInteger), _text("hash"))
"""From which known time on a run uses which version: groundswell/schedule.py."""

suspects = Table(
    "suspects", metadata, _key("run"), _key("part", Integer), _key("position", BigInteger), _key("place", Integer), _int("deaths")
)
"""Records that were being scored alone, and in how many processes: the one that is scored when a process ends has killed it."""

taken = Table("taken", metadata, _key("run"), _key("part", Integer), _key("source"), _int("documents"))
"""Records that the score stage has read from its log, counted in the transaction that moves its offset behind them."""

tallied = Table("tallied", metadata, _key("run"), _key("part", Integer), _int("position"))
"""Rows of admissions and drops below this offset of a partition are in the sums of the next table."""

tallies = Table("tallies", metadata, _key("run"), _key("fate"), _key("source"), _key("reason"), _int("documents"))
"""What became of records that lie behind the score stage for good, drops by the beginning of their reason: groundswell/store/tallies.py."""

reach = Table("reach", metadata, _key("run"), _int("closed_tick"), _int("first_pane"))
"""The first pane with a count, of increments up to a closed tick: written beside the sums."""

removals = Table("removals", metadata, _key("document_id"), _key("content_hash"), _int("removed_ms"), _text("reason"))
"""Documents whose text was removed (forget, retention); hash, integers and alerts stay."""

conditions = Table(
    "conditions",
    metadata,
    _key("kind"),
    _key("subject"),
    _key("since_ms", BigInteger),
    _int("until_ms", nullable=True),  # None: it still holds
    _text("reason"),
    _int("told_ms", nullable=True),  # when people were told
)
"""What operators have to know: a crash loop, too many drops, no room on the disk. No run: it is about the installation."""

canaries = Table(
    "canaries",
    metadata,
    _key("run"),
    _key("due_ms", BigInteger),  # when it was to be sent
    _int("reached_ms"),  # when the desk had decided its tick (wall time)
    _text("told"),  # targets that have taken it, separated by commas
    _text("refused"),  # what the others said
)
"""Documents that prove the way, and how long each took."""

drop_marks = Table(
    "drop_marks",
    metadata,
    _key("run"),
    _key("part", Integer),
    _key("position", BigInteger),
    _key("place", Integer),
    _int("replayed_ms", nullable=True),  # when its bytes were last put back into the log as a new record
    _int("removed_ms", nullable=True),  # when its bytes were removed (forget, retention)
)
"""What was done with a drop since; the drop itself is written once."""

people = Table(
    "people",
    metadata,
    _key("name"),
    _text("role"),  # reader, analyst, admin
    _text("password_hash", nullable=True),  # argon2id; None: a reverse proxy says who they are
    _int("created_ms"),
    _int("changed_ms"),  # of role or password: what was signed before is void
    _int("disabled_ms", nullable=True),
)
"""Accounts. `groundswell people` and the board's admins write them; deploy/postgres/roles.sql says who may read and write them."""

tokens = Table(
    "tokens",
    metadata,
    _key("token_id"),  # the part of a token that may be shown
    _text("digest"),  # SHA-256 of its secret part, which is random: nothing slower is needed
    _text("person"),
    _text("name"),
    _text("role"),  # at most; never more than the person's own
    _int("created_ms"),
    _int("expires_ms"),
    _int("revoked_ms", nullable=True),
)
"""What programs show instead of a password, for `/api/v1`."""
Index("tokens_person", tokens.c.person)

readers = Table(
    "readers",
    metadata,
    _key("name"),
    _text("language", nullable=True),
    _text("zone", nullable=True),
    _text("companies"),  # series keys, one a line: what is theirs in the inbox
    _int("visited_ms", nullable=True),  # when the inbox was last opened
    _int("before_ms", nullable=True),  # when it was last opened in the visit before this one
    _int("signed_out_ms"),  # sessions that began before it are void
)
"""What the board keeps for each reader: choices, and where the last visit ended."""

stops = Table(
    "stops",
    metadata,
    _key("at_ms", BigInteger),
    _key("entry"),
    _text("target"),
    _text("what"),  # stop, resume
    _text("who"),
    _text("place"),
)
"""Targets that their readers have stopped, and that go on. Rows are only ever added; the last one of a target counts."""

audit = Table("audit", metadata, _key("at_ms", BigInteger), _key("entry"), _text("who"), _text("place"), _text("what"), _text("detail"))
"""Who did what, and from where. Rows are only ever added."""

actions = Table(
    "actions",
    metadata,
    _key("run"),
    _key("action_id"),  # hash of its content: the same thing twice is one row
    _text("incident"),
    _int("at_ms"),
    _text("who"),
    _text("what"),
    _text("alert", nullable=True),
    _text("assignee", nullable=True),
    _int("until_ms", nullable=True),
    _text("story", nullable=True),
    _text("note"),
)
Index("actions_incident", actions.c.run, actions.c.incident)

verdicts = Table(
    "verdicts",
    metadata,
    _key("run"),
    _key("verdict_id"),
    _text("alert"),
    _int("at_ms"),
    _text("who"),
    _text("word"),
    _text("note"),
)
Index("verdicts_alert", verdicts.c.run, verdicts.c.alert)

corrections = Table(
    "corrections",
    metadata,
    _key("correction_id"),
    _text("document_id"),
    _text("content_hash"),
    _int("at_ms"),
    _text("who"),
    _text("what"),
    _text("value"),
    _text("note"),
)
"""What people say is wrong with the reading of a document: labels for the next model. No run, as documents have none."""
Index("corrections_document", corrections.c.document_id)

misses = Table(
    "misses",
    metadata,
    _key("run"),
    _key("miss_id"),
    _text("name"),
    _int("moment_ms"),
    _int("at_ms"),
    _text("who"),
    _text("note"),
    _text("gate"),
)

dropped_months = Table(
    "dropped_months",
    metadata,
    _key("run"),
    _key("month"),  # of known time, "2025-11"
    _int("begun_ms"),  # from here on nothing of the month can be relied on
    _int("ended_ms", nullable=True),  # None: some of its rows are still there
)
"""Months whose rows were deleted (months.py)."""

dropped_counts = Table(
    "dropped_counts", metadata, _key("run"), _key("month"), _key("source"), _key("fate"), _key("reason"), _int("documents")
)
"""What became of the records of such a month: the balance's terms, moved here in the transaction that deleted their rows."""

rehearsals = Table(
    "rehearsals",
    metadata,
    _key("run"),
    _key("rehearsal"),  # hash of what was asked
    _int("at_ms"),
    _text("who"),
    _text("rules"),  # hash of the rules that were rehearsed
    _text("text"),  # those rules, as they were typed
    Column("body", LargeBinary, nullable=False),  # a Comparison
)
"""What other rules would have sent, as it was shown to whoever asked on the board: rules are saved from here."""
Index("rehearsals_at", rehearsals.c.run, rehearsals.c.at_ms)

DERIVED = (
    dropped_counts, dropped_months, fetched, taken, suspects, admissions, drop_marks, drops, progress, increments, stories,
    baselines, source_hours, exposures, blind_spans, canaries, in_force, rehearsals, candidates, decisions, actions, verdicts,
    misses, incidents, alerts, outbox, tallies, tallied, reach, runs,
)  # fmt: skip
"""Tables whose rows belong to a run, in an order in which they can be deleted."""
