"""Sources and model: is the world heard, and does the model read it as it did. For data engineers and modellers."""

from typing import Final

from dashboards.grafana import promql, sql, variables
from dashboards.grafana.limits import Limits
from dashboards.grafana.model import PREFIX, Column, Dashboard, Panel, Promql, Row, Sql, Step, annotation
from dashboards.grafana.opinion import data_until
from groundswell.names import KINDS, LANGUAGES, SENTIMENTS, TOPICS

UID: Final = f"{PREFIX}sources-model"
HOUR: Final = "1h"
QUARTER: Final = "15m"


def dashboard(limits: Limits) -> Dashboard:
    """The dashboard, coloured by the limits."""
    return Dashboard(
        uid=UID,
        title="Groundswell: sources and model",
        description="Which sources are heard, how late, and does the model read them as it did? For data engineers and modellers.",
        variables=(
            variables.postgres(), variables.prometheus(), variables.board_url(limits.board_url), variables.job(), variables.instance(),
            variables.run(),
        ),
        rows=(_heard(limits), _delay(limits), _unused(), _model()),
        annotations=(annotation("Incidents", "red", sql.ANNOTATIONS),),
    )  # fmt: skip


def _heard(limits: Limits) -> Row:
    return Row(
        "Who is heard?",
        (
            data_until(),
            Panel(
                "stat", "Sources heard", "Sources that brought something new or edited in the span that is shown.",
                (Sql(sql.SOURCES_HEARD),), "none", width=6, height=4,
            ),
            Panel(
                "stat", "Unknown languages", "Documents a second in a language that no model here reads.",
                (Promql(promql.UNKNOWN_LANGUAGE),), "ops", width=6, height=4,
            ),
            Panel(
                "timeseries", "Documents by source", "The ten busiest sources of the span that is shown, and all others, by known time.",
                (Sql(sql.DOCUMENTS_BY_SOURCE),), "short", stacked=True, interval=QUARTER,
            ),
            Panel(
                "timeseries", "Exposure",
                f"Share of the usual volume whose sources are heard, by language. Below {limits.exposure_min:.0%} "
                f"nothing is evaluated: blind, "
                "not calm.",
                (Sql(sql.EXPOSURE),), "percentunit", top=1.0, interval=HOUR,
                steps=(Step("red", 0), Step("green", limits.exposure_min)),
            ),
            Panel(
                "table", "Records by source", "What became of each source's records in the span that is shown.",
                (Sql(sql.OUTCOMES),), "none", columns=(Column("Last heard", "dateTimeAsIso"),),
            ),
            Panel(
                "table", "Polls", "The last poll of each source, those that failed first. `groundswell sources "
                "health` judges their silence.",
                (Sql(sql.POLLS),), "none", columns=(Column("Last poll", "dateTimeFromNow"), Column("Last good poll", "dateTimeFromNow")),
            ),
        ),
    )  # fmt: skip


def _delay(limits: Limits) -> Row:
    return Row(
        "How late?",
        (
            Panel(
                "timeseries", "From published to known",
                f"Half of the documents, and all but a twentieth, were known within this time. News older than "
                f"{limits.fresh_s // 3_600} h leads "
                "to no alert.",
                (Sql(sql.LAG),), "s", interval=QUARTER, steps=(Step("green", 0), Step("red", limits.fresh_s)),
            ),
            Panel(
                "table", "From published to known, by source", "The same by source, the slowest first.",
                (Sql(sql.LAG_BY_SOURCE),), "none", columns=(Column("Median", "s"), Column("95 %", "s")),
            ),
        ),
    )  # fmt: skip


def _unused() -> Row:
    return Row(
        "What could not be used?",
        (
            Panel(
                "table", "Drops by source", "Records that could not be used in the span that is shown, by source and reason.",
                (Sql(sql.DROPS),), "none", columns=(Column("Last", "dateTimeAsIso"),),
            ),
            Panel(
                "table", "Blindness that has ended", "When a source was silent for too long to be calm. One that "
                "still is: the board's Sources page.",
                (Sql(sql.BLINDNESS, at_least=0),), "none",
                columns=(Column("Blind from", "dateTimeAsIso"), Column("Until", "dateTimeAsIso"), Column("For", "s")),
            ),
        ),
    )  # fmt: skip


def _model() -> Row:
    return Row(
        "Does the model read as it did?",
        (
            Panel(
                "timeseries", "Sentiments", "Share of each sentiment by language, of the documents that are being "
                "scored. A step without news is drift.",
                (Promql(promql.SENTIMENTS, "{{language}}, {{sentiment}}", at_least=len(LANGUAGES) * len(SENTIMENTS)),),
                "percentunit", top=1.0,
            ),
            Panel(
                "timeseries", "Probability of negative", "Mean probability that a document is negative, by language "
                "and by the model that counted.",
                (Sql(sql.MODEL_NEGATIVE),), "percentunit", top=1.0, interval=HOUR,
            ),
            Panel(
                "timeseries", "Topics a second", "Documents scored by topic. Compare the mix, not the height.",
                (Promql(promql.TOPICS, "{{topic}}", at_least=len(TOPICS)),), "ops", stacked=True,
            ),
            Panel(
                "timeseries", "Kinds a second", "Documents scored by language and kind.",
                (Promql(promql.KINDS, "{{language}}, {{kind}}", at_least=len(LANGUAGES) * len(KINDS)),), "ops", stacked=True,
            ),
            Panel(
                "table", "Versions in force", "Model, rules and company catalogue, from which known time on each is in force.",
                (Sql(sql.VERSIONS, at_least=3),), "none", width=24, height=6, columns=(Column("Since", "dateTimeAsIso"),),
            ),
        ),
    )  # fmt: skip
