"""Commands about incidents: the inbox, and what people do about one."""

from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.exports import iso

if TYPE_CHECKING:
    from groundswell.records import Act
    from groundswell.store.inbox import IncidentRow

COLUMNS: Final = ["incident", "state", "holder", "severity", "kind", "opened_at", "moved_at", "updates", "verdict", "quiet", "title"]


@click.command(epilog=example("groundswell inbox --mine --since last"))
@click.option("--mine", is_flag=True, help="Only what you have, or nobody has.")
@click.option("--since", metavar="last|TIME", help="Only what has moved since, over or not. last: since you last did or said anything.")
@click.option("--all", "everything", is_flag=True, help="Those that are over too.")
@o.who_option
@o.listing_options
@o.run_option
@o.store_option
def inbox(
    mine: bool, since: str | None, everything: bool, who: str, form: str, output: str | None, run: str | None, store_url: str | None
) -> None:
    """Incidents that people were told of: what is open, who has it, what is new.

    TIME is ISO 8601, today 10:05, yesterday 18:40 or -2h; without a zone UTC. jsonl has every step of each incident, and every action.
    """
    from groundswell.clock import SystemClock
    from groundswell.store.inbox import inbox as read
    from groundswell.store.inbox import last_done_ms
    from groundswell.store.query import run_named

    now_ms = SystemClock().now_ms()
    with o.open_store(store_url).read() as connection:
        chosen = run_named(connection, run)
        rows = read(connection, chosen, now_ms=now_ms)
        if since == "last":
            since_ms = last_done_ms(connection, chosen, who)
        else:
            since_ms = o.moment_ms(since, name="--since", now_ms=now_ms) if since else None
    if since is not None:
        rows = [row for row in rows if since_ms is None or row.moved_ms >= since_ms]
    elif not everything:
        rows = [row for row in rows if not row.life.is_over]
    if mine:
        rows = [row for row in rows if row.holder in (None, who)]
    o.print_rows(map(_row, rows), form=form, output=output, columns=COLUMNS)


def _row(row: "IncidentRow") -> dict[str, Any]:
    newest = row.newest
    return {
        "incident": row.incident,
        "alert": newest.id,
        "state": row.life.state,
        "holder": row.holder,
        "severity": newest.severity,
        "kind": newest.kind,
        "series": newest.series,
        "opened_at": iso(row.alerts[0].opened_ms),
        "moved_at": iso(row.moved_ms),
        "updates": len(row.alerts) - 1,
        "verdict": row.words.get(newest.id),
        "quiet": row.hush and row.hush.reason,
        "title": newest.title,
        "alerts": [alert.id for alert in row.alerts],
        "steps": [
            {"state": step.state, "at": iso(step.at_ms), "cause": step.cause, "who": step.who, "alert": step.alert}
            for step in row.life.steps
        ],
        "actions": [
            {"what": one.what, "at": iso(one.at_ms), "who": one.who, "assignee": one.assignee, "story": one.story, "note": one.note}
            | {"until": None if one.until_ms is None else iso(one.until_ms)}
            for one in row.actions
        ],
    }


# --- what people do ------------------------------------------------------------------------------------------------------------
_ID: Final = click.argument("incident", metavar="ID")
_NOTE: Final = click.option("--note", default="", metavar="TEXT", help="Why; at most 2,000 characters.")


@click.command(epilog=example("groundswell ack 9355 --note 'calling their treasurer'"))
@_ID
@_NOTE
@o.who_option
@o.run_option
@o.store_option
def ack(incident: str, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Acknowledge an incident: you have seen it, and nobody else need be told of it.

    ID is an incident's or an alert's, as short as it is unique.
    """
    _act("acknowledge", incident, who=who, note=note, run=run, store_url=store_url)


@click.command(epilog=example("groundswell assign 9355 mei"))
@_ID
@click.argument("assignee", metavar="TO")
@_NOTE
@o.who_option
@o.run_option
@o.store_option
def assign(incident: str, assignee: str, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Give an incident to somebody; the last one it was given to has it."""
    _act("assign", incident, who=who, note=note, run=run, store_url=store_url, assignee=assignee)


@click.command(epilog=example("groundswell snooze 9355 --until +2h"))
@_ID
@click.option("--until", metavar="TIME", help="18:00, +1h or ISO 8601; without it: until the incident's next update.")
@_NOTE
@o.who_option
@o.run_option
@o.store_option
def snooze(incident: str, until: str | None, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Hear nothing of an incident for a while."""
    _act("snooze", incident, who=who, note=note, run=run, store_url=store_url, until=until)


@click.command(epilog=example("groundswell mute 9355 --note 'old story'"))
@_ID
@click.option("--story", metavar="STORY", help="Only this story of it, as an alert's evidence names it; without it, all of it.")
@_NOTE
@o.who_option
@o.run_option
@o.store_option
def mute(incident: str, story: str | None, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Hear nothing more of an incident, or of one story of it, until it is reopened."""
    _act("mute_story", incident, who=who, note=note, run=run, store_url=store_url, story=story)


@click.command(epilog=example("groundswell comment 9355 'the bank denies it'"))
@_ID
@click.argument("note", metavar="TEXT")
@o.who_option
@o.run_option
@o.store_option
def comment(incident: str, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Say something of an incident, for whoever reads it next."""
    _act("comment", incident, who=who, note=note, run=run, store_url=store_url)


@click.command(epilog=example("groundswell resolve 9355 --note 'settled'"))
@_ID
@_NOTE
@o.who_option
@o.run_option
@o.store_option
def resolve(incident: str, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Say that an incident is over; an update that brings something materially new reopens it."""
    _act("resolve", incident, who=who, note=note, run=run, store_url=store_url)


@click.command(epilog=example("groundswell reopen 9355"))
@_ID
@_NOTE
@o.who_option
@o.run_option
@o.store_option
def reopen(incident: str, note: str, who: str, run: str | None, store_url: str | None) -> None:
    """Say that an incident is not over, and end every snooze and mute of it."""
    _act("reopen", incident, who=who, note=note, run=run, store_url=store_url)


def _act(
    what: "Act",
    text: str,
    *,
    who: str,
    note: str,
    run: str | None,
    store_url: str | None,
    assignee: str | None = None,
    until: str | None = None,
    story: str | None = None,
) -> None:
    """Record an action, and say what it has changed."""
    from groundswell.clock import SystemClock
    from groundswell.records import Action
    from groundswell.store.actions import incident_named, quieted, record_action
    from groundswell.store.inbox import state_of

    now_ms = SystemClock().now_ms()
    until_ms = o.moment_ms(until, name="--until", now_ms=now_ms) if until else None
    with o.open_store(store_url).write() as connection:
        named = incident_named(connection, text, run=run)
        before = state_of(connection, named.run, named.incident, now_ms=now_ms)
        action = Action(
            incident=named.incident, at_ms=now_ms, who=who, what=what, assignee=assignee, until_ms=until_ms, story=story, note=note
        )
        record_action(connection, named.run, action)
        after = state_of(connection, named.run, named.incident, now_ms=now_ms)
        hush = quieted(connection, named.run, named.incident, now_ms)
    changed = f"{before} -> {after}" if before != after else f"{after}, as before"
    click.echo(f"incident {named.incident}: {what.replace('_', ' ')} by {who}; {changed}" + (f"; {hush}" if hush else ""))
