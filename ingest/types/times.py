"""Published times as sources write them: with their zone, and second, minute and day kept apart."""

import re
from calendar import timegm
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

from groundswell.names import DAY_MS
from groundswell.records import Precision

__all__ = ["Moment", "moment_of", "moment_of_value", "zone_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)

# Zone names that feeds use and that the mail standard does not know; without this they would be taken for UTC.
_ZONES: Final = {
    "CET": "+0100", "CEST": "+0200", "BST": "+0100", "WEST": "+0100", "EET": "+0200", "EEST": "+0300", "MSK": "+0300",
    "HKT": "+0800", "SGT": "+0800", "JST": "+0900", "KST": "+0900", "AEST": "+1000", "AEDT": "+1100", "NZST": "+1200", "NZDT": "+1300",
}  # fmt: skip
_CHINESE: Final = re.compile(
    r"(?P<y>\d{4})\s*[年/.-]\s*(?P<m>\d{1,2})\s*[月/.-]\s*(?P<d>\d{1,2})\s*日?(?:\s*(?P<H>\d{1,2})[:时](?P<M>\d{2})(?:[:分](?P<S>\d{2})秒?)?分?)?"
)


class Moment(NamedTuple):
    """A published time as far as its source gives it."""

    published_ms: int  # of a bare day: its last millisecond, as in archives
    precision: Precision


def moment_of(text: str, fallback: Any = None, *, zone: timezone = UTC) -> Moment | None:
    """A published time from what a source says.

    Args:
        text: ISO 8601, the form of mail ("Mon, 02 Mar 2026 09:30:00 CET"), or digits in the Chinese order (2026年3月2日 09:30).
        fallback: feedparser's own reading, a UTC time tuple, for every other form.
        zone: of a time that names none; the end of a bare day is the end of that day there.

    >>> moment_of("Mon, 02 Mar 2026 09:30:00 CET") == moment_of("2026-03-02T08:30:00Z") == Moment(1772440200000, "second")
    True
    >>> moment_of("2026-03-02T08:30Z").precision, moment_of("2026-03-02").precision, moment_of("soon")
    ('minute', 'day', None)
    >>> moment_of("2026年3月2日 16:30", zone=zone_of("+08:00"))
    Moment(published_ms=1772440200000, precision='minute')
    """
    text = text.strip()[:100]
    clock = re.search(r"\d{1,2}[:时]\d{2}([:分]\d{2})?", text)
    precision: Precision = "day" if clock is None and not re.search(r"\d{8}T\d{4}", text) else "second" if clock and clock[1] else "minute"
    when = _when(text, zone) or _of_tuple(fallback, zone if precision == "day" else UTC)
    if when is None:
        return None
    if precision == "day":
        day = when.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        return Moment((day - _EPOCH) // _MILLISECOND + DAY_MS - 1, "day")
    return Moment((when - _EPOCH) // _MILLISECOND, precision)


def moment_of_value(value: Any, *, zone: timezone = UTC) -> Moment | None:
    """A published time from JSON: text as in `moment_of`, or seconds or milliseconds since 1970.

    >>> moment_of_value(1772440200), moment_of_value("1772440200123"), moment_of_value(True), moment_of_value(12)
    (Moment(published_ms=1772440200000, precision='second'), Moment(published_ms=1772440200123, precision='second'), None, None)
    """
    if isinstance(value, str) and not re.fullmatch(r"\s*\d{9,13}(\.\d{1,6})?\s*", value):
        return moment_of(value, zone=zone)
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    number = float(value)
    # Before 1980 or after 2100 it is no date; a bare year or a counter is not one either.
    for ms in (number * 1_000, number):
        if 315_532_800_000 <= ms < 4_102_444_800_000:
            return Moment(int(ms), "second")
    return None


def zone_of(text: str) -> timezone:
    """A zone from "+08:00"; UTC from nothing.

    Raises:
        ValueError: no such offset.
    """
    found = re.fullmatch(r"([+-])(\d{2}):?(\d{2})", text)
    if not text or text in ("Z", "UTC"):
        return UTC
    if found is None or int(found[2]) > 14 or int(found[3]) > 59:
        message = f"a zone is an offset like +08:00, got {text[:20]!r}"
        raise ValueError(message)
    offset = timedelta(hours=int(found[2]), minutes=int(found[3]))
    return timezone(-offset if found[1] == "-" else offset)


def _when(text: str, zone: timezone) -> datetime | None:
    word = text.rpartition(" ")[2].upper()
    mail = text[: -len(word)] + _ZONES[word] if word in _ZONES else text
    for read, value in ((datetime.fromisoformat, text), (parsedate_to_datetime, mail), (_chinese, text)):
        try:
            when = read(value)
            return (when if when.tzinfo else when.replace(tzinfo=zone)).astimezone(UTC)
        except (ValueError, OverflowError, TypeError, IndexError):
            continue
    return None


def _chinese(text: str) -> datetime:
    found = _CHINESE.search(text)
    if found is None:
        raise ValueError
    year, month, day, hour, minute, second = (int(found[name] or 0) for name in "ymdHMS")
    return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 (its caller knows the zone)


def _of_tuple(value: Any, zone: timezone) -> datetime | None:
    try:
        return (_EPOCH + timedelta(seconds=timegm(value))).replace(tzinfo=zone).astimezone(UTC) if value else None
    except (ValueError, OverflowError, TypeError):
        return None
