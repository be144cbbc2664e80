"""The three stages with their store: what every shell does around the pure pipeline, transaction by transaction.

IntakeStage.take      one transaction: admissions, documents, scores, drops (facts first)
FoldStage.commit      one transaction: what closed ticks led to, and the progress that stands for it
DeskStage.decide      within a transaction: decisions, incidents, alerts, outbox, and the desk's progress
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from alerts.desk import CHANCE, OPENED, DeskState, Incident, Opening
from alerts.dossier import PEERED, compose
from groundswell.codec import canonical, decode
from groundswell.records import Admission, Alert, Arrival, Candidate, Contribution, Decision, Document, Drop, Position, Score, Stamped
from groundswell.schedule import MODEL
from groundswell.store import schema as t
from groundswell.store.derived import (
    insert_alert,
    insert_candidates,
    insert_decisions,
    insert_increments,
    insert_rows,
    insert_stories,
    load_decided,
)
from groundswell.store.facts import (
    count_taken,
    counted_documents,
    in_span,
    known_contents,
    models_of,
    stored_scores,
    write_heartbeats,
    write_intake,
)
from groundswell.store.progress import Claim, advance, confirm
from groundswell.store.store import Store
from groundswell.store.versions import check_schedule
from models.scorer import Scorer
from stream.operators.admit import StampClock
from stream.operators.identify import identify
from stream.pipeline import Folded, Opened, arrivals_of, contributions_of, kept_bytes, open_records
from stream.shells.around import Looker, Memo, nobody
from stream.shells.isolation import Isolated, OpenBatch, Result, clear_marks, one_result, refusal_of, score_alone
from stream.shells.versions import ScorersInForce, VersionsInForce

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
        """Store a batch's facts and return what it contributes. A replayed batch costs no inference.

        A document is scored by the model that is in force at its known time; what was stored before keeps the score that counted.

        Args:
            batch: records of one raw partition, in order.
            clock: that partition's time.
            claim: progress of the score stage to move behind the batch in the same transaction.
            next_offset: where to move it to; None: behind the last record.

        Raises:
            OwnershipLostError: another process owns the partition; nothing was stored.
            DependencyError: the store is away, or a version came into force meanwhile; nothing was stored.
            BundleError: the model in force cannot be had here; nothing was stored.
            UsageError: another company catalogue is in force; nothing was stored.
        """
        self._in_force.propose()
        isolated = self._isolate(batch, clock, claim)
        opened, before = self._read(batch, clock, isolated)
        admitted, scores, fresh, refused = self._admit(opened.documents, batch, before)
        admissions, drops = [admission for admission, _ in admitted], opened.drops + refused
        with self.store.write() as connection:
            once = _once(document for _, document in opened.documents)
            scored = write_intake(
                self.store, connection, self.run, admissions=admissions, documents=once, scores=fresh.values(), drops=drops
            )
            write_heartbeats(self.store, connection, opened.heartbeats)
            if self.shared and scored < len(fresh):  # another process has scored some of them meanwhile, and its scores count
                scores |= _stored(connection, before.models, fresh)
            if claim is not None:
                marked = isolated is not None and clear_marks(connection, self.run, batch)
                claim = self._move(connection, claim, batch, opened, next_offset=next_offset, time_ms=clock.time_ms)
                claim = replace(claim, follows_death=True) if marked else claim
            check_schedule(connection, self.run, self._in_force.schedule, before_ms=clock.time_ms + 1)
        counted = [(document, scores[_key(document)]) for admission, document in admitted if admission.outcome == "scored"]
        return Taken(
            contributions_of(admitted, scores, self._in_force.watches.at), arrivals_of(admissions), drops, admissions, counted
        ), claim

    def _isolate(self, batch: Sequence[Stamped], clock: StampClock, claim: Claim | None) -> Isolated | None:
        """Record by record where the last owner may have died of one of these."""
        if claim is None or not claim.follows_death:
            return None
        new = [stamped for stamped in batch if stamped.position.offset >= claim.next_offset]
        if not new:
            return None
        with self.store.read() as connection:
            self._in_force.renew(connection)
        return score_alone(self.store, self.run, new, clock, self._score_one, open_batch=self.open_batch)

    def _score_one(self, document: Document) -> Result:
        return one_result(self._in_force.at(document.known_ms), document)

    def _move(
        self, connection: Connection, claim: Claim, batch: Sequence[Stamped], opened: Opened, *, next_offset: int | None, time_ms: int
    ) -> Claim:
        """Progress behind the batch, and what was read of it for the first time: the balance rests on both."""
        behind = next_offset if next_offset is not None else batch[-1].position.offset + 1 if batch else 0
        if behind <= claim.next_offset:
            confirm(connection, claim)
            return claim
        count_taken(self.store, connection, self.run, [*opened.documents, *opened.drops], since=claim.next_offset)
        return advance(connection, claim, next_offset=behind, time_ms=time_ms, closed_tick=claim.closed_tick)

    def _read(self, batch: Sequence[Stamped], clock: StampClock, isolated: Isolated | None) -> tuple[Opened, "_Before"]:
        """A batch's records, read, and what is stored of them already: after a restart some of them are met again."""
        with self.store.read() as connection:
            self._in_force.renew(connection)
            refused = _stored_drops(connection, self.run, batch) | (isolated.killers if isolated else {})
            opened = self.open_batch(connection, batch, clock, refused)
            known = known_contents(connection, self.run, [d.document_id for _, d in opened.documents])
            models = self._models(connection, batch, opened.documents, known)
            scores = _stored(connection, models, models)
        self._in_force.load_ahead(clock.time_ms)
        return opened, _Before(known, scores, models, isolated.results if isolated else {})

    def _models(
        self,
        connection: Connection,
        batch: Sequence[Stamped],
        documents: Sequence[tuple[Position, Document]],
        known: Mapping[str, Mapping[str, Position]],
    ) -> dict[Key, str]:
        """Whose score counts for each content: of a replayed record the one that did, else the one in force at its known time."""
        marks: dict[Position, str] = {}
        if batch and len(self._in_force.schedule.of(MODEL)) > 1:
            first, last = batch[0].position, batch[-1].position
            marks = models_of(connection, self.run, first.partition, first.offset, last.offset)
        models: dict[Key, str] = {}
        for position, document in documents:
            if known.get(document.document_id, {}).get(document.content_hash) == position:
                models[_key(document)] = self._in_force.marked(marks.get(position))
            else:
                models.setdefault(_key(document), self._in_force.at(document.known_ms).model_id)
        return models

    def _admit(
        self, documents: list[tuple[Position, Document]], batch: Sequence[Stamped], before: "_Before"
    ) -> tuple[list[tuple[Admission, Document]], dict[Key, Score], dict[Key, Score], list[Drop]]:
        """What each document is, the scores of those that count, the new ones among them, and what the model cannot take.

        A refused document was never there: what follows it is identified without it, in this batch as in any other. It stays
        refused when it is met again, even by a model that could take it: it is accounted for as a drop.
        """
        bodies = {stamped.position: stamped.body for stamped in batch}
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

    def _results(self, documents: list[Document], before: "_Before") -> list[Result]:
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


class _Before(NamedTuple):
    """What the store holds of a batch's records."""

    known: dict[str, dict[str, Position]]
    scores: dict[Key, Score]  # those that count, or would
    models: dict[Key, str]  # whose
    alone: Mapping[Key, Result]  # of records that were scored one by one


def _stored_drops(connection: Connection, run: str, batch: Sequence[Stamped]) -> dict[Position, str]:
    if not batch:
        return {}
    d, first, last = t.drops.c, batch[0].position, batch[-1].position
    mine = in_span(t.drops, run, first.partition, first.offset, last.offset)
    rows = connection.execute(select(d.part, d.position, d.place, d.reason).where(mine))
    return {Position(part, position, place): reason for part, position, place, reason in rows}


def _key(document: Document) -> Key:
    return document.document_id, document.content_hash


def _refusal(position: Position, document: Document, *, reason: str, body: bytes) -> Drop:
    return Drop(position=position, known_ms=document.known_ms, source=document.source, reason=reason, body=kept_bytes(body))


def _once(documents: Iterable[Document]) -> list[Document]:
    """Each (document, content) once: the first."""
    return list({(d.document_id, d.content_hash): d for d in reversed(list(documents))}.values())


def store_folded(store: Store, connection: Connection, run: str, folded: Folded) -> None:
    """Write what closed ticks have led to, within the caller's transaction."""
    insert_increments(store, connection, run, folded.increments)
    insert_stories(store, connection, run, folded.stories)
    baselines = [
        {"series": r.series, "period_s": r.period_s, "period": r.index, "negative": r.negative, "stories": r.stories}
        for r in folded.baselines
    ]
    insert_rows(store, connection, run, t.baselines, baselines)
    insert_rows(store, connection, run, t.source_hours, map(vars, folded.source_hours))
    insert_rows(store, connection, run, t.exposures, map(vars, folded.exposures))
    insert_rows(store, connection, run, t.blind_spans, map(vars, folded.blind_spans))
    insert_candidates(store, connection, run, folded.candidates)


@dataclass
class Judged:
    """What the desk makes of one tick."""

    decisions: list[Decision]
    shifts: list[Candidate]  # findings of the desk's own: that a language's figures have moved with the model
    alerts: list[Alert] = field(default_factory=list)


@dataclass
class DeskStage:
    """Candidates of closed ticks in, stored decisions and alerts out.

    Args:
        targets: where alerts are sent; empty for every run but live.
        display: a series key in the reader's words.
        in_force: the rules and hashes of each tick; the caller renews it within the transaction that it decides in.
        sector: the companies that one is compared with.
    """

    store: Store
    run: str
    display: Callable[[str], str]
    in_force: VersionsInForce
    targets: Sequence[str] = ()
    sector: Callable[[str], Sequence[str]] = nobody
    state: DeskState = field(init=False)
    memo: Memo = field(default_factory=Memo, init=False)

    def __post_init__(self) -> None:
        self.state = DeskState(self.in_force.rules.desk)

    def restore(self, connection: Connection, *, through_tick: int) -> None:
        """Load the incidents that still matter after a restart."""
        self.in_force.renew(connection)
        row, rules = t.incidents.c, self.in_force.every_rules()
        since = through_tick - max(DeskState.keep_ticks(each.desk) for each in rules)
        bodies = connection.execute(
            select(row.body).where(row.run == self.run, row.last_tick >= since).order_by(row.last_tick, row.incident)
        )
        incidents = [decode(body, Incident) for (body,) in bodies]
        self.state = DeskState(self.in_force.rules_at(through_tick).desk, sorted(incidents, key=lambda i: (i.opened_tick, i.incident)))
        if any(each.desk.false_share for each in rules):
            self.state.resume(load_decided(connection, self.run, reasons=(OPENED, CHANCE), through_tick=through_tick))

    def decide(self, connection: Connection, tick: int, candidates: list[Candidate]) -> list[Alert]:
        """Decide one closed tick within the caller's transaction, and return its alerts."""
        if not candidates:
            return []
        rules = self.in_force.rules_at(tick)
        if rules.desk != self.state.rules:  # they may look further back than what was remembered
            self.restore(connection, through_tick=tick - 1)
            self.state.rules = rules.desk
        judged = self.judge(connection, tick, candidates)
        insert_candidates(self.store, connection, self.run, judged.shifts)
        insert_decisions(self.store, connection, self.run, judged.decisions)
        for alert in judged.alerts:
            insert_alert(self.store, connection, self.run, alert, targets=self.targets)
        upsert_incidents(self.store, connection, self.run, self.state.changed.values())
        self.state.changed = {}
        return judged.alerts

    def judge(self, connection: Connection, tick: int, candidates: list[Candidate]) -> Judged:
        """What is decided of a closed tick's candidates, and the alerts that it leads to. Reads the store, and writes nothing."""
        judged, openings, look = self._weigh(connection, tick, candidates)
        rules, versions = self.in_force.rules_at(tick), self.in_force.hashes_at(tick)
        for opening in openings:
            main = opening.candidates[0]
            documents = counted_documents(connection, self.run, [str(row[0]) for row in opening.evidence])
            peers = look.peers(main.series, self.sector) if main.kind in PEERED else None
            judged.alerts.append(compose(opening, documents, rules=rules, display=self.display, versions=versions, peers=peers))
        return judged

    def weigh(self, connection: Connection, tick: int, candidates: list[Candidate]) -> Judged:
        """What is decided, without a word of what would be told."""
        return self._weigh(connection, tick, candidates)[0]

    def _weigh(self, connection: Connection, tick: int, candidates: list[Candidate]) -> tuple[Judged, list[Opening], Looker]:
        look, rules = Looker(connection, self.run, tick, self.in_force, self.memo), self.in_force.rules_at(tick)
        around, shifts = look.around(candidates, rules)
        shifts = [shift for shift in shifts if self.state.to_remind(shift, rules.model_shift.remind_s)]
        decisions, openings = self.state.decide(tick, [*candidates, *shifts], around)
        return Judged(decisions, shifts), openings, look


def upsert_incidents(store: Store, connection: Connection, run: str, incidents: Iterable[Incident]) -> None:
    """Write incidents as they are now."""
    rows = [{"run": run, "incident": i.incident, "last_tick": i.last_tick, "body": canonical(i)} for i in incidents]
    store.upsert(connection, t.incidents, rows)
