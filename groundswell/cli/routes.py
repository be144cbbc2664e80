"""Commands over routes: who is told of what and where, and which targets their readers have stopped."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.exports import iso

if TYPE_CHECKING:
    from groundswell.settings import Settings
    from groundswell.store.stops import Stop, What

COLUMNS: Final = ["target", "reader", "language", "kinds", "series", "severity", "at_once", "escalates_to", "state", "since", "by"]


@click.group(cls=Group, invoke_without_command=True)
@o.listing_options
@o.store_option
@click.pass_context
def routes(context: click.Context, form: str, output: str | None, store_url: str | None) -> None:
    """Every target of the routes file, or of the settings where there is none: whose it is, what it gets, and whether it is stopped.

    A reader stops a target by the unsubscribe button of the mail program, or by the page behind it; `groundswell outbox --state stopped`
    prints what was not sent because of it.
    """
    if context.invoked_subcommand is not None:
        return
    from groundswell.store.stops import stopped

    with o.open_store(store_url, makes=True).read() as connection:
        stops = stopped(connection)
    known = _targets(o.settings())
    gone = {target: {"target": target, "reader": target.partition(":")[2]} for target in stops if target not in known}
    empty = dict.fromkeys(COLUMNS)
    o.print_rows(
        [empty | row | _state(stops.get(target)) for target, row in (known | gone).items()], form=form, output=output, columns=COLUMNS
    )


def _targets(settings: "Settings") -> dict[str, dict[str, Any]]:
    from groundswell.cli.channels import settings_notifiers
    from stream.shells.routes_file import load

    if not settings.routes.path:
        return {target: {"target": target, "series": "*", "severity": "low"} for target in settings_notifiers(settings)}
    found, _ = load(Path(settings.routes.path), lambda _: {})
    return {
        target: {
            "target": target,
            "reader": reader.name,
            "language": reader.language,
            "kinds": " ".join(reader.kinds) or "*",
            "series": " ".join(reader.series),
            "severity": reader.severity,
            "at_once": reader.at_once,
            "escalates_to": " ".join(reader.escalation.to) if reader.escalation else None,
        }
        for reader in found.reader
        for target in reader.targets
    }


def _state(stop: "Stop | None") -> dict[str, Any]:
    if stop is None:
        return {"state": "on"}
    return {"state": "stopped", "since": iso(stop.at_ms), "by": f"{stop.who}, {stop.place}"}


@routes.command(epilog=example("groundswell routes stop mail:anna"))
@click.argument("target", metavar="TARGET")
@o.who_option
@o.store_option
def stop(target: str, who: str, store_url: str | None) -> None:
    """Send nothing more to TARGET, such as mail:anna, until it is resumed."""
    _say(target, "stop", who=who, store_url=store_url)


@routes.command(epilog=example("groundswell routes resume mail:anna"))
@click.argument("target", metavar="TARGET")
@o.who_option
@o.store_option
def resume(target: str, who: str, store_url: str | None) -> None:
    """Let a stopped TARGET go on; what was not sent meanwhile stays unsent."""
    _say(target, "resume", who=who, store_url=store_url)


def _say(target: str, what: "What", *, who: str, store_url: str | None) -> None:
    from groundswell.clock import SystemClock
    from groundswell.store.audit import COMMAND_LINE, note
    from groundswell.store.stops import Stop, say

    store, now_ms = o.open_store(store_url, makes=True), SystemClock().now_ms()
    with store.write() as connection:
        changed = say(store, connection, Stop(target, now_ms, what, who, COMMAND_LINE))
        if changed:
            said = "unsubscribed" if what == "stop" else "subscribed again"
            note(store, connection, o.entry(said, target, now_ms=now_ms, who=who))
    state = "stopped" if what == "stop" else "on"
    click.echo(f"{target}: {state}" if changed else f"{target}: {state} already; nothing changed")
    known = _targets(o.settings())
    if target not in known:  # somebody may leave the file today and come back tomorrow, so it is no error
        click.echo(f"note: {target} is no target of the routes now; there are: {', '.join(known)}", err=True)
