"""Contribute: what a scored document adds to each series it counts in. Made from stored rows only."""

from collections.abc import Mapping
from typing import Final

from groundswell.denial import denies
from groundswell.names import (
    CANARY_SERIES,
    CANARY_SOURCE,
    DAY_MS,
    HOUR_MS,
    OFFICIAL_ROLES,
    entity_series,
    flag_series,
    topic_series,
    word_series,
)
from groundswell.records import Contribution, Document, Kind, Score, Sentiment
from groundswell.watches import NOTHING, Watches

FRESH_MS: Final[Mapping[Kind, int]] = {"news": 6 * HOUR_MS, "comment": 2 * HOUR_MS, "report": DAY_MS, "filing": DAY_MS}
"""How old a document may be when it becomes known and still lead to an alert; later ones are shown, counted apart."""

FRESH_DAILY_MS: Final = 36 * HOUR_MS
"""The same for documents that say only the day."""

ENTITIES_MAX: Final = 3
"""Companies of one document that are counted: the first ones named. A list of fifty names is about none of them."""


SUBJECTS_MAX: Final = 2
"""Companies that a title may name and still be about each of them."""


def contribute(document: Document, score: Score, watches: Watches = NOTHING) -> list[Contribution]:
    """One contribution for each series.

    They are the document's topic in its language, up to three companies, each risk of its subjects, what it officially says of them or
    denies, and the saved searches that find it.

    A canary counts in its own series alone, and there as a text that says nothing: it can lead to no candidate.

    Args:
        document: as stored, with the known time of its admission in this run.
        score: as stored.
        watches: those in force at its known time.
    """
    if document.source == CANARY_SOURCE:
        return [_counted(document, score, CANARY_SERIES, fresh=False, sentiment="neutral", negative_ppm=0)]
    age_ms = document.known_ms - document.published_ms
    fresh = age_ms <= (FRESH_DAILY_MS if _daily(document) else FRESH_MS[document.kind])
    entities = list(dict.fromkeys(mention.entity_id for mention in score.mentions))[:ENTITIES_MAX]
    subjects = _subjects(document, score)
    series = [
        topic_series(score.topic, score.language),
        *map(entity_series, entities),
        *(flag_series(flag, subject) for flag in score.flags for subject in subjects),
        *(word_series(word, subject) for word in (_words(document) if subjects else ()) for subject in subjects),
        *watches.series_of(document, score),
    ]
    return [_counted(document, score, key, fresh=fresh, sentiment=score.sentiment, negative_ppm=score.negative_ppm) for key in series]


def _counted(document: Document, score: Score, series: str, *, fresh: bool, sentiment: Sentiment, negative_ppm: int) -> Contribution:
    return Contribution(
        series=series,
        document_id=document.document_id,
        known_ms=document.known_ms,
        published_ms=document.published_ms,
        daily=_daily(document),
        fresh=fresh,
        owner=document.owner,
        owner_known=document.owner_known,
        sentiment=sentiment,
        negative_ppm=negative_ppm,
        digest=score.digest,
        tier=document.tier or 0,
    )


def _daily(document: Document) -> bool:
    return document.published_precision == "day"


def _words(document: Document) -> list[str]:
    """Which of names.WORDS a document is; a reader's comment is neither."""
    if document.kind == "comment":
        return []
    said = ["official"] if document.role in OFFICIAL_ROLES else []
    return [*said, "denial"] if denies(document.title, document.language) else said


def _subjects(document: Document, score: Score) -> list[str]:
    """Whose risk a flag is: the companies of the title, where they are few. An authority there is who acts, not who is at risk."""
    titled = dict.fromkeys(m.entity_id for m in score.mentions if m.start < len(document.title) and not m.authority)
    return list(titled) if len(titled) <= SUBJECTS_MAX else []
