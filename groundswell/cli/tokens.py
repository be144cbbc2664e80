"""Commands over tokens of programs: tokens add, list, revoke."""

from typing import TYPE_CHECKING, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.exports import iso

if TYPE_CHECKING:
    from groundswell.store.accounts import Role

COLUMNS: Final = ["id", "person", "name", "role", "created", "expires", "state"]


@click.group(cls=Group)
def tokens() -> None:
    """What programs show instead of a password, for /api/v1: `Authorization: Bearer TOKEN`.

    A token belongs to somebody's account and may do no more than its person. `groundswell people add NAME --no-password` makes an account
    for a program alone.
    """


@tokens.command(epilog=example("groundswell tokens add nightly 'export to the warehouse' --days 30"))
@click.argument("person")
@click.argument("name")
@click.option("--role", type=click.Choice(["reader", "analyst", "admin"]), default="reader", show_default=True, help="What it may do.")
@click.option("--days", type=click.IntRange(1, 366), default=90, show_default=True, help="How long it is taken.")
@o.store_option
def add(person: str, name: str, role: "Role", days: int, store_url: str | None) -> None:
    """Make a token of PERSON's account for what NAME says, and print it: it is shown this once."""
    from groundswell.clock import SystemClock
    from groundswell.store.accounts import person_name
    from groundswell.store.audit import note
    from groundswell.store.tokens import make_token

    store, now_ms, person = o.open_store(store_url), SystemClock().now_ms(), person_name(person)
    with store.write() as connection:
        made, text = make_token(store, connection, person, name=name, role=role, days=days, now_ms=now_ms)
        note(store, connection, o.entry("token made", f"{made.token_id} {made.name}, {role}, of {person}", now_ms=now_ms))
    click.echo(f"token {made.token_id} of {person}, {role}, until {iso(made.expires_ms)}; keep it, it is not shown again:", err=True)
    click.echo(text)


@tokens.command("list", epilog=example("groundswell tokens list"))
@o.listing_options
@o.store_option
def list_tokens(form: str, output: str | None, store_url: str | None) -> None:
    """Every token, the newest first; what is secret of them is nowhere."""
    from groundswell.clock import SystemClock
    from groundswell.store.tokens import tokens_of

    now_ms = SystemClock().now_ms()
    with o.open_store(store_url).read() as connection:
        found = tokens_of(connection)
    rows = [
        {
            "id": one.token_id,
            "person": one.person,
            "name": one.name,
            "role": one.role,
            "created": iso(one.created_ms),
            "expires": iso(one.expires_ms),
            "state": "taken" if one.is_live(now_ms) else "expired" if one.revoked_ms is None else f"revoked {iso(one.revoked_ms)}",
        }
        for one in found
    ]
    o.print_rows(rows, form=form, output=output, columns=COLUMNS)


@tokens.command(epilog=example("groundswell tokens revoke 7f3a"))
@click.argument("token_id", metavar="ID")
@o.store_option
def revoke(token_id: str, store_url: str | None) -> None:
    """Take the token ID back at once."""
    from groundswell.clock import SystemClock
    from groundswell.store.audit import note
    from groundswell.store.tokens import revoke_token

    store, now_ms = o.open_store(store_url), SystemClock().now_ms()
    with store.write() as connection:
        found = revoke_token(connection, token_id, now_ms=now_ms)
        note(store, connection, o.entry("token revoked", f"{token_id} {found.name}, of {found.person}", now_ms=now_ms))
    click.echo(f"token revoked: {token_id} of {found.person}")
