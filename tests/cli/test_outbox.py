"""groundswell outbox: what became of each message, and the way back."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import update

from groundswell.cli import root
from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert
from groundswell.store.store import Store
from tests.alerts.alert_factory import an_alert

FIRST, SECOND = "a" * 16, "b" * 16


@pytest.fixture
def url(tmp_path: Path) -> str:
    store = Store(str(tmp_path / "s.db"))
    box = t.outbox.c
    with store.write() as connection:
        insert_alert(store, connection, LIVE_RUN, an_alert(id=FIRST), targets=("mail:anna", "slack:risk"))
        insert_alert(store, connection, LIVE_RUN, an_alert(id=SECOND, opened_ms=an_alert().opened_ms + 1), targets=("mail:anna",))
        dead = {"state": "failed", "attempts": 1, "reason": '=HYPERLINK("http://evil.example")'}
        connection.execute(update(t.outbox).where(box.alert_id == FIRST, box.target == "mail:anna").values(dead))
        held = {"state": "held", "how": "digest", "next_ms": 1_794_960_000_000, "reason": "quiet hours"}
        connection.execute(update(t.outbox).where(box.alert_id == SECOND).values(held))
    store.close()
    return str(tmp_path / "s.db")


def run(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(root, ["outbox", *arguments])
    assert result.exit_code == code, result.output
    return result


def test_messages_are_listed_with_state_and_reason_the_newest_alert_first(url: str) -> None:
    rows = [json.loads(line) for line in run("--store", url, "--format", "jsonl").output.splitlines()]
    assert [(row["alert"][:1], row["target"], row["state"]) for row in rows] == [
        ("b", "mail:anna", "held"), ("a", "mail:anna", "failed"), ("a", "slack:risk", "due"),
    ]  # fmt: skip
    assert (rows[0]["not_before"], rows[0]["reason"]) == ("2026-11-18T00:00:00Z", "quiet hours")


def test_only_a_state_or_a_target_can_be_asked_for(url: str) -> None:
    assert len(run("--store", url, "--state", "failed", "--format", "jsonl").output.splitlines()) == 1
    assert len(run("--store", url, "--target", "slack:risk", "--format", "jsonl").output.splitlines()) == 1
    run("--store", url, "--state", "lost", code=2)


def test_a_reason_that_begins_like_a_formula_is_none_in_a_spreadsheet(url: str) -> None:
    rows = list(csv.DictReader(io.StringIO(run("--store", url, "--state", "failed", "--format", "csv").output)))
    assert rows[0]["reason"] == '\'=HYPERLINK("http://evil.example")'


def test_a_dead_letter_is_put_back_once(url: str) -> None:
    assert run("retry", FIRST, "--store", url).output == "1 due again: mail:anna\n"
    assert json.loads(run("--store", url, "--state", "due", "--target", "mail:anna", "--format", "jsonl").output)["attempts"] == 0
    assert CliRunner().invoke(root, ["outbox", "retry", FIRST, "--store", url]).exception is not None
