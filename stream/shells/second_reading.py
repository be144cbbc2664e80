"""Second reading: what other models make of the stories that an alert counts. Did the world move, or the model?

Models that have read the same documents are asked in the store; the linear one, which shares nothing with an encoder but the texts it
learnt from, reads them now. No part of the alert: it was made by one model, and is made again by that one.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from groundswell.records import Alert, Candidate, Document
from groundswell.store import schema as t
from groundswell.store.facts import counted_documents
from models.scorer import Scorer

COUNTS_NEGATIVES = frozenset({"surge", "late", "amplification"})
"""Kinds that rest on negative documents that can be read again. A sighting rests on a listed risk, a slow burn on weeks."""


class Reading(NamedTuple):
    """One model's reading of an alert's stories."""

    model: str
    stories: int  # of which it has read a document
    negative: int  # of which it calls a document negative


def second_readings(connection: Connection, run: str, alert: Alert, main: Candidate, *, linear: Scorer) -> list[Reading]:
    """What other models than the alert's say of its stories; none for kinds that do not count negative stories.

    Args:
        connection: a reading transaction.
        run: whose alert.
        alert: as stored.
        main: the finding that it was made from.
        linear: reads what is still there now.
    """
    if alert.kind not in COUNTS_NEGATIVES or alert.any_tone:
        return []
    documents = counted_documents(connection, run, [str(row[0]) for row in main.evidence])
    said = _stored(connection, documents)
    read = linear.score(list(documents.values()))
    said[linear.model_id] = {score.document_id: score.sentiment for score in read if score is not None}
    said.pop(alert.versions.get("model", ""), None)
    stories = {str(row[0]): str(row[1]) for row in main.evidence}
    return [Reading(model, *_counted(found, stories)) for model, found in sorted(said.items()) if found]


def _stored(connection: Connection, documents: Mapping[str, Document]) -> dict[str, dict[str, str]]:
    """{model: {document id: sentiment}} of stored scores of these contents."""
    s = t.scores.c
    found: dict[str, dict[str, str]] = {}
    rows = connection.execute(select(s.document_id, s.content_hash, s.model_id, s.sentiment).where(s.document_id.in_(documents)))
    for document_id, content_hash, model, sentiment in rows:
        if documents[document_id].content_hash == content_hash:
            found.setdefault(model, {})[document_id] = sentiment
    return found


def _counted(sentiments: Mapping[str, str], stories: Mapping[str, str]) -> tuple[int, int]:
    def distinct(names: Iterable[str]) -> int:
        return len({stories[name] for name in names})

    return distinct(sentiments), distinct(name for name, sentiment in sentiments.items() if sentiment == "negative")
