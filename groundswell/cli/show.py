"""Commands that show something in a browser: demo, board."""

import sys
import threading
import webbrowser
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.errors import UsageError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from dashboards.board.door import Access
    from dashboards.board.shell import WhyNot
    from groundswell.records import Alert
    from groundswell.settings import Settings


@click.command(epilog=example("groundswell demo", "groundswell demo --once"))
@click.option("--once", is_flag=True, help="Run to the end without a board and print one JSON line with the balance.")
@click.option("--port", type=click.IntRange(0, 65_535), default=None, help="Port of the board; 0 takes a free one.  [default: the setting]")
@click.option("--no-browser", is_flag=True, help="Do not open a browser.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=None, help="Folder of the demo.  [default: DATA/demo]")
def demo(once: bool, port: int | None, no_browser: bool, folder: Path | None) -> None:
    """Replay a synthetic archive of 60 days: at speed first, then at real pace; open a board; show what it would send.

    Needs no Kafka, no key and no network. Everything in it is invented, the companies too.
    """
    from groundswell.clock import SystemClock
    from stream.shells import demo as shell

    settings, clock = o.settings(), SystemClock()
    folder = folder or Path(settings.data.dir) / "demo"
    set_up = partial(
        shell.set_up,
        folder,
        catalogues=[Path(name) for name in settings.companies.extra],
        registry=Path(settings.models.registry) if settings.models.registry else None,
        use="linear",  # the first picture is worth more here than the last point of accuracy, and every machine shows the same
    )
    if once:
        played = set_up()
        played.play_at_speed()
        played.pipeline.finish()
        click.echo(msgspec.json.encode(played.summary()).decode())
        return
    click.echo("Making the demo archive: 60 days of invented news and comments in English and Chinese ...")
    played = set_up(end=shell.live_end(clock))
    url = serve_board(settings, port=port, store=played.store, run=shell.RUN, log_path=played.log.path, display=played.instruments.display)
    click.echo(f"Board:  {url}\nReplaying {played.log.records():,} documents at full speed; the board fills as you watch.")
    if not no_browser and sys.stdout.isatty():
        webbrowser.open(url)

    def show(alerts: "list[Alert]") -> None:
        for alert in alerts:
            _show_alert(alert, url)

    try:
        played.play_at_speed(until_ms=clock.now_ms(), alerted=show)
        click.echo(f"\nCaught up with the clock: the last {shell.LIVE_MINUTES} minutes now arrive at real pace. Ctrl-C ends the demo.")
        played.play_at_pace(clock, alerted=show, stop=lambda: False)
        said = msgspec.json.encode(played.summary()).decode()
        click.echo(f"\nThe archive has ended: {said}\nThe board stays open at {url}; Ctrl-C ends the demo.")
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("\nThe demo has ended.")


def _show_alert(alert: "Alert", url: str) -> None:
    """The mail and the Slack message that would go out, as they would."""
    message = _render(alert, url)
    rule = "-" * 100
    click.echo(f"\n{rule}\nMAIL that would be sent\nSubject: {message.subject}\n\n{message.text.rstrip()}\n{rule}")
    blocks = msgspec.json.format(msgspec.json.encode({"text": message.fallback, "blocks": message.blocks}), indent=2).decode()
    click.echo(f"SLACK message that would be posted\n{blocks}\n{rule}")


def _render(alert: "Alert", url: str) -> Any:
    from alerts.notify.message import render

    names = o.company_names()
    return render(alert, base_url=url, entity_name=names)


def serve_board(settings: "Settings", *, port: int | None, store: Any, run: str | None, log_path: Path | None, display: Any) -> str:
    """Serve the board from a thread of this process; returns its address.

    Raises:
        UsageError: it would be open to other machines, and nobody has an account.
    """
    import uvicorn

    from dashboards.board.app import config, create_app, hosts_of, keep_what_is_made
    from groundswell.clock import SystemClock
    from groundswell.links import links_of
    from groundswell.local_log import LocalLog
    from ingest.catalogue import load_catalogue
    from stream.shells.try_rules import TryRules

    b, wanted = settings.board, settings.board.port if port is None else port
    access = board_access(settings, store)
    number = _free_port(b.host, wanted)
    url = f"http://{b.host}:{number}"
    app = create_app(
        store,
        run=run,
        log=LocalLog(log_path) if log_path else None,
        now_ms=SystemClock().now_ms,
        tz=b.timezone,
        language=b.language,
        messages=lambda alert: _render(alert, url),
        display=display,
        checked={source.name: source.checked for source in load_catalogue(settings.catalogue.extra)},
        allowed_hosts=hosts_of(b.base_url, b.host),
        access=access,
        links=links_of(settings),
        companies=o.company_ids(),
        sector=o.catalogue().peers,
        why_not=_asks_why(),
        near=o.near_companies(),
        rules=TryRules(store, display=display, sector=o.catalogue().peers),
    )
    keep_what_is_made()
    server = uvicorn.Server(config(app, host=b.host, port=number))
    threading.Thread(target=server.run, name="board", daemon=True).start()
    return url


def _asks_why() -> "WhyNot":
    """What the board asks when somebody wants to know why nothing was told: the same as `groundswell why-not`."""
    from alerts.rules import load_rules
    from groundswell.cli.why import told
    from stream.shells.why_not import series_named, why_not

    path = o.settings().rules.path
    rules, catalogue = load_rules(Path(path) if path else None), o.catalogue()

    def asked(connection: "Connection", run: str, series: str, at_ms: int) -> list[str]:
        return list(told(why_not(connection, run, series_named(series, catalogue), at_ms=at_ms, rules=rules), series))

    return asked


def board_access(settings: "Settings", store: Any) -> "Access":
    """Who may come in, by the settings and the accounts of the store.

    Raises:
        UsageError: it would be open to other machines, and nobody has an account.
    """
    from dashboards.board.door import Access
    from groundswell.signing import board_secret
    from groundswell.store.accounts import anybody

    b = settings.board
    access = Access(
        secret=board_secret(settings),
        accounts=not b.proxy_header and anybody(store),
        proxy_header=b.proxy_header,
        proxy_addresses=b.proxy_addresses,
        proxy_role=None if b.proxy_role == "none" else b.proxy_role,
        session_s=b.session_hours * 3600,
        is_https=b.base_url.startswith("https://"),
    )
    if not access.is_closed and not _is_loopback(b.host):
        reason = (
            f"board.host {b.host!r}: whoever reaches it could read everything, for nobody has an account; `groundswell people add NAME` "
            "makes one, board.proxy_header lets a proxy say who people are, and board.host 127.0.0.1 keeps the board on this machine"
        )
        raise UsageError(reason)
    return access


def _is_loopback(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _free_port(host: str, wanted: int) -> int:
    """The port that was asked for, or another one where it is taken."""
    import socket

    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    reason = f"board: no port can be opened on {host}; set board.host to an address of this machine"
    raise UsageError(reason)


@click.command(epilog=example("groundswell board --store history.db --run history --port 0"))
@click.option("--port", type=click.IntRange(0, 65_535), default=None, help="Port; 0 takes a free one.  [default: the setting]")
@o.run_option
@o.store_option
def board(port: int | None, run: str | None, store_url: str | None) -> None:
    """Serve the board over a store; it listens on this machine alone unless board.host says otherwise.

    While nobody has an account (`groundswell people add NAME`) it can only be read, and only on this machine.
    """
    from groundswell.logs import set_up_logs
    from groundswell.settings import secrets_of

    settings = o.settings()
    set_up_logs(level=settings.log.level, format=settings.log.format, secrets=secrets_of(settings))
    store = o.open_store(store_url)
    url = serve_board(settings, port=port, store=store, run=run, log_path=None, display=o.display())
    click.echo(f"Board:  {url}   (Ctrl-C ends it)")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        click.echo("")
