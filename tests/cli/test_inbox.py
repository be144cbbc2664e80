"""The inbox and what people do and say, as it is typed."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from groundswell.cli import root
from groundswell.errors import GroundswellError
from groundswell.exports import iso
from groundswell.local_log import LocalLog
from groundswell.records import Alert
from groundswell.store.actions import actions_of, corrections_of, misses_of
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from tests import builders as b

RUN = "live"
RULES = msgspec.structs.replace(b.easy_rules(), desk=msgspec.structs.replace(b.easy_rules().desk, incident_quiet_s=10**8))
"""A quiet time of three years: nothing is over until somebody says so."""

Ask = Callable[..., Result]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A live run that led to incidents."""
    folder = tmp_path_factory.mktemp("inbox")
    store, instruments = Store(str(folder / "s.db")), b.instruments(RULES)
    open_run(store, RUN, kind="live", instruments=instruments)
    pipeline = EmbeddedPipeline(store, b.fill(LocalLog(folder / "log"), b.an_archive(1, records=300)), RUN, instruments)
    while pipeline.step(limit=100):
        pass
    pipeline.finish()
    store.close()
    return folder / "s.db"


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Iterator[Store]:
    (tmp_path / "desk.db").write_bytes(made.read_bytes())
    opened = Store(str(tmp_path / "desk.db"))
    yield opened
    opened.close()


@pytest.fixture
def ask(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, who: str | None = "ana", fails: type[BaseException] | None = None) -> Result:
        name = ["--who", who] if who else []
        environment = {"GROUNDSWELL_STORE_URL": store.url, "GROUNDSWELL_MODELS_USE": "linear"}
        done = CliRunner().invoke(root, [*arguments, *name], env=environment)
        if fails is None:
            assert done.exception is None, done.exception
        else:
            assert isinstance(done.exception, fails)
        return done

    return run


def rows(ask: Ask, *arguments: str, who: str = "ana") -> list[dict[str, Any]]:
    return [json.loads(line) for line in ask("inbox", *arguments, "--format", "jsonl", who=who).stdout.splitlines()]


def told(store: Store) -> list[Alert]:
    with store.read() as connection:
        return alerts_of(connection, RUN)


def test_every_incident_that_was_told_is_in_the_inbox_with_its_newest_alert(ask: Ask, store: Store) -> None:
    alerts = told(store)
    found = rows(ask)
    assert {row["incident"] for row in found} == {alert.incident for alert in alerts}
    assert len(found) >= 2
    for row in found:
        mine = [alert for alert in alerts if alert.incident == row["incident"]]
        assert (row["state"], row["holder"], row["updates"]) == ("open", None, len(mine) - 1)
        assert row["alert"] == max(mine, key=lambda alert: alert.update).id
    table = ask("inbox").stdout
    assert table.splitlines()[0].split()[:3] == ["incident", "state", "holder"]
    assert len(list(csv.DictReader(io.StringIO(ask("inbox", "--format", "csv").stdout)))) == len(found)


def test_what_is_mine_is_what_i_have_and_what_nobody_has(ask: Ask) -> None:
    first, second, *_ = (row["incident"] for row in rows(ask))
    assert ask("ack", first, "--note", "looking").stdout == f"incident {first}: acknowledge by ana; open -> acknowledged\n"
    assert ask("assign", second, "bo").stdout.endswith("open, as before\n")
    mine = {row["incident"]: row for row in rows(ask, "--mine")}
    assert first in mine
    assert second not in mine
    assert second in {row["incident"] for row in rows(ask, "--mine", who="bo")}
    assert first not in {row["incident"] for row in rows(ask, "--mine", who="bo")}
    assert [one["note"] for one in mine[first]["actions"]] == ["looking"]


def test_an_incident_goes_through_its_life_and_every_step_says_who(ask: Ask, store: Store) -> None:
    (incident, *_) = (row["incident"] for row in rows(ask))
    shown = [
        ask(*words).stdout
        for words in (
            ("ack", incident[:6]),
            ("comment", incident, "= called the bank"),
            ("snooze", incident, "--until", "+1h"),
            ("resolve", incident),
            ("reopen", incident),
        )
    ]
    assert [line.split("; ")[1].strip() for line in shown] == [
        "open -> acknowledged", "acknowledged, as before", "acknowledged, as before", "acknowledged -> resolved", "resolved -> reopened",
    ]  # fmt: skip
    assert "; snoozed until " in shown[2]
    assert "snoozed" not in shown[4]
    (row,) = (row for row in rows(ask) if row["incident"] == incident)
    assert [(step["state"], step["who"]) for step in row["steps"]] == [
        ("forming", None), ("open", None), ("acknowledged", "ana"), ("resolved", "ana"), ("reopened", "ana"),
    ]  # fmt: skip
    with store.read() as connection:
        assert [one.what for one in actions_of(connection, RUN, incident)] == ["acknowledge", "comment", "snooze", "resolve", "reopen"]


def test_what_is_over_is_left_out_unless_it_is_asked_for_or_has_moved_since(ask: Ask) -> None:
    (incident, *_) = (row["incident"] for row in rows(ask))
    before = len(rows(ask))
    ask("resolve", incident, who="bo")
    assert incident not in {row["incident"] for row in rows(ask)}
    assert len(rows(ask)) == before - 1
    assert len(rows(ask, "--all")) == before
    assert [row["state"] for row in rows(ask, "--since", "-1h") if row["incident"] == incident] == ["resolved"]


def test_since_last_is_since_i_last_did_or_said_anything(ask: Ask) -> None:
    first, second, *_ = (row["incident"] for row in rows(ask))
    assert len(rows(ask, "--since", "last")) == len(rows(ask, "--all"))
    ask("ack", first)
    ask("ack", second, who="bo")
    assert {row["incident"] for row in rows(ask, "--since", "last")} == {first, second}
    ask("comment", second, "mine now")
    assert [row["incident"] for row in rows(ask, "--since", "last")] == [second]


def test_a_muted_incident_says_so(ask: Ask) -> None:
    (incident, *_) = (row["incident"] for row in rows(ask))
    assert "; muted by ana on " in ask("mute", incident).stdout
    assert [row["quiet"] for row in rows(ask) if row["incident"] == incident] == ["muted"]


def test_a_verdict_is_of_an_alert_and_a_later_one_counts_in_its_place(ask: Ask, store: Store) -> None:
    alert = told(store)[0]
    assert "true by ana; it counts as true, 1 judged it" in ask("verdict", alert.id, "true").stdout
    assert "old_news by ana; it counts as old_news, 1 judged it" in ask("verdict", alert.id[:8], "old-news").stdout
    assert "2 judged it" in ask("verdict", alert.id, "old_news", who="bo").stdout
    refused = ask("verdict", alert.id, "maybe", fails=GroundswellError)
    assert "it is one of true, false, old_news" in str(refused.exception)


def test_a_correction_names_its_document_and_is_checked(ask: Ask, store: Store) -> None:
    document = told(store)[0].evidence[0].document_id
    done = ask("correct", document, "--sentiment", "neutral", "--topic", "debt_credit")
    assert done.stdout == f"document {document}: sentiment is neutral, topic is debt_credit, says ana\n"
    with store.read() as connection:
        assert {(one.what, one.value) for one in corrections_of(connection)} == {("sentiment", "neutral"), ("topic", "debt_credit")}
    assert "nothing is corrected" in str(ask("correct", document, fails=GroundswellError).exception)
    unknown = ask("correct", document, "--not-company", "Nobody At All", fails=GroundswellError)
    assert "no company is called so" in str(unknown.exception)


def test_what_was_missed_is_recorded_with_what_stood_between(ask: Ask, store: Store) -> None:
    alert = told(store)[-1]
    before = iso(alert.opened_ms - 2 * 86_400_000)
    stopped = ask("missed", alert.series, "--at", before, "--note", "the regulator's notice")
    assert f"{alert.series}, as known until" in stopped.stdout
    unknown = ask("missed", "Nobody At All", "--at", before)
    assert "no company, topic or series is called so" in unknown.stdout
    with store.read() as connection:
        first, second = misses_of(connection, RUN)
    assert (first.name, first.note, iso(first.moment_ms)) == (alert.series, "the regulator's notice", before)
    assert first.gate.startswith(("stopped at ", "held by the desk: ", "nothing fresh", "it did tell: alert "))
    assert f"recorded as missed by ana: {alert.series} at {before}; {first.gate}" in stopped.stdout
    assert second.gate.startswith("not followed: ")


def test_an_id_that_is_nobodys_says_where_to_look(ask: Ask) -> None:
    refused = ask("ack", "zzzz", fails=GroundswellError)
    assert "no alert or incident has that id; `groundswell inbox` lists them" in str(refused.exception)


def test_the_months_report_says_what_is_known_and_where_there_is_too_little(ask: Ask, store: Store, tmp_path: Path) -> None:
    alerts = told(store)
    month = iso(alerts[0].opened_ms)[:7]
    ask("verdict", alerts[0].id, "true")
    printed = ask("quality", "report", "--month", month, "--format", "jsonl", who=None).stdout
    found = {(row["figure"], row["group"]): row for row in map(json.loads, printed.splitlines())}
    in_month = [alert for alert in alerts if iso(alert.opened_ms)[:7] == month]
    assert found["alerts", "all"]["value"] == len(in_month)
    assert found["verdicts", "true"]["value"] == 1
    assert found["precision", "all"]["value"] is None
    assert "not enough data: 1 of 1, 10 are needed" in found["precision", "all"]["note"]
    assert "give --incidents FILE" in found["minutes from public to first ping, median", "all"]["note"]
    listed = tmp_path / "listed.csv"
    first = alerts[0]
    span = f"{iso(first.opened_ms - 3_600_000)},{iso(first.opened_ms + 3_600_000)}"
    listed.write_text(f"series,start,end,name\n{first.series},{span},it\nentity:Nobody,{span},another\n", encoding="utf-8")
    printed = ask("quality", "report", "--month", month, "--incidents", str(listed), "--format", "jsonl", who=None).stdout
    notes = {row["figure"]: row["note"] for row in map(json.loads, printed.splitlines())}
    assert notes["listed events told"] == "not enough data: 1 of 2, 10 are needed"
    assert notes["minutes from public to first ping, median"] == "not enough data: 1, 10 are needed"
    assert "figure" in ask("quality", "report", who=None).stdout
    refused = ask("quality", "report", "--month", "november", who=None, fails=GroundswellError)
    assert "--month 'november': not a month; write it as 2025-11" in str(refused.exception)


def test_labels_are_written_with_a_recipe_that_data_check_reads(ask: Ask, store: Store, tmp_path: Path) -> None:
    alert = told(store)[0]
    ask("correct", alert.evidence[0].document_id, "--sentiment", "neutral")
    ask("verdict", alert.id, "true")
    done = ask("labels", "export", str(tmp_path / "labels"), "--verdicts", who=None)
    assert "corrections_en_news.jsonl: 1 texts" in done.stdout
    assert "labels.toml: 2 tables [[data.user]]" in done.stdout
    checked = ask("data", "check", str(tmp_path), "--recipe", str(tmp_path / "labels" / "labels.toml"), who=None)
    assert "corrections_en_news" in checked.stdout
