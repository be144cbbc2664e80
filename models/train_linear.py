"""Train the linear bundles: `python -m models.train_linear [--data DIR] [--out DIR]`. Seeded; two to three minutes on one core.

Reads the labelled sets (gzipped JSON lines, folders train/ and dev/), writes `<out>/en.*` and `<out>/zh.*` and prints what
they reach on dev. Calibration is fitted on out-of-fold answers of the training part, with near-duplicates kept in one fold;
dev is only looked at, never fitted. Sets marked "research only" are not read.
"""

import argparse
import gzip
import json
import logging
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from sklearn.svm import LinearSVC

from groundswell.names import SENTIMENTS
from models import features, linear
from models.calibrate import Calibration, power_calibration, sigmoid_calibration, softmax_calibration
from models.features import FeatureSpec
from models.linear import NO_LICENCE, Card, LinearModel, Source, Tensors
from models.scorer import clause_of, find_name
from models.taxonomy import NATIVE_TOPICS, PPM, taxonomy_hash

ROOT: Final = Path(__file__).resolve().parent.parent
BUNDLES: Final = ROOT / "models" / "bundles" / "linear"
FOLDS: Final = 3
SEED: Final = 0
LEXICON_REPEATS: Final = 3  # short phrases weigh little beside 19,000 rows
PHRASE: Final = 12  # characters; what is shorter may be a phrase of the lexicon
AROUND: Final = 20  # characters before and after a name that say what happened to it
SPECS: Final = {
    "en": FeatureSpec(style="latin", words=(1, 2), characters=(2, 5), buckets_log2=17),
    "zh": FeatureSpec(style="han", words=(0, 0), characters=(1, 3), buckets_log2=17),
}
CALIBRATION: Final = f"fitted on {FOLDS}-fold out-of-fold training margins, near-duplicates in one fold"

Matrix = Any  # a scipy CSR matrix; its stubs do not survive arithmetic
log = logging.getLogger("models.train_linear")


class Rows:
    """Labelled texts of one head: texts, a target per text, the domain each text counts to."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.targets: list[Any] = []  # a class, or the set of labels
        self.home: list[bool] = []  # of the domain that the head is for; others help with their words, not with their shares
        self.measured: list[bool] = []  # takes part in calibration

    def add(self, pairs: Sequence[tuple[str, Any]], *, home: bool = True, measured: bool = True) -> None:
        """Append labelled texts of one origin."""
        self.texts.extend(text for text, _ in pairs)
        self.targets.extend(target for _, target in pairs)
        self.home.extend([home] * len(pairs))
        self.measured.extend([measured] * len(pairs))

    def without(self, texts: Collection[str]) -> "Rows":
        """The rows that are none of these texts and no part of one; phrases, which are found anywhere, stay."""
        rest, joined = Rows(), "\n".join(texts)
        for text, target, home, measured in zip(self.texts, self.targets, self.home, self.measured, strict=True):
            if text not in texts and (len(text) < PHRASE or text not in joined):
                rest.add([(text, target)], home=home, measured=measured)
        return rest


def read(path: Path) -> list[dict[str, Any]]:
    """Rows of a gzipped JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def counts(texts: Sequence[str], spec: FeatureSpec) -> Matrix:
    """Presence of n-grams, one row per text, by the code that is used when scoring."""
    parts = []
    for first in range(0, len(texts), 256):
        found = features.extract(texts[first : first + 256], spec)
        ones = np.ones(len(found.buckets), np.float32)
        parts.append(sp.csr_matrix((ones, found.buckets, found.starts), shape=(len(found.starts) - 1, 1 << spec.buckets_log2)))
    return sp.vstack(parts).tocsr()


def inverse_frequency(presence: Matrix) -> NDArray[np.float64]:
    """Smoothed idf per bucket, rounded as the bundle stores it."""
    frequency = np.asarray(presence.sum(axis=0)).ravel()
    idf = np.log((1 + presence.shape[0]) / (1 + frequency)) + 1
    rounded: NDArray[np.float64] = np.sqrt(np.rint(idf**2 * linear.NORM_UNIT).clip(1, 65535) / linear.NORM_UNIT)
    return rounded


def weigh(presence: Matrix, idf: NDArray[np.float64]) -> Matrix:
    """Rows of idf, scaled to length one."""
    weighted = presence.multiply(idf).tocsr()
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).ravel())
    return (sp.diags(1 / np.where(length > 0, length, 1)) @ weighted).tocsr().astype(np.float32)


def fit_columns(rows: Matrix, targets: NDArray[Any], home: NDArray[np.bool_], *, classes: Sequence[Any], c: float, ratio: bool) -> Matrix:
    """One-against-rest margins: [features + 1, classes], the last row being the bias in the home domain.

    `ratio` adds a second machine on log-count ratios (NB-SVM, Wang and Manning 2012); both are linear in the same
    features, so their sum is stored as one.
    """
    foreign = sp.csr_matrix((~home).astype(np.float32)[:, None])
    columns = []
    for name in classes:
        target = targets == name
        column = _one_machine(sp.hstack([rows, foreign]).tocsr(), target, c)
        if ratio:
            yes = np.asarray((rows[target] > 0).sum(axis=0)).ravel() + 1
            no = np.asarray((rows[~target] > 0).sum(axis=0)).ravel() + 1
            factor = np.log(yes / yes.sum()) - np.log(no / no.sum())
            second = _one_machine(sp.hstack([rows.multiply(factor), foreign]).tocsr(), target, 0.1)
            second[:-2] *= factor
            column += second
        columns.append(np.delete(column, -2))  # the foreign domain's own bias is of no use at home
    return np.stack(columns, axis=1)


def _one_machine(rows: Matrix, target: NDArray[np.bool_], c: float) -> NDArray[np.float64]:
    machine = LinearSVC(C=c, class_weight="balanced", random_state=SEED).fit(rows, target)
    return np.concatenate([machine.coef_[0], machine.intercept_])


def fit_labels(rows: Matrix, targets: NDArray[np.bool_], *, c: float) -> Matrix:
    """One unweighted machine per label: [features + 1, labels]."""
    machines = [LinearSVC(C=c, random_state=SEED).fit(rows, targets[:, label]) for label in range(targets.shape[1])]
    return np.stack([np.concatenate([m.coef_[0], m.intercept_]) for m in machines], axis=1)


def folds_of(presence: Matrix) -> NDArray[np.int64]:
    """A fold per row; rows that are nearly the same share one (MinHash of n-grams, eight bands of four)."""
    rng = np.random.default_rng(SEED)
    starts, filled = presence.indptr[:-1], np.diff(presence.indptr) > 0
    leader = np.arange(presence.shape[0])
    multipliers = rng.integers(1, 2**61, 32, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    values = presence.indices.astype(np.uint64) + np.uint64(1)
    for band in range(8):
        words = [np.minimum.reduceat(values * m, starts[filled]) for m in multipliers[band * 4 : band * 4 + 4]]
        first: dict[tuple[Any, ...], int] = {}
        for row, key in zip(np.flatnonzero(filled), zip(*words, strict=True), strict=True):
            mate = first.setdefault(key, int(row))
            leader[row] = min(leader[row], leader[mate])
    fold: NDArray[np.int64] = rng.integers(0, FOLDS, presence.shape[0])[leader]
    return fold


def out_of_fold(rows: Matrix, fold: NDArray[np.int64], fit: Any) -> NDArray[np.float64]:
    """Margins of every row from machines that did not see its fold. `fit(mask)` trains on the masked rows."""
    parts = []
    for number in range(FOLDS):
        columns = fit(fold != number)
        parts.append((np.flatnonzero(fold == number), rows[fold == number] @ columns[:-1] + columns[-1]))
    margins = np.zeros((rows.shape[0], parts[0][1].shape[1]))
    for where, part in parts:
        margins[where] = part
    return margins


class Trained(NamedTuple):
    """A fitted head."""

    weights: Matrix  # [buckets + 1, columns], the last row being the bias
    calibration: Calibration
    threshold_ppm: int  # for labels, else 0


class Head:
    """One head's training rows and how to fit them."""

    def __init__(self, name: str, rows: Rows, *, c: float, columns: Sequence[Any], ratio: bool = False) -> None:
        self.name, self.rows, self.c, self.columns, self.ratio = name, rows, c, columns, ratio

    def train(self, spec: FeatureSpec, idf: NDArray[np.float64]) -> Trained:
        """Fit the head on all its rows, and its calibration on answers to rows that were held out."""
        presence = counts(self.rows.texts, spec)
        rows, home = weigh(presence, idf), np.array(self.rows.home)
        if self.name == "labels":
            targets = np.array([[name in given for name in self.columns] for given in self.rows.targets])
        else:
            targets = np.array(self.rows.targets)

        def fit(mask: NDArray[np.bool_]) -> Matrix:
            if self.name == "labels":
                return fit_labels(rows[mask], targets[mask], c=self.c)
            return fit_columns(rows[mask], targets[mask], home[mask], classes=self.columns, c=self.c, ratio=self.ratio)

        margins = out_of_fold(rows, folds_of(presence), fit)[np.array(self.rows.measured)]
        held = targets[np.array(self.rows.measured)]
        wanted = held if self.name == "labels" else held[:, None] == np.array(self.columns)
        threshold = 0
        if self.name in ("labels", "gate"):
            slopes, intercepts = sigmoid_calibration(margins, wanted)
            chosen = Calibration("sigmoid", slopes, intercepts, np.ones(len(slopes)), 0.0)
            if self.name == "labels":
                threshold = best_threshold(linear.powered_sigmoid(margins * slopes + intercepts, 1.0), wanted)
        else:
            fits = [way(margins, wanted.argmax(axis=1)) for way in (softmax_calibration, power_calibration)]
            chosen = min(fits, key=lambda fitted: fitted.loss)
            log.info("head %s: log loss held out %s", self.name, {fitted.link: round(fitted.loss, 4) for fitted in fits})
        log.info("head %s: %d rows", self.name, rows.shape[0])
        return Trained(fit(np.ones(rows.shape[0], bool)), chosen, threshold)


def best_threshold(probabilities: NDArray[np.float64], target: NDArray[np.bool_]) -> int:
    """The one probability, in ppm and steps of .01, that gives the best micro F1 out of fold."""
    steps = np.arange(0.2, 0.71, 0.01)
    scores = [f1_score(target, probabilities >= step, average="micro") for step in steps]
    return round(float(steps[int(np.argmax(scores))]) * PPM)


def lexicon_rows(language: str) -> list[tuple[str, str]]:
    """The project's own risk and tone phrases as labelled texts: failures are rare in the labelled sets."""
    lexicon = json.loads((BUNDLES / "lexicon.json").read_text(encoding="utf-8"))
    phrases = [(phrase, "negative") for flag in lexicon["flags"].values() for phrase in flag[language]]
    phrases += [(phrase, tone) for tone, by_language in lexicon["tone"].items() for phrase in by_language[language]]
    return [(phrase.rstrip("*"), tone) for phrase, tone in phrases] * LEXICON_REPEATS


def english(train: Path) -> tuple[list[Head], list[Source]]:
    """Heads of the English bundle."""
    topics = [(row["text"], row["native_topic"]) for row in read(train / "en_topic_tfnt.jsonl.gz")]
    posts = [(row["text"], row["sentiment"]) for row in read(train / "en_sentiment_tfns.jsonl.gz")]
    titles, spans = read(train / "en_entity_sentfin.jsonl.gz"), read(train / "en_entity_finentity.jsonl.gz")
    agreed = [(row["text"], row["entities"][0]["sentiment"]) for row in titles + spans if _agrees(row)]
    clauses = list(_clauses(titles))
    topic, post, news = Rows(), Rows(), Rows()
    topic.add(topics)
    for rows, at_home in ((post, False), (news, True)):
        rows.add(posts, home=not at_home, measured=not at_home)
        rows.add(agreed, home=at_home, measured=at_home)
        rows.add(clauses, home=at_home, measured=at_home)
        rows.add(lexicon_rows("en"), home=at_home, measured=False)
    heads = [
        Head("topic", topic, c=0.5, columns=range(len(NATIVE_TOPICS))),
        Head("post", post, c=0.5, columns=SENTIMENTS),
        Head("news", news, c=0.5, columns=SENTIMENTS),
        Head("gate", _gate([text for text, _ in posts], [text for text, _ in agreed]), c=0.5, columns=["news"]),
    ]
    sources = [
        Source("en_topic_tfnt: Twitter Financial News, topics", len(topics), "MIT (card); none at its mirror"),
        Source("en_sentiment_tfns: Twitter Financial News, sentiment", len(posts), "MIT (card); none at its mirror"),
        Source("en_entity_sentfin: SEntFiN", len(titles), "MIT"),
        Source("en_entity_finentity: FinEntity", len(spans), "ODC-BY 1.0"),
    ]
    return heads, sources


def _agrees(row: dict[str, Any]) -> bool:
    return len({entity["sentiment"] for entity in row["entities"]}) == 1


def _clauses(rows: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The clauses around the names of titles that judge their names differently."""
    for row in rows:
        if not _agrees(row):
            for entity in row["entities"]:
                place = find_name(row["text"], entity["name"])
                if place:
                    yield clause_of(row["text"], *place), entity["sentiment"]


def _gate(posts: Sequence[str], news: Sequence[str]) -> Rows:
    rows = Rows()
    rows.add([(text, "post") for text in posts])
    rows.add([(text, "news") for text in news])
    return rows


def chinese(train: Path) -> tuple[list[Head], list[Source]]:
    """Heads of the Chinese bundle."""
    flashes = [(row["text"], row["labels"]) for row in read(train / "zh_topic_finnl.jsonl.gz")]
    posts = [(row["text"], row["sentiment"]) for row in read(train / "zh_comments_finfe.jsonl.gz")]
    titles = [(row["text"], row["sentiment"]) for row in read(train / "zh_news_wwwxmu.jsonl.gz")]
    risks = [(row["text"][:80], "negative" if row["negative"] else "neutral") for row in read(train / "zh_risk_finnsp.jsonl.gz")]
    wrongs = [row for row in read(train / "zh_event_finese.jsonl.gz") if row["event"] != "其他"]
    events = [(_around(row["text"], row["entity"]), "negative") for row in wrongs[::6]]  # all of them would drown the titles
    labels, post, news = Rows(), Rows(), Rows()
    labels.add(flashes)
    post.add(posts)
    news.add(titles)
    news.add(risks)
    news.add(events, measured=False)  # negative one and all: calibrated on them, every headline would be
    news.add(lexicon_rows("zh"), measured=False)
    news.add(posts, home=False, measured=False)
    headlines = [text for text, _ in titles + risks + events] + [text for text, _ in flashes]
    heads = [
        Head("labels", labels, c=0.5, columns=sorted({label for _, given in flashes for label in given})),
        Head("post", post, c=0.3, columns=SENTIMENTS, ratio=True),
        Head("news", news, c=0.3, columns=SENTIMENTS, ratio=True),
        Head("gate", _gate([text for text, _ in posts], headlines), c=0.5, columns=["news"]),
    ]
    sources = [
        Source("zh_topic_finnl: FinNL", len(flashes), NO_LICENCE),
        Source("zh_comments_finfe: FinFE", len(posts), NO_LICENCE),
        Source("zh_news_wwwxmu: dated news titles", len(titles), NO_LICENCE),
        Source("zh_risk_finnsp: FinNSP", len(risks), NO_LICENCE),
        Source("zh_event_finese: FinESE", len(events), NO_LICENCE),
    ]
    return heads, sources


def _around(text: str, name: str) -> str:
    """The characters around a name: these lines string several headlines together."""
    at = text.find(name)
    return text[max(0, at - AROUND) : at + len(name) + AROUND] if at >= 0 else text[:60]


def build(language: str, heads: Sequence[Head], *, sources: Sequence[Source], spec: FeatureSpec) -> tuple[Card, Tensors]:
    """Train every head of a language on one set of features and put them side by side."""
    texts = list(dict.fromkeys(text for head in heads for text in head.rows.texts))
    idf = inverse_frequency(counts(texts, spec))
    trained = [head.train(spec, idf) for head in heads]
    columns = np.concatenate([head.weights for head in trained], axis=1)
    folded = columns[:-1] * idf[:, None]
    scales = np.abs(folded).max(axis=0) / 127
    tensors = Tensors(
        weights=np.rint(folded / scales).astype(np.int8),
        norms=np.rint(idf**2 * linear.NORM_UNIT).astype(np.uint16),
        scales=scales.astype(np.float64),
        biases=columns[-1].astype(np.float64),
        slopes=np.concatenate([head.calibration.slopes for head in trained]),
        intercepts=np.concatenate([head.calibration.intercepts for head in trained]),
        powers=np.concatenate([head.calibration.powers for head in trained]),
    )
    card = Card(
        format=linear.FORMAT,
        language=language,
        features=spec,
        features_revision=features.REVISION,
        taxonomy=taxonomy_hash(),
        heads={head.name: [NATIVE_TOPICS[name] if head.name == "topic" else name for name in head.columns] for head in heads},
        links={head.name: fitted.calibration.link for head, fitted in zip(heads, trained, strict=True)},
        label_threshold_ppm=max(head.threshold_ppm for head in trained),
        tensors="",
        sha256="",
        calibration=CALIBRATION,
        sources=list(sources),
        metrics={},
    )
    return card, tensors


def model_without(language: str, train: Path, texts: Collection[str]) -> LinearModel:
    """A language's model that has not seen some texts of the folder of training sets: to ask it about them."""
    heads, sources = LANGUAGES[language](train)
    for head in heads:
        head.rows = head.rows.without(texts)
    return LinearModel(*build(language, heads, sources=sources, spec=SPECS[language]))


def dev_figures(model: LinearModel, dev: Path) -> dict[str, float]:
    """Accuracy and macro F1 on the dev sets of the model's language."""
    figures: dict[str, float] = {}

    def note(name: str, wanted: Sequence[Any], said: Sequence[Any]) -> None:
        figures[f"{name} accuracy"] = round(float(np.mean(np.array(wanted) == np.array(said))), 4)
        figures[f"{name} macro F1"] = round(float(f1_score(wanted, said, average="macro")), 4)

    def sentiments(texts: Sequence[str]) -> list[str]:
        return [SENTIMENTS[best] for best in model.predict(texts).sentiment.argmax(axis=1)]

    if model.card.language == "en":
        rows = read(dev / "en_topic_tfnt.jsonl.gz")
        topic = model.predict([row["text"] for row in rows]).topic
        note("TFNT", [row["native_topic"] for row in rows], topic.argmax(axis=1).tolist() if topic is not None else [])
        rows = read(dev / "en_sentiment_tfns.jsonl.gz")
        note("TFNS", [row["sentiment"] for row in rows], sentiments([row["text"] for row in rows]))
        rows = [row for row in read(dev / "en_entity_sentfin.jsonl.gz") if _agrees(row)]
        note("SEntFiN (one sentiment)", [row["entities"][0]["sentiment"] for row in rows], sentiments([row["text"] for row in rows]))
        return figures
    rows = read(dev / "zh_comments_finfe.jsonl.gz")
    note("FinFE", [row["sentiment"] for row in rows], sentiments([row["text"] for row in rows]))
    rows = read(dev / "zh_topic_finnl.jsonl.gz")
    labels, names = model.predict([row["text"] for row in rows]).labels, model.card.heads["labels"]
    wanted = np.array([[name in row["labels"] for name in names] for row in rows])
    given = labels >= model.card.label_threshold_ppm if labels is not None else np.zeros_like(wanted)
    for average in ("micro", "macro"):
        figures[f"FinNL {average} F1"] = round(float(f1_score(wanted, given, average=average)), 4)
    rows = read(dev / "zh_risk_finnsp.jsonl.gz")
    said = sentiments([row["text"][:80] for row in rows])
    note("FinNSP negative or not", [row["negative"] for row in rows], [name == "negative" for name in said])
    return figures


LANGUAGES: Final[Mapping[str, Callable[[Path], tuple[list[Head], list[Source]]]]] = {"en": english, "zh": chinese}


def main(arguments: Sequence[str]) -> int:
    """Train, write and report; 2 where the data is not there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="folder with train/ and dev/")
    parser.add_argument("--out", type=Path, default=BUNDLES, help="where the bundles go")
    chosen = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if not (chosen.data / "train").is_dir():
        log.error("train_linear: %s has no folder train; name the folder of the labelled sets with --data", chosen.data)
        return 2
    for language, source in LANGUAGES.items():
        heads, sources = source(chosen.data / "train")
        card, tensors = build(language, heads, sources=sources, spec=SPECS[language])
        figures = dev_figures(LinearModel(card, tensors), chosen.data / "dev")
        notes = "The risk and tone phrases of lexicon.json, written for this project, are training rows too."
        linear.save_bundle(chosen.out, msgspec.structs.replace(card, metrics=figures, notes=notes), tensors=tensors)
        sys.stdout.write("".join(f"{language} {name}: {value}\n" for name, value in figures.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
