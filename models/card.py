"""The model card of a bundle, in Markdown, written from its facts and figures: nobody types a number.

`write_card` is pure: equal arguments give equal bytes. What it says of licences comes from what the training sets state, word for
word; where one states none, the card says so before it says anything of quality.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from models.bundle import Base, CompanionCard, EncoderCard, Metric
from models.evaluate import HEADLINE, Measured
from models.linear import NO_LICENCE, Source
from models.metrics import Figure
from models.report import (
    LANGUAGE_NAMES,
    TASK_TITLES,
    Beside,
    asked_only,
    figure_rows,
    group_title,
    interval,
    largest_errors,
    share,
    signed,
)
from models.training_log import FIGURE_NAMES, set_name

PRECISION_SHOWN: Final = 0.85  # a flag below it is not shown to readers
ROWS_FEW: Final = 20  # below, a class's figures say little
CLASSES_NAMED: Final = 3
ERRORS_NAMED: Final = 3
METRIC_WORDS: Final[Mapping[str, str]] = {
    "negative": "negative or not ",
    "entities": "towards names ",
    "spans": "places of names ",
    "flags": "flags ",
}
_HEAD_OF_TASK: Final[Mapping[str, str]] = {"topic": "topic", "sentiment": "sentiment", "entities": "target"}


class BundleFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a card says of a bundle besides its figures."""

    name: str
    language: str
    model_id: str
    engine: str  # with its number format: onnx-int8
    created: str  # YYYY-MM-DD
    bytes: int  # of the files that scoring needs
    base: Base | None  # None: trained from nothing
    recipe: str  # hash of recipe.toml
    heads: Mapping[str, int]  # head -> number of its columns
    companion: CompanionCard | None = None
    sources: Sequence[Source]
    limits: Sequence[str] = ()  # sentences that no figure shows
    notes: str = ""


def facts_of(card: EncoderCard, *, model_id: str, bundle_bytes: int, limits: Sequence[str] = ()) -> BundleFacts:
    """The facts that an encoder bundle's own card holds."""
    return BundleFacts(
        name=card.name,
        language=card.language,
        model_id=model_id,
        engine=card.engine_name,
        created=card.created,
        bytes=bundle_bytes,
        base=card.base,
        recipe=card.recipe,
        heads={head: len(columns) for head, columns in card.heads.items()},
        companion=card.companion,
        sources=card.sources,
        limits=limits,
        notes=card.notes,
    )


def write_card(facts: BundleFacts, measured: Sequence[Measured], *, beside: Sequence[Beside] = ()) -> str:
    """The card as Markdown.

    Args:
        facts: of the bundle.
        measured: its figures, on texts that it was not trained on.
        beside: the linear control model, then the bundle before it, measured on the same texts.
    """
    parts = [
        _head(facts),
        _licences(facts),
        _use(),
        _made_of(facts),
        _figures(measured, beside),
        _calibration(measured),
        _errors(measured),
        _limits(facts, measured),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(facts: BundleFacts) -> str:
    language = LANGUAGE_NAMES.get(facts.language, facts.language)
    base = f"{facts.base.name}, fine-tuned" if facts.base else "trained from its training sets alone"
    notes = f"\n\n{facts.notes}" if facts.notes else ""
    return (
        f"# {facts.name}\n\n"
        f"A scorer of {language} financial news and comments: topic, sentiment, sentiment towards companies, risk flags ({base}).\n\n"
        f"| | |\n|---|---|\n| model | `{facts.model_id}` |\n| engine | {facts.engine} |\n| size | {facts.bytes / 1e6:.1f} MB |\n"
        f"| made | {facts.created} |\n| recipe | `{facts.recipe}` (recipe.toml in the bundle makes it again) |{notes}"
    )


def _licences(facts: BundleFacts) -> str:
    """Before any figure: what may stand in the way of using the weights at all."""
    silent = [_title(source) for source in facts.sources if source.licence.strip().lower() == NO_LICENCE]
    if not silent:
        return ""
    which = "Its training sets" if len(silent) == len(facts.sources) else "Some of its training sets"
    return (
        f"## Licence of the training sets\n\n**{which} state no licence.** They are {_listed(silent)}. Whether weights trained on "
        "them may be used or passed on is for whoever does so to find out; the bundle is a folder of its own, so that a distribution "
        "can leave it out."
    )


def _title(source: Source) -> str:
    """A set's title, without the name of its file that linear cards put before it."""
    return _cell(source.name.rsplit(": ", 1)[-1])


def _use() -> str:
    return (
        "## Intended use\n\n"
        "To follow how opinion moves over many texts, and to find the texts behind a move. Its answers are probabilities of what a "
        "text says, not of what a price will do. It is not meant for decisions on single persons, for credit decisions, or as the "
        "only ground for a trade: single texts are misread at the rates below."
    )


def _made_of(facts: BundleFacts) -> str:
    lines = ["## What it is made of", ""]
    if facts.base:
        lines += [f"Encoder: {facts.base.name}; licence {facts.base.licence}; source: {facts.base.source}.", ""]
    lines += [f"Heads: {', '.join(f'{head} ({columns})' for head, columns in facts.heads.items())}.", ""]
    if facts.companion:
        lines += [_companion(facts.companion), ""]
    lines += ["| training set | rows | licence as stated |", "|---|---|---|"]
    lines += [f"| {_title(source)} | {source.rows:,} | {_cell(source.licence)} |" for source in facts.sources]
    for source in facts.sources:
        if source.licence.upper().startswith("ODC-BY"):
            lines += ["", f"Contains information from {_title(source)}, which is made available under the ODC Attribution License."]
    return "\n".join(lines)


def _companion(companion: CompanionCard) -> str:
    weights = [f"{head} {weight:.1f}" for head, weight in companion.weights.items()]
    said = f"Beside it reads the linear model `{companion.model}`"
    if weights:
        said += f"; shares of its opinion: {', '.join(weights)}"
    if companion.certain_ppm:
        said += f"; texts whose topic and sentiment it gives {companion.certain_ppm / 1e6:.2f} or more are answered by it alone"
    return said + "."


# --- figures ---------------------------------------------------------------------------------------------------------------
def _figures(measured: Sequence[Measured], beside: Sequence[Beside]) -> str:
    rows = figure_rows(measured, beside)
    if not rows:
        return ""
    names = [name for other in beside for name in (_cell(other.name), "difference")]
    lines = ["## Figures", "", _row(["set", "task", "figure", "value", "95 % interval", *names]), "|" + "---|" * (5 + len(names))]
    for row in rows:
        cells = [_cell(row.title) if row.figures else "", row.rows if row.figures else "", row.figure]
        cells += [share(row.value.value), interval(row.value)]
        for value, difference in row.others:
            cells += [share(value.value) if value else "–", f"{signed(difference.value)} ({interval(difference)})" if difference else "–"]
        lines.append(_row(cells))
    said = "Intervals: texts redrawn 1,000 times, 2.5th to 97.5th percentile."
    if beside:
        said += (
            " Differences: this bundle minus the other, on the same redrawn texts; an interval that holds 0 is no proof of a difference."
        )
    return "\n".join([*lines, "", said])


def _calibration(measured: Sequence[Measured]) -> str:
    rows = [
        _row([_cell(group_title(one)), TASK_TITLES[one.task], share(one.figures["ece"].value), share(one.ece_bound), _within(one)])
        for one in measured
        if one.ece_bound is not None and "ece" in one.figures and not asked_only(one)
    ]
    if not rows:
        return ""
    said = "Expected calibration error (15 bins of the highest probability) against what a perfectly calibrated model with the same"
    said += " probabilities stays under in 95 of 100 cases."
    return "\n".join(["## Calibration", "", said, "", "| set | task | error | bound | |", "|---|---|---|---|---|", *rows])


def _within(one: Measured) -> str:
    return "within" if one.ece_bound is not None and one.figures["ece"].value <= one.ece_bound else "**above**"


def _errors(measured: Sequence[Measured]) -> str:
    """What it takes for what, and which classes it knows least."""
    lines = []
    for one in measured:
        if one.scope != "corpus":
            continue
        said = []
        if one.confusion is not None and not asked_only(one):
            errors = largest_errors(one.confusion, most=ERRORS_NAMED)
            said = [f"{error.gold} as {error.said} ({error.rows}, {error.share * 100:.0f} % of {error.gold})" for error in errors]
        weak = sorted((row for row in one.classes if row.asked >= ROWS_FEW and row.f1), key=lambda row: row.f1.value if row.f1 else 0.0)
        title = f"- **{_cell(group_title(one))}** ({TASK_TITLES[one.task].lower()})"
        if said:
            title += f": most often {'; '.join(said)}"
        if len(weak) > CLASSES_NAMED:
            named = ", ".join(f"{row.name} {share(row.f1.value)}" for row in weak[:CLASSES_NAMED] if row.f1)
            title += f"{';' if said else ':'} lowest F1: {named}"
        if said or len(weak) > CLASSES_NAMED:
            lines.append(title + ".")
    return "\n".join(["## Errors", "", *lines]) if lines else ""


def _limits(facts: BundleFacts, measured: Sequence[Measured]) -> str:
    """What the figures themselves say against it, then what they cannot show."""
    lines = []
    for one in measured:
        title = f"{group_title(one)} ({TASK_TITLES[one.task].lower()})"
        only = asked_only(one)
        if only and one.scope == "corpus":
            lines.append(f"- {title} asks for {only} alone: its figure is a recall, and false alarms are not counted.")
        elif not only and one.scope == "corpus" and "ece" in one.figures and _within(one) != "within":
            lines.append(f"- {title}: probabilities are off by more than chance explains.")
        few = [row.name for row in one.classes if 0 < row.asked < ROWS_FEW]
        if few and one.scope == "corpus":
            lines.append(f"- {title}: fewer than {ROWS_FEW} rows of {_listed(few)}, so little is known of {'them' if few[1:] else 'it'}.")
        if one.task == "flags" and one.scope == "corpus":
            low = [
                f"{row.name} {share(row.precision.value)}" for row in one.classes if row.precision and row.precision.value < PRECISION_SHOWN
            ]
            if low:
                lines.append(f"- {title}: precision below {share(PRECISION_SHOWN)}: {', '.join(low)}.")
    lines += [f"- {limit}" for limit in facts.limits]
    return "\n".join(["## Limits", "", *lines]) if lines else ""


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Text of others inside a table: no line breaks, no bars."""
    return " ".join(text.split()).replace("|", "\\|")


def _listed(names: Sequence[str]) -> str:
    """Names as a person lists them.

    >>> _listed(["a"]), _listed(["a", "b", "c"])
    ('a', 'a, b and c')
    """
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


# --- for the bundle's own card ---------------------------------------------------------------------------------------------
def bundle_metrics(measured: Sequence[Measured]) -> dict[str, Metric]:
    """The headline figures and calibration errors of corpora, named as in the linear cards: "TFNT accuracy", "FinNL micro F1"."""
    metrics = {}
    for one in measured:
        if one.scope != "corpus":
            continue
        for name in (*HEADLINE[one.task], "ece"):
            figure = one.figures.get(name)
            if figure is not None and not (name != "accuracy" and asked_only(one)):
                metrics[f"{set_name(one.corpus)} {METRIC_WORDS.get(one.task, '')}{FIGURE_NAMES[name]}"] = _metric(
                    figure, one.rows, lower=name == "ece"
                )
    return metrics


def _metric(figure: Figure, rows: int, *, lower: bool) -> Metric:
    value, low, high = (round(number, 4) for number in (figure.value, figure.low, figure.high))
    return Metric(value, low, high, rows, "lower" if lower else "higher")


def error_matrix(measured: Sequence[Measured]) -> dict[str, list[list[float]]]:
    """Per head: share of each true class (row) that is answered as each class (column), over all corpora of the task.

    Rows without an answer count as wrong and are in no column, so a row may sum to less than 1; a class that was never asked for
    has zeros.
    """
    sums: dict[str, list[list[int]]] = {}
    for one in measured:
        if one.scope == "corpus" and one.confusion is not None and one.task in _HEAD_OF_TASK:
            counts = [list(row) for row in one.confusion.counts]
            known = sums.get(_HEAD_OF_TASK[one.task])
            sums[_HEAD_OF_TASK[one.task]] = (
                counts if known is None else [[a + b for a, b in zip(*rows, strict=True)] for rows in zip(known, counts, strict=True)]
            )
    return {head: [[round(count / max(sum(row), 1), 6) for count in row[:-1]] for row in counts] for head, counts in sums.items()}
