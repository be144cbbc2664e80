"""The inbox and what was before an alert, read from rows: on SQLite and on PostgreSQL alike."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from alerts.desk import Incident
from groundswell.codec import canonical
from groundswell.errors import RecordError
from groundswell.judged import Record
from groundswell.names import TICK_MS
from groundswell.records import Act, Action, Verdict, VerdictWord
from groundswell.store import schema as t
from groundswell.store.actions import record_action, record_verdict
from groundswell.store.derived import insert_alert
from groundswell.store.inbox import IncidentRow, inbox, incident_row, last_done_ms, state_of
from groundswell.store.judged import what_was_before
from groundswell.store.store import Store
from tests.alerts.alert_factory import OPENED_MS, an_alert
from tests.builders import rules

RUN = "live"
HOUR = 3_600_000
DAY = 24 * HOUR
QUIET_MS = rules().desk.incident_quiet_s * 1_000
LAST_MS = OPENED_MS + HOUR


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Two incidents: one told, with candidates for an hour more and an update; one that was held, and told to nobody."""
    url = str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    opened = Store(url)
    with opened.write() as connection:
        insert_alert(opened, connection, RUN, an_alert(incident="i1"), targets=[])
        first = OPENED_MS // TICK_MS - 1
        for name, last in (("i1", LAST_MS // TICK_MS - 1), ("i2", first)):
            incident = Incident(incident=name, series=[], documents=[], opened_tick=first - 4, last_tick=last)
            row = {"run": RUN, "incident": name, "last_tick": last, "body": canonical(incident)}
            opened.insert(connection, t.incidents, [row])
        opened.insert(connection, t.versions, [{"kind": "rules", "hash": "9e0d", "content": canonical(rules())}])
        opened.insert(connection, t.in_force, [{"run": RUN, "kind": "rules", "effective_ms": 0, "hash": "9e0d"}])
    yield opened
    opened.close()


@pytest.fixture
def connection(store: Store) -> Iterator[Connection]:
    with store.write() as opened:
        yield opened


def do(connection: Connection, what: Act, at_ms: int, *, who: str = "ana", incident: str = "i1", assignee: str | None = None) -> None:
    record_action(connection, RUN, Action(incident=incident, at_ms=at_ms, who=who, what=what, assignee=assignee))


def judge(connection: Connection, alert: str, word: VerdictWord, at_ms: int = OPENED_MS + 1, who: str = "ana") -> None:
    record_verdict(connection, RUN, Verdict(alert=alert, at_ms=at_ms, who=who, word=word))


def only(connection: Connection, *, known_ms: int, now_ms: int | None = None) -> IncidentRow:
    (row,) = inbox(connection, RUN, known_ms=known_ms, now_ms=known_ms if now_ms is None else now_ms)
    return row


def test_it_lists_what_people_were_told_of_and_nothing_else(connection: Connection) -> None:
    row = only(connection, known_ms=LAST_MS)
    assert (row.incident, row.life.state, row.holder, row.words, row.hush) == ("i1", "open", None, {}, None)
    assert [(step.state, step.at_ms) for step in row.life.steps] == [("forming", OPENED_MS - 4 * TICK_MS), ("open", OPENED_MS)]


def test_one_incident_is_read_by_itself_and_is_what_the_inbox_says(store: Store, connection: Connection) -> None:
    do(connection, "acknowledge", OPENED_MS + 60_000)
    expected = only(connection, known_ms=LAST_MS)
    broken = {"id": "b0", "incident": "i3", "kind": "surge", "series": "x", "opened_ms": OPENED_MS, "tick": 1, "severity": "high"}
    store.insert(connection, t.alerts, [{"run": RUN, "body": b"no alert"} | broken])
    assert incident_row(connection, RUN, "i1", now_ms=LAST_MS, known_ms=LAST_MS) == expected
    assert state_of(connection, RUN, "i1", now_ms=LAST_MS) == "resolved", "no desk works on it: quiet for ever"
    assert state_of(connection, RUN, "i2", now_ms=LAST_MS) == "forming", "nobody was told of it"
    with pytest.raises(RecordError):
        inbox(connection, RUN, now_ms=LAST_MS, known_ms=LAST_MS)


def test_the_quiet_time_of_the_rules_counts_from_the_last_candidate_and_not_from_the_last_alert(connection: Connection) -> None:
    assert only(connection, known_ms=LAST_MS + QUIET_MS).life.state == "open"
    row = only(connection, known_ms=LAST_MS + QUIET_MS + TICK_MS)
    assert (row.life.steps[-1].cause, row.life.steps[-1].at_ms) == ("quiet", LAST_MS + QUIET_MS)


def test_what_people_do_shows_from_the_moment_at_which_they_did_it(connection: Connection) -> None:
    do(connection, "acknowledge", OPENED_MS + 60_000)
    do(connection, "assign", OPENED_MS + 120_000, assignee="bo")
    do(connection, "snooze", OPENED_MS + 180_000)
    judge(connection, an_alert().id, "true", OPENED_MS + 240_000)
    seen = [only(connection, known_ms=OPENED_MS + minutes * 60_000) for minutes in range(5)]
    assert [row.life.state for row in seen] == ["open", *["acknowledged"] * 4]
    assert [row.holder for row in seen] == [None, "ana", "bo", "bo", "bo"]
    assert [row.hush is not None for row in seen] == [False, False, False, True, True]
    assert [len(row.words) for row in seen] == [0, 0, 0, 0, 1]


def test_what_is_over_comes_last_and_the_latest_first(store: Store, connection: Connection) -> None:
    for number in (2, 3):
        alert = an_alert(id=f"x{number}", incident=f"i{number}", opened_ms=OPENED_MS + number * HOUR)
        insert_alert(store, connection, RUN, alert, targets=[])
    do(connection, "resolve", OPENED_MS + 4 * HOUR, incident="i3")
    rows = inbox(connection, RUN, known_ms=OPENED_MS + 5 * HOUR, now_ms=OPENED_MS + 5 * HOUR)
    assert [(row.incident, row.life.is_over) for row in rows] == [("i2", False), ("i1", False), ("i3", True)]


def test_the_last_thing_that_somebody_did_is_where_they_left_off(connection: Connection) -> None:
    assert last_done_ms(connection, RUN, "ana") is None
    do(connection, "acknowledge", OPENED_MS + 1)
    judge(connection, an_alert().id, "true", OPENED_MS + 5)
    do(connection, "resolve", OPENED_MS + 9, who="bo")
    assert (last_done_ms(connection, RUN, "ana"), last_done_ms(connection, "other", "ana")) == (OPENED_MS + 5, None)


def test_a_rules_record_is_of_its_own_alerts_of_ninety_days_and_what_was_said_by_then(store: Store, connection: Connection) -> None:
    kept = [an_alert(id=f"k{days}", incident=f"k{days}", opened_ms=OPENED_MS - days * DAY) for days in (1, 30, 90)]
    others = [
        an_alert(id="old", incident="old", opened_ms=OPENED_MS - 91 * DAY),
        an_alert(id="day", incident="day", opened_ms=OPENED_MS - DAY, window_s=86_400),
        an_alert(id="later", incident="later", opened_ms=OPENED_MS + 1),
    ]
    for alert in (*kept, *others):
        insert_alert(store, connection, RUN, alert, targets=[])
        judge(connection, alert.id, "true", OPENED_MS - 10)
    judge(connection, "k1", "false", OPENED_MS + 10)
    now = what_was_before(connection, RUN, an_alert())
    then = what_was_before(connection, RUN, an_alert(), now_ms=OPENED_MS)
    assert (now.record, then.record) == (Record(3, 3, 2), Record(3, 3, 3))
    assert [one.alert.id for one in now.similar] == ["day", "k1", "k30"]
    assert (now.words["k1"], then.words["k1"]) == ("false", "true")
