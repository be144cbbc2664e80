"""Documents per second through Kafka with a scorer that costs nothing: this project, a bare loop with the same rows, and two others.

All read one raw topic of one broker and write into one PostgreSQL server (fsync off for all). Ours is one score and one fold process.
The bare loop is one process: it reads and decodes every record and inserts the rows that a finished run left, in transactions that hold
as many documents as the score stage's did. The others do less: no admissions, no stories, no detectors; see bench/rivals/.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

from aiokafka import AIOKafkaConsumer
from sqlalchemy import func, select, text

from bench.material import ENVELOPE_RECORDS, SERIES, documents, end_ms, instruments, publish, serve_cheap
from bench.pipeline import Ratio
from bench.rival_runs import BYTEWAX, QUIX, Rival, install, seconds
from groundswell.codec import decode_raw, records_of
from groundswell.errors import RecordError
from groundswell.names import raw_topic
from groundswell.store import schema as t
from groundswell.store.store import Store
from stream.shells.topics import prepare_run
from tests.kafka_run import kafka_run
from tests.peers import fresh_database, kafka_cluster, postgres_cluster

DOCUMENTS = 60_000  # a run of 20,000 lasts five seconds, one of which is the workers' first round
PER_S = 50.0  # on the known axis
ROUNDS = 3
WITHIN_S = 400
PROMISE = "ours: every row once, whatever process, broker or database dies (docs/faults.md)"
Tables = dict[str, list[dict[str, Any]]]


def of_the_stream(folder: Path, count: int = DOCUMENTS, rounds: int = ROUNDS) -> list[Ratio]:
    """One score and one fold process against a bare loop, Quix Streams and Bytewax."""
    folder.mkdir(parents=True)
    with kafka_cluster() as bootstrap, postgres_cluster() as server:
        run, rows, batch = _prepared(folder, bootstrap, server, count)
        missing = install(folder / "venv")
        jobs: dict[str, Callable[[int], float]] = {
            "ours": lambda number: _ours(folder, bootstrap, server, count=count, number=number),
            "bare": lambda _: _bare(bootstrap, server, run, rows, count=count, batch=batch),
        }
        for rival in (QUIX, BYTEWAX) if missing is None else ():
            for facts in (0, count):
                jobs[f"{rival.name}{facts}"] = _job(rival, folder, bootstrap, server, run, counts=SERIES * count, facts=facts)
        found, failed = _in_turn(jobs, rounds)
    inserted = sum(map(len, rows.values()))
    what = (
        f"{count:,} documents in envelopes of {ENVELOPE_RECORDS}, {PER_S:.0f}/s on the known axis, {inserted / count:.1f} rows a document, "
        f"medians of {rounds} runs"
    )
    lines = [
        Ratio(
            "documents per second through Kafka, score, fold and store",
            f"a bare aiokafka loop that decodes the same records and inserts the same rows, {batch:,} documents a transaction",
            found["bare"] / found["ours"],
            "at least 0.5",
            f"{count / found['ours']:,.0f} against {count / found['bare']:,.0f} documents/s; {what}; "
            f"{PROMISE}; the loop: nothing, it keeps no offset",
        )
    ]
    for rival in (QUIX, BYTEWAX):
        for facts, job in ((0, "counts in windows of 5 minutes only"), (count, "the same, and a row of text and score for each document")):
            lines.append(_beside(rival, job, found, missing or failed.get(f"{rival.name}{facts}"), facts=facts, count=count))
    return lines


def _beside(rival: Rival, job: str, found: dict[str, float], missing: str | None, *, facts: int, count: int) -> Ratio:
    what, against = "documents per second through Kafka, score, fold and store", f"{rival.name}, two processes: {job}"
    if missing is not None:
        return Ratio(what, against, float("nan"), "at least 1", f"not measured: {missing}")
    theirs, ours = found[f"{rival.name}{facts}"], found["ours"]
    return Ratio(
        what,
        against,
        theirs / ours,
        "at least 1",
        f"{count / ours:,.0f} against {count / theirs:,.0f} documents/s; {rival.promise}; {PROMISE}",
    )


def _in_turn(jobs: dict[str, Callable[[int], float]], rounds: int) -> tuple[dict[str, float], dict[str, str]]:
    """Medians of seconds by job, run in turn, forwards and backwards; and why a job gave up."""
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    failed: dict[str, str] = {}
    for number in range(rounds):
        for name in list(jobs) if number % 2 == 0 else list(reversed(jobs)):
            if name in failed:
                continue
            try:
                taken[name].append(jobs[name](number))
            except RuntimeError as error:
                failed[name] = " ".join(str(error).split())[-300:]
                print(error)
                continue
            print(f"  round {number}, {name}: {taken[name][-1]:.1f} s", flush=True)
    return {name: median(each) for name, each in taken.items() if each}, failed


def _job(rival: Rival, folder: Path, bootstrap: str, server: str, run: str, *, counts: int, facts: int) -> Callable[[int], float]:
    def once(number: int) -> float:
        place = folder / f"{rival.name.split()[0].lower()}-{facts}-{number}"
        with fresh_database(server) as url:
            return seconds(
                rival, folder / "venv", place, bootstrap=bootstrap, topic=raw_topic(run), database=url, counts=counts, facts=facts
            )

    return once


# --- ours -----------------------------------------------------------------------------------------------------------------
def _prepared(folder: Path, bootstrap: str, server: str, count: int) -> tuple[str, Tables, int]:
    """A first run, to warm up: its raw topic is what the others read, its rows what the bare loop inserts."""
    rows: Tables = {}
    with fresh_database(server) as url:
        _work(folder, bootstrap, url, run="prepared", count=count)
        store = Store(url)
        with store.read() as connection:
            for table in t.metadata.sorted_tables:
                rows[table.name] = [dict(row) for row in connection.execute(select(table)).mappings()]
            # Rows of one transaction have one xmin, or that of its savepoint.
            transactions = connection.execute(text("SELECT count(DISTINCT xmin::text) FROM admissions")).scalar_one()
        store.close()
    return "prepared", rows, max(1, count // transactions)


def _ours(folder: Path, bootstrap: str, server: str, *, count: int, number: int) -> float:
    with fresh_database(server) as url:
        return _work(folder, bootstrap, url, run=f"ours{number}", count=count)


def _work(folder: Path, bootstrap: str, url: str, *, run: str, count: int) -> float:
    """Seconds for all documents, the workers' start not counted."""
    store = Store(url)
    prepare_run(store, bootstrap, run, kind="backfill", instruments=instruments())
    publish(documents(count, per_s=PER_S), bootstrap, run)
    with kafka_run(bootstrap, url, run, folder / run, main=serve_cheap) as workers:
        workers.start("fold", 0)
        workers.start("score", 0)
        workers.wait(lambda: _admitted(store) > 0, what="the first documents", within_s=120)
        begun, began_s = _admitted(store), time.perf_counter()
        workers.wait(lambda: workers.folded_through(end_ms(count, per_s=PER_S)), what="folding", within_s=WITHIN_S)
        seconds_taken = (time.perf_counter() - began_s) * count / max(1, count - begun)
        if workers.ended:
            message = f"workers have ended: {workers.ended}"
            raise RuntimeError(message)
    store.close()
    return seconds_taken


def _admitted(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(t.admissions)).scalar_one())


# --- the bare loop ----------------------------------------------------------------------------------------------------------
def _bare(bootstrap: str, server: str, run: str, rows: Tables, *, count: int, batch: int) -> float:
    with fresh_database(server) as url:
        store = Store(url)
        seconds_taken = asyncio.run(_loop(bootstrap, raw_topic(run), store, rows, count=count, batch=batch))
        store.close()
    return seconds_taken


async def _loop(bootstrap: str, topic: str, store: Store, rows: Tables, *, count: int, batch: int) -> float:
    """Read and decode every record; for each batch of documents, insert the share of every table's rows in one transaction."""
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    began_s, seen, done = time.perf_counter(), 0, 0
    try:
        while done < count:
            for messages in (await consumer.getmany(timeout_ms=1_000)).values():
                for message in messages:
                    seen += _decoded(message.value)
                    if seen - done >= batch or seen == count:
                        _insert(store, rows, begin=done / count, end=seen / count)
                        done = seen
        return time.perf_counter() - began_s
    finally:
        await consumer.stop()


def _insert(store: Store, rows: Tables, *, begin: float, end: float) -> None:
    with store.write() as connection:
        for table in t.metadata.sorted_tables:
            found = rows[table.name]
            store.insert(connection, table, found[round(begin * len(found)) : round(end * len(found))])


def _decoded(envelope: bytes) -> int:
    bodies = records_of(envelope)
    for body in bodies:
        with suppress(RecordError):
            decode_raw(body)
    return len(bodies)
