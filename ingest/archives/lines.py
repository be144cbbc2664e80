"""What one archive line means: its values are checked, and its times get their meaning.

Times are ISO 8601. `published_at` may be a bare day: its place is the last millisecond of that day where it was published and,
without `known_at`, it is known when the day has ended (a fact dated Monday was not safely known before Tuesday). Content never
raises anything but ArchiveLineError.
"""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final, NamedTuple, NoReturn, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from groundswell import names
from groundswell.errors import ArchiveLineError, reason_of
from groundswell.records import Kind, KnownBasis, Precision, RawDocument, Role

__all__ = ["BODY_BYTES", "FIELDS", "LINE_BYTES_MAX", "TEXT_CHARS_MAX", "TOO_LONG", "Item", "Line", "Rules", "document_of", "zone_of"]

LINE_BYTES_MAX: Final = 32 * 1024 * 1024  # a longer line is skipped without being held
BODY_BYTES: Final = 64 * 1024
TEXT_CHARS_MAX: Final = 100_000
SOURCE_CHARS_MAX: Final = 200
TOO_LONG: Final = f"the line is longer than {LINE_BYTES_MAX // 1024**2} MB; split it or shorten its text"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Line(msgspec.Struct):
    """An archive line before anything in it is believed."""

    source: str | None = None
    title: str | None = None
    text: str | None = None
    published_at: str | None = None
    published_precision: str | None = None  # day: its clock, where it has one, says nothing
    known_at: str | None = None
    known_basis: str | None = None  # how known_at came about, where the archive can say
    id: str | int | None = None
    url: str | None = None
    kind: str | None = None
    language: str | None = None
    author: str | None = None
    tier: int | str | None = None  # of its source, as the catalogue has it
    role: str | None = None


FIELDS: Final = Line.__struct_fields__


class Item(NamedTuple):
    """What a format's reader hands on: bytes (JSON) or named values, or why the line has neither."""

    line: int
    body: bytes
    record: bytes | dict[str, Any] | None
    problem: str = ""


class Rules(NamedTuple):
    """How lines are read."""

    mapping: dict[str, str]  # archive field -> column of the file
    always: dict[str, str]  # archive field -> value of every line that has none
    zone: str  # of days, and of times that name none
    zones: dict[str, str]  # the same, by source
    assume_lag_ms: int
    strict: bool
    not_after_ms: int | None
    start_line: int


class _Moment(NamedTuple):
    start_ms: int  # of the day where only a day is given, else the moment itself
    place_ms: int  # published: last millisecond of the day, else the moment
    known_ms: int  # end of the day, else the moment
    precision: Precision


def document_of(record: bytes | dict[str, Any], rules: Rules) -> RawDocument:
    """The document of one line.

    Raises:
        ArchiveLineError: why it has none.
    """
    return _document(_named(record, rules), rules)


def _bad(rule: str, value: object, step: str) -> NoReturn:
    shown = repr(value)
    message = f"{rule}; got {shown if len(shown) <= 80 else shown[:77] + '...'}; {step}"
    raise ArchiveLineError(message)


_whole = msgspec.json.Decoder(Line)
_loose = msgspec.json.Decoder(dict[str, Any])


def _named(record: bytes | dict[str, Any], rules: Rules) -> Line:
    if isinstance(record, bytes):
        if not (rules.mapping or rules.always):  # most archives: one decoding, straight into the line
            return cast("Line", _decoded(record, _whole))
        record = cast("dict[str, Any]", _decoded(record, _loose))
    columns = {field: rules.mapping.get(field, field) for field in FIELDS}
    named = {field: rules.always.get(field) if (value := record.get(column)) is None else value for field, column in columns.items()}
    try:
        return msgspec.convert(named, Line)
    except msgspec.ValidationError as error:
        _bad("a field has the wrong type", reason_of(error), "correct the line or the column mapping")


def _decoded(record: bytes, decoder: msgspec.json.Decoder[Any]) -> Any:
    if not record:
        _bad("the line is empty", "", "remove it")
    if not record.isascii():
        try:
            record.decode()
        except UnicodeDecodeError as error:
            _bad(f"not UTF-8 at byte {error.start + 1}", record[error.start : error.start + 8], "convert the file to UTF-8")
    try:
        return decoder.decode(record)
    except msgspec.ValidationError as error:
        _bad("a field has the wrong type", reason_of(error), "correct the line")
    except (msgspec.DecodeError, RecursionError, ValueError) as error:
        found = re.search(r"\(byte (\d+)\)", str(error))
        column = int(found[1]) + 1 if found else len(record) + 1
        _bad(f"not JSON at column {column} ({reason_of(error)})", record[max(0, column - 20) : column + 20], "correct the line")


def _document(line: Line, rules: Rules) -> RawDocument:
    """Check one line's values and give its times their meaning."""
    source = (line.source or "").strip()
    if not source or len(source) > SOURCE_CHARS_MAX:
        _bad(f"source must have 1 to {SOURCE_CHARS_MAX} characters", line.source, "name the source, or map the column that does")
    kind = line.kind or "news"
    if kind not in names.KINDS:
        _bad(f"kind must be one of {', '.join(names.KINDS)}", kind, "correct it or leave it out (news)")
    title, text = (line.title or "")[:TEXT_CHARS_MAX], (line.text or "")[:TEXT_CHARS_MAX]
    if not title.strip() and not text.strip():
        _bad("nothing to read: title and text are both empty", line.title, "give one of them")
    published, known_ms, basis = _times(line, rules, zone=zone_of(rules.zones.get(source, rules.zone)))
    author = (line.author or "").strip()
    return RawDocument(
        source=source,
        title=title,
        kind=cast("Kind", kind),
        text=text,
        url=line.url or None,
        id=_identifier(line.id),
        author_hash=names.content_id("author", source, author) if author else None,
        language=line.language or None,
        published_ms=published.place_ms if published else None,
        published_precision=published.precision if published else "second",
        known_ms=known_ms,
        known_basis=basis,
        tier=_tier(line.tier),
        role=_role(line.role),
    )


def _identifier(value: str | int | None) -> str | None:
    if not isinstance(value, int):
        return value or None
    try:
        return str(value)
    except ValueError as error:  # Python refuses to print integers of thousands of digits
        _bad("id is too long a number", reason_of(error), "give it as a string")


def _tier(value: int | str | None) -> int | None:
    if value is None or value == "":
        return None
    if str(value) not in ("1", "2", "3", "4"):
        _bad("tier must be 1 (official or primary) to 4 (forums)", value, "correct it or leave it out")
    return int(value)


def _role(value: str | None) -> str | None:
    if value and value not in get_args(Role):
        _bad(f"role must be one of {', '.join(get_args(Role))}", value, "correct it or leave it out")
    return value or None


# --- times ------------------------------------------------------------------------------------------------------------------
@lru_cache(maxsize=256)
def zone_of(name: str) -> tzinfo:
    """A zone of the IANA's names.

    Raises:
        ArchiveLineError: there is none of this name.
    """
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        _bad("there is no such zone", name, "write it like UTC, Asia/Shanghai or America/New_York")


def _times(line: Line, rules: Rules, *, zone: tzinfo) -> tuple[_Moment | None, int, KnownBasis]:
    precision = line.published_precision or None
    if precision not in (None, *get_args(Precision)):
        _bad(f"published_precision must be one of {', '.join(get_args(Precision))}", precision, "correct it or leave it out")
    published = None
    if line.published_at:
        published = _moment("published_at", line.published_at, zone=zone, precision=cast("Precision | None", precision))
    limit = rules.not_after_ms
    if line.known_at:
        known = _moment("known_at", line.known_at, zone=zone)
        if limit is not None and known.start_ms > limit:
            _bad("known in the future", line.known_at, "correct known_at")
        if known.known_ms < 0:
            _bad("known before 1970", line.known_at, "correct known_at")
        return published, known.known_ms, _basis(line, rules)
    if rules.strict:
        _bad("known_at is missing and strict reading assumes none", line.known_at, "add known_at or read without strict")
    if published is None:
        _bad("published_at and known_at are both missing", line.published_at, "give at least one of them")
    if limit is not None and published.start_ms > limit:
        _bad("published in the future", line.published_at, "correct published_at or add known_at")
    if published.known_ms < 0:
        _bad("published before 1970, which cannot stand in for known_at", line.published_at, "correct published_at or add known_at")
    lag = 0 if published.precision == "day" else rules.assume_lag_ms
    return published, published.known_ms + lag, "assumed"


def _basis(line: Line, rules: Rules) -> KnownBasis:
    """How a given known time came about: claimed, unless the archive says more."""
    basis = line.known_basis or "claimed"
    if basis not in get_args(KnownBasis):
        _bad(f"known_basis must be one of {', '.join(get_args(KnownBasis))}", basis, "correct it or leave it out (claimed)")
    if basis == "assumed" and rules.strict:
        _bad("known_at was itself assumed, and strict reading takes no such time", line.known_at, "read without strict")
    return cast("KnownBasis", basis)


def _moment(field: str, value: str, *, zone: tzinfo, precision: Precision | None = None) -> _Moment:
    """Parse an ISO 8601 day or time.

    Args:
        field: for errors.
        value: what stands there.
        zone: of a day, and of a time that names none.
        precision: what the archive says of it; None: what was written decides.

    >>> _moment("published_at", "2024-02-29", zone=UTC)
    _Moment(start_ms=1709164800000, place_ms=1709251199999, known_ms=1709251200000, precision='day')
    >>> _moment("published_at", "2024-02-29T08:30+08:00", zone=UTC).precision
    'minute'
    """
    value = value.strip()
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or "W" in value[:10]:  # a bare week would pass as its Monday
        _bad(f"{field} must be an ISO 8601 day or time", value, "write it like 2024-03-01 or 2024-03-01T09:30:00Z")
    where = moment.tzinfo or zone
    if precision == "day" or len(value) <= 10:
        start_ms, end_ms = _day(moment.date(), where, field=field)
        return _Moment(start_ms, end_ms - 1, end_ms, "day")
    start_ms = (moment.replace(tzinfo=where) - _EPOCH) // _MILLISECOND
    return _Moment(start_ms, start_ms, start_ms, precision or _precision(value))


def _day(day: date, zone: tzinfo, *, field: str) -> tuple[int, int]:
    """First moment of a day where it was published, and of the next one; a day is not always 24 hours long."""
    try:
        moments = [datetime.combine(each, time(), zone) for each in (day, day + timedelta(days=1))]
        first, after = ((moment - _EPOCH) // _MILLISECOND for moment in moments)
    except OverflowError:
        _bad(f"{field} is the last day that there is", day.isoformat(), "correct it")
    return first, after


def _precision(value: str) -> Precision:
    if value[16:17] == ":":
        return "second"
    clock = re.split(r"[Z+-]", value[11 if value[4:5] == "-" else 9 :])[0]
    return "second" if len(clock.replace(":", "")) >= 6 else "minute"
