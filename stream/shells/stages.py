"""The three stages with their store: what every shell does around the pure pipeline, transaction by transaction.

IntakeStage.take      one transaction: admissions, documents, scores, drops (facts first)
FoldStage.commit      one transaction: what closed ticks led to, and the progress that stands for it
DeskStage.decide      within a transaction: decisions, incidents, alerts, outbox, and the desk's progress
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from alerts.desk import DeskState, Incident
from alerts.dossier import compose
from alerts.rules import Rules
from groundswell.codec import canonical, decode
from groundswell.errors import reason_of
from groundswell.records import Admission, Alert, Arrival, Candidate, Contribution, Document, Drop, Position, Score, Stamped
from groundswell.store import schema as t
from groundswell.store.derived import (
    insert_alert,
    insert_candidates,
    insert_decisions,
    insert_increments,
    insert_rows,
    insert_stories,
)
from groundswell.store.facts import counted_documents, known_contents, stored_scores, write_heartbeats, write_intake
from groundswell.store.progress import Claim, advance
from groundswell.store.store import Store
from models.scorer import Scorer
from stream.operators.admit import StampClock
from stream.operators.identify import identify
from stream.pipeline import DROP_BYTES_MAX, Folded, arrivals_of, contributions_of, open_records

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


@dataclass
class IntakeStage:
    """Raw records in, stored facts and contributions out, for the raw partitions of one process.

    Args:
        store: where facts go.
        run: whose admissions.
        scorer: one model; its id is part of every score.
        shared: other processes write the same facts, so scores are read back after the insert.
    """

    store: Store
    run: str
    scorer: Scorer
    shared: bool = False

    def take(self, batch: Sequence[Stamped], clock: StampClock, *, claim: Claim | None = None) -> tuple[Taken, Claim | None]:
        """Store a batch's facts and return what it contributes. A replayed batch costs no inference.

        Args:
            batch: records of one raw partition, in order.
            clock: that partition's time.
            claim: progress of the score stage to move behind the batch in the same transaction.

        Raises:
            OwnershipLostError: another process owns the partition; nothing was stored.
            DependencyError: the store is away; nothing was stored.
        """
        opened = open_records(batch, clock)
        documents = [document for _, document in opened.documents]
        admitted, scores, fresh, refused = self._admit(opened.documents, batch)
        admissions, drops = [admission for admission, _ in admitted], opened.drops + refused
        with self.store.write() as connection:
            once = _once(documents)
            write_intake(self.store, connection, self.run, admissions=admissions, documents=once, scores=fresh.values(), drops=drops)
            write_heartbeats(self.store, connection, opened.heartbeats)
            if self.shared:
                scores |= stored_scores(connection, fresh, model_id=self.scorer.model_id)
            if claim is not None:
                claim = advance(
                    connection,
                    claim,
                    next_offset=max(claim.next_offset, batch[-1].position.offset + 1) if batch else claim.next_offset,
                    time_ms=clock.time_ms,
                    closed_tick=claim.closed_tick,
                )
        scored = [(document, scores[_key(document)]) for admission, document in admitted if admission.outcome == "scored"]
        return Taken(contributions_of(admitted, scores), arrivals_of(admissions), drops, admissions, scored), claim

    def _admit(
        self, documents: list[tuple[Position, Document]], batch: Sequence[Stamped]
    ) -> tuple[list[tuple[Admission, Document]], dict[Key, Score], dict[Key, Score], list[Drop]]:
        """What each document is, the scores of those that count, the new ones among them, and what the model cannot take.

        A refused document was never there: what follows it is identified without it, in this batch as in any other.
        """
        with self.store.read() as connection:
            known = known_contents(connection, self.run, [d.document_id for _, d in documents])
            scores = stored_scores(connection, {_key(d) for _, d in documents}, model_id=self.scorer.model_id)
        bodies = {stamped.position: stamped.body for stamped in batch}
        fresh: dict[Key, Score] = {}
        reasons: dict[Key, str] = {}
        drops: list[Drop] = []
        while True:
            admissions = identify(documents, {document_id: dict(contents) for document_id, contents in known.items()})
            admitted = list(zip(admissions, (document for _, document in documents), strict=True))
            counted = [document for admission, document in admitted if admission.outcome == "scored"]
            self._score([d for d in counted if _key(d) not in scores and _key(d) not in reasons], fresh, reasons)
            scores |= fresh
            refused = {a.position: reasons[_key(d)] for a, d in admitted if a.outcome == "scored" and _key(d) in reasons}
            if not refused:
                return admitted, scores, fresh, drops
            for position, document in documents:
                if position in refused:
                    drops.append(_refusal(position, document, reason=refused[position], body=bodies[position]))
            documents = [(position, document) for position, document in documents if position not in refused]

    def _score(self, documents: list[Document], scores: dict[Key, Score], reasons: dict[Key, str]) -> None:
        """Score documents; one that the model cannot take gets its reason, alone."""
        if not documents:
            return
        try:
            results: list[Score | Exception | None] = list(self.scorer.score(documents))
        except Exception:
            results = [self._score_alone(document) for document in documents]
        for document, result in zip(documents, results, strict=True):
            if isinstance(result, Score):
                scores[_key(document)] = result
            else:
                reasons[_key(document)] = f"language: {document.language}" if result is None else f"score: {reason_of(result)}"

    def _score_alone(self, document: Document) -> Score | Exception | None:
        try:
            return self.scorer.score([document])[0]
        except Exception as error:
            return error


def _key(document: Document) -> Key:
    return document.document_id, document.content_hash


def _refusal(position: Position, document: Document, *, reason: str, body: bytes) -> Drop:
    return Drop(position=position, known_ms=document.known_ms, source=document.source, reason=reason, body=body[:DROP_BYTES_MAX])


def _once(documents: Iterable[Document]) -> list[Document]:
    """Each (document, content) once: the first."""
    return list({(d.document_id, d.content_hash): d for d in reversed(list(documents))}.values())


def store_folded(store: Store, connection: Connection, run: str, folded: Folded) -> None:
    """Write what closed ticks have led to, within the caller's transaction."""
    insert_increments(store, connection, run, folded.increments)
    insert_stories(store, connection, run, folded.stories)
    insert_rows(
        store,
        connection,
        run,
        t.baselines,
        [
            {"series": r.series, "period_s": r.period_s, "period": r.index, "negative": r.negative, "stories": r.stories}
            for r in folded.baselines
        ],
    )
    insert_rows(
        store,
        connection,
        run,
        t.source_hours,
        [{"hour": r.hour, "source": r.source, "language": r.language, "documents": r.documents} for r in folded.source_hours],
    )
    insert_rows(
        store,
        connection,
        run,
        t.exposures,
        [{"hour": r.hour, "language": r.language, "exposure_ppm": r.exposure_ppm} for r in folded.exposures],
    )
    insert_candidates(store, connection, run, folded.candidates)


@dataclass
class DeskStage:
    """Candidates of closed ticks in, stored decisions and alerts out.

    Args:
        targets: where alerts are sent; empty for every run but live.
        display: a series key in the reader's words.
        versions: hashes in force.
    """

    store: Store
    run: str
    rules: Rules
    display: Callable[[str], str]
    versions: dict[str, str]
    targets: Sequence[str] = ()
    state: DeskState = field(init=False)

    def __post_init__(self) -> None:
        self.state = DeskState(self.rules.desk)

    def restore(self, connection: Connection, *, through_tick: int) -> None:
        """Load the incidents that still matter after a restart."""
        row = t.incidents.c
        since = through_tick - DeskState.keep_ticks(self.rules.desk)
        bodies = connection.execute(
            select(row.body).where(row.run == self.run, row.last_tick >= since).order_by(row.last_tick, row.incident)
        )
        incidents = [decode(body, Incident) for (body,) in bodies]
        self.state = DeskState(self.rules.desk, sorted(incidents, key=lambda i: (i.opened_tick, i.incident)))

    def decide(self, connection: Connection, tick: int, candidates: list[Candidate]) -> list[Alert]:
        """Decide one closed tick within the caller's transaction, and return its alerts."""
        if not candidates:
            return []
        decisions, openings = self.state.decide(tick, candidates)
        insert_decisions(self.store, connection, self.run, decisions)
        alerts = []
        for opening in openings:
            documents = counted_documents(connection, self.run, [str(row[0]) for row in opening.candidates[0].evidence])
            alert = compose(opening, documents, rules=self.rules, display=self.display, versions=self.versions)
            insert_alert(self.store, connection, self.run, alert, targets=self.targets)
            alerts.append(alert)
        changed = self.state.changed.values()
        rows = [{"run": self.run, "incident": i.incident, "last_tick": i.last_tick, "body": canonical(i)} for i in changed]
        self.store.upsert(connection, t.incidents, rows)
        self.state.changed = {}
        return alerts
