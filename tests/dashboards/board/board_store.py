"""A small invented store for the board's tests, and the board served from it on a loopback port.

Two sources over three days: Harbour Wire (English) speaks every half hour to the end; Quay Forum (Chinese) speaks every ten
minutes and falls silent five hours before the end, so that it has been blind for more than four. Both spoke at the same rhythm for
the seventeen days before, of which only the arrivals are kept: else they would still be forming.
"""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import uvicorn
from starlette.applications import Starlette

from dashboards.board.app import config, create_app
from dashboards.board.patience import Patient
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, PANE_MS, ROLE_FOLD, ROLE_SCORE, TICK_MS
from groundswell.records import Admission, Alert, Document, Drop, Increment, Position, Score
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert, insert_increments, insert_rows
from groundswell.store.facts import write_intake
from groundswell.store.progress import advance, claim
from groundswell.store.store import Store
from tests.alerts.alert_factory import an_alert

END_MS = 1_773_144_000_000  # 2026-03-10 12:00:00 UTC
START_MS = END_MS - 3 * DAY_MS
BEFORE_MS = START_MS - 17 * DAY_MS
SILENT_MS = END_MS - 5 * HOUR_MS
WIRE, FORUM = "Harbour Wire", "Quay Forum"
EN, ZH, BANK = "topic:debt_credit:en", "topic:debt_credit:zh", "entity:LinlanBank"
HOSTILE = "<script>alert(1)</script> \u202egnp.exe\u202c & more"
MODEL = "toy"


def an_opened_alert(**overrides: Any) -> Alert:
    """An alert of the bank's series, two hours before the end."""
    opened = END_MS - 2 * HOUR_MS
    fields = {"by": "count", "series": BANK, "all_series": [BANK, EN], "opened_ms": opened, "known_until_ms": opened}
    return an_alert(**(fields | overrides))


def fill(
    store: Store, log: LocalLog | None, *, run: str = "r", kind: str = "backfill", alerts: Sequence[Alert] = (), closed: bool = True
) -> None:
    """Write the two sources' documents as a run would have left them."""
    said = sorted(
        [(START_MS + i * HOUR_MS // 2, WIRE, "en", EN) for i in range(6 * 24)]
        + [(ms, FORUM, "zh", ZH) for ms in range(START_MS, SILENT_MS, 10 * 60_000)]
    )
    with store.write() as connection:
        store.insert(connection, t.runs, [{"run": run, "kind": kind, "model_id": MODEL, "manifest": b"{}"}])
        made = [_made(number, known_ms, source, language) for number, (known_ms, source, language, _) in enumerate(said, start=1)]
        admissions, documents, scores = zip(*made, strict=True)
        write_intake(store, connection, run, admissions=admissions, documents=documents, scores=scores)
        insert_increments(store, connection, run, _increments(said))
        position = Position(0, len(said) + 1)
        before = _known_before(store, connection, run)
        drop = Drop(position=position, known_ms=END_MS - HOUR_MS, source=WIRE, reason="language: fi", body=b"{}")
        gone = Admission(position=position, known_ms=drop.known_ms, source=WIRE, language=None, outcome="dropped", reason=drop.reason)
        write_intake(store, connection, run, admissions=[gone], drops=[drop])
        hours = range(START_MS // HOUR_MS, END_MS // HOUR_MS)
        for language, blind in (("", 250_000), ("en", 1_000_000), ("zh", 0)):
            rows = [{"hour": hour, "language": language, "exposure_ppm": _exposure(hour, blind=blind)} for hour in hours]
            insert_rows(store, connection, run, t.exposures, rows)
        for alert in alerts:
            insert_alert(store, connection, run, alert, targets=["mail:desk"] if kind == "live" else [])
    if log is not None:
        log.append(
            [("document", source, b"{}") for source in [*before, *(source for _, source, _, _ in said)]] + [("document", WIRE, b"{}")],
            now_ms=END_MS,
        )
    if closed:
        close(store, run, until_ms=END_MS, next_offset=len(before) + len(said) + 2)


def _known_before(store: Store, connection: Any, run: str) -> list[str]:
    """That both sources were heard before, in this order; as edits, so that no document has to be there."""
    heard = [(ms, WIRE) for ms in range(BEFORE_MS, START_MS, HOUR_MS // 2)] + [(ms, FORUM) for ms in range(BEFORE_MS, START_MS, 600_000)]
    edits = [
        Admission(position=Position(1, number), known_ms=known_ms, source=source, language=None, outcome="edited")
        for number, (known_ms, source) in enumerate(sorted(heard), start=1)
    ]
    write_intake(store, connection, run, admissions=edits)
    return [edit.source for edit in edits]


def _exposure(hour: int, *, blind: int) -> int:
    return blind if hour * HOUR_MS >= SILENT_MS + HOUR_MS else 1_000_000


def _made(number: int, known_ms: int, source: str, language: str) -> tuple[Admission, Document, Score]:
    """All that is stored of a document itself; every third one is negative."""
    negative, name = number % 3 == 0, f"{number:016x}"
    document = Document(
        document_id=name, content_hash=name, source=source, owner=source, owner_known=True, kind="news", language=language,
        title=f"Invented headline {number}", text="", url=None, published_ms=known_ms, published_precision="second", known_ms=known_ms,
    )  # fmt: skip
    score = Score(
        document_id=name, content_hash=name, model_id=MODEL, language=language, topic="debt_credit",
        topic_ppm={"debt_credit": 1_000_000}, sentiment="negative" if negative else "neutral",
        negative_ppm=900_000 if negative else 50_000, neutral_ppm=100_000 if negative else 950_000, positive_ppm=0,
    )  # fmt: skip
    admission = Admission(
        position=Position(0, number), known_ms=known_ms, source=source, language=language, outcome="scored",
        document_id=name, content_hash=name,
    )  # fmt: skip
    return admission, document, score


def _increments(said: Sequence[tuple[int, str, str, str]]) -> list[Increment]:
    """A row of its series for each document, and one of the bank's for every other; two may speak of the bank in one tick: see below."""
    found: dict[tuple[str, int, int], Increment] = {}
    for number, (known_ms, source, _, series) in enumerate(said, start=1):
        negative, tick, pane = number % 3 == 0, known_ms // TICK_MS, known_ms // PANE_MS
        counts = [1, int(negative), int(not negative), 0, 900_000 if negative else 50_000, 1, int(negative)]
        for key in (series, BANK) if number % 2 else (series,):
            free = tick + ((key, tick, pane) in found)  # the second row then belongs to the next tick
            members = {f"{number:016x}": {source: counts}}
            found[key, free, pane] = Increment(series=key, tick=free, pane=pane, daily=False, members=members, negatives=[])
    return list(found.values())


def close(store: Store, run: str, *, until_ms: int, next_offset: int) -> None:
    """Say that everything known before a moment has been folded."""
    for role in (ROLE_SCORE, ROLE_FOLD):
        taken = claim(store, run, role, owner="test")
        with store.write() as connection:
            advance(connection, taken, next_offset=next_offset, time_ms=until_ms, closed_tick=until_ms // TICK_MS - 1)


# --- serving -----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes
    cookies: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A board on a loopback port."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path; header names with `_` for `-`."""
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def ask(self, method: str, path: str, *, headers: Mapping[str, str] = MappingProxyType({}), body: bytes | None = None) -> Answer:
        """One request as it is, one answer; nothing is followed or remembered."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        try:
            link.request(method, path, body=body, headers=dict(headers))
            answer = link.getresponse()
            cookies = tuple(value for name, value in answer.getheaders() if name.lower() == "set-cookie")
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read(), cookies)
        finally:
            link.close()


@contextmanager
def served(app: Starlette, *, connection: type[Patient] = Patient) -> Iterator[Served]:
    """Serve an application from a thread; the socket listens before the first request, so nothing has to wait."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config(app, host="127.0.0.1", port=0, connection=connection))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Served(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def a_board(
    folder: Path,
    *,
    alerts: Sequence[Alert] = (),
    kind: str = "backfill",
    now_ms: int = END_MS,
    then: Callable[[Store], None] | None = None,
    **options: Any,
) -> Iterator[Served]:
    """The board over the invented store."""
    store, log = Store(str(folder / "store.db")), LocalLog(folder / "store.log")
    try:
        fill(store, log, run="live" if kind == "live" else "r", kind=kind, alerts=alerts)
        if then is not None:
            then(store)
        with served(create_app(store, run=None, log=log, now_ms=lambda: now_ms, **options)) as board:
            yield board
    finally:
        log.close()
        store.close()
