"""What `run` and `desk` send with, and what of Slack's buttons comes back into the store."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from alerts.notify.slack_buttons import SlackButtons
from alerts.routes import Reader
from groundswell.cli.channels import heard, presses, reader_links, sender
from groundswell.links import links_of
from groundswell.names import LIVE_RUN
from groundswell.settings import Settings, load_settings
from groundswell.store.actions import acknowledged, actions_of, verdicts_of
from groundswell.store.derived import insert_alert
from groundswell.store.store import Store
from tests.alerts.alert_factory import an_alert
from tests.alerts.notify.hooks import APP_TOKEN, SlackApi, a_slack_api
from tests.alerts.notify.test_slack_bot import a_press

ALERT = an_alert()
NOW_MS = ALERT.opened_ms + 60_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    with opened.write() as connection:
        insert_alert(opened, connection, LIVE_RUN, ALERT, targets=[])
    yield opened
    opened.close()


@pytest.fixture
def settings() -> Settings:
    environ = {"GROUNDSWELL_BOARD_SECRET": "a secret of the tests, long enough", "GROUNDSWELL_BOARD_BASE_URL": "https://gs.bank.example/"}
    return load_settings(environ=environ)


def recorded(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        actions, verdicts = actions_of(connection, LIVE_RUN), verdicts_of(connection, LIVE_RUN)
    return [(one.who, one.what) for one in actions] + [(one.who, one.word) for one in verdicts]


def test_a_message_carries_its_readers_links_that_the_board_reads_and_the_way_to_their_settings(store: Store, settings: Settings) -> None:
    voice = sender(settings, store, link=reader_links(settings)).voice
    links = [url for _, url in voice.alert(ALERT, Reader(name="anna", console=True)).links]
    read = [links_of(settings).read(url.rpartition("/")[2]) for url in links[:-1]]
    assert [(link.reader, link.alert_id, link.act) for link in read] == [("anna", ALERT.id, "acknowledge"), ("anna", ALERT.id, "verdict")]
    assert links[-1] == "https://gs.bank.example/me"
    digest = voice.digest([ALERT], Reader(name="anna", console=True), digest_id="d1", held=True)
    assert "https://gs.bank.example/me" in digest.text
    assert digest.unsubscribe_url is not None
    assert links_of(settings).read_stop(digest.unsubscribe_url.rpartition("/")[2]) == "mail:anna"


def test_without_links_of_their_own_a_message_has_the_dossiers_alone(store: Store, settings: Settings) -> None:
    assert sender(settings, store).voice.alert(ALERT, Reader(name="anna", console=True)).links == ()


async def test_a_press_in_slack_is_recorded_in_the_name_of_who_pressed(store: Store) -> None:
    done, record = threading.Event(), presses(store, lambda: NOW_MS)

    async def act(who: str, what: str, alert_id: str) -> None:
        await record(who, what, alert_id)
        if what == "false":
            done.set()

    def listen(buttons: SlackButtons) -> bool:
        with heard(buttons):
            return done.wait(180)

    async with a_slack_api(SlackApi()) as api:
        for what in ("acknowledge", "false"):
            api.pressed.put_nowait(a_press(what, envelope=what, value=ALERT.id))
        assert await asyncio.to_thread(listen, SlackButtons(APP_TOKEN, act, api.url))
    assert recorded(store) == [("slack:U0ANNA", "acknowledge"), ("slack:U0ANNA", "false")]
    with store.read() as connection:
        assert acknowledged(connection, LIVE_RUN, ALERT.incident)


async def test_a_press_under_an_alert_that_is_none_is_acknowledged_to_slack_and_stops_nothing(store: Store) -> None:
    stop = asyncio.Event()
    record = presses(store, lambda: NOW_MS)

    async def act(who: str, what: str, alert_id: str) -> None:
        await record(who, what, alert_id)
        stop.set()

    async with a_slack_api(SlackApi()) as api:
        api.pressed.put_nowait(a_press("acknowledge", envelope="e1", value="f" * 16))
        api.pressed.put_nowait(a_press("true", envelope="e2", value=ALERT.id))
        await asyncio.wait_for(SlackButtons(APP_TOKEN, act, api.url).run(stop), 180)
    assert api.acknowledged == ["e1", "e2"]
    assert recorded(store) == [("slack:U0ANNA", "true")]


def test_without_a_token_for_it_nothing_is_listened_to() -> None:
    before = threading.active_count()
    with heard(None):
        assert threading.active_count() == before
