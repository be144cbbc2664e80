"""A world to try the workers in: two topics, a broker's clocks, crawlers, and processes that a crash takes the memory of.

Nothing happens by itself: a test says who takes, sends, acknowledges, dies or loses a partition, and in what order. Small on
purpose (three raw partitions, four contribution partitions), so that what can meet does meet.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import select

from groundswell.codec import encode
from groundswell.errors import OwnershipLostError
from groundswell.names import DAY_MS, ROLE_FOLD, ROLE_SCORE, content_id, partition_of
from groundswell.records import Envelope, RawDocument
from groundswell.store import schema as t
from groundswell.store.progress import progress_of
from groundswell.store.store import Store
from stream.operators.admit import tick_of
from stream.operators.lead import Lead
from stream.shells.desk_worker import DeskWorker
from stream.shells.fold_process import COMMIT_RECORDS, FoldProcess, SharedHours
from stream.shells.fold_worker import FoldInput, FoldPartition
from stream.shells.instruments import open_run
from stream.shells.intake_stage import IntakeStage
from stream.shells.score_process import TOGETHER_BYTES, ScoreProcess
from stream.shells.score_worker import ScorePartition
from stream.shells.wire import RawBatch, RawMessage, fold_messages, open_fold_message, punctuation
from tests import builders as b
from tests.dying_store import DyingStore, Killed
from tests.fake_scorer import COMPANIES

RUN: Final = "r"
RAW: Final = 3
PARTS: Final = 4
LEAD_RECORDS: Final = 12
PIECE_BYTES: Final = 2_500
ROUNDS_MAX: Final = 3_000
DEATHS_AT_THE_END: Final = 8

Death = tuple[int, bool] | None
"""After how many more commits a process dies, and whether it dies after the next one or before it."""

Pieces = list[list[bytes]]
RULES: Final = b.rules(
    forming_days=1, p_open_hour=0.2, p_open_day=0.2, p_hold=0.5, p_share_open=0.9, stories_min_hour=2, stories_min_day=2, owners_min=1,
    repeat_s=600, hold_s=14_400, exposure_min_ppm=0,
)  # fmt: skip


class News(NamedTuple):
    """A document in short: which one, in which words, about whom."""

    number: int  # its id
    edition: int  # other words under the same id
    company: int
    mood: str
    source: int


@cache
def empty_store() -> Path:
    """A migrated database without a run, to be copied: a migration takes longer than an example."""
    path = Path(mkdtemp()) / "empty.db"
    store = Store(str(path))
    with store.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return path


@dataclass
class Crawler:
    """Who brings documents; its clock is its own affair."""

    clock_off_ms: int
    alive: bool = True
    connected: bool = True
    spool: list[tuple[int, bytes]] = field(default_factory=list)  # (raw partition, envelope), in order


@dataclass
class Process:
    """A score or fold worker as it believes itself to be; a zombie believes in partitions that it has lost."""

    name: str
    believes: set[int]
    lives: int = 0
    owned: dict[int, Any] = field(default_factory=dict)
    position: dict[int, int] = field(default_factory=dict)
    hours: SharedHours = field(default_factory=SharedHours)
    outgoing: Pieces = field(default_factory=list)  # score: stored and not sent; pieces of each contribution partition
    behind: dict[int, int] = field(default_factory=dict)  # score: raw partition -> offset to acknowledge when all is sent

    @property
    def owner(self) -> str:
        """Another one in every life."""
        return f"{self.name}-{self.lives}"


@dataclass
class Breakable:
    """The parts that a test may replace by broken ones."""

    score: type[ScorePartition] = ScorePartition
    fold: type[FoldPartition] = FoldPartition
    desk: type[DeskWorker] = DeskWorker
    messages: Callable[[Sequence[RawBatch], int], Pieces] = lambda batches, size_max: fold_messages(
        batches, size_max=size_max, partitions=PARTS
    )
    acknowledges_unsent: bool = False


class World:
    """Topics with their committed offsets, a store, two processes of each agent, two desks and two crawlers.

    Args:
        folder: for the store.
        live: the broker's append time is the stamp; else documents bring their own known times.
        parts: of the code under test.
    """

    def __init__(self, folder: Path, *, live: bool, parts: Breakable) -> None:
        shutil.copy(empty_store(), folder / "store.db")
        self.store, self.live, self.parts = DyingStore(str(folder / "store.db")), live, parts
        self.made = b.instruments(RULES)
        self.now_ms = b.T0_MS
        self.skew_ms = [0] * RAW
        self.raw: list[list[RawMessage]] = [[] for _ in range(RAW)]
        self.contributions: list[list[bytes]] = [[] for _ in range(PARTS)]
        self.needs: list[list[int]] = [[] for _ in range(PARTS)]  # last tick of each contribution message
        self.raw_acknowledged, self.fold_acknowledged = [0] * RAW, [0] * PARTS
        self.delivered = [0] * RAW  # every raw message before it has reached every contribution partition
        self.score_owner, self.fold_owner = [n % 2 for n in range(RAW)], [n % 2 for n in range(PARTS)]
        self.score = [Process(f"score{w}", {n for n in range(RAW) if n % 2 == w}) for w in range(2)]
        self.fold = [Process(f"fold{w}", {n for n in range(PARTS) if n % 2 == w}) for w in range(2)]
        self.desks: list[DeskWorker | None] = [None, None]
        self.crawlers = [Crawler(0), Crawler(-3_600_000)]
        open_run(self.store, RUN, kind="backfill", instruments=self.made)
        self._history()

    def _history(self) -> None:
        """Two days of quiet news and a burst, so that every example has candidates and alerts."""
        for n in range(16):
            self.now_ms += DAY_MS // 8
            self.publish(0, [News(1_000 + n, 0, n % 3, "calm", n % 4)])
        for n in range(6):
            self.now_ms += 40_000
            self.publish(0, [News(2_000 + n, 0, 0, "fraud", n % 4)])

    # --- crawlers and the broker ----------------------------------------------------------------------------------------------
    def publish(self, who: int, news: Sequence[News]) -> None:
        """A crawler has found documents: they go to their raw partitions, or wait on its disk."""
        crawler = self.crawlers[who]
        by_partition: dict[int, list[msgspec.Raw]] = {}
        for one in news:
            raw = self._raw(one, clock_ms=self.now_ms + crawler.clock_off_ms)
            place = partition_of(content_id("id", raw.source, str(raw.id)), RAW)
            by_partition.setdefault(place, []).append(msgspec.Raw(encode(raw)))
        crawler.spool += [(place, encode(Envelope(records=records))) for place, records in by_partition.items()]
        self.deliver(who)

    def deliver(self, who: int) -> None:
        """A crawler's disk is emptied, in order, if it lives and reaches the broker."""
        crawler = self.crawlers[who]
        if crawler.alive and crawler.connected:
            for place, envelope in crawler.spool:
                self.append(place, envelope)
            crawler.spool = []

    def append(self, place: int, body: bytes) -> None:
        """The broker takes a message and stamps it with its leader's clock."""
        self.raw[place].append(RawMessage(len(self.raw[place]), self.now_ms + self.skew_ms[place], body))

    def punctuate(self, place: int) -> None:
        """Let a raw partition's time pass."""
        self.append(place, punctuation(None if self.live else self.now_ms + self.skew_ms[place]))

    def _raw(self, news: News, *, clock_ms: int) -> RawDocument:
        words = b.WORDS.split()
        said = " ".join(words[(news.number * 7 + n * (3 + news.number % 5)) % len(words)] for n in range(8))
        company = COMPANIES[news.company]
        return RawDocument(
            source=f"source{news.source}",
            owner=f"owner{news.source}",
            id=str(news.number),
            title=f"{company} debt {news.mood} {said} {'again' * news.edition}".strip(),
            language="fi" if news.mood == "foreign" else "en",
            published_ms=clock_ms - 60_000,
            fetched_ms=clock_ms,
            known_ms=None if self.live else clock_ms,
        )

    # --- score ----------------------------------------------------------------------------------------------------------------
    def score_takes(self, who: int, sizes: dict[int, int], *, death: Death = None, small: bool = False) -> bool:
        """A score worker stores batches of its partitions; they are still to be sent. Returns whether it took anything."""
        me = self.score[who]
        if me.outgoing:
            return False
        waiting: dict[int, list[RawMessage]] = {}
        for partition in sizes.keys() & me.believes:
            first = me.position.setdefault(partition, self.raw_acknowledged[partition])
            if messages := self.raw[partition][first : first + sizes[partition]]:
                waiting[partition] = messages
        batches: list[RawBatch] = []
        reached: dict[int, int] = {}
        with self._living(me, self.score_owner, death):
            process = self._score_process(me)
            while waiting:
                commits = {partition: mine.claim.revision for partition, mine in me.owned.items()}
                for partition, stored in process.take(waiting, together_bytes=1 if small else TOGETHER_BYTES).items():
                    if stored.messages:
                        batches += stored.batches
                        me.position[partition] += stored.messages
                        reached[partition] = me.position[partition]
                        mine = me.owned[partition]
                        self._check_owner(ROLE_SCORE, partition, me, mine, stored=mine.claim.revision != commits.get(partition, 0))
            me.outgoing = self.parts.messages(batches, PIECE_BYTES if small else 10**6) if batches else []
            me.behind = reached
            if self.parts.acknowledges_unsent:
                self._acknowledge(who, reached)
        return bool(reached) and bool(me.outgoing)

    def _score_process(self, me: Process) -> ScoreProcess:
        stage = IntakeStage(self.store, RUN, self.made.scorer, shared=True)
        lead = partial(Lead, records_max=LEAD_RECORDS, bytes_max=10**9)
        return ScoreProcess(stage, me.owner, "raw", live=self.live, lead=lead, partitions=PARTS, kind=self.parts.score, owned=me.owned)

    def score_sends(self, who: int, to: Sequence[int] = range(PARTS)) -> None:
        """The next piece of what was stored reaches some contribution partitions; a second piece follows only a delivered first one."""
        me = self.score[who]
        longest = max(map(len, me.outgoing), default=0)
        for place in to:
            if longest and len(me.outgoing[place]) == longest:
                self._append_contribution(place, me.outgoing[place].pop(0))
        if me.outgoing and not any(me.outgoing):
            for partition, reached in me.behind.items():
                self.delivered[partition] = max(self.delivered[partition], reached)

    def _append_contribution(self, place: int, body: bytes) -> None:
        self.contributions[place].append(body)
        items = [item for part in open_fold_message(body).parts for item in part.items]
        times = [one.known_ms for item in items for one in item.arrivals] + [one.known_ms for item in items for one in item.contributions]
        self.needs[place].append(tick_of(max(times, default=-(2**62))))

    def score_acknowledges(self, who: int, *, lags: bool) -> None:
        """All is sent: the group's offsets move, later or now; a zombie's are refused."""
        me = self.score[who]
        if me.outgoing and not any(me.outgoing):
            if not lags:
                self._acknowledge(who, me.behind)
            me.outgoing, me.behind = [], {}

    def _acknowledge(self, who: int, reached: dict[int, int]) -> None:
        for partition, offset in reached.items():
            if self.score_owner[partition] == who:
                self.raw_acknowledged[partition] = offset

    # --- fold and desk ----------------------------------------------------------------------------------------------------------
    def fold_takes(
        self, who: int, sizes: dict[int, int], *, death: Death = None, lags: bool = False, records_max: int = COMMIT_RECORDS
    ) -> bool:
        """A fold worker takes messages of partitions, commits what they close, and acknowledges; returns whether there were any."""
        me = self.fold[who]
        waiting: dict[int, list[FoldInput]] = {}
        for partition in sorted(sizes.keys() & me.believes):
            first = me.position.setdefault(partition, self.fold_acknowledged[partition])
            bodies = self.contributions[partition][first : first + sizes[partition]]
            if bodies:
                waiting[partition] = [FoldInput(first + n, body) for n, body in enumerate(bodies)]
        counts = {partition: len(messages) for partition, messages in waiting.items()}
        with self._living(me, self.fold_owner, death):
            process = FoldProcess(
                self.store, RUN, self.made.rules, me.owner, "c", me.hours, RAW, PARTS, kind=self.parts.fold, owned=me.owned
            )
            while waiting:
                commits = {partition: mine.claim.revision for partition, mine in me.owned.items()}
                for partition, done in process.take(waiting, records_max=records_max).items():
                    me.position[partition] += counts[partition]
                    mine = me.owned[partition]
                    self._check_owner(ROLE_FOLD, partition, me, mine, stored=mine.claim.revision != commits.get(partition, 0))
                    if self.fold_owner[partition] == who and not lags:
                        self.fold_acknowledged[partition] = max(done, self.fold_acknowledged[partition])
        return bool(counts)

    def desk_decides(self, which: int, *, death: Death = None) -> bool:
        """One of two desks decides what has closed; the one that was replaced notices, and ends."""
        try:
            with self._dying(death):
                desk = self.desks[which] or self.parts.desk(
                    self.store, RUN, self.made, owner=f"desk{which}", targets=("console",), partitions=PARTS
                )
                self.desks[which] = desk
                return desk.step() is not None
        except (Killed, OwnershipLostError):
            self.desks[which] = None
        return True

    # --- lives ------------------------------------------------------------------------------------------------------------------
    @contextmanager
    def _dying(self, death: Death) -> Iterator[None]:
        self.store.writes_left, self.store.stored = death if death else (None, False)
        try:
            yield
        finally:
            self.store.writes_left = None

    @contextmanager
    def _living(self, me: Process, owners: list[int], death: Death) -> Iterator[None]:
        """What a process does until it dies or finds out that it was replaced; then another life begins."""
        try:
            with self._dying(death):
                yield
        except (Killed, OwnershipLostError):
            self.kill(me, owners)

    def _assigned(self, me: Process, owners: list[int]) -> set[int]:
        return {n for n, who in enumerate(owners) if who == int(me.name[-1])}

    def kill(self, me: Process, owners: list[int]) -> None:
        """A process loses its memory, and begins again with what the group gives it."""
        me.lives += 1
        me.believes, me.owned, me.position = self._assigned(me, owners), {}, {}
        me.outgoing, me.behind, me.hours = [], {}, SharedHours()

    def move(self, agent: str, partition: int, *, noticed: bool) -> None:
        """The group gives a partition to the other process; the former owner notices, or goes on as a zombie."""
        processes, owners = (self.score, self.score_owner) if agent == "score" else (self.fold, self.fold_owner)
        former, heir = processes[owners[partition]], processes[1 - owners[partition]]
        if noticed:
            if partition in former.behind:  # the batch in hand is finished first
                while any(former.outgoing):
                    self.score_sends(owners[partition])
                self.score_acknowledges(owners[partition], lags=False)
            former.believes.discard(partition)
            former.owned.pop(partition, None)
            former.position.pop(partition, None)
        owners[partition] = 1 - owners[partition]
        heir.believes.add(partition)
        heir.owned.pop(partition, None)
        heir.position.pop(partition, None)

    def _check_owner(self, role: str, partition: int, me: Process, mine: Any, *, stored: bool) -> None:
        """Whoever has just committed is the owner of the row."""
        if stored:
            with self.store.read() as connection:
                row = next(row for row in progress_of(connection, RUN, role) if row.part == partition)
            assert (row.owner, row.epoch) == (me.owner, mine.claim.epoch), f"{me.owner} is a zombie and has stored something"

    # --- the end ----------------------------------------------------------------------------------------------------------------
    def drain(self) -> None:
        """Everybody comes back, everything is published, and all of it is worked off."""
        for who, crawler in enumerate(self.crawlers):
            crawler.alive = crawler.connected = True
            self.deliver(who)
        end_ms = self.now_ms + 3 * DAY_MS  # no clock was ever set so far ahead
        for place in range(RAW):
            self.raw[place].append(RawMessage(len(self.raw[place]), end_ms, punctuation(None if self.live else end_ms)))
        for number in range(ROUNDS_MAX):
            if not self._round():
                break
            if number < DEATHS_AT_THE_END:  # a partition that has said its last word must not be forgotten
                self.kill(self.fold[number % 2], self.fold_owner)
        with self.store.read() as connection:
            folded = {row.part: row.time_ms for row in progress_of(connection, RUN, ROLE_FOLD)}
        assert folded == dict.fromkeys(range(PARTS), end_ms), "everything is read, and time has come to the end everywhere"
        while self.desk_decides(0):
            pass

    def _round(self) -> bool:
        moved = False
        for who, me in enumerate(self.score):
            while any(me.outgoing):
                self.score_sends(who)
            self.score_acknowledges(who, lags=False)
            lives = me.lives
            moved |= self.score_takes(who, dict.fromkeys(sorted(me.believes), 4)) or me.lives > lives
        for who, me in enumerate(self.fold):
            lives = me.lives
            moved |= self.fold_takes(who, dict.fromkeys(sorted(me.believes), 6)) or me.lives > lives
        return moved

    def published(self) -> int:
        """Records that the log holds, punctuations not counted."""
        return sum(len(msgspec.json.decode(message.body)["records"]) for messages in self.raw for message in messages)


def rows_of(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every derived row and every fact, by table; counts of what was read belong to the shell that counts them."""
    found = b.export(store, RUN, without=("taken", "suspects", "fetched"))
    with store.read() as connection:
        for table in (t.documents, t.scores):
            found[table.name] = sorted(tuple(row) for row in connection.execute(select(table)))
    return found
