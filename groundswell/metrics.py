"""What Prometheus sees of one process: every name begins with `groundswell_`, every known label set is there from the start.

Names are stored in dashboards and rules: treat a change here as a change of schema. Bounded by construction: no label holds
a company, a source, an address or a person; the largest metric has 14 x 3 x 2 x 4 = 336 series. Moments are exported as
timestamps, not ages, so that a process which stops is seen to stop.
"""

from collections import Counter as Counts
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from threading import Thread
from typing import Final, Literal, get_args
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from groundswell.errors import DependencyError, reason_of
from groundswell.names import KINDS, LANGUAGES, OUTBOX_STATES, RAW_PARTITIONS, SENTIMENTS, TICK_MS, TOPICS
from groundswell.probes import Probes, serve
from groundswell.records import Admission, Alert, AlertKind, Document, Drop, Score, Severity
from groundswell.store.conditions import KINDS as KINDS_OF_CONDITION

__all__ = ["DROP_REASONS", "LOAD_RESULTS", "OUTBOX_STATES", "POLL_RESULTS", "STAGES", "Metrics", "drop_class", "serve_metrics"]

Stage = Literal["intake", "fold", "desk"]
PollResult = Literal["new", "nothing_new", "not_modified", "refused", "failed"]
LoadResult = Literal["loaded", "failed"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
POLL_RESULTS: Final[tuple[PollResult, ...]] = get_args(PollResult)
LOAD_RESULTS: Final[tuple[LoadResult, ...]] = get_args(LoadResult)
DROP_REASONS: Final = ("raw record", "envelope", "no source", "empty", "language", "score", "other")
"""Classes of drop reasons: what stands before the colon of Drop.reason."""

BALANCE_TERMS: Final = ("fetched", "scored", "duplicate", "edited", "dropped", "in_flight", "balance")
"""fetched = scored + duplicate + edited + dropped + in_flight; "balance" is what is left, and anything but 0 is a fault."""

BATCH_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def drop_class(reason: str) -> str:
    """The class that a drop's reason counts in; a reason that nobody foresaw is "other", so labels stay bounded.

    >>> drop_class("language: de"), drop_class("the disk spoke")
    ('language', 'other')
    """
    head = reason.partition(":")[0]
    return head if head in DROP_REASONS else "other"


class Metrics:
    """The instruments of one process, on a registry that the caller brings (tests bring their own).

    Methods are called from the process's own threads after the transaction that they report has been committed, so a replayed
    batch is counted again: these numbers are for rates and alarms; the balance is counted from rows in the store.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        # The `_created` twin of every counter would double the series; Prometheus finds restarts without it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.documents_scored = Counter(
            "groundswell_documents_scored", "Documents scored, by what the model says.", ["topic", "sentiment", "language", "kind"],
            registry=registry,
        )  # fmt: skip
        self.documents_unknown_language = Counter(
            "groundswell_documents_unknown_language", "Documents in a language that no model here reads.", registry=registry
        )
        self.records_dropped = Counter("groundswell_records_dropped", "Raw records that could not be used.", ["reason"], registry=registry)
        self.documents_duplicate = Counter("groundswell_documents_duplicate", "Documents seen before, word for word.", registry=registry)
        self.documents_edited = Counter("groundswell_documents_edited", "Documents seen before with other words.", registry=registry)
        self.batch_seconds = Histogram(
            "groundswell_batch_duration_seconds", "From taking a batch to its commit.", ["stage"], buckets=BATCH_SECONDS, registry=registry
        )
        self.closed_tick = Gauge(
            "groundswell_closed_tick_timestamp_seconds", "End of the last closed tick in known time; 0: none yet.", registry=registry
        )
        self.known = Gauge(
            "groundswell_known_timestamp_seconds", "Time of the raw log as far as it was read; 0: none yet.", registry=registry
        )
        self.held_records = Gauge("groundswell_held_records", "Contributions that wait for their tick to close.", registry=registry)
        self.raw_time = Gauge(
            "groundswell_raw_partition_timestamp_seconds",
            "Time of each raw partition as fold has it; the least one holds all others back; 0: none yet.",
            ["partition"],
            registry=registry,
        )
        self.held_back = Gauge(
            "groundswell_held_back_partitions",
            "Raw partitions that wait because they are too far ahead of what is folded.",
            registry=registry,
        )
        self.balance_documents = Gauge(
            "groundswell_balance_documents", "The live run's balance over all sources, counted from rows.", ["term"], registry=registry
        )
        self.alerts = Counter("groundswell_alerts", "Alerts decided, updates included.", ["kind", "severity"], registry=registry)
        self.outbox_messages = Gauge("groundswell_outbox_messages", "Messages of the outbox by state.", ["state"], registry=registry)
        self.polls = Counter("groundswell_polls", "Polls of sources by result.", ["result"], registry=registry)
        self.items_fetched = Counter("groundswell_items_fetched", "Items in the answers of sources.", registry=registry)
        self.items_new = Counter("groundswell_items_new", "Of these, not seen before.", registry=registry)
        self.model_loads = Counter(
            "groundswell_model_loads", "Promoted models that this process has loaded, or could not use.", ["result"], registry=registry
        )
        self.spooled_records = Gauge("groundswell_spooled_records", "Records on disk that wait for the broker.", registry=registry)
        self.conditions = Gauge(
            "groundswell_conditions", "Conditions of the installation that hold and that people must know.", ["kind"], registry=registry
        )
        self.canary_due = Gauge(
            "groundswell_canary_timestamp_seconds", "When the last canary that reached the desk was to be sent.", registry=registry
        )
        self.canary_latency = Gauge("groundswell_canary_latency_seconds", "How long it took to the desk.", registry=registry)
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        for labels in product(TOPICS, SENTIMENTS, LANGUAGES, KINDS):
            self.documents_scored.labels(*labels)
        for reason in DROP_REASONS:
            self.records_dropped.labels(reason)
        for term in BALANCE_TERMS:
            self.balance_documents.labels(term)
        for stage in STAGES:
            self.batch_seconds.labels(stage)
        for kind, severity in product(get_args(AlertKind), get_args(Severity)):
            self.alerts.labels(kind, severity)
        for partition in range(RAW_PARTITIONS):
            self.raw_time.labels(str(partition))
        for state in OUTBOX_STATES:
            self.outbox_messages.labels(state)
        for result in POLL_RESULTS:
            self.polls.labels(result)
        for load in LOAD_RESULTS:
            self.model_loads.labels(load)
        for condition in KINDS_OF_CONDITION:
            self.conditions.labels(condition)

    def observe_intake(
        self,
        admissions: Iterable[Admission],
        scored: Iterable[tuple[Document, Score]],
        drops: Iterable[Drop],
        *,
        seconds: float,
        known_ms: int,
    ) -> None:
        """A batch of raw records is stored.

        Args:
            admissions: what became of each record.
            scored: the documents that count, each with the score that is stored of it.
            drops: what could not be used.
            seconds: from taking the batch to its commit.
            known_ms: the raw log's time after the batch.
        """
        for document, score in scored:
            if score.topic in TOPICS and score.language in LANGUAGES:
                self.documents_scored.labels(score.topic, score.sentiment, score.language, document.kind).inc()
        for admission in admissions:
            if admission.outcome == "duplicate":
                self.documents_duplicate.inc()
            elif admission.outcome == "edited":
                self.documents_edited.inc()
        for drop in drops:
            reason = drop_class(drop.reason)
            self.records_dropped.labels(reason).inc()
            if reason == "language":
                self.documents_unknown_language.inc()
        self.batch_seconds.labels("intake").observe(seconds)
        self.known.set(known_ms / 1000)

    def observe_tick(self, closed_tick: int, *, held_records: int, seconds: float, stage: Literal["fold", "desk"] = "fold") -> None:
        """Ticks were closed and their results stored.

        Args:
            closed_tick: the last one; the gauge shows its end.
            held_records: contributions that still wait.
            seconds: from closing to the commit.
            stage: who closed them; only fold holds records back.
        """
        self.batch_seconds.labels(stage).observe(seconds)
        self.closed_tick.set((closed_tick + 1) * TICK_MS / 1000)
        if stage == "fold":
            self.held_records.set(held_records)

    def observe_raw_times(self, times_ms: Sequence[int]) -> None:
        """How far each raw partition's time has come, by partition; before 1970 = none yet."""
        for partition, time_ms in enumerate(times_ms):
            self.raw_time.labels(str(partition)).set(max(0, time_ms) / 1000)

    def observe_held_back(self, partitions: int) -> None:
        """How many raw partitions of this process wait for fold to come closer."""
        self.held_back.set(partitions)

    def observe_balance(self, terms: Mapping[str, int]) -> None:
        """Each of BALANCE_TERMS, of all sources together."""
        for term in BALANCE_TERMS:
            self.balance_documents.labels(term).set(terms[term])

    def observe_alerts(self, alerts: Iterable[Alert]) -> None:
        """The desk has stored these alerts."""
        for alert in alerts:
            self.alerts.labels(alert.kind, alert.severity).inc()

    def observe_outbox(self, messages: Mapping[str, int]) -> None:
        """How many messages the outbox holds in each state; a state that is not named has none."""
        for state in OUTBOX_STATES:
            self.outbox_messages.labels(state).set(messages.get(state, 0))

    def observe_poll(self, result: PollResult, *, fetched: int = 0, new: int = 0) -> None:
        """A source was asked.

        Args:
            result: "refused" is the publisher's word (robots, 4xx), "failed" the network's or the server's.
            fetched: items in the answer.
            new: of these, not seen before.
        """
        self.polls.labels(result).inc()
        self.items_fetched.inc(fetched)
        self.items_new.inc(new)

    def observe_model_load(self, result: LoadResult) -> None:
        """A promoted model was loaded, or failed and left the one before in force."""
        self.model_loads.labels(result).inc()

    def observe_conditions(self, kinds: Iterable[str]) -> None:
        """The kinds of all conditions that hold, one for each."""
        found = Counts(kinds)
        for kind in KINDS_OF_CONDITION:
            self.conditions.labels(kind).set(found[kind])

    def observe_canary(self, *, due_ms: int, latency_s: int) -> None:
        """The last canary that reached the desk."""
        self.canary_due.set(due_ms / 1_000)
        self.canary_latency.set(latency_s)

    def observe_spool(self, records: int) -> None:
        """How many records wait on disk for the broker."""
        self.spooled_records.set(records)


def serve_metrics(metrics: Metrics, host: str, port: int, *, probes: Probes | None = None) -> tuple[WSGIServer, Thread] | None:
    """Show a process's metrics on a port of its own (one port per worker keeps every kind of metric exact).

    Args:
        metrics: what to show.
        host: address to listen on.
        port: 0 shows nothing.
        probes: what `/live` and `/ready` answer; None: nothing.

    Returns:
        The server and its thread, or None; end it with `server.shutdown()` and `server.server_close()`.

    Raises:
        DependencyError: the port is taken or the address is not this machine's.
    """
    if port == 0:
        return None
    try:
        return serve(metrics.registry, probes, host=host, port=port)
    except OSError as error:
        reason = f"metrics.port {host}:{port}: {reason_of(error)}; give each process its own metrics.port, or 0 for none"
        raise DependencyError(reason) from error
