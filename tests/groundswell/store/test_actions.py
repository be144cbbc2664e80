"""What people do and say is kept as they said it: on SQLite and on PostgreSQL alike."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import Connection

from groundswell.errors import NotFoundError, UsageError
from groundswell.records import Action, Corrected, Correction, Miss, Verdict
from groundswell.store import actions as a
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert
from groundswell.store.facts import write_intake
from groundswell.store.store import Store
from tests.alerts.alert_factory import OPENED_MS, an_alert
from tests.builders import a_document

RUN = "live"
FIRST = an_alert()
UPDATE = an_alert(id="b1b2c3d4e5f60718", update=1, opened_ms=OPENED_MS + 3_600_000)
INCIDENT = FIRST.incident
NOW = OPENED_MS + 60_000


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = str(tmp_path / "s.db") if request.param == "sqlite" else request.getfixturevalue("postgres_store_url")
    opened = Store(url)
    with opened.write() as connection:
        insert_alert(opened, connection, RUN, FIRST, targets=[])
        row = {"run": RUN, "incident": INCIDENT, "last_tick": 1, "body": b"{}"}
        opened.insert(connection, t.incidents, [row, row | {"incident": "0ffffffffffffff0"}])
    yield opened
    opened.close()


@pytest.fixture
def connection(store: Store) -> Iterator[Connection]:
    with store.write() as opened:
        yield opened


def acknowledge(**overrides: object) -> Action:
    return Action(**({"incident": INCIDENT, "at_ms": NOW, "who": "ana", "what": "acknowledge"} | overrides))  # type: ignore[arg-type]


def verdict(word: str, at_ms: int = NOW, who: str = "ana") -> Verdict:
    return Verdict(alert=FIRST.id, at_ms=at_ms, who=who, word=word)  # type: ignore[arg-type]


# --- once -------------------------------------------------------------------------------------------------------------------------
def test_the_same_thing_recorded_twice_is_one_row(store: Store, connection: Connection) -> None:
    miss = Miss(name="Linlan Bank", moment_ms=OPENED_MS, at_ms=NOW, who="ana")
    assert [a.record_action(connection, RUN, acknowledge()) for _ in range(2)] == [True, False]
    assert [a.record_verdict(connection, RUN, verdict("true")) for _ in range(2)] == [True, False]
    assert [a.record_miss(connection, RUN, miss) for _ in range(2)] == [True, False]
    assert len(a.actions_of(connection, RUN, INCIDENT)) == len(a.verdicts_of(connection, RUN)) == len(a.misses_of(connection, RUN)) == 1


def test_the_same_thing_sent_again_after_an_update_is_still_one_row(store: Store, connection: Connection) -> None:
    """A try again after an error: what was the newest alert meanwhile is not part of what was done."""
    assert a.record_action(connection, RUN, acknowledge())
    insert_alert(store, connection, RUN, UPDATE, targets=[])
    assert not a.record_action(connection, RUN, acknowledge())
    assert not a.record_action(connection, RUN, acknowledge(alert=UPDATE.id))


def test_an_action_carries_the_newest_alert_of_its_time(store: Store, connection: Connection) -> None:
    a.record_action(connection, RUN, acknowledge())
    insert_alert(store, connection, RUN, UPDATE, targets=[])
    a.record_action(connection, RUN, acknowledge(at_ms=NOW + 1, who="bo"))
    assert [(one.who, one.alert) for one in a.actions_of(connection, RUN, INCIDENT)] == [("ana", FIRST.id), ("bo", UPDATE.id)]


def test_every_verdict_is_kept_and_read_in_the_order_in_which_it_was_said(connection: Connection) -> None:
    for at_ms, word, who in [(NOW + 2, "old_news", "ana"), (NOW, "true", "ana"), (NOW + 1, "false", "bo")]:
        a.record_verdict(connection, RUN, verdict(word, at_ms, who))
    found = a.verdicts_of(connection, RUN, alerts=[FIRST.id])
    assert [(one.who, one.word) for one in found] == [("ana", "true"), ("bo", "false"), ("ana", "old_news")]
    assert [one.word for one in a.verdicts_of(connection, RUN, before_ms=NOW + 1)] == ["true"]
    assert a.verdicts_of(connection, RUN, alerts=["another"]) == []


def test_rows_come_back_as_they_were_said(connection: Connection) -> None:
    snoozed = acknowledge(what="snooze", until_ms=NOW + 5, note="= 'quoted' %s 临澜银行 🚀")
    muted = acknowledge(what="mute_story", story="s1", at_ms=NOW + 1)
    for action in (snoozed, muted):
        a.record_action(connection, RUN, action)
    found = a.actions_of(connection, RUN)
    assert [(one.what, one.until_ms, one.story, one.note) for one in found] == [
        ("snooze", NOW + 5, None, snoozed.note),
        ("mute_story", None, "s1", ""),
    ]


def test_a_correction_is_of_the_newest_text_of_its_document_and_belongs_to_no_run(store: Store, connection: Connection) -> None:
    versions = [a_document(document_id="d1", content_hash=name, known_ms=known_ms) for name, known_ms in [("c1", 1), ("c2", 2)]]
    write_intake(store, connection, RUN, admissions=[], documents=versions)
    wrong = Correction(document_id="d1", at_ms=NOW, who="ana", what="sentiment", value="positive")
    assert a.record_correction(connection, wrong)
    assert not a.record_correction(connection, wrong)
    assert [(one.content_hash, one.value) for one in a.corrections_of(connection)] == [("c2", "positive")]
    assert a.corrections_of(connection, documents=["d2"]) == []


def test_whatever_people_do_or_say_makes_another_page(store: Store, connection: Connection) -> None:
    write_intake(store, connection, RUN, admissions=[], documents=[a_document(document_id="d1")])
    seen = [a.rows_said(connection, RUN)]
    correction = Correction(document_id="d1", at_ms=NOW, who="ana", what="topic", value="debt_credit")
    records: list[Callable[[], bool]] = [
        lambda: a.record_action(connection, RUN, acknowledge()),
        lambda: a.record_verdict(connection, RUN, verdict("true")),
        lambda: a.record_miss(connection, RUN, Miss(name="SVB", moment_ms=1, at_ms=NOW, who="ana")),
        lambda: a.record_correction(connection, correction),
    ]
    for record in records:
        assert record()
        seen.append(a.rows_said(connection, RUN))
    assert seen == [0, 1, 2, 3, 4]


# --- what is refused -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("action", "said"),
    [
        (acknowledge(who=" "), "say who does this"),
        (acknowledge(note="x" * 2_001), "a note at most 2000"),
        (acknowledge(what="assign"), "assign names an assignee"),
        (acknowledge(until_ms=5), "snooze may name until_ms"),
        (acknowledge(what="snooze", until_ms=NOW), "which is past at 2026-11-17T05:27:00Z; give a later moment"),
        (acknowledge(what="comment"), "its note is empty"),
    ],
)
def test_an_action_that_is_not_whole_is_refused_with_the_rule(connection: Connection, action: Action, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        a.record_action(connection, RUN, action)
    assert a.actions_of(connection, RUN) == []


def test_what_is_not_there_cannot_be_spoken_of(connection: Connection) -> None:
    with pytest.raises(NotFoundError, match="run 'live' has none of that name"):
        a.record_action(connection, RUN, acknowledge(incident="nothing"))
    with pytest.raises(NotFoundError, match="run 'other' has none of that id"):
        a.record_verdict(connection, "other", verdict("true"))
    with pytest.raises(NotFoundError, match="nothing of that id was read"):
        a.record_correction(connection, Correction(document_id="x", at_ms=NOW, who="ana", what="topic", value="debt_credit"))


def test_a_word_outside_the_list_is_refused(connection: Connection) -> None:
    with pytest.raises(UsageError, match="it is one of true, false, old_news"):
        a.record_verdict(connection, RUN, verdict("maybe"))
    with pytest.raises(UsageError, match="it is one of negative, neutral, positive"):
        a.record_correction(connection, Correction(document_id="x", at_ms=NOW, who="ana", what="sentiment", value="bad"))
    unknown = Correction(document_id="x", at_ms=NOW, who="ana", what=cast("Corrected", "tone"), value="bad")
    with pytest.raises(UsageError, match="correction of 'tone': it is one of sentiment, company, topic"):
        a.record_correction(connection, unknown)
    with pytest.raises(UsageError, match="write a company, a topic or a series"):
        a.record_miss(connection, RUN, Miss(name="", moment_ms=1, at_ms=NOW, who="ana"))


# --- names -----------------------------------------------------------------------------------------------------------------------
def test_an_incident_is_found_by_its_id_or_by_an_alerts_as_short_as_it_is_unique(store: Store, connection: Connection) -> None:
    insert_alert(store, connection, RUN, UPDATE, targets=[])
    assert a.incident_named(connection, FIRST.id[:4]) == (RUN, INCIDENT, FIRST.id)
    assert a.incident_named(connection, INCIDENT[:4]) == (RUN, INCIDENT, UPDATE.id)
    assert a.incident_named(connection, "0fff", run=RUN).alert is None
    for text in ("0f", "zz", ""):
        with pytest.raises(NotFoundError, match="`groundswell inbox` lists them"):
            a.incident_named(connection, text)


# --- for whoever sends ------------------------------------------------------------------------------------------------------------
def test_the_sender_is_told_in_words_why_it_has_to_wait(store: Store, connection: Connection) -> None:
    assert a.quieted(connection, RUN, INCIDENT, NOW) is None
    a.record_action(connection, RUN, acknowledge(what="snooze", until_ms=NOW + 3_600_000))
    assert a.quieted(connection, RUN, INCIDENT, NOW) == "snoozed until 2026-11-17T06:27:00Z, by ana on 2026-11-17T05:27:00Z"
    assert a.quieted(connection, RUN, INCIDENT, NOW + 3_600_000) is None
    a.record_action(connection, RUN, acknowledge(what="resolve", at_ms=NOW + 1, who="bo"))
    assert a.quieted(connection, RUN, INCIDENT, NOW + 1) == "resolved by bo on 2026-11-17T05:27:00.001Z"
    a.record_action(connection, RUN, acknowledge(what="reopen", at_ms=NOW + 2))
    assert a.quieted(connection, RUN, INCIDENT, NOW + 2) is None
    a.record_action(connection, RUN, acknowledge(what="snooze", at_ms=NOW + 3))
    assert a.quieted(connection, RUN, INCIDENT, NOW + 3) == "snoozed until its next update, by ana on 2026-11-17T05:27:00.003Z"
    insert_alert(store, connection, RUN, UPDATE, targets=[])
    assert a.quieted(connection, RUN, INCIDENT, NOW + 3) is None


def test_nobody_is_called_again_once_somebody_has_acknowledged(store: Store, connection: Connection) -> None:
    assert not a.acknowledged(connection, RUN, INCIDENT)
    a.record_action(connection, RUN, acknowledge())
    assert a.acknowledged(connection, RUN, INCIDENT)
    a.record_action(connection, RUN, acknowledge(what="resolve", at_ms=NOW + 1))
    assert a.acknowledged(connection, RUN, INCIDENT)
    insert_alert(store, connection, RUN, UPDATE, targets=[])
    assert not a.acknowledged(connection, RUN, INCIDENT), "it was reopened, and nobody has seen that"
