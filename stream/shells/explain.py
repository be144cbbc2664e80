"""Explain: make an alert again, from the rows that it rests on, and compare the bytes.

    rows up to the tick before  --rebuild_fold-->  memory  --step(this tick's rows)-->  candidates  --compose-->  the same bytes

Nothing is taken from the stored alert but its tick, its incident and the hashes of what was in force; and, where the text of a
document was removed since, the words of that document: the alert is the only place that still has them. Which, is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
from sqlalchemy import Connection, func, select

from alerts.against import largest_stories
from alerts.desk import Incident, Opening, main_first, news_in, quiet_from_ms
from alerts.dossier import EVIDENCE_MAX, PEERED, compose
from alerts.rules import DeskRules, Rules
from groundswell.codec import canonical, decode
from groundswell.errors import NotFoundError
from groundswell.names import TICK_MS
from groundswell.records import Alert, Arrival, Candidate, Document, News
from groundswell.store import schema as t
from groundswell.store.derived import load_candidates, load_increments
from groundswell.store.facts import arrivals_between, counted_documents, tick_before
from groundswell.store.history import history_of
from groundswell.store.months import dropped_months
from groundswell.store.query import alert_bytes
from groundswell.store.removals import removed_texts
from groundswell.store.store import Store
from stream.pipeline import Folded
from stream.shells.around import Looker
from stream.shells.instruments import Instruments
from stream.shells.rebuild import LOOKS_BACK_MS, rebuild_fold
from stream.shells.versions import VersionsInForce


@dataclass(frozen=True)
class Explanation:
    """An alert as it was stored and as it was made again."""

    run: str
    alert: Alert
    stored: bytes
    recomputed: bytes
    candidates: list[Candidate]  # as recomputed, main one first
    differences: list[str]  # empty when nothing differs
    removed: dict[str, int] = field(default_factory=dict)  # {document id: when its text was removed}: its words are the alert's own
    gone: str = ""  # which of the rows that it rests on were dropped, and when: it cannot be made again, and nothing is known to differ

    @property
    def same(self) -> bool:
        """Whether every byte is the same."""
        return self.stored == self.recomputed


def explain(store: Store, alert_id: str, instruments: Instruments, *, run: str | None = None) -> Explanation:
    """Recompute an alert; of one that cannot be made again because its month, or one that it looked back on, was dropped, that is said.

    Raises:
        NotFoundError: no such alert, or the rules that were in force are not stored any more.
    """
    with store.read() as connection:
        run, stored = alert_bytes(connection, alert_id, run=run)
        alert = decode(stored, Alert)
        rules = _rules_in_force(connection, alert)
        tick = alert.opened_ms // TICK_MS - 1
        in_force = VersionsInForce(run, rules)
        in_force.renew(connection)
        in_force.keep_rules()
        candidates = _candidates(connection, in_force, alert, tick=tick)
        differences = _check_candidates(connection, run, alert, candidates, tick=tick)
        candidates = _of_incident(connection, run, alert, candidates)
        incident = connection.execute(
            select(t.incidents.c.body).where(t.incidents.c.run == run, t.incidents.c.incident == alert.incident)
        ).scalar_one()
        recomputed, removed = b"", {}
        if candidates:
            news, quiet_ms = _why_then(connection, run, alert, candidates, rules.desk, tick=tick)
            opening = Opening(decode(incident, Incident), candidates, alert.update, news, quiet_ms)
            documents = counted_documents(connection, run, [str(row[0]) for row in opening.evidence], removed=True)
            removed = removed_texts(connection, documents)
            documents = _in_the_alerts_words(alert, opening, documents, removed)
            look = Looker(connection, run, tick, in_force)
            peers = look.peers(candidates[0].series, instruments.sector) if alert.kind in PEERED else None
            again = compose(opening, documents, rules=rules, display=instruments.display, versions=alert.versions, peers=peers)
            recomputed = canonical(again)
            differences += _fields_that_differ(stored, recomputed)
    if alert.versions.get("catalogue") != instruments.versions.get("catalogue"):
        differences.append("the company catalogue has changed since: names in the title may differ")
    found = Explanation(run, alert, stored, recomputed, candidates, differences, removed)
    return found if found.same else _what_is_gone(store, found)


def _what_is_gone(store: Store, found: Explanation) -> Explanation:
    until_ms = found.alert.opened_ms
    with store.read() as connection:
        months = dropped_months(connection, found.run, since_ms=until_ms - LOOKS_BACK_MS, until_ms=until_ms)
    gone = "; ".join(month.sentence for month in months)
    return replace(found, differences=[], gone=gone) if gone else found


def _in_the_alerts_words(
    alert: Alert, opening: Opening, documents: Mapping[str, Document], removed: Mapping[str, int]
) -> dict[str, Document]:
    """The documents as they were for the alert: of one whose text was removed since, what the alert quotes, or names as a part.

    One whose text had gone before the alert was made was left out then, and is left out now.
    """
    quotes = {quote.document_id: quote for quote in alert.evidence}
    ranks = {str(row[0]): rank for rank, row in enumerate(opening.evidence)}
    last = max((ranks.get(name, -1) for name in quotes), default=-1) if len(quotes) >= EVIDENCE_MAX else len(ranks)
    there = {name: found for name, found in documents.items() if name not in removed or name in quotes or ranks[name] > last}
    firsts = [str(rows[0][0]) for _, rows in largest_stories(opening.candidates[0]) if str(rows[0][0]) in there]
    names = {name: part.name for name, part in zip(firsts, alert.parts, strict=False) if part.stories == 1}
    for name in removed.keys() & there.keys():
        title, text, url = names.get(name, ""), "", None
        if name in quotes:
            quote = quotes[name]
            title, text = (quote.title, "") if quote.start == 0 else ("", quote.title)
            url = quote.url
        there[name] = msgspec.structs.replace(there[name], title=title, text=text, url=url)
    return there


def _rules_in_force(connection: Connection, alert: Alert) -> Rules:
    wanted = alert.versions.get("rules", "")
    content = connection.execute(
        select(t.versions.c.content).where(t.versions.c.kind == "rules", t.versions.c.hash == wanted)
    ).scalar_one_or_none()
    if content is None:
        reason = f"alert {alert.id}: the rules it was made with (hash {wanted}) are not stored; restore the store's versions table"
        raise NotFoundError(reason)
    return decode(content, Rules)


def _candidates(connection: Connection, in_force: VersionsInForce, alert: Alert, *, tick: int) -> list[Candidate]:
    """What the detectors say of the alert's series at its tick, as fold did: without a history that the run was given later."""
    if alert.kind == "model_shift":  # the desk's own finding
        found_again = Looker(connection, in_force.run, tick, in_force).shift(alert.series.rsplit(":", 1)[1], in_force.rules)
        return [found_again] if found_again else []
    past = history_of(connection, in_force.run)
    with_past = [series for series in alert.all_series if past is None or past.counts_at(tick, series)]
    found: list[Candidate] = []
    for all_series, history in ((with_past, True), ([series for series in alert.all_series if series not in with_past], False)):
        if all_series:
            found += _detected(connection, in_force, all_series, tick=tick, history=history)
    return main_first(found)


def _detected(connection: Connection, in_force: VersionsInForce, all_series: list[str], *, tick: int, history: bool) -> list[Candidate]:
    """Candidates of some series at a tick, from a memory rebuilt as of the tick before."""
    run = in_force.run
    before = tick_before(connection, run, tick, history=history)
    if before is None:
        return []
    fold = rebuild_fold(connection, run, in_force=in_force, through_tick=before, series=all_series, history=history)
    heard_now = arrivals_between(connection, run, since_tick=tick, through_tick=tick, history=history)
    arrivals = [Arrival(source, language, 0, documents) for source, language, documents in heard_now]
    found = [candidate for candidate in fold.open_tick(tick, arrivals, Folded()) if candidate.series in all_series]
    rows = load_increments(connection, run, since_tick=tick, through_tick=tick, series=all_series)
    for series in all_series:
        mine = [row for row in rows if row.series == series]
        if mine:
            found += fold.memory_of(series).watch.step(tick, mine, fold.seeing)
    return found


def _of_incident(connection: Connection, run: str, alert: Alert, found: list[Candidate]) -> list[Candidate]:
    """Those that the desk put into the alert: a series' other window may belong to another incident, or have been held."""
    d = t.decisions.c
    rows = connection.execute(
        select(d.candidate_id, d.incident, d.verdict).where(d.run == run, d.candidate_id.in_([c.candidate_id for c in found]))
    )
    elsewhere = {row.candidate_id for row in rows if row.incident != alert.incident or row.verdict == "held"}
    return [candidate for candidate in found if candidate.candidate_id not in elsewhere]


def _why_then(
    connection: Connection, run: str, alert: Alert, candidates: list[Candidate], rules: DeskRules, *, tick: int
) -> tuple[News, int]:
    """What of an update was news, and since when its incident had been quiet: both from what the desk decided."""
    d = t.decisions.c
    mine = d.run == run, d.incident == alert.incident
    named = d.candidate_id.in_([candidate.candidate_id for candidate in candidates])
    reasons = connection.execute(select(d.reason).where(*mine, named, d.verdict == "alert")).scalars()
    last_tick = connection.execute(select(func.max(d.tick)).where(*mine, d.tick < tick)).scalar_one_or_none()
    from_ms = 0 if last_tick is None else quiet_from_ms(last_tick, rules)
    return news_in(reasons), from_ms if alert.update and 0 < from_ms < (tick + 1) * TICK_MS else 0


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
