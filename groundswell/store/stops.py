"""Which targets their readers have stopped: what was said is only ever added, and the last word on a target counts."""

import secrets
from dataclasses import dataclass
from typing import Final, Literal

from sqlalchemy import Connection, func, select

from groundswell.errors import UsageError
from groundswell.store import schema as t
from groundswell.store.store import Store

__all__ = ["Stop", "last_word", "say", "stopped", "withheld"]

What = Literal["stop", "resume"]
TARGET_CHARACTERS_MAX: Final = 100


@dataclass(frozen=True)
class Stop:
    """What somebody said of a target."""

    target: str  # `mail:anna`
    at_ms: int  # wall time
    what: What
    who: str  # the target's reader, or whoever did it for them
    place: str  # "one click", "the page", "command line"


def say(store: Store, connection: Connection, word: Stop) -> bool:
    """Record that a target is stopped, or goes on; one that is so already is left alone, for mail programs ask twice.

    Args:
        store: the store.
        connection: a writing transaction.
        word: what was said.

    Returns:
        Whether it changed anything.

    Raises:
        UsageError: there can be no target of that name.
    """
    if not word.target.isprintable() or not 0 < len(word.target) <= TARGET_CHARACTERS_MAX:
        reason = f"target: must be a name such as mail:anna, got {word.target[:40]!r}; `groundswell routes` lists them"
        raise UsageError(reason)
    before = last_word(connection, word.target)
    if (before.what if before else "resume") == word.what:
        return False
    row = {"at_ms": max(word.at_ms, before.at_ms + 1 if before else 0), "entry": secrets.token_hex(8)}  # a clock that was set back
    row |= {"target": word.target, "what": word.what, "who": word.who, "place": word.place}
    store.insert(connection, t.stops, [row], keep=False)
    return True


def last_word(connection: Connection, target: str) -> Stop | None:
    """What was said last of a target; None: nothing ever."""
    s = t.stops.c
    query = select(s.target, s.at_ms, s.what, s.who, s.place).where(s.target == target).order_by(s.at_ms.desc(), s.entry).limit(1)
    row = connection.execute(query).first()
    return Stop(*row) if row else None


def stopped(connection: Connection) -> dict[str, Stop]:
    """{target: who stopped it and when} of all that are stopped now."""
    s = t.stops.c
    query = select(s.target, s.at_ms, s.what, s.who, s.place).order_by(s.at_ms, s.entry.desc())
    last = {row.target: Stop(*row) for row in connection.execute(query)}
    return {target: word for target, word in last.items() if word.what == "stop"}


def withheld(connection: Connection, run: str, target: str) -> int:
    """How many messages were not sent because a target was stopped."""
    box = t.outbox.c
    counted = select(func.count()).where(box.run == run, box.target == target, box.state == "stopped")
    return int(connection.execute(counted).scalar_one())
