"""Reasons that the desk and the sources give are said in the reader's language, whatever stands in their places."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType

import pytest

from alerts import desk
from dashboards.board.reasons import REASONS, known, said
from groundswell.store import health
from tests.dashboards.board.test_languages import ENGLISH_TEXT, Texts

FIRST = ("hold: ", "word: ", "cooldown: ", "budget: ", "echo: ", "told: ", "over: ", "model_shift: ", "update: ", "not polled", "polls ",
         "heard for", "nothing new", "nobody misses", "its publisher has")  # fmt: skip


def texts(module: ModuleType) -> Iterator[str]:
    """Every text of a module, with 7 where a value stands; docstrings are none of them."""
    tree = ast.parse(inspect.getsource(module))
    inner = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node) if part is not node}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "7" for part in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner and "\n" not in node.value:
            yield node.value


NEWS = ("7 7, 7 were told", "7 owners, 7 were told", "tier 7, tier 7 was told", "it sees again", "blind again", "another risk, 7",
        "more than one origin, 7 stories")  # fmt: skip
"""What the desk says behind "update: "."""

IN_PARTS = {
    "budget: 7 alerts7 today, 7 allowed": "budget: 7 alerts of kind 7 today, 7 allowed",
    "polls 7: 7": "polls fail for 7: 7",
    "polls succeed, but 7": "polls succeed, but nothing new for 7, 7 is the most that is usual from that hour of the week on",
    "update: official word": "update: official word, 7 stories",
    "update: denied": "update: denied, 1 story",
}
"""Reasons that are put together from more than one text."""


def test_every_reason_that_the_desk_or_a_source_gives_is_known() -> None:
    found = {text for module in (desk, health) for text in texts(module)}
    assert set(NEWS) <= found
    reasons = {text for text in found if text.startswith(FIRST)} - {"update: 7", "update: tier", "update: "}
    assert len(reasons) >= 20
    assert [text for text in sorted(reasons) if known(IN_PARTS.get(text, text)) is None] == []
    assert [news for news in NEWS if known("update: " + news.replace("7 7,", "7 stories,")) is None] == []


@pytest.mark.parametrize(
    ("stored", "chinese"),
    [
        ("same incident", "属同一事件"),
        ("budget: 3 alerts of kind late today, 1 allowed", "预算：今日 <bdi>late</bdi> 类已发 <bdi>3</bdi> 条，上限 <bdi>1</bdi> 条"),
        ("not polled for 9 d 11 h: its crawler is silent", "已 <bdi>9天11小时</bdi> 未轮询：其抓取程序没有动静"),
        ("polls fail for 2 min: HTTP 503 <b>", "轮询已失败 <bdi>2分钟</bdi>：<bdi>HTTP 503 &lt;b&gt;</bdi>"),
    ],
)
def test_a_stored_reason_is_said_in_chinese_with_its_own_values(stored: str, chinese: str) -> None:
    assert said(stored, "zh") == chinese


def test_what_no_pattern_knows_and_every_reason_in_english_stays_as_it_was_written() -> None:
    assert said("it rained <i>", "zh") == '<span translate="no">it rained &lt;i&gt;</span>'
    assert said("same incident", "en") == '<span translate="no">same incident</span>'


def test_no_known_reason_leaves_a_word_of_english_in_a_chinese_page() -> None:
    for reason in REASONS:
        filled = reason.replace("{span}", "2 h").replace("{usual}", "1 d 2 h")
        for name in ("number", "limit", "series", "incident", "kind", "chance", "level", "share", "told", "tier", "text"):
            filled = filled.replace("{" + name + "}", "7")
        shown = Texts(str(said(filled, "zh"))).found
        assert not [word for text in shown for word in ENGLISH_TEXT.findall(text)], reason
