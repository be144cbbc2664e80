"""Tokens of programs: what one shows instead of a password, for `/api/v1` and nothing else.

    gsw_<id>_<secret>      the id may be shown; of the secret, which is random, a digest is kept

A token may do what its role says, and never more than its person may at that moment: a disabled account ends its tokens.
"""

import hmac
import re
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, func, select, update

from groundswell.errors import NotFoundError, UsageError
from groundswell.names import DAY_MS
from groundswell.store import schema as t
from groundswell.store.accounts import Role, person_named, rank
from groundswell.store.store import Store

DAYS_MAX: Final = 366
LIVE_MAX: Final = 20
NAME_CHARACTERS_MAX: Final = 60
_FORM: Final = re.compile(r"gsw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Token:
    """One token, without its secret."""

    token_id: str
    person: str
    name: str  # what it is for
    role: Role
    created_ms: int
    expires_ms: int
    revoked_ms: int | None

    def is_live(self, now_ms: int) -> bool:
        """Whether it is taken at a moment."""
        return self.revoked_ms is None and now_ms < self.expires_ms


_COLUMNS: Final = tuple(column for column in t.tokens.columns if column.name != "digest")


def make_token(store: Store, connection: Connection, person: str, *, name: str, role: Role, days: int, now_ms: int) -> tuple[Token, str]:
    """A new token, and its text, which is nowhere afterwards.

    Args:
        store: the store.
        connection: a writing transaction.
        person: whose account.
        name: what it is for.
        role: what it may do at most.
        days: how long it is taken.
        now_ms: the wall time.

    Raises:
        NotFoundError: nobody has such an account.
        UsageError: name, role or days cannot be used, or there are LIVE_MAX already.
    """
    owner, name = person_named(connection, person), name.strip()
    if owner is None:
        reason = f"token: {person!r} has no account of its own; `groundswell people add` makes one"
        raise NotFoundError(reason)
    if not name or len(name) > NAME_CHARACTERS_MAX or not name.isprintable():
        reason = f"token: its name says what it is for, in 1 to {NAME_CHARACTERS_MAX} characters, got {name[:80]!r}"
        raise UsageError(reason)
    if owner.disabled_ms is not None or rank(role) > rank(owner.role):
        reason = f"token {name!r}: {person} may do no more than {owner.role if owner.disabled_ms is None else 'nothing'}, got {role}"
        raise UsageError(reason)
    if not 1 <= days <= DAYS_MAX:
        reason = f"token {name!r}: is taken for 1 to {DAYS_MAX} days, got {days}"
        raise UsageError(reason)
    c = t.tokens.c
    live = select(func.count()).select_from(t.tokens).where(c.person == person, c.revoked_ms.is_(None), c.expires_ms > now_ms)
    if connection.execute(live).scalar_one() >= LIVE_MAX:
        reason = f"token {name!r}: {person} has {LIVE_MAX} already; revoke one"
        raise UsageError(reason)
    made = Token(secrets.token_hex(6), person, name, role, now_ms, now_ms + days * DAY_MS, None)
    secret = secrets.token_urlsafe(32)
    row = {column.name: getattr(made, column.name) for column in _COLUMNS} | {"digest": _digest(secret)}
    store.insert(connection, t.tokens, [row], keep=False)
    return made, f"gsw_{made.token_id}_{secret}"


def token_shown(connection: Connection, text: str, *, now_ms: int) -> tuple[Token, Role] | None:
    """The token that a program shows and what it may do now; None where it is not taken."""
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    row = connection.execute(select(t.tokens).where(t.tokens.c.token_id == found[1])).mappings().one_or_none()
    digest = row["digest"] if row is not None else ""
    if not hmac.compare_digest(digest, _digest(found[2])) or row is None:
        return None
    token = Token(**{name: value for name, value in row.items() if name != "digest"})
    owner = person_named(connection, token.person)
    if owner is None or owner.disabled_ms is not None or not token.is_live(now_ms):
        return None
    return token, min(token.role, owner.role, key=rank)


def tokens_of(connection: Connection, person: str | None = None) -> list[Token]:
    """Every token, or those of a person, the newest first."""
    statement = select(*_COLUMNS).order_by(t.tokens.c.created_ms.desc(), t.tokens.c.token_id)
    if person is not None:
        statement = statement.where(t.tokens.c.person == person)
    return [Token(**row) for row in connection.execute(statement).mappings()]


def revoke_token(connection: Connection, token_id: str, *, now_ms: int, person: str | None = None) -> Token:
    """Take a token back; one that was taken back stays so.

    Raises:
        NotFoundError: there is none of that id, or it is not that person's.
    """
    found = next((one for one in tokens_of(connection, person) if one.token_id == token_id), None)
    if found is None:
        reason = f"token {token_id[:40]!r}: there is none of that id; `groundswell tokens list` prints them"
        raise NotFoundError(reason)
    c = t.tokens.c
    connection.execute(update(t.tokens).where(c.token_id == token_id, c.revoked_ms.is_(None)).values(revoked_ms=now_ms))
    return found


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
