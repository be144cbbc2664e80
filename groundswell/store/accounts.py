"""People who may use the board: their accounts, and what the board keeps for each of them.

An account is written by `groundswell people` only. The board reads it on every request, so that a disabled account or a
changed role holds at once.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from sqlalchemy import Connection, func, select, update
from sqlalchemy.exc import DBAPIError

from groundswell.errors import DependencyError, NotFoundError, UsageError
from groundswell.store import schema as t
from groundswell.store.store import Store, lacks_right

Role = Literal["reader", "analyst", "admin"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Each may do what those before it may: look; act on alerts; change what holds for everybody."""

VISIT_MS: Final = 30 * 60_000
"""After so long without opening the inbox, the next time is a new visit."""

COMPANIES_MAX: Final = 200
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,79}")


@dataclass(frozen=True)
class Person:
    """One account."""

    name: str
    role: Role
    password_hash: str | None  # None: signs in nowhere here, a proxy says who it is
    created_ms: int
    changed_ms: int
    disabled_ms: int | None


@dataclass(frozen=True)
class Reader:
    """What a reader has chosen, and where the last visit ended."""

    name: str
    language: str | None = None
    zone: str | None = None
    companies: tuple[str, ...] = ()  # series keys
    visited_ms: int | None = None
    before_ms: int | None = None
    signed_out_ms: int = 0


def person_name(text: str) -> str:
    """A name as it is stored: lower case.

    >>> person_name("Mei.Chen@bank.example")
    'mei.chen@bank.example'

    Raises:
        UsageError: it is no name.
    """
    name = text.strip().lower()
    if not _NAME.fullmatch(name):
        reason = f"name {text[:40]!r}: must be 1 to 80 of a-z, 0-9, and . _ @ + - after the first; a mail address will do"
        raise UsageError(reason)
    return name


def rank(role: Role | None) -> int:
    """How much a role may do; -1 for nobody."""
    return ROLES.index(role) if role is not None else -1


# --- accounts ----------------------------------------------------------------------------------------------------------------
def anybody(store: Store) -> bool:
    """Whether there are accounts, disabled ones too. A login of the database that may not read them has none to offer."""
    try:
        with store.read() as connection:
            return bool(connection.execute(select(func.count()).select_from(t.people)).scalar_one())
    except DependencyError as error:
        if isinstance(error.__cause__, DBAPIError) and lacks_right(error.__cause__):
            return False
        raise


def people_of(connection: Connection) -> list[Person]:
    """Every account, by name."""
    return [Person(**row) for row in connection.execute(select(t.people).order_by(t.people.c.name)).mappings()]


def person_named(connection: Connection, name: str) -> Person | None:
    """The account of that name."""
    row = connection.execute(select(t.people).where(t.people.c.name == name)).mappings().one_or_none()
    return None if row is None else Person(**row)


def add_person(store: Store, connection: Connection, person: Person) -> None:
    """A new account.

    Raises:
        UsageError: there is one of that name.
    """
    row = {column.name: getattr(person, column.name) for column in t.people.columns}
    if not store.insert(connection, t.people, [row]):
        reason = f"person {person.name!r}: has an account already; `groundswell people list` prints all of them"
        raise UsageError(reason)


def change_person(
    connection: Connection,
    name: str,
    *,
    now_ms: int,
    role: Role | None = None,
    password_hash: str | None = None,
    disabled: bool | None = None,
) -> None:
    """Change an account; what is None stays. Sessions that began before are void.

    Raises:
        NotFoundError: there is none of that name.
    """
    values: dict[str, object] = {"changed_ms": now_ms}
    values |= {} if role is None else {"role": role}
    values |= {} if password_hash is None else {"password_hash": password_hash}
    values |= {} if disabled is None else {"disabled_ms": now_ms if disabled else None}
    if not connection.execute(update(t.people).where(t.people.c.name == name).values(values)).rowcount:
        reason = f"person {name!r}: has no account; `groundswell people list` prints all of them"
        raise NotFoundError(reason)


# --- readers -----------------------------------------------------------------------------------------------------------------
def reader_named(connection: Connection, name: str) -> Reader:
    """What is kept for a reader; a new one has chosen nothing."""
    row = connection.execute(select(t.readers).where(t.readers.c.name == name)).mappings().one_or_none()
    return Reader(name) if row is None else Reader(**{**row, "companies": tuple(row["companies"].splitlines())})


def keep_reader(store: Store, connection: Connection, reader: Reader) -> None:
    """Write what is kept for a reader.

    Raises:
        UsageError: too many companies.
    """
    if len(reader.companies) > COMPANIES_MAX:
        reason = f"companies: {COMPANIES_MAX} at most, got {len(reader.companies)}; leave some out"
        raise UsageError(reason)
    row = {column.name: getattr(reader, column.name) for column in t.readers.columns} | {"companies": "\n".join(reader.companies)}
    store.upsert(connection, t.readers, [row])


def visited(reader: Reader, *, now_ms: int) -> Reader:
    """The reader who has opened the inbox now.

    >>> reader = visited(Reader("mei", visited_ms=1_000), now_ms=1_000 + VISIT_MS)
    >>> reader.before_ms, visited(reader, now_ms=reader.visited_ms + 60_000).before_ms
    (1000, 1000)
    """
    is_new = reader.visited_ms is None or now_ms - reader.visited_ms >= VISIT_MS
    before_ms = reader.visited_ms if is_new else reader.before_ms
    return Reader(reader.name, reader.language, reader.zone, reader.companies, now_ms, before_ms, reader.signed_out_ms)
