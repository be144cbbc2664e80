"""One poll of one source: what is asked, what came back, what of it is new. Changes nothing: the crawler keeps what it says.

What an answer leads to (further pages, articles) is in `ingest/follow.py`.
"""

import asyncio
import os
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from groundswell.clock import Clock
from groundswell.errors import UsageError, reason_of
from groundswell.metrics import PollResult
from groundswell.records import Heartbeat, RawDocument
from ingest.catalogue import Source
from ingest.fetch import Fetched
from ingest.follow import Asked, Followed, Get, follow
from ingest.memory import Memory, Waiting, item_id
from ingest.parsers import OffLoop
from ingest.polite import LONGEST_MS, Answer, SourceState, after, retry_after_ms, validators
from ingest.types.base import HttpType, Parsed, Request
from ingest.types.intake import IntakeType
from ingest.types.table import type_of

__all__ = ["Get", "Poll", "ask"]

_VALIDATORS: Final = ("etag", "last-modified")


def _nothing() -> None:
    pass


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll of one source led to."""

    heartbeat: Heartbeat
    result: PollResult
    documents: list[RawDocument] = []  # the new ones
    items: list[str] = []  # every item of the answer and every article that was read: what is still shown is not forgotten
    state: SourceState
    waiting: list[Waiting] | None = None  # the requests that wait from now on; None: as before
    mark: str | None = None  # how far a source was read that is not asked over HTTP; None: as before
    done: Callable[[], None] = _nothing  # called once the sink and the memory have all of it


async def ask(
    source: Source,
    state: SourceState,
    *,
    get: Get,
    memory: Memory,
    clock: Clock,
    off_loop: OffLoop = asyncio.to_thread,
    environ: Mapping[str, str] = os.environ,
) -> Poll:
    """Ask one source, and tell what is new from what was seen before.

    Args:
        source: its catalogue entry.
        state: what is remembered of it.
        get: how an address is asked.
        memory: which items were seen, and what waits.
        clock: fills `fetched_ms`.
        off_loop: where the answer is read.
        environ: where keys and passwords are.

    Raises:
        DependencyError: the memory refuses.
    """
    kind = type_of(source)
    if isinstance(kind, IntakeType):
        return await _take(kind, source, state, memory=memory, clock=clock, environ=environ)
    if not isinstance(kind, HttpType):
        message = f"source {source.name}: type {source.type} is not polled"
        raise UsageError(message)
    try:
        asked = Asked(kind, source, get=get, credentials=kind.credentials(environ), off_loop=off_loop)
    except UsageError as error:
        return _failed(source, state, reason_of(error), now_ms=clock.now_ms())
    fetched = await asked.get(state.address, validators(state))
    now_ms = clock.now_ms()
    parsed = None
    start = Request(url=state.address)
    if 200 <= fetched.status < 300:
        parsed = await asked.read(fetched, start, fetched_ms=now_ms)
    ok = fetched.status == 304 or (parsed is not None and parsed.readable)
    followed = await follow(asked, parsed if ok else None, waiting=memory.waiting(source) if ok else None, memory=memory, clock=clock)
    # The oldest first: most answers list the newest first, and a log is read in its order.
    items = {item_id(record): record for record in followed.records}
    unseen = memory.unseen(source, list(items))
    documents = [record for item, record in items.items() if item in unseen]
    heartbeat = Heartbeat(
        source=source.name,
        fetched_ms=now_ms,
        ok=ok,
        fetched=followed.entries,
        new=len(documents),
        reason=followed.reason if ok else _reason(fetched, parsed),
    )
    return Poll(
        heartbeat=heartbeat,
        result=_result(fetched, ok, len(documents)),
        documents=documents,
        items=[*items, *followed.keys],
        state=_after(state, fetched, parsed, followed, source=source, now_ms=now_ms),
        waiting=followed.waiting,
    )


def _after(state: SourceState, fetched: Fetched, parsed: Parsed | None, followed: Followed, *, source: Source, now_ms: int) -> SourceState:
    changed = after(state, _answer(fetched, parsed, lost=followed.lost), source=source, now_ms=now_ms)
    # An article that asks for rest speaks for its host.
    rest_ms = retry_after_ms(followed.retry_after, now_ms) or 0
    return msgspec.structs.replace(changed, next_ms=max(changed.next_ms, now_ms + rest_ms))


def _answer(fetched: Fetched, parsed: Parsed | None, *, lost: bool) -> Answer:
    readable = parsed is not None and parsed.readable
    # An answer that is none (a login page, a notice) must not be confirmed as "not modified" for ever; nor one of which something
    # could neither be read nor kept waiting.
    confirmed = parsed is None or (readable and not lost)
    return Answer(
        status=fetched.status,
        headers=fetched.headers if confirmed else {k: v for k, v in fetched.headers.items() if k not in _VALIDATORS},
        moved_to=fetched.moved_to if readable or fetched.status == 304 else None,
        ttl_s=parsed.ttl_s if parsed else None,
        update_s=parsed.update_s if parsed else None,
    )


def _reason(fetched: Fetched, parsed: Parsed | None) -> str:
    if parsed is not None:
        return parsed.problem or "not readable"
    return fetched.reason or f"HTTP {fetched.status}"


def _result(fetched: Fetched, ok: bool, new: int) -> PollResult:
    if ok:
        return "new" if new else "not_modified" if fetched.status == 304 else "nothing_new"
    return "refused" if fetched.refused or 400 <= fetched.status < 500 else "failed"


# --- what is not asked over HTTP ------------------------------------------------------------------------------------------
async def _take(kind: IntakeType, source: Source, state: SourceState, *, memory: Memory, clock: Clock, environ: Mapping[str, str]) -> Poll:
    mark = memory.mark(source)

    def unseen(keys: list[str]) -> set[str]:
        return memory.unseen(source, keys)

    now_ms = clock.now_ms()
    taken = await asyncio.to_thread(kind.take, source=source, mark=mark, unseen=unseen, environ=environ, fetched_ms=now_ms)
    if not taken.ok:
        return _failed(source, state, taken.problem or "not readable", now_ms=now_ms)
    items = {item_id(record): record for record in taken.records}
    new = memory.unseen(source, list(items))
    documents = [record for item, record in items.items() if item in new]
    beat = Heartbeat(source=source.name, fetched_ms=now_ms, ok=True, fetched=len(taken.records), new=len(documents), reason=taken.problem)
    return Poll(
        heartbeat=beat,
        result="new" if documents else "nothing_new",
        documents=documents,
        items=[*items, *taken.keys],
        state=msgspec.structs.replace(state, troubles=0, next_ms=now_ms + _every_ms(source)),
        mark=taken.mark,
        done=taken.done,
    )


def _failed(source: Source, state: SourceState, reason: str, *, now_ms: int) -> Poll:
    """A poll in which nobody could be asked: each time in a row doubles the wait."""
    wait_ms = min(_every_ms(source) * 2 ** min(state.troubles, 10), LONGEST_MS)
    return Poll(
        heartbeat=Heartbeat(source=source.name, fetched_ms=now_ms, ok=False, reason=reason),
        result="failed",
        state=msgspec.structs.replace(state, troubles=state.troubles + 1, next_ms=now_ms + wait_ms),
    )


def _every_ms(source: Source) -> int:
    kind = type_of(source)
    usual_s = kind.look_every_s if isinstance(kind, IntakeType) else 3_600
    return (source.every_s or usual_s) * 1_000
