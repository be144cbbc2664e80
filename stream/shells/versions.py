"""The versions in force as one process knows them: read before work, checked with its commit, chosen by known time.

    renew(read)  -> work: model_at, rules_at, hashes_at -> check(write)

What a process cannot load at runtime (the company catalogue) it has from its start; it may work as long as that one is in force.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from alerts.rules import Rules
from groundswell.codec import canonical, decode
from groundswell.errors import BundleError, UsageError
from groundswell.exports import iso
from groundswell.logs import logger
from groundswell.names import LIVE_RUN
from groundswell.schedule import CATALOGUE, ERRORS, MODEL, PAST_OF, RULES, WATCHES, InForce, Schedule
from groundswell.store.runs import manifest_of
from groundswell.store.store import Store
from groundswell.store.versions import check_schedule, content_of, contents_of, put_in_force, read_schedule
from groundswell.watches import NOTHING, Watches
from models.scorer import Scorer
from models.taxonomy import measured_topics
from stream.pipeline import Plan
from stream.shells.reload import Models

_log = logger("groundswell.versions")


def manifest_of_model(scorer: Scorer) -> dict[str, object]:
    """What a run's manifest says of its model: which topics it can measure."""
    return {"measured": {language: list(measured_topics(language)) for language in sorted(scorer.languages)}}


def span_of_rescore(manifest: Mapping[str, Any]) -> tuple[int, int]:
    """`[start, end)` in known ms that a re-scored run has read."""
    return manifest["from_ms"], manifest["to_ms"]


def content_of_rules(rules: Rules) -> tuple[str, bytes]:
    """Hash and content of a version of the rules."""
    return rules.hash, canonical(rules)


@dataclass
class WatchesInForce:
    """What a run watches, by known time."""

    schedule: Schedule = field(default_factory=Schedule)
    _of: dict[str, Watches] = field(default_factory=dict)

    def renew(self, connection: Connection, schedule: Schedule) -> None:
        """Read the versions that are new in a run's schedule.

        Raises:
            NotFoundError: the content of a version is not stored.
        """
        self.schedule = schedule
        for row in schedule.of(WATCHES):
            if row.hash not in self._of:
                self._of[row.hash] = decode(content_of(connection, WATCHES, row.hash), Watches)

    def at(self, known_ms: int) -> Watches:
        """What is watched at a known time; nothing before the first version."""
        rows = self.schedule.of(WATCHES)
        name = self.schedule.at(WATCHES, known_ms) if rows and rows[0].effective_ms <= known_ms else None
        return NOTHING if name is None else self._of[name]


@dataclass
class VersionsInForce:
    """The schedule of a run, with the rules that it names.

    Args:
        run: whose.
        rules: those of a run that has no schedule.
        fallback: hashes of what the process was started with, for kinds that the schedule does not have.
    """

    run: str
    rules: Rules
    fallback: Mapping[str, str] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    rules_of: dict[str, Rules] = field(default_factory=dict)
    pasts: dict[str, tuple[int, int]] = field(default_factory=dict)
    watches: WatchesInForce = field(default_factory=WatchesInForce)

    def plan(self) -> Plan:
        """The same, as fold needs it."""
        return Plan(self.schedule, self.rules_of, self.pasts, self.watches.at)

    def renew(self, connection: Connection) -> None:
        """Read the schedule, and the rules that are new in it.

        Raises:
            NotFoundError: the content of a version is not stored.
        """
        found = read_schedule(connection, self.run)
        if found == self.schedule:
            return
        self.schedule = found
        self.watches.renew(connection, found)
        for row in found.rows:
            if row.kind.startswith(PAST_OF) and row.hash not in self.pasts:
                self.pasts[row.hash] = span_of_rescore(manifest_of(connection, row.hash))
        for row in found.of(RULES):
            if row.hash not in self.rules_of:
                stored = self.rules if row.hash == self.rules.hash else decode(content_of(connection, RULES, row.hash), Rules)
                self.rules_of[row.hash] = stored

    def keep_rules(self) -> None:
        """Use the given rules in every tick: those that an alert names, when it is made again."""
        self.schedule = Schedule(tuple(row for row in self.schedule.rows if row.kind != RULES))

    def check(self, connection: Connection, *, before_ms: int) -> None:
        """Within the caller's transaction, behind its fence: nothing came into force before a known time since `renew`.

        Raises:
            DependencyError: something did.
        """
        check_schedule(connection, self.run, self.schedule, before_ms=before_ms)

    def rules_at(self, tick: int) -> Rules:
        """The rules in force in a tick."""
        name = self.schedule.at_tick(tick).get(RULES)
        return self.rules if name is None else self.rules_of[name]

    def every_rules(self) -> list[Rules]:
        """All rules of the schedule, the given ones where there are none."""
        return [self.rules_of[row.hash] for row in self.schedule.of(RULES)] or [self.rules]

    def hashes_at(self, tick: int) -> dict[str, str]:
        """{kind: hash} in force in a tick: what its alerts carry."""
        named = {kind: name for kind, name in self.schedule.at_tick(tick).items() if kind != ERRORS and not kind.startswith(PAST_OF)}
        return {**self.fallback, **named}


@dataclass
class ScorersInForce:
    """The scorer for each document of a run, by its known time.

    Args:
        store: where the schedule is.
        run: whose.
        scorer: what the process was started with.
        models: how others are had; None: there is only that one.
        catalogue: hash of the company catalogue that the process was started with; None: nobody asks.
    """

    store: Store
    run: str
    scorer: Scorer
    models: Models | None = None
    catalogue: str | None = None
    schedule: Schedule = field(default_factory=Schedule)
    watches: WatchesInForce = field(default_factory=WatchesInForce)
    _contents: dict[str, bytes] = field(default_factory=dict)  # of models
    _left: str = ""  # the model that a former one's documents were left to: said once

    def propose(self) -> None:
        """Put a model in force that was promoted; only the live run changes its model."""
        if self.models is None or self.run != LIVE_RUN:
            return
        promoted = self.models.promoted()
        if promoted is None:
            return
        scorer, content = promoted
        rows = put_promoted(self.store, scorer, content, now_ms=self.models.now_ms())
        for row in rows:
            _log.info("another model scores", model=row.hash, since=iso(row.effective_ms))

    def renew(self, connection: Connection) -> None:
        """Read the schedule, and which bundles its models are made of."""
        before, self.schedule = self.schedule, read_schedule(connection, self.run)
        self.watches.renew(connection, self.schedule)
        if self.models is None or (before == self.schedule and self._contents):
            return
        self._contents = contents_of(connection, MODEL)

    def load_ahead(self, known_ms: int) -> None:
        """Begin to load the next model, where one comes after a known time."""
        if self.models is not None:
            for row in self.schedule.ahead(MODEL, known_ms)[1:2]:
                self.models.expect(row.hash, self._content(row.hash))

    def at(self, known_ms: int) -> Scorer:
        """The scorer of a document known at a time.

        An earlier model that cannot be had any more (an upgrade took it away) leaves its last documents to the one after it.

        Raises:
            BundleError: the model in force cannot be had.
            UsageError: the company catalogue in force is another one.
        """
        self._check_catalogue(known_ms)
        ahead = self.schedule.ahead(MODEL, known_ms)
        for row in ahead:
            found = self._have(row.hash)
            if found is not None:
                if row is not ahead[0] and self._left != row.hash:
                    self._left = row.hash
                    _log.warning("a former model is gone, the one after it scores what was left", model=row.hash, before=ahead[0].hash)
                return found
        if not ahead:
            return self.scorer
        why = self.models.why_not(ahead[-1].hash) if self.models is not None else f"this process was started with {self.scorer.model_id}"
        reason = (
            f"model {ahead[-1].hash}: is in force in run {self.run!r} since {iso(ahead[-1].effective_ms)} and cannot be had here: {why}; "
            "bring its bundles into the folder that models.registry names, or promote another, then start again"
        )
        raise BundleError(reason)

    def _have(self, model_id: str) -> Scorer | None:
        if model_id == self.scorer.model_id:
            return self.scorer
        return self.models.get(model_id, self._content(model_id)) if self.models is not None else None

    def _content(self, model_id: str) -> bytes:
        return self._contents.get(model_id, b"{}")  # a model from before versions said which bundles they are made of

    def _check_catalogue(self, known_ms: int) -> None:
        ahead = self.schedule.ahead(CATALOGUE, known_ms)
        if self.catalogue is None or not ahead or any(row.hash == self.catalogue for row in ahead):
            return
        reason = (
            f"catalogue {self.catalogue}: catalogue {ahead[-1].hash} is in force in run {self.run!r} since {iso(ahead[-1].effective_ms)}; "
            "give every worker the same companies.extra, then start again"
        )
        raise UsageError(reason)

    def mark(self, model_id: str) -> str | None:
        """What an admission says of the model whose score counted: nothing where it is the one that the run began with."""
        rows = self.schedule.of(MODEL)
        return None if not rows or rows[0].hash == model_id else model_id

    def marked(self, mark: str | None) -> str:
        """The model that such a mark means."""
        rows = self.schedule.of(MODEL)
        return mark or (rows[0].hash if rows else self.scorer.model_id)


def put_promoted(store: Store, scorer: Scorer, content: bytes, *, now_ms: int) -> list[InForce]:
    """Put a model of the live run in force, at the earliest at a moment; nothing where it is the last one already."""
    return put_in_force(store, LIVE_RUN, {MODEL: (scorer.model_id, content)}, now_ms=now_ms, manifest=manifest_of_model(scorer))
