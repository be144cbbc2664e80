"""A month is read from rows: on SQLite and on PostgreSQL alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from groundswell.codec import canonical
from groundswell.names import TICK_MS
from groundswell.quality import Told
from groundswell.records import Action, Correction, Miss, Verdict
from groundswell.store import schema as t
from groundswell.store.actions import record_action, record_correction, record_miss, record_verdict
from groundswell.store.derived import insert_alert
from groundswell.store.facts import write_intake
from groundswell.store.quality import read_month
from groundswell.store.store import Store
from tests.alerts.alert_factory import OPENED_MS, an_alert
from tests.builders import a_document, rules

RUN = "live"
HOUR = 3_600_000
DAY = 24 * HOUR
START_MS = OPENED_MS - OPENED_MS % DAY - 16 * DAY  # 2026-11-01
END_MS = START_MS + 30 * DAY
OTHER = an_alert(id="other", incident="other", opened_ms=OPENED_MS + DAY)
NEXT_MONTH = an_alert(id="next", incident="next", opened_ms=END_MS)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    url = str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    store = Store(url)
    with store.write() as opened:
        store.insert(opened, t.runs, [{"run": RUN, "kind": "live", "model_id": "m", "manifest": b"{}"}])
        store.insert(opened, t.versions, [{"kind": "rules", "hash": "h", "content": canonical(rules())}])
        store.insert(opened, t.in_force, [{"run": RUN, "kind": "rules", "effective_ms": 0, "hash": "h"}])
        for alert in (an_alert(), OTHER, NEXT_MONTH):
            insert_alert(store, opened, RUN, alert, targets=["mail"])
        opened.execute(t.outbox.update().where(t.outbox.c.alert_id != OTHER.id).values(state="sent", sent_ms=OPENED_MS + 9_000))
        spans = [(-2 * HOUR, HOUR), (0, 3 * HOUR)]  # the first began in the month before
        rows = [
            {"run": RUN, "source": "Quay Forum", "since_tick": (START_MS + a) // TICK_MS, "until_tick": (START_MS + b) // TICK_MS}
            for a, b in spans
        ]
        store.insert(opened, t.blind_spans, rows)
        store.insert(
            opened,
            t.canaries,
            [{"run": RUN, "due_ms": START_MS + h * HOUR, "reached_ms": 1, "told": "", "refused": ""} for h in (-1, 0, 1)],
        )
        write_intake(store, opened, RUN, admissions=[], documents=[a_document(document_id="d1")])
        yield opened
    store.close()


def test_what_was_said_and_done_of_the_months_alerts_is_counted_and_nothing_else(connection: Connection) -> None:
    alert = an_alert()
    for at_ms, what in [(OPENED_MS + 1, "comment"), (OPENED_MS + 5, "acknowledge"), (OPENED_MS + 9, "acknowledge")]:
        record_action(connection, RUN, Action(incident=alert.incident, at_ms=at_ms, who="ana", what=what, note="n"))  # type: ignore[arg-type]
    record_verdict(connection, RUN, Verdict(alert=alert.id, at_ms=OPENED_MS + 7, who="ana", word="true"))
    record_verdict(connection, RUN, Verdict(alert=NEXT_MONTH.id, at_ms=END_MS + 7, who="ana", word="true"))
    for what, value in [("sentiment", "neutral"), ("sentiment", "positive"), ("topic", "debt_credit")]:
        record_correction(connection, Correction(document_id="d1", at_ms=1, who="ana", what=what, value=value))  # type: ignore[arg-type]
    for moment_ms in (OPENED_MS, END_MS):
        record_miss(connection, RUN, Miss(name="Linlan Bank", moment_ms=moment_ms, at_ms=1, who="ana"))
    found = read_month(connection, RUN, start_ms=START_MS, end_ms=END_MS)
    assert [one.id for one in found.alerts] == [alert.id, OTHER.id]
    assert found.words == {alert.id: "true"}
    assert found.incidents == [Told(alert.opened_ms, OPENED_MS + 5, OPENED_MS + 7, touched=True), Told(OTHER.opened_ms)]
    assert dict(found.corrections) == {"sentiment": 1, "topic": 1}
    assert [miss.moment_ms for miss in found.misses] == [OPENED_MS]
    assert found.is_live


def test_only_messages_that_were_sent_are_pings(connection: Connection) -> None:
    found = read_month(connection, RUN, start_ms=START_MS, end_ms=END_MS)
    assert found.sent == {"mail": [OPENED_MS]}
    assert found.budget_per_day == rules().desk.budget_per_day


def test_a_message_took_from_the_beginning_of_its_tick_and_one_that_waited_for_a_digest_is_left_out(connection: Connection) -> None:
    assert read_month(connection, RUN, start_ms=START_MS, end_ms=END_MS).told_ms == [TICK_MS + 9_000]
    connection.execute(t.outbox.update().values(how="digest"))
    assert read_month(connection, RUN, start_ms=START_MS, end_ms=END_MS).told_ms == []


def test_blindness_counts_as_far_as_it_lay_in_the_month(connection: Connection) -> None:
    found = read_month(connection, RUN, start_ms=START_MS, end_ms=END_MS)
    assert found.blind_ms == {"Quay Forum": 4 * HOUR}
    assert found.canaries == 2
