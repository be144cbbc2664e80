"""A linear model over hashed n-grams: int8 weights, integer sums, calibrated probabilities, and its bundle on disk.

A bundle is one language: `<language>.json` (the card: what it is, what it was trained on, what it reached) and
`<language>.safetensors` (the numbers). Nothing in it can run code, and nothing is loaded that the card does not vouch for.

Head      columns  calibration
topic     20 (en)  one of the native topics
labels    16 (zh)  each label on its own
post      3        one of three: sentiment as short comments express it
news      3        one of three: sentiment as headlines express it
gate      1        on its own: how far the text reads like a headline; mixes `post` and `news`

A logit is slope * margin + intercept. A head on its own is a sigmoid of it. A "one of" head is linked in the way that fitted its
held-out answers better: "softmax", or "sigmoid", where each column is sigmoid(logit) ** power and a row is divided by its sum.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from safetensors import SafetensorError

from groundswell.errors import BundleError
from groundswell.names import SENTIMENTS, content_id
from models import features
from models.features import FeatureSpec
from models.taxonomy import LABEL_TO_TOPIC, NATIVE_TOPICS, PPM, taxonomy_hash

FORMAT: Final = "groundswell-linear-1"
NORM_UNIT: Final = 256  # idf squared is stored in 1/256, as uint16
ON_THEIR_OWN: Final = ("labels", "gate")  # heads whose columns do not share one unit of probability
LOGIT_LIMIT: Final = 60.0  # beyond, a probability differs from 0 or 1 by less than anyone can count


NO_LICENCE: Final = "none stated"
"""What stands in place of a licence where the makers of a set state none."""


class Source(msgspec.Struct, frozen=True):
    """A data set that weights were trained on."""

    name: str
    rows: int
    licence: str  # word for word as its makers state it, or NO_LICENCE


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle says of itself. Whatever changes a result is covered by `sha256`, `features` and `taxonomy`."""

    format: str
    language: str
    features: FeatureSpec
    features_revision: str
    taxonomy: str  # taxonomy.taxonomy_hash() when it was trained
    heads: dict[str, list[str]]  # head -> names of its columns, in the order of the columns
    links: dict[str, Literal["softmax", "sigmoid"]]  # head -> how logits become probabilities
    label_threshold_ppm: int  # a label is given from this probability on; 0 where there are no labels
    tensors: str  # name of the safetensors file, beside the card
    sha256: str  # of that file
    calibration: str
    sources: list[Source]
    metrics: dict[str, float]  # on dev data, as `python -m models.train_linear` prints them
    notes: str = ""


class Tensors(msgspec.Struct, frozen=True):
    """The numbers of a bundle. C columns are those of the heads, one after another."""

    weights: NDArray[np.int8]  # [buckets, C]
    norms: NDArray[np.uint16]  # [buckets] idf squared in 1 / NORM_UNIT
    scales: NDArray[np.float64]  # [C] value of one weight step
    biases: NDArray[np.float64]  # [C]
    slopes: NDArray[np.float64]  # [C] calibration, see the top of this file
    intercepts: NDArray[np.float64]  # [C]
    powers: NDArray[np.float64]  # [C] of "sigmoid" links; 1 for columns on their own


class Outputs(msgspec.Struct, frozen=True):
    """Calibrated answers for n documents, in parts per million; rows do not depend on each other."""

    sentiment: NDArray[np.int64]  # [n, 3] in the order of names.SENTIMENTS; rows sum to 1,000,000
    topic: NDArray[np.int64] | None  # [n, 20], rows sum to 1,000,000
    labels: NDArray[np.int64] | None  # [n, labels], each on its own


class LinearModel:
    """One language's bundle, ready to use. Immutable after loading; safe to share between threads."""

    def __init__(self, card: Card, tensors: Tensors) -> None:
        self.card = card
        self.tensors = tensors
        self._weights = tensors.weights.astype(np.int32)  # sums stay integers, and so the same in any batch
        self._norms = tensors.norms.astype(np.int64)
        self._columns: dict[str, slice] = {}
        first = 0
        for head, names in card.heads.items():
            self._columns[head] = slice(first, first + len(names))
            first += len(names)
        self._softmax = [part for head, part in self._columns.items() if card.links[head] == "softmax"]

    def margins(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Uncalibrated margins [n, C]: integer sums over a text's distinct n-grams, divided by its length in idf."""
        found = features.extract(texts, self.card.features)
        sums = np.zeros((len(texts), self._weights.shape[1]), np.int64)
        norms = np.ones(len(texts), np.int64)
        starts = found.starts.tolist()
        for row in range(len(texts)):
            buckets = found.buckets[starts[row] : starts[row + 1]]
            if len(buckets):
                self._weights.take(buckets, axis=0).sum(axis=0, out=sums[row])
                norms[row] = self._norms.take(buckets).sum()
        length = np.sqrt(norms / NORM_UNIT)
        return sums / length[:, None] * self.tensors.scales + self.tensors.biases

    def probabilities(self, texts: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Head -> calibrated probabilities [n, columns], each text answered as if it were alone."""
        logits = self.margins(texts) * self.tensors.slopes + self.tensors.intercepts
        columns = np.empty_like(logits)
        for row in range(len(logits)):  # one call per row: the same instructions whatever the batch
            columns[row] = powered_sigmoid(logits[row], self.tensors.powers)
            for part in self._softmax:
                columns[row, part] = exponential(logits[row, part])
        return {head: columns[:, part] if head in ON_THEIR_OWN else normalised(columns[:, part]) for head, part in self._columns.items()}

    def predict(self, texts: Sequence[str]) -> Outputs:
        """Calibrated probabilities of n texts, each answered as if it were alone."""
        heads = self.probabilities(texts)
        sentiment = (1 - heads["gate"]) * heads["post"] + heads["gate"] * heads["news"]
        topic = shares_ppm(heads["topic"]) if "topic" in heads else None
        labels = np.rint(heads["labels"] * PPM).astype(np.int64) if "labels" in heads else None
        return Outputs(sentiment=shares_ppm(sentiment), topic=topic, labels=labels)


def powered_sigmoid(logits: NDArray[np.float64], power: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """`sigmoid(logits) ** power`, by way of its logarithm."""
    return np.exp(-np.log1p(np.exp(-np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT))) * power)


def exponential(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """`exp(logits)` up to a common factor per row; rows divided by their sums are a softmax."""
    top: NDArray[np.float64] = logits.max(axis=-1, keepdims=True)
    return np.exp(np.maximum(logits - top, -LOGIT_LIMIT))


def normalised(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows divided by their sums, added up in a fixed order: a library's own sum may group by shape."""
    total = np.zeros(len(columns))
    for column in range(columns.shape[1]):
        total = total + columns[:, column]
    return columns / total[:, None]


def shares_ppm(probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round rows to integers that sum to exactly 1,000,000: what is left over goes to the largest fractions."""
    exact = probabilities * PPM
    shares = np.floor(exact).astype(np.int64)
    missing = PPM - shares.sum(axis=1)
    order = np.argsort(shares - exact, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    shares += rank < missing[:, None]
    # Rounding in the probabilities themselves can leave more than one unit per column; the largest takes it.
    shares[np.arange(len(shares)), shares.argmax(axis=1)] += PPM - shares.sum(axis=1)
    return shares


def model_id(models: Iterable[LinearModel], *, lexicon: bytes) -> str:
    """Name of a set of bundles and their flag lexicon: it changes when what an answer rests on changes."""
    decisive = ("language", "features", "features_revision", "taxonomy", "heads", "links", "label_threshold_ppm", "sha256")
    parts = [msgspec.json.encode([getattr(model.card, field) for field in decisive]).decode() for model in models]
    return f"linear-{content_id(*sorted(parts), hashlib.sha256(lexicon).hexdigest())[:8]}-numpy-int8"


def save_bundle(directory: Path, card: Card, *, tensors: Tensors) -> Card:
    """Write a bundle and return its card with the hash of what was written."""
    arrays = {field: np.ascontiguousarray(getattr(tensors, field)) for field in Tensors.__struct_fields__}
    data = safetensors.numpy.save(arrays)
    card = msgspec.structs.replace(card, sha256=hashlib.sha256(data).hexdigest(), tensors=f"{card.language}.safetensors")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / card.tensors).write_bytes(data)
    (directory / f"{card.language}.json").write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
    return card


def load_bundle(directory: Path, language: str) -> LinearModel:
    """Read and check one language's bundle.

    Raises:
        BundleError: a file is missing, truncated or altered, a tensor is missing or has another shape or type, the card
            is of another format, feature revision or taxonomy, or the numbers are in another format than safetensors.
    """
    path = directory / f"{language}.json"
    try:
        card = msgspec.json.decode(path.read_bytes(), type=Card)
    except (OSError, msgspec.MsgspecError) as error:
        message = f"bundle {path}: the card cannot be read ({error}); restore the file or train again with python -m models.train_linear"
        raise BundleError(message) from error
    _check_card(path, card, language)
    tensors_path = directory / card.tensors
    try:
        data = tensors_path.read_bytes()
    except OSError as error:
        message = f"bundle {tensors_path}: the tensors cannot be read ({error}); restore the file that the card names"
        raise BundleError(message) from error
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        message = f"bundle {tensors_path}: the card promises sha256 {card.sha256}, the file has {found}; restore card and tensors together"
        raise BundleError(message)
    try:
        arrays = safetensors.numpy.load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        message = f"bundle {tensors_path}: not a safetensors file ({error}); other formats, pickle above all, are never loaded"
        raise BundleError(message) from error
    return LinearModel(card, _checked_tensors(tensors_path, card, arrays=arrays))


def _check_card(path: Path, card: Card, language: str) -> None:
    known: dict[str, Sequence[str]] = {
        "topic": NATIVE_TOPICS,
        "labels": tuple(LABEL_TO_TOPIC),
        "post": SENTIMENTS,
        "news": SENTIMENTS,
        "gate": ("news",),
    }
    rules: list[tuple[str, Any, Any]] = [
        ("format", card.format, FORMAT),
        ("language", card.language, language),
        ("features_revision", card.features_revision, features.REVISION),
        ("taxonomy", card.taxonomy, taxonomy_hash()),
    ]
    for head, names in card.heads.items():
        right = head in known and (set(names) <= set(known[head]) if head == "labels" else list(names) == list(known[head]))
        rules.append((f"heads.{head}", right, True))
    rules.append(("heads (post, news and gate are required)", {"post", "news", "gate"} <= set(card.heads), True))
    rules.append(("links (one per head)", list(card.links), list(card.heads)))
    rules.append(("tensors (a .safetensors file beside the card)", card.tensors, f"{Path(card.tensors).stem}.safetensors"))
    for field, value, needed in rules:
        if value != needed:
            message = f"bundle {path}: {field} is {value!r}, this version needs {needed!r}; use a bundle trained with this version"
            raise BundleError(message)


def _checked_tensors(path: Path, card: Card, *, arrays: dict[str, NDArray[Any]]) -> Tensors:
    buckets, columns = 1 << card.features.buckets_log2, sum(map(len, card.heads.values()))
    shapes: dict[str, tuple[tuple[int, ...], str]] = {
        "weights": ((buckets, columns), "int8"),
        "norms": ((buckets,), "uint16"),
        **dict.fromkeys(("scales", "biases", "slopes", "intercepts", "powers"), ((columns,), "float64")),
    }
    for name, (shape, dtype) in shapes.items():
        if name not in arrays:
            message = f"bundle {path}: tensor {name!r} is missing (found {sorted(arrays)}); train again with python -m models.train_linear"
            raise BundleError(message)
        array = arrays[name]
        if array.shape != shape or array.dtype.name != dtype:
            found = f"{array.dtype.name}{array.shape}"
            message = f"bundle {path}: tensor {name!r} is {found}, the card needs {dtype}{shape}; restore card and tensors together"
            raise BundleError(message)
        if dtype == "float64" and not np.isfinite(array).all():
            message = f"bundle {path}: tensor {name!r} holds a value that is not finite; train again with python -m models.train_linear"
            raise BundleError(message)
    return Tensors(**{name: arrays[name] for name in shapes})
