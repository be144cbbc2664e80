"""Pipeline: does it keep up, and is everything accounted for. For the people who run it."""

from typing import Final

from dashboards.grafana import promql, sql, variables
from dashboards.grafana.limits import Limits
from dashboards.grafana.model import PREFIX, Column, Dashboard, Panel, Promql, Row, Sql, Step, annotation
from groundswell.metrics import BALANCE_TERMS, DROP_REASONS, LOAD_RESULTS, OUTBOX_STATES, POLL_RESULTS, STAGES
from groundswell.names import RAW_PARTITIONS

UID: Final = f"{PREFIX}pipeline"


def dashboard(limits: Limits) -> Dashboard:
    """The dashboard, coloured by the limits."""
    return Dashboard(
        uid=UID,
        title="Groundswell: pipeline",
        description="Does the pipeline keep up, is everything accounted for, and what holds it up? For the people who run it.",
        variables=(
            variables.prometheus(), variables.postgres(), variables.board_url(limits.board_url), variables.job(), variables.instance(),
            variables.run(),
        ),
        rows=(_state(limits), _speed(limits), _accounts(), _ends()),
        annotations=(annotation("Incidents", "red", sql.ANNOTATIONS),),
        since="now-6h",
    )  # fmt: skip


def _state(limits: Limits) -> Row:
    late = (Step("green", 0), Step("red", limits.behind_s))
    return Row(
        "Is it well?",
        (
            Panel(
                "stat", "Behind", f"How far closed time is behind the clock, at the worker that is furthest. "
                f"{limits.behind_s:g} s are reported.",
                (Promql(promql.BEHIND),), "s", width=4, height=4, steps=late,
            ),
            Panel(
                "stat", "Balance", "fetched - scored - duplicate - edited - dropped - in flight, of the live run. "
                "Anything but 0 is a fault.",
                (Promql(promql.BALANCE),), "none", width=4, height=4, steps=(Step("green", 0), Step("red", 1)),
            ),
            Panel(
                "stat", "Conditions", "Conditions that hold; the table below says which.",
                (Promql(promql.CONDITIONS),), "none", width=4, height=4, steps=(Step("green", 0), Step("red", 1)),
            ),
            Panel(
                "stat", "Canary", f"How long the last canary took from crawler to desk; {limits.canary_late_s:g} s are too long.",
                (Promql(promql.CANARY_LATENCY),), "s", width=4, height=4, steps=(Step("green", 0), Step("red", limits.canary_late_s)),
            ),
            Panel(
                "stat", "Canary age", f"How long ago the last canary that came through was sent; one is sent every "
                f"{limits.canary_every_s} s.",
                (Promql(promql.CANARY_AGE),), "s", width=4, height=4,
                steps=(Step("green", 0), Step("red", limits.canary_every_s + limits.canary_late_s)),
            ),
            Panel(
                "stat", "Processes up", "1: Prometheus reads the process. 0: it does not answer.",
                (Promql(promql.UP, "{{instance}}"),), "none", width=4, height=4, steps=(Step("red", 0), Step("green", 1)),
            ),
            Panel(
                "table", "Conditions that hold", "What the people who run the installation have to know. Each kind "
                "has a heading in the runbook.",
                (Sql(sql.CONDITIONS),), "none", columns=(Column("Since", "dateTimeAsIso"), Column("Told", "dateTimeAsIso")),
            ),
            Panel(
                "table", "Who owns what", "Each partition and the desk: owner, epoch (how often it changed hands), "
                "and how far it has come.",
                (Sql(sql.PROGRESS, at_least=3),), "none", columns=(Column("Closed until", "dateTimeAsIso"),),
            ),
        ),
    )  # fmt: skip


def _speed(limits: Limits) -> Row:
    late = (Step("green", 0), Step("red", limits.behind_s))
    return Row(
        "Does it keep up?",
        (
            Panel(
                "timeseries", "Documents a second", "What became of raw records, each second, over all workers. A "
                "replayed batch counts again.",
                (Promql(promql.SCORED, "scored"), Promql(promql.DUPLICATE, "duplicate"), Promql(promql.EDITED, "edited"),
                 Promql(promql.DROPPED, "dropped")),
                "ops", stacked=True,
            ),
            Panel(
                "timeseries", "Behind the clock", "The raw log as far as it was read, and closed time, behind the clock.",
                (Promql(promql.READ_BEHIND, "read"), Promql(promql.BEHIND, "closed")), "s", steps=late,
            ),
            Panel(
                "timeseries", "Raw partitions behind the clock", "Time of each raw partition as fold has it. The "
                "slowest holds all others back.",
                (Promql(promql.PARTITIONS_BEHIND, "{{partition}}", at_least=RAW_PARTITIONS),), "s", steps=late,
            ),
            Panel(
                "timeseries", "Contributions that wait", "Contributions held until their tick closes, and raw partitions that wait.",
                (Promql(promql.HELD, "contributions"), Promql(promql.HELD_BACK, "partitions")), "short",
            ),
            Panel(
                "timeseries", "Batch duration", "From taking a batch to its commit, by stage: half of the batches, "
                "and all but a twentieth.",
                (Promql(promql.batch_quantile(0.5), "{{stage}}, median", at_least=len(STAGES)),
                 Promql(promql.batch_quantile(0.95), "{{stage}}, 95 %", at_least=len(STAGES))),
                "s",
            ),
            Panel(
                "timeseries", "Batches a second", "Commits by stage. A stage that stands still while another goes on is stuck.",
                (Promql(promql.BATCHES, "{{stage}}", at_least=len(STAGES)),), "ops",
            ),
        ),
    )  # fmt: skip


def _accounts() -> Row:
    return Row(
        "Is everything accounted for?",
        (
            Panel(
                "timeseries", "Balance by term", "Rows and positions of the live run; \"balance\" is what is left and must be 0.",
                (Promql(promql.TERMS, "{{term}}", at_least=len(BALANCE_TERMS)),), "short",
            ),
            Panel(
                "timeseries", "Drops a second", "Raw records that could not be used, by reason. `groundswell drops list` shows them.",
                (Promql(promql.DROPPED_BY_REASON, "{{reason}}", at_least=len(DROP_REASONS)),), "ops", stacked=True,
            ),
        ),
    )  # fmt: skip


def _ends() -> Row:
    return Row(
        "Crawlers and messages",
        (
            Panel(
                "timeseries", "Polls a second", "Polls of sources by result: refused is the publisher's word, failed the network's.",
                (Promql(promql.POLLS, "{{result}}", at_least=len(POLL_RESULTS)),), "ops", stacked=True,
            ),
            Panel(
                "timeseries", "Items a second", "Items in the answers of sources, and those of them that were new.",
                (Promql(promql.ITEMS_FETCHED, "fetched"), Promql(promql.ITEMS_NEW, "new")), "ops",
            ),
            Panel(
                "timeseries", "Records in spools", "Records on disk that wait for the broker, by crawler.",
                (Promql(promql.SPOOLED, "{{instance}}"),), "short", stacked=True,
            ),
            Panel(
                "timeseries", "Messages by state", "Messages of the outbox. Due and attempted ones that stay are stuck.",
                (Promql(promql.OUTBOX, "{{state}}", at_least=len(OUTBOX_STATES)),), "short",
            ),
            Panel(
                "timeseries", "Alerts decided", "Alerts within each interval, updates included, by kind and severity.",
                (Promql(promql.ALERTS, "{{kind}}, {{severity}}"),), "short", stacked=True,
            ),
            Panel(
                "timeseries", "Model loads", "Promoted models that a process has loaded, or could not use, within each interval.",
                (Promql(promql.MODEL_LOADS, "{{result}}", at_least=len(LOAD_RESULTS)),), "short",
            ),
        ),
    )  # fmt: skip
