"""The JSON API: every answer is what its description says, pages go on, and what cannot be answered is a problem."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from dashboards.board import api
from dashboards.board.api_asked import Operation
from dashboards.board.api_types import Problem
from dashboards.board.app import create_app
from groundswell.names import HOUR_MS
from groundswell.store.store import Store
from tests.dashboards.board.board_store import BANK, END_MS, HOSTILE, Answer, Served, an_opened_alert, fill, served


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    store = Store(str(tmp_path_factory.mktemp("api") / "store.db"))
    alerts = [
        an_opened_alert(id=f"{n:016x}", incident=f"i{n % 3}", opened_ms=END_MS - n * HOUR_MS, title=HOSTILE if n else "=1+1")
        for n in range(5)
    ]
    fill(store, None, alerts=alerts)
    with served(create_app(store, run="r", log=None, now_ms=lambda: END_MS, companies=lambda name: [name])) as opened:
        yield opened
    store.close()


def rows(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["rows"]
    return found


PATHS = {
    "series": "?key=topic:*&window=1d",
    "alerts": "",
    "incidents": "",
    "documents": "?q=language:en",
    "sources": "",
    "watches": "",
    "panels/echo": f"?series={BANK}",
    "panels/peers": f"?series={BANK}",
}
MAYBE_EMPTY = ("watches", *(operation.name for operation in api.OPERATIONS if operation.name.startswith("panels/")))
"""test_panel_pages.py has a store in which each panel has rows."""


@pytest.mark.parametrize("operation", api.OPERATIONS, ids=lambda operation: operation.name)
def test_every_row_is_of_the_type_that_the_description_is_written_from(board: Served, operation: Operation) -> None:
    found = rows(board.get(f"/api/v1/{operation.name}{PATHS.get(operation.name, '')}"))
    assert found or operation.name in MAYBE_EMPTY
    assert len([msgspec.convert(one, operation.row) for one in found]) == len(found)


@pytest.mark.parametrize("operation", api.OPERATIONS, ids=lambda operation: operation.name)
def test_csv_has_the_rows_of_the_json_by_suffix_and_by_accept(board: Served, operation: Operation) -> None:
    path, query = f"/api/v1/{operation.name}", PATHS.get(operation.name, "")
    by_suffix, by_accept = board.get(f"{path}.csv{query}"), board.get(f"{path}{query}", accept="text/csv")
    assert by_suffix.body == by_accept.body
    assert by_suffix.headers["content-type"] == "text/csv; charset=utf-8"
    found = list(csv.DictReader(io.StringIO(by_suffix.text)))
    assert list(found[0] if found else operation.columns) == operation.columns
    assert len(found) == len(rows(board.get(f"{path}{query}")))


def test_a_formula_in_a_title_is_text_in_csv(board: Served) -> None:
    assert {row["title"][:5] for row in csv.DictReader(io.StringIO(board.get("/api/v1/alerts.csv").text))} >= {"'=1+1"}


@pytest.mark.parametrize("path", ["alerts?", "incidents?", "documents?q=", "series?key=topic:*&window=1d&"])
def test_pages_put_together_are_the_whole(board: Served, path: str) -> None:
    whole = rows(board.get(f"/api/v1/{path}&limit=500"))
    pages, after = [], ""
    while True:
        answer = board.get(f"/api/v1/{path}&limit=2" + (f"&after={after}" if after else ""))
        pages += rows(answer)
        after = answer.json()["next"]
        if after is None or len(pages) > 40:
            break
    assert pages == whole[: len(pages)]
    assert len(pages) == len(whole) or len(pages) > 40


def test_a_csv_page_names_the_next_one_in_its_link(board: Served) -> None:
    answer = board.get("/api/v1/alerts.csv?limit=2")
    assert 'rel="next"' in answer.headers["link"]
    assert "after=" in answer.headers["link"]


def test_one_alert_is_found_by_a_shortened_id(board: Served) -> None:
    assert [row["id"] for row in rows(board.get("/api/v1/alerts/0000000000000003"))] == ["0000000000000003"]
    assert board.get("/api/v1/alerts/00000").status == 404


def test_documents_are_bounded_by_times(board: Served) -> None:
    found = rows(board.get("/api/v1/documents?q=&from=2026-03-09T10:00Z&to=2026-03-09T12:00Z"))
    assert found
    assert all("2026-03-09T10:00:00Z" <= row["published_at"] < "2026-03-09T12:00:00Z" for row in found)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("documents?q=(a", 400, "query, column 3"),
        ("documents?q=a&after=x", 400, "is no cursor"),
        ("alerts?limit=0", 400, "limit: must be a number from 1 to 500"),
        ("alerts?limit=9999", 400, "limit: must be"),
        ("alerts?color=red", 400, "is no parameter of alerts"),
        ("alerts?from=soon", 400, "not a time"),
        ("alerts?from=2026-01-01&from=2026-01-02", 400, "given 2 times"),
        ("series", 400, "key: is missing"),
        ("series?key=nobody:*", 404, "nothing stored matches"),
        (f"series?key={BANK}&window=7m", 400, "panes are 5 minutes"),
        (f"series?key={BANK}&vintage=lag", 400, "final or first"),
        ("alerts/ffff", 404, "no alert has that id"),
        ("nothing/here", 404, "openapi.json lists them"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_with_its_next_step(board: Served, path: str, status: int, said: str) -> None:
    answer = board.get(f"/api/v1/{path}")
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    found = msgspec.convert(answer.json(), Problem)
    assert (found.status, said in found.detail) == (status, True)


# --- the description ----------------------------------------------------------------------------------------------------------
def refs(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


def test_the_description_has_what_openapi_3_1_demands(board: Served) -> None:
    found = board.get("/api/v1/openapi.json").json()
    assert found["openapi"] == "3.1.0"
    assert {"title", "version"} <= found["info"].keys()
    ids = [operation["operationId"] for path in found["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids)) == 2 * len(found["paths"]) // 2
    for path, methods in found["paths"].items():
        for operation in methods.values():
            assert all(response["description"] for response in operation["responses"].values())
            given = {parameter["name"]: parameter for parameter in operation["parameters"]}
            assert len(given) == len(operation["parameters"])
            in_path = {name for name, parameter in given.items() if parameter["in"] == "path"}
            assert in_path == {part[1:-1] for part in path.removesuffix(".csv").split("/") if part.startswith("{")}
            assert all("schema" in parameter and parameter["in"] in ("query", "path") for parameter in given.values())
            assert all(given[name]["required"] is True for name in in_path)
    known = found["components"]["schemas"]
    assert all(ref.removeprefix("#/components/schemas/") in known for ref in refs(found))
    assert all(
        set(schema.get("required", ())) <= schema["properties"].keys()
        for schema in known.values()
        if schema.get("type") == "object" and "properties" in schema
    )


def test_every_address_and_every_parameter_of_the_description_answers(board: Served) -> None:
    for path, methods in json.loads(board.get("/api/v1/openapi.json").body)["paths"].items():
        given = {
            "key": BANK,
            "from": "2026-03-08",
            "to": "2026-03-10",
            "window": "1d",
            "as_of": "2026-03-10",
            "vintage": "first",
            "q": "debt",
            "limit": "5",
            "series": BANK,
        }
        chosen = {p["name"]: given[p["name"]] for p in methods["get"]["parameters"] if p["name"] in given}
        asked = "&".join(f"{name}={value}" for name, value in chosen.items())
        assert board.get(f"{path.replace('{id}', '0000000000000003')}?{asked}").status == 200, path
