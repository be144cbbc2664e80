"""Months as partitions: what a batch's writes cost more, what reading admissions would, and how long the upgrade and a drop take.

Two databases of one PostgreSQL hold the same rows over thirteen months: one divided as migration 0014 does it, one with plain tables.
"""

import os
import random
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from sqlalchemy import text

from bench.pipeline import Ratio
from groundswell.names import LIVE_RUN, TICK_MS
from groundswell.records import Admission, Increment, Position, Story
from groundswell.store import schema as t
from groundswell.store.derived import insert_increments, insert_stories
from groundswell.store.drop_months import drop_month
from groundswell.store.facts import write_intake
from groundswell.store.months import Month
from groundswell.store.partitions import PARTITIONED, divide, make_months
from groundswell.store.store import Store
from tests.groundswell.store.synthetic_texts import DIFFERENT, different
from tests.peers import fresh_database, postgres_cluster

ROWS: Final = int(os.environ.get("GROUNDSWELL_BENCH_DOCUMENTS", "1000000"))
NOW: Final = Month(2026, 11)
MONTHS: Final = [NOW.after(number) for number in range(-12, 1)]
BATCH, ROUNDS = 500, 31
MODEL: Final = "bench"
_FIRST, _LAST = MONTHS[0].first_tick, NOW.last_tick
_SPREAD: Final = f"""(SELECT n, left(md5(n::text), 16) AS id, {_FIRST} + (n * CAST({_LAST} - {_FIRST} AS bigint) / :rows) AS tick
    FROM generate_series(0, :rows - 1) AS n) AS spread"""
"""So many rows, evenly over the months."""
_FILL: Final = {
    "admissions": f"""INSERT INTO admissions
        (run, part, position, place, known_ms, tick, source, language, outcome, document_id, content_hash)
        SELECT '{LIVE_RUN}', n % 16, n, 0, tick * {TICK_MS}, tick, 'wire', 'en', 'scored', id, id FROM {_SPREAD}""",
    "increments": f"""INSERT INTO increments (run, series, tick, pane, daily, documents, negative, body)
        SELECT '{LIVE_RUN}', 'entity:C' || n % 500, tick, tick / 20, false, 1, 1, convert_to(repeat(id, 8), 'UTF8') FROM {_SPREAD}
        ON CONFLICT DO NOTHING""",
    "stories": f"""INSERT INTO stories (run, series, story, founded_ms, tick, digest)
        SELECT '{LIVE_RUN}', 'entity:C' || n % 500, id, tick * {TICK_MS}, tick, convert_to(repeat(id, 16), 'UTF8') FROM {_SPREAD}""",
}
_LOOK_UP: Final = """SELECT found.* FROM unnest(CAST(:keys AS text[])) AS wanted(key) JOIN LATERAL (
    SELECT document_id, content_hash, part, position, place FROM {table} AS a WHERE a.document_id = wanted.key AND a.run = :run OFFSET 0
    ) AS found ON true"""


@dataclass(frozen=True)
class Pair:
    """The same rows, divided and plain."""

    divided: Store
    plain: Store


def of_months(_folder: Path) -> list[Ratio]:
    """Writes of a batch, look-ups of a batch, the upgrade, and the drop of a month."""
    with ExitStack() as stack:
        server = stack.enter_context(postgres_cluster(more=["shared_buffers=512MB"]))
        divided, plain = (stack.enter_context(closing(Store(stack.enter_context(fresh_database(server))))) for _ in range(2))
        with divided.write() as connection:
            make_months(connection, MONTHS)
        _undivide(plain)
        for store in (divided, plain):
            _fill(store)
        pair = Pair(divided, plain)
        return [_writes(pair), _look_ups(plain), *_once(pair)]


def _undivide(store: Store) -> None:
    """As the release before made them."""
    with store.write() as connection:
        for name in PARTITIONED:
            connection.execute(text(f"DROP TABLE {name} CASCADE"))
        t.metadata.create_all(connection, tables=[t.metadata.tables[name] for name in PARTITIONED])


def _fill(store: Store) -> None:
    with store.engine.begin() as connection:
        for statement in _FILL.values():
            connection.execute(text(statement), {"rows": ROWS})
    with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))


# --- a batch ------------------------------------------------------------------------------------------------------------------
def _writes(pair: Pair) -> Ratio:
    """All rows of a batch of documents, two series each, in one transaction; the two databases in turn."""
    took: dict[str, list[float]] = {"divided": [], "plain": []}
    for number in range(ROUNDS):
        jobs = [("divided", pair.divided), ("plain", pair.plain)]
        for name, store in jobs if number % 2 else reversed(jobs):
            took[name].append(_write_batch(store, number))
    divided, plain = median(took["divided"]), median(took["plain"])
    detail = (
        f"median of {ROUNDS} batches of {BATCH} documents, in turn: {divided * 1000:.0f} and {plain * 1000:.0f} ms; {ROWS:,} rows a table"
    )
    return Ratio("writes of a batch, increments and stories in partitions", "plain tables", divided / plain, "at most 1.05", detail)


def _write_batch(store: Store, number: int) -> float:
    admissions, documents, scores, increments, stories = [], [], [], [], []
    for place in range(BATCH):
        name, tick = f"{number:08x}{place:08x}", _LAST - 5_000 + number * 10 + place % 10
        document, score, _ = different()[(number * BATCH + place) % DIFFERENT]
        document = msgspec.structs.replace(document, document_id=name, content_hash=name)
        documents.append(document)
        scores.append(msgspec.structs.replace(score, document_id=name, content_hash=name, model_id=MODEL))
        admissions.append(
            Admission(
                position=Position(0, 10**9 + number * BATCH + place), known_ms=tick * TICK_MS, source="wire", language="en",
                outcome="scored", document_id=name, content_hash=name, model_id=None,
            )
        )  # fmt: skip
        for series in (f"entity:N{place}", f"topic:{place}"):
            members = {name: {"wire": [1, 1, 0, 0, 900_000, 1, 1]}}
            increments.append(Increment(series=series, tick=tick, pane=tick // 20, daily=False, members=members, negatives=[]))
            stories.append(Story(series=series, story=name, founded_ms=tick * TICK_MS, tick=tick, digest=bytes(256)))
    began = time.perf_counter()
    with store.write() as connection:
        write_intake(store, connection, LIVE_RUN, admissions=admissions, documents=documents, scores=scores)
        insert_increments(store, connection, LIVE_RUN, increments)
        insert_stories(store, connection, LIVE_RUN, stories)
    return time.perf_counter() - began


def _look_ups(plain: Store) -> Ratio:
    """Why admissions stay one table: each document of a batch is looked for by its id, in every month there is."""
    columns = ", ".join(column.name for column in t.admissions.columns)
    with plain.write() as connection:
        connection.execute(text("CREATE TABLE tried (LIKE admissions) PARTITION BY RANGE (tick)"))
        for month in MONTHS:
            bounds = f"FROM ({month.first_tick}) TO ({month.last_tick + 1})"
            connection.execute(text(f"CREATE TABLE tried_{month.year}_{month.number} PARTITION OF tried FOR VALUES {bounds}"))
        connection.execute(text(f"INSERT INTO tried ({columns}) SELECT {columns} FROM admissions WHERE tick <= {_LAST}"))
        connection.execute(text("CREATE INDEX ON tried (run, document_id)"))
        connection.execute(text("ANALYZE tried"))
    took: dict[str, list[float]] = {"tried": [], "admissions": []}
    chance = random.Random(1)
    with plain.read() as connection:
        for number in range(ROUNDS):
            keys = [f"{chance.randrange(2**64):016x}" for _ in range(BATCH)]
            for table in ("tried", "admissions") if number % 2 else ("admissions", "tried"):
                began = time.perf_counter()
                connection.execute(text(_LOOK_UP.format(table=table)), {"keys": keys, "run": LIVE_RUN}).all()
                took[table].append(time.perf_counter() - began)
    divided, one = median(took["tried"]), median(took["admissions"])
    detail = f"{BATCH} ids, {len(MONTHS)} months: {divided * 1000:.1f} and {one * 1000:.1f} ms"
    return Ratio("looking a batch's documents up, were admissions in partitions", "one table, as it is", divided / one, "-", detail)


# --- once -----------------------------------------------------------------------------------------------------------------------
def _once(pair: Pair) -> list[Ratio]:
    """The upgrade of a store of so many rows, and one month less."""
    rows = []
    for name in PARTITIONED:
        number = _count(pair.plain, name)
        began = time.perf_counter()
        with pair.plain.write() as connection:
            divide(connection, name, now_ms=NOW.begin_ms)
        seconds = time.perf_counter() - began
        detail = f"{number:,} rows in {seconds:.1f} s; as many again on the disk meanwhile"
        rows.append(Ratio(f"upgrade: dividing {name}, seconds for a million rows", "1 s", seconds * 1e6 / number, "-", detail))
    began = time.perf_counter()
    gone = drop_month(pair.divided, MONTHS[0], now_ms=NOW.begin_ms)
    seconds = time.perf_counter() - began
    records = gone["admissions"]
    detail = f"{records:,} records in {seconds:.1f} s; partitions at once, records and what no run needs in pieces"
    return [*rows, Ratio("dropping a month, seconds for 100,000 records", "1 s", seconds * 1e5 / records, "-", detail)]


def _count(store: Store, table: str) -> int:
    with store.read() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())
