"""Routes that change while they are in force, and channels made from them."""

import os
from pathlib import Path

import pytest

from alerts.notify.slack_bot import SlackBotNotifier
from alerts.routes import Routes, parse_routes
from groundswell.cli.channels import alert_targets, routed_notifiers, secrets_of_routes, sender, settings_notifiers, slack_buttons
from groundswell.clock import ManualClock
from groundswell.errors import SettingsError
from groundswell.names import ROUTES_TARGET
from groundswell.settings import Settings, load_settings
from groundswell.store import actions
from groundswell.store.conditions import open_conditions
from groundswell.store.store import Store
from stream.shells.routes_file import LOOK_EVERY_MS, RoutesFile
from stream.shells.voice import Voice
from tests.alerts.alert_factory import an_alert
from tests.stream.shells.outbox_desk import Keeper

ANNA = '[[reader]]\nname = "anna"\nmail = ["anna@bank.example"]\n'


def keepers(routes: Routes) -> dict[str, Keeper]:
    return {target: Keeper(target) for reader in routes.reader for target in reader.targets}


def conditions(store: Store) -> list[tuple[str, str]]:
    with store.read() as connection:
        return [(condition.kind, condition.reason) for condition in open_conditions(connection)]


def test_a_changed_file_is_in_force_within_seconds_and_a_mistake_changes_nothing(tmp_path: Path) -> None:
    path, clock, store = tmp_path / "routes.toml", ManualClock(1_000), Store(str(tmp_path / "o.db"))
    path.write_text(ANNA)
    found = RoutesFile(path, keepers, store, clock.now_ms)
    path.write_text(ANNA.replace("anna", "bert"))
    assert [reader.name for reader in found.routes.reader] == ["anna"], "it is not looked at for each message"
    clock.advance(LOOK_EVERY_MS)
    assert [reader.name for reader in found.routes.reader] == ["bert"]
    assert list(found.notifiers) == ["mail:bert"]

    path.write_text(ANNA + 'quiet = "22"\n')
    clock.advance(LOOK_EVERY_MS)
    assert [reader.name for reader in found.routes.reader] == ["bert"]
    ((kind, reason),) = conditions(store)
    assert kind == "routes"
    assert reason.startswith(f"{path}:4: reader.0.quiet: ")

    path.unlink()
    clock.advance(LOOK_EVERY_MS)
    assert [reader.name for reader in found.routes.reader] == ["bert"], "a file that is being written again"

    path.write_text(ANNA + "\n")
    clock.advance(LOOK_EVERY_MS)
    assert [reader.name for reader in found.routes.reader] == ["anna"]
    assert conditions(store) == []


def test_a_file_that_is_wrong_at_the_start_is_refused(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "o.db"))
    with pytest.raises(SettingsError, match=r"routes\.toml: cannot be read: No such file"):
        RoutesFile(tmp_path / "routes.toml", keepers, store, ManualClock().now_ms)


# --- channels -------------------------------------------------------------------------------------------------------------------
FULL = """
[[reader]]
name = "anna"
console = true
mail = ["anna@bank.example"]
slack = "C01"
slack_webhook_url_env = "HOOK"
webhook_url_env = "HOOK"
webhook_secret_env = "SECRET"
teams_url_env = "HOOK"
feishu_url_env = "HOOK"
feishu_secret_env = "SECRET"
dingtalk_url_env = "HOOK"
"""
ENVIRON = {"HOOK": "https://hooks.example/c0ffee0123456789", "SECRET": "c0ffee-0123456789"}


def some_settings(tmp_path: Path, routes: str = "", **more: str) -> Settings:
    given = {"GROUNDSWELL_MAIL_HOST": "relay.example", "GROUNDSWELL_MAIL_SENDER": "gs@bank.example"} | more
    given |= {"GROUNDSWELL_MAIL_RECIPIENTS": "ops@bank.example", "GROUNDSWELL_SLACK_BOT_TOKEN": "xoxb-1"}
    if routes:
        (tmp_path / "routes.toml").write_text(routes)
        given["GROUNDSWELL_ROUTES_PATH"] = str(tmp_path / "routes.toml")
    return load_settings(environ=given)


def test_every_kind_of_target_has_its_channel_under_its_stored_name(tmp_path: Path) -> None:
    made = routed_notifiers(some_settings(tmp_path), parse_routes(FULL, place="r"), environ=ENVIRON)
    assert {name: type(notifier).__name__ for name, notifier in made.items()} == {
        "console:anna": "ConsoleNotifier",
        "mail:anna": "MailNotifier",
        "slack:anna": "SlackBotNotifier",
        "slack-webhook:anna": "SlackNotifier",
        "webhook:anna": "WebhookNotifier",
        "teams:anna": "TeamsNotifier",
        "feishu:anna": "FeishuNotifier",
        "dingtalk:anna": "DingTalkNotifier",
    }
    assert all(notifier.name == name for name, notifier in made.items())


@pytest.mark.parametrize(
    ("routes", "environ", "said"),
    [
        ('teams_url_env = "TEAMS"', {}, "reader 'anna': teams_url_env: the environment has no TEAMS"),
        ('feishu_url_env = "HOOK"\nfeishu_secret_env = "X"', ENVIRON, "reader 'anna': feishu_secret_env: the environment has no X"),
        ('teams_url_env = "HOOK"', {"HOOK": "c0ffee"}, "teams target: url: must be"),
        ('webhook_url_env = "HOOK"\nwebhook_secret_env = "S"', ENVIRON | {"S": "short"}, "at least 16 characters, got 5"),
    ],
)
def test_a_channel_that_cannot_be_made_names_reader_and_key_and_no_secret(
    tmp_path: Path, routes: str, environ: dict[str, str], said: str
) -> None:
    with pytest.raises(SettingsError, match=said) as caught:
        routed_notifiers(some_settings(tmp_path), parse_routes(f'[[reader]]\nname = "anna"\n{routes}\n', place="r"), environ=environ)
    assert "c0ffee" not in str(caught.value)


def test_with_a_routes_file_the_desk_leaves_it_to_the_sender_who_is_told(tmp_path: Path) -> None:
    assert alert_targets(some_settings(tmp_path)) == ("console", "mail")
    assert alert_targets(some_settings(tmp_path, ANNA)) == (ROUTES_TARGET,)
    assert set(settings_notifiers(some_settings(tmp_path, ANNA))) == {"console", "mail"}, "who hears of conditions"


def test_what_people_have_done_and_their_links_reach_the_sender(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "o.db"))

    def link(who: str, alert_id: str, act: str) -> str:
        return f"https://gs.bank.example/{who}/{alert_id}/{act}"

    made = sender(some_settings(tmp_path, ANNA), store, link=link)
    assert (made.acknowledged, made.quieted) == (actions.acknowledged, actions.quieted)
    assert made.voice.link is link
    assert list(made.routes.notifiers) == ["mail:anna"]


async def test_without_an_app_token_nobody_listens_to_buttons_and_no_message_has_any(tmp_path: Path) -> None:
    async def act(*_: str) -> None: ...

    routes = parse_routes('[[reader]]\nname = "risk"\nslack = "C01"\n', place="r")
    for token, listens in (("", False), ("xapp-1", True)):
        settings = some_settings(tmp_path, GROUNDSWELL_SLACK_APP_TOKEN=token)
        assert (slack_buttons(settings, act) is not None) is listens
        bot = routed_notifiers(settings, routes)["slack:risk"]
        assert isinstance(bot, SlackBotNotifier)
        assert bot._settings.buttons is listens


def test_what_the_routes_file_names_as_secret_is_known_to_the_guard_of_the_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setitem(os.environ, name, value)
    assert set(secrets_of_routes(some_settings(tmp_path, FULL))) == set(ENVIRON.values())
    assert secrets_of_routes(some_settings(tmp_path, "not = toml = 1")) == ()
    assert secrets_of_routes(some_settings(tmp_path)) == ()


# --- links ----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("base_url", "offered"),
    [("https://gs.bank.example", True), ("http://gs.bank.example", False), ("https://127.0.0.1:8350", False), ("https://localhost", False)],
)
def test_unsubscribing_by_one_click_needs_a_public_address_that_is_encrypted(base_url: str, offered: bool) -> None:
    reader = parse_routes(ANNA, place="r").reader[0]
    voice = Voice(
        base_url,
        str,
        link=lambda who, alert_id, act: f"{base_url}/l/{who}-{alert_id[:1]}-{act}",
        acts=frozenset({"settings", "unsubscribe"}),
    )
    expected = f"{base_url}/l/anna-a-unsubscribe" if offered else None
    assert voice.alert(an_alert(), reader).unsubscribe_url == expected
    assert voice.digest([an_alert()], reader, digest_id="d1", held=True).unsubscribe_url == expected
    assert Voice(base_url, str).alert(an_alert(), reader).unsubscribe_url is None
    assert Voice(base_url, str, link=voice.link).alert(an_alert(), reader).unsubscribe_url is None, "the board does not take it"
    assert [label for label, _ in voice.alert(an_alert(), reader).links] == ["Change what I get"]
