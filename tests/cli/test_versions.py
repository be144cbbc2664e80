"""versions and rescore as they are typed: what is in force is listed, rules are put in force, and another model reads what counted."""

import json
import subprocess
from contextlib import closing
from getpass import getuser
from importlib import resources
from pathlib import Path

import pytest

from groundswell.local_log import LocalLog
from groundswell.names import LIVE_RUN
from groundswell.store.audit import entries
from groundswell.store.store import Store
from groundswell.store.versions import rules_text_of
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import builders as b
from tests.cli.test_cli import groundswell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A live run of two days."""
    store = Store(str(tmp_path / "desk.db"))
    with b.fill(LocalLog(tmp_path / "data" / "live.log"), b.an_archive(3, records=40, days=2)) as log:
        made = b.instruments()
        open_run(store, LIVE_RUN, kind="live", instruments=made)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, made)
        while pipeline.step():
            pass
        pipeline.finish()
    store.close()
    return tmp_path


def ask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return groundswell(*arguments, folder=folder, GROUNDSWELL_STORE_URL=str(folder / "desk.db"), GROUNDSWELL_MODELS_USE="linear")


def audited(folder: Path) -> list[str]:
    """What the audit log has, oldest first."""
    with closing(Store(str(folder / "desk.db"))) as store, store.read() as connection:
        return [entry.what for entry in entries(connection)][::-1]


def listed(folder: Path) -> list[dict[str, str | None]]:
    done = ask(folder, "versions", "list", "--format", "jsonl")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_rules_are_put_in_force_a_little_ahead_and_listed_as_to_come(folder: Path) -> None:
    assert {(row["kind"], row["since"], row["state"]) for row in listed(folder)} == {
        (kind, None, "in force") for kind in ("model", "rules", "catalogue")
    }
    rules = folder / "rules.toml"
    shipped = (resources.files("alerts") / "rules.toml").read_text(encoding="utf-8")
    rules.write_text(shipped.replace("budget_per_day = 3", "budget_per_day = 4"))
    done = ask(folder, "versions", "put", "rules", str(rules), "--in", "5m")
    assert done.returncode == 0, done.stderr
    newest = listed(folder)[0]
    assert (newest["kind"], newest["state"]) == ("rules", "to come")
    assert done.stdout == f"rules {newest['hash']}: in force from {newest['since']}\n"
    with closing(Store(str(folder / "desk.db"))) as store, store.read() as connection:
        assert rules_text_of(connection, str(newest["hash"])) == rules.read_text()
        (entry,) = entries(connection)
    assert (entry.who, entry.place, entry.what) == (getuser(), "command line", "rules saved")
    assert entry.detail == f"{newest['hash']}, in force from {newest['since']}"
    assert "nothing to do, they are the newest already" in ask(folder, "versions", "put", "rules", str(rules)).stdout
    assert audited(folder) == ["rules saved"], "what changed nothing is not said"
    broken = ask(folder, "versions", "put", "rules", str(folder / "none.toml"))
    assert (broken.returncode, "cannot be read" in broken.stderr) == (2, True)


def test_another_model_reads_what_counted_into_a_run_of_its_own(folder: Path) -> None:
    done = ask(folder, "rescore", "--run", "past", "--quiet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("run past complete: fetched ")
    assert "balance 0" in done.stdout
    assert "was complete already, nothing changed" in ask(folder, "rescore", "--run", "past", "--quiet").stdout
    rows = [json.loads(line) for line in ask(folder, "runs", "list", "--format", "jsonl").stdout.splitlines()]
    assert [(row["run"], row["kind"], row["complete"]) for row in rows] == [("live", "live", None), ("past", "rescore", True)]
    refused = ask(folder, "runs", "attach", "past")
    assert refused.returncode == 2
    assert "it was made with catalogue" in refused.stderr
    assert ask(folder, "runs", "drop", "past", "--yes").returncode == 0


def test_whoever_changes_by_a_command_what_is_in_force_is_in_the_audit_log_as_on_the_board(folder: Path) -> None:
    table = folder / "mine.csv"
    table.write_text("company,weight,owner\nSVB,2,Li\n")
    errors = str(resources.files("models") / "error_matrices.json")
    for asked in (
        ("watch", "save", "queues", "bank run"), ("watch", "save", "queues", "bank run"), ("watch", "add", str(table)),
        ("watch", "remove", "queues", "SVB"), ("versions", "put", "errors", errors),
    ):  # fmt: skip
        done = ask(folder, *asked)
        assert done.returncode == 0, done.stderr
    with closing(Store(str(folder / "desk.db"))) as store, store.read() as connection:
        *found, last = [(entry.who, entry.place, entry.what, entry.detail) for entry in entries(connection)][::-1]
    assert last[2] == "measured errors saved"
    assert [one[:2] for one in (*found, last)] == [(getuser(), "command line")] * 4
    assert [one[2:] for one in found] == [
        ("search saved", "queues: bank run"), ("companies watched", "taken 1, not taken 0"), ("watched no longer", "queues, SVB"),
    ]  # fmt: skip
