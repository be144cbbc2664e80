"""The JSON API: `/api/v1/...`, the same rows as the command line and pandas, described at /api/v1/openapi.json.

Rows come in pages; `next` of one is `after` of the following, and a page begins where the last one ended whatever came in meanwhile. CSV
by the suffix .csv or by Accept. What cannot be answered is a problem (RFC 9457).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from itertools import chain, dropwhile, islice
from typing import Any, Final

import msgspec
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboards.board.api_asked import PARAMETERS, Asked, Operation, Page
from dashboards.board.api_types import AlertRow, DocumentRow, IncidentRow, SeriesRow, SourceRow, WatchRow, page_of, schemas
from dashboards.board.door import ASKED_A_MINUTE
from dashboards.board.panel_api import PANELS
from dashboards.board.shell import BoardState, state_of
from groundswell.codec import decode
from groundswell.errors import DependencyError, GroundswellError, NotFoundError, UsageError
from groundswell.exports import DOCUMENT_COLUMNS, csv_text, iso
from groundswell.moments import duration_ms, time_ms
from groundswell.records import Alert
from groundswell.search import parse, with_companies
from groundswell.store import tables
from groundswell.store.query import alert_bytes, alerts_of, closed_ms, series_like
from groundswell.store.watches import newest_watches
from groundswell.watches import watch_rows

BASE: Final = "/api/v1"
LIMIT: Final = 100
LIMITS: Final[Mapping[str, int]] = {"series": 10_000, "documents": 500}
LIMIT_MAX: Final = 500
WATCH_COLUMNS: Final = ["what", "name", "series", "query", "weight", "owner"]


# --- what is read ----------------------------------------------------------------------------------------------------------------
def _series(connection: Connection, run: str, asked: Asked) -> Page:
    keys = [key for key in asked.given.get("key", []) if key]
    if not keys:
        reason = "key: is missing; give a series or a glob such as entity:*"
        raise UsageError(reason)
    vintage = asked.one("vintage") or "final"
    if vintage not in ("final", "first"):
        reason = f"vintage: must be final or first, got {vintage[:20]!r}"
        raise UsageError(reason)
    span: dict[str, Any] = {"end_ms": asked.ms("to"), "as_of_ms": asked.ms("as_of"), "vintage": vintage}
    span["window_ms"] = duration_ms(asked.one("window") or "1h", name="window")
    after_key, _, after_start = (asked.one("after") or "").rpartition("@")
    found = [key for key in series_like(connection, run, keys) if key >= after_key]
    begun = [key for key in found if key == after_key]
    # From the cursor on: a billion windows can lie before it, and each of them would be made to be passed over.
    rest = tables.series_rows(connection, run, begun, start_ms=time_ms(after_start, name="after"), **span) if begun else iter(())
    rows = chain(rest, tables.series_rows(connection, run, found[len(begun) :], start_ms=asked.ms("from"), **span))
    left = dropwhile(lambda row: (row["series"], row["start"]) <= (after_key, after_start), rows)
    return _cut(list(islice(left, asked.limit + 1)), asked.limit, lambda row: f"{row['series']}@{row['start']}")


def _alerts(connection: Connection, run: str, asked: Asked) -> Page:
    alerts = alerts_of(connection, run, start_ms=asked.ms("from"), end_ms=asked.ms("to"))[::-1]
    page = _cut(_below(alerts, asked, _alert_cursor), asked.limit, _alert_cursor)
    return Page(tables.alert_rows(connection, run, page.rows), page.next)  # type: ignore[arg-type]  # alerts, cut like rows


def _alert_cursor(alert: Any) -> str:
    return f"{alert.opened_ms:015d}@{alert.id}"


def _incidents(connection: Connection, run: str, asked: Asked) -> Page:
    rows = tables.incident_rows(connection, run, start_ms=asked.ms("from"), end_ms=asked.ms("to"))
    return _cut(_below(rows, asked, _incident_cursor), asked.limit, _incident_cursor)


def _incident_cursor(row: Any) -> str:
    return f"{row['last_alert_at']}@{row['incident']}"


def _documents(connection: Connection, run: str, asked: Asked) -> Page:
    query = with_companies(parse(asked.one("q") or ""), asked.state.companies)
    start_ms, end_ms, after = asked.ms("from"), asked.ms("to"), asked.one("after")
    query = replace(query, from_ms=query.from_ms if start_ms is None else start_ms, to_ms=query.to_ms if end_ms is None else end_ms)
    if after is not None and not (after.isascii() and after.isdigit() and len(after) < 20):
        reason = f"after: {after[:40]!r} is no cursor; give what `next` of the page before says"
        raise UsageError(reason)
    rows, below = tables.document_rows(connection, run, query, limit=asked.limit, below=None if after is None else int(after))
    return Page(rows, None if below is None else str(below))


def _sources(connection: Connection, run: str, _: Asked) -> Page:
    return Page(tables.source_rows(connection, run))


def _watches(connection: Connection, run: str, _: Asked) -> Page:
    watches, _rows = newest_watches(connection, run)
    return Page(watch_rows(watches))


def _alert(connection: Connection, run: str, asked: Asked) -> Page:
    _, body = alert_bytes(connection, asked.given["id"][0], run=run)
    return Page(tables.alert_rows(connection, run, [decode(body, Alert)]))


def _below(items: list[Any], asked: Asked, cursor: Callable[[Any], str]) -> list[Any]:
    after = asked.one("after")
    return items if after is None else [item for item in items if cursor(item) < after]


def _cut(items: list[Any], limit: int, cursor: Callable[[Any], str]) -> Page:
    return Page(items[:limit], cursor(items[limit - 1]) if len(items) > limit else None)


_SPAN: Final = ("from", "to")
_PAGED: Final = ("limit", "after")
OPERATIONS: Final = (
    Operation("series", "Windows of series, by key and then by time", SeriesRow, tables.SERIES_COLUMNS,
              ("key", *_SPAN, "window", "as_of", "vintage", *_PAGED), _series),
    Operation("alerts", "Alerts opened in a span, newest first", AlertRow, tables.ALERT_COLUMNS, (*_SPAN, *_PAGED), _alerts),
    Operation("incidents", "Incidents with an alert opened in a span, newest first", IncidentRow, tables.INCIDENT_COLUMNS,
              (*_SPAN, *_PAGED), _incidents),
    Operation("documents", "Documents that a search finds, newest publication first", DocumentRow, DOCUMENT_COLUMNS,
              ("q", *_SPAN, *_PAGED), _documents),
    Operation("sources", "Every source at the end of the data", SourceRow, tables.SOURCE_COLUMNS, (), _sources),
    Operation("watches", "What is watched: saved searches and companies", WatchRow, WATCH_COLUMNS, (), _watches),
    *PANELS,
)  # fmt: skip
ALERT: Final = Operation("alerts/{id}", "One alert; its id may be shortened", AlertRow, tables.ALERT_COLUMNS, (), _alert)


# --- answering -------------------------------------------------------------------------------------------------------------------
def routes() -> list[Route]:
    """The API's addresses."""
    made = [Route(f"{BASE}/openapi.json", lambda _: JSONResponse(description()))]
    for operation in (*OPERATIONS, ALERT):
        made += [
            Route(f"{BASE}/{operation.name}.csv", partial(_answer, operation, as_csv=True)),
            Route(f"{BASE}/{operation.name}", partial(_answer, operation, as_csv=None)),
        ]
    return [*made, Route(f"{BASE}/{{rest:path}}", _nowhere)]


def _answer(operation: Operation, request: Request, *, as_csv: bool | None) -> Response:
    state = state_of(request)
    try:
        with state.store.read() as connection:
            run = state.watch(connection).run
            page, until = operation.read(connection, run, _asked(operation, request, state)), closed_ms(connection, run)
    except GroundswellError as error:
        return problem(request, error)
    if as_csv or (as_csv is None and _prefers_csv(request.headers.get("accept", ""))):
        links = {"link": f'<{request.url.include_query_params(after=page.next)}>; rel="next"'} if page.next else {}
        return Response(csv_text(page.rows, operation.columns), media_type="text/csv; charset=utf-8", headers={"vary": "accept"} | links)
    body = {"run": run, "data_until": None if until is None else iso(until), "rows": page.rows, "next": page.next}
    return Response(msgspec.json.encode(body), media_type="application/json", headers={"vary": "accept"})


def _asked(operation: Operation, request: Request, state: BoardState) -> Asked:
    given: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name not in operation.parameters:
            known = ", ".join(operation.parameters) or "none"
            reason = f"{name[:40]}: is no parameter of {operation.name}; there are {known}"
            raise UsageError(reason)
        given.setdefault(name, []).append(value)
    most, text = LIMITS.get(operation.name, LIMIT_MAX), (given.get("limit") or [""])[-1]
    limit = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0 if text else min(most, LIMIT)
    if not 1 <= limit <= most:
        reason = f"limit: must be a number from 1 to {most:,}, got {text[:20]!r}"
        raise UsageError(reason)
    return Asked(given | {name: [value] for name, value in request.path_params.items()}, limit, state)


def _prefers_csv(accept: str) -> bool:
    """Whether text/csv is named before JSON.

    >>> _prefers_csv("text/csv, */*;q=0.1"), _prefers_csv("application/json, text/csv"), _prefers_csv("text/html,*/*")
    (True, False, False)
    """
    names = [part.split(";")[0].strip() for part in accept.split(",")]
    return next((name == "text/csv" for name in names if name in ("text/csv", "application/json", "*/*")), False)


def problem(request: Request, error: GroundswellError) -> Response:
    """Problem details of what went wrong."""
    kinds = (
        (NotFoundError, 404, "Not found"),
        (UsageError, 400, "That cannot be asked"),
        (DependencyError, 503, "The store does not answer"),
    )
    status, title = next(
        ((status, title) for kind, status, title in kinds if isinstance(error, kind)), (500, "What is stored cannot be shown")
    )
    body = {"type": "about:blank", "title": title, "status": status, "detail": str(error), "instance": request.url.path}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def _nowhere(request: Request) -> Response:
    return problem(request, NotFoundError(f"{request.url.path[:200]}: no such address; {BASE}/openapi.json lists them"))


TOKEN_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": f"A token of /me or `groundswell tokens add`; {ASKED_A_MINUTE} questions a minute. None where nobody has an account.",
}


# --- the description ---------------------------------------------------------------------------------------------------------------
def description() -> dict[str, Any]:
    """The API as OpenAPI 3.1 describes it."""
    paths: dict[str, Any] = {}
    for operation in (*OPERATIONS, ALERT):
        for suffix in ("", ".csv"):
            paths[f"{BASE}/{operation.name}{suffix}"] = {"get": _described(operation, is_csv=bool(suffix))}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "groundswell",
            "version": version("groundswell"),
            "summary": "What the board shows, as rows",
            "description": "Times are UTC with Z; windows are [start, end); shares and probabilities lie in [0, 1]. Read only.",
        },
        "paths": paths,
        "components": {"schemas": schemas([operation.row for operation in OPERATIONS]), "securitySchemes": {"token": TOKEN_SCHEME}},
        "security": [{"token": []}, {}],
    }


def _described(operation: Operation, *, is_csv: bool) -> dict[str, Any]:
    parameters = [_parameter(name, operation) for name in operation.parameters]
    if "{id}" in operation.name:
        parameters.append({"name": "id", "in": "path", "required": True, "schema": {"type": "string"}, "description": "Of the alert."})
    json_page = {"application/json": {"schema": {"$ref": f"#/components/schemas/{page_of(operation.row)}"}}}
    csv_page = {"text/csv": {"schema": {"type": "string"}}}
    refused = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told = {"application/json": {"schema": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}}}
    name = operation.name.replace("s/{id}", "").replace("/", ".")
    return {
        "operationId": f"{name}{'Csv' if is_csv else ''}",
        "summary": operation.summary + (", as CSV" if is_csv else ""),
        "parameters": parameters,
        "responses": {
            "200": {"description": "The rows.", "content": csv_page if is_csv else json_page | csv_page},
            "400": {"description": "That cannot be asked.", "content": refused},
            "401": {"description": "The board has people, and nobody is signed in or the token is not taken.", "content": told},
            "404": {"description": "Nothing is stored under that name.", "content": refused},
            "429": {"description": "Too many questions; Retry-After says when to ask again.", "content": told},
            "503": {"description": "The store does not answer.", "content": refused},
        },
    }


def _parameter(name: str, operation: Operation) -> dict[str, Any]:
    text, schema = PARAMETERS[name]
    if name == "limit":
        most = LIMITS.get(operation.name, LIMIT_MAX)
        schema = schema | {"maximum": most, "default": min(most, LIMIT)}
    return {"name": name, "in": "query", "description": text, "schema": schema, "required": name in ("key", "series")}
