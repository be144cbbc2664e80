"""What a run holds as OpenMetrics, for `promtool tsdb create-blocks-from openmetrics`: the values of `groundswell series`, by month.

    archive-2026-09.om
        groundswell_history_documents{run="archive",series="topic:management:en",window="1h",sentiment="negative"} 3 1788224400

promtool reads a whole file once for each block that it makes, so a file holds a month. A sample stands at the end of its window, in
seconds. The last three hours are left out: they belong to the head of a running Prometheus, whose samples nobody can add to.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Connection

from groundswell.errors import DependencyError, NotFoundError, reason_of
from groundswell.names import HOUR_MS, entity_series
from groundswell.store.corrections import corrections_of
from groundswell.store.query import SeriesWindow, closed_ms, series_like, series_windows, span_of, unmeasured_series

WINDOW_MS: Final = HOUR_MS
HEAD_MS: Final = 3 * HOUR_MS
"""What a running Prometheus has not written to a block yet."""

FAMILIES: Final = {
    "groundswell_history_documents": "Documents of a window by sentiment, at its end.",
    "groundswell_history_negative_ratio": "Share of negative documents of a window, where there are any.",
    "groundswell_history_exposure_ratio": "Share of the usual volume whose sources were seeing in a window, where it is known.",
}


def write_history(connection: Connection, run: str, folder: Path, *, now_ms: int, watched: Sequence[str] = ()) -> list[Path]:
    """Write the files of a run; those of an earlier call are replaced.

    Args:
        connection: a reading transaction.
        run: whose windows: of every topic that its model measures, and of the companies that are watched.
        folder: where they go.
        now_ms: the wall clock.
        watched: ids of companies.

    Returns:
        The files, oldest first.

    Raises:
        NotFoundError: the run has no window that is old enough.
        DependencyError: the folder cannot be written.
    """
    first_ms, _ = span_of(connection, run)
    until_ms = min(closed_ms(connection, run) or 0, now_ms - HEAD_MS) // WINDOW_MS * WINDOW_MS
    first_ms -= first_ms % WINDOW_MS
    if not first_ms or until_ms <= first_ms:
        reason = f"run {run!r}: it has no closed hour that ended before the last three; there is nothing for Prometheus to take yet"
        raise NotFoundError(reason)
    unmeasured, stored = unmeasured_series(connection, run), series_like(connection, run, ["*"])
    wanted = {entity_series(entity) for entity in watched}
    keys = [key for key in stored if (key.startswith("topic:") and key not in unmeasured) or key in wanted]
    written = []
    for start_ms, end_ms in months(first_ms, until_ms):
        lines = _month(connection, run, keys, start_ms=start_ms, end_ms=end_ms)
        path = folder / f"{quote(run, safe='')}-{datetime.fromtimestamp(start_ms / 1_000, UTC):%Y-%m}.om"
        _replace(path, lines)
        written.append(path)
    return written


def months(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """`[start_ms, end_ms)` cut where a month begins (UTC).

    >>> [(a // 86_400_000, b // 86_400_000) for a, b in months(30 * 86_400_000, 60 * 86_400_000)]
    [(30, 31), (31, 59), (59, 60)]
    """
    while start_ms < end_ms:
        day = datetime.fromtimestamp(start_ms / 1_000, UTC)
        after = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
        cut_ms = min(end_ms, round(after.timestamp() * 1_000))
        yield start_ms, cut_ms
        start_ms = cut_ms


def _month(connection: Connection, run: str, keys: Sequence[str], *, start_ms: int, end_ms: int) -> Iterator[str]:
    """Lines of a month, family by family, as OpenMetrics wants them."""
    samples: dict[str, list[str]] = {name: [] for name in FAMILIES}
    span: dict[str, Any] = {"start_ms": start_ms, "end_ms": end_ms, "window_ms": WINDOW_MS}
    corrections = corrections_of(connection, run)
    for key in keys:
        for window in series_windows(connection, run, key, corrections=corrections, **span):
            for name, line in _samples(run, window):
                samples[name].append(line)
    for name, says in FAMILIES.items():
        yield f"# HELP {name} {says}"
        yield f"# TYPE {name} gauge"
        yield from samples[name]
    yield "# EOF"


def _samples(run: str, one: SeriesWindow) -> Iterator[tuple[str, str]]:
    documents, negative, exposure = FAMILIES
    labels, at_s = f'run="{_escaped(run)}",series="{_escaped(one.series)}",window="1h"', one.end_ms // 1_000
    counts = one.counts
    for sentiment, number in (("negative", counts.negative), ("neutral", counts.neutral), ("positive", counts.positive)):
        yield documents, f'{documents}{{{labels},sentiment="{sentiment}"}} {number} {at_s}'
    if counts.negative_share is not None:
        yield negative, f"{negative}{{{labels}}} {counts.negative_share!r} {at_s}"
    if one.exposure is not None:
        yield exposure, f"{exposure}{{{labels}}} {one.exposure!r} {at_s}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _replace(path: Path, lines: Iterator[str]) -> None:
    coming = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with coming.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        coming.replace(path)
    except OSError as error:
        reason = f"{path}: {reason_of(error)}; give a folder on a disk with free space"
        raise DependencyError(reason) from error
