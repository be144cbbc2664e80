"""The report of a training run or of an evaluation: one HTML file that needs nothing else, readable on paper and on a phone.

    log of a run (JSON lines)  ->  learning curves         models/training_log.py
    Measured, Compared         ->  figures, where it errs  models/evaluate.py
    recipe (TOML text)         ->  hyper-parameters        as it was written

`report_html` is pure: equal input gives equal bytes. Times are durations, never dates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Final

import jinja2
from markupsafe import Markup

from models import report_charts as charts
from models.datasets import CORPORA
from models.evaluate import HEADLINE, Compared, Confusion, Measured
from models.metrics import Figure
from models.training_log import FIGURE_NAMES, Log, curves_of, run_facts

TASK_TITLES: Final[Mapping[str, str]] = {
    "topic": "Topic",
    "sentiment": "Sentiment",
    "negative": "Negative or not",
    "entities": "Sentiment towards names",
    "spans": "Places of names",
    "labels": "Labels",
    "flags": "Risk flags",
}
LANGUAGE_NAMES: Final[Mapping[str, str]] = {"en": "English", "zh": "Chinese"}
KIND_NAMES: Final[Mapping[str, str]] = {"news": "news", "post": "posts"}
ERRORS_SHOWN: Final = 8


# --- figures beside those of other models ------------------------------------------------------------------------------
@dataclass(frozen=True)
class Beside:
    """Another model on the same texts: its figures, and the difference (reported model minus this one)."""

    name: str
    measured: Sequence[Measured]
    compared: Sequence[Compared]


@dataclass(frozen=True)
class FigureRow:
    """One figure of one group of texts, in a table."""

    title: str
    rows: str  # "Topic, 1,546 texts"
    figures: int  # of its group, in the group's first row; else 0
    figure: str
    value: Figure
    others: list[tuple[Figure | None, Figure | None]]  # per model beside: its value, and the difference
    picture: Markup | None  # of the difference to the first of them
    error: Figure | None  # calibration error, in a group's first row
    bound: float | None


def figure_rows(measured: Sequence[Measured], beside: Sequence[Beside]) -> list[FigureRow]:
    """The headline figures of every group, in the order of `measured`."""
    found = [(one, name, [_beside(other, one, name) for other in beside]) for one in measured for name in shown_figures(one)]
    differences = [pairs[0][1] for _, _, pairs in found if pairs and pairs[0][1] is not None]
    reach = max((abs(bound) for difference in differences for bound in (difference.low, difference.high)), default=0.0) or 0.01
    rows: list[FigureRow] = []
    for one, name, others in found:
        names, only, difference = shown_figures(one), asked_only(one), others[0][1] if others else None
        first = name == names[0]
        rows.append(
            FigureRow(
                title=group_title(one),
                rows=_rows_text(one),
                figures=len(names) if first else 0,
                figure=f"recall of {only}" if only else FIGURE_NAMES[name],
                value=one.figures[name],
                others=others,
                picture=charts.whisker(difference, low=-reach, high=reach, zero=True) if difference else None,
                error=one.figures.get("ece") if first and not only else None,
                bound=one.ece_bound,
            )
        )
    return rows


def shown_figures(one: Measured) -> list[str]:
    """The headline figures that a group has; where only one class is asked for, accuracy is its recall and says all."""
    names = [name for name in HEADLINE[one.task] if name in one.figures]
    return names[:1] if asked_only(one) else names


def asked_only(one: Measured) -> str | None:
    """The only class that a "one of" group asks for: figures over classes, and calibration, mean nothing there."""
    if one.confusion is None:
        return None
    asked = [row.name for row in one.classes if row.asked]
    return asked[0] if len(asked) == 1 else None


def group_title(one: Measured) -> str:
    """A set's title, or what a pool holds."""
    if one.scope == "corpus":
        return CORPORA[one.corpus].title if one.corpus in CORPORA else one.corpus
    first, _, last = one.corpus.partition(" ")
    if one.scope == "language":
        return f"All {LANGUAGE_NAMES.get(last, last)} sets"
    return f"{LANGUAGE_NAMES.get(first, first)} {KIND_NAMES.get(last, last)}"


def _rows_text(one: Measured) -> str:
    unit = "name" if one.task in ("entities", "spans") else "text"
    text = f"{TASK_TITLES[one.task]}, {one.rows:,} {unit}{'' if one.rows == 1 else 's'}"
    return text + (f", {one.unscored:,} unscored" if one.unscored else "")


def _beside(other: Beside, one: Measured, name: str) -> tuple[Figure | None, Figure | None]:
    def same(found: Measured | Compared) -> bool:  # texts too: a model that lacks a language has read fewer
        return (found.task, found.scope, found.corpus, found.texts) == (one.task, one.scope, one.corpus, one.texts)

    value = next((found.figures.get(name) for found in other.measured if same(found)), None)
    difference = next((found.differences.get(name) for found in other.compared if same(found)), None)
    return value, difference


# --- where a model errs --------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Confused:
    """Rows of one class that were answered as another."""

    gold: str
    said: str
    rows: int
    share: float  # of the rows of `gold`


def largest_errors(table: Confusion, *, most: int = ERRORS_SHOWN) -> list[Confused]:
    """The largest cells beside the diagonal; of equals the first."""
    names = [*table.classes, "no answer"]
    cells = [
        Confused(table.classes[i], names[j], rows, rows / sum(counts))
        for i, counts in enumerate(table.counts)
        for j, rows in enumerate(counts)
        if rows and i != j
    ]
    return sorted(cells, key=lambda cell: -cell.rows)[:most]


@dataclass(frozen=True)
class Detail:
    """One corpus looked at closely."""

    title: str
    measured: Measured
    matrix: Markup | None
    errors: list[Confused]
    calibration: Markup | None
    low: float  # where the scale of the classes' intervals begins
    only: str | None  # the only class that is asked for


def details_of(measured: Sequence[Measured]) -> list[Detail]:
    """One per corpus and task; pools are left out, for what they hold is shown already."""
    return [_detail(one) for one in measured if one.scope == "corpus" and (one.classes or one.reliability)]


def _detail(one: Measured) -> Detail:
    title = f"{TASK_TITLES[one.task]}: {group_title(one)}"
    table = one.confusion
    matrix = error = None
    if table is not None:
        right = sum(counts[i] for i, counts in enumerate(table.counts))
        total = sum(map(sum, table.counts))
        matrix = charts.heat_map(table, label=f"{title}: {right} of {total} on the diagonal; the largest errors and all counts are listed")
    if one.reliability and "ece" in one.figures and not asked_only(one):
        said = f"{title}: calibration error {one.figures['ece'].value:.3f}"
        error = charts.calibration(one.reliability, label=said + (f", bound {one.ece_bound:.3f}" if one.ece_bound is not None else ""))
    lows = [row.f1.low for row in one.classes if row.f1 is not None]
    return Detail(title, one, matrix, largest_errors(table) if table else [], error, min([*lows, 0.95]), asked_only(one))


# --- the page --------------------------------------------------------------------------------------------------------------
def report_html(
    title: str,
    *,
    facts: Sequence[tuple[str, str]] = (),
    log: Log | None = None,
    measured: Sequence[Measured] = (),
    beside: Sequence[Beside] = (),
    recipe: str = "",
) -> str:
    """The report as one HTML file.

    Args:
        title: what is reported on: a bundle's name, a run's.
        facts: further facts of the head, as (name, value).
        log: of the training run; without it there are no curves.
        measured: figures of the reported model.
        beside: the control model and others; the first is drawn beside the reported one.
        recipe: the recipe as text.
    """
    shown = log or Log()
    page = _environment().get_template("report.html.j2")
    return page.render(
        title=title,
        facts=[*facts, *run_facts(shown)],
        groups=[(group, list(curves)) for group, curves in groupby(curves_of(shown), key=lambda curve: curve.group)],
        rows=figure_rows(measured, beside),
        beside=beside,
        details=details_of(measured),
        recipe=recipe,
    )


@cache
def _environment() -> jinja2.Environment:
    """Everything is escaped; a name that the template misspells is an error, not an empty string."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"share": share, "signed": signed, "interval": interval}
    made.globals |= {"whisker": charts.whisker}
    return made


def share(value: float | None) -> str:
    """Three decimals without a leading zero, as scores are written in the field.

    >>> share(0.9124), share(1.0), share(None)
    ('.912', '1.000', '–')
    """
    return "–" if value is None else f"{value:.3f}".removeprefix("0")


def signed(value: float) -> str:
    """A difference.

    >>> signed(0.0213), signed(-0.0049), signed(0.0001)
    ('+.021', '−.005', '.000')
    """
    text = share(abs(value))
    return text if text == ".000" else ("+" if value > 0 else "−") + text


def interval(figure: Figure) -> str:
    """The bounds of an interval.

    >>> interval(Figure(0.9, 0.88, 0.92)), interval(Figure(0.01, -0.002, 0.03))
    ('.880 to .920', '−.002 to .030')
    """
    return " to ".join(("−" if bound < 0 and share(-bound) != ".000" else "") + share(abs(bound)) for bound in (figure.low, figure.high))
