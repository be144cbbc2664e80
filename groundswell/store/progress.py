"""Who owns a partition, and how far it has come: one row, fenced by epoch and revision.

claim   -> epoch + 1, revision 0       every earlier owner of the row is a zombie from here on
confirm -> the same condition, for a transaction that moves nothing
advance -> only where epoch and revision are still the caller's; otherwise nothing of its transaction is stored

An owner that finds revision 0 follows one that committed nothing. It may only have been idle; but the work before it may also be
what killed it, so the first batch is done with care (stream/shells/isolation.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, bindparam, select, update

from groundswell.errors import ContinuityError, OwnershipLostError
from groundswell.names import ROLE_SCORE
from groundswell.store import schema as t
from groundswell.store.store import Store

NEVER_TICK = -(2**62)


@dataclass(frozen=True)
class Claim:
    """A partition (or the desk) as its owner last committed it."""

    run: str
    role: str  # names.ROLE_*
    part: int
    epoch: int
    revision: int
    owner: str
    next_offset: int = 0  # lowest offset that still has to be read
    time_ms: int = NEVER_TICK  # the partition's time
    closed_tick: int = NEVER_TICK  # last tick folded, or decided
    log_id: str | None = None
    follows_death: bool = False  # the owner before this one ended before its first commit, or while it scored a record alone


def claim(store: Store, run: str, role: str, *, part: int = 0, owner: str, log_id: str | None = None) -> Claim:
    """Take ownership: whoever had it before can store nothing any more.

    Raises:
        ContinuityError: the row belongs to another log (a recreated topic, a restored database).
    """
    with store.write() as connection:
        where = and_(t.progress.c.run == run, t.progress.c.role == role, t.progress.c.part == part)
        store.insert(
            connection,
            t.progress,
            [
                {
                    "run": run, "role": role, "part": part, "epoch": 0, "owner": "", "revision": 0,
                    "next_offset": 0, "time_ms": NEVER_TICK, "closed_tick": NEVER_TICK, "log_id": log_id,
                }
            ],
        )  # fmt: skip
        row = connection.execute(select(t.progress).where(where).with_for_update()).mappings().one()
        if log_id is not None and row["log_id"] not in (None, log_id):
            reason = (
                f"progress of run {run!r}, {role} {part}: it belongs to log {row['log_id']}, but this is log {log_id}; "
                "the topic or log file was recreated, or the database restored: start a new run, or restore the log"
            )
            raise ContinuityError(reason)
        taken = Claim(
            run=run,
            role=role,
            part=part,
            epoch=row["epoch"] + 1,
            revision=0,
            owner=owner,
            next_offset=row["next_offset"],
            time_ms=row["time_ms"],
            closed_tick=row["closed_tick"],
            log_id=log_id or row["log_id"],
            follows_death=(row["epoch"] > 0 and row["revision"] == 0) or (role == ROLE_SCORE and _has_suspects(connection, run, part)),
        )
        connection.execute(update(t.progress).where(where).values(epoch=taken.epoch, revision=0, owner=owner, log_id=taken.log_id))
    return taken


def _has_suspects(connection: Connection, run: str, part: int) -> bool:
    s = t.suspects.c
    return connection.execute(select(s.position).where(s.run == run, s.part == part).limit(1)).first() is not None


class Move(NamedTuple):
    """Where one owner's progress goes."""

    claim: Claim
    next_offset: int
    time_ms: int
    closed_tick: int

    @property
    def made(self) -> Claim:
        """The claim to use from then on."""
        return replace(
            self.claim,
            revision=self.claim.revision + 1,
            next_offset=self.next_offset,
            time_ms=self.time_ms,
            closed_tick=self.closed_tick,
            follows_death=False,
        )


def advance(connection: Connection, claim: Claim, *, next_offset: int, time_ms: int, closed_tick: int) -> Claim:
    """Move progress within the caller's transaction; a zombie's whole transaction is undone by the error.

    Returns:
        The claim to use from now on.

    Raises:
        OwnershipLostError: another owner has claimed the row, or has committed in this owner's name.
    """
    return advance_all(connection, [Move(claim, next_offset, time_ms, closed_tick)])[0]


def advance_all(connection: Connection, moves: Sequence[Move]) -> list[Claim]:
    """The same of several rows of one process at once: all of them or none, in the given order.

    Whoever moves several rows in one transaction goes through them by partition, so that two owners cannot lock each other.

    Raises:
        OwnershipLostError: one of the rows has another owner.
    """
    if not moves:
        return []
    made = [move.made for move in moves]
    given = [
        {f"of_{name}": getattr(move.claim, name) for name in _OWNED} | {name: getattr(claimed, name) for name in _MOVED}
        for move, claimed in zip(moves, made, strict=True)
    ]
    if connection.execute(_ADVANCE, given if len(given) > 1 else given[0]).rowcount != len(moves):
        raise _replaced(next(move.claim for move in moves if not _is_made(connection, move)))
    return made


_OWNED: Final = ("run", "role", "part", "epoch", "revision")
_MOVED: Final = ("revision", "next_offset", "time_ms", "closed_tick")
_ADVANCE: Final = (
    update(t.progress)
    .where(*(t.progress.c[name] == bindparam(f"of_{name}") for name in _OWNED))
    .values({name: bindparam(name) for name in _MOVED})
)


def _is_made(connection: Connection, move: Move) -> bool:
    row, made = t.progress.c, move.made
    mine = and_(row.run == made.run, row.role == made.role, row.part == made.part)
    found = connection.execute(select(row.epoch, row.revision).where(mine)).one_or_none()
    return found is not None and tuple(found) == (made.epoch, made.revision)


def confirm(connection: Connection, claim: Claim) -> None:
    """Be sure of ownership within the caller's transaction without moving progress: nothing new was read.

    Raises:
        OwnershipLostError: another owner has claimed the row.
    """
    row = t.progress.c
    mine = and_(row.run == claim.run, row.role == claim.role, row.part == claim.part)
    now = connection.execute(select(row.epoch, row.revision).where(mine).with_for_update()).one_or_none()
    if now is None or tuple(now) != (claim.epoch, claim.revision):
        raise _replaced(claim)


def _replaced(claim: Claim) -> OwnershipLostError:
    return OwnershipLostError(
        f"run {claim.run!r}, {claim.role} {claim.part}: owner {claim.owner} (epoch {claim.epoch}) has been replaced; "
        "nothing of this commit was stored: end this process, the new owner goes on"
    )


def progress_of(connection: Connection, run: str, role: str) -> list[Claim]:
    """All rows of a role, by partition."""
    row = t.progress.c
    found = connection.execute(select(t.progress).where(row.run == run, row.role == role).order_by(row.part)).mappings()
    return [Claim(**dict(values)) for values in found]
