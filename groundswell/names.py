"""Every name that is stored or that another program reads, in one place, never derived from where code lives.

Renaming anything here changes stored data or somebody's dashboard: treat it as a schema change.
"""

import hashlib
from typing import Final

# --- Kafka -----------------------------------------------------------------------------------------------------------
RAW_PARTITIONS: Final = 16
CONTRIBUTION_PARTITIONS: Final = 32
ENVELOPE_RECORDS_MAX: Final = 256
ENVELOPE_BYTES_MAX: Final = 512 * 1024
LIVE_RUN: Final = "live"


def raw_topic(run: str = LIVE_RUN) -> str:
    """The topic that crawlers publish to; a run other than live has its own.

    >>> raw_topic(), raw_topic("r2016")
    ('groundswell.raw', 'groundswell.raw.r2016')
    """
    return _of_run("groundswell.raw", run)


def contribution_topic(run: str) -> str:
    """The topic between the score and the fold agent."""
    return _of_run("groundswell.contributions", run)


def score_group(run: str) -> str:
    """Consumer group of the score workers."""
    return _of_run("groundswell-score", run)


def fold_group(run: str) -> str:
    """Consumer group of the fold workers."""
    return _of_run("groundswell-fold", run)


SCORE_AGENT: Final = "groundswell.score"
FOLD_AGENT: Final = "groundswell.fold"


def _of_run(name: str, run: str) -> str:
    return name if run == LIVE_RUN else f"{name}.{run}"


def partition_of(key: str, partitions: int) -> int:
    """Partition of a document id (raw) or a series key (contributions): the same on every machine and Python.

    >>> partition_of("entity:SVB", 32)
    10
    """
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest()) % partitions


# --- progress rows: who owns what ----------------------------------------------------------------------------------------
ROLE_SCORE: Final = "score"
ROLE_FOLD: Final = "fold"
ROLE_DESK: Final = "desk"
ROLE_SENDER: Final = "sender"

ROUTES_TARGET: Final = "routes"
"""The target of an alert whose readers are still to be found: the sender writes one message for each of them."""

OUTBOX_STATES: Final = ("due", "attempted", "sent", "failed", "held", "digested", "routed", "withdrawn", "stopped")
"""What may have become of a message: groundswell/store/outbox.py says what each means."""

# --- time -------------------------------------------------------------------------------------------------------------
TICK_MS: Final = 15_000
PANE_MS: Final = 300_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
HOUR_TICKS: Final = HOUR_MS // TICK_MS
DAY_TICKS: Final = DAY_MS // TICK_MS

DIGEST_WORDS: Final = 64  # words of a MinHash digest; a stored digest of another length is refused

# --- what is reported ---------------------------------------------------------------------------------------------------
LANGUAGES: Final = ("en", "zh")
KINDS: Final = ("news", "report", "filing", "comment")
HEARD_OUTCOMES: Final = ("scored", "edited")
"""What says that a source is alive: something new. One that only repeats itself is silent, and a delivery twice changes nothing."""

CANARY_SOURCE: Final = "groundswell canary"
"""The source of documents that prove the way: no catalogue may use it, and it is no source wherever sources are counted."""

CANARY_SERIES: Final = "canary"
"""The one series that such a document counts in; nothing is detected in it, and no glob finds it."""

SENTIMENTS: Final = ("negative", "neutral", "positive")
TOPICS: Final = (
    "earnings_dividends",
    "analyst_ratings",
    "debt_credit",
    "central_bank_macro",
    "legal_regulatory",
    "deals_capital",
    "management",
    "company_product",
    "financial_institutions",
    "commodities_energy",
    "fx_crypto",
    "politics_geopolitics",
    "market_moves",
    "general_other",
)
FLAGS: Final = (
    "default_bankruptcy",
    "liquidity_run",
    "fraud_investigation",
    "sanction_penalty",
    "litigation",
    "downgrade",
    "exec_departure",
    "layoff_strike",
    "product_recall_outage",
    "cyber_incident",
    "accident_environment",
    "short_report_delisting",
)
"""Kinds of risk that a document may speak of (docs/flags.md)."""


def topic_series(topic: str, language: str) -> str:
    """Key of a topic's series in one language.

    >>> topic_series("debt_credit", "zh")
    'topic:debt_credit:zh'
    """
    return f"topic:{topic}:{language}"


def entity_series(entity_id: str) -> str:
    """Key of a company's series, all languages together.

    >>> entity_series("SVB")
    'entity:SVB'
    """
    return f"entity:{entity_id}"


def flag_series(flag: str, entity_id: str) -> str:
    """Key of the series of what is said of one risk of one company.

    >>> flag_series("default_bankruptcy", "SVB")
    'flag:default_bankruptcy:SVB'
    """
    return f"flag:{flag}:{entity_id}"


OFFICIAL_ROLES: Final = ("central_bank", "regulator", "exchange", "issuer")
"""Roles of sources whose word on a company is official: an authority's, an exchange's, its own."""

WORDS: Final[tuple[str, ...]] = ("official", "denial")
"""What may be said of a company that an incident is told again on."""


def word_series(word: str, entity_id: str) -> str:
    """Key of the series of what is officially said of a company, or denied.

    >>> word_series("denial", "SVB")
    'word:denial:SVB'
    """
    return f"word:{word}:{entity_id}"


def word_of(series: str) -> str:
    """Which of WORDS a series is of; "" for any other series.

    >>> word_of("word:denial:SVB"), word_of("flag:litigation:SVB")
    ('denial', '')
    """
    return series.split(":", 2)[1] if series_kind(series) == "word" else ""


def watch_series(name: str) -> str:
    """Key of the series of what a saved search finds.

    >>> watch_series("payments")
    'watch:payments'
    """
    return f"watch:{name}"


def language_series(language: str) -> str:
    """Key of all that is said in one language: no document counts in it, blindness and a moved model are told of it.

    >>> language_series("zh")
    'language:zh'
    """
    return f"language:{language}"


COPIES_OF: Final = "copies of "
LATE_OF: Final = "late of "
"""Before a series: its baseline rows of another measure, in the same table. `copies of`: documents of a day's largest negative story,
and of all of them. `late of`: stories that were known too late, the negative ones and all."""


def measured_series(series: str) -> str:
    """The series that a baseline row is of, whatever it measures.

    >>> measured_series("late of entity:SVB"), measured_series("entity:SVB")
    ('entity:SVB', 'entity:SVB')
    """
    return series.removeprefix(COPIES_OF).removeprefix(LATE_OF)


ANY_TONE: Final = ("flag", "watch")
"""Kinds of series that are about trouble already: a document counts there unless it is positive. A default told without any tone is no
good news; that a lawsuit was dismissed is."""


def series_kind(series: str) -> str:
    """What a series is of: the first word of its key.

    >>> series_kind("flag:litigation:SVB"), series_kind("topic:debt_credit:zh")
    ('flag', 'topic')
    """
    return series.partition(":")[0]


def content_id(*parts: str) -> str:
    """Sixteen hexadecimal digits that depend on the parts alone: ids of documents, stories, incidents, alerts.

    >>> content_id("a", "b") == content_id("ab", "")
    False
    """
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=8).hexdigest()
