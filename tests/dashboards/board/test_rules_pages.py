"""Rules on the board: shown with what they mean, rehearsed, saved; what is wrong is named, and the running rules stay."""

import threading
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from alerts.rules_text import text_of
from dashboards.board.rehearsing import WITHIN_MS
from dashboards.board.rules_forms import TEXT_BYTES_MAX
from groundswell.names import LIVE_RUN
from groundswell.records import Verdict
from groundswell.rehearsed import Comparison
from groundswell.schedule import RULES
from groundswell.store.actions import record_verdict
from groundswell.store.audit import entries
from groundswell.store.query import alerts_of
from groundswell.store.versions import AHEAD_MS, read_schedule, rules_text_of
from stream.shells.try_rules import TryRules
from tests.dashboards.board.people_store import Browser, Office
from tests.dashboards.board.rules_store import NOW_MS, OWN, STRICT, a_rules_office

WITHIN_S = 180.0
HOSTILE = "# <script>alert(1)</script> \u202etxt.exe\n"


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with a_rules_office(tmp_path) as made:
        yield made


def rehearse(browser: Browser, text: str, days: str = "365") -> tuple[str, str]:
    """Ask for a rehearsal and wait for its page; returns its address and what it says."""
    browser.get("/rules/edit")
    answer = browser.post("/rules/rehearse", {"text": text, "days": days})
    assert answer.status == 303, answer.text
    return (place := urlsplit(answer.headers["location"]).path), wait(browser, place)


def wait(browser: Browser, place: str) -> str:
    deadline = time.monotonic() + WITHIN_S
    while "data-wait" in (page := unescape(browser.get(place).text)):
        assert time.monotonic() < deadline, "the rehearsal does not end"
    return page


def in_force(office: Office) -> list[tuple[str, int]]:
    with office.store.read() as connection:
        return [(row.hash, row.effective_ms) for row in read_schedule(connection, LIVE_RUN).of(RULES)]


def audited(office: Office) -> list[tuple[str, str]]:
    with office.store.read() as connection:
        return [(entry.who, entry.what) for entry in entries(connection) if "rules" in entry.what]


def test_the_rules_in_force_are_shown_with_what_each_number_means_and_their_versions(office: Office) -> None:
    page = unescape(office.browser("rob").get("/rules").text)
    assert f"<code>{OWN.hash}</code> are in force since the beginning" in page
    assert "Pings a day (UTC, known time) over all series." in page
    assert f'<code>budget_per_day</code> <b class="value" translate="no">{OWN.desk.budget_per_day}</b>' in page
    assert f'href="/rules/versions/{OWN.hash}"' in page
    assert "/rules/edit" not in page
    twin = office.browser("rob").get("/api/rules.json").json()
    assert (twin["rules"]["desk"]["budget_per_day"], twin["text"]) == (OWN.desk.budget_per_day, text_of(OWN))
    assert [row["hash"] for row in twin["versions"]] == [OWN.hash]


def test_a_rehearsal_says_what_would_come_and_go_beside_what_was_sent_with_links_and_verdicts(office: Office) -> None:
    with office.store.write() as connection:
        sent = alerts_of(connection, LIVE_RUN)
        for alert in sent:
            record_verdict(connection, LIVE_RUN, Verdict(alert=alert.id, at_ms=1, who="mei", word="old_news"))
    mei = office.browser("mei")
    place, page = rehearse(mei, text_of(STRICT))
    assert f'<th scope="row">Messages</th><td class="number">{len(sent)}</td>' in page
    goes, comes = page.index('<h2 id="goes">'), page.index('<h2 id="comes">')
    assert page.count('href="/alerts/', goes, comes) > 0
    assert page.count(">old news<", goes, comes) == page.count('href="/alerts/', goes, comes)
    assert "budget_per_day = 1" in page
    assert "Save these rules" in page
    assert mei.post("/rules/rehearse", {"text": text_of(STRICT), "days": "365"}).headers["location"].endswith(place)
    assert "Messages" in wait(office.browser("rob"), place), "the link shows it again, to everybody"
    assert ("mei", "rules rehearsed") in audited(office)
    assert in_force(office) == [(OWN.hash, 0)]


def test_what_was_rehearsed_is_saved_a_minute_ahead_with_its_comments_and_the_log_says_who(office: Office) -> None:
    mei = office.browser("mei")
    text = HOSTILE + text_of(STRICT)
    place, page = rehearse(mei, text)
    assert "<script>alert" not in mei.get(place).text
    assert "# <script>alert(1)</script> [U+202E]txt.exe" in page
    said = mei.post("/rules/save", {"rehearsal": place.rpartition("/")[2]})
    assert said.status == 303
    page = unescape(mei.get(said.headers["location"]).text)
    assert "Recorded for <bdi>mei</bdi>" in page
    assert f"<code>{STRICT.hash}</code> come into force at" in page
    assert in_force(office) == [(OWN.hash, 0), (STRICT.hash, NOW_MS + AHEAD_MS)]
    assert sorted(audited(office)) == [("mei", "rules rehearsed"), ("mei", "rules saved")]
    with office.store.read() as connection:
        assert rules_text_of(connection, STRICT.hash) == text
    version = mei.get(f"/rules/versions/{STRICT.hash}").text
    assert "<script>alert" not in version
    assert "budget_per_day = 1" in version
    assert "saved by <bdi>mei</bdi>" in version
    assert "Recorded for" not in office.browser("ada").get(said.headers["location"]).text


def test_a_typo_is_named_with_line_key_and_nearest_key_the_text_stays_and_nothing_is_rehearsed(office: Office) -> None:
    mei = office.browser("mei")
    mei.get("/rules/edit")
    text = text_of(OWN).replace("budget_per_day", "budget_per_dag")
    answer = mei.post("/rules/rehearse", {"text": text, "days": "30"})
    page = unescape(answer.text)
    line = text[: text.index("budget_per_dag")].count("\n") + 1
    assert answer.status == 400
    assert f"the rules:{line}: desk.budget_per_dag: there is no such key, did you mean 'budget_per_day'?" in page
    assert text in page
    assert '<option value="30" selected>' in page
    assert (in_force(office), audited(office)) == ([(OWN.hash, 0)], [])


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("", 400), ("x = " + "[" * 50_000, 400), ("\x00", 400), ("[surge]\nforming_days = nan", 400), ("= " * 1000, 400),
        ("</textarea><script>alert(1)</script>", 400), ("x" * TEXT_BYTES_MAX, 413),
    ],
)  # fmt: skip
def test_a_hostile_text_is_refused_and_runs_nothing(office: Office, text: str, status: int) -> None:
    mei = office.browser("mei")
    mei.get("/rules/edit")
    answer = mei.post("/rules/rehearse", {"text": text, "days": "30"})
    assert answer.status == status
    assert "<script>alert" not in answer.text
    assert in_force(office) == [(OWN.hash, 0)]


def test_only_what_was_rehearsed_against_the_newest_rules_is_saved(office: Office) -> None:
    mei, ada = office.browser("mei"), office.browser("ada")
    assert mei.post("/rules/save", {"rehearsal": "0" * 16}).status == 404
    first, _ = rehearse(mei, text_of(STRICT))
    second, _ = rehearse(ada, text_of(STRICT).replace("budget_per_day = 1", "budget_per_day = 2"))
    assert ada.post("/rules/save", {"rehearsal": second.rpartition("/")[2]}).status == 303
    refused = mei.post("/rules/save", {"rehearsal": first.rpartition("/")[2]})
    assert (refused.status, "rehearse it again" in refused.text) == (400, True)
    assert "Other rules came in since this was rehearsed" in mei.get(first).text
    assert [at_ms for _, at_ms in in_force(office)] == [0, NOW_MS + AHEAD_MS]


def test_the_same_rules_with_other_comments_are_no_version(office: Office) -> None:
    mei = office.browser("mei")
    place, page = rehearse(mei, "# another word\n" + text_of(OWN))
    assert "These are the newest rules already." in page
    assert mei.post("/rules/save", {"rehearsal": place.rpartition("/")[2]}).status == 400
    assert in_force(office) == [(OWN.hash, 0)]


def test_a_reader_may_neither_rehearse_nor_save_and_is_offered_neither(office: Office) -> None:
    place, _ = rehearse(office.browser("mei"), text_of(STRICT))
    rob = office.browser("rob")
    for path, form in (("/rules/rehearse", {"text": text_of(STRICT)}), ("/rules/save", {"rehearsal": place.rpartition("/")[2]})):
        answer = rob.post(path, form)
        assert (answer.status, "the role analyst is needed for this" in answer.text) == (403, True)
        assert path not in rob.get(place).text + rob.get("/rules/edit").text
    assert in_force(office) == [(OWN.hash, 0)]


def test_what_is_not_there_is_said_to_be_missing(office: Office) -> None:
    rob = office.browser("rob")
    for path in ("/rules/versions/nothing", "/rules/rehearsals/nothing", "/rules/edit?version=nothing", "/rules/edit?rehearsal=nothing"):
        assert rob.get(path).status == 404, path


# --- one at a time, within bounds --------------------------------------------------------------------------------------------------
class Slow(TryRules):
    """Waits in the middle until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def read(self, text: str) -> tuple[str, bytes]:
        return text, b"{}"

    def text_of(self, content: bytes) -> str:
        return text_of(OWN)

    def compare(self, text: str, run: str, *, before: str, from_ms: int, to_ms: int, beat: Callable[[float], None]) -> Comparison:
        beat(0.25)
        self.begun.set()
        assert self.go.wait(WITHIN_S)
        beat(0.5)
        nothing: dict[str, Any] = {
            "start_ms": from_ms,
            "end_ms": to_ms,
            "sent": [],
            "would": [],
            "held": {},
            "documents": 1,
            "forming_ms": 0,
            "unlike": 0,
        }
        return Comparison(run=run, before=before, rules=text, **nothing)


class Broken(Slow):
    """Rules that no detector can work with."""

    def compare(self, *_: object, **__: object) -> Comparison:
        message = "float division by zero"
        raise ZeroDivisionError(message)


def test_rules_that_break_a_detector_are_said_to_and_cannot_be_saved(tmp_path: Path) -> None:
    with a_rules_office(tmp_path, rules=Broken()) as office:
        mei = office.browser("mei")
        place, page = rehearse(mei, "a")
        assert "these rules: float division by zero" in page
        assert mei.post("/rules/save", {"rehearsal": place.rpartition("/")[2]}).status == 404
        assert in_force(office) == [(OWN.hash, 0)]


def begun(slow: Slow, browser: Browser) -> str:
    browser.get("/rules/edit")
    place = browser.post("/rules/rehearse", {"text": "a", "days": "30"}).headers["location"]
    assert slow.begun.wait(WITHIN_S)
    return place


def test_while_one_is_under_way_its_page_says_how_far_and_another_has_to_wait(tmp_path: Path) -> None:
    slow = Slow()
    with a_rules_office(tmp_path, rules=slow) as office:
        mei, ada = office.browser("mei"), office.browser("ada")
        place = begun(slow, mei)
        assert "Under way: 25" in mei.get(place).text
        ada.get("/rules/edit")
        refused = ada.post("/rules/rehearse", {"text": "b", "days": "30"})
        assert (refused.status, "that of mei is under way" in refused.text) == (409, True)
        assert mei.post("/rules/rehearse", {"text": "a", "days": "30"}).headers["location"] == place
        slow.go.set()
        assert "Would not have been told" in wait(mei, place)
        assert ada.post("/rules/rehearse", {"text": "b", "days": "30"}).status == 303


def test_one_that_takes_too_long_is_ended_with_the_reason(tmp_path: Path) -> None:
    slow = Slow()
    with a_rules_office(tmp_path, rules=slow) as office:
        mei = office.browser("mei")
        place = begun(slow, mei)
        office.clock.advance(WITHIN_MS + 1)
        slow.go.set()
        page = wait(mei, place)
        assert "50% was done after 180 s; choose a shorter span" in page
        assert mei.get(place).status == 400
        assert audited(office) == []
