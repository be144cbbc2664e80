"""The board over a store full of documents: how long each view takes, and when a reader sees something.

The store is PostgreSQL, filled by COPY as a live run leaves it (tests/dashboards/board/many_documents.py).
`python -m bench.board 100000` prints the same for another number of documents and writes no page.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Final

from bench.pipeline import Ratio
from dashboards.board.app import create_app
from groundswell.store.store import Store
from tests.browser.test_board import CHROMIUM, a_tab
from tests.dashboards.board.board_store import Served, served
from tests.dashboards.board.many_documents import RUN, VIEWS, fill_many
from tests.peers import fresh_database, postgres_cluster

DOCUMENTS: Final = int(os.environ.get("GROUNDSWELL_BENCH_DOCUMENTS", "1000000"))
ASKED: Final = 40
VIEW_MS, PAINT_MS = 300, 500
PAINTED: Final = """new Promise((done) => new PerformanceObserver((list) => {
  const found = list.getEntriesByName("first-contentful-paint")[0];
  if (found) done(found.startTime);
}).observe({ type: "paint", buffered: true }))"""

Measured = tuple[str, float, float, int]
"""View, p50, p95 and what is wanted, in ms."""


def board_views(folder: Path) -> list[Ratio]:
    """Each view's 95th percentile against 300 ms, and the first paint against 500 ms."""
    rows = measured(folder, documents=DOCUMENTS)
    return [
        Ratio(what, f"{bound} ms", p95 / bound, "at most 1", f"p50 {p50:.0f} ms, p95 {p95:.0f} ms; {DOCUMENTS:,} documents in PostgreSQL")
        for what, p50, p95, bound in rows
    ]


def measured(folder: Path, *, documents: int, say: Callable[[Measured], None] = lambda _row: None) -> list[Measured]:
    """Every view; each is said as soon as it is known."""
    folder.mkdir(parents=True, exist_ok=True)
    with postgres_cluster(more=["shared_buffers=512MB"]) as server, fresh_database(server) as url:
        store = Store(url)
        end_ms = fill_many(store, url, documents=documents)
        try:
            with served(create_app(store, run=RUN, log=None, now_ms=lambda: end_ms)) as board:
                rows = []
                for what, path in VIEWS.items():
                    rows.append((what, *_asked(board, path), VIEW_MS))
                    say(rows[-1])
                if CHROMIUM is not None:
                    rows.append(("first paint of the board", *asyncio.run(_painted(folder, board)), PAINT_MS))
                    say(rows[-1])
        finally:
            store.close()
    return rows


def _asked(board: Served, path: str) -> tuple[float, float]:
    """The first answer is not counted: it warms what a running board has warm."""
    took = []
    for number in range(ASKED + 1):
        began = time.perf_counter()
        answer = board.get(path)
        if answer.status != 200:
            message = f"{path}: {answer.status} {answer.text[:300]}"
            raise RuntimeError(message)
        if number:
            took.append((time.perf_counter() - began) * 1000)
    return median(took), quantiles(took, n=20)[-1]


async def _painted(folder: Path, board: Served) -> tuple[float, float]:
    took = []
    async with a_tab(folder / "profile") as tab:
        for _ in range(ASKED // 4):
            await tab.open(f"{board.url}/?span=7d")
            took.append(float(await tab.value(PAINTED)))
    return median(took), quantiles(took, n=20)[-1]


def main() -> None:
    """Print a table."""
    documents = int(sys.argv[1]) if len(sys.argv) > 1 else DOCUMENTS
    print(f"{'view':44} {'p50':>7} {'p95':>7} {'wanted':>7}  ms")

    def say(row: Measured) -> None:
        what, p50, p95, bound = row
        print(f"{what:44} {p50:7.0f} {p95:7.0f} {bound:7}{'' if p95 <= bound else '  TOO SLOW'}", flush=True)

    with tempfile.TemporaryDirectory(prefix="groundswell-bench-") as folder:
        measured(Path(folder), documents=documents, say=say)
    print(f"{documents:,} documents in PostgreSQL")


if __name__ == "__main__":
    main()
