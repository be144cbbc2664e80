"""The door for notebooks: what the command line and the API print, as pandas frames.

    from groundswell import open_store
    desk = open_store("var/desk.db")
    desk.series("entity:*", "2026-11-01", "2026-12-01", window="1d")

Times are timestamps in UTC, units stand in the columns' names, and a frame has the columns and the rows of the CSV that the command
of the same name writes.
"""

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pandas as pd

from groundswell.errors import UsageError
from groundswell.exports import DOCUMENT_COLUMNS
from groundswell.moments import duration_ms, time_ms
from groundswell.search import Query, parse
from groundswell.settings import load_settings
from groundswell.store import tables
from groundswell.store.query import alerts_of, run_named
from groundswell.store.results import PAGE_MAX
from groundswell.store.store import Store

Moment = str | datetime | None
TIMES: Final = frozenset(
    {
        "start",
        "end",
        "opened_at",
        "known_until",
        "last_alert_at",
        "published_at",
        "known_at",
        "since",
        "last_known",
        "last_poll",
        "last_poll_ok",
    }
)
SHARES = frozenset({"negative_share", "low", "high", "exposure", "corrected_share", "corrected_low", "corrected_high"})


class Desk:
    """A store, opened for reading.

    Args:
        store: it.
        run: whose rows; None for live, else the only run there is.
    """

    def __init__(self, store: Store, *, run: str | None = None) -> None:
        self._store, self._run = store, run

    def series(
        self,
        keys: str | Sequence[str],
        start: Moment = None,
        end: Moment = None,
        *,
        window: str = "1h",
        as_of: Moment = None,
        vintage: str = "final",
    ) -> pd.DataFrame:
        """Windows `[start, end)` of series on the published axis, as `groundswell series` prints them.

        Args:
            keys: one or several; a glob such as "entity:*" stands for all that match.
            start: None for the run's first pane.
            end: None for the run's closed time; a bare day counts whole.
            window: 15m, 1h, 1d.
            as_of: only what was known before this moment.
            vintage: "final", or "first": each window as it was known at its own end.

        Returns:
            A row for each window; a topic that the model cannot measure has no counts.

        Raises:
            NotFoundError: nothing is called so.
            UsageError: a time, span or window that cannot be used.
        """
        if vintage not in ("final", "first"):
            reason = f"vintage: must be final or first, got {vintage[:20]!r}"
            raise UsageError(reason)
        span: dict[str, Any] = {
            "start_ms": _ms(start, "start"),
            "end_ms": _ms(end, "end", end=True),
            "as_of_ms": _ms(as_of, "as_of"),
            "window_ms": duration_ms(window, name="window"),
        }
        chosen = [keys] if isinstance(keys, str) else list(keys)
        return self._frame(
            lambda connection, run: list(tables.series_rows(connection, run, chosen, vintage=vintage, **span)), tables.SERIES_COLUMNS
        )

    def documents(self, query: str = "", start: Moment = None, end: Moment = None, *, limit: int = 1_000) -> pd.DataFrame:
        """Documents that a search finds, newest publication first, as `groundswell search` prints them.

        Args:
            query: see docs/search.md; companies as ids.
            start: published at or after.
            end: published before; a bare day counts whole.
            limit: rows at most.

        Raises:
            UsageError: the query cannot be read, or takes too long.
        """
        asked, from_ms, to_ms = parse(query), _ms(start, "start"), _ms(end, "end", end=True)
        asked = Query(asked.node, asked.from_ms if from_ms is None else from_ms, asked.to_ms if to_ms is None else to_ms)

        def read(connection: Any, run: str) -> list[tables.Row]:
            rows: list[tables.Row] = []
            below: int | None = None
            while len(rows) < limit:
                page, below = tables.document_rows(connection, run, asked, limit=min(PAGE_MAX, limit - len(rows)), below=below)
                rows += page
                if below is None:
                    break
            return rows

        return self._frame(read, DOCUMENT_COLUMNS)

    def alerts(self, start: Moment = None, end: Moment = None) -> pd.DataFrame:
        """Alerts opened in `[start, end)`, oldest first, with all that `groundswell alerts --format jsonl` says of each."""
        span = {"start_ms": _ms(start, "start"), "end_ms": _ms(end, "end", end=True)}
        return self._frame(
            lambda connection, run: tables.alert_rows(connection, run, alerts_of(connection, run, **span)), tables.ALERT_COLUMNS, more=True
        )

    def incidents(self, start: Moment = None, end: Moment = None) -> pd.DataFrame:
        """Incidents with an alert opened in `[start, end)`, newest first."""
        span = {"start_ms": _ms(start, "start"), "end_ms": _ms(end, "end", end=True)}
        return self._frame(lambda connection, run: tables.incident_rows(connection, run, **span), tables.INCIDENT_COLUMNS)

    def sources(self) -> pd.DataFrame:
        """Every source as it stands at the end of the data."""
        return self._frame(tables.source_rows, tables.SOURCE_COLUMNS)

    def close(self) -> None:
        """Give all connections back."""
        self._store.close()

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _frame(self, read: Callable[[Any, str], list[tables.Row]], columns: list[str], *, more: bool = False) -> pd.DataFrame:
        with self._store.read() as connection:
            rows = read(connection, run_named(connection, self._run))
        others = [name for name in rows[0] if name not in columns] if rows and more else []
        frame = pd.DataFrame(rows, columns=[*columns, *others])
        for name in TIMES & set(frame.columns):
            frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
        for name in SHARES & set(frame.columns):  # a column in which nothing is known is still one of numbers
            frame[name] = frame[name].astype("float64")
        return frame


def open_store(url: str | None = None, *, run: str | None = None) -> Desk:
    """Open a store for reading.

    Args:
        url: a path, sqlite:///FILE or postgresql://USER@HOST/DATABASE; None for the one of the settings.
        run: whose rows; None for live, else the only run there is.

    Raises:
        UsageError: the URL names no store that this project knows.
        DependencyError: the database does not answer.
    """
    return Desk(Store(url or load_settings(environ=os.environ).store.url), run=run)


def _ms(moment: Moment, name: str, *, end: bool = False) -> int | None:
    if moment is None:
        return None
    if isinstance(moment, str):
        return time_ms(moment, name=name, end=end)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return round(aware.timestamp() * 1000)
