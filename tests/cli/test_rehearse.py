"""rehearse as it is typed: the report, the warnings, the same lines as `alerts`, and what is refused."""

import json
import subprocess
from pathlib import Path

import pytest

from ingest.demo_archive import SMALL_DEMO
from stream.shells.demo import set_up
from tests.cli.test_cli import groundswell

SHIPPED = Path(__file__).parents[2] / "alerts" / "rules.toml"
EVENTS = """series,start,end,name
LinlanBank,2026-06-30T09:00,2026-07-01,run on the bank
entity:OrrinMotors,2026-06-26,2026-06-26,copied again and again
entity:LinlanBank,2020-01-01,2020-01-02,long ago
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small demo, finished, a list of events, and rules that lend their ear to nobody."""
    folder = tmp_path_factory.mktemp("rehearse")
    demo = set_up(folder / "demo", spec=SMALL_DEMO, use="linear")
    demo.play_at_speed()
    demo.pipeline.finish()
    demo.store.close()
    (folder / "events.csv").write_text(EVENTS, encoding="utf-8")
    text = SHIPPED.read_text(encoding="utf-8")
    (folder / "deaf.toml").write_text(text.replace("budget_per_day = 3", "budget_per_day = 0"), encoding="utf-8")
    (folder / "typo.toml").write_text(text.replace("owners_min = 3", "owner_min = 3"), encoding="utf-8")
    return folder


def ask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return groundswell(*arguments, folder=folder, GROUNDSWELL_STORE_URL=str(folder / "demo" / "demo.db"))


def test_the_runs_own_rules_print_the_lines_of_alerts(folder: Path) -> None:
    rehearsed = ask(folder, "rehearse", "shipped", "--format", "jsonl")

    assert rehearsed.stdout == ask(folder, "alerts", "--format", "jsonl").stdout != ""
    assert "rehearsed" in rehearsed.stderr, "the figures are beside the rows, not among them"
    in_csv = [ask(folder, *words, "--format", "csv").stdout for words in (("rehearse", "shipped"), ("alerts",))]
    assert in_csv[0] == in_csv[1]


def test_the_report_has_figures_events_messages_and_their_documents(folder: Path) -> None:
    done = ask(folder, "rehearse", str(SHIPPED), "--incidents", "events.csv", "--holdout", "2026-06-20")
    lines = done.stdout.splitlines()

    assert done.returncode == 0, done.stderr
    assert "nothing was stored and nothing was sent" in lines
    (held_out,) = [line for line in lines if line.startswith("rehearsed ") and "held out" in line]
    assert "4 of 4" in held_out  # pings on listed events
    assert "1 of 2" in held_out  # the storm of copies was listed, and is not told
    (bank,) = [line for line in lines if line.startswith("run on the bank ")]
    assert "h after its start" in bank
    assert [line for line in lines if line.startswith("copied again and again ") and line.count("not told") >= 1]
    assert any("Linlan Bank" in line and line.endswith("[run on the bank]") for line in lines)
    assert sum(line.startswith("    ") for line in lines) >= 4, "documents"
    assert any("1 listed events begin outside the span" in line for line in lines)


@pytest.mark.parametrize(
    ("holdout", "said"),
    [
        ([], "note: nobody says which period these rules were tuned on"),
        (["--holdout", "2026-06-20"], "WARNING: the rules were tuned on 19.4 of these 30.0 days"),
    ],
)
def test_a_period_that_was_tuned_on_is_warned_of_with_the_overlap(holdout: list[str], said: str, folder: Path) -> None:
    assert said in ask(folder, "rehearse", "shipped", *holdout).stdout


def test_a_period_that_was_held_out_is_not_warned_of(folder: Path) -> None:
    done = ask(folder, "rehearse", "shipped", "--from", "2026-06-21", "--holdout", "2026-06-20")
    assert done.returncode == 0
    assert "tuned on" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["typo.toml"], r"owner_min: there is no such key, did you mean 'owners_min'?"),
        (["shipped", "--incidents", "gone.csv"], "gone.csv: cannot be read"),
        (["shipped", "--run", "demo", "--from", "2030-01-01"], "nothing of it lies in the span"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_next_step(arguments: list[str], said: str, folder: Path) -> None:
    done = ask(folder, "rehearse", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_rules_that_send_nothing_say_what_was_held_and_a_kept_rehearsal_is_read_like_a_run(folder: Path) -> None:
    done = ask(folder, "rehearse", "deaf.toml", "--run", "demo", "--keep", "deaf")
    assert done.returncode == 0, done.stderr
    assert "kept as run deaf" in done.stdout
    assert any(line.startswith("held by the desk: ") and "budget" in line for line in done.stdout.splitlines())
    runs = [json.loads(line) for line in ask(folder, "runs", "list", "--format", "jsonl").stdout.splitlines()]
    assert {(run["run"], run["kind"], run["alerts"]) for run in runs} == {("demo", "demo", 4), ("deaf", "rehearsal", 0)}
    assert "budget: 0 alerts today, 0 allowed" in ask(folder, "why-not", "LinlanBank", "--run", "deaf", "--at", "2026-06-30T15:00").stdout
