"""What a search shows: hits with their documents, and what the run's model says of each. Page, command, API and pandas read it here."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace
from sqlalchemy import Connection, select

from groundswell.errors import UsageError
from groundswell.records import Document, Outcome, Score
from groundswell.schedule import MODEL
from groundswell.search import Query
from groundswell.store import schema as t
from groundswell.store.facts import documents_of, stored_scores
from groundswell.store.search import Hit, Key, find
from groundswell.store.versions import read_schedule

PAGE: Final = 50
PAGE_MAX: Final = 500


@dataclass(frozen=True)
class Result:
    """One text that was found."""

    place: int
    document: Document  # with the known time of its admission in the run
    score: Score | None  # None: an edit, which is kept and shown and not scored
    outcome: Outcome  # "scored" or "edited"


@dataclass(frozen=True)
class ResultPage:
    """Results, newest first, and the place below which the next page begins; None: this is the last."""

    results: list[Result]
    below: int | None


def search_page(connection: Connection, run: str, query: Query, *, limit: int = PAGE, below: int | None = None) -> ResultPage:
    """One page of what a query means in a run, newest publication first.

    Raises:
        UsageError: more than PAGE_MAX at once, or the query takes too long.
    """
    if not 1 <= limit <= PAGE_MAX:
        reason = f"limit: from 1 to {PAGE_MAX} results at once, got {limit}; ask for the next page with what the last one says"
        raise UsageError(reason)
    hits = find(connection, run, query, limit=limit + 1, below=below)
    return ResultPage(results_of(connection, run, hits[:limit]), hits[limit - 1].place if len(hits) > limit else None)


def results_of(connection: Connection, run: str, hits: Sequence[Hit]) -> list[Result]:
    """The documents of hits in their order; one whose text was removed meanwhile is left out."""
    keys = [(hit.document_id, hit.content_hash) for hit in hits]
    documents, admitted = documents_of(connection, keys), _admitted(connection, run, [name for name, _ in keys])
    scores = counted_scores(connection, run, {key: model for key, (outcome, _, model) in admitted.items() if outcome == "scored"})
    return [
        Result(hit.place, replace(documents[key], known_ms=admitted[key][1]), scores.get(key), admitted[key][0])
        for hit, key in zip(hits, keys, strict=True)
        if key in documents and key in admitted
    ]


def counted_scores(connection: Connection, run: str, models: Mapping[Key, str | None]) -> dict[Key, Score]:
    """The score that counted of each content: by the model that its admission names, else by the one that the run began with."""
    began = read_schedule(connection, run).of(MODEL)
    first = began[0].hash if began else connection.execute(select(t.runs.c.model_id).where(t.runs.c.run == run)).scalar_one_or_none()
    by_model: dict[str, list[Key]] = defaultdict(list)
    for key, model in models.items():
        by_model[model or first or ""].append(key)
    scores: dict[Key, Score] = {}
    for model, keys in by_model.items():
        scores |= stored_scores(connection, keys, model_id=model)
    return scores


def named_in(connection: Connection, run: str, document_ids: Sequence[str]) -> dict[str, frozenset[str]]:
    """{document id: companies that are named in it}, by the score that counted in the run."""
    admitted = _admitted(connection, run, document_ids)
    scores = counted_scores(connection, run, {key: model for key, (outcome, _, model) in admitted.items() if outcome == "scored"})
    return {name: frozenset(mention.entity_id for mention in score.mentions) for (name, _), score in scores.items()}


def _admitted(connection: Connection, run: str, document_ids: Sequence[str]) -> dict[Key, tuple[Outcome, int, str | None]]:
    """{content: (outcome, known time, whose score counted where it was not the first model)} of its first admission in the run."""
    a = t.admissions.c
    rows = connection.execute(
        select(a.document_id, a.content_hash, a.outcome, a.known_ms, a.model_id)
        .where(a.run == run, a.document_id.in_(document_ids), a.outcome.in_(("scored", "edited")))
        .order_by(a.known_ms.desc())
    )
    return {(row.document_id, row.content_hash): (row.outcome, row.known_ms, row.model_id) for row in rows}
