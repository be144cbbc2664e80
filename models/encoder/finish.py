"""From the weights of a finished run to a bundle: merged, rounded to int8, calibrated as it will answer, measured, described.

Calibration and thresholds are fitted on the held-out part with the very engine that will serve, so what rounding changed is
calibrated too. Figures are measured on the dev parts through `groundswell score`'s own code.
"""

import shutil
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from itertools import cycle, islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswell.errors import UsageError
from groundswell.names import SENTIMENTS
from models import bundle as bundles
from models import encoder_scorer, linear
from models.answers import answers_of
from models.bundle import Base, Calibration, CompanionCard, EncoderBundle, EncoderCard
from models.calibrate import power_calibration, sigmoid_calibration, softmax_calibration, temperature
from models.card import bundle_metrics, error_matrix, facts_of, write_card
from models.companion import LEAST, is_certain, mix
from models.datasets import CORPORA, holdout, read_corpus
from models.encoder.engine import Engine, OnnxEngine, Readout
from models.encoder.export import export
from models.encoder.lessons import ONE_OF, Lesson, lessons_of
from models.encoder.network import Network, blocks_of, merge_adapters
from models.encoder.prepare import Prepared
from models.encoder.recipe import Recipe, recipe_hash
from models.encoder.tokens import Tokenizer
from models.encoder.weights import GraphSpec
from models.evaluate import Measured, compare, measure
from models.examples import Example
from models.registry import LINEAR, load_scorer
from models.report import Beside
from models.score_file import DetectLanguage
from models.scorer import LINEAR_BUNDLES, Finder
from models.spans import TAGS
from models.taxonomy import PPM, taxonomy_hash

ROWS_PER_COLUMN: Final = 100  # below, a calibration has one number for all columns: more would fit the noise
LEARNED_LEAST: Final = 100  # lessons with a flag; of fewer the network decides nothing, and phrases do
CALIBRATION_TEXTS: Final = 768  # that the ranges of the int8 products are taken from
STEPS: Final = np.arange(0.2, 0.71, 0.01)  # thresholds that are tried

COMPANION_WEIGHTS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)  # that are tried


def finish(
    network: Network,
    *,
    recipe: Recipe,
    recipe_text: str,
    prepared: Prepared,
    data: Path,
    out: Path,
    finder: Finder,
    detect: DetectLanguage,
) -> tuple[EncoderBundle, list[Measured]]:
    """Make the bundle of a trained network.

    Args:
        network: with its best weights.
        recipe: that it was trained by.
        recipe_text: the file that the recipe was read from; it travels in the bundle.
        prepared: of the run; what it holds out is what is calibrated on.
        data: folder of the labelled sets; dev parts are measured.
        out: the bundle's folder; it must not exist.
        finder: companies in a text.
        detect: decides a text's language, as `groundswell score` does.

    Raises:
        UsageError: the folder exists.
    """
    if out.exists():
        message = f"bundle {out}: the folder exists already; name another one, or remove it"
        raise UsageError(message)
    card, files = assembled(network, recipe=recipe, recipe_text=recipe_text, prepared=prepared, data=data)
    kept = bundles.save(out, card, files=files)  # the id of a model covers its files, so they are written before it is asked
    scorer = encoder_scorer.load(bundles.load(out), finder=finder, digest=lambda _: b"")  # digests are part of no figure
    examples = dev_examples(recipe, data)
    answers = answers_of(scorer, examples, detect=detect)
    control = answers_of(load_scorer(LINEAR, finder=finder, digest=lambda _: b""), examples, detect=detect)
    measured = measure(examples, answers)
    beside = [Beside("linear", measure(examples, control), compare(examples, answers, control))]
    card = msgspec.structs.replace(kept, metrics=bundle_metrics(measured), error_matrix=error_matrix(measured))
    facts = facts_of(card, model_id=scorer.model_id, bundle_bytes=sum(map(len, files.values())))
    about = write_card(facts, measured, beside=beside)
    shutil.rmtree(out)
    bundles.save(out, card, files=files | {bundles.ABOUT_FILE: about.encode()})
    return bundles.load(out), measured


def assembled(
    network: Network, *, recipe: Recipe, recipe_text: str, prepared: Prepared, data: Path
) -> tuple[EncoderCard, dict[str, bytes]]:
    """The card and the files of a bundle that nobody has measured yet; see `finish`."""
    merge_adapters(network.encoder)
    spec = GraphSpec(
        layers=len(blocks_of(network.encoder)),
        heads=int(network.encoder.config.num_attention_heads),
        text_heads=tuple(prepared.heads.text),
        token_heads=prepared.heads.token,
        max_tokens=recipe.encoder.max_tokens,
        epsilon=float(network.encoder.config.layer_norm_eps),
    )
    state = {name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()}
    texts = [example.text for example in prepared.held_out][:CALIBRATION_TEXTS]
    coarseness = recipe.rounding.coarseness
    model, tokens = export(state, spec, prepared.tokenizer_json, texts, keep=prepared.kept, coarseness=coarseness)
    tokenizer = Tokenizer(tokens, max_tokens=recipe.encoder.max_tokens)
    companion, beside = companion_of(recipe, prepared, data)
    even = frozenset(head for head, task in recipe.tasks.items() if task.even)
    calibration, thresholds, companion = calibrate(
        OnnxEngine(model, tokenizer), tokenizer, prepared, even=even, companion=companion, beside=beside
    )
    card = EncoderCard(
        name=recipe.name,
        language=recipe.language,
        created=datetime.now(UTC).date().isoformat(),
        base=Base(recipe.encoder.title, recipe.encoder.licence, recipe.encoder.origin),
        recipe=recipe_hash(recipe),
        taxonomy=taxonomy_hash(),
        heads={head: list(columns) for head, columns in prepared.heads.text.items()} | _token_heads(prepared),
        calibration=calibration,
        thresholds_ppm=thresholds,
        companion=companion,
        options={"max_tokens": recipe.encoder.max_tokens},
        sources=prepared.sources,
    )
    files = {
        bundles.MODEL_FILE + bundles.PACKED: bundles.pack(model),
        bundles.TOKENIZER_FILE: tokens,
        bundles.RECIPE_FILE: recipe_text.encode(),
        bundles.ABOUT_FILE: b"measured below\n",
    }
    return card, files


def _token_heads(prepared: Prepared) -> dict[str, list[str]]:
    columns = {"target": list(SENTIMENTS), "spans": list(TAGS)}
    return {head: columns[head] for head in prepared.heads.token}


def dev_examples(recipe: Recipe, data: Path) -> list[Example]:
    """What a bundle is measured on: the dev parts of its corpora; of a set without one, what training was kept from."""
    examples: list[Example] = []
    for key in recipe.data.corpora:
        if "dev" in CORPORA[key].parts:
            examples += read_corpus(data, key, "dev")
        elif key == "wwwxmu":
            examples += holdout(read_corpus(data, key, "train"))[1]
    return examples


# --- calibration -----------------------------------------------------------------------------------------------
class HeldOutOpinions(NamedTuple):
    """What a companion says of the held-out texts without having seen them."""

    heads: dict[str, NDArray[np.float64]]  # head -> probabilities [texts, columns]; only heads that its opinion goes into
    certain: NDArray[np.bool_]  # [texts] that the encoder will not be asked about


def companion_of(recipe: Recipe, prepared: Prepared, data: Path) -> tuple[CompanionCard | None, HeldOutOpinions]:
    """The linear model that the recipe puts beside the encoder, its weights still to be fitted, and what its like says, untold."""
    texts = [example.text for example in prepared.held_out]
    if not recipe.companion.heads and not recipe.companion.certain:
        return None, HeldOutOpinions({}, np.zeros(len(texts), bool))
    from models.train_linear import model_without  # scikit-learn: for training alone

    shipped = linear.load_bundle(LINEAR_BUNDLES, recipe.language)
    card = CompanionCard(linear.model_id([shipped], lexicon=b""), certain_ppm=round(recipe.companion.certain * PPM))
    said = model_without(recipe.language, data / "train", frozenset(texts)).probabilities(texts)
    certain = [is_certain({head: columns[row] for head, columns in said.items()}, card.certain_ppm) for row in range(len(texts))]
    return card, HeldOutOpinions({head: said[head] for head in recipe.companion.heads}, np.array(certain, bool))


def calibrate(
    engine: Engine,
    tokenizer: Tokenizer,
    prepared: Prepared,
    *,
    even: Collection[str],
    companion: CompanionCard | None,
    beside: HeldOutOpinions,
) -> tuple[dict[str, Calibration], dict[str, int], CompanionCard | None]:
    """(head -> calibration, label or flag -> threshold in ppm, the companion with its weights), fitted on answers to the held-out texts.

    Heads in `even` are fitted as if every set held its classes in equal shares. Heads of whole texts are fitted to those texts that the
    encoder will be asked about.
    """
    readout = engine.run([example.text for example in prepared.held_out])
    lessons = lessons_of(prepared.held_out, heads=prepared.heads, tokenizer=tokenizer)
    found: dict[str, Calibration] = {}
    thresholds: dict[str, int] = {}
    weights: dict[str, float] = {}
    first = 0
    for head, columns in prepared.heads.text.items():
        rows = [row for row, lesson in enumerate(lessons) if head in lesson.wanted and not beside.certain[row]]
        if head in even:
            rows = _evened(rows, [(prepared.held_out[row].corpus, int(lessons[row].wanted[head].argmax())) for row in rows])
        if not rows:  # no set asks for it: the head is there, and nobody can say how far to trust it
            found[head] = Calibration("softmax" if head in ONE_OF else "sigmoid", [1.0] * len(columns), [0.0] * len(columns))
            first += len(columns)
            continue
        margins = readout.text[rows, first : first + len(columns)].astype(np.float64)
        wanted = np.stack([lessons[row].wanted[head] for row in rows]) > 0.5
        if head in beside.heads:
            weights[head], margins = _mixed(margins, beside.heads[head][rows], wanted, head=head)
        found[head] = _one_of(margins, wanted.argmax(1)) if head in ONE_OF else _each(margins, wanted)
        if head in ("labels", "flags"):
            thresholds |= _thresholds(columns, _sigmoid(margins, found[head]), wanted)
            thresholds |= dict.fromkeys(_too_rare(head, columns, prepared.learned), PPM) if head == "flags" else {}
        first += len(columns)
    if "target" in prepared.heads.token:
        found["target"] = _one_of(*_target_rows(readout, lessons, 3 * prepared.heads.token.index("target")))
    return found, thresholds, companion and msgspec.structs.replace(companion, weights=weights)


def _evened(rows: Sequence[int], kinds: Sequence[tuple[str, int]]) -> list[int]:
    """Rows with those of a set's rarer classes repeated until all of its classes have as many.

    >>> _evened([0, 1, 2, 3], [("tfns", 0), ("tfns", 1), ("tfns", 1), ("finfe", 0)])
    [0, 0, 1, 2, 3]
    """
    members: dict[tuple[str, int], list[int]] = {}
    for row, kind in zip(rows, kinds, strict=True):
        members.setdefault(kind, []).append(row)
    most = {corpus: max(len(found) for (other, _), found in members.items() if other == corpus) for corpus, _ in members}
    return sorted(row for (corpus, _), found in members.items() for row in islice(cycle(found), most[corpus]))


def _mixed(
    margins: NDArray[np.float64], opinions: NDArray[np.float64], wanted: NDArray[np.bool_], *, head: str
) -> tuple[float, NDArray[np.float64]]:
    """The share of a companion's opinion that leaves the least log loss, and the margins with it in them."""

    def loss(weight: float) -> float:
        both = mix(margins, opinions, head=head, weight=weight)
        if head in ONE_OF:
            return temperature(both, wanted.argmax(1)).loss
        shares = np.clip(_sigmoid(both, _each(both, wanted)), LEAST, 1 - LEAST)
        return float(-np.where(wanted, np.log(shares), np.log1p(-shares)).mean())

    best = min(COMPANION_WEIGHTS, key=loss)
    return best, mix(margins, opinions, head=head, weight=best)


def _one_of(margins: NDArray[np.float64], target: NDArray[np.int64]) -> Calibration:
    """The link with the least log loss: a temperature, or where there are rows enough a bias per column as well, or powers."""
    ways = [temperature]
    if len(margins) >= ROWS_PER_COLUMN * margins.shape[1]:
        ways += [softmax_calibration, power_calibration]
    best = min((way(margins, target) for way in ways), key=lambda one: one.loss)
    return Calibration(best.link, best.slopes.tolist(), best.intercepts.tolist(), best.powers.tolist())


def _each(margins: NDArray[np.float64], wanted: NDArray[np.bool_]) -> Calibration:
    slopes, intercepts = sigmoid_calibration(margins, wanted)
    return Calibration("sigmoid", slopes.tolist(), intercepts.tolist(), [1.0] * len(slopes))


def _sigmoid(margins: NDArray[np.float64], calibration: Calibration) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-(margins * np.array(calibration.slopes) + np.array(calibration.intercepts))))


def _thresholds(columns: Sequence[str], shares: NDArray[np.float64], wanted: NDArray[np.bool_]) -> dict[str, int]:
    """The one threshold for all columns that gives the best micro F1."""

    def f1(step: float) -> float:
        given = shares >= step
        return 2 * float((given & wanted).sum()) / max(1.0, float(given.sum() + wanted.sum()))

    best = max(STEPS.tolist(), key=f1)
    return dict.fromkeys(columns, round(best * PPM))


def _too_rare(head: str, columns: Sequence[str], learned: Sequence[Lesson]) -> list[str]:
    """Columns with too few lessons to have been learned."""
    counts = np.sum([lesson.wanted[head] for lesson in learned if head in lesson.wanted], axis=0)
    return [name for name, count in zip(columns, counts, strict=True) if count < LEARNED_LEAST]


def _target_rows(readout: Readout, lessons: Sequence[Lesson], column: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Margins [names, 3] and sentiments [names] of the judged names."""
    margins, target = [], []
    for row, lesson in enumerate(lessons):
        start = int(readout.starts[row])
        for name in lesson.names:
            if name.wanted is not None:
                margins.append(readout.tokens[start + name.first : start + name.last, column : column + 3].mean(axis=0))
                target.append(int(name.wanted.argmax()))
    return np.asarray(margins, np.float64), np.asarray(target)
