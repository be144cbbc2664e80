"""The report: what it shows of a run and of figures, and that it is one sound page that fetches nothing."""

import json
import re
from html.parser import HTMLParser
from typing import Any, Final

import pytest

from groundswell.errors import RecordError
from models.evaluate import ClassRow, Compared, Confusion, Measured
from models.metrics import BINS, Bin, Figure
from models.report import Beside, asked_only, figure_rows, group_title, largest_errors, report_html, shown_figures
from models.training_log import Log, curves_of, read_log, run_facts

VOID: Final = ("meta", "link")


def step(number: int, **fields: Any) -> str:
    record = {"step": number, "steps": 30, "epoch": (number - 1) // 10, "tokens": 100, "loss": {"topic": 1 / number}}
    return json.dumps(record | {"learning_rate": 1e-4, "seconds": 0.5} | fields)


def look(number: int, value: float, **fields: Any) -> str:
    figures = {"topic accuracy": value, "topic macro F1": value - 0.02, "spans F1": 0.5}
    return json.dumps({"step": number, "eval": {"held_out": figures}, "mean": value, "best": value} | fields)


def run() -> Log:
    """Twenty of thirty steps in two epochs, looked at after each; the first look was the better one."""
    return read_log([*(step(i) for i in range(1, 11)), look(10, 0.9), *(step(i) for i in range(11, 21)), look(20, 0.8)])


def measured(*, said: tuple[tuple[int, ...], ...] = ((8, 2, 0), (3, 6, 1)), corpus: str = "tfns", **changes: Any) -> Measured:
    """Two classes with ten rows each, one of them unanswered."""
    figure = Figure(0.7, 0.6, 0.8)
    classes = tuple(ClassRow(name, sum(row), row[0], figure, figure, figure) for name, row in zip(("down", "up"), said, strict=True))
    fields: dict[str, Any] = {
        "task": "sentiment", "scope": "corpus", "corpus": corpus, "model": "m-1", "texts": 20, "rows": 20, "unscored": 1,
        "figures": {"accuracy": figure, "macro_f1": Figure(0.69, 0.5, 0.8), "ece": Figure(0.05, 0.03, 0.2)}, "ece_bound": 0.12,
        "classes": classes, "confusion": Confusion(("down", "up"), said),
        "reliability": tuple(Bin(i / BINS, (i + 1) / BINS, 20 * (i == 12), 0.82 * (i == 12), 0.7 * (i == 12)) for i in range(BINS)),
    }  # fmt: skip
    return Measured(**(fields | changes))


def compared(value: float, **changes: Any) -> Compared:
    fields: dict[str, Any] = {
        "task": "sentiment", "scope": "corpus", "corpus": "tfns", "models": ("m-1", "c-1"), "texts": 20, "rows": 20, "agreement": 0.9,
        "only_first": 2, "only_second": 0, "p_value": 0.5, "changes": (),
        "differences": {"accuracy": Figure(value, value - 0.05, value + 0.05), "macro_f1": Figure(0.0, -0.1, 0.1)},
    }  # fmt: skip
    return Compared(**(fields | changes))


class Page(HTMLParser):
    """Whether tags nest, which ids there are, and what is fetched or pointed at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.links += [found[name] or "" for name in ("href", "src", "aria-labelledby") if name in found]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closed in itself."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}>"


# --- the log -----------------------------------------------------------------------------------------------------------
def test_a_resumed_run_counts_its_later_records_and_a_cut_line_is_left_out() -> None:
    log = read_log([step(1), step(2), step(2, loss={"topic": 7.0}), step(3)[:20]])
    assert sorted(log.steps) == [1, 2]
    assert log.steps[2]["loss"] == {"topic": 7.0}


@pytest.mark.parametrize("line", ["{", "[]", '{"step": "one", "loss": {}}', '{"step": 1}', '{"step": 1, "eval": {"held_out": 3}}'])
def test_a_line_that_is_no_record_is_named(line: str) -> None:
    with pytest.raises(RecordError, match=r"run\.jsonl, line 2: .*mend or remove the line"):
        read_log([step(1), line, step(3)], name="run.jsonl")


def test_curves_stand_under_what_they_are_of() -> None:
    shown = [(curve.group, curve.title, curve.legend) for curve in curves_of(run())]
    assert shown == [
        ("What decides which weights are kept", "mean of the held-out figures", ["mean"]),
        ("Held out", "topic accuracy and macro F1", ["accuracy", "macro F1"]),
        ("Held out", "spans F1", ["F1"]),
        ("Loss in training", "topic loss", ["loss"]),
        ("Learning rate", "learning rate", ["learning rate"]),
    ]


def test_a_curve_tells_its_best_point_and_ends_with_the_run() -> None:
    mean, *_, loss, _ = curves_of(run())
    assert (mean.last, mean.best) == ("0.800", "highest 0.900 at step 10")
    assert loss.best == ""  # the least loss of one batch says nothing
    assert mean.steps.labels == ["0", "10", "20"]
    assert mean.rows == [["10", "0.900"], ["20", "0.800"]]


def test_calibration_error_has_a_chart_of_its_own_for_which_low_is_good() -> None:
    log = read_log([json.dumps({"step": i, "eval": {"mine": {"accuracy": 0.9, "ece": 0.1 * i}}}) for i in (1, 2)])
    first, second = curves_of(log)
    assert (first.title, second.title) == ("accuracy", "calibration error")
    assert second.best == "lowest 0.100 at step 1"


def test_a_loss_that_went_astray_is_told_and_not_drawn() -> None:
    curve = next(c for c in curves_of(read_log([step(1), step(2, loss={"topic": None}), step(3)])) if c.title == "topic loss")
    assert curve.lost == 1
    assert "nan" not in str(curve.chart)
    assert "1 point not drawn: no number." in report_html("r", log=read_log([step(1, loss={"topic": None})]))


def test_a_figure_that_is_always_0_and_a_single_point_can_be_seen() -> None:
    (curve,) = curves_of(read_log([json.dumps({"step": 5, "eval": {"mine": {"f1": 0.0}}})]))
    assert curve.values.labels == ["0.0", "0.5", "1.0"]
    assert 'class="points" d="M320.0 119.0h0"' in curve.chart


def test_a_long_run_is_drawn_with_few_points_and_its_band() -> None:
    log = read_log([step(i, loss={"topic": 2.0 if i == 700 else 1.0}) for i in range(1, 2_001)])
    curve = next(curve for curve in curves_of(log) if curve.title == "topic loss")
    assert str(curve.chart).count("<title>") <= 160
    assert 'class="band"' in curve.chart
    assert len(curve.rows) == 24
    assert curve.rows[-1][0] == "2,000"


def test_what_a_run_took() -> None:
    facts = dict(run_facts(run()))
    assert facts == {
        "Steps": "20 of 30", "Epochs begun": "2", "Evaluations": "2", "Tokens": "2,000", "Time in steps": "10 s",
        "Tokens per second": "200",
    }  # fmt: skip
    assert run_facts(Log()) == []


# --- figures -----------------------------------------------------------------------------------------------------------
def test_figures_stand_beside_those_of_the_control_model() -> None:
    beside = [Beside("linear", [measured(figures={"accuracy": Figure(0.6, 0.5, 0.7)})], [compared(0.1)])]
    first, second = figure_rows([measured()], beside)
    assert (first.title, first.rows, first.figures) == ("Twitter Financial News, sentiment", "Sentiment, 20 texts, 1 unscored", 2)
    ((value, difference),) = first.others
    assert value is not None
    assert difference is not None
    assert (value.value, difference.value) == (0.6, 0.1)
    assert (second.figure, second.figures, second.others[0][0]) == ("macro F1", 0, None)


def test_another_model_on_other_texts_is_not_set_beside() -> None:
    beside = [Beside("linear", [measured(texts=15)], [compared(0.1, texts=15)])]
    assert [row.others for row in figure_rows([measured()], beside)] == [[(None, None)]] * 2


def test_a_set_of_one_class_has_a_recall_and_nothing_else() -> None:
    one = measured(said=((8, 2, 0), (0, 0, 0)), classes=(ClassRow("down", 10, 8, None, None, Figure(0.9, 0.8, 1.0)),))
    assert asked_only(one) == "down"
    assert shown_figures(one) == ["accuracy"]
    (row,) = figure_rows([one], [])
    assert (row.figure, row.error) == ("recall of down", None)
    assert "This set asks for down alone" in report_html("r", measured=[one])


def test_pools_are_titled_by_what_they_hold() -> None:
    titles = [
        group_title(measured(scope=scope, corpus=name)) for scope, name in (("language", "all zh"), ("kind", "en post"), ("corpus", "own"))
    ]
    assert titles == ["All Chinese sets", "English posts", "own"]


def test_the_largest_errors_come_first_and_no_answer_is_one_of_them() -> None:
    found = [
        (error.gold, error.said, error.rows, error.share) for error in largest_errors(Confusion(("down", "up"), ((8, 2, 0), (3, 6, 1))))
    ]
    assert found == [("up", "down", 3, 0.3), ("down", "up", 2, 0.2), ("up", "no answer", 1, 0.1)]


# --- the page ----------------------------------------------------------------------------------------------------------
def whole() -> str:
    beside = [Beside("linear", [measured()], [compared(0.1)])]
    return report_html("en-1", facts=[("Model", "m-1")], log=run(), measured=[measured()], beside=beside, recipe="seed = 0  # of order")


def test_the_page_nests_its_tags_and_points_only_at_itself() -> None:
    html = whole()
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert [link for link in page.links if link.removeprefix("#") not in page.ids] == ["data:,"]
    assert not re.search(r"https?:|url\(|@import|<script", html)


def test_every_picture_is_told_in_words_or_hidden_beside_them() -> None:
    pictures = re.findall(r"<svg[^>]*>", whole())
    assert len(pictures) > 8
    assert all('aria-label="' in picture or 'aria-hidden="true"' in picture for picture in pictures)


def test_equal_input_gives_equal_bytes_and_the_parts_that_there_are() -> None:
    html = whole()
    assert html == whole()
    for words in ("Learning curves", "Hyper-parameters", "Where it errs", "seed = 0  # of order", "✓ within .120", "+.100"):
        assert words in html
    bare = report_html("empty")
    assert Page(bare).open == []
    assert "Learning curves" not in bare
    assert "Where it errs" not in bare


def test_what_others_wrote_is_shown_as_text() -> None:
    bad = "<script>alert(1)</script>"
    one = measured(corpus=bad, confusion=Confusion((bad, "up"), ((8, 2, 0), (3, 6, 1))))
    log = read_log([step(1, loss={bad: 1.0}), json.dumps({"step": 1, "eval": {bad: {bad: 0.5}}})])
    html = report_html(bad, facts=[(bad, bad)], log=log, measured=[one], beside=[Beside(bad, [one], [])], recipe=bad)
    assert "<script" not in html
    assert Page(html).open == []
