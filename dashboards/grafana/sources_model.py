"""Sources and model: is the world heard, and does the model read it as it did. For data engineers and modellers."""

from typing import Final

from dashboards.grafana import promql, sql
from dashboards.grafana.limits import Limits
from dashboards.grafana.model import PREFIX, Column, Dashboard, Panel, Promql, Row, Sql, Step, annotation
from dashboards.grafana.opinion import data_until
from dashboards.grafana.panels import chart, figure, table, wrong_from
from dashboards.grafana.variables import variables
from groundswell.metrics import SOURCE_STATES
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
        variables=variables(limits.board_url, "processes"),
        rows=(_heard(limits), _delay(limits), _unused(), _model()),
        annotations=(annotation("Incidents", "red", sql.ANNOTATIONS),),
    )


def _heard(limits: Limits) -> Row:
    return Row("Who is heard?", (*_figures(), *_voices(limits)))


def _figures() -> tuple[Panel, ...]:
    return (
        data_until(),
        figure(
            "Sources heard",
            "Sources that brought something new or edited in the span that is shown.",
            Sql(sql.SOURCES_HEARD),
        ),
        figure(
            "Unknown languages",
            "Documents a second in a language that no model here reads.",
            Promql(promql.UNKNOWN_LANGUAGE),
            unit="ops",
        ),
    )


def _voices(limits: Limits) -> tuple[Panel, ...]:
    return (
        chart(
            "Sources by state",
            "How many sources are in which state; a blind one says nothing, and that is not calm.",
            Promql(promql.SOURCES, "{{state}}", at_least=len(SOURCE_STATES)),
            unit="short",
            stacked=True,
        ),
        chart(
            "Documents by source",
            "The ten busiest sources of the span that is shown, and all others, by known time.",
            Sql(sql.DOCUMENTS_BY_SOURCE),
            unit="short",
            stacked=True,
            interval=QUARTER,
        ),
        chart(
            "Exposure",
            f"Share of the usual volume whose sources are heard, by language. Below {limits.exposure_min:.0%} nothing is "
            "evaluated: blind, not calm.",
            Sql(sql.EXPOSURE),
            unit="percentunit",
            top=1.0,
            interval=HOUR,
            steps=(Step("red", 0), Step("green", limits.exposure_min)),
        ),
        table(
            "Records by source",
            "What became of each source's records in the span that is shown.",
            Sql(sql.OUTCOMES),
            columns=(Column("Last heard", "dateTimeAsIso"),),
        ),
        table(
            "Polls",
            "The last poll of each source, those that failed first. `groundswell sources health` judges their silence.",
            Sql(sql.POLLS),
            columns=(Column("Last poll", "dateTimeFromNow"), Column("Last good poll", "dateTimeFromNow")),
        ),
    )


def _delay(limits: Limits) -> Row:
    return Row(
        "How late?",
        (
            chart(
                "From published to known",
                f"Half of the documents, and all but a twentieth, were known within this time. News older than "
                f"{limits.fresh_s // 3_600} h leads to no alert.",
                Sql(sql.LAG),
                unit="s",
                interval=QUARTER,
                steps=wrong_from(limits.fresh_s),
            ),
            table(
                "From published to known, by source",
                "The same by source, the slowest first.",
                Sql(sql.LAG_BY_SOURCE),
                columns=(Column("Median", "s"), Column("95 %", "s")),
            ),
        ),
    )


def _unused() -> Row:
    return Row(
        "What could not be used?",
        (
            table(
                "Drops by source",
                "Records that could not be used in the span that is shown, by source and reason.",
                Sql(sql.DROPS),
                columns=(Column("Last", "dateTimeAsIso"),),
            ),
            table(
                "Blindness that has ended",
                "When a source was silent for too long to be calm. One that still is: the board's Sources page.",
                Sql(sql.BLINDNESS, at_least=0),
                columns=(Column("Blind from", "dateTimeAsIso"), Column("Until", "dateTimeAsIso"), Column("For", "s")),
            ),
        ),
    )


def _model() -> Row:
    return Row(
        "Does the model read as it did?",
        (
            chart(
                "Sentiments",
                "Share of each sentiment by language, of the documents that are being scored. A step without news is drift.",
                Promql(promql.SENTIMENTS, "{{language}}, {{sentiment}}", at_least=len(LANGUAGES) * len(SENTIMENTS)),
                unit="percentunit",
                top=1.0,
            ),
            chart(
                "Confidence",
                "Mean probability of the sentiment that was chosen, by language. It drifts with what is read.",
                Promql(promql.CONFIDENCE, "{{language}}", at_least=len(LANGUAGES)),
                unit="percentunit",
                top=1.0,
            ),
            chart(
                "Probability of negative",
                "Mean probability that a document is negative, by language and by the model that counted.",
                Sql(sql.MODEL_NEGATIVE),
                unit="percentunit",
                top=1.0,
                interval=HOUR,
            ),
            chart(
                "Topics a second",
                "Documents scored by topic. Compare the mix, not the height.",
                Promql(promql.TOPICS, "{{topic}}", at_least=len(TOPICS)),
                unit="ops",
                stacked=True,
            ),
            chart(
                "Kinds a second",
                "Documents scored by language and kind.",
                Promql(promql.KINDS, "{{language}}, {{kind}}", at_least=len(LANGUAGES) * len(KINDS)),
                unit="ops",
                stacked=True,
            ),
            table(
                "Models that count",
                "The model whose score each process has counted last.",
                Promql(promql.MODEL),
                width=24,
                height=6,
            ),
            table(
                "Versions in force",
                "Model, rules and company catalogue, from which known time on each is in force.",
                Sql(sql.VERSIONS, at_least=3),
                width=24,
                height=6,
                columns=(Column("Since", "dateTimeAsIso"),),
            ),
        ),
    )
