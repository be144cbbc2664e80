"""Every page in both languages: no string of a template lacks a translation, and no page in Chinese says anything in English."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, get_args

import jinja2
import pytest
from jinja2 import nodes

from dashboards.board import door, shell, words
from dashboards.board.admin_pages import RETRIED
from dashboards.board.inbox import FILTERS
from dashboards.board.people_pages import SAID as PEOPLE_SAID
from dashboards.board.reasons import REASONS
from dashboards.board.rehearsing import REHEARSED
from dashboards.board.token_forms import MADE, REVOKED
from dashboards.board.view import PANELS
from dashboards.board.watch_forms import SAID as WATCH_SAID
from dashboards.board.words import CHINESE, CODES, FLAG_TITLES, LANGUAGE_TITLES, TOPIC_TITLES, Clock
from groundswell.lifecycle import State
from groundswell.names import HOUR_MS, OUTBOX_STATES, SENTIMENTS
from groundswell.records import Act, AlertKind, Corrected, Kind, Role, Severity, VerdictWord
from groundswell.schedule import CATALOGUE, ERRORS, MODEL, RULES, WATCHES
from groundswell.silence import Judgement
from groundswell.store.accounts import ROLES
from groundswell.store.audit import ERRORS_SAVED, RULES_SAVED, RUN_ATTACHED
from groundswell.store.conditions import TITLES
from tests.dashboards.board.board_store import END_MS
from tests.dashboards.board.people_store import ALERT, PEOPLE, Office, an_office

BOARD: Final = Path(str(words.__file__)).parent
TEMPLATES: Final = sorted((BOARD / "templates").iterdir())
PLAIN: Final = re.compile(r"groundswell|JSON|doctype|html|[^A-Za-z]+|&\w+;|<code>.*?</code>", re.IGNORECASE)
ENGLISH_TEXT: Final = re.compile(r"[A-Za-z]{2,}")
SAID: Final = ("title", "aria-label", "placeholder", "label", "alt")
"""Attributes that a reader sees or hears."""


def constants(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Const) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, nodes.CondExpr):
        yield from constants(node.expr1)
        if node.expr2 is not None:
            yield from constants(node.expr2)


def words_of_templates() -> Iterator[tuple[str, str]]:
    for path in TEMPLATES:
        for call in jinja2.Environment().parse(path.read_text("utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "_":
                yield from ((path.name, text) for text in constants(call.args[0]))


def words_of_code() -> Iterator[tuple[str, str]]:
    for path in sorted(BOARD.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("say", "words") and node.args:
                for part in ast.walk(node.args[0]):
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield path.name, part.value


FIGURES: Final = {
    "judged", "precision", "precision of rule", "pings a day, median", "pings a day, p95", "pings a day, worst day", "days within budget",
    "missed", "minutes from public to first ping, median",
    *(f"seconds from {span}, {part}" for span in ("published to known", "known to sent") for part in ("median", "p95", "p99")),
}  # fmt: skip
"""Names of the monthly report's figures that the board shows."""

STORED: Final = {
    *get_args(Severity), *get_args(AlertKind), *get_args(Act), *get_args(VerdictWord), *get_args(Corrected), *get_args(State),
    *get_args(Judgement), *ROLES, *SENTIMENTS, *TITLES.values(), *TOPIC_TITLES.values(), *LANGUAGE_TITLES.values(), *FILTERS,
    *shell.TITLES.values(), "live", "demo", "backfill", "disabled", "forgotten", "due", "attempted", "sent", "failed", "joined", "held",
    *get_args(Kind), *get_args(Role), MODEL, RULES, CATALOGUE, ERRORS, WATCHES, "to come", "in force", "was", *WATCH_SAID,
    REHEARSED, RULES_SAVED, ERRORS_SAVED, RUN_ATTACHED,
    MADE, REVOKED, *PEOPLE_SAID, RETRIED, *OUTBOX_STATES, "signed in", "signed out", "sign-in refused", "sign-in locked",
    "People", "What happened", "Outbox", *shell.THEMES,
        "Messages", "Messages a day", "Incidents", "of these, not in the other", "Updates", "Would not have been told",
    "Would have been told besides", "Told by both",
    *REASONS, *FLAG_TITLES.values(), *(title for _, title in PANELS.values()), *FIGURES,
}  # fmt: skip
"""Words that a template takes from what is stored."""


def test_every_word_of_templates_code_and_stored_lists_has_its_chinese() -> None:
    found = [*words_of_templates(), *words_of_code(), *(("stored", word) for word in STORED)]
    said = [(place, CODES.get(text, text)) for place, text in found]
    assert len(said) > 250
    assert sorted({(place, text) for place, text in said if text not in CHINESE and ENGLISH_TEXT.search(text)}) == []


def test_a_translation_fills_the_same_places() -> None:
    places = re.compile(r"\{\w+\}")
    assert {text: chinese for text, chinese in CHINESE.items() if sorted(places.findall(text)) != sorted(places.findall(chinese))} == {}


class Texts(HTMLParser):
    """What a template or a page says to a reader: texts and some attributes, without those in another language."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._foreign: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        foreign = given.get("translate") == "no" or "id" in (given.get("class") or "").split() or (tag != "html" and "lang" in given)
        if tag in ("style", "script", "code", "bdi", "pre", "title", "time") or foreign or self._foreign:
            if tag not in ("input", "link", "meta", "br", "col"):
                self._foreign.append(tag)
            return
        self.found += [value for name, value in attrs if name in SAID and value]

    def handle_endtag(self, tag: str) -> None:
        if self._foreign and tag == self._foreign[-1]:
            self._foreign.pop()

    def handle_data(self, data: str) -> None:
        if not self._foreign:
            self.found.append(data)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_says_nothing_but_through_its_words(path: Path) -> None:
    bare = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", path.read_text("utf-8"), flags=re.DOTALL)
    allowed = {"groundswell", "min", "h", "d"}
    left = [word for text in Texts(bare).found for word in ENGLISH_TEXT.findall(text) if word.lower() not in allowed]
    assert [word for word in left if word not in ("kbd", "Enter")] == []


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with an_office(tmp_path_factory.mktemp("office")) as made:
        yield made


PAGES: Final = (
    "/inbox?state=all", "/", "/board/2", "/why-not?series=entity:LinlanBank&at=2026-03-10T06:00Z",
    "/alerts", f"/alerts/{ALERT.id}", "/search", "/search?q=headline", "/search?q=nowhere",
    "/series?key=entity:LinlanBank", "/series?key=topic:debt_credit:zh", "/watchlist", "/sources", "/me", "/rules",
)  # fmt: skip
KEPT: Final = frozenset({"groundswell", "json", "slack", "utc", "enter", "fx", "csv"})
"""Names, and words that are the same in Chinese."""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_in_chinese_says_nothing_in_english_and_says_which_language_it_is_in(office: Office, path: str) -> None:
    browser = office.browser("mei")
    browser.post("/language", {"language": "zh", "next": "/"})
    page = browser.get(path).text
    assert '<html lang="zh-Hans">' in page
    data = re.compile("|".join(map(re.escape, (ALERT.title, "Linlan Bank", *PEOPLE, *(quote.title for quote in ALERT.evidence)))))
    left = {word for text in Texts(page).found for word in ENGLISH_TEXT.findall(data.sub("", text)) if word.lower() not in KEPT}
    assert sorted(left) == []


def test_the_choice_is_kept_in_the_account_or_without_one_in_the_browser(office: Office, tmp_path: Path) -> None:
    office.browser("rob").post("/language", {"language": "zh", "next": "/alerts"})
    assert '<html lang="zh-Hans">' in office.browser("rob").get("/alerts").text
    stranger = office.browser()
    assert '<html lang="en">' in stranger.get("/login").text
    assert stranger.post("/language", {"language": "zh", "next": "/login"}).headers["location"] == "/login"
    assert "登录" in stranger.get("/login").text
    assert stranger.post("/language", {"language": "xx"}).status == 400


def test_the_installations_language_and_zone_hold_until_a_reader_chooses(tmp_path: Path) -> None:
    with an_office(tmp_path, language="zh", tz="Asia/Shanghai") as office:
        browser = office.browser("mei")
        page = browser.get("/sources").text
        assert "2026-03-10 20:00:00 UTC+08:00" in page
        assert '<html lang="zh-Hans">' in page
        browser.get("/me")
        assert browser.post("/me/save", {"language": "en", "zone": "America/New_York"}).status == 303
        page = browser.get("/sources").text
        assert "2026-03-10 08:00:00 UTC-04:00" in page
        assert '<html lang="en">' in page
        refused = browser.post("/me/save", {"language": "en", "zone": "Mars/Olympus"})
        assert refused.status == 400
        assert "Mars/Olympus" in refused.text


@pytest.mark.parametrize(
    ("language", "span", "ticks", "ago"),
    [
        ("en", "Tue 10 Mar 11:00 to 12:00", ["10 Mar 10:00", "11:00"], "1 h 2 min"),
        ("zh", "周二 3月10日 11:00 至 12:00", ["3/10 10:00", "11:00"], "1小时2分钟"),
    ],
)
def test_times_are_said_in_the_readers_language(language: str, span: str, ticks: list[str], ago: str) -> None:
    clock = Clock("UTC", language)
    assert clock.span(END_MS - HOUR_MS, END_MS) == span
    assert clock.ticks([END_MS - 2 * HOUR_MS, END_MS - HOUR_MS], step_ms=HOUR_MS) == ticks
    assert clock.ago(3_720_000) == ago


def test_the_door_knows_no_language_that_the_words_do_not(office: Office) -> None:
    browser: Any = office.browser()
    browser.cookies[door.LANGUAGE_COOKIE] = "<b>"
    assert '<html lang="en">' in browser.get("/login").text
