"""What an answer leads to: the next pages of a source, and the articles that it lists. Bounded, in order, and nothing twice.

An article is asked once. What could not be asked this time (too many, too long, the host wants rest, an error) waits on disk and is
asked by a later poll, whether or not the source still lists it; after five tries it is given up, and counted. One that fails takes
no other with it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import msgspec

from groundswell.clock import Clock
from groundswell.errors import reason_of
from groundswell.masking import mask_secrets, spellings
from groundswell.records import RawDocument
from ingest.catalogue import Source
from ingest.fetch import Fetched
from ingest.memory import Memory, Waiting, item_id
from ingest.parsers import LostReaderError, OffLoop
from ingest.types.base import Credentials, HttpType, Parsed, Request
from ingest.types.json_api import with_parameters

__all__ = ["Asked", "Followed", "Get", "follow"]

REQUESTS_MAX: Final = 50  # of one poll, besides the source itself
WAITING_FIRST: Final = 10  # of these, for what has waited longest
WAITING_MAX: Final = 2_000  # of one source
TRIES_MAX: Final = 5
FOLLOW_MS_MAX: Final = 180_000  # of one poll; its host is waited for by others
_GONE: Final = frozenset({404, 410})
_REST: Final = frozenset({429, 503})

Get = Callable[[str, Mapping[str, str]], Awaitable[Fetched]]
"""Asks one address with some request headers, with the manners that its source needs; never raises for what the network does."""


class Asked:
    """How one source is asked: its key is added to each request here, and taken out of whatever comes back.

    Args:
        kind: the source's type.
        source: its entry.
        get: how an address is asked.
        credentials: what it is asked with.
        off_loop: where answers are read.
    """

    def __init__(
        self, kind: HttpType, source: Source, *, get: Get, credentials: Credentials, off_loop: OffLoop = asyncio.to_thread
    ) -> None:
        self.kind, self.source, self._off_loop = kind, source, off_loop
        self._get, self._credentials, self._known = get, credentials, spellings(credentials.secrets)

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Fetched:
        """Ask one address of this source."""
        credentials = self._credentials if self.kind.leads_to(url, source=self.source) else Credentials()
        fetched = await self._get(with_parameters(url, credentials.parameters), {**(headers or {}), **credentials.headers})
        if not self._known:
            return fetched
        reason = mask_secrets(fetched.reason, self._known) if fetched.reason else None
        # A new address that holds the key would be stored; it is learned from the catalogue instead.
        moved = fetched.moved_to if fetched.moved_to and mask_secrets(fetched.moved_to, self._known) == fetched.moved_to else None
        return msgspec.structs.replace(fetched, reason=reason, moved_to=moved)

    async def read(self, fetched: Fetched, asked: Request, *, fetched_ms: int) -> Parsed:
        """What an answer holds; one that hangs its reader or kills it is not readable."""
        try:
            parse = partial(self.kind.parse, asked=asked, source=self.source, fetched_ms=fetched_ms)
            return await self._off_loop(parse, fetched.body, fetched.headers)
        except LostReaderError as error:
            return Parsed(records=[], problem=reason_of(error))


@dataclass
class Followed:
    """What a poll brought, all answers together."""

    records: list[RawDocument] = field(default_factory=list)  # the oldest first
    keys: list[str] = field(default_factory=list)  # of articles that were read, or are still listed and were read before
    waiting: list[Waiting] | None = None  # None: as before
    entries: int = 0
    reason: str | None = None  # what could not be read
    retry_after: str | None = None  # as a host said it that wants rest
    lost: bool = False  # something could neither be read nor kept waiting


async def follow(asked: Asked, first: Parsed | None, *, waiting: Sequence[Waiting] | None, memory: Memory, clock: Clock) -> Followed:
    """Ask what an answer leads to, and what still waits.

    Args:
        asked: how the source is asked.
        first: its own answer; None: it has not changed, or was none.
        waiting: what waits from earlier polls; None: the source is in trouble, leave its host alone.
        memory: which items and articles were seen.
        clock: when it takes too long.
    """
    if waiting is None:
        return Followed()
    walk = _Walk(asked, memory, clock, clock.now_ms() + FOLLOW_MS_MAX)
    if first is not None:
        walk.take(first)
    await walk.pages()
    await walk.articles(waiting)
    return walk.result()


class _Walk:
    def __init__(self, asked: Asked, memory: Memory, clock: Clock, until_ms: int) -> None:
        self._asked, self._memory, self._clock, self._until_ms = asked, memory, clock, until_ms
        self._answers: list[list[RawDocument]] = []  # each the newest first
        self._pages: deque[Request] = deque()
        self._listed: dict[str, Request] = {}  # articles by their keys, the newest first
        self._read: list[RawDocument] = []  # of articles, the oldest first
        self._done: list[str] = []
        self._left: list[Waiting] = []
        self._problems: Counter[str] = Counter()
        self._budget = REQUESTS_MAX
        self._tried = self._entries = 0
        self._resting = False
        self._retry_after: str | None = None
        self._addresses: set[str] = {asked.source.url}

    def take(self, parsed: Parsed) -> None:
        """Note what an answer of the source, or a page of it, holds."""
        source = self._asked.source
        self._entries += parsed.entries
        if parsed.problem:
            self._problems[parsed.problem] += 1
        self._answers.append(parsed.records)
        items = [item_id(record) for record in parsed.records]
        further = self._asked.kind.reads_on() or not items or bool(self._memory.unseen(source, items))
        for request in parsed.follow:
            if not self._asked.kind.leads_to(request.url, source=source):
                self._problems["leads to another host: name it in hosts if it is meant"] += 1
            elif request.role == "article":
                self._listed.setdefault(request.key, request)
            elif further and request.url not in self._addresses:
                self._addresses.add(request.url)
                self._pages.append(request)

    async def pages(self) -> None:
        """Ask further pages, in order, as long as they bring something new; one that failed waits."""
        while self._pages:
            request = self._pages.popleft()
            parsed = await self._ask_or_wait(Waiting(request))
            if parsed is not None:
                self.take(parsed)

    async def articles(self, waiting: Sequence[Waiting]) -> None:
        """Ask what waited longest, and the newest of what is listed and was not read; hand over the oldest first."""
        source = self._asked.source
        # A page that this poll was led to anyway has been asked, or waits anew.
        waiting = [one for one in waiting if one.request.role == "article" or one.request.url not in self._addresses]
        known = {one.request.key or one.request.url for one in waiting}
        unseen = self._memory.unseen(source, list(self._listed))
        self._done += [key for key in self._listed if key not in unseen]
        new = [Waiting(request) for key, request in self._listed.items() if key in unseen and key not in known]
        patient = min(len(waiting), max(WAITING_FIRST, self._budget - len(new)), self._budget)
        room = max(self._budget - patient, 0)
        chosen = [*waiting[:patient], *reversed(new[:room])]
        self._left += [*waiting[patient:], *reversed(new[room:])]
        for one in chosen:
            parsed = await self._ask_or_wait(one)
            if parsed is None:
                continue
            if one.request.role == "article":
                self._done.append(one.request.key)
            self._read += reversed(parsed.records)
            if parsed.problem:
                self._problems[parsed.problem] += 1
            for request in parsed.follow:  # the further pages of a thread
                if self._asked.kind.leads_to(request.url, source=source) and request.url not in self._addresses:
                    self._addresses.add(request.url)
                    self._pages.append(request)
            await self.pages()

    async def _ask_or_wait(self, one: Waiting) -> Parsed | None:
        """The answer to one request, or None: then it waits, or it was given up."""
        if self._budget <= 0 or self._resting or self._clock.now_ms() >= self._until_ms:
            self._left.append(one)
            return None
        request = one.request
        self._budget -= 1
        self._tried += 1
        fetched = await self._asked.get(request.url)
        if 200 <= fetched.status < 300:
            parsed = await self._asked.read(fetched, request, fetched_ms=self._clock.now_ms())
            if parsed.readable:
                return parsed
            self._problems[parsed.problem or "not readable"] += 1
            if request.role == "article":
                # What the listing said of it is all that there is; asking again would bring the same.
                return Parsed(records=[request.said] if request.said is not None else [])
            self._again(one)
            return None
        if fetched.resting:  # nobody was asked, and nothing is wrong
            self._resting = True
            self._left.append(one)
            return None
        self._problems[fetched.reason or f"HTTP {fetched.status}"] += 1
        if fetched.status in _REST:
            self._resting, self._retry_after = True, fetched.headers.get("retry-after")
        if fetched.status in _GONE or fetched.refused:
            self._done += [request.key] if request.key else []
        else:
            self._again(one)
        return None

    def _again(self, one: Waiting) -> None:
        if one.tries + 1 < TRIES_MAX:
            self._left.append(Waiting(one.request, one.tries + 1))
            return
        self._problems[f"given up after {TRIES_MAX} tries"] += 1
        if one.request.key:
            self._done.append(one.request.key)

    def result(self) -> Followed:
        """All of it."""
        left = self._left[-WAITING_MAX:]  # the longest waiting make room
        if len(left) < len(self._left):
            self._problems[f"more than {WAITING_MAX} requests wait, the oldest were given up"] += 1
        on = self._asked.kind.reads_on()
        in_order = self._answers if on else reversed(self._answers)
        listed = [record for answer in in_order for record in reversed(answer)]
        return Followed(
            records=[*listed, *self._read],
            keys=self._done,
            waiting=left,
            entries=self._entries,
            reason=self._said(len(left)),
            retry_after=self._retry_after,
            lost=len(left) < len(self._left),
        )

    def _said(self, left: int) -> str | None:
        parts = [f"{reason} ({count} times)" if count > 1 else reason for reason, count in self._problems.most_common(5)]
        if self._tried and self._problems:
            parts.insert(0, f"of {self._tried} further requests")
        if left:
            parts.append(f"{left} wait for the next poll")
        return "; ".join(parts)[:500] or None
