"""One poll of one source: what is asked, what came back, what of it is new. Changes nothing: the crawler keeps what it says."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from groundswell.clock import Clock
from groundswell.metrics import PollResult
from groundswell.records import Heartbeat, RawDocument
from ingest.catalogue import Source
from ingest.feed import Parsed, parse
from ingest.fetch import Fetched
from ingest.memory import Memory, item_id
from ingest.polite import Answer, SourceState, after, validators

__all__ = ["Get", "Poll", "ask"]

Get = Callable[[str, Mapping[str, str]], Awaitable[Fetched]]
"""Asks one address with some request headers, with the manners that its source needs; never raises for what the network does."""

_VALIDATORS: Final = ("etag", "last-modified")


class Poll(msgspec.Struct, frozen=True, kw_only=True):
    """What one poll of one source led to."""

    heartbeat: Heartbeat
    result: PollResult
    documents: list[RawDocument] = []  # the new ones
    items: list[str] = []  # every item of the answer: what a feed still shows is not forgotten
    state: SourceState


async def ask(source: Source, state: SourceState, *, get: Get, memory: Memory, clock: Clock) -> Poll:
    """Ask one source, and tell what is new from what was seen before.

    Args:
        source: its catalogue entry.
        state: what is remembered of it.
        get: how an address is asked.
        memory: which items were seen.
        clock: fills `fetched_ms`.

    Raises:
        DependencyError: the memory refuses.
    """
    fetched = await get(state.address, validators(state))
    now_ms = clock.now_ms()
    parsed = None
    if 200 <= fetched.status < 300:
        parsed = await asyncio.to_thread(parse, fetched.body, fetched.headers, source=source, fetched_ms=now_ms)
    # The oldest first: feeds list the newest first, and a log is read in its order.
    # What the catalogue says of the text goes with each record, whatever type of source made it.
    items = {item_id(r): msgspec.structs.replace(r, store_text=source.may_store_text) for r in reversed(parsed.records)} if parsed else {}
    unseen = memory.unseen(source, list(items))
    documents = [record for item, record in items.items() if item in unseen]
    ok = fetched.status == 304 or (parsed is not None and parsed.is_feed)
    heartbeat = Heartbeat(
        source=source.name,
        fetched_ms=now_ms,
        ok=ok,
        fetched=parsed.entries if parsed else 0,
        new=len(documents),
        reason=None if ok else _reason(fetched, parsed),
    )
    changed = after(state, _answer(fetched, parsed), source=source, now_ms=now_ms)
    return Poll(heartbeat=heartbeat, result=_result(fetched, ok, len(documents)), documents=documents, items=list(items), state=changed)


def _answer(fetched: Fetched, parsed: Parsed | None) -> Answer:
    readable = parsed is not None and parsed.is_feed
    return Answer(
        status=fetched.status,
        # An answer that is no feed (a login page, a notice) must not be confirmed as "not modified" for ever.
        headers=fetched.headers if readable or parsed is None else {k: v for k, v in fetched.headers.items() if k not in _VALIDATORS},
        moved_to=fetched.moved_to if readable or fetched.status == 304 else None,
        ttl_s=parsed.ttl_s if parsed else None,
        update_s=parsed.update_s if parsed else None,
    )


def _reason(fetched: Fetched, parsed: Parsed | None) -> str:
    if parsed is not None:
        return parsed.problem or "not a feed"
    return fetched.reason or f"HTTP {fetched.status}"


def _result(fetched: Fetched, ok: bool, new: int) -> PollResult:
    if ok:
        return "not_modified" if fetched.status == 304 else "new" if new else "nothing_new"
    return "refused" if fetched.refused or 400 <= fetched.status < 500 else "failed"
