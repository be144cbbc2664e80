"""Slow connections: the board gives up whoever does not say what they want or does not take it, and nobody else."""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from dashboards.board.app import create_app
from dashboards.board.live import Live
from dashboards.board.patience import ASKING_S, TAKING_S, Patient
from groundswell.store.store import Store
from tests.dashboards.board.board_store import END_MS, Served, fill, served

WITHIN_S = 60.0


class Hasty(Patient):
    asking_s = 0.4
    taking_s = 0.4


@contextmanager
def a_hasty_board(folder: Path) -> Iterator[Served]:
    store = Store(str(folder / "store.db"))
    fill(store, None)
    live = Live(look_s=0.05, still_s=0.05)
    with served(create_app(store, run="r", log=None, now_ms=lambda: END_MS, live=live), connection=Hasty) as board:
        yield board
    store.close()


@contextmanager
def connected(board: Served, said: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", board.port), timeout=WITHIN_S) as link:
        link.sendall(said)
        yield link


def is_given_up(link: socket.socket) -> bool:
    """Whether the board ends it without having answered."""
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True


def is_cut_off(link: socket.socket) -> bool:
    """Whether the board ends it although more and more is said."""
    deadline = time.monotonic() + WITHIN_S
    link.settimeout(0.05)
    while time.monotonic() < deadline:
        try:
            link.sendall(b"a")
            select.select([], [], [link], 0.02)
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
FORM = b"POST /language HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n\r\n"


@pytest.mark.parametrize("said", [b"", b"GET", HEAD, HEAD + b"X-A: ", FORM, FORM + b"token="])
def test_who_does_not_finish_a_question_is_given_up(tmp_path: Path, said: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    with a_hasty_board(tmp_path) as board, connected(board, said) as link:
        assert is_given_up(link)
        assert board.get("/healthz").status == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_letter_now_and_then_does_not_prolong_it(tmp_path: Path) -> None:
    with a_hasty_board(tmp_path) as board, connected(board, HEAD + b"X-A: ") as link:
        assert is_cut_off(link)


def test_many_who_say_nothing_keep_nobody_out_and_are_all_given_up(tmp_path: Path) -> None:
    with a_hasty_board(tmp_path) as board, ExitStack() as stack:
        links = [stack.enter_context(connected(board, HEAD)) for _ in range(200)]
        assert board.get("/healthz").status == 200
        assert all(is_given_up(link) for link in links)


def test_who_takes_nothing_of_an_answer_is_given_up(tmp_path: Path) -> None:
    with a_hasty_board(tmp_path) as board, socket.socket() as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)  # before it connects: what is not taken stays with the board
        link.settimeout(WITHIN_S)
        link.connect(("127.0.0.1", board.port))
        link.sendall(b"GET /static/board.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1_000)
        assert is_cut_off(link)


def test_a_question_in_pieces_is_answered_and_who_waits_for_news_is_not_given_up(tmp_path: Path) -> None:
    with a_hasty_board(tmp_path) as board, connected(board, HEAD) as link, connected(board, HEAD.replace(b"healthz", b"live")) as waiting:
        for each in (link, waiting):
            each.sendall(b"\r\n")
        assert link.recv(15) == b"HTTP/1.1 200 OK"
        began_s, heard = time.monotonic(), waiting.makefile("rb")
        while time.monotonic() - began_s < 3 * Hasty.asking_s:
            assert heard.readline() != b""


def test_a_phone_has_the_time_that_it_needs() -> None:
    assert ASKING_S * 100_000 / 8 > 256 * 1024
    assert TAKING_S >= ASKING_S
