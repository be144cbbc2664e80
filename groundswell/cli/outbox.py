"""Commands over messages: what was sent to whom, what waits and why, and the way back for what was given up."""

from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.exports import iso
from groundswell.names import LIVE_RUN, OUTBOX_STATES

if TYPE_CHECKING:
    from groundswell.store.outbox import Item

COLUMNS: Final = ["alert", "target", "state", "how", "attempts", "opened_at", "not_before", "reason", "digest"]
NOT_BEFORE_STATES: Final = ("due", "attempted", "held")


@click.group(cls=Group, invoke_without_command=True)
@click.option("--state", type=click.Choice(OUTBOX_STATES), help="Only messages in this state.")
@click.option("--target", metavar="NAME", help="Only messages to this target, such as mail:anna.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@o.listing_options
@o.store_option
@click.pass_context
def outbox(
    context: click.Context, state: str | None, target: str | None, limit: int, form: str, output: str | None, store_url: str | None
) -> None:
    """Messages of the live run, newest alert first: to whom, in which state, and why.

    due: will be sent. held: quiet hours, a snooze or an escalation; not_before says until when. attempted: under way, or may have
    arrived, and is sent again marked [resent]. digested: sent in one message with others. routed: its readers were found. withdrawn:
    not needed any more. stopped: its reader has unsubscribed. failed: given up, a dead letter; `groundswell outbox retry ID` makes it
    due again.
    """
    if context.invoked_subcommand is not None:
        return
    from groundswell.store.outbox import listed

    with o.open_store(store_url).read() as connection:
        found = listed(connection, LIVE_RUN, state=state, target=target, limit=limit)
    o.print_rows(map(_row, found), form=form, output=output, columns=COLUMNS)


def _row(item: "Item") -> dict[str, Any]:
    waits = item.state in NOT_BEFORE_STATES and item.next_ms > 0
    return {
        "alert": item.alert_id,
        "target": item.target,
        "state": item.state,
        "how": item.how,
        "attempts": item.attempts,
        "opened_at": iso(item.opened_ms),
        "not_before": iso(item.next_ms) if waits else None,
        "reason": item.reason,
        "digest": item.digest,
    }


@outbox.command(epilog=example("groundswell outbox retry 4d9c4db3f6d38732 --target mail:anna"))
@click.argument("alert_id", metavar="ID")
@click.option("--target", metavar="NAME", help="Only the message to this target.")
@o.store_option
def retry(alert_id: str, target: str | None, store_url: str | None) -> None:
    """Make the dead letters of an alert due again; whoever sends (`groundswell run`, `groundswell desk`) takes them up within seconds.

    ID is an alert's, as `groundswell outbox --state failed` prints it. What was tried more than once may have arrived, and is marked
    [resent].
    """
    from groundswell.store.outbox import put_back

    found = put_back(o.open_store(store_url), LIVE_RUN, alert_id, target=target)
    click.echo(f"{len(found)} due again: {', '.join(item.target for item in found)}")
