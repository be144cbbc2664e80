"""From settings and the routes file to channels: who is told where. Used by the commands that send."""

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from groundswell.cli import options as o
from groundswell.errors import SettingsError
from groundswell.names import LIVE_RUN, ROUTES_TARGET

LEAVE_S: Final = 5.0
"""How long a process that ends waits for Slack to say goodbye."""

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from alerts.notify.base import Notifier
    from alerts.notify.slack_buttons import Act, SlackButtons
    from alerts.routes import Reader, Routes
    from groundswell.settings import Settings
    from groundswell.store.store import Store
    from stream.shells.routes_file import RoutesFile
    from stream.shells.sender import Sender
    from stream.shells.voice import Link


def settings_notifiers(settings: "Settings") -> dict[str, "Notifier"]:
    """The targets of the settings: the console, and whatever else is set. Conditions are told here; alerts too without a routes file."""
    from alerts.notify.console import ConsoleNotifier

    found: dict[str, Notifier] = {"console": ConsoleNotifier("console", sys.stdout)}
    if settings.mail.host and settings.mail.recipients:
        found["mail"] = mail("mail", settings, settings.mail.recipients)
    if settings.slack.webhook_url:
        found["slack"] = slack_webhook("slack", settings.slack.webhook_url)
    return found


def alert_targets(settings: "Settings") -> tuple[str, ...]:
    """What the desk writes into the outbox for each alert: the settings' targets, or that the routes say who is told."""
    return (ROUTES_TARGET,) if settings.routes.path else tuple(sorted(settings_notifiers(settings)))


def sender(settings: "Settings", store: "Store", *, link: "Link | None" = None) -> "Sender":
    """What sends the live run's outbox; what people did about an incident decides whether anything more of it is sent.

    Args:
        settings: relay, bot and routes.
        store: where the outbox is.
        link: makes a reader's own links; None: messages have none but the dossier's.

    Raises:
        SettingsError: the routes file has a mistake, or a channel of it cannot be made.
    """
    from groundswell.clock import SystemClock
    from groundswell.store.actions import acknowledged, quieted
    from groundswell.store.inbox import state_of
    from stream.shells.sender import Fixed, Sender
    from stream.shells.voice import TAKEN, Voice

    clock = SystemClock()

    def done(connection: "Connection", run: str, incident: str) -> str | None:
        state = state_of(connection, run, incident, now_ms=clock.now_ms())
        return None if state in ("forming", "open") else state

    routes = routes_file(settings, store) if settings.routes.path else Fixed(settings_notifiers(settings))
    voice = Voice(settings.board.base_url, o.company_names(), link, TAKEN | {"settings", "unsubscribe"})
    return Sender(store, LIVE_RUN, routes, voice, clock.now_ms, acknowledged, quieted, done)


def reader_links(settings: "Settings") -> "Link":
    """Makes a reader's own links: one act on one alert, or the page of their settings, which asks who they are.

    Raises:
        DependencyError: the board's secret cannot be kept.
    """
    from groundswell.links import links_of

    links, me = links_of(settings), f"{settings.board.base_url.rstrip('/')}/me"

    def link(reader: str, alert_id: str, act: str) -> str:
        if act == "unsubscribe":  # one mail program, one click: it stops what that program got, and nothing else of the reader's
            return links.make_stop(f"mail:{reader}")
        return me if act == "settings" else links.make(reader, alert_id, act)

    return link


def routes_file(settings: "Settings", store: "Store") -> "RoutesFile":
    """The routes of the settings, read again when the file changes."""
    from groundswell.clock import SystemClock
    from stream.shells.routes_file import RoutesFile

    return RoutesFile(Path(settings.routes.path), lambda routes: routed_notifiers(settings, routes), store, SystemClock().now_ms)


def secrets_of_routes(settings: "Settings") -> tuple[str, ...]:
    """Addresses and secrets that the routes file names, for the guard of the logs; none where it cannot be read."""
    from stream.shells.routes_file import load

    if not settings.routes.path:
        return ()
    try:
        routes, _ = load(Path(settings.routes.path), lambda _: {})
    except SettingsError:
        return ()
    return tuple(filter(None, (os.environ.get(variable) for variable in routes.secret_variables)))


def routed_notifiers(settings: "Settings", routes: "Routes", *, environ: Mapping[str, str] = os.environ) -> dict[str, "Notifier"]:
    """Every target of every reader.

    Raises:
        SettingsError: a channel lacks its setting or its variable; it names the reader, the key and what to set.
    """
    return {target: _notifier(settings, reader, target, environ) for reader in routes.reader for target in reader.targets}


def _notifier(settings: "Settings", reader: "Reader", target: str, environ: Mapping[str, str]) -> "Notifier":
    from alerts.notify.console import ConsoleNotifier

    kind = target.partition(":")[0]
    if kind == "console":
        return ConsoleNotifier(target, sys.stdout)
    if kind == "mail":
        if not settings.mail.host:
            _lacks(reader, "mail", "mail.host is not set: set the relay and its sender")
        return mail(target, settings, reader.mail)
    if kind == "slack":
        if not settings.slack.bot_token:
            _lacks(reader, "slack", "slack.bot_token is not set: set it, or use slack_webhook_url_env")
        return _slack_bot(target, settings, str(reader.slack))
    url = _variable(reader, f"{kind.replace('-', '_')}_url_env", environ)
    if kind == "slack-webhook":
        return slack_webhook(target, url)
    secret = _variable(reader, key, environ) if getattr(reader, key := f"{kind}_secret_env", None) else None
    return _hooks()[kind](target, url, secret)


def slack_buttons(settings: "Settings", act: "Act") -> "SlackButtons | None":
    """What listens to buttons under Slack messages; None without an app-level token, and then no message has any."""
    from alerts.notify.slack_buttons import SlackButtons

    return SlackButtons(settings.slack.app_token, act) if settings.slack.app_token else None


def presses(store: "Store", now_ms: Callable[[], int]) -> "Act":
    """What records a press of a button under a message of the live run."""
    from groundswell.store.actions import record_press

    def record(who: str, what: str, alert_id: str) -> None:
        with store.write() as connection:
            record_press(connection, LIVE_RUN, who=who, what=what, alert_id=alert_id, at_ms=now_ms())

    async def act(who: str, what: str, alert_id: str) -> None:
        await asyncio.to_thread(record, who, what, alert_id)

    return act


@contextlib.contextmanager
def heard(buttons: "SlackButtons | None") -> Iterator[None]:
    """Listen to the buttons from a thread of its own while the context lasts: whatever becomes of it, alerts are decided and sent."""
    if buttons is None:
        yield
        return
    loop, stop = asyncio.new_event_loop(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(buttons.run(stop),), name="buttons", daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(LEAVE_S)
        if not thread.is_alive():
            loop.close()


def _hooks() -> dict[str, Callable[[str, str, str | None], "Notifier"]]:
    from alerts.notify.dingtalk import DingTalkNotifier
    from alerts.notify.feishu import FeishuNotifier
    from alerts.notify.posts import Hook
    from alerts.notify.teams import TeamsNotifier
    from alerts.notify.webhook import WebhookNotifier

    def hook(channel: str, url: str, secret: str | None) -> Hook:
        return Hook(channel=channel, url=url, secret=secret)

    return {
        "webhook": lambda name, url, secret: WebhookNotifier(name, hook("webhook", url, secret)),
        "teams": lambda name, url, secret: TeamsNotifier(name, hook("teams", url, secret)),
        "feishu": lambda name, url, secret: FeishuNotifier(name, hook("feishu", url, secret)),
        "dingtalk": lambda name, url, secret: DingTalkNotifier(name, hook("dingtalk", url, secret)),
    }


def mail(name: str, settings: "Settings", recipients: tuple[str, ...]) -> "Notifier":
    """Mail to some people by the relay of the settings."""
    from alerts.notify.mail import MailNotifier, MailSettings

    m = settings.mail
    return MailNotifier(
        name,
        MailSettings(
            host=m.host,
            port=m.port,
            security=m.tls,
            username=m.username or None,
            password=m.password or None,
            sender=m.sender,
            recipients=recipients,
            timeout_s=m.timeout_s,
        ),
    )


def slack_webhook(name: str, webhook_url: str) -> "Notifier":
    """A Slack channel by its incoming webhook."""
    from alerts.notify.slack import SlackNotifier, SlackSettings

    return SlackNotifier(name, SlackSettings(webhook_url=webhook_url))


def _slack_bot(name: str, settings: "Settings", channel: str) -> "Notifier":
    from alerts.notify.slack_bot import SlackBotNotifier, SlackBotSettings

    s = settings.slack
    return SlackBotNotifier(name, SlackBotSettings(token=s.bot_token, channel=channel, buttons=bool(s.app_token)))


def _variable(reader: "Reader", key: str, environ: Mapping[str, str]) -> str:
    variable = getattr(reader, key)
    value = environ.get(variable, "")
    if not value:
        _lacks(reader, key, f"the environment has no {variable}: set it, or correct the name")
    return value


def _lacks(reader: "Reader", key: str, rule: str) -> None:
    message = f"routes: reader {reader.name!r}: {key}: {rule}"
    raise SettingsError(message)
