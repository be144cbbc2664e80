"""Server-sent events: a listener hears that the tick moved and that an alert came, and there are only so many of them."""

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dashboards.board.app import create_app
from dashboards.board.live import EACH_MAX, Live
from groundswell.names import HOUR_MS
from groundswell.store.derived import insert_alert
from groundswell.store.store import Store
from tests.dashboards.board.board_store import END_MS, Served, an_opened_alert, close, fill, served
from tests.dashboards.board.people_store import an_office

WITHIN_S = 180.0


@contextmanager
def a_board(folder: Path, live: Live) -> Iterator[tuple[Served, Store]]:
    store = Store(str(folder / "store.db"))
    fill(store, None)
    with served(create_app(store, run="r", log=None, now_ms=lambda: END_MS, live=live)) as board:
        yield board, store
    store.close()


class Listener:
    """A reader of the events, over one connection."""

    def __init__(self, board: Served, **headers: str) -> None:
        self._link = http.client.HTTPConnection("127.0.0.1", board.port, timeout=WITHIN_S)
        self._link.request("GET", "/live", headers=headers)
        self.answer = self._link.getresponse()

    def hear(self) -> dict[str, str | None]:
        """The next event."""
        deadline = time.monotonic() + WITHIN_S
        while time.monotonic() < deadline:
            line = self.answer.readline().decode().strip()
            if line.startswith("data: "):
                found: dict[str, str | None] = json.loads(line.removeprefix("data: "))
                return found
        raise AssertionError

    def line(self) -> str:
        return self.answer.readline().decode().strip()

    def end(self) -> None:
        self.answer.close()
        self._link.close()


def test_a_listener_hears_the_present_then_each_new_tick_and_alert(tmp_path: Path) -> None:
    with a_board(tmp_path, Live(look_s=0.05)) as (board, store):
        listener = Listener(board)
        assert listener.answer.headers["content-type"].startswith("text/event-stream")
        assert listener.answer.headers["content-security-policy"]
        assert listener.hear() == {"data_until": "2026-03-10T12:00:00Z", "alert": None}
        close(store, "r", until_ms=END_MS + HOUR_MS, next_offset=600)
        assert listener.hear() == {"data_until": "2026-03-10T13:00:00Z", "alert": None}
        with store.write() as connection:
            insert_alert(store, connection, "r", an_opened_alert(id="a" * 16), targets=[])
        assert listener.hear() == {"data_until": "2026-03-10T13:00:00Z", "alert": "a" * 16}
        listener.end()


def test_one_too_many_is_sent_away_and_may_come_when_another_has_gone(tmp_path: Path) -> None:
    with a_board(tmp_path, Live(listeners_max=2, look_s=0.05, still_s=0.05)) as (board, _):
        listeners = [Listener(board) for _ in range(2)]
        assert all(listener.hear()["data_until"] for listener in listeners)
        refused = board.get("/live")
        assert (refused.status, refused.headers["retry-after"]) == (503, "60")
        listeners.pop().end()
        late = listener_of(board)
        assert late.hear()["data_until"] == "2026-03-10T12:00:00Z"
        for listener in (*listeners, late):
            listener.end()


def listener_of(board: Served) -> Listener:
    """One that was let in, as soon as the server has noticed that another has gone."""
    deadline = time.monotonic() + WITHIN_S
    while time.monotonic() < deadline:
        listener = Listener(board)
        if listener.answer.status == 200:
            return listener
        listener.end()
    raise AssertionError


def test_silence_is_broken_by_a_comment(tmp_path: Path) -> None:
    with a_board(tmp_path, Live(look_s=60.0, still_s=0.05)) as (board, _):
        listener = Listener(board)
        said = [listener.line() for _ in range(12)]
        assert said[0] == "retry: 5000"
        assert ": still here" in said
        listener.end()


def test_a_stream_ends_after_a_while_so_that_the_door_is_asked_again(tmp_path: Path) -> None:
    with a_board(tmp_path, Live(look_s=0.05, still_s=0.05, life_s=0.2)) as (board, _):
        listener = Listener(board)
        assert b"retry: 5000" in listener.answer.read()
        listener.end()


def test_nobody_takes_every_place(tmp_path: Path) -> None:
    with an_office(tmp_path, live=Live(look_s=0.05, still_s=0.05)) as office:
        shown = {name: "; ".join(f"{key}={value}" for key, value in office.browser(name).cookies.items()) for name in ("rob", "mei")}
        listeners = [Listener(office.board, Cookie=shown["rob"]) for _ in range(EACH_MAX + 1)]
        assert [one.answer.status for one in listeners] == [200] * EACH_MAX + [503]
        listeners.append(Listener(office.board, Cookie=shown["mei"]))
        assert listeners[-1].answer.status == 200
        for each in listeners:
            each.end()
