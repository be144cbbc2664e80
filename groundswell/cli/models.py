"""Commands over the registry of models: models list, show, compare, promote, rollback."""

import getpass
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.errors import BundleError, UsageError, reason_of
from groundswell.names import LANGUAGES

if TYPE_CHECKING:
    from models.by_language import JudgingScorer
    from models.compare import Comparison
    from models.formats import Found
    from models.registry import Move, Registry

TEXT_SHOWN: Final = 60  # characters of a text in a table
TRIAL: Final = {"en": "Bank cuts its outlook after heavy losses", "zh": "银行业绩下滑，下调全年预期"}
"""What a bundle has to give an answer to before it is put in force."""

language_option = click.option(
    "--language", "languages", multiple=True, type=click.Choice(LANGUAGES), help="Only for this language; may be given more than once."
)
why_option = click.option("--why", default="", metavar="TEXT", help="The reason, for the record.")


@click.group(cls=Group)
def models() -> None:
    """The models that score documents: which there are, which is in force, and the way to another.

    A bundle is a folder; models.registry names the folder that yours are kept in. Workers that are running take a promoted
    model together, a minute later and without a restart. NAME is one of the list, or a folder (with a slash in it).
    """


# --- looking ---------------------------------------------------------------------------------------------------------------
@models.command("list", epilog=example("groundswell models list"))
@o.listing_options
def list_models(form: str, output: str | None) -> None:
    """Every bundle: languages, where it is in force, size and date; a broken one says what is wrong."""
    registry = _registry()
    in_force = registry.in_force()
    rows = [_row(registry, name, [language for language, found in in_force.items() if found == name]) for name in registry.names()]
    o.print_rows(rows, form=form, output=output, columns=["name", "languages", "in force for", "format", "MB", "made", "fault"])


def _row(registry: "Registry", name: str, in_force: Sequence[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "in force for": " ".join(in_force) or None}
    try:
        found = registry.open(name)
    except BundleError as error:
        return row | dict.fromkeys(("languages", "format", "MB", "made")) | {"fault": str(error)}
    languages = " ".join(found.languages)
    return row | {"languages": languages, "format": found.format, "MB": round(found.bytes / 1e6, 1), "made": found.created, "fault": None}


@models.command(epilog=example("groundswell models show en-bge"))
@click.argument("name")
def show(name: str) -> None:
    """What the card of bundle NAME says, its figures on dev data, and when it was put in force."""
    from models.formats import open_bundle

    registry = _registry()
    found = open_bundle(registry.place(name))
    click.echo(f"{found.name}: {found.format}, {' '.join(found.languages)}, {found.bytes / 1e6:.1f} MB, in {found.directory}")
    in_force = [language for language, current in registry.in_force().items() if current == found.name]
    click.echo(f"in force for: {' '.join(in_force) or 'none'}")
    for line in _facts(found):
        click.echo(line)
    for language, figures in found.figures.items():
        rows = [
            {"figure": name, "value": figure.value, "low": figure.low, "high": figure.high, "rows": figure.rows}
            for name, figure in figures.items()
        ]
        if rows:
            click.echo(f"\n{language}, on dev data")
            o.print_rows(rows, form="table", output=None, columns=["figure", "value", "low", "high", "rows"])
    moves = [move for move in registry.state().history if found.name in (move.bundle, move.before)]
    if moves:
        click.echo("\nhistory")
        for move in moves:
            click.echo(_said(move))


def _facts(found: "Found") -> Iterator[str]:
    if found.encoder is not None:
        card = found.encoder.card
        yield f"made {card.created} from {card.base.name} ({card.base.licence}), recipe {card.recipe}, engine {card.engine_name}"
        yield f"heads: {', '.join(f'{head} ({len(names)})' for head, names in card.heads.items())}"
        yield from _sources(card.sources, card.notes)
    for language, model in found.linear.items():
        yield f"{language}: heads {', '.join(f'{head} ({len(names)})' for head, names in model.card.heads.items())}"
        yield from _sources(model.card.sources, model.card.notes)


def _sources(sources: Sequence[Any], notes: str) -> Iterator[str]:
    for source in sources:
        yield f"  trained on {source.name}: {source.rows:,} rows, {source.licence}"
    if notes:
        yield f"  {notes}"


# --- two models on the same texts ------------------------------------------------------------------------------------------
@models.command(epilog=example("groundswell models compare linear en-bge headlines.jsonl --limit 20"))
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.argument("file", type=click.File("rb"), metavar="FILE")
@click.option("--limit", default=10, show_default=True, type=click.IntRange(0), help="How many of the largest differences are shown.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True, help="How it is printed.")
def compare(first: str, second: str, file: Any, limit: int, form: str) -> None:
    """Ask bundles A and B about the texts of FILE (JSON lines, as for `groundswell score`) and show where they differ.

    Agreement per field, sentiments that flip, how far probabilities move, the texts that move most, and documents per second.
    """
    import msgspec

    from models.compare import compare as compared
    from stream.operators.normalise import detect_language

    if first == second:
        message = f"compare {first} {second}: two different bundles are needed; `groundswell models list` shows which there are"
        raise UsageError(message)
    lines = [line for line in file if line.strip()]
    if not lines:
        message = f"{file.name}: has no lines; write JSON objects with id and title or text, one per line"
        raise UsageError(message)
    scorers = {name: _scorer(name) for name in (first, second)}
    found = compared(lines, scorers, detect=detect_language, movers=limit)
    click.echo(msgspec.json.encode(found).decode() if form == "json" else "\n".join(_shown(found)))


@models.command(epilog=example("groundswell models errors en-bge labelled.csv -o errors.json"))
@click.argument("name")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Also write them here, for models.errors.")
def errors(name: str, data: Path, output: Path | None) -> None:
    """Count what bundle NAME makes of the labelled texts of DATA, by language and topic: what shares are corrected for.

    DATA is what `groundswell evaluate` takes; texts count whose label says at least whether they are negative. Without FILE they are
    shown: texts that are negative and those called so among them, others and those called negative among them.
    """
    from groundswell.cli.evaluate import examples_of
    from models.answers import answers_of
    from models.error_matrix import error_matrices, written
    from stream.operators.normalise import detect_language

    scorer = _scorer(name)
    examples = [one for one in examples_of(data) if one.language in scorer.languages and (one.sentiment, one.negative) != (None, None)]
    matrices = error_matrices(examples, answers_of(scorer, examples, detect=detect_language), scorer.languages)
    if not matrices:
        message = f"{data}: holds no text of a language of {name} whose sentiment is labelled; name other data"
        raise UsageError(message)
    for matrix in matrices:
        click.echo(f"{matrix.model} ({matrix.language}; {', '.join(matrix.corpora)})")
        for topic, row in {**matrix.topics, "all": matrix.whole}.items():
            click.echo(f"  {topic:24} {row.hits:5.0f} of {row.negatives:5.0f} negative   {row.alarms:5.0f} of {row.others:5.0f} others")
    if output is not None:
        output.write_bytes(written(matrices))


def _shown(found: "Comparison") -> Iterator[str]:
    yield f"{found.lines:,} lines, {found.both:,} scored by both"
    for side in found.sides:
        yield f"  {side.name}  {side.model}  {side.scored:,} scored, {side.per_second:,.0f} documents/s"
    if not found.both:
        return
    first, second = (side.name for side in found.sides)
    rows = [[one.field, f"{one.share:.3f}", f"{len(one.differing):,}"] for one in found.agreement]
    yield from _table(["agreement", "share", "differing"], rows)
    names = list(found.flips)
    counts = [[name, *(f"{found.flips[name][other]:,}" for other in names)] for name in names]
    yield from _table([f"sentiment, {first} down, {second} across", *names], counts)
    spread = [[one.probability, f"{one.mean:.3f}", f"{one.percentile_95:.3f}", f"{one.largest:.3f}"] for one in found.spread]
    yield from _table(["probability moves by", "mean", "95 %", "largest"], spread)
    movers = [
        [
            str(one.line),
            f"{one.distance:.3f}",
            *(f"{topic} {said} {share:.2f}" for topic, said, share in zip(one.topics, one.sentiments, one.p_negative, strict=True)),
            _cut(one.text),
        ]
        for one in found.movers
    ]
    if movers:
        yield from _table(["line", "distance", f"{first}: topic, sentiment, p_negative", f"{second}", "text"], movers)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(line[i]) for line in [columns, *rows]) for i in range(len(columns))]
    yield ""
    for line in [columns, *rows]:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _cut(text: str) -> str:
    """One line for a terminal: headlines are strangers' text and may hold control characters."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return plain if len(plain) <= TEXT_SHOWN else plain[: TEXT_SHOWN - 1] + "…"


# --- changing ------------------------------------------------------------------------------------------------------------
@models.command(epilog=example("groundswell models promote var/runs/mine/bundle --why 'better on our debt news'"))
@click.argument("name")
@language_option
@why_option
@click.option("--force", is_flag=True, help="Even if its own figures are worse than those of what is in force.")
def promote(name: str, languages: tuple[str, ...], why: str, force: bool) -> None:
    """Put bundle NAME in force, once it has passed every check and answered a test; a folder is copied into the registry first.

    Running workers take it over between two batches; no document is lost or scored twice.
    """
    registry = _registry()
    place = registry.place(name)
    _try_out(name)
    if os.sep in name:
        name = registry.add(place)
    moves = registry.promote(name, languages=languages or None, by=_user(), why=why, force=force)
    for move in moves:
        click.echo(_said(move))
    if not moves:
        click.echo(f"{name} is in force already; nothing was changed")
    _warn_if_unused()


@models.command(epilog=example("groundswell models rollback --language en --why 'too many false negatives'"))
@language_option
@why_option
def rollback(languages: tuple[str, ...], why: str) -> None:
    """Take back the last promotion: what was in force before it is in force again."""
    for move in _registry().rollback(languages=languages or None, by=_user(), why=why):
        click.echo(_said(move))
    _warn_if_unused()


def _try_out(name: str) -> None:
    """Load the bundle and let it score: a network can be what its card says and still not run here.

    Raises:
        BundleError: it cannot be loaded, or gives no answer.
    """
    from models.score_file import score_lines

    scorer = _scorer(name)
    for language in sorted(scorer.languages):
        line = f'{{"title": "{TRIAL[language]}", "language": "{language}"}}'.encode()
        try:
            (answer,) = score_lines([line], scorer, detect=lambda _text, claimed: claimed, judge=scorer)
        except Exception as error:  # whatever an engine raises on its first text
            message = f"bundle {name!r}: cannot score a plain {language} text ({reason_of(error)}); nothing was changed"
            raise BundleError(message) from error
        if b'"sentiment":null' in answer:
            message = f"bundle {name!r}: gives no answer to a plain {language} text; nothing was changed"
            raise BundleError(message)


def _said(move: "Move") -> str:
    now, before = (bundle or "what ships with the package" for bundle in (move.bundle, move.before))
    by, why = f" by {move.by}" if move.by else "", f": {move.why}" if move.why else ""
    return f"{move.at}  {move.action}  {move.language}: {before} -> {now}{by}{why}"


def _warn_if_unused() -> None:
    if o.settings().models.use != "auto":
        click.echo("note: models.use is linear, so commands with these settings go on with the linear models", err=True)


# --- what they share -------------------------------------------------------------------------------------------------------
def _registry() -> "Registry":
    from models.registry import registry_at

    return registry_at(o.settings().models.registry)


def _scorer(name: str) -> "JudgingScorer":
    from models.entities import Catalogue
    from models.registry import load_scorer

    catalogue = Catalogue.load(extra=[Path(path) for path in o.settings().companies.extra])
    return load_scorer(name, finder=catalogue.find, digest=lambda _: b"", registry=_registry())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return str(os.getuid())
