"""The desk with its store: candidates of closed ticks in, decisions, incidents, alerts and outbox out, within the caller's transaction."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from alerts.desk import CHANCE, OPENED, DeskState, Incident, Opening
from alerts.dossier import PEERED, compose
from groundswell.codec import canonical, decode
from groundswell.records import Alert, Candidate, Decision
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert, insert_candidates, insert_decisions, load_decided
from groundswell.store.facts import counted_documents
from groundswell.store.store import Store
from stream.shells.around import Looker, Memo, nobody
from stream.shells.versions import VersionsInForce


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
