"""The log of a training run, read and drawn: one JSON object per step, one per evaluation on dev.

    step        {"step", "epoch", "tokens", "loss": {task: value}, "learning_rate", "seconds"}     tokens and seconds of this step
    evaluation  {"step", "eval": {set: {figure: value}}, "mean"}      mean: of the figures that decide which weights are kept

models/encoder/train.py writes it, and cuts off what lies behind the checkpoint that a resumed run goes on from. Where a log holds a
step twice all the same, the later record counts.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any, Final, NamedTuple, NoReturn

from markupsafe import Markup

from groundswell.errors import RecordError, reason_of
from models import report_charts as charts
from models.datasets import CORPORA
from models.report_charts import Curve, Scale

LOWER_IS_BETTER: Final = ("ece", "loss")
TABLE_ROWS: Final = 24  # of a curve's table: enough to read its course aloud
EPOCHS_DRAWN: Final = 12

Point = tuple[int, float]  # step, value

FIGURE_NAMES: Final[Mapping[str, str]] = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
    "weighted_f1": "weighted F1",
    "conflict": "accuracy where names disagree",
    "ece": "calibration error",
    "f1": "strict F1",
    "precision": "precision",
    "recall": "recall",
}
SET_NAMES: Final[Mapping[str, str]] = {"held_out": "Held out", "tfnt": "TFNT", "tfns": "TFNS", "wwwxmu": "wwwxmu"}
"""Short names, where a set's title is long or is none."""


def set_name(key: str) -> str:
    """A set as it is called in charts and cards.

    >>> set_name("tfns"), set_name("finnl"), set_name("mine")
    ('TFNS', 'FinNL', 'mine')
    """
    return SET_NAMES.get(key) or (CORPORA[key].title if key in CORPORA else key)


@dataclass
class Log:
    """What a run wrote, by step; a run that was resumed writes steps again, and the later record counts."""

    steps: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    evaluations: dict[int, Mapping[str, Any]] = field(default_factory=dict)


def read_log(lines: Iterable[str | bytes], *, name: str = "training log") -> Log:
    """Read the records of a run. A last line that was cut short, as by a kill, is left out.

    Raises:
        RecordError: another line is not such a record.
    """
    log, pending = Log(), [line for line in lines if line.strip()]
    for number, line in enumerate(pending, start=1):
        try:
            record = json.loads(line)
        except ValueError as error:
            if number < len(pending):
                _refuse(f"{name}, line {number}", reason_of(error), line)
            break
        if not _is_record(record):
            _refuse(f"{name}, line {number}", "no step with a loss or an eval", line)
        (log.evaluations if "eval" in record else log.steps)[record["step"]] = record
    return log


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict) or not isinstance(record.get("step"), int):
        return False
    if "eval" in record:
        return isinstance(record["eval"], dict) and all(isinstance(figures, dict) for figures in record["eval"].values())
    return isinstance(record.get("loss"), dict)


def _refuse(place: str, reason: str, line: str | bytes) -> NoReturn:
    message = f"{place}: a record is a JSON object with step, and loss or eval ({reason}); got {line[:60]!r}; mend or remove the line"
    raise RecordError(message)


@dataclass(frozen=True)
class CurveShown:
    """A small chart with what stands beside it."""

    group: str  # the heading under which it stands
    title: str
    last: str
    best: str  # empty where a best point says nothing
    chart: Markup
    values: Scale
    steps: Scale
    legend: list[str]
    columns: list[str]
    rows: list[list[str]]
    lost: int  # points that were no numbers


def curves_of(log: Log) -> list[CurveShown]:
    """What decides which weights are kept, each set's figures by head, each task's loss, the learning rate; none for an empty log."""
    every = sorted({*log.steps, *log.evaluations})
    if not every:
        return []
    last, epochs = float(max(every[-1], 1)), _epoch_ends(log)
    steps = Scale((0.0, last / 2, last))
    return [_shown(plot, steps, epochs=epochs) for plot in [*_figure_plots(log), *_loss_plots(log)]]


class _Plot(NamedTuple):
    group: str
    title: str
    lines: Mapping[str, Sequence[Point]]  # the first is the one whose course is told in words
    best: bool = False  # whether its best point says anything


def _figure_plots(log: Log) -> Iterator[_Plot]:
    """What was measured on held-out texts."""
    records = sorted(log.evaluations.items())
    means = [(step, float(record["mean"])) for step, record in records if record.get("mean") is not None]
    if means:
        yield _Plot("What decides which weights are kept", "mean of the held-out figures", {"mean": means}, best=True)
    for corpus, figures in _series((step, record["eval"]) for step, record in records).items():
        for head, part in _by_head(figures):
            names = " and ".join(FIGURE_NAMES.get(name, name) for name in part)
            yield _Plot(set_name(corpus), f"{head} {names}".strip(), part, best=True)


def _loss_plots(log: Log) -> Iterator[_Plot]:
    """What was minimised. One batch's least loss says nothing of the weights, so it is not named."""
    records = sorted(log.steps.items())
    for task, points in _series((step, {"": record["loss"]}) for step, record in records).get("", {}).items():
        yield _Plot("Loss in training", f"{task} loss", {"loss": points})
    rates = [(step, float(record["learning_rate"])) for step, record in records if "learning_rate" in record]
    if rates:
        yield _Plot("Learning rate", "learning rate", {"learning rate": rates})


def _series(records: Iterable[tuple[int, Mapping[str, Mapping[str, float | None]]]]) -> dict[str, dict[str, list[Point]]]:
    """{set: {figure: points}} in the order in which they first appear; what is null in the log was no number."""
    found: dict[str, dict[str, list[Point]]] = {}
    for step, sets in records:
        for corpus, figures in sets.items():
            for name, value in figures.items():
                found.setdefault(corpus, {}).setdefault(name, []).append((step, nan if value is None else float(value)))
    return found


def _by_head(figures: Mapping[str, list[Point]]) -> Iterator[tuple[str, dict[str, list[Point]]]]:
    """Figures that belong in one chart: of one head ("topic accuracy", "topic macro F1"), and better in the same direction."""
    groups: dict[tuple[str, bool], dict[str, list[Point]]] = {}
    for name, points in figures.items():
        head, _, figure = name.partition(" ") if " " in name and name not in FIGURE_NAMES.values() else ("", "", name)
        groups.setdefault((head, figure in LOWER_IS_BETTER), {})[figure] = points
    for (head, _), group in groups.items():
        yield from ((head, part) for part in _in_twos(group))


def _in_twos(figures: Mapping[str, Any]) -> list[dict[str, Any]]:
    """More than two lines in a small chart cannot be told apart without colour."""
    items = list(figures.items())
    return [dict(items[first : first + 2]) for first in range(0, len(items), 2)]


def _epoch_ends(log: Log) -> list[float]:
    """The last step of each epoch but the run's last; none where there are too many to be drawn."""
    ends, before = [], None
    for step in sorted(log.steps):
        epoch = int(log.steps[step].get("epoch", 0))
        if before is not None and epoch > before[1]:
            ends.append(float(before[0]))
        before = (step, epoch)
    return ends if len(ends) <= EPOCHS_DRAWN else []


def _shown(plot: _Plot, steps: Scale, *, epochs: Sequence[float]) -> CurveShown:
    finite = {name: [point for point in points if isfinite(point[1])] for name, points in plot.lines.items()}
    drawn = {name: points for name, points in finite.items() if points}
    made = [
        charts.bucketed(FIGURE_NAMES.get(name, name), [float(step) for step, _ in points], [value for _, value in points])
        for name, points in drawn.items()
    ]
    flat = [value for points in drawn.values() for _, value in points] or [0.0]
    values = charts.scale(min(flat) if plot.best else 0.0, max(flat))
    legend = [curve.name for curve in made]
    said = "; ".join(f"{curve.name} from {charts.number(curve.values[0])} to {charts.number(curve.values[-1])}" for curve in made)
    return CurveShown(
        group=plot.group,
        title=plot.title,
        last=charts.number(made[0].values[-1]) if made else "none",
        best=_best(drawn) if plot.best and made else "",
        chart=charts.curves(made, label=f"{plot.title} over steps: {said}", steps=steps, values=values, epochs=epochs),
        values=values,
        steps=steps,
        legend=legend,
        columns=["step", *legend],
        rows=_table(made),
        lost=sum(len(points) - len(finite[name]) for name, points in plot.lines.items()),
    )


def _best(drawn: Mapping[str, Sequence[Point]]) -> str:
    """Of the first line that has points."""
    name, points = next(iter(drawn.items()))
    lowest = name in LOWER_IS_BETTER
    step, value = (min if lowest else max)(points, key=lambda point: point[1])
    return f"{'lowest' if lowest else 'highest'} {charts.number(value)} at step {step:,}"


def _table(lines: Sequence[Curve]) -> list[list[str]]:
    """At most TABLE_ROWS rows, evenly spread and with the last; a curve without a point at a step has a dash."""
    every = sorted({step for line in lines for step in line.steps})
    kept = every if len(every) <= TABLE_ROWS else [every[round(i * (len(every) - 1) / (TABLE_ROWS - 1))] for i in range(TABLE_ROWS)]
    found = [dict(zip(line.steps, line.values, strict=True)) for line in lines]
    return [[f"{step:,.0f}", *(charts.number(values[step]) if step in values else "–" for values in found)] for step in kept]


def run_facts(log: Log) -> list[tuple[str, str]]:
    """Name and value of what a run took: steps, epochs begun, evaluations, tokens, time, tokens per second."""
    if not log.steps:
        return []
    records = [log.steps[step] for step in sorted(log.steps)]
    tokens, seconds = (sum(float(record.get(name) or 0) for record in records) for name in ("tokens", "seconds"))
    planned = int(records[-1].get("steps") or 0)
    done = f"{len(records):,}" + (f" of {planned:,}" if planned > len(records) else "")
    facts = [("Steps", done), ("Epochs begun", f"{len({int(record.get('epoch', 0)) for record in records})}")]
    facts.append(("Evaluations", f"{len(log.evaluations):,}"))
    if tokens:
        facts.append(("Tokens", f"{tokens:,.0f}"))
    if seconds:
        facts.append(("Time in steps", f"{seconds / 60:,.1f} min" if seconds >= 90 else f"{seconds:,.0f} s"))
    if tokens and seconds:
        facts.append(("Tokens per second", f"{tokens / seconds:,.0f}"))
    return facts
