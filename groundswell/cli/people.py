"""Commands over the board's accounts: people add, list, role, password, disable, enable, audit."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.errors import UsageError, reason_of
from groundswell.exports import iso

if TYPE_CHECKING:
    from groundswell.store.accounts import Role

ROLE_CHOICE: Final = click.Choice(["reader", "analyst", "admin"])
LIST_COLUMNS: Final = ["name", "role", "signs_in", "created", "changed", "disabled"]
AUDIT_COLUMNS: Final = ["at", "who", "place", "what", "detail"]


@click.group(cls=Group)
def people() -> None:
    """Who may use the board. Roles: a reader looks, an analyst also acts on alerts, an admin also changes what holds for everybody.

    Without any account a board that listens on this machine alone is open and read-only; with one, everybody has to sign in.
    """


def _password(file: str | None) -> str:
    """From a file, or asked twice; never an argument, which everybody on the machine could read."""
    if file is None:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt="Once more"))
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        reason = f"--password-file {file}: cannot be read: {reason_of(error)}; give a file whose first line is the password"
        raise UsageError(reason) from error
    lines = text.splitlines()
    if not lines:
        reason = f"--password-file {file}: is empty; give a file whose first line is the password"
        raise UsageError(reason)
    return lines[0]


def _change(name: str, store_url: str | None, what: str, *, detail: str = "", **changes: "str | bool | None") -> None:
    """Change an account and say so in the audit log, in one transaction."""
    from groundswell.clock import SystemClock
    from groundswell.store.accounts import change_person, person_name
    from groundswell.store.audit import note

    name, now_ms, store = person_name(name), SystemClock().now_ms(), o.open_store(store_url)
    with store.write() as connection:
        change_person(connection, name, now_ms=now_ms, **changes)  # type: ignore[arg-type]
        note(store, connection, o.entry(what, f"{name}{detail}", now_ms=now_ms))
    click.echo(f"{what}: {name}{detail}; whoever was signed in with it has to sign in again")


@people.command(epilog=example("groundswell people add mei@bank.example --role analyst"))
@click.argument("name")
@click.option("--role", type=ROLE_CHOICE, default="reader", show_default=True, help="What they may do.")
@click.option(
    "--password-file", metavar="FILE", help="File whose first line is the password; - for standard input.  [default: it is asked]"
)
@click.option("--no-password", is_flag=True, help="A reverse proxy says who they are; they cannot sign in on the board itself.")
@o.store_option
def add(name: str, role: "Role", password_file: str | None, no_password: bool, store_url: str | None) -> None:
    """An account for NAME: a-z, 0-9 and . _ @ + -, such as a mail address."""
    from groundswell.clock import SystemClock
    from groundswell.passwords import Passwords
    from groundswell.store.accounts import Person, add_person, anybody, person_name
    from groundswell.store.audit import note

    if no_password and password_file:
        reason = "--password-file and --no-password: give one of the two"
        raise UsageError(reason)
    name, store = person_name(name), o.open_store(store_url, makes=True)
    stored = None if no_password else Passwords().hash(_password(password_file))
    is_first, now_ms = not anybody(store), SystemClock().now_ms()
    with store.write() as connection:
        add_person(store, connection, Person(name, role, stored, now_ms, now_ms, None))
        note(store, connection, o.entry("account added", f"{name}, {role}", now_ms=now_ms))
    click.echo(f"account added: {name}, {role}")
    if is_first:
        click.echo("It is the first one: start the board again, and from then on everybody has to sign in.")


@people.command("list", epilog=example("groundswell people list"))
@o.listing_options
@o.store_option
def list_people(form: str, output: str | None, store_url: str | None) -> None:
    """Every account."""
    from groundswell.store.accounts import people_of

    with o.open_store(store_url).read() as connection:
        found = people_of(connection)
    rows = [
        {
            "name": one.name,
            "role": one.role,
            "signs_in": "with a password" if one.password_hash else "by the proxy",
            "created": iso(one.created_ms),
            "changed": iso(one.changed_ms),
            "disabled": None if one.disabled_ms is None else iso(one.disabled_ms),
        }
        for one in found
    ]
    o.print_rows(rows, form=form, output=output, columns=LIST_COLUMNS)


@people.command(epilog=example("groundswell people role mei@bank.example admin"))
@click.argument("name")
@click.argument("new_role", metavar="ROLE", type=ROLE_CHOICE)
@o.store_option
def role(name: str, new_role: str, store_url: str | None) -> None:
    """Give NAME another ROLE: reader, analyst or admin."""
    _change(name, store_url, "role changed", detail=f", {new_role}", role=new_role)


@people.command(epilog=example("groundswell people password mei@bank.example"))
@click.argument("name")
@click.option(
    "--password-file", metavar="FILE", help="File whose first line is the password; - for standard input.  [default: it is asked]"
)
@o.store_option
def password(name: str, password_file: str | None, store_url: str | None) -> None:
    """Give NAME another password."""
    from groundswell.passwords import Passwords

    _change(name, store_url, "password changed", password_hash=Passwords().hash(_password(password_file)))


@people.command(epilog=example("groundswell people disable mei@bank.example"))
@click.argument("name")
@o.store_option
def disable(name: str, store_url: str | None) -> None:
    """Let NAME in no more; what they did stays theirs."""
    _change(name, store_url, "account disabled", disabled=True)


@people.command(epilog=example("groundswell people enable mei@bank.example"))
@click.argument("name")
@o.store_option
def enable(name: str, store_url: str | None) -> None:
    """Let NAME in again."""
    _change(name, store_url, "account enabled", disabled=False)


@people.command(epilog=example("groundswell people audit --who mei@bank.example --limit 20"))
@click.option("--who", metavar="NAME", help="Only what this person did.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="How many, the newest first.")
@o.listing_options
@o.store_option
def audit(who: str | None, limit: int, form: str, output: str | None, store_url: str | None) -> None:
    """Who did what on the board and to its accounts, when and from where."""
    from groundswell.store.audit import entries

    with o.open_store(store_url).read() as connection:
        found = entries(connection, who=who, limit=limit)
    rows = [{"at": iso(e.at_ms), "who": e.who, "place": e.place, "what": e.what, "detail": e.detail} for e in found]
    o.print_rows(rows, form=form, output=output, columns=AUDIT_COLUMNS)
