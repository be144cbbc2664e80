"""What people mistype: one line with the place and the next step, an exit code as documented, and nothing made or shown by mistake."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from groundswell.cli import COMMANDS, root
from groundswell.errors import GroundswellError, NotFoundError, UsageError
from groundswell.names import LIVE_RUN, PANE_MS
from groundswell.records import Increment, Mention
from groundswell.store.derived import insert_increments
from groundswell.store.facts import write_intake
from groundswell.store.store import Store
from stream.shells.instruments import open_run
from tests import builders as b
from tests.cli.test_cli import LINES, archive, groundswell
from tests.groundswell.store.test_search import admitted

READING = (
    "alerts", "series *", "explain 4d", "why-not SVB", "inbox", "ack 4d", "verdict 4d true", "correct 4d --topic debt_credit", "missed SVB",
    "quality report", "labels export out", "search bank", "watch list", "watch save a b", "drops list", "outbox", "runs list",
    "runs drop a --yes", "months list", "versions list", "rescore --run a", "rehearse shipped", "forget source a", "people list",
    "people audit", "tokens list", "sources health", "board",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A live run of one document about SVB; commands are typed in its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GROUNDSWELL_STORE_URL", "desk.db")
    made = Store("desk.db")
    open_run(made, LIVE_RUN, kind="live", instruments=b.instruments())
    document = b.a_document(title="SVB halts withdrawals")
    score = b.a_score(document_id=document.document_id, mentions=[Mention("SVB", 0, 2)])
    with made.write() as connection:
        write_intake(made, connection, LIVE_RUN, documents=[document], scores=[score], admissions=admitted([document], "scored"))
        members = {"s": {"o": [1, 1, 0, 0, 900_000, 1, 1]}}
        pane = b.T0_MS // PANE_MS
        row = Increment(series="entity:SVB", tick=b.T0_TICK, pane=pane, daily=False, members=members, negatives=[])
        insert_increments(made, connection, LIVE_RUN, [row])
    made.close()
    return tmp_path / "desk.db"


def typed(line: str) -> Result:
    return CliRunner().invoke(root, line.split(), prog_name="groundswell")


def refusal(line: str) -> GroundswellError:
    """What `__main__` would show in one line."""
    found = typed(line).exception
    assert isinstance(found, GroundswellError), f"{line}: {found!r}"
    assert "\n" not in str(found)
    return found


@pytest.mark.parametrize("line", READING)
def test_a_store_that_is_not_there_is_not_an_empty_one(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GROUNDSWELL_STORE_URL", "away/desk.db")
    found = refusal(line)
    assert isinstance(found, NotFoundError)
    assert str(found).startswith("store away/desk.db: there is no such file; name another by --store or GROUNDSWELL_STORE_URL")
    assert not (tmp_path / "away").exists(), "and none is made by looking"


@pytest.mark.parametrize("line", ["alerts", "runs list", "alerts --format csv"])
def test_a_file_that_cannot_be_written_is_named(line: str, store: Path) -> None:
    found = refusal(f"{line} -o {store.parent}")
    assert isinstance(found, UsageError)
    assert str(found).startswith(f"--output {store.parent}: cannot be written: Is a directory; ")


@pytest.mark.parametrize("line", ["alerts", "series *", "search bank", "drops list", "rehearse shipped", "rescore --run a"])
def test_a_span_the_wrong_way_round_is_no_empty_answer(line: str, store: Path) -> None:
    assert str(refusal(f"{line} --from 2026-06-30 --to 2026-06-01")) == (
        "--from 2026-06-30 --to 2026-06-01: the span is empty; give the later moment as --to"
    )
    assert "the span is empty" not in str(typed(f"{line} --from 2026-06-30 --to 2026-06-30").exception), "a bare day counts whole"


def test_zeros_of_a_series_that_nobody_knows_are_called_so(store: Path) -> None:
    wrong, right = (typed(f"series {key} --from 2026-09-21 --to 2026-09-21") for key in ("entity:SBV", "entity:SVB"))
    assert "note: run live counts nothing in entity:SBV, so its zeros say nothing" in wrong.stderr
    assert right.stderr == ""


def test_a_search_that_finds_nothing_says_so_and_whether_its_company_is_known(store: Path) -> None:
    known, unknown = typed("search company:Apple"), typed("search company:Credit-Swisse")
    assert (known.exit_code, unknown.exit_code) == (1, 1)
    assert known.stderr == "Nothing in run live was found by this query.\n"
    assert "company:Credit-Swisse: no company is called so; near: CreditSuisse" in unknown.stderr


@pytest.mark.parametrize(("line", "near"), [("alert", "alerts"), ("runs lst", "list"), ("people ad", "add")])
def test_an_unknown_command_is_told_the_nearest(line: str, near: str) -> None:
    done = typed(line)
    assert done.exit_code == 2
    assert f"No such command {line.split()[-1]!r}. Nearest: {near}" in done.stderr


def test_an_unknown_command_that_is_near_none_is_told_where_they_are_listed() -> None:
    assert "No such command 'xyzzy'. 'groundswell runs --help' lists them." in typed("runs xyzzy").stderr


def test_an_archive_cannot_fill_the_live_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive(tmp_path / "live.jsonl", LINES)
    for line in ("backfill live.jsonl --store desk.db", "backfill live.jsonl --run live --store desk.db"):
        assert "--run live: only sources fill the live run; choose another name" in str(refusal(line))


def test_a_name_that_a_rehearsal_cannot_be_kept_under_is_refused_before_the_work(store: Path) -> None:
    assert "--keep 'live': there is such a run" in str(refusal("rehearse shipped --keep live"))


def test_a_target_that_no_route_has_is_said_to_be_none(store: Path) -> None:
    wrong, right = typed("routes stop mail:ana"), typed("routes stop console")
    assert wrong.stderr == "note: mail:ana is no target of the routes now; there are: console\n"
    assert right.stderr == ""


def test_a_folder_that_cannot_be_made_is_one_line_and_no_traceback(store: Path) -> None:
    (store.parent / "file").touch()
    done = groundswell("labels", "export", "file/below", folder=store.parent, GROUNDSWELL_STORE_URL="desk.db")
    assert done.returncode == 3
    assert (
        done.stderr == "groundswell: file/below: Not a directory; does it exist, may this account read and write it, and is there room?\n"
    )


@pytest.mark.parametrize("name", [name for name in COMMANDS if isinstance(root.get_command(click.Context(root), name), click.Group)])
def test_the_help_of_a_group_cuts_no_sentence_short(name: str) -> None:
    shown = " ".join(typed(f"{name} --help").stdout.split())
    group = root.get_command(click.Context(root), name)
    assert isinstance(group, click.Group)
    for command in group.commands.values():
        assert " ".join((command.help or "").split("\n\n")[0].split()) in shown
