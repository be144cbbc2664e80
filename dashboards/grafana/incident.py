"""Incident: the argument of one incident, and what became of it. For whoever was told and wants to know why."""

from dashboards.grafana import sql
from dashboards.grafana.limits import Limits
from dashboards.grafana.model import Column, Dashboard, Row, Sql, annotation
from dashboards.grafana.opinion import INCIDENT_UID, PANE, TO_DOSSIER, data_until
from dashboards.grafana.panels import chart, figure, table
from dashboards.grafana.variables import variables


def dashboard(limits: Limits) -> Dashboard:
    """The dashboard; its links lead to the board of the limits."""
    return Dashboard(
        uid=INCIDENT_UID,
        title="Groundswell: incident",
        description="Why was this incident told, what does it rest on, and whom did the messages reach? For whoever was told.",
        variables=variables(limits.board_url, "incident"),
        rows=(_statistic(), _course(), _argument(), _desk()),
        annotations=(annotation("Incidents", "red", sql.ANNOTATIONS),),
        since="now-7d",
    )


def _statistic() -> Row:
    return Row(
        "What turned",
        (
            data_until(),
            figure(
                "Stories",
                "Distinct fresh negative stories of the latest alert, how many were expected, how many were needed, from how many "
                "owners; and how many are left without the largest of them.",
                Sql(sql.INCIDENT_FIGURES),
                unit="short",
                width=12,
            ),
            figure(
                "Shares",
                "Negative share of the stories, the series' usual share, and the part of the usual volume that was heard.",
                Sql(sql.INCIDENT_SHARES),
                unit="percentunit",
            ),
        ),
    )


def _course() -> Row:
    return Row(
        "How it went",
        (
            chart(
                "Negative documents by series",
                "Each series of the incident, by published time. Copies are counted here.",
                Sql(sql.INCIDENT_SERIES),
                unit="short",
                width=24,
                interval=PANE,
            ),
            table(
                "What was told",
                "Each alert of the incident: the first one is update 0. p is the probability of so many by chance.",
                Sql(sql.INCIDENT_ALERTS),
                width=24,
                height=6,
                columns=(Column("Opened", "dateTimeAsIso"), Column("p", "sci"), Column("Alert", links=(TO_DOSSIER,))),
            ),
        ),
    )


def _argument() -> Row:
    return Row(
        "What it rests on",
        (
            table(
                "Parts of the excess",
                "Stories of the latest alert, and minus what was expected: the last column sums to the excess.",
                Sql(sql.INCIDENT_PARTS),
                columns=(Column("Part", width=420), Column("Excess", "short")),
            ),
            table(
                "Evidence",
                "Documents of the latest alert, with words that they really say. The dossier has their links.",
                Sql(sql.INCIDENT_EVIDENCE),
                columns=(
                    Column("Published", "dateTimeAsIso"),
                    Column("Known", "dateTimeAsIso"),
                    Column("Title", width=320),
                    Column("Negative", "percentunit"),
                ),
            ),
        ),
    )


def _desk() -> Row:
    return Row(
        "What was done",
        (
            table(
                "Messages",
                "Each message of the incident: attempted means that its outcome is not known.",
                Sql(sql.INCIDENT_MESSAGES),
                columns=(Column("Alert", links=(TO_DOSSIER,)),),
            ),
            table(
                "Decisions",
                "What the desk did with each finding of the incident, and why.",
                Sql(sql.INCIDENT_DECISIONS),
                columns=(Column("First", "dateTimeAsIso"), Column("Last", "dateTimeAsIso")),
            ),
        ),
    )
