"""The board over a store full of documents: how long each view takes, and when a reader sees something.

The store is PostgreSQL, filled by COPY as a live run leaves it (tests/dashboards/board/many_documents.py). Sequential scans of fact
tables are counted; of a small store PostgreSQL reads a table whole where that is cheaper (tests/dashboards/board/test_plans.py has one of
two years). `python -m bench.board 100000` prints the same for another number of documents and writes no page.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Final, NamedTuple

from bench.pipeline import Ratio
from dashboards.board.app import create_app, keep_what_is_made
from groundswell.store.store import Store
from tests.browser.test_board import CHROMIUM, a_tab
from tests.dashboards.board.board_store import Served, served
from tests.dashboards.board.many_documents import RUN, VIEWS, fill_many
from tests.dashboards.board.plans import watched
from tests.peers import fresh_database, postgres_cluster

DOCUMENTS: Final = int(os.environ.get("GROUNDSWELL_BENCH_DOCUMENTS", "1000000"))
ASKED: Final = 40
VIEW_MS, PAINT_MS = 300, 500
PAINTED: Final = """new Promise((done) => new PerformanceObserver((list) => {
  const found = list.getEntriesByName("first-contentful-paint")[0];
  if (found) done(found.startTime);
}).observe({ type: "paint", buffered: true }))"""


class Measured(NamedTuple):
    """A view."""

    what: str
    p50_ms: float
    p95_ms: float
    wanted_ms: int
    scans: int = 0  # queries of it that read a fact table from end to end


def board_views(folder: Path) -> list[Ratio]:
    """Each view's 95th percentile against 300 ms, and the first paint against 500 ms."""
    rows = measured(folder, documents=DOCUMENTS)
    return [
        Ratio(
            row.what,
            f"{row.wanted_ms} ms",
            row.p95_ms / row.wanted_ms,
            "at most 1",
            f"{_figures(row)}; {DOCUMENTS:,} documents in PostgreSQL",
        )
        for row in rows
    ]


def _figures(row: Measured) -> str:
    return f"p50 {row.p50_ms:.0f} ms, p95 {row.p95_ms:.0f} ms, {row.scans or 'no'} sequential scan{'s' if row.scans > 1 else ''}"


def measured(folder: Path, *, documents: int, say: Callable[[Measured], None] = lambda _row: None) -> list[Measured]:
    """Every view; each is said as soon as it is known."""
    folder.mkdir(parents=True, exist_ok=True)
    with postgres_cluster(more=["shared_buffers=512MB"]) as server, fresh_database(server) as url:
        store = Store(url)
        end_ms = fill_many(store, url, documents=documents)
        try:
            app = create_app(store, run=RUN, log=None, now_ms=lambda: end_ms)
            keep_what_is_made()  # as `groundswell board` does
            with served(app) as board:
                rows = []
                for what, path in VIEWS.items():
                    app.state.board.watches.clear()
                    with watched(store) as asked:  # the first answer is not counted: it warms what a running board has warm
                        _answer(board, path)
                    rows.append(Measured(what, *_asked(board, path), VIEW_MS, len(asked.scans)))
                    say(rows[-1])
                if CHROMIUM is not None:
                    rows.append(Measured("first paint of the board", *asyncio.run(_painted(folder, board)), PAINT_MS))
                    say(rows[-1])
        finally:
            store.close()
    return rows


def _asked(board: Served, path: str) -> tuple[float, float]:
    took = []
    for _ in range(ASKED):
        began = time.perf_counter()
        _answer(board, path)
        took.append((time.perf_counter() - began) * 1000)
    return median(took), quantiles(took, n=20)[-1]


def _answer(board: Served, path: str) -> None:
    answer = board.get(path)
    if answer.status != 200:
        message = f"{path}: {answer.status} {answer.text[:300]}"
        raise RuntimeError(message)


async def _painted(folder: Path, board: Served) -> tuple[float, float]:
    took = []
    async with a_tab(folder / "profile") as tab:
        for _ in range(ASKED):
            await tab.open(f"{board.url}/?span=7d")
            took.append(float(await tab.value(PAINTED)))
    return median(took), quantiles(took, n=20)[-1]


def main() -> None:
    """Print a table."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS
    print(f"{'view':44} {'p50':>7} {'p95':>7} {'wanted':>7}  ms")

    def say(row: Measured) -> None:
        slow, scans = "  TOO SLOW" if row.p95_ms > row.wanted_ms else "", f"  sequential scans: {row.scans}" if row.scans else ""
        print(f"{row.what:44} {row.p50_ms:7.0f} {row.p95_ms:7.0f} {row.wanted_ms:7}{slow}{scans}", flush=True)

    with tempfile.TemporaryDirectory(prefix="groundswell-bench-") as folder:
        measured(Path(folder), documents=documents, say=say)
    print(f"{documents:,} documents in PostgreSQL")


if __name__ == "__main__":
    main()
