"""Why not: at a moment, what stood between a name and an alert. Made again from stored rows, as `explain` makes an alert again.

alerts of the name within a day before          it did tell
candidates within a day before, with decisions  found, and held by the desk: budget, cooldown, ...
every gate of every window at that moment       not found: the first gate that does not hold is the reason
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, select

from alerts.detectors.gates import Gate
from alerts.rules import Rules
from groundswell.codec import decode
from groundswell.errors import NotFoundError
from groundswell.names import DAY_TICKS, LANGUAGES, TICK_MS, WORDS, entity_series, flag_series, series_kind, topic_series, word_series
from groundswell.records import Alert, AlertKind, Candidate, Decision
from groundswell.store import schema as t
from groundswell.store.derived import load_candidates
from groundswell.store.facts import tick_before
from models.entities import Catalogue
from models.taxonomy import RISK_FLAGS, TOPIC_NAMES
from stream.shells.rebuild import rebuild_fold
from stream.shells.versions import VersionsInForce


class Held(NamedTuple):
    """A candidate and what the desk did with it."""

    candidate: Candidate
    decision: Decision | None  # None: the desk has not come so far


class Reading(NamedTuple):
    """One window of one series at the moment, gate by gate."""

    series: str
    window_s: int
    gates: list[Gate]
    kind: AlertKind = "surge"

    @property
    def stopped_by(self) -> Gate | None:
        """The first gate that does not hold; None where all do."""
        return next((gate for gate in self.gates if not gate.holds), None)


@dataclass(frozen=True)
class WhyNot:
    """The answer."""

    run: str
    series: list[str]  # what the name stands for
    tick: int  # the last one that was folded at the moment
    alerts: list[Alert] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)


def series_named(name: str, catalogue: Catalogue) -> list[str]:
    """The series that a name may stand for: a key, a company with its risks, or a topic in each language.

    Raises:
        NotFoundError: nothing is called so.
    """
    if ":" in name and series_kind(name) in ("entity", "topic", "flag", "word", "watch", "language"):
        return [name]
    companies = [name] if name in catalogue.entities else list(dict.fromkeys(m.entity_id for m in catalogue.find(name)))
    if companies:
        return [key for one in companies for key in _of_company(one)]
    folded = name.casefold()
    topics = [topic for topic, names in TOPIC_NAMES.items() if folded in (topic, *(word.casefold() for word in names.values()))]
    if topics:
        return [topic_series(topic, language) for topic in topics for language in LANGUAGES]
    reason = f"{name!r}: no company, topic or series is called so; look it up: groundswell entities list --search {name.split()[0]!r}"
    raise NotFoundError(reason)


def _of_company(company: str) -> list[str]:
    flags, words = (flag_series(flag, company) for flag in RISK_FLAGS), (word_series(word, company) for word in WORDS)
    return [entity_series(company), *flags, *words]


def why_not(connection: Connection, run: str, series: Sequence[str], *, at_ms: int, rules: Rules) -> WhyNot:
    """What was told, held and not found of some series at a moment.

    Args:
        connection: a reading transaction.
        run: whose rows.
        series: see `series_named`.
        at_ms: the moment, in known time; what was known later is passed over.
        rules: those of a run that says nothing of its own.

    Raises:
        NotFoundError: nothing was known at that moment.
    """
    tick = tick_before(connection, run, at_ms // TICK_MS)
    if tick is None:
        reason = f"run {run!r}: nothing was known so early; ask of a later moment, see `groundswell runs show {run}`"
        raise NotFoundError(reason)
    in_force = VersionsInForce(run, rules)
    in_force.renew(connection)
    fold = rebuild_fold(connection, run, in_force=in_force, through_tick=tick, series=series)
    readings = [
        Reading(key, asked.window_s, asked.gates, asked.kind)
        for key in series
        if key in fold.series
        for asked in fold.memory_of(key).watch.gates(tick, fold.seeing)
    ]
    since = tick - DAY_TICKS
    return WhyNot(
        run=run,
        series=list(series),
        tick=tick,
        alerts=_alerts(connection, run, series, since_tick=since, through_tick=tick),
        held=_held(connection, run, series, since_tick=since, through_tick=tick),
        readings=readings,
    )


def _alerts(connection: Connection, run: str, series: Sequence[str], *, since_tick: int, through_tick: int) -> list[Alert]:
    row = t.alerts.c
    bodies = connection.execute(
        select(row.body).where(row.run == run, row.tick.between(since_tick, through_tick)).order_by(row.tick, row.id)
    )
    return [alert for (body,) in bodies if set((alert := decode(body, Alert)).all_series) & set(series)]


def _held(connection: Connection, run: str, series: Sequence[str], *, since_tick: int, through_tick: int) -> list[Held]:
    candidates = load_candidates(connection, run, since_tick=since_tick, through_tick=through_tick, series=series)
    row = t.decisions.c
    names = [candidate.candidate_id for candidate in candidates]
    columns = (row.candidate_id, row.tick, row.incident, row.verdict, row.reason)
    found = connection.execute(select(*columns).where(row.run == run, row.candidate_id.in_(names)))
    decisions = {one.candidate_id: Decision(**one._mapping) for one in found}
    pairs = [Held(candidate, decisions.get(candidate.candidate_id)) for candidate in candidates]
    return [held for held in pairs if held.decision is None or held.decision.verdict == "held"]
