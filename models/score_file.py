"""`groundswell score`: JSON lines in, JSON lines out, one for one and in order.

A line that cannot be scored (another language, no letters) keeps its place with nulls and a `reason`; a line that is not
what it should be keeps its place with nulls and an `error`. Nothing here stops at a bad line.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Any, Final

import msgspec

from groundswell.names import SENTIMENTS, content_id
from groundswell.records import Document, Kind, Score
from models.scorer import Judge, Question, Scorer, find_name, scored_text, sentiment_of
from models.taxonomy import PPM

BATCH_LINES: Final = 512
DetectLanguage = Callable[[str, str | None], str | None]  # (text, claimed) -> code, or None where there are no letters

_FIELDS: Final = (
    "id",
    "topic",
    "topic_probs",
    "native_topic",
    "native_topic_probs",
    "sentiment",
    "p_negative",
    "p_neutral",
    "p_positive",
    "entities",
    "flags",
    "language",
    "model",
)


class Line(msgspec.Struct, frozen=True):
    """An input line. `title` or `text` is needed; `entities` are names to judge."""

    id: str | int | None = None
    title: str | None = None
    text: str | None = None
    language: str | None = None
    kind: Kind = "news"
    entities: list[Annotated[str, msgspec.Meta(min_length=1)]] | None = None


class _Item(msgspec.Struct):
    """A line on its way: either a document or the answer that replaces it."""

    line: Line
    document: Document | None = None
    answer: dict[str, Any] | None = None


def score_lines(lines: Iterable[bytes], scorer: Scorer, *, detect: DetectLanguage, judge: Judge | None = None) -> Iterator[bytes]:
    """Score JSON lines lazily, BATCH_LINES at a time.

    Args:
        lines: one JSON object per element, with or without its line end.
        scorer: any scorer.
        detect: decides the language from the text and what the line claims.
        judge: answers for single names; without one, a name is given the sentiment of its document.

    Yields:
        One line of JSON per input line, ending in a newline. Probabilities are floats; those of topics cover the
        measured topics only. Offsets count characters of `title`, of `text`, or of both joined by a newline.
    """
    pending = iter(lines)
    while batch := list(islice(pending, BATCH_LINES)):
        items = [_item(number, line, scorer=scorer, detect=detect) for number, line in enumerate(batch)]
        documents = [item.document for item in items if item.document is not None]
        scores = iter(scorer.score(documents))
        pairs = [(item, next(scores) if item.document is not None else None) for item in items]
        for answer in _answers(pairs, judge):
            yield msgspec.json.encode(answer) + b"\n"


def _item(number: int, line: bytes, *, scorer: Scorer, detect: DetectLanguage) -> _Item:
    try:
        parsed = msgspec.json.decode(line, type=Line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = f"not a line of `groundswell score`: {error}; needed is a JSON object with id and title or text"
        return _Item(Line(), answer=_nulls(_salvaged_id(line)) | {"error": reason})
    title, text = parsed.title or "", parsed.text or ""
    if not (title or text).strip():
        return _Item(parsed, answer=_nulls(parsed.id) | {"error": "title and text are both empty; one of them is needed"})
    if not title.strip():
        title, text = text, ""
    language = detect(f"{title}\n{text}" if text else title, parsed.language)
    if language not in scorer.languages:
        found = "no letters in the text" if language is None else f"language {language!r} is not scored"
        reason = f"{found}; {scorer.model_id} scores {', '.join(sorted(scorer.languages))}"
        return _Item(parsed, answer=_nulls(parsed.id) | {"language": language, "model": scorer.model_id, "reason": reason})
    return _Item(parsed, document=plain_document(number, title=title, text=text, kind=parsed.kind, language=language))


def plain_document(number: int, *, title: str, text: str, kind: Kind, language: str | None) -> Document:
    """A document without a time: scorers look at title, text and language only."""
    return Document(
        document_id=content_id(str(number), title, text),
        content_hash=content_id(title, text),
        source="score",
        owner="score",
        owner_known=False,
        kind=kind,
        language=language,
        title=title,
        text=text,
        url=None,
        published_ms=0,
        published_precision="second",
        known_ms=0,
    )


def _nulls(line_id: str | int | None) -> dict[str, Any]:
    return dict.fromkeys(_FIELDS) | {"id": line_id}


def _salvaged_id(line: bytes) -> str | int | None:
    """The id of a line that is JSON but not what it should be: its owner will want to find it."""
    try:
        found = msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    line_id = found.get("id") if isinstance(found, dict) else None
    return line_id if isinstance(line_id, str | int) and not isinstance(line_id, bool) else None


def _answers(pairs: Sequence[tuple[_Item, Score | None]], judge: Judge | None) -> Iterator[dict[str, Any]]:
    unnamed = [item.document for item, score in pairs if score is not None and item.document is not None and item.line.entities is None]
    found = iter(judge.names(unnamed) if judge else [])
    asked = [_questions(item, score, found if judge else None) for item, score in pairs]
    judged = iter(judge.judge([question for part in asked for _, question in part])) if judge else None
    for (item, score), part in zip(pairs, asked, strict=True):
        if item.answer is not None:
            yield item.answer
        elif score is None:
            yield _nulls(item.line.id) | {"reason": "the model gave no answer for this text"}
        else:
            whole = (score.negative_ppm, score.neutral_ppm, score.positive_ppm)
            yield _scored(item, score, [_entity(name, question, next(judged) if judged else whole) for name, question in part])


def _questions(item: _Item, score: Score | None, found: Iterator[list[tuple[int, int]]] | None) -> list[tuple[str, Question]]:
    """The names to judge: the given ones in their order, else those that the judge finds next; without a judge the companies."""
    if item.document is None or score is None:
        return []
    text = scored_text(item.document)
    if item.line.entities is None:
        spans = [(mention.start, mention.end) for mention in score.mentions] if found is None else next(found)
        return [(text[start:end], Question(score.language, text, start, end)) for start, end in spans]
    places = [(name, find_name(text, name)) for name in item.line.entities]
    return [(name, Question(score.language, text, *(place or (None, None)))) for name, place in places]


def _probabilities(shares: Sequence[int]) -> dict[str, float]:
    return {f"p_{name}": share / PPM for name, share in zip(SENTIMENTS, shares, strict=True)}


def _entity(name: str, question: Question, shares: tuple[int, int, int]) -> dict[str, Any]:
    return {"name": name, "start": question.start, "end": question.end, "sentiment": sentiment_of(shares), **_probabilities(shares)}


def _scored(item: _Item, score: Score, entities: list[dict[str, Any]]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": item.line.id,
        "topic": score.topic,
        "topic_probs": {topic: share / PPM for topic, share in score.topic_ppm.items()},
        "native_topic": score.native_topic,
        "native_topic_probs": [share / PPM for share in score.native_topic_ppm] or None,
        "sentiment": score.sentiment,
        **_probabilities((score.negative_ppm, score.neutral_ppm, score.positive_ppm)),
        "entities": entities,
        "flags": score.flags,
        "language": score.language,
        "model": score.model_id,
    }
    if score.language == "zh":
        answer["labels"] = score.labels
    return answer
