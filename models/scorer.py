"""What every scorer promises, and the linear one: topics, sentiment, mentions and risk flags of a batch of documents."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec

from groundswell.names import SENTIMENTS
from groundswell.records import Document, Mention, Score, Sentiment
from models.flags import FlagFinder, parse_lexicon
from models.linear import LinearModel, model_id
from models.taxonomy import PPM, highest, topics_of_labels, topics_of_native

Finder = Callable[[str], list[Mention]]
"""Companies in a text (models.entities.Catalogue.find)."""

Digest = Callable[[str], bytes]
"""MinHash of a text, names.DIGEST_WORDS little-endian uint32 (stream.operators.stories.digest)."""

LINEAR_BUNDLES: Final = Path(__file__).resolve().parent / "bundles" / "linear"
BATCH: Final = 256  # documents hashed at a time: larger arrays fall out of the processor's cache
CLAUSE_PERCENT: Final = 60  # weight of an entity's own clause against the whole text, chosen on dev (docs/models.md)
CLAUSE_REACH: Final = 200  # characters of a clause before and after a name; a text without marks must not cost its length for each name

_CLAUSE_END = re.compile(
    r"[,;:|!?–—，；：！？。]|\.\s|\s-\s|\b(?:but|while|whereas|as|and|after|despite|amid|vs|over)\b|而|但",
    re.IGNORECASE,
)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Scorer(Protocol):
    """A model that scores documents.

    `score` is called by the score stage, once per batch of up to a few hundred documents, from one thread at a time and
    off the event loop; and by `groundswell score`. What must not change: `model_id` and `languages` are constant for the
    life of the object; the answer for a document depends on its title, text and language alone, never on the rest of the
    batch, on earlier calls or on a clock; the same document always gets the same bytes; documents are not altered; one
    document that cannot be scored does not stop the others.
    """

    @property
    def model_id(self) -> str:
        """Name, hash, engine and number format; whatever can change an answer changes it."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """Language codes that are scored."""
        ...

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """One answer per document, in order; None where the document's language is not scored or it has no text."""
        ...


class Question(msgspec.Struct, frozen=True):
    """What does `text` say of the name at `[start, end)`? Without a place, the whole text is judged."""

    language: str
    text: str
    start: int | None = None
    end: int | None = None


class Judge(Protocol):
    """A scorer that can also judge single names; called with the questions of one batch, under the same promises."""

    def judge(self, questions: Sequence[Question]) -> list[tuple[int, int, int]]:
        """Negative, neutral and positive in parts per million, summing to 1,000,000, per question."""
        ...

    def names(self, documents: Sequence[Document]) -> list[list[tuple[int, int]]]:
        """Places `[start, end)` of names in each `scored_text`, in order, whether or not the catalogue knows them."""
        ...


def scored_text(document: Document) -> str:
    """Title, line feed, text: what is scored and what offsets refer to. Lone surrogates are replaced one for one."""
    return _SURROGATE.sub("\ufffd", f"{document.title}\n{document.text}" if document.text else document.title)


def find_name(text: str, name: str) -> tuple[int, int] | None:
    """First place of a name in a text as whole words, in any letter case.

    >>> find_name("Metals fall, Meta rises", "meta"), find_name("硅谷银行破产", "银行"), find_name("Metals", "Meta")
    ((13, 17), (2, 4), None)
    """
    name = name.strip()
    if not name:
        return None
    before = r"(?<![A-Za-z0-9])" if name[0].isascii() and name[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if name[-1].isascii() and name[-1].isalnum() else ""
    found = re.search(before + re.escape(name) + after, text, re.IGNORECASE)
    return found.span() if found else None


def clause_of(text: str, start: int, end: int) -> str:
    """The part of a text between the clause marks around `[start, end)`, at most CLAUSE_REACH characters to either side.

    >>> clause_of("Alpha jumps 5% while Beta sinks on weak sales", 21, 25)
    ' Beta sinks on weak sales'
    """
    first, last = max(0, start - CLAUSE_REACH), min(len(text), end + CLAUSE_REACH)
    for mark in _CLAUSE_END.finditer(text, first, last):
        if mark.end() <= start:
            first = mark.end()
        elif mark.start() >= end:
            last = mark.start()
            break
    return text[first:last]


def sentiment_of(shares: Sequence[int]) -> Sentiment:
    """The highest of negative, neutral, positive; the first of equals.

    >>> sentiment_of((400_000, 200_000, 400_000))
    'negative'
    """
    return cast(Sentiment, highest(dict(zip(SENTIMENTS, shares, strict=True))))


class LinearScorer:
    """The linear models as a Scorer and a Judge: no accelerator, no download, thousands of documents a second."""

    def __init__(
        self,
        models: Mapping[str, LinearModel],
        lexicon: bytes,
        *,
        finder: Finder,
        digest: Digest,
    ) -> None:
        """Put a scorer together.

        Args:
            models: language -> its model.
            lexicon: bytes of lexicon.json.
            finder: as its type says.
            digest: as its type says.

        Raises:
            BundleError: the lexicon cannot be read or names a flag that taxonomy.RISK_FLAGS does not.
        """
        parsed = parse_lexicon(lexicon)
        self._models = dict(models)
        self._flags = {language: FlagFinder(parsed, language) for language in models}
        self._finder, self._digest = finder, digest
        self._model_id = model_id(models.values(), lexicon=lexicon)

    @property
    def model_id(self) -> str:
        """`linear-<eight digits>-numpy-int8`."""
        return self._model_id

    @property
    def languages(self) -> frozenset[str]:
        """Languages of the bundles."""
        return frozenset(self._models)

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """Score a batch; see Scorer. None: another language, or neither title nor text."""
        answers: list[Score | None] = [None] * len(documents)
        for language, model in self._models.items():
            places = [i for i, document in enumerate(documents) if document.language == language]
            texts = [scored_text(documents[i]) for i in places]
            kept = [(i, text) for i, text in zip(places, texts, strict=True) if text.strip()]
            for first in range(0, len(kept), BATCH):
                batch = kept[first : first + BATCH]
                outputs = model.predict([text for _, text in batch])
                topics = outputs.topic.tolist() if outputs.topic is not None else [None] * len(batch)
                labels = outputs.labels.tolist() if outputs.labels is not None else [None] * len(batch)
                for (i, text), shares, native, given in zip(batch, outputs.sentiment.tolist(), topics, labels, strict=True):
                    answers[i] = self._answer(documents[i], text, model=model, sentiment=shares, native=native, labels=given)
        return answers

    def judge(self, questions: Sequence[Question]) -> list[tuple[int, int, int]]:
        """Sentiment towards names: that of the name's clause mixed with that of the whole text; see Judge.

        A language without a model is answered as neutral.
        """
        answers = [(0, PPM, 0)] * len(questions)
        for language, model in self._models.items():
            places = [i for i, question in enumerate(questions) if question.language == language]
            texts = [questions[i].text for i in places]
            clauses = [_clause(questions[i]) for i in places]
            distinct = {text: row for row, text in enumerate(dict.fromkeys(texts + clauses))}
            if not distinct:
                continue
            shares = model.predict(list(distinct)).sentiment.tolist()
            for i, text, clause in zip(places, texts, clauses, strict=True):
                answers[i] = _mixed(shares[distinct[text]], shares[distinct[clause]])
        return answers

    def names(self, documents: Sequence[Document]) -> list[list[tuple[int, int]]]:
        """Places of the names that the finder knows: a linear model finds no others."""
        return [[(mention.start, mention.end) for mention in self._finder(scored_text(document))] for document in documents]

    def _answer(
        self, document: Document, text: str, *, model: LinearModel, sentiment: list[int], native: list[int] | None, labels: list[int] | None
    ) -> Score:
        names = model.card.heads.get("labels", [])
        topic_ppm = topics_of_native(native) if native else topics_of_labels(dict(zip(names, labels or [], strict=True)))
        negative, neutral, positive = sentiment
        return Score(
            document_id=document.document_id,
            content_hash=document.content_hash,
            model_id=self._model_id,
            language=model.card.language,
            topic=highest(topic_ppm),
            topic_ppm=topic_ppm,
            sentiment=sentiment_of(sentiment),
            negative_ppm=negative,
            neutral_ppm=neutral,
            positive_ppm=positive,
            native_topic=native.index(max(native)) if native else None,
            native_topic_ppm=native or [],
            labels=[name for name, share in zip(names, labels or [], strict=True) if share >= model.card.label_threshold_ppm],
            mentions=self._finder(text),
            flags=self._flags[model.card.language].find(text),
            digest=self._digest(text),
        )


def _clause(question: Question) -> str:
    if question.start is None or question.end is None:
        return question.text
    return clause_of(question.text, question.start, question.end)


def _mixed(whole: Sequence[int], clause: Sequence[int]) -> tuple[int, int, int]:
    """Integers throughout; what rounding leaves over goes to neutral."""
    negative, positive = (((100 - CLAUSE_PERCENT) * whole[i] + CLAUSE_PERCENT * clause[i]) // 100 for i in (0, 2))
    return negative, PPM - negative - positive, positive
