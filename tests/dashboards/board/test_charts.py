import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from dashboards.board.charts import LARGE, SMALL, Marks, axis, chart, daybars, sentence, sight
from dashboards.board.words import Clock
from groundswell.names import DAY_MS, HOUR_MS
from groundswell.store.grid import Cell
from groundswell.store.health import SourceHealth
from groundswell.windows import wilson
from tests.alerts.alert_factory import an_alert

UTC = Clock("UTC")


def a_cell(hour: int, documents: int, negative: int, *, complete: bool = True, exposure: float | None = 1.0) -> Cell:
    low, high = wilson(negative, documents) if documents else (None, None)
    return Cell(
        start_ms=hour * HOUR_MS,
        end_ms=(hour + 1) * HOUR_MS,
        documents=documents,
        negative=negative,
        share=negative / documents if documents else None,
        low=low,
        high=high,
        complete=complete,
        exposure=exposure,
    )


def drawn(*cells: Cell, marks: Marks | None = None) -> ElementTree.Element:
    return ElementTree.fromstring(chart(cells, label="a chart", clock=UTC, marks=marks))


def of_class(picture: ElementTree.Element, name: str) -> list[ElementTree.Element]:
    return [element for element in picture.iter() if element.get("class") == name]


def points(element: ElementTree.Element) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r"(-?[\d.]+),(-?[\d.]+)", element.get("points", ""))]


def test_a_share_of_all_is_at_the_top_and_of_none_at_the_foot_of_its_area() -> None:
    (line,) = of_class(drawn(a_cell(0, 4, 4), a_cell(1, 4, 0)), "line")
    (_, top), (_, foot) = points(line)
    assert top == 1.0
    assert foot == SMALL.share_height - 1


def test_the_band_lies_around_the_line() -> None:
    picture = drawn(a_cell(0, 40, 10), a_cell(1, 40, 20))
    (line,), (band,) = of_class(picture, "line"), of_class(picture, "band")
    heights = [y for _, y in points(band)]
    assert min(heights) < min(y for _, y in points(line))
    assert max(heights) > max(y for _, y in points(line))


def test_a_window_without_documents_is_a_gap_and_never_a_share_of_nothing() -> None:
    picture = drawn(a_cell(0, 4, 2), a_cell(1, 4, 2), a_cell(2, 0, 0), a_cell(3, 4, 2), a_cell(4, 4, 2))
    assert len(of_class(picture, "line")) == 2
    assert len(of_class(picture, "bar")) == 4


def test_a_window_that_is_still_filling_hangs_on_a_dashed_line_from_the_last_complete_one() -> None:
    picture = drawn(a_cell(0, 4, 2), a_cell(1, 4, 1), a_cell(2, 4, 4, complete=False))
    (closed,), (filling,) = of_class(picture, "line"), of_class(picture, "line open")
    assert len(points(closed)) == 2
    assert points(filling)[0] == points(closed)[-1]
    assert len(of_class(picture, "bar open")) == 1


def test_neighbouring_windows_of_the_same_blindness_are_one_hatch() -> None:
    cells = [a_cell(0, 1, 0), a_cell(1, 0, 0, exposure=0.2), a_cell(2, 0, 0, exposure=0.1), a_cell(3, 1, 1, exposure=0.7)]
    fills = [(element.get("fill"), element.get("width")) for element in drawn(*cells).iter() if element.get("fill")]
    assert fills == [("url(#hatch-blind)", "160"), ("url(#hatch)", "80")]


@pytest.mark.parametrize(
    ("exposure", "pattern"), [(0.9, ""), (0.899, "hatch"), (0.5, "hatch"), (0.499, "hatch-blind"), (0.0, "hatch-blind")]
)
def test_the_density_of_the_hatch_follows_the_rules_limits(exposure: float, pattern: str) -> None:
    assert sight(exposure) == pattern


def test_an_hour_whose_exposure_is_not_known_yet_is_not_called_blind() -> None:
    assert sight(None) == ""


def test_forming_and_unknown_spans_are_shaded_from_their_own_ends() -> None:
    cells = [a_cell(hour, 1, 0) for hour in range(4)]
    picture = drawn(*cells, marks=Marks(forming=(-HOUR_MS, HOUR_MS), known_ms=3 * HOUR_MS))
    assert [(element.get("x"), element.get("width")) for element in of_class(picture, "forming")] == [("0", "80")]
    (promoted,) = of_class(drawn(*cells, marks=Marks(forming=(HOUR_MS, 3 * HOUR_MS))), "forming")
    assert (promoted.get("x"), promoted.get("width")) == ("80", "160"), "a model that was promoted in the middle"
    assert of_class(drawn(*cells, marks=Marks(forming=(HOUR_MS, HOUR_MS))), "forming") == []
    assert [(element.get("x"), element.get("width")) for element in of_class(picture, "later")] == [("240", "80")]


def test_an_alert_is_marked_at_its_moment_and_one_outside_is_not() -> None:
    inside, outside = an_alert(by="count", opened_ms=HOUR_MS), an_alert(by="count", opened_ms=99 * HOUR_MS)
    picture = drawn(a_cell(0, 1, 0), a_cell(1, 1, 1), marks=Marks(alerts=[inside, outside]))
    (mark,) = of_class(picture, "mark high")
    (line,) = [element for element in mark if element.tag == "line"]
    assert line.get("x1") == "160"


def test_every_window_has_its_figures_for_a_pointer() -> None:
    picture = drawn(a_cell(5, 10, 4), a_cell(6, 0, 0, exposure=0.25), a_cell(7, 2, 1, complete=False))
    said = [element.text for element in picture.iter("title")]
    assert said == [
        "Thu 1 Jan 05:00 to 06:00; 40 % negative (19 % to 65 %), 4 of 10",
        "Thu 1 Jan 06:00 to 07:00; no documents; 25 % of the usual volume was seeing",
        "Thu 1 Jan 07:00 to 08:00; 50 % negative (12 % to 88 %), 1 of 2; still filling",
    ]


def test_a_picture_is_said_in_one_sentence_and_its_label_is_escaped() -> None:
    cells = [a_cell(0, 10, 1), a_cell(1, 10, 6), a_cell(2, 1, 0, complete=False, exposure=0.4)]
    assert sentence("Linlan", cells, alerts=2, clock=Clock("UTC")) == (
        "Linlan: negative share 60 % in the last complete window with documents, between 10 % and 60 % over 3 windows; "
        "21 documents; 1 window with sources missing; 2 alerts"
    )
    assert 'aria-label="&lt;b&gt; &#34;x&#34;"' in chart(cells, label='<b> "x"', clock=UTC)


def test_the_large_chart_draws_the_baseline_share_and_the_alerts_window() -> None:
    cells = [a_cell(hour, 4, 1) for hour in range(8)]
    marks = Marks(span=(2 * HOUR_MS, 4 * HOUR_MS), baseline=0.25)
    picture = ElementTree.fromstring(chart(cells, label="x", clock=UTC, shape=LARGE, marks=marks))
    (span,), (baseline,), (line,) = of_class(picture, "span"), of_class(picture, "baseline"), of_class(picture, "line")
    assert (span.get("x"), span.get("width")) == ("240", "240")
    assert {y for _, y in points(line)} == {float(baseline.get("y1", "0"))}


def test_the_axis_has_equal_parts_and_says_the_day_only_when_it_changes() -> None:
    labels = axis([a_cell(hour, 0, 0) for hour in range(20, 44)], UTC, labels=7)
    assert labels == ["1 Jan 20:00", "2 Jan 00:00", "04:00", "08:00", "12:00", "16:00"]


def test_windows_that_cannot_be_parted_evenly_still_have_labels_at_their_true_times() -> None:
    assert axis([a_cell(hour, 0, 0) for hour in range(31)], UTC) == ["1 Jan 00:00", "07:45", "15:30", "23:15"]


def a_source(*, days: tuple[int, ...], was_blind: tuple[tuple[int, int], ...] = (), blind_since_ms: int | None = None) -> SourceHealth:
    return SourceHealth(
        source="wire", state="live" if blind_since_ms is None else "blind", since_ms=blind_since_ms, why="", last_known_ms=0,
        expected_ms=1, patience_ms=2, was_blind=was_blind, days=days, polled_ms=None, ok_ms=None, poll_reason=None,
    )  # fmt: skip


def test_blindness_is_hatched_on_the_day_bars_where_it_was() -> None:
    spans = ((10 * DAY_MS, 28 * DAY_MS), (28 * DAY_MS + DAY_MS // 2, 29 * DAY_MS))
    picture = ElementTree.fromstring(
        daybars(a_source(days=(1, 1, 1), was_blind=spans, blind_since_ms=29 * DAY_MS + DAY_MS // 2), 30 * DAY_MS, Clock("UTC"))
    )
    hatched = [(float(one.get("x", "0")), float(one.get("width", "0"))) for one in picture if "hatch" in (one.get("fill") or "")]

    assert hatched == [(0.0, 8.0), (12.0, 4.0), (20.0, 4.0)]


def test_day_bars_run_from_the_oldest_to_today() -> None:
    picture = ElementTree.fromstring(daybars(a_source(days=(30, 0, 10)), 30 * DAY_MS, Clock("UTC")))
    heights = [float(element.get("height", "0")) for element in picture if (element.get("class") or "").startswith("bar")]
    assert heights == [6.0, 0.5, 18.0]
    places = [float(element.get("x", "0")) for element in picture if (element.get("class") or "").startswith("bar")]
    assert all(left < right for left, right in pairwise(places))
