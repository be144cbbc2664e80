"""What `groundswell board` lets in: by the settings, the accounts of the store, and where it listens."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from groundswell.cli.show import board_access
from groundswell.errors import UsageError
from groundswell.settings import Board, Data, Settings
from groundswell.store.accounts import Person, add_person
from groundswell.store.store import Store
from tests.cli.test_cli import groundswell


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "desk.db"))
    yield opened
    opened.close()


def settings(folder: Path, **board: object) -> Settings:
    return Settings(data=Data(dir=str(folder)), board=msgspec.convert(board, Board))


def with_an_account(store: Store) -> Store:
    with store.write() as connection:
        add_person(store, connection, Person("mei", "analyst", None, 1, 1, 1))
    return store


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_without_accounts_a_board_on_this_machine_is_open(store: Store, tmp_path: Path, host: str) -> None:
    assert not board_access(settings(tmp_path, host=host), store).is_closed


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "board.bank.example"])
def test_without_accounts_a_board_that_others_can_reach_does_not_start(store: Store, tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match=r"whoever reaches it could read everything.*`groundswell people add NAME`.*board\.proxy_header"):
        board_access(settings(tmp_path, host=host), store)
    assert board_access(settings(tmp_path, host=host), with_an_account(store)).accounts, "a disabled account counts: it stays closed"


def test_a_proxy_that_says_who_people_are_closes_the_board_and_takes_the_place_of_passwords(store: Store, tmp_path: Path) -> None:
    chosen = settings(tmp_path, host="0.0.0.0", proxy_header="X-Forwarded-User", proxy_addresses=["10.0.3.0/24"], proxy_role="reader")
    access = board_access(chosen, with_an_account(store))
    assert (access.is_closed, access.accounts, access.proxy_role) == (True, False, "reader")


def test_cookies_are_for_https_where_readers_come_by_https(store: Store, tmp_path: Path) -> None:
    assert board_access(settings(tmp_path, base_url="https://gs.bank.example"), store).is_https
    assert not board_access(settings(tmp_path), store).is_https


def test_the_command_ends_before_it_listens(tmp_path: Path) -> None:
    Store(str(tmp_path / "desk.db")).close()
    done = groundswell("board", "--port", "0", "--store", "desk.db", folder=tmp_path, GROUNDSWELL_BOARD_HOST="0.0.0.0")
    assert done.returncode == 2
    assert "whoever reaches it could read everything" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("GROUNDSWELL_BOARD_SECRET", "hunter2", "must have 32 characters or more"),
        ("GROUNDSWELL_BOARD_PROXY_HEADER", "X-User", "must be given together with board.proxy_addresses"),
        ("GROUNDSWELL_BOARD_PROXY_ADDRESSES", "10.0.0.1", "must be given together with board.proxy_addresses"),
        ("GROUNDSWELL_BOARD_LANGUAGE", "fr", "en, zh"),
    ],
)
def test_settings_of_the_door_that_do_not_fit_are_told_without_a_secret(tmp_path: Path, variable: str, value: str, words: str) -> None:
    done = groundswell("config", folder=tmp_path, **{variable: value})
    assert done.returncode == 2
    assert words in done.stderr
    assert "hunter2" not in done.stderr
