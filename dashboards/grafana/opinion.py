"""Opinion: what is said of topics and companies, and whether it has turned. For the risk analyst and whoever asks one."""

from typing import Final

from dashboards.grafana import promql, sql
from dashboards.grafana.limits import Limits
from dashboards.grafana.model import PREFIX, Column, Dashboard, Link, Panel, Promql, Row, Sql, Step, annotation
from dashboards.grafana.panels import chart, figure, table, wrong_from
from dashboards.grafana.variables import variables

UID: Final = f"{PREFIX}opinion"
INCIDENT_UID: Final = f"{PREFIX}incident"
PANE: Final = "5m"

TO_DOSSIER: Final = Link("Dossier", "${board}/alerts/${__value.raw}")
TO_INCIDENT: Final = Link(
    "Incident", f"/d/{INCIDENT_UID}?var-run=${{run}}&var-incident=${{__value.raw}}&${{__url_time_range}}", new_tab=False
)
TO_COMPANY: Final = Link("This company", f"/d/{UID}?var-run=${{run}}&var-company=${{__value.raw}}&${{__url_time_range}}", new_tab=False)


def dashboard(limits: Limits) -> Dashboard:
    """The dashboard, coloured by the limits."""
    return Dashboard(
        uid=UID,
        title="Groundswell: opinion",
        description="What is said of topics and companies, has it turned, and what was told of it? For risk analysts.",
        variables=variables(limits.board_url, "processes", "language", "topic", "company"),
        rows=(_trust(limits), _topics(), _companies(), _told(limits)),
        annotations=(annotation("Incidents", "red", sql.ANNOTATIONS),),
    )


def _trust(limits: Limits) -> Row:
    return Row(
        "Can this screen be trusted?",
        (
            data_until(),
            figure(
                "Balance",
                "fetched - scored - duplicate - edited - dropped - in flight, of the live run. Anything but 0 is a fault.",
                Promql(promql.BALANCE),
                steps=wrong_from(1),
            ),
            figure(
                "Conditions",
                "What the people who run the installation have to know and that holds now; Pipeline lists it.",
                Sql(sql.CONDITIONS_OPEN),
                steps=wrong_from(1),
            ),
            figure(
                "Last canary",
                f"When the last document that proves the whole way was sent: one every {limits.canary_every_s} s. The run needs a live "
                "crawler.",
                Sql(sql.LAST_CANARY),
                unit="dateTimeFromNow",
            ),
        ),
    )


def data_until() -> Panel:
    """Up to which known time everything is folded: the first panel of every dashboard that reads the store."""
    return figure(
        "Data until",
        "End of the last closed tick of the run: what became known later is not on this screen yet.",
        Sql(sql.DATA_UNTIL),
        unit="dateTimeFromNow",
    )


def _topics() -> Row:
    return Row(
        "Topics",
        (
            chart(
                "Negative share by topic",
                "Documents whose most probable sentiment is negative, of all documents, by published time. A share of few documents "
                "jumps: read it together with their number. The latest panes still fill.",
                Sql(sql.TOPIC_SHARE),
                unit="percentunit",
                top=1.0,
                interval=PANE,
            ),
            chart(
                "Documents by topic",
                "How many documents the shares rest on, by published time.",
                Sql(sql.TOPIC_DOCUMENTS),
                unit="short",
                stacked=True,
                interval=PANE,
            ),
            table(
                "What turned",
                "Negative share of each topic in the span that is shown, and in the span of the same length before it; the largest "
                "rise first.",
                Sql(sql.TOPICS_TURNED),
                columns=tuple(Column(name, "percentunit") for name in ("Negative share", "Before", "Turned")),
            ),
            table(
                "Risks named of companies",
                "Documents that name a risk of a company in the span that is shown, by when they became known. One is no alert: see Told.",
                Sql(sql.RISKS),
                columns=(Column("Last known", "dateTimeAsIso"),),
            ),
        ),
    )


def _companies() -> Row:
    return Row(
        "Companies",
        (
            table(
                "Companies by negative documents",
                "Those of which most negative documents became known in the span that is shown. Copies are counted here; alerts count "
                "stories.",
                Sql(sql.COMPANIES),
                columns=(Column("Series", links=(TO_COMPANY,)), Column("Negative share", "percentunit")),
            ),
            chart(
                "The chosen company",
                "Its documents by published time: negative ones, and neutral or positive ones.",
                Sql(sql.COMPANY),
                unit="short",
                stacked=True,
                interval=PANE,
            ),
        ),
    )


def _told(limits: Limits) -> Row:
    return Row(
        "Told, and not told",
        (
            figure(
                "Open incidents",
                f"Incidents that were told and had a finding within the last {limits.incident_quiet_s // 3_600} h.",
                Sql(sql.open_incidents(limits.incident_quiet_s)),
                steps=(Step("green", 0), Step("orange", 1)),
            ),
            figure(
                "Alerts of the day",
                f"First alerts since midnight (UTC) of the day that the span ends in; the budget is {limits.budget_per_day} a day.",
                Sql(sql.ALERTS_OF_THE_DAY),
                steps=(Step("green", 0), Step("orange", limits.budget_per_day)),
            ),
            table(
                "Alerts",
                "What was told in the span that is shown, updates included. The last column leads to the dossier.",
                Sql(sql.ALERTS),
                width=24,
                columns=(
                    Column("Opened", "dateTimeAsIso"),
                    Column("Expected", "short"),
                    Column("Title", width=480),
                    Column("Incident", links=(TO_INCIDENT,)),
                    Column("Alert", links=(TO_DOSSIER,)),
                ),
            ),
            table(
                "What became of the findings",
                "Findings of the detectors in the span that is shown, by what the desk did with them and why. `groundswell why-not` "
                "explains one.",
                Sql(sql.DECISIONS),
                width=24,
                columns=(Column("Last", "dateTimeAsIso"),),
            ),
        ),
    )
