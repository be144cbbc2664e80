"""Pipeline: does it keep up, and is everything accounted for. For the people who run it."""

from typing import Final

from dashboards.grafana import promql, sql
from dashboards.grafana.limits import Limits
from dashboards.grafana.model import PREFIX, Column, Dashboard, Panel, Promql, Row, Sql, Step, annotation
from dashboards.grafana.panels import chart, figure, table, wrong_from
from dashboards.grafana.variables import variables
from groundswell.metrics import BALANCE_TERMS, DELIVERY_RESULTS, DROP_REASONS, LOAD_RESULTS, OUTBOX_STATES, POLL_RESULTS, STAGES
from groundswell.names import RAW_PARTITIONS

UID: Final = f"{PREFIX}pipeline"


def dashboard(limits: Limits) -> Dashboard:
    """The dashboard, coloured by the limits."""
    return Dashboard(
        uid=UID,
        title="Groundswell: pipeline",
        description="Does the pipeline keep up, is everything accounted for, and what holds it up? For the people who run it.",
        variables=variables(limits.board_url, "processes"),
        rows=(_state(limits), _speed(limits), _accounts(), _ends()),
        annotations=(annotation("Incidents", "red", sql.ANNOTATIONS),),
        since="now-6h",
    )


def _state(limits: Limits) -> Row:
    return Row("Is it well?", (*_figures(limits), *_lists()))


def _figures(limits: Limits) -> tuple[Panel, ...]:
    late = wrong_from(limits.behind_s)
    return (
        figure(
            "Behind",
            f"How far closed time is behind the clock, at the worker that is furthest. {limits.behind_s:g} s are reported.",
            Promql(promql.BEHIND),
            unit="s",
            width=4,
            steps=late,
        ),
        figure(
            "Balance",
            "fetched - scored - duplicate - edited - dropped - in flight, of the live run. Anything but 0 is a fault.",
            Promql(promql.BALANCE),
            width=4,
            steps=wrong_from(1),
        ),
        figure(
            "Conditions",
            "Conditions that hold; the table below says which.",
            Promql(promql.CONDITIONS),
            width=4,
            steps=wrong_from(1),
        ),
        figure(
            "Canary",
            f"How long the last canary took from crawler to desk; {limits.canary_late_s:g} s are too long.",
            Promql(promql.CANARY_LATENCY),
            unit="s",
            width=4,
            steps=wrong_from(limits.canary_late_s),
        ),
        figure(
            "Canary age",
            f"How long ago the last canary that came through was sent; one is sent every {limits.canary_every_s} s.",
            Promql(promql.CANARY_AGE),
            unit="s",
            width=4,
            steps=wrong_from(limits.canary_every_s + limits.canary_late_s),
        ),
        figure(
            "Processes up",
            "1: Prometheus reads the process. 0: it does not answer.",
            Promql(promql.UP, "{{instance}}"),
            width=4,
            steps=(Step("red", 0), Step("green", 1)),
        ),
    )


def _lists() -> tuple[Panel, ...]:
    return (
        table(
            "Conditions that hold",
            "What the people who run the installation have to know. Each kind has a heading in the runbook.",
            Sql(sql.CONDITIONS),
            columns=(Column("Since", "dateTimeAsIso"), Column("Told", "dateTimeAsIso")),
        ),
        table(
            "Who owns what",
            "Each partition and the desk: owner, epoch (how often it changed hands), and how far it has come.",
            Sql(sql.PROGRESS, at_least=3),
            columns=(Column("Closed until", "dateTimeAsIso"),),
        ),
    )


def _speed(limits: Limits) -> Row:
    return Row("Does it keep up?", (*_flow(limits), *_batches()))


def _flow(limits: Limits) -> tuple[Panel, ...]:
    late = wrong_from(limits.behind_s)
    return (
        chart(
            "Documents a second",
            "What became of raw records, each second, over all workers. A replayed batch counts again.",
            Promql(promql.SCORED, "scored"),
            Promql(promql.DUPLICATE, "duplicate"),
            Promql(promql.EDITED, "edited"),
            Promql(promql.DROPPED, "dropped"),
            unit="ops",
            stacked=True,
        ),
        chart(
            "Behind the clock",
            "The raw log as far as it was read, closed time, and what the desk has decided, behind the clock.",
            Promql(promql.READ_BEHIND, "read"),
            Promql(promql.BEHIND, "closed"),
            Promql(promql.DECIDED_BEHIND, "decided"),
            unit="s",
            steps=late,
        ),
        chart(
            "Raw partitions behind the clock",
            "Time of each raw partition as fold has it. The slowest holds all others back.",
            Promql(promql.PARTITIONS_BEHIND, "{{partition}}", at_least=RAW_PARTITIONS),
            unit="s",
            steps=late,
        ),
        chart(
            "Messages that wait",
            "Messages of Kafka that wait for their worker, over all partitions, by stage.",
            Promql(promql.WAITING, "{{stage}}", at_least=2),
            unit="short",
        ),
        chart(
            "How long a document takes",
            "known: from published to known. scored: from known to stored with its score. Half of the documents, and all but a twentieth.",
            Promql(promql.latency_quantile(0.5), "{{to}}, median", at_least=2),
            Promql(promql.latency_quantile(0.95), "{{to}}, 95 %", at_least=2),
            unit="s",
        ),
        chart(
            "Contributions that wait",
            "Contributions held until their tick closes, and raw partitions that wait.",
            Promql(promql.HELD, "contributions"),
            Promql(promql.HELD_BACK, "partitions"),
            unit="short",
        ),
    )


def _batches() -> tuple[Panel, ...]:
    return (
        chart(
            "Batch duration",
            "From taking a batch to its commit, by stage: half of the batches, and all but a twentieth.",
            Promql(promql.batch_quantile(0.5), "{{stage}}, median", at_least=len(STAGES)),
            Promql(promql.batch_quantile(0.95), "{{stage}}, 95 %", at_least=len(STAGES)),
            unit="s",
        ),
        chart(
            "Records in a batch",
            "Raw records of the median batch. Full batches mean that there is more to do than is done.",
            Promql(promql.BATCH_RECORDS, "records"),
            unit="short",
        ),
        chart(
            "How fast the store answers",
            "Within which time all but a twentieth of the lookout's looks at the store ended.",
            Promql(promql.STORE_ANSWERS, "look"),
            unit="s",
        ),
        chart(
            "Batches a second",
            "Commits by stage. A stage that stands still while another goes on is stuck.",
            Promql(promql.BATCHES, "{{stage}}", at_least=len(STAGES)),
            unit="ops",
        ),
    )


def _accounts() -> Row:
    return Row(
        "Is everything accounted for?",
        (
            chart(
                "Balance by term",
                'Rows and positions of the live run; "balance" is what is left and must be 0.',
                Promql(promql.TERMS, "{{term}}", at_least=len(BALANCE_TERMS)),
                unit="short",
            ),
            chart(
                "Drops a second",
                "Raw records that could not be used, by reason. `groundswell drops list` shows them.",
                Promql(promql.DROPPED_BY_REASON, "{{reason}}", at_least=len(DROP_REASONS)),
                unit="ops",
                stacked=True,
            ),
        ),
    )


def _ends() -> Row:
    return Row("Crawlers and messages", (*_crawlers(), *_messages()))


def _crawlers() -> tuple[Panel, ...]:
    return (
        chart(
            "Polls a second",
            "Polls of sources by result: refused is the publisher's word, failed the network's.",
            Promql(promql.POLLS, "{{result}}", at_least=len(POLL_RESULTS)),
            unit="ops",
            stacked=True,
        ),
        chart(
            "Items a second",
            "Items in the answers of sources, and those of them that were new.",
            Promql(promql.ITEMS_FETCHED, "fetched"),
            Promql(promql.ITEMS_NEW, "new"),
            unit="ops",
        ),
        chart(
            "Records in spools",
            "Records on disk that wait for the broker, by crawler.",
            Promql(promql.SPOOLED, "{{instance}}"),
            unit="short",
            stacked=True,
        ),
    )


def _messages() -> tuple[Panel, ...]:
    return (
        chart(
            "Messages by state",
            "Messages of the outbox. Due and attempted ones that stay are stuck.",
            Promql(promql.OUTBOX, "{{state}}", at_least=len(OUTBOX_STATES)),
            unit="short",
        ),
        chart(
            "Attempts to send",
            "Attempts to send a message, each second, by what came of them.",
            Promql(promql.DELIVERIES, "{{result}}", at_least=len(DELIVERY_RESULTS)),
            unit="ops",
            stacked=True,
        ),
        chart(
            "From tick to alert",
            "From the end of the tick that led to an alert until it was stored; all but a twentieth.",
            Promql(promql.ALERT_LATENCY, "95 %"),
            unit="s",
        ),
        chart(
            "Last answers",
            "How long ago a message was taken by its target, and a source answered.",
            Promql(promql.DELIVERED, "message"),
            Promql(promql.POLLED, "source"),
            unit="s",
        ),
        chart(
            "Budget of the day",
            "Incidents first told of today (UTC), and how many the rules in force allow.",
            Promql(promql.BUDGET_USED, "used"),
            Promql(promql.BUDGET_LIMIT, "allowed"),
            unit="short",
        ),
        chart(
            "Alerts decided",
            "Alerts within each interval, updates included, by kind and severity.",
            Promql(promql.ALERTS, "{{kind}}, {{severity}}"),
            unit="short",
            stacked=True,
        ),
        chart(
            "Model loads",
            "Promoted models that a process has loaded, or could not use, within each interval.",
            Promql(promql.MODEL_LOADS, "{{result}}", at_least=len(LOAD_RESULTS)),
            unit="short",
        ),
    )
