"""An encoder bundle as a Scorer and a Judge: one pass of the network per text answers everything that is asked of it.

Answers are calibrated as the bundle's card says (models/linear.py has the links). Sentiment is mixed from two heads, one for posts and
one for headlines, by how far the text reads like a headline. Sentiment towards a name is the mean of the target head's logits
over the name's tokens; a name that the text lacks, or that lies beyond what is read, is judged by all tokens. Where the card says so, the
language's linear model reads along (models/companion.py).
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import BundleError
from groundswell.names import SENTIMENTS
from groundswell.records import Document, Score
from models import bundle as bundles
from models import flags, linear
from models.bundle import EncoderBundle, EncoderCard
from models.companion import Companion, Heads, Opinion
from models.encoder.engine import Engine, OnnxEngine, Readout
from models.encoder.tokens import Tokenizer
from models.flags import FlagFinder, parse_lexicon
from models.scorer import LINEAR_BUNDLES, Digest, Finder, Question, scored_text, sentiment_of
from models.spans import spans_of, whole_words
from models.taxonomy import PPM, RISK_FLAGS, highest, topics_of_labels, topics_of_native

REVISION: Final = "2"  # part of the model id: raised when the code below answers differently from the same numbers
CPU: Final = "cpu"
RECENT: Final = 1_024  # texts whose numbers are kept for the questions that follow on them


class EncoderScorer:
    """One language's encoder."""

    def __init__(
        self,
        bundle: EncoderBundle,
        engine: Engine,
        *,
        lexicon: bytes,
        finder: Finder,
        digest: Digest,
        companion: Companion | None = None,
        engine_name: str | None = None,
    ) -> None:
        """Put a scorer together; see `load`.

        Raises:
            BundleError: the lexicon cannot be read.
        """
        self.card = bundle.card
        self._engine, self._finder, self._digest, self._companion = engine, finder, digest, companion
        self._flags = FlagFinder(parse_lexicon(lexicon), self.card.language)
        self._model_id = bundles.model_id(self.card, REVISION, hashlib.sha256(lexicon).hexdigest(), engine=engine_name)
        self._text = _Calibrated(self.card, engine.spec.text_heads)
        self._target = _Calibrated(self.card, ["target"]) if "target" in self.card.heads else None
        self._token_columns = {head: slice(3 * i, 3 * i + 3) for i, head in enumerate(engine.spec.token_heads)}
        self._recent: dict[str, _Read] = {}

    @property
    def model_id(self) -> str:
        """`encoder-<eight digits>-onnx-int8`, on a GPU `encoder-<eight digits>-torch-bf16`."""
        return self._model_id

    @property
    def languages(self) -> frozenset[str]:
        """The bundle's language."""
        return frozenset({self.card.language})

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """Score a batch; see Scorer. None: another language, or neither title nor text."""
        texts = [scored_text(document) if document.language == self.card.language else "" for document in documents]
        distinct = list(dict.fromkeys(text for text in texts if text.strip()))
        opinions = dict(zip(distinct, self._companion.read(distinct), strict=True)) if self._companion else {}
        read = self._read([text for text in distinct if text not in opinions or not opinions[text].certain])
        heads = {text: self._heads(read.get(text), opinions.get(text)) for text in distinct}
        return [
            self._answer(document, text, heads[text]) if text in heads else None for document, text in zip(documents, texts, strict=True)
        ]

    def judge(self, questions: Sequence[Question]) -> list[tuple[int, int, int]]:
        """Sentiment towards names; see Judge. A question in another language is answered as neutral."""
        own = [question.text for question in questions if question.language == self.card.language]
        read = self._read(own)
        return [
            self._judged(question, read[question.text]) if question.language == self.card.language else (0, PPM, 0)
            for question in questions
        ]

    def names(self, documents: Sequence[Document]) -> list[list[tuple[int, int]]]:
        """Places of names as the network marks them; those that the catalogue knows where it was not taught to."""
        texts = [scored_text(document) for document in documents]
        if "spans" not in self._token_columns:
            return [[(mention.start, mention.end) for mention in self._finder(text)] for text in texts]
        read = self._read(texts)
        return [self._named(read[text], text) for text in texts]

    # --- numbers -----------------------------------------------------------------------------------------------
    def _read(self, texts: Sequence[str]) -> "Mapping[str, _Read]":
        """The engine's numbers for each distinct text; those of the last call are still at hand."""
        distinct = list(dict.fromkeys(texts))
        missing = [text for text in distinct if text not in self._recent]
        fresh = dict(zip(missing, _split(self._engine.run(missing)), strict=True)) if missing else {}
        found = {text: self._recent[text] if text in self._recent else fresh[text] for text in distinct}
        if fresh:
            self._recent = dict(list(found.items())[-RECENT:])
        return found

    def _heads(self, read: "_Read | None", opinion: Opinion | None) -> Heads:
        """Probabilities of the text heads: the companion's alone where nothing was read, else the encoder's with its opinion in them."""
        if read is None:
            assert opinion is not None  # only what a companion is certain of is not read
            return opinion.heads
        logits = self._companion.mixed(read.text, self._text.parts, opinion) if self._companion and opinion else read.text
        return self._text.probabilities(logits)

    def _answer(self, document: Document, text: str, heads: Heads) -> Score:
        gate = heads["gate"][0]
        negative, neutral, positive = linear.shares_ppm(((1 - gate) * heads["post"] + gate * heads["news"])[None])[0].tolist()
        native = linear.shares_ppm(heads["topic"][None])[0].tolist() if "topic" in heads else []
        labels = self._each("labels", heads)
        topic_ppm = topics_of_native(native) if native else topics_of_labels(labels)
        return Score(
            document_id=document.document_id,
            content_hash=document.content_hash,
            model_id=self._model_id,
            language=self.card.language,
            topic=highest(topic_ppm),
            topic_ppm=topic_ppm,
            sentiment=sentiment_of((negative, neutral, positive)),
            negative_ppm=negative,
            neutral_ppm=neutral,
            positive_ppm=positive,
            native_topic=native.index(max(native)) if native else None,
            native_topic_ppm=native,
            labels=self._given(labels),
            mentions=self._finder(text),
            flags=self._raised(text, heads),
            digest=self._digest(text),
        )

    def _each(self, head: str, heads: Heads) -> dict[str, int]:
        if head not in heads:
            return {}
        return dict(zip(self.card.heads[head], np.rint(heads[head] * PPM).astype(np.int64).tolist(), strict=True))

    def _given(self, shares: Mapping[str, int]) -> list[str]:
        return [name for name, share in shares.items() if share >= self.card.thresholds_ppm.get(name, PPM // 2)]

    def _raised(self, text: str, heads: Heads) -> list[str]:
        """Flags that a phrase or the network raises, in the order of taxonomy.RISK_FLAGS.

        Where the network was taught a flag it decides alone: it saw what the phrases mean in their sentences. A threshold of one
        says that it was not taught well enough.
        """
        taught = {flag: share for flag, share in self._each("flags", heads).items() if self.card.thresholds_ppm.get(flag, 0) < PPM}
        phrases = set(self._flags.find(text)) & flags.shown(self.card.language)
        raised = {flag for flag in phrases if flag not in taught} | set(self._given(taught))
        return [flag for flag in RISK_FLAGS if flag in raised]

    def _judged(self, question: Question, read: "_Read") -> tuple[int, int, int]:
        if self._target is None:
            return 0, PPM, 0
        inside = np.ones(len(read.offsets), bool)
        if question.start is not None and question.end is not None:
            first, last = read.offsets[:, 0], read.offsets[:, 1]
            named = (last > first) & (first < question.end) & (last > question.start)
            inside = named if named.any() else inside
        logits = read.tokens[inside, self._token_columns["target"]]
        total = np.zeros(logits.shape[1])
        for row in logits:  # one after another: a library's own sum may group by shape
            total = total + row
        negative, neutral, positive = linear.shares_ppm(self._target.probabilities(total / len(logits))["target"][None])[0].tolist()
        return negative, neutral, positive

    def _named(self, read: "_Read", text: str) -> list[tuple[int, int]]:
        tags = whole_words(read.tokens[:, self._token_columns["spans"]].argmax(axis=1), read.offsets, text)
        return sorted((int(read.offsets[first, 0]), int(read.offsets[last - 1, 1])) for first, last in spans_of(tags))


class _Read:
    """What the engine says of one text of t tokens."""

    __slots__ = ("offsets", "text", "tokens")

    def __init__(self, text: NDArray[np.float32], tokens: NDArray[np.float32], offsets: NDArray[np.int32]) -> None:
        self.text = text  # [C]
        self.tokens = tokens  # [t, 3 per token head]
        self.offsets = offsets  # [t, 2]


def _split(readout: Readout) -> list[_Read]:
    starts = readout.starts.tolist()
    return [
        _Read(row, readout.tokens[first:last], readout.offsets[first:last])
        for row, first, last in zip(readout.text, starts[:-1], starts[1:], strict=True)
    ]


class _Calibrated:
    """Some heads' logits to probabilities, one text at a time: the same instructions whatever else is in the batch."""

    def __init__(self, card: EncoderCard, heads: Sequence[str]) -> None:
        self.parts: dict[str, slice] = {}  # head -> its columns
        first = 0
        for head in heads:
            self.parts[head] = slice(first, first + len(card.heads[head]))
            first += len(card.heads[head])
        settings = [card.calibration[head] for head in heads]
        self._slopes = np.array([number for one in settings for number in one.slopes])
        self._intercepts = np.array([number for one in settings for number in one.intercepts])
        powers = [one.powers or [1.0] * len(card.heads[head]) for one, head in zip(settings, heads, strict=True)]
        self._powers = np.array([number for one in powers for number in one])
        self._softmax = {head for one, head in zip(settings, heads, strict=True) if one.link == "softmax"}
        self._shared = {head for head in heads if len(card.heads[head]) > 1 and head not in ("labels", "flags")}

    def probabilities(self, logits: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        """Head -> probabilities of its columns."""
        calibrated = logits.astype(np.float64) * self._slopes + self._intercepts
        found = {}
        for head, part in self.parts.items():
            if head in self._softmax:
                columns = linear.exponential(calibrated[part])
            else:
                columns = linear.powered_sigmoid(calibrated[part], self._powers[part])
            found[head] = linear.normalised(columns[None])[0] if head in self._shared else columns
        return found


def load(
    bundle: EncoderBundle,
    *,
    finder: Finder,
    digest: Digest,
    lexicon: bytes | None = None,
    threads: int = 0,
    device: str = "cpu",
) -> EncoderScorer:
    """A scorer from a checked bundle.

    Args:
        bundle: as models.bundle.load returns it.
        finder: as its type says.
        digest: as its type says.
        lexicon: bytes of lexicon.json; None = the one that ships.
        threads: texts worked on at the same time; 0 = one per core that this process may use.
        device: "cpu", or a GPU by torch's name for it ("cuda"), which is run by torch in bf16.

    Raises:
        BundleError: the network or the tokens cannot be loaded, the card does not say where texts are cut, the network has other
            heads than the card says, or the linear model beside it is not the one that it was calibrated with.
    """
    longest = bundle.card.options.get("max_tokens")
    if not isinstance(longest, int):  # guessed, it would cut texts elsewhere than the network was trained and calibrated on
        message = f"bundle {bundle.directory}: options.max_tokens is the longest text in tokens; got {longest!r}; make the bundle again"
        raise BundleError(message)
    place = str(bundle.directory / bundles.TOKENIZER_FILE)
    tokenizer = Tokenizer(bundle.data[bundles.TOKENIZER_FILE], max_tokens=longest, place=place)
    engine = _engine(bundle, tokenizer, threads=threads, device=device)
    answered = {*engine.spec.text_heads, *engine.spec.token_heads}
    if answered != set(bundle.card.heads):
        message = (
            f"bundle {bundle.directory}: the network answers {', '.join(sorted(answered))}, the card names "
            f"{', '.join(sorted(bundle.card.heads))}; restore card and network together"
        )
        raise BundleError(message)
    columns = sum(len(bundle.card.heads[head]) for head in engine.spec.text_heads)
    found = engine.run([""]).text.shape[1]
    if found != columns:
        message = f"bundle {bundle.directory}: the network has {found} columns, the card names {columns}; restore card and network together"
        raise BundleError(message)
    companion = None
    if bundle.card.companion is not None:
        companion = Companion(linear.load_bundle(LINEAR_BUNDLES, bundle.card.language), bundle.card, bundle.card.companion)
    words = lexicon or flags.LEXICON_PATH.read_bytes()
    name = None if device == CPU else engine.engine_id
    return EncoderScorer(bundle, engine, lexicon=words, finder=finder, digest=digest, companion=companion, engine_name=name)


def _engine(bundle: EncoderBundle, tokenizer: Tokenizer, *, threads: int, device: str) -> Engine:
    model = bundle.data[bundles.MODEL_FILE]
    if device == CPU:
        return OnnxEngine(model, tokenizer, threads=threads)
    try:
        from models.encoder.torch_engine import TorchEngine
    except ImportError as error:
        message = f"device {device}: {error.name} is not installed; pip install 'groundswell[torch]', or set models.device to cpu"
        raise BundleError(message) from error
    return TorchEngine(model, tokenizer, device=device)


assert SENTIMENTS == ("negative", "neutral", "positive")  # the order of every head of three
