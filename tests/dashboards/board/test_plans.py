"""No view of the board reads a fact table from one end to the other: every page and every address of the API, on a real PostgreSQL.

The plans are those of real statistics with sequential scans allowed: of 50,000 documents over two years the planner reads a table whole
only where a statement gives it no better way. With `enable_seqscan` off it would walk a whole index instead, which is no better and
would not be found.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from dashboards.board.app import create_app
from groundswell.store.store import Store
from tests.dashboards.board.board_store import served
from tests.dashboards.board.many_documents import ALERT, RUN, VIEWS, fill_many
from tests.dashboards.board.people_store import ACCESS, Browser
from tests.dashboards.board.plans import watched
from tests.peers import fresh_database, plain_url

DOCUMENTS: Final = 50_000
EVERY_MS: Final = 20 * 60_000
IN: Final = {"/alerts/{id}": {"id": ALERT}, "/api/alerts/{id}.json": {"id": ALERT}}
"""What stands for the parameters of an address."""

_COMPANY: Final = "?series=entity:C7"
ASKS_FOR: Final = {
    "/series": "?key=entity:C7", "/api/v1/series": "?key=entity:C7", "/api/v1/series.csv": "?key=entity:C7&window=1d",
    "/why-not": f"{_COMPANY}&at=2026-01-02T10:00Z",
    **{f"/api/v1/panels/{name}": _COMPANY for name in ("echo", "echo.csv", "peers", "peers.csv")},
}  # fmt: skip
MORE: Final = (
    "/?span=24h", "/api/board.json?span=90d", "/api/v1/series?key=entity:C7*&window=1d", "/api/v1/documents?q=company:C7",
    "/api/v1/documents?q=w3&from=2026-01-01&to=2026-01-03", "/api/v1/alerts?from=2026-01-01", "/inbox?state=open",
    f"/alerts/{ALERT}?known=then",
)  # fmt: skip
UNASKED: Final = (
    "/live", "/l/{token}", "/u/{token}", "/welcome/{token}", "/login", "/api/v1/{rest:path}", "/rules/versions/{version}",
    "/rules/rehearsals/{name}",
)  # fmt: skip
"""What reads nothing that a document led to, or never ends."""

SOLID_STATE: Final = """DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET random_page_cost = 1.1', current_database()); END $$"""
"""What is usual for such disks. With the default for spinning ones, 500 rows by their keys cost more than all 50,000 in a row."""


@dataclass
class Large:
    """A large store, and the board over it, seen by somebody who may see everything."""

    store: Store
    app: Starlette
    browser: Browser


@pytest.fixture(scope="module")
def large(postgres_url: str) -> Iterator[Large]:
    with fresh_database(postgres_url) as url:
        with psycopg.connect(plain_url(url), autocommit=True) as link:
            link.execute(SOLID_STATE)
        store = Store(url)
        try:
            end_ms = fill_many(store, url, documents=DOCUMENTS, every_ms=EVERY_MS)
            app = create_app(store, run=RUN, log=None, now_ms=lambda: end_ms, access=ACCESS)
            with served(app) as board:
                browser = Browser(board)
                assert browser.sign_in("ada").status == 303
                yield Large(store, app, browser)
        finally:
            store.close()


def addresses(app: Starlette) -> list[str]:
    """Every address that can be read, in the order of the routes, then those that ask for something special."""
    paths = [route.path for route in app.routes if isinstance(route, Route) and "GET" in (route.methods or ())]
    asked = [path.format(**IN.get(path, {"id": ALERT})) + ASKS_FOR.get(path, "") for path in paths if path not in UNASKED]
    return [*asked, *VIEWS.values(), *MORE]


@pytest.mark.postgres
def test_no_view_reads_a_fact_table_from_end_to_end(large: Large) -> None:
    found, queries = [], 0
    for path in dict.fromkeys(addresses(large.app)):
        large.app.state.board.watches.clear()  # what the last view knew already, this one finds out again
        with watched(large.store) as asked:
            answer = large.browser.get(path)
        found += [f"{path}: {answer.status}"] if answer.status != 200 else []
        queries += asked.queries
        found += [f"{path} {scan}" for scan in asked.scans]
    assert queries > 200
    assert not found, "\n\n".join(found)


@pytest.mark.postgres
def test_a_statement_without_an_index_is_found(large: Large) -> None:
    with watched(large.store) as asked, large.store.read() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM documents WHERE url = %(url)s", {"url": "x"}).scalar_one()
    (found,) = asked.scans
    assert found.startswith("reads all of documents:\nSELECT count(*)")
    assert "Seq Scan on documents" in found
