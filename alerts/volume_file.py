"""A CSV of counts through the volume detector, line by line: what `groundswell detect` does.

A line's score depends on the lines before it and on nothing else, so a file that still grows can be read as it comes.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple

from alerts.detectors.volume import Judged, VolumeDetector
from alerts.rules import BurstRules, RegimeRules
from groundswell.errors import RecordError, UsageError, reason_of

COLUMNS: Final = ("timestamp", "value")
HEADER: Final = "timestamp,value,score,alert\n"
STEP_ROWS: Final = 12
"""Within the first rows a distance of at most half the step begins the series anew, with that step: the first one may span a gap."""

VALUE_MAX: Final = 10**15


class _Row(NamedTuple):
    timestamp: str  # as it was written
    value: str
    time_s: int
    counted: int


def detect_lines(
    lines: Iterable[str], profile: BurstRules | RegimeRules, *, name: str, step_s: int | None, report: Callable[[str], None]
) -> Iterator[str]:
    """Lines of `timestamp,value,score,alert` for lines of `timestamp,value`, header first.

    Args:
        lines: the file; its first line names the columns, further ones are ignored.
        profile: what watches.
        name: of the file, for what is said about bad lines.
        step_s: seconds between rows; None: the shortest distance among the first rows.
        report: called for each line that cannot be used; it is left out.

    Raises:
        UsageError: the header lacks a column.
    """
    numbered = enumerate(lines, start=1)
    places = _header(next(numbered, (1, ""))[1], name)
    yield HEADER
    steps = _Steps(profile, step_s)
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            row = _row(line, places)
            judged = steps.take(row)
        except RecordError as error:
            report(f"{name}:{number}: {reason_of(error)}")
            continue
        yield f"{row.timestamp},{row.value},{judged.score_milli / 1_000:.3f},{int(judged.alert)}\n"


class _Steps:
    """Times to numbers of steps, with the detector that counts in them."""

    def __init__(self, profile: BurstRules | RegimeRules, step_s: int | None) -> None:
        self._profile, self._given = profile, step_s
        self._detector = VolumeDetector(profile, step_s=step_s) if step_s else None
        self._early: list[_Row] = []  # the first rows; once the step is given or learnt they only say that it is
        self._last: tuple[int, int] | None = None  # time and number of the row before

    def take(self, row: _Row) -> Judged:
        """Score and alert of the next row.

        Raises:
            RecordError: the row is not later than the one before, or closer to it than half a step.
        """
        if self._last and row.time_s <= self._last[0]:
            reason = "not later than the row before it; sort the file by time and remove repetitions"
            raise RecordError(reason)
        if self._last and not self._given and len(self._early) < STEP_ROWS:
            self._learn_step(row.time_s - self._last[0])
        judged = self._judge(row)
        if len(self._early) < STEP_ROWS:
            self._early.append(row)
        return judged

    def _learn_step(self, distance_s: int) -> None:
        if self._detector and 2 * distance_s > self._detector.step_s:
            return
        self._detector, self._last = VolumeDetector(self._profile, step_s=distance_s), None
        for row in self._early:
            self._judge(row)

    def _judge(self, row: _Row) -> Judged:
        detector = self._detector
        if detector is None:  # the first row: nobody knows yet how long a step is
            self._last = row.time_s, 0
            return Judged(0, alert=False)
        first_s = self._early[0].time_s if self._early else row.time_s
        number = round((row.time_s - first_s % detector.step_s) / detector.step_s)
        if self._last and number <= self._last[1]:
            reason = f"{row.timestamp} is less than half a step of {detector.step_s} s after the row before it; remove it, or give --step"
            raise RecordError(reason)
        self._last = row.time_s, number
        return detector.step(number, row.counted)


def _header(line: str, name: str) -> tuple[int, int]:
    columns = [column.strip().lower() for column in next(csv.reader([line]), [])]
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        reason = f"{name}:1: no column {missing[0]!r}; the first line has to name the columns, at least timestamp,value"
        raise UsageError(reason)
    return columns.index(COLUMNS[0]), columns.index(COLUMNS[1])


def _row(line: str, places: tuple[int, int]) -> _Row:
    cells = next(csv.reader(io.StringIO(line)), [])
    if len(cells) <= max(places):
        reason = f"{len(cells)} columns where the header has more; write timestamp,value"
        raise RecordError(reason)
    timestamp, value = (cells[place].strip() for place in places)
    return _Row(timestamp, value, _time_s(timestamp), _count(value))


def _time_s(timestamp: str) -> int:
    try:
        moment = datetime.fromisoformat(timestamp)
    except ValueError as error:
        reason = f"{timestamp[:60]!r} is no time; write ISO 8601, for example 2015-02-26 21:42:53 (UTC unless it says otherwise)"
        raise RecordError(reason) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _count(value: str) -> int:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not (0 <= number <= VALUE_MAX and number == int(number)):
        reason = f"{value[:60]!r} is no count; write a whole number that is not negative"
        raise RecordError(reason)
    return int(number)
