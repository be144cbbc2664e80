"""What the API's answers are made of: one type for each row, which the description is written from and a test reads every answer by."""

from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

import msgspec

from groundswell.lifecycle import State
from groundswell.records import AlertKind, Kind, KnownBasis, Outcome, Role, Sentiment, Severity
from groundswell.store.panels.rows import PanelRow, name_of, row_of

Time = str
"""ISO 8601, UTC with Z."""


class _Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every field is always there."""


class SeriesRow(_Row, frozen=True):
    """One window `[start, end)` of one series on the published axis; counts are null where the model cannot measure the topic."""

    series: str
    start: Time
    end: Time
    documents: int | None
    stories: int | None
    owners: int | None
    negative: int | None
    neutral: int | None
    positive: int | None
    negative_share: float | None
    low: float | None
    high: float | None
    complete: int
    exposure: float | None
    known_basis: KnownBasis
    corrected_share: float | None  # of a topic, for the model's measured errors
    corrected_low: float | None
    corrected_high: float | None


class LeftOut(_Row, frozen=True):
    """What would be left of an alert without a part of its evidence."""

    without: Literal["comments", "owner"]
    statistic: int
    fires: bool


class Peers(_Row, frozen=True):
    """What others did in the same days: medians over those that were spoken of enough."""

    of: Literal["sector", "companies", "topics"]
    measured: int
    negative_share_before: float
    negative_share: float
    only_this_one: bool


class Part(_Row, frozen=True):
    """One part of an alert's excess."""

    name: str
    stories: int
    documents: int
    owners: int
    excess: float


class Evidence(_Row, frozen=True):
    """A quoted document."""

    document_id: str
    title: str
    source: str
    role: Role | None
    tier: int | None
    published_at: Time
    known_at: Time
    known_basis: KnownBasis | None
    quote: str
    start: int
    end: int
    p_negative: float
    story: str
    url: str | None
    text_removed_at: Time | None


class AlertRow(_Row, frozen=True):
    """One alert; `groundswell explain ID` makes it again from stored rows."""

    id: str
    incident: str
    update: int
    kind: AlertKind
    series: str
    all_series: list[str]
    opened_at: Time
    known_until: Time
    severity: Severity
    title: str
    statistic: int
    expected: float
    limit: int
    p: float
    window_s: int
    stories: int
    owners: int
    owners_known: bool
    negative_share: float
    baseline_share: float
    exposure: float
    without_largest: int
    without_largest_fires: bool
    parts: list[Part]
    doubts: list[str]
    against: list[LeftOut]
    peers: Peers | None
    late_s: int
    ended: bool
    news: Literal["official", "denial", "tier"] | None
    quiet_since: Time | None
    evidence: list[Evidence]
    versions: dict[str, str]


class IncidentRow(_Row, frozen=True):
    """One incident with what its newest alert says, how it stands, and who has it."""

    incident: str
    state: State
    holder: str | None
    opened_at: Time
    last_alert_at: Time
    alerts: int
    kind: AlertKind
    severity: Severity
    series: str
    title: str
    statistic: int
    owners: int
    last_alert: str


class DocumentRow(_Row, frozen=True):
    """One document with a verbatim quote; an edit has no score."""

    document_id: str
    content_hash: str
    source: str
    kind: Kind
    language: str | None
    title: str
    published_at: Time
    known_at: Time
    known_basis: KnownBasis
    topic: str | None
    sentiment: Sentiment | None
    p_negative: float | None
    companies: list[str] | None
    quote: str
    quote_start: int
    quote_end: int
    url: str | None
    outcome: Outcome


class SourceRow(_Row, frozen=True):
    """One source at the end of the data."""

    source: str
    state: str
    since: Time | None
    why: str
    last_known: Time
    documents_24h: int
    documents_7d: int
    silence_usual_s: int
    silence_allowed_s: int
    last_poll: Time | None
    last_poll_ok: Time | None
    poll_reason: str | None


class WatchRow(_Row, frozen=True):
    """A saved search or a watched company."""

    what: str
    name: str
    series: str
    query: str | None
    weight: float | None
    owner: str | None


class Problem(_Row, frozen=True):
    """Why there is no answer (problem details, RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str


def row_type(kind: type[PanelRow]) -> type[_Row]:
    """The row of a panel as `panels.rows.told` tells it: a moment by its time, the rest as it is."""
    fields = []
    for one in msgspec.structs.fields(kind):
        inner, told = row_of(one.type), one.type
        if inner is not None:
            told = list[row_type(inner)]  # type: ignore[misc]  # made while running
        elif one.name.endswith("_ms"):
            told = Time | None if type(None) in get_args(one.type) else Time
        fields.append((name_of(one.name), told))
    made = msgspec.defstruct(
        kind.__name__, fields, bases=(_Row,), namespace={"__doc__": kind.__doc__}, module=__name__, frozen=True, kw_only=True
    )
    return cast("type[_Row]", made)


def schemas(rows: Sequence[type[msgspec.Struct]]) -> dict[str, Any]:
    """The schemas of all rows, and of the pages that hold them."""
    _, found = msgspec.json.schema_components([*rows, Problem], ref_template="#/components/schemas/{name}")
    for row in rows:
        found[page_of(row)] = {
            "type": "object",
            "title": page_of(row),
            "description": "Some rows, and the cursor of the next page; null: there are no more.",
            "required": ["run", "data_until", "rows", "next"],
            "properties": {
                "run": {"type": "string"},
                "data_until": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
                "rows": {"type": "array", "items": {"$ref": f"#/components/schemas/{row.__name__}"}},
                "next": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            },
        }
    return dict(sorted(found.items()))


def page_of(row: type[msgspec.Struct]) -> str:
    """Name of the page of a row."""
    return row.__name__.removesuffix("Row") + "Page"
