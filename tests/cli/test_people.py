"""people as it is typed: accounts, passwords that are never an argument, and the log of all of it."""

import json
import subprocess
from pathlib import Path

import pytest

from groundswell.passwords import Passwords
from groundswell.store.accounts import Person, person_named
from groundswell.store.store import Store
from tests.cli.test_cli import groundswell

PASSWORD = "a few words in a row"


def ask(folder: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return groundswell("people", *arguments, folder=folder, stdin=stdin, GROUNDSWELL_STORE_URL=str(folder / "desk.db"))


def rows(folder: Path, command: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in ask(folder, command, "--format", "jsonl").stdout.splitlines()]


def account(folder: Path, name: str) -> Person:
    store = Store(str(folder / "desk.db"))
    with store.read() as connection:
        found = person_named(connection, name)
    store.close()
    assert found is not None
    return found


def test_an_account_is_made_with_a_password_from_a_file_and_changed_and_every_step_is_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n")
    made = ask(tmp_path, "add", "Mei@Bank.example", "--role", "analyst", "--password-file", str(tmp_path / "password"))
    assert made.returncode == 0, made.stderr
    assert "start the board again" in made.stdout
    assert Passwords().fits(PASSWORD, account(tmp_path, "mei@bank.example").password_hash)

    proxied = ask(tmp_path, "add", "li", "--no-password")
    assert "start the board again" not in proxied.stdout
    changed = ask(tmp_path, "password", "mei@bank.example", "--password-file", "-", stdin="quite another one\n")
    assert changed.returncode == 0, changed.stderr
    assert Passwords().fits("quite another one", account(tmp_path, "mei@bank.example").password_hash)
    assert ask(tmp_path, "role", "li", "admin").returncode == 0
    assert ask(tmp_path, "disable", "li").returncode == 0

    listed = {row["name"]: row for row in rows(tmp_path, "list")}
    assert (listed["li"]["role"], listed["li"]["signs_in"], listed["mei@bank.example"]["signs_in"]) == (
        "admin", "by the proxy", "with a password"
    )  # fmt: skip
    assert listed["li"]["disabled"]
    log = rows(tmp_path, "audit")
    assert [row["what"] for row in reversed(log)] == [
        "account added", "account added", "password changed", "role changed", "account disabled"
    ]  # fmt: skip
    assert {row["place"] for row in log} == {"command line"}
    said = made.stdout + changed.stdout + json.dumps(log) + json.dumps(list(listed.values()))
    assert PASSWORD not in said
    assert "argon2" not in said


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (("add", "mei", "--password-file", "-"), "short\n", "must have 12 to 256 characters"),
        (("add", "mei", "--password-file", "-"), "", "is empty"),
        (("add", "mei", "--password-file", "nowhere"), None, "cannot be read"),
        (("add", "m m", "--no-password"), None, "must be 1 to 80 of a-z"),
        (("add", "mei", "--no-password", "--password-file", "-"), None, "give one of the two"),
        (("add", "mei", "--role", "boss", "--no-password"), None, "is not one of"),
    ],
)
def test_what_cannot_be_an_account_is_refused_with_the_rule(
    tmp_path: Path, arguments: tuple[str, ...], stdin: str | None, words: str
) -> None:
    done = ask(tmp_path, *arguments, stdin=stdin)
    assert done.returncode == 2
    assert words in done.stderr


def test_an_account_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    Store(str(tmp_path / "desk.db")).close()
    done = ask(tmp_path, "disable", "mei")
    assert done.returncode == 1
    assert "person 'mei': has no account" in done.stderr


def tokens(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return groundswell("tokens", *arguments, folder=folder, GROUNDSWELL_STORE_URL=str(folder / "desk.db"))


def listed(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in tokens(folder, "list", "--format", "jsonl").stdout.splitlines()]


def test_a_programs_token_is_printed_once_listed_without_its_secret_and_revoked(tmp_path: Path) -> None:
    ask(tmp_path, "add", "nightly", "--no-password")
    made = tokens(tmp_path, "add", "nightly", "figures of the night", "--days", "30")
    text = made.stdout.strip()
    assert (made.returncode, text[:4], len(text.split("_", 2)[2])) == (0, "gsw_", 43)
    found = listed(tmp_path)
    told = [(one["person"], one["name"], one["role"], one["state"]) for one in found]
    assert told == [("nightly", "figures of the night", "reader", "taken")]
    assert text.split("_", 2)[2] not in str(found)
    assert tokens(tmp_path, "add", "nightly", "x", "--role", "analyst").returncode != 0
    assert "token revoked" in tokens(tmp_path, "revoke", str(found[0]["id"])).stdout
    assert str(listed(tmp_path)[0]["state"]).startswith("revoked ")
