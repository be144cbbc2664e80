"""Explain: make an alert again, from the rows that it rests on, and compare the bytes.

    rows up to the tick before  --rebuild_fold-->  memory  --step(this tick's rows)-->  candidates  --compose-->  the same bytes

Nothing is taken from the stored alert but its tick, its incident and the hashes of what was in force.
"""

from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, select

from alerts.desk import Incident, Opening, main_first
from alerts.dossier import compose
from alerts.rules import Rules
from groundswell.codec import canonical, decode
from groundswell.errors import NotFoundError
from groundswell.names import TICK_MS
from groundswell.records import Alert, Arrival, Candidate
from groundswell.store import schema as t
from groundswell.store.derived import load_candidates, load_increments
from groundswell.store.facts import arrivals_between, counted_documents, tick_before
from groundswell.store.query import alert_bytes
from groundswell.store.store import Store
from stream.pipeline import Folded
from stream.shells.instruments import Instruments
from stream.shells.rebuild import rebuild_fold


@dataclass(frozen=True)
class Explanation:
    """An alert as it was stored and as it was made again."""

    run: str
    alert: Alert
    stored: bytes
    recomputed: bytes
    candidates: list[Candidate]  # as recomputed, main one first
    differences: list[str]  # empty when nothing differs

    @property
    def same(self) -> bool:
        """Whether every byte is the same."""
        return self.stored == self.recomputed


def explain(store: Store, alert_id: str, instruments: Instruments, *, run: str | None = None) -> Explanation:
    """Recompute an alert.

    Raises:
        NotFoundError: no such alert, or the rules that were in force are not stored any more.
    """
    with store.read() as connection:
        run, stored = alert_bytes(connection, alert_id, run=run)
        alert = decode(stored, Alert)
        rules = _rules_in_force(connection, alert)
        tick = alert.opened_ms // TICK_MS - 1
        candidates = _candidates(connection, run, alert, rules, tick=tick)
        differences = _check_candidates(connection, run, alert, candidates, tick=tick)
        candidates = _of_incident(connection, run, alert, candidates)
        incident = connection.execute(
            select(t.incidents.c.body).where(t.incidents.c.run == run, t.incidents.c.incident == alert.incident)
        ).scalar_one()
        recomputed = b""
        if candidates:
            opening = Opening(decode(incident, Incident), candidates)
            documents = counted_documents(connection, run, [str(row[0]) for row in candidates[0].evidence])
            again = compose(opening, documents, rules=rules, display=instruments.display, versions=alert.versions)
            recomputed = canonical(again)
            differences += _fields_that_differ(stored, recomputed)
    if alert.versions.get("catalogue") != instruments.versions.get("catalogue"):
        differences.append("the company catalogue has changed since: names in the title may differ")
    return Explanation(run, alert, stored, recomputed, candidates, differences)


def _rules_in_force(connection: Connection, alert: Alert) -> Rules:
    wanted = alert.versions.get("rules", "")
    content = connection.execute(
        select(t.versions.c.content).where(t.versions.c.kind == "rules", t.versions.c.hash == wanted)
    ).scalar_one_or_none()
    if content is None:
        reason = f"alert {alert.id}: the rules it was made with (hash {wanted}) are not stored; restore the store's versions table"
        raise NotFoundError(reason)
    return decode(content, Rules)


def _candidates(connection: Connection, run: str, alert: Alert, rules: Rules, *, tick: int) -> list[Candidate]:
    """What the detectors say of the alert's series at its tick, from a memory rebuilt as of the tick before."""
    before = tick_before(connection, run, tick)
    if before is None:
        return []
    fold = rebuild_fold(connection, run, rules=rules, through_tick=before, series=alert.all_series)
    heard_now = arrivals_between(connection, run, since_tick=tick, through_tick=tick)
    fold.open_tick(tick, [Arrival(source, language, 0, documents) for source, language, documents in heard_now], Folded())
    rows = load_increments(connection, run, since_tick=tick, through_tick=tick, series=alert.all_series)
    found: list[Candidate] = []
    for series in alert.all_series:
        mine = [row for row in rows if row.series == series]
        if mine:
            found += fold.memory_of(series).detector.step(tick, mine, fold.exposure)
    return main_first(found)


def _of_incident(connection: Connection, run: str, alert: Alert, found: list[Candidate]) -> list[Candidate]:
    """Those that the desk put into the alert: a series' other window may belong to another incident, or have been held."""
    d = t.decisions.c
    rows = connection.execute(
        select(d.candidate_id, d.incident, d.verdict).where(d.run == run, d.candidate_id.in_([c.candidate_id for c in found]))
    )
    elsewhere = {row.candidate_id for row in rows if row.incident != alert.incident or row.verdict == "held"}
    return [candidate for candidate in found if candidate.candidate_id not in elsewhere]


def _check_candidates(connection: Connection, run: str, alert: Alert, found: list[Candidate], *, tick: int) -> list[str]:
    """The stored candidates that were not found again, or are not the same."""
    stored = {c.candidate_id: c for c in load_candidates(connection, run, since_tick=tick, through_tick=tick, series=alert.all_series)}
    again = {c.candidate_id: c for c in found}
    return [
        f"candidate {name} of {stored[name].series}: " + ("not found again" if name not in again else "differs")
        for name in sorted(stored)
        if again.get(name) != stored[name]
    ]


def _fields_that_differ(stored: bytes, recomputed: bytes) -> list[str]:
    then, now = msgspec.json.decode(stored), msgspec.json.decode(recomputed)
    return [f"{key}: stored {then.get(key)!r}, now {now.get(key)!r}" for key in sorted({*then, *now}) if then.get(key) != now.get(key)]
