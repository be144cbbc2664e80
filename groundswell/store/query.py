"""What is asked of a store: by the command line, the board and pandas alike. There is no second implementation."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, Select, func, select, text

from groundswell.codec import decode
from groundswell.errors import NotFoundError, UsageError
from groundswell.local_log import LocalLog
from groundswell.names import CANARY_SERIES, DAY_MS, LIVE_RUN, PANE_MS, ROLE_FOLD, ROLE_SCORE, TICK_MS, TOPICS, topic_series
from groundswell.prevalence import CorrectedShare
from groundswell.records import Alert
from groundswell.store import schema as t
from groundswell.store.corrections import Corrections, corrections_of
from groundswell.store.derived import increment_of
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.runs import DROPPING, refuse_dropping
from groundswell.store.tallies import fates, first_pane
from groundswell.windows import Members, WindowView, absorb, view


# --- runs ------------------------------------------------------------------------------------------------------------------
def run_named(connection: Connection, run: str | None) -> str:
    """The run that was asked for: the named one, else live, else the only one there is.

    Raises:
        NotFoundError: no such run; the text lists those there are.
        UsageError: the run that was named is being dropped.
    """
    manifests: dict[str, dict[str, Any]] = {
        name: msgspec.json.decode(body) for name, body in connection.execute(select(t.runs.c.run, t.runs.c.manifest))
    }
    if run is not None and run in manifests:
        refuse_dropping(run, manifests[run])
        return run
    names: list[str] = sorted(name for name, manifest in manifests.items() if DROPPING not in manifest)
    if run is None and LIVE_RUN in names:
        return LIVE_RUN
    if run is None and len(names) == 1:
        return names[0]
    asked = "no --run was given" if run is None else f"run {run!r} is not stored"
    reason = f"{asked}; stored runs: {', '.join(names) or 'none, start with groundswell demo or groundswell backfill'}"
    raise NotFoundError(reason)


def unmeasured_series(connection: Connection, run: str) -> frozenset[str]:
    """Topic series that the run's model cannot fill: "not measured", which is not zero."""
    manifest = connection.execute(select(t.runs.c.manifest).where(t.runs.c.run == run)).scalar_one_or_none()
    measured: dict[str, list[str]] = msgspec.json.decode(manifest).get("measured", {}) if manifest else {}
    return frozenset(topic_series(topic, language) for language, found in measured.items() for topic in TOPICS if topic not in found)


def closed_ms(connection: Connection, run: str) -> int | None:
    """Everything known before this moment has been folded, on every partition; None before the first tick."""
    rows = progress_of(connection, run, ROLE_FOLD)
    # The last tick that was folded, or a later one in which nothing was known: time passes in quiet ticks too.
    if not rows or any(row.time_ms == NEVER_TICK for row in rows):
        return None
    return min(max(row.closed_tick + 1, row.time_ms // TICK_MS) for row in rows) * TICK_MS


# --- series ----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class SeriesWindow:
    """One window of one series, as the command line prints it."""

    series: str
    start_ms: int
    end_ms: int
    counts: WindowView
    complete: bool  # known time has passed the window's end
    exposure: float | None  # mean share of the usual volume that was seeing; None where no hour of it has closed
    corrected: CorrectedShare | None  # negative_share, corrected for the model's measured errors; None where there are none


# From one key of the index to the next: DISTINCT reads every increment of the run.
_SERIES: Final = """
WITH RECURSIVE found (series) AS (
    SELECT min(series) FROM increments WHERE run = :run
    UNION ALL
    SELECT (SELECT min(i.series) FROM increments AS i WHERE i.run = :run AND i.series > found.series) FROM found
    WHERE found.series IS NOT NULL
) SELECT series FROM found WHERE series IS NOT NULL"""


def series_like(connection: Connection, run: str, patterns: Sequence[str]) -> list[str]:
    """Series keys that match any of the globs, sorted; a pattern without a glob is kept even when nothing is stored for it.

    Raises:
        NotFoundError: a glob matches nothing.
    """
    if not any(c in pattern for pattern in patterns for c in "*?["):
        return sorted(set(patterns))
    stored = list(connection.execute(text(_SERIES), {"run": run}).scalars())
    stored = [name for name in stored if name != CANARY_SERIES or CANARY_SERIES in patterns]
    found: set[str] = set()
    for pattern in patterns:
        matched = {name for name in stored if fnmatchcase(name, pattern)}
        if not matched and not any(c in pattern for c in "*?["):
            matched = {pattern}
        if not matched:
            reason = f"series {pattern!r}: nothing stored matches in run {run!r}; {len(stored)} series are stored, list them with '*'"
            raise NotFoundError(reason)
        found |= matched
    return sorted(found)


def series_windows(
    connection: Connection,
    run: str,
    series: str,
    *,
    start_ms: int,
    end_ms: int,
    window_ms: int,
    as_of_ms: int | None = None,
    vintage: str = "final",
    corrections: Corrections | None = None,
) -> Iterator[SeriesWindow]:
    """Windows `[start, start + window)` that cover `[start_ms, end_ms)`, empty ones with zeros.

    Args:
        as_of_ms: only what was known before this moment.
        vintage: "final", or "first": each window as it was known at its own end.
        corrections: of the run, for whoever asks for many series; None: they are read here.

    Raises:
        UsageError: a window that is no multiple of a pane.
    """
    if window_ms <= 0 or window_ms % PANE_MS:
        reason = f"window {window_ms / 60_000:g} min: panes are {PANE_MS // 60_000} minutes, give a multiple of that (1h, 1d)"
        raise UsageError(reason)
    start_ms -= start_ms % window_ms
    windows = -(-(end_ms - start_ms) // window_ms)
    first, last = start_ms // PANE_MS, (start_ms + windows * window_ms) // PANE_MS  # the last window is a whole one
    row = t.increments.c
    statement = select(row.tick, row.pane, row.daily, row.body).where(
        row.run == run,
        row.series == series,
        row.pane >= first,
        row.pane < last,
        row.tick >= start_ms // TICK_MS,  # nothing is published after it is known: spares the index a scan of what came before
    )
    if window_ms < DAY_MS:
        statement = statement.where(row.daily.is_(False))
    if as_of_ms is not None:
        statement = statement.where(row.tick < as_of_ms // TICK_MS)
    members: dict[int, Members] = {}
    for tick, pane, daily, body in connection.execute(statement):
        index = (pane * PANE_MS - start_ms) // window_ms
        if vintage == "first" and (tick + 1) * TICK_MS > start_ms + (index + 1) * window_ms:
            continue
        absorb(members.setdefault(index, {}), increment_of(series, tick, pane, daily=daily, body=body).members)
    known_ms = min(closed_ms(connection, run) or 0, as_of_ms if as_of_ms is not None else 2**62)
    exposures = hour_exposures(connection, run, language_of(series), start_ms=start_ms, end_ms=end_ms)
    corrections = corrections or corrections_of(connection, run)
    for index in range(windows):
        begin = start_ms + index * window_ms
        counts = view(members.get(index, {}))
        yield SeriesWindow(
            series=series,
            start_ms=begin,
            end_ms=begin + window_ms,
            counts=counts,
            complete=known_ms >= begin + window_ms,
            exposure=mean_exposure(exposures, begin, begin + window_ms),
            corrected=corrections.share(series, begin, negative=counts.negative, documents=counts.documents),
        )


def language_of(series: str) -> str:
    """The language that a series counts; "" = all.

    >>> language_of("topic:management:zh"), language_of("entity:SVB")
    ('zh', '')
    """
    return series.rsplit(":", 1)[1] if series.startswith("topic:") else ""


def hour_exposures(connection: Connection, run: str, language: str, *, start_ms: int, end_ms: int) -> dict[int, int]:
    """{hour: exposure in ppm} of closed hours."""
    e = t.exposures.c
    rows = connection.execute(
        select(e.hour, e.exposure_ppm).where(
            e.run == run, e.language == language, e.hour >= start_ms // 3_600_000, e.hour <= end_ms // 3_600_000
        )
    )
    return {row.hour: row.exposure_ppm for row in rows}


def mean_exposure(exposures: dict[int, int], begin: int, end: int) -> float | None:
    """Mean share of the usual volume that was seeing in `[begin, end)` ms; None where no hour of it has closed."""
    span = range(begin // 3_600_000, max(begin // 3_600_000 + 1, end // 3_600_000))
    # Whichever is less: a window of 2,700 years may be asked for.
    hours = [exposures[hour] for hour in (span if len(span) < len(exposures) else exposures) if hour in span and hour in exposures]
    return sum(hours) / len(hours) / 1e6 if hours else None


# --- alerts ----------------------------------------------------------------------------------------------------------------
def alerts_of(connection: Connection, run: str, *, start_ms: int | None = None, end_ms: int | None = None) -> list[Alert]:
    """Alerts opened in `[start, end)`, oldest first."""
    row = t.alerts.c
    statement = select(row.body).where(row.run == run)
    if start_ms is not None:
        statement = statement.where(row.opened_ms >= start_ms)
    if end_ms is not None:
        statement = statement.where(row.opened_ms < end_ms)
    return _alerts(connection, statement)


def alerts_of_incident(connection: Connection, run: str, incident: str) -> list[Alert]:
    """The alerts of one incident, oldest first."""
    row = t.alerts.c
    return _alerts(connection, select(row.body).where(row.run == run, row.incident == incident))


def _alerts(connection: Connection, statement: Select[bytes]) -> list[Alert]:
    row = t.alerts.c
    return [decode(body, Alert) for (body,) in connection.execute(statement.order_by(row.opened_ms, row.id))]


def alert_bytes(connection: Connection, alert_id: str, *, run: str | None = None) -> tuple[str, bytes]:
    """The run and the stored bytes of an alert; its id may be shortened as long as it names one.

    Raises:
        NotFoundError: no alert, or more than one, begins so.
    """
    row = t.alerts.c
    statement = select(row.run, row.id, row.body).where(row.id.startswith(alert_id, autoescape=True)).order_by(row.run, row.id)
    if run is not None:
        statement = statement.where(row.run == run)
    found = list(connection.execute(statement))
    if len({one.id for one in found}) != 1:
        what = "no alert has that id" if not found else f"{len({one.id for one in found})} alerts begin so"
        reason = f"alert {alert_id!r}: {what}; `groundswell alerts` lists them"
        raise NotFoundError(reason)
    return found[0].run, bytes(found[0].body)


# --- the balance -----------------------------------------------------------------------------------------------------------
class Balance(msgspec.Struct, frozen=True):
    """fetched = scored + duplicate + edited + dropped + in_flight; each term from its own rows, none as a difference.

    Of months that were dropped, from what was kept of them (months.py).
    """

    source: str
    fetched: int = 0
    scored: int = 0
    duplicate: int = 0
    edited: int = 0
    dropped: int = 0
    in_flight: int = 0

    @property
    def balance(self) -> int:
        """Zero, or something was lost (positive) or counted twice (negative)."""
        return self.fetched - self.scored - self.duplicate - self.edited - self.dropped - self.in_flight

    @property
    def terms(self) -> dict[str, int]:
        """Every term by its name, in the order in which they are shown, and what they sum to."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "source"} | {"balance": self.balance}


def balance_of(connection: Connection, run: str, *, log: LocalLog | None = None, whole: bool = False) -> list[Balance]:
    """The balance of each source, sorted.

    Args:
        connection: a reading transaction.
        run: whose balance.
        log: the run's local log, for what was fetched and what is in flight; without it, the stored counts of a finished
            backfill, or what the score stage has read from its topic.
        whole: count every row anew, not only those that no stored sum holds yet (tallies.py).
    """
    terms: dict[str, dict[str, int]] = {}

    def count(term: str, rows: dict[str, int]) -> None:
        for source, number in rows.items():
            terms.setdefault(source, {})[term] = number

    read_to = max((claim.next_offset for claim in progress_of(connection, run, ROLE_SCORE)), default=0)
    f = t.fetched.c
    fetched = _pairs(connection, select(f.source, f.documents).where(f.run == run))
    if not fetched and log is None:
        r = t.taken.c
        fetched = _pairs(connection, select(r.source, func.sum(r.documents)).where(r.run == run).group_by(r.source))
    count("fetched", fetched)
    if log is not None:
        found = log.documents_by_source(since=read_to)
        count("fetched", {source: documents for source, (documents, _) in found.items()})
        count("in_flight", {source: ahead for source, (_, ahead) in found.items()})
    for (fate, source, _), documents in fates(connection, run, whole=whole).items():
        of_source = terms.setdefault(source, {})
        of_source[fate] = of_source.get(fate, 0) + documents
    return [Balance(source, **found) for source, found in sorted(terms.items())]


def settled_balance(connection: Connection, run: str, *, log: LocalLog | None, whole: bool = False) -> list[Balance]:
    """`balance_of`, counted once more where it is not zero: the log may have grown between the two counts that it takes of it."""
    rows = balance_of(connection, run, log=log, whole=whole)
    return balance_of(connection, run, log=log, whole=whole) if any(row.balance for row in rows) else rows


def _pairs(connection: Connection, statement: Select[Any]) -> dict[str, int]:
    return {row[0]: int(row[1]) for row in connection.execute(statement)}


def total(rows: Sequence[Balance]) -> Balance:
    """All sources together."""
    names = ("fetched", "scored", "duplicate", "edited", "dropped", "in_flight")
    return Balance("all", *(sum(getattr(row, name) for row in rows) for name in names))


def drops_by_reason(connection: Connection, run: str) -> dict[str, int]:
    """{beginning of the reason: drops}, most frequent first."""
    found: Counter[str] = Counter()
    for (fate, _, reason), documents in fates(connection, run).items():
        if fate == "dropped":
            found[reason] += documents
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def span_of(connection: Connection, run: str) -> tuple[int, int]:
    """First pane with a count, and the closed known time: what a run covers, in ms; (0, 0) while it is empty."""
    first = first_pane(connection, run)
    closed = closed_ms(connection, run)
    return (0, 0) if first is None or closed is None else (first * PANE_MS, closed)
