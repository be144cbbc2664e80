"""The demo's plants: what must alert, what must not, and what would if a guard were missing."""

from collections.abc import Callable
from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.surge import Seeing, SurgeDetector
from alerts.rules import Rules
from groundswell.records import Alert
from groundswell.store.query import alerts_of
from ingest.demo_archive import DEMO_END, SMALL_DEMO, DemoSpec
from stream.operators.exposure import Exposure
from stream.pipeline import Fold
from stream.shells.demo import RUN, Demo, set_up

QUIET = msgspec.structs.replace(SMALL_DEMO, bank_run=False)
LONGER = msgspec.structs.replace(QUIET, days=38)  # its source falls silent on the 18th day, when the baselines have formed


class FirstWeekForEver(SurgeDetector):
    """A detector that never learns after its first week: the twin of the guard against slow drift."""

    def close_period(self, period_s: int, index: int, seeing: Seeing, *, reader: str = "") -> BaselineRow | None:
        week_ends = (seeing.first_hour or 0) * 3_600 + 7 * 86_400
        window = self._windows[period_s]
        kept = deepcopy(window.baseline)
        row = super().close_period(period_s, index, seeing, reader=reader)
        if row is not None and index * period_s > week_ends:
            window.baseline = kept
        return row


def play(folder: Path, spec: DemoSpec, fold: Callable[[Rules], Fold] = Fold, *, end: datetime = DEMO_END) -> tuple[Demo, list[Alert]]:
    demo = set_up(folder / "demo", spec=spec, end=end, fold=fold, use="linear")
    demo.play_at_speed()
    demo.pipeline.finish()
    with demo.store.read() as connection:
        return demo, alerts_of(connection, RUN)


def test_the_bank_run_is_one_incident_and_nothing_else_alerts(tmp_path: Path) -> None:
    demo, alerts = play(tmp_path, SMALL_DEMO)
    assert len({alert.incident for alert in alerts}) == 1
    assert (alerts[0].series, alerts[0].kind) == ("entity:LinlanBank", "surge")
    assert [alert.update for alert in alerts] == [0, 1, 2, 3]
    assert [alert.series for alert in alerts[2:]] == ["flag:liquidity_run:LinlanBank", "flag:default_bankruptcy:LinlanBank"]
    summary = demo.summary()
    assert summary["alerts"] == 4
    assert summary["balance"] == summary["in_flight"] == 0
    assert summary["duplicate"] == summary["edited"] == 6
    assert summary["dropped"] == 2
    assert summary["fetched"] == summary["scored"] + 14


@pytest.mark.parametrize("later", [timedelta(hours=10, minutes=14), timedelta(days=3, hours=17, minutes=49)], ids=["1 am", "8 am"])
def test_at_another_hour_too_the_bank_run_is_one_incident(later: timedelta, tmp_path: Path) -> None:
    """The archive ends when the demo is started, and the hours of the day and of the week fall elsewhere in it."""
    alerts = play(tmp_path, SMALL_DEMO, end=DEMO_END + later)[1]
    assert len({alert.incident for alert in alerts}) == 1
    assert {alert.series.rsplit(":", 1)[1] for alert in alerts} == {"LinlanBank"}


@pytest.mark.parametrize("spec", [QUIET, LONGER], ids=["30 days", "38 days"])
def test_without_the_bank_run_nothing_alerts(spec: DemoSpec, tmp_path: Path) -> None:
    alerts = play(tmp_path, spec)[1]
    assert [alert for alert in alerts if alert.kind != "blind"] == []
    assert {alert.kind for alert in alerts} <= {"blind"}, "a large source that falls silent is said, not taken for calm"


@pytest.mark.parametrize(
    ("spec", "fold", "series"),
    [
        pytest.param(QUIET, lambda rules: Fold(rules, similarity_min=1.01), "entity:OrrinMotors", id="every copy counted as a story"),
        pytest.param(
            LONGER,
            lambda rules: Fold(rules, exposure=Exposure(blindness_ignored=True)),
            "entity:SkyferrionFreight",
            id="blindness ignored",
        ),
        pytest.param(
            QUIET,
            lambda rules: Fold(rules, make_detector=FirstWeekForEver),
            "entity:CastellanHomes",
            id="the first week as the norm for ever",
        ),
    ],
)
def test_a_missing_guard_lets_its_plant_alert_falsely(spec: DemoSpec, fold: Callable[[Rules], Fold], series: str, tmp_path: Path) -> None:
    _, alerts = play(tmp_path, spec, fold)
    assert series in {alert.series for alert in alerts}
