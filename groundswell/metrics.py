"""What Prometheus sees of one process: every name begins with `groundswell_`, every known label set is there from the start.

Names are stored in dashboards and rules: treat a change here as a change of schema. Bounded by construction: no label holds
a source, an address or a person, and a company only if `metrics.watch` names it; the largest metric has 14 x 3 x 2 x 4 = 336
series. Moments are exported as timestamps, not ages, so that a process which stops is seen to stop. Exemplars hold the id of
a document and nothing else; they are shown where OpenMetrics is asked for. What each metric means: docs/metrics.md.
"""

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from threading import Thread
from typing import Final, Literal, get_args
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, disable_created_metrics

from groundswell.errors import DependencyError, reason_of
from groundswell.names import (
    CANARY_SOURCE,
    CONTRIBUTION_PARTITIONS,
    KINDS,
    LANGUAGES,
    OUTBOX_STATES,
    RAW_PARTITIONS,
    SENTIMENTS,
    TICK_MS,
    TOPICS,
)
from groundswell.probes import Probes, serve
from groundswell.records import Admission, Alert, AlertKind, Delivery, Document, Drop, Score, Severity
from groundswell.store.conditions import KINDS as KINDS_OF_CONDITION

__all__ = [
    "DELIVERY_RESULTS", "DROP_REASONS", "LOAD_RESULTS", "OUTBOX_STATES", "PARTITIONS", "POLL_RESULTS", "SOURCE_STATES", "STAGES", "Metrics",
    "drop_class", "serve_metrics",
]  # fmt: skip

Stage = Literal["intake", "fold", "desk"]
PollResult = Literal["new", "nothing_new", "not_modified", "refused", "failed"]
LoadResult = Literal["loaded", "failed"]
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)
POLL_RESULTS: Final[tuple[PollResult, ...]] = get_args(PollResult)
LOAD_RESULTS: Final[tuple[LoadResult, ...]] = get_args(LoadResult)
SOURCE_STATES: Final = ("forming", "live", "late", "blind", "forgotten")
DELIVERY_RESULTS: Final = ("sent", "waits", "failed")
PARTITIONS: Final[Mapping[Literal["intake", "fold"], int]] = {"intake": RAW_PARTITIONS, "fold": CONTRIBUTION_PARTITIONS}
"""Stages that read a log, and how many partitions it has at most."""

DROP_REASONS: Final = ("raw record", "envelope", "no source", "empty", "language", "score", "other")
"""Classes of drop reasons: what stands before the colon of Drop.reason."""

BALANCE_TERMS: Final = ("fetched", "scored", "duplicate", "edited", "dropped", "in_flight", "balance")
"""fetched = scored + duplicate + edited + dropped + in_flight; "balance" is what is left, and anything but 0 is a fault."""

BATCH_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
BATCH_RECORDS: Final = (1, 4, 16, 64, 256, 1_024, 4_096)
LATENCY_SECONDS: Final = (0.25, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0, 86_400.0)
CONFIDENCE: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)


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

    Args:
        registry: where they are.
        watched: ids of companies that are counted by name, settings' `metrics.watch`.
        now_s: the wall clock, for latencies.
    """

    def __init__(self, registry: CollectorRegistry, *, watched: Sequence[str] = (), now_s: Callable[[], float] = time.time) -> None:
        self.registry, self.watched, self._now_s = registry, tuple(watched), now_s
        self._model = ""
        # The `_created` twin of every counter would double the series; Prometheus finds restarts without it.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._of_intake()
        self._of_fold_and_desk()
        self._of_crawler()
        self._of_lookout()
        self._start_at_zero()

    def _counter(self, name: str, says: str, *labels: str) -> Counter:
        return Counter(f"groundswell_{name}", says, labels, registry=self.registry)

    def _gauge(self, name: str, says: str, *labels: str) -> Gauge:
        return Gauge(f"groundswell_{name}", says, labels, registry=self.registry)

    def _histogram(self, name: str, says: str, *labels: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"groundswell_{name}", says, labels, buckets=buckets, registry=self.registry)

    def _of_intake(self) -> None:
        self.documents_scored = self._counter(
            "documents_scored", "Documents scored, by what the model says.", "topic", "sentiment", "language", "kind"
        )
        self.documents_watched = None
        if self.watched:
            says = "Documents scored that name a company of metrics.watch, by their sentiment."
            self.documents_watched = self._counter("documents_watched", says, "entity", "sentiment")
        self.documents_unknown_language = self._counter("documents_unknown_language", "Documents in a language that no model here reads.")
        self.records_dropped = self._counter("records_dropped", "Raw records that could not be used.", "reason")
        self.documents_duplicate = self._counter("documents_duplicate", "Documents seen before, word for word.")
        self.documents_edited = self._counter("documents_edited", "Documents seen before with other words.")
        self.batch_seconds = self._histogram("batch_duration_seconds", "From taking a batch to its commit.", "stage", buckets=BATCH_SECONDS)
        self.batch_records = self._histogram("batch_records", "Raw records of a batch of the intake.", buckets=BATCH_RECORDS)
        self.latency = self._histogram(
            "document_latency_seconds",
            "known: from published to known, where more than the day is given; scored: from known to stored with its score.",
            "to",
            buckets=LATENCY_SECONDS,
        )
        self.confidence = self._histogram(
            "score_confidence_ratio", "Probability of the sentiment that was chosen; its mean drifts with what is read.", "language",
            buckets=CONFIDENCE,
        )  # fmt: skip
        self.model = Info("groundswell_model", "The model whose score counted last.", registry=self.registry)
        self.model_loads = self._counter("model_loads", "Promoted models that this process has loaded, or could not use.", "result")
        self.known = self._gauge("known_timestamp_seconds", "Time of the raw log as far as it was read; 0: none yet.")
        self.lag = self._gauge(
            "partition_lag_messages", "Messages of a partition that wait for this process; 0: none, or not its own.", "stage", "partition"
        )

    def _of_fold_and_desk(self) -> None:
        self.closed_tick = self._gauge("closed_tick_timestamp_seconds", "End of the last closed tick in known time; 0: none yet.")
        self.decided_tick = self._gauge("decided_tick_timestamp_seconds", "End of the last tick that the desk has decided; 0: none yet.")
        self.held_records = self._gauge("held_records", "Contributions that wait for their tick to close.")
        self.leaders_crowded_out = self._counter(
            "leaders_crowded_out",
            "Stories forgotten early because their series has too many: later copies count as new ones.",
        )
        self.raw_time = self._gauge(
            "raw_partition_timestamp_seconds",
            "Time of each raw partition as fold has it; the least one holds all others back; 0: none yet.",
            "partition",
        )
        self.held_back = self._gauge("held_back_partitions", "Raw partitions that wait because they are too far ahead of what is folded.")
        self.alerts = self._counter("alerts", "Alerts decided, updates included.", "kind", "severity")
        self.alert_latency = self._histogram(
            "alert_latency_seconds", "From the end of the tick that led to an alert until it was stored.", buckets=LATENCY_SECONDS
        )
        self.deliveries = self._counter("deliveries", "Attempts to send a message, by what came of them.", "result")
        self.delivered = self._gauge("delivery_timestamp_seconds", "When a message was last taken by its target; 0: none yet.")

    def _of_crawler(self) -> None:
        self.polls = self._counter("polls", "Polls of sources by result.", "result")
        self.polled = self._gauge("poll_timestamp_seconds", "When a source has last answered; 0: none yet.")
        self.items_fetched = self._counter("items_fetched", "Items in the answers of sources.")
        self.items_new = self._counter("items_new", "Of these, not seen before.")
        self.spooled_records = self._gauge("spooled_records", "Records on disk that wait for the broker.")

    def _of_lookout(self) -> None:
        self.balance_documents = self._gauge("balance_documents", "The live run's balance over all sources, counted from rows.", "term")
        self.outbox_messages = self._gauge("outbox_messages", "Messages of the outbox by state.", "state")
        self.sources = self._gauge("sources", "Sources by state; a blind one says nothing, and that is not calm.", "state")
        self.budget_used = self._gauge(
            "budget_used_alerts",
            "Incidents of events first told of today, by the UTC day of known time; late news, slow burns and blindness do not count.",
        )
        self.budget_limit = self._gauge("budget_limit_alerts", "How many the rules in force allow a day.")
        self.look_seconds = self._histogram(
            "look_duration_seconds",
            "What the lookout's look at the store took, without the balance, which reads every row.",
            buckets=BATCH_SECONDS,
        )
        self.conditions = self._gauge("conditions", "Conditions of the installation that hold and that people must know.", "kind")
        self.canary_due = self._gauge("canary_timestamp_seconds", "When the last canary that reached the desk was to be sent.")
        self.canary_latency = self._gauge("canary_latency_seconds", "How long it took to the desk.")
        self.canary_every = self._gauge("canary_interval_seconds", "How often a canary is due; 0: none is.")

    def _start_at_zero(self) -> None:
        for labels in product(TOPICS, SENTIMENTS, LANGUAGES, KINDS):
            self.documents_scored.labels(*labels)
        if self.documents_watched is not None:
            for watched in product(self.watched, SENTIMENTS):
                self.documents_watched.labels(*watched)
        for stage in PARTITIONS:
            self.observe_lags(stage, {})
        self.observe_raw_times([0] * RAW_PARTITIONS)
        for kind, severity in product(get_args(AlertKind), get_args(Severity)):
            self.alerts.labels(kind, severity)
        known: tuple[tuple[Counter | Gauge | Histogram, Iterable[str]], ...] = (
            (self.records_dropped, DROP_REASONS),
            (self.balance_documents, BALANCE_TERMS),
            (self.batch_seconds, STAGES),
            (self.latency, ("known", "scored")),
            (self.confidence, LANGUAGES),
            (self.outbox_messages, OUTBOX_STATES),
            (self.deliveries, DELIVERY_RESULTS),
            (self.sources, SOURCE_STATES),
            (self.polls, POLL_RESULTS),
            (self.model_loads, LOAD_RESULTS),
            (self.conditions, KINDS_OF_CONDITION),
        )
        for metric, values in known:
            for value in values:
                metric.labels(value)

    # --- intake -----------------------------------------------------------------------------------------------------------------
    def observe_intake(
        self,
        admissions: Sequence[Admission],
        scored: Iterable[tuple[Document, Score]],
        drops: Sequence[Drop],
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
        now_ms = self._now_s() * 1_000
        for document, score in scored:
            self._observe_scored(document, score, now_ms=now_ms)
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
        if admissions or drops:  # else time alone has passed
            self.batch_records.observe(len(admissions) + len(drops))
        self.known.set(known_ms / 1000)

    def _observe_scored(self, document: Document, score: Score, *, now_ms: float) -> None:
        exemplar = {"document_id": document.document_id}
        self.latency.labels("scored").observe(max(0.0, now_ms - document.known_ms) / 1_000, exemplar)
        if document.source == CANARY_SOURCE:  # it proves the way, and is nobody's opinion
            return
        if not document.published_flag and document.published_precision != "day":
            self.latency.labels("known").observe((document.known_ms - document.published_ms) / 1_000, exemplar)
        if score.language not in LANGUAGES:
            return
        if score.topic in TOPICS:
            self.documents_scored.labels(score.topic, score.sentiment, score.language, document.kind).inc()
        chosen_ppm = max(score.negative_ppm, score.neutral_ppm, score.positive_ppm)
        self.confidence.labels(score.language).observe(chosen_ppm / 1e6, exemplar)
        self.observe_model(score.model_id)
        if self.documents_watched is not None:
            for entity in {mention.entity_id for mention in score.mentions}.intersection(self.watched):
                self.documents_watched.labels(entity, score.sentiment).inc()

    def observe_model(self, model_id: str) -> None:
        """The model whose scores count now."""
        if model_id != self._model:
            self._model = model_id
            self.model.info({"model": model_id})

    def observe_model_load(self, result: LoadResult) -> None:
        """A promoted model was loaded, or failed and left the one before in force."""
        self.model_loads.labels(result).inc()

    def observe_lags(self, stage: Literal["intake", "fold"], messages: Mapping[int, int]) -> None:
        """{partition: messages that wait} of the partitions of this process; those of others are shown as 0."""
        for partition in range(PARTITIONS[stage]):
            self.lag.labels(stage, str(partition)).set(max(0, messages.get(partition, 0)))

    # --- fold and desk ----------------------------------------------------------------------------------------------------------
    def observe_crowded_out(self, leaders: int) -> None:
        """So many more stories were forgotten because their series has too many."""
        self.leaders_crowded_out.inc(leaders)

    def observe_tick(self, closed_tick: int, *, held_records: int, seconds: float) -> None:
        """Ticks were closed and what they led to is stored.

        Args:
            closed_tick: the last one; the gauge shows its end.
            held_records: contributions that still wait.
            seconds: from closing to the commit.
        """
        self.batch_seconds.labels("fold").observe(seconds)
        self.closed_tick.set((closed_tick + 1) * TICK_MS / 1000)
        self.held_records.set(held_records)

    def observe_no_partition(self) -> None:
        """Fold has no partition any more: what another process closes must not look as if it stood still here."""
        for gauge in (self.closed_tick, self.held_records):
            gauge.set(0)
        self.observe_raw_times([0] * RAW_PARTITIONS)

    def observe_raw_times(self, times_ms: Sequence[int]) -> None:
        """How far each raw partition's time has come, by partition; before 1970 = none yet."""
        for partition, time_ms in enumerate(times_ms):
            self.raw_time.labels(str(partition)).set(max(0, time_ms) / 1000)

    def observe_held_back(self, partitions: int) -> None:
        """How many raw partitions of this process wait for fold to come closer."""
        self.held_back.set(partitions)

    def observe_decided(self, closed_tick: int, alerts: Iterable[Alert], *, seconds: float | None = None) -> None:
        """The desk has decided ticks, and stored these alerts.

        Args:
            closed_tick: the last tick that is decided.
            alerts: what they led to.
            seconds: from reading the candidates to the commit; None where fold's batch has it in it.
        """
        self.decided_tick.set((closed_tick + 1) * TICK_MS / 1000)
        for alert in alerts:
            self.alerts.labels(alert.kind, alert.severity).inc()
            exemplar = {"document_id": alert.evidence[0].document_id} if alert.evidence else None
            self.alert_latency.observe(max(0.0, self._now_s() - alert.known_until_ms / 1_000), exemplar)
        if seconds is not None:
            self.batch_seconds.labels("desk").observe(seconds)

    def observe_deliveries(self, deliveries: Iterable[Delivery]) -> None:
        """Messages were handed to their targets, or refused."""
        for delivery in deliveries:
            self.deliveries.labels("sent" if delivery.ok else "failed" if delivery.permanent else "waits").inc()
            if delivery.ok:
                self.delivered.set(self._now_s())

    # --- what the lookout and the crawler see ---------------------------------------------------------------------------------
    def observe_look(self, seconds: float) -> None:
        """The lookout has looked at the store."""
        self.look_seconds.observe(seconds)

    def observe_balance(self, terms: Mapping[str, int]) -> None:
        """Each of BALANCE_TERMS, of all sources together."""
        for term in BALANCE_TERMS:
            self.balance_documents.labels(term).set(terms[term])

    def observe_outbox(self, messages: Mapping[str, int]) -> None:
        """How many messages the outbox holds in each state; a state that is not named has none."""
        for state in OUTBOX_STATES:
            self.outbox_messages.labels(state).set(messages.get(state, 0))

    def observe_sources(self, states: Iterable[str]) -> None:
        """The state of each source."""
        found = Counts(states)
        for state in SOURCE_STATES:
            self.sources.labels(state).set(found[state])

    def observe_budget(self, *, used: int, limit: int) -> None:
        """How many incidents were first told of today, and how many may be."""
        self.budget_used.set(used)
        self.budget_limit.set(limit)

    def observe_conditions(self, kinds: Iterable[str]) -> None:
        """The kinds of all conditions that hold, one for each."""
        found = Counts(kinds)
        for kind in KINDS_OF_CONDITION:
            self.conditions.labels(kind).set(found[kind])

    def observe_canary(self, *, due_ms: int, latency_s: int) -> None:
        """The last canary that reached the desk."""
        self.canary_due.set(due_ms / 1_000)
        self.canary_latency.set(latency_s)

    def observe_canary_interval(self, every_ms: int) -> None:
        """How often one is due."""
        self.canary_every.set(every_ms / 1_000)

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
        if result not in ("refused", "failed"):
            self.polled.set(self._now_s())

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
        served = serve(metrics.registry, probes, host=host, port=port)
    except OSError as error:
        reason = f"metrics.port {host}:{port}: {reason_of(error)}; give each process its own metrics.port, or 0 for none"
        raise DependencyError(reason) from error
    ProcessCollector(registry=metrics.registry)  # memory, processor time, open files: of this process, so only where one is shown
    return served
