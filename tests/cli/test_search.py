"""search and watch as they are typed, over a live run with real companies."""

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from groundswell.names import LIVE_RUN
from groundswell.records import Mention
from groundswell.store.facts import write_intake
from groundswell.store.store import Store
from stream.shells.instruments import open_run
from tests import builders as b
from tests.cli.test_cli import LINES, archive, groundswell
from tests.groundswell.store.test_search import admitted

TITLES = ("SVB halts withdrawals", "瑞信股价下跌", "=cmd|x", "Rates are held")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A live run of four documents, a minute apart."""
    store = Store(str(tmp_path / "desk.db"))
    open_run(store, LIVE_RUN, kind="live", instruments=b.instruments())
    documents = [
        b.a_document(document_id=f"{n:016x}", title=title, text="It was said on Monday." * 3, published_ms=b.T0_MS + n * 60_000)
        for n, title in enumerate(TITLES)
    ]
    who = {0: "SVB", 1: "CreditSuisse"}
    scores = [b.a_score(document_id=d.document_id, mentions=[Mention(who[n], 0, 2)] if n in who else []) for n, d in enumerate(documents)]
    with store.write() as connection:
        write_intake(store, connection, LIVE_RUN, documents=documents, scores=scores, admissions=admitted(documents, "scored"))
    store.close()
    return tmp_path


def ask(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return groundswell(*arguments, folder=folder, GROUNDSWELL_STORE_URL=str(folder / "desk.db"))


def test_documents_are_found_newest_first_by_words_names_and_times(folder: Path) -> None:
    done = ask(folder, "search", "monday", "--format", "jsonl", "--limit", "3")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["title"] for row in rows] == [*TITLES[:0:-1]]
    place = done.stderr.split("--below ")[1].strip()
    rest = ask(folder, "search", "monday", "--format", "jsonl", "--below", place)
    assert [json.loads(line)["title"] for line in rest.stdout.splitlines()] == [TITLES[0]]
    named = json.loads(ask(folder, "search", 'company:"Credit Suisse" 下跌', "--format", "jsonl").stdout)
    assert (named["companies"], named["sentiment"], named["p_negative"]) == (["CreditSuisse"], "negative", 0.9)
    assert named["quote"] == f"{named['title']}\n{'It was said on Monday.' * 3}"[named["quote_start"] : named["quote_end"]]
    table = ask(folder, "search", "svb", "--from", "2026-09-21", "--to", "2026-09-21T00:00:30")
    assert "SVB halts withdrawals" in table.stdout


def test_nothing_found_and_what_cannot_be_read_have_their_exit_codes(folder: Path) -> None:
    assert ask(folder, "search", "nowhere").returncode == 1
    broken = ask(folder, "search", "(a")
    assert (broken.returncode, "query, column 3" in broken.stderr) == (2, True)


def test_a_csv_holds_no_formula(folder: Path) -> None:
    (row,) = csv.DictReader(io.StringIO(ask(folder, "search", "cmd", "--format", "csv").stdout))
    assert row["title"] == "'=cmd|x"


def test_searches_and_companies_are_watched_listed_and_removed(folder: Path) -> None:
    file = folder / "exposure.csv"
    file.write_text("company,weight,owner\nCredit Suisse,0.08,analyst 2\nnobody at all,1,\nSVB,0.2,\n", encoding="utf-8")
    added = ask(folder, "watch", "add", str(file))
    assert added.returncode == 1
    assert added.stdout.startswith("2 companies taken, 1 lines not\nwatches ")
    assert added.stderr.startswith("exposure.csv, line 3: company 'nobody at all': the catalogue does not know it")
    assert ask(folder, "watch", "save", "halts", "company:svb (halt OR halts)").returncode == 0
    again = ask(folder, "watch", "save", "halts", "company:SVB (halt OR halts)")
    assert "nothing to do, this is watched already" in again.stdout
    rows = [json.loads(line) for line in ask(folder, "watch", "list", "--format", "jsonl").stdout.splitlines()]
    assert [(row["series"], row["query"], row["weight"], row["owner"]) for row in rows] == [
        ("watch:halts", "company:SVB (halt OR halts)", None, None),
        ("entity:SVB", None, 0.2, ""),
        ("entity:CreditSuisse", None, 0.08, "analyst 2"),
    ]
    kinds = [json.loads(line)["kind"] for line in ask(folder, "versions", "list", "--format", "jsonl").stdout.splitlines()]
    assert kinds.count("watches") == 2
    assert ask(folder, "watch", "remove", "halts", "SVB").returncode == 0
    left = ask(folder, "watch", "list", "--format", "jsonl").stdout
    assert [json.loads(line)["name"] for line in left.splitlines()] == ["CreditSuisse"]
    assert ask(folder, "watch", "remove", "halts").returncode == 2


def test_an_archive_is_counted_with_the_shipped_searches_with_ones_own_or_with_none(tmp_path: Path) -> None:
    file = archive(tmp_path / "march.jsonl", LINES)
    (tmp_path / "mine.toml").write_text('[searches]\nbranches = "branch OR company:SVB"\n')

    def watched(run: str, *given: str) -> list[str]:
        done = ask(tmp_path, "backfill", str(file), "--run", run, *given)
        assert done.returncode == 0, done.stderr
        listed = ask(tmp_path, "watch", "list", "--run", run, "--format", "jsonl").stdout
        return [json.loads(line)["name"] for line in listed.splitlines()]

    assert {"bank_stress", "trade_conflict"} < set(watched("shipped"))
    assert watched("own", "--watches", "mine.toml") == ["branches"]
    assert watched("none", "--no-watches") == []
    counted = ask(tmp_path, "series", "watch:branches", "--run", "own", "--window", "30d", "--format", "csv").stdout
    assert sum(int(row["documents"]) for row in csv.DictReader(io.StringIO(counted))) == 7
    both = ask(tmp_path, "backfill", str(file), "--run", "both", "--watches", "mine.toml", "--no-watches")
    assert (both.returncode, "give one of the two" in both.stderr) == (2, True)
