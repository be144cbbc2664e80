"""Times and spans as people write them: for the command line, the API and pandas alike."""

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

from groundswell.errors import UsageError
from groundswell.names import DAY_MS, HOUR_MS

_SPOKEN: Final[dict[str, tuple[tuple[int, str], ...]]] = {
    "en": ((DAY_MS, " d"), (HOUR_MS, " h"), (60_000, " min"), (1_000, " s")),
    "zh": ((DAY_MS, "天"), (HOUR_MS, "小时"), (60_000, "分钟"), (1_000, "秒")),
}
LAST_MS: Final = 2**47
"""In the year 6429. A window may be 2,700 years long, and has to end before the year 9999, where dates end."""

_UNITS_MS: Final = {"s": 1_000, "m": 60_000, "h": HOUR_MS, "d": DAY_MS}


def time_ms(text: str, *, name: str, end: bool = False, zone: tzinfo = UTC) -> int:
    """A moment from ISO 8601; a bare day is its first moment, or with `end` the day after's.

    >>> time_ms("1970-01-02", name="--from"), time_ms("1970-01-01", name="--to", end=True)
    (86400000, 86400000)

    Args:
        text: as it was written.
        name: what it was given as, for the error.
        end: it ends a span.
        zone: of a time that names none.

    Raises:
        UsageError: not a time, before 1970 or beyond LAST_MS.
    """
    try:
        moment = datetime.fromisoformat(text)
        if end and _is_bare_day(text):
            moment += timedelta(days=1)  # by the calendar, before the zone is known: a day is not always 24 hours long
        moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
        ms = round(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        reason = f"{name} {text[:40]!r}: not a time; write 2026-11-23, 2026-11-23T10:05 or 2026-11-23T10:05:00+08:00"
        raise UsageError(reason) from error
    if not 0 <= ms < LAST_MS:
        reason = f"{name} {text[:40]!r}: times from 1970 to 6428 can be asked for; give one of them"
        raise UsageError(reason)
    return ms


def _is_bare_day(text: str) -> bool:
    """Whether a moment was written without a time of day: 2026-11-23, 20261123, 2026-W48-1."""
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def duration_ms(text: str, *, name: str) -> int:
    """A span such as 15m, 1h, 1d.

    Raises:
        UsageError: not a span.
    """
    number = text[:-1]
    if text[-1:] not in _UNITS_MS or not (number.isascii() and number.isdigit()) or len(number) > 6 or int(number) == 0:
        reason = f"{name} {text[:40]!r}: not a span of time; write 90s, 15m, 1h or 1d"
        raise UsageError(reason)
    return int(number) * _UNITS_MS[text[-1]]


def moment_ms(text: str, *, name: str, now_ms: int) -> int:
    """A moment as people say it: `now`, `today 10:05`, `yesterday 18:40`, `18:00` (today), `-2h`, `+30m`, else as `time_ms` reads it.

    >>> moment_ms("yesterday 18:40", name="--at", now_ms=1_700_000_000_000), moment_ms("-2h", name="--at", now_ms=7_200_000)
    (1699900800000, 0)

    Raises:
        UsageError: not a moment.
    """
    word = text.strip()
    found = re.fullmatch(r"(?:(today|yesterday)(?: +|$))?(?:([01]?\d|2[0-3]):([0-5]\d))?", word)
    if word == "now":
        return now_ms
    if found is not None and word:
        day, hour, minute = found.groups()
        clock_ms = int(hour or 0) * 3_600_000 + int(minute or 0) * 60_000
        return (now_ms // DAY_MS - (day == "yesterday")) * DAY_MS + clock_ms
    if word[:1] in ("-", "+") and word[1:2].isdigit():
        return now_ms + (1 if word[0] == "+" else -1) * duration_ms(word[1:], name=name)
    return time_ms(word, name=name)


def spoken(span_ms: int, *, language: str = "en") -> str:
    """A span as people say it, in its largest two units; in seconds below two minutes, and without them above.

    >>> spoken(45_000), spoken(3_720_000), spoken(26 * HOUR_MS), spoken(8 * DAY_MS), spoken(-5)
    ('45 s', '1 h 2 min', '1 d 2 h', '8 d', '0 s')
    >>> spoken(17_520_000, language="zh")
    '4小时52分钟'

    Args:
        span_ms: how long; less than nothing is nothing.
        language: "en" or "zh".
    """
    *units, seconds = _SPOKEN[language]
    if span_ms < 120_000:
        return f"{max(0, span_ms) // seconds[0]}{seconds[1]}"
    largest = next(number for number, (unit_ms, _) in enumerate(units) if span_ms >= unit_ms)
    parts, left_ms = [], span_ms
    for unit_ms, name in units[largest : largest + 2]:
        number, left_ms = divmod(left_ms, unit_ms)
        parts += [f"{number}{name}"] if number else []
    return ("" if language == "zh" else " ").join(parts)


def spoken_again(text: str, *, language: str) -> str:
    """What `spoken` said in English, in a language.

    >>> spoken_again("9 d 11 h", language="zh"), spoken_again("45 s", language="en")
    ('9天11小时', '45 s')
    """
    english, other = _SPOKEN["en"], _SPOKEN[language]
    if language == "en":
        return text
    for (_, name), (_, said) in zip(english, other, strict=True):
        text = re.sub(rf"(\d+){name}\b ?", rf"\1{said}", text)
    return text
