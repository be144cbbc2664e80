"""The score stage with its store: raw records in, facts stored before anything depends on them.

`IntakeStage.take_all` is one transaction: admissions, documents, scores, drops, and the progress of the partitions that they came from.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, or_, select

from groundswell.records import Admission, Arrival, Contribution, Document, Drop, Position, Score, Stamped
from groundswell.schedule import MODEL
from groundswell.store import schema as t
from groundswell.store.facts import (
    count_taken,
    in_span,
    known_contents,
    models_of,
    stored_scores,
    write_heartbeats,
    write_intake,
)
from groundswell.store.progress import Claim, Move, advance_all, confirm
from groundswell.store.store import Store
from groundswell.store.versions import check_schedule
from groundswell.watches import Watches
from models.scorer import Scorer
from stream.operators.admit import StampClock
from stream.operators.identify import identify
from stream.pipeline import Opened, arrivals_of, contributions_of, kept_bytes, open_records
from stream.shells.isolation import Isolated, OpenBatch, Result, clear_marks, one_result, refusal_of, score_alone
from stream.shells.versions import ScorersInForce

Key = tuple[str, str]
"""Document id and content hash: what a score belongs to."""


@dataclass
class Taken:
    """What a batch of raw records leads to, after its facts are stored."""

    contributions: list[tuple[Position, Contribution]]
    arrivals: list[Arrival]
    drops: list[Drop]
    admissions: list[Admission]
    scored: list[tuple[Document, Score]]  # the documents that count, each with its stored score


def raw_records(_: Connection, batch: Sequence[Stamped], clock: StampClock, refused: Mapping[Position, str]) -> Opened:
    """The records of a log as a crawler or an archive filled it."""
    return open_records(batch, clock, refused)


@dataclass(frozen=True)
class IntakePart:
    """What one raw partition brings to a transaction.

    Args:
        batch: records of that partition, in order.
        clock: the partition's time.
        claim: progress of the score stage to move behind the batch in the same transaction.
        next_offset: where to move it to; None: behind the last record.
    """

    batch: Sequence[Stamped]
    clock: StampClock
    claim: Claim | None = None
    next_offset: int | None = None

    @property
    def partition(self) -> int:
        """Which raw partition."""
        return self.batch[0].position.partition if self.batch else self.claim.part if self.claim else 0

    @property
    def behind(self) -> int:
        """The lowest offset that still has to be read after it."""
        if self.next_offset is not None:
            return self.next_offset
        return self.batch[-1].position.offset + 1 if self.batch else 0


class _Before(NamedTuple):
    """What the store holds of the records of a transaction."""

    known: dict[str, dict[str, Position]]
    scores: dict[Key, Score]  # those that count, or would
    models: dict[Key, str]  # whose
    alone: Mapping[Key, Result]  # of records that were scored one by one


@dataclass
class IntakeStage:
    """Raw records in, stored facts and contributions out, for the raw partitions of one process.

    Args:
        store: where facts go.
        run: whose admissions.
        scorer: the model that the process was started with.
        shared: other processes write the same facts, so scores are read back after the insert.
        scorers: which model scores a document, by its known time; None: the one model.
        open_batch: makes documents of raw records.
    """

    store: Store
    run: str
    scorer: Scorer
    shared: bool = False
    scorers: ScorersInForce | None = None
    open_batch: OpenBatch = raw_records

    def __post_init__(self) -> None:
        self._in_force = self.scorers or ScorersInForce(self.store, self.run, self.scorer)

    def take(
        self, batch: Sequence[Stamped], clock: StampClock, *, claim: Claim | None = None, next_offset: int | None = None
    ) -> tuple[Taken, Claim | None]:
        """Store the facts of one raw partition's batch; see `take_all`."""
        return self.take_all([IntakePart(batch, clock, claim, next_offset)])[0]

    def take_all(self, parts: Sequence[IntakePart]) -> list[tuple[Taken, Claim | None]]:
        """Store the facts of a batch of each of some raw partitions, and return what each contributes. A replayed batch costs no inference.

        A document is scored by the model that is in force at its known time; what was stored before keeps the score that counted.

        Args:
            parts: batches of different partitions, ascending, so that two processes cannot lock each other; one alone may be of several.

        Returns:
            Of each part what it led to, and its progress as it was moved.

        Raises:
            OwnershipLostError: another process owns one of the partitions; nothing was stored.
            DependencyError: the store is away, or a version came into force meanwhile; nothing was stored.
            BundleError: the model in force cannot be had here; nothing was stored.
            UsageError: another company catalogue is in force; nothing was stored.
        """
        self._in_force.propose()
        isolated = [self._isolate(part) for part in parts]
        opened, before = self._read(parts, isolated)
        documents = [each for one in opened for each in one.documents]
        admitted, scores, fresh, refused = self._admit(documents, parts, before)
        admissions, drops = [admission for admission, _ in admitted], [*(drop for one in opened for drop in one.drops), *refused]
        with self.store.write() as connection:
            once = _once(document for _, document in documents)
            scored = write_intake(
                self.store, connection, self.run, admissions=admissions, documents=once, scores=fresh.values(), drops=drops
            )
            write_heartbeats(self.store, connection, [beat for one in opened for beat in one.heartbeats])
            if self.shared and scored < len(fresh):  # another process has scored some of them meanwhile, and its scores count
                scores |= _stored(connection, before.models, fresh)
            claims = self._move(connection, parts, opened, isolated)
            check_schedule(connection, self.run, self._in_force.schedule, before_ms=max(part.clock.time_ms for part in parts) + 1)
        led_to = _by_partition(admitted, drops) if len(parts) > 1 else {parts[0].partition: (admitted, drops)}
        return [
            (_taken(*led_to[part.partition], scores, self._in_force.watches.at), claim) for part, claim in zip(parts, claims, strict=True)
        ]

    def _isolate(self, part: IntakePart) -> Isolated | None:
        """Record by record where the last owner may have died of one of these."""
        claim = part.claim
        if claim is None or not claim.follows_death:
            return None
        new = [stamped for stamped in part.batch if stamped.position.offset >= claim.next_offset]
        if not new:
            return None
        with self.store.read() as connection:
            self._in_force.renew(connection)
        return score_alone(self.store, self.run, new, part.clock, self._score_one, open_batch=self.open_batch)

    def _score_one(self, document: Document) -> Result:
        return one_result(self._in_force.at(document.known_ms), document)

    def _move(
        self, connection: Connection, parts: Sequence[IntakePart], opened: Sequence[Opened], isolated: Sequence[Isolated | None]
    ) -> list[Claim | None]:
        """Progress behind each batch, and what was read of it for the first time: the balance rests on both."""
        moves: dict[int, Move] = {}
        read: list[tuple[Position, Document] | Drop] = []
        for part, one in zip(parts, opened, strict=True):
            if part.claim is None:
                continue
            if part.behind <= part.claim.next_offset:
                confirm(connection, part.claim)
                continue
            first_new = part.claim.next_offset
            read += [each for each in one.documents if each[0].offset >= first_new]
            read += [drop for drop in one.drops if drop.position.offset >= first_new]
            moves[part.partition] = Move(part.claim, part.behind, part.clock.time_ms, part.claim.closed_tick)
        count_taken(self.store, connection, self.run, read)
        claims = {part.partition: part.claim for part in parts}
        claims |= dict(zip(moves, advance_all(connection, list(moves.values())), strict=True))
        for part, alone in zip(parts, isolated, strict=True):
            claim = claims[part.partition]
            if claim is not None and alone is not None and clear_marks(connection, self.run, part.batch):
                claims[part.partition] = replace(claim, follows_death=True)
        return [claims[part.partition] for part in parts]

    def _read(self, parts: Sequence[IntakePart], isolated: Sequence[Isolated | None]) -> tuple[list[Opened], _Before]:
        """The records of each batch, read, and what is stored of them already: after a restart some of them are met again."""
        care = [alone for alone in isolated if alone is not None]
        killers = {position: reason for alone in care for position, reason in alone.killers.items()}
        with self.store.read() as connection:
            self._in_force.renew(connection)
            refused = _stored_drops(connection, self.run, parts) | killers
            opened = [self.open_batch(connection, part.batch, part.clock, refused) for part in parts]
            documents = [each for one in opened for each in one.documents]
            known = known_contents(connection, self.run, [d.document_id for _, d in documents])
            models = self._models(connection, parts, documents, known)
            scores = _stored(connection, models, models)
        self._in_force.load_ahead(max(part.clock.time_ms for part in parts))
        return opened, _Before(known, scores, models, {key: result for alone in care for key, result in alone.results.items()})

    def _models(
        self,
        connection: Connection,
        parts: Sequence[IntakePart],
        documents: Sequence[tuple[Position, Document]],
        known: Mapping[str, Mapping[str, Position]],
    ) -> dict[Key, str]:
        """Whose score counts for each content: of a replayed record the one that did, else the one in force at its known time."""
        marks: dict[Position, str] = {}
        if len(self._in_force.schedule.of(MODEL)) > 1:
            for partition, first, last in _spans(parts):
                marks |= models_of(connection, self.run, partition, first, last)
        models: dict[Key, str] = {}
        for position, document in documents:
            if known.get(document.document_id, {}).get(document.content_hash) == position:
                models[_key(document)] = self._in_force.marked(marks.get(position))
            else:
                models.setdefault(_key(document), self._in_force.at(document.known_ms).model_id)
        return models

    def _admit(
        self, documents: list[tuple[Position, Document]], parts: Sequence[IntakePart], before: _Before
    ) -> tuple[list[tuple[Admission, Document]], dict[Key, Score], dict[Key, Score], list[Drop]]:
        """What each document is, the scores of those that count, the new ones among them, and what the model cannot take.

        A refused document was never there: what follows it is identified without it, in this batch as in any other. It stays
        refused when it is met again, even by a model that could take it: it is accounted for as a drop.
        """
        bodies = {stamped.position: stamped.body for part in parts for stamped in part.batch}
        scores, refused = dict(before.scores), dict[Position, str]()
        fresh: dict[Key, Score] = {}
        reasons: dict[Key, str] = {}
        drops: list[Drop] = []
        while True:
            for position, document in documents:
                if position in refused:
                    drops.append(_refusal(position, document, reason=refused[position], body=bodies[position]))
            documents = [(position, document) for position, document in documents if position not in refused]
            admissions = identify(documents, {document_id: dict(contents) for document_id, contents in before.known.items()})
            admitted = [(self._marked(a, before.models[_key(d)]), d) for a, (_, d) in zip(admissions, documents, strict=True)]
            counted = [document for admission, document in admitted if admission.outcome == "scored"]
            wanted = [d for d in counted if _key(d) not in scores and _key(d) not in reasons]
            for document, result in zip(wanted, self._results(wanted, before), strict=True):
                reason = refusal_of(result, document)
                if reason is not None:
                    reasons[_key(document)] = reason
                elif isinstance(result, Score):
                    fresh[_key(document)] = result
            scores |= fresh
            refused = {a.position: reasons[_key(d)] for a, d in admitted if a.outcome == "scored" and _key(d) in reasons}
            if not refused:
                return admitted, scores, fresh, drops

    def _marked(self, admission: Admission, model_id: str) -> Admission:
        mark = self._in_force.mark(model_id) if admission.outcome == "scored" else None
        return admission if mark is None else msgspec.structs.replace(admission, model_id=mark)

    def _results(self, documents: list[Document], before: _Before) -> list[Result]:
        """A result for each document; one that the model cannot take spoils no other."""
        results: dict[Key, Result] = {}
        by_model: dict[str, list[Document]] = defaultdict(list)
        for document in documents:
            by_model[before.models[_key(document)]].append(document)
        for some in by_model.values():
            answers = _score_all(self._in_force.at(some[0].known_ms), some, before.alone)
            results |= {_key(document): answer for document, answer in zip(some, answers, strict=True)}
        return [results[_key(document)] for document in documents]


def _score_all(scorer: Scorer, documents: list[Document], alone: Mapping[Key, Result]) -> list[Result]:
    if alone:
        return [alone[_key(document)] if _key(document) in alone else one_result(scorer, document) for document in documents]
    try:
        return list(scorer.score(documents))
    except Exception:
        return [one_result(scorer, document) for document in documents]


def _stored(connection: Connection, models: Mapping[Key, str], keys: Iterable[Key]) -> dict[Key, Score]:
    """Stored scores of contents, each by the model whose score counts."""
    by_model: dict[str, set[Key]] = defaultdict(set)
    for key in keys:
        by_model[models[key]].add(key)
    scores: dict[Key, Score] = {}
    for model_id, wanted in by_model.items():
        scores |= stored_scores(connection, wanted, model_id=model_id)
    return scores


def _spans(parts: Iterable[IntakePart]) -> list[tuple[int, int, int]]:
    """(partition, first offset, last offset) of each batch that holds anything."""
    return [(part.partition, part.batch[0].position.offset, part.batch[-1].position.offset) for part in parts if part.batch]


def _stored_drops(connection: Connection, run: str, parts: Sequence[IntakePart]) -> dict[Position, str]:
    spans = _spans(parts)
    if not spans:
        return {}
    d, mine = t.drops.c, or_(*(in_span(t.drops, run, *span) for span in spans))
    rows = connection.execute(select(d.part, d.position, d.place, d.reason).where(mine))
    return {Position(part, position, place): reason for part, position, place, reason in rows}


def _taken(
    admitted: list[tuple[Admission, Document]], drops: list[Drop], scores: Mapping[Key, Score], watches_at: Callable[[int], Watches]
) -> Taken:
    admissions = [admission for admission, _ in admitted]
    counted = [(document, scores[_key(document)]) for admission, document in admitted if admission.outcome == "scored"]
    return Taken(contributions_of(admitted, scores, watches_at), arrivals_of(admissions), drops, admissions, counted)


def _by_partition(
    admitted: Iterable[tuple[Admission, Document]], drops: Iterable[Drop]
) -> dict[int, tuple[list[tuple[Admission, Document]], list[Drop]]]:
    found: dict[int, tuple[list[tuple[Admission, Document]], list[Drop]]] = defaultdict(lambda: ([], []))
    for admission, document in admitted:
        found[admission.position.partition][0].append((admission, document))
    for drop in drops:
        found[drop.position.partition][1].append(drop)
    return found


def _key(document: Document) -> Key:
    return document.document_id, document.content_hash


def _refusal(position: Position, document: Document, *, reason: str, body: bytes) -> Drop:
    return Drop(position=position, known_ms=document.known_ms, source=document.source, reason=reason, body=kept_bytes(body))


def _once(documents: Iterable[Document]) -> list[Document]:
    """Each (document, content) once: the first."""
    return list({(d.document_id, d.content_hash): d for d in reversed(list(documents))}.values())
