"""The board over a store full of documents: how long each view takes, and when a reader sees something.

The store is PostgreSQL, filled by COPY (tests/groundswell/store/synthetic_texts.py makes the texts), with increments, alerts and
progress as a run leaves them. `python -m bench.board 100000` prints the same for another number of documents and writes no page.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any, Final
from urllib.parse import quote

import psycopg
from sqlalchemy import Connection

from bench.pipeline import Ratio
from dashboards.board.app import create_app
from groundswell.codec import canonical, encode
from groundswell.names import DAY_MS, HOUR_MS, PANE_MS, ROLE_FOLD, ROLE_SCORE, TICK_MS, entity_series, topic_series
from groundswell.store import schema as t
from groundswell.store.basis import BASIS
from groundswell.store.derived import insert_alert
from groundswell.store.progress import advance, claim
from groundswell.store.store import Store
from tests import builders as b
from tests.browser.test_board import CHROMIUM, a_tab
from tests.dashboards.board.board_store import Served, an_opened_alert, served
from tests.groundswell.store.synthetic_texts import DIFFERENT, NAME, different, load
from tests.peers import fresh_database, plain_url, postgres_cluster

RUN: Final = "bench"
DOCUMENTS: Final = int(os.environ.get("GROUNDSWELL_BENCH_DOCUMENTS", "1000000"))
ASKED: Final = 40
ALERTS: Final = 200
VIEW_MS, PAINT_MS = 300, 500
PAINTED: Final = """new Promise((done) => new PerformanceObserver((list) => {
  const found = list.getEntriesByName("first-contentful-paint")[0];
  if (found) done(found.startTime);
}).observe({ type: "paint", buffered: true }))"""
VIEWS: Final = {
    "board, 7 days": "/?span=7d",
    "board, 90 days": "/?span=90d",
    "board, a company selected": "/?company=C7",
    "board, as of a month ago": "/?as_of=2027-08-01T10:00Z",
    "board, second page": "/board/2",
    "alerts": "/alerts",
    "dossier": "/alerts/0000000000000005",
    "search, a name of two characters": f"/search?q={quote(NAME)}",
    "search, a word of every second document": "/search?q=w0",
    "search, a phrase": "/search?q=%22w0+w0%22",
    "search, two words and no third": "/search?q=w1+w2+NOT+w0",
    "search, a word that nobody wrote": "/search?q=nowhere",
    "search, company and mood": "/search?q=company:C7+sentiment:negative",
    "series of a company": "/series?key=entity:C7",
    "watchlist": "/watchlist",
    "sources": "/sources",
    "api, documents": "/api/v1/documents?q=w3&limit=500",
    "api, series": "/api/v1/series?key=entity:C7&window=1d",
}


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
        end_ms = _filled(store, url, documents)
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


def _filled(store: Store, url: str, documents: int) -> int:
    """Returns the closed time of the run."""
    with psycopg.connect(plain_url(url), autocommit=True) as link:
        load(link, RUN, documents=documents)
        _copy_increments(link, documents)
        link.execute("VACUUM ANALYZE")
    end_ms = (b.T0_MS + (documents - documents // 2) * 60_000) // HOUR_MS * HOUR_MS
    with store.write() as connection:
        manifest = canonical({BASIS: {"recorded": documents}})  # as every backfill counts it at its end
        store.insert(connection, t.runs, [{"run": RUN, "kind": "backfill", "model_id": "fake-1", "manifest": manifest}])
        sources = [{"run": RUN, "source": f"source {n}", "documents": documents // 40} for n in range(40)]
        store.insert(connection, t.fetched, sources)
        for number in range(ALERTS):
            alert = an_opened_alert(id=f"{number:016x}", series=entity_series("C7"), opened_ms=end_ms - number * 6 * HOUR_MS)
            insert_alert(store, connection, RUN, alert, targets=[])
        hours = range((end_ms - documents * 60_000) // HOUR_MS, end_ms // HOUR_MS)
        rows = [{"run": RUN, "hour": hour, "language": name, "exposure_ppm": 990_000} for hour in hours for name in ("", "en", "zh")]
        store.insert(connection, t.exposures, rows)
        _insert_baselines(store, connection, end_ms)
    for role in (ROLE_SCORE, ROLE_FOLD):
        mine = claim(store, RUN, role, owner="bench")
        with store.write() as connection:
            advance(connection, mine, next_offset=documents, time_ms=end_ms, closed_tick=end_ms // TICK_MS - 1)
    return end_ms


def _insert_baselines(store: Store, connection: Connection, end_ms: int) -> None:
    """A closed day for every series and each of the last hundred, and what came from each source in the last eight."""
    keys = [topic_series("debt_credit", "en"), *sorted({entity_series(score.mentions[0].entity_id) for _, score, _ in different()})]
    days = range(end_ms // DAY_MS - 100, end_ms // DAY_MS)
    store.insert(
        connection,
        t.baselines,
        [{"run": RUN, "series": key, "period_s": 86_400, "period": day, "negative": 3, "stories": 12} for key in keys for day in days],
    )
    heard = [{"run": RUN, "hour": hour, "source": f"source {n}", "language": "en", "documents": 2}
             for hour in range(end_ms // HOUR_MS - 192, end_ms // HOUR_MS) for n in range(40)]  # fmt: skip
    store.insert(connection, t.source_hours, heard)


def _copy_increments(link: "psycopg.Connection[Any]", documents: int) -> None:
    """One row for the topic and one for the company of each document."""
    columns = "run, series, tick, pane, daily, documents, negative, body"
    with link.cursor() as cursor, cursor.copy(f"COPY increments ({columns}) FROM STDIN") as copy:
        for number in range(documents):
            document, score, _ = different()[number % DIFFERENT]
            published_ms = b.T0_MS + (number - documents // 2) * 60_000
            negative = int(score.sentiment == "negative")
            counts = [1, negative, int(score.sentiment == "neutral"), int(score.sentiment == "positive"), score.negative_ppm, 1, negative]
            body = encode([{f"{number:016x}": {document.source: counts}}, []])
            for series in (topic_series("debt_credit", "en"), entity_series(score.mentions[0].entity_id)):
                copy.write_row((RUN, series, (published_ms + 30_000) // TICK_MS, published_ms // PANE_MS, False, 1, negative, body))


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
