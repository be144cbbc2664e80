"""How long a live run takes from a crawler's hands to a stored score and to a folded tick.

One score, one fold and one desk process, a broker that stamps by append time, and the crawler's own sink in this process. PostgreSQL
notes when each transaction was committed (`track_commit_timestamp`): the times are those of the rows, not of somebody who polls.
A tick is 15 s and is closed when every raw partition has passed it, for which crawlers and score workers send punctuations every two
seconds: that, not work, is most of the time to a folded tick. An alert would be stored by the desk, which then looks for folded ticks
every half second.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
from sqlalchemy import text

from bench.material import documents, instruments, serve_cheap
from bench.pipeline import Ratio
from groundswell.clock import SystemClock
from groundswell.names import LIVE_RUN, TICK_MS
from groundswell.records import RawDocument
from groundswell.store.store import Store
from ingest.sink import KafkaSink
from stream.operators.normalise import identity
from stream.shells.topics import KIND_LIVE, prepare_run
from tests.kafka_run import KafkaRun, kafka_run
from tests.peers import fresh_database, kafka_cluster, postgres_cluster

RATES = (10.0, 100.0)
PHASE_S = 40.0
FIRST_RATE, FASTER, STEP_S = 300.0, 1.4, 8.0
SHARE = 0.6
PUT_EVERY_S = 0.1
TICK_EVERY_S = 2.0  # as the crawler does
BEHIND_S = 2.0  # what is not scored within it has not kept up
PROMISED_S = 2.0  # p95 to a score, of a live run
SCORED = """
SELECT extract(epoch FROM pg_xact_commit_timestamp(s.xmin)) * 1000 - d.fetched_ms
FROM documents d JOIN scores s USING (document_id, content_hash) WHERE d.fetched_ms BETWEEN :since AND :until
"""
FOLDED = """
WITH folded AS (SELECT tick, max(extract(epoch FROM pg_xact_commit_timestamp(xmin))) * 1000 AS at_ms FROM increments GROUP BY tick)
SELECT f.at_ms - d.fetched_ms
FROM documents d JOIN admissions a USING (document_id, content_hash) JOIN folded f ON f.tick = a.tick
WHERE a.outcome = 'scored' AND d.fetched_ms BETWEEN :since AND :until
"""
CLOCK = SystemClock()


@dataclass(frozen=True)
class Phase:
    """Documents that were handed over at one rate."""

    rate: float
    since_ms: int
    until_ms: int
    sent: int


@dataclass
class Feed:
    """A crawler that always finds something."""

    sink: KafkaSink
    found: Iterator[RawDocument]
    ticked_s: float = 0.0

    def at(self, rate: float, seconds: float) -> Phase:
        """Hand documents over at a rate, in time slices; what is late is made up for."""
        since_ms, began_s, sent = CLOCK.now_ms(), time.monotonic(), 0
        while (past_s := time.monotonic() - began_s) < seconds:
            due = int(rate * past_s) - sent
            if due > 0:
                now_ms = CLOCK.now_ms()
                self.sink.put([self._fetched(now_ms) for _ in range(due)])
                sent += due
            if time.monotonic() - self.ticked_s > TICK_EVERY_S:
                self.sink.tick()
                self.ticked_s = time.monotonic()
            time.sleep(max(0.0, PUT_EVERY_S - (time.monotonic() - began_s - past_s)))
        return Phase(sent / seconds, since_ms, CLOCK.now_ms(), sent)

    def _fetched(self, now_ms: int) -> RawDocument:
        return msgspec.structs.replace(next(self.found), fetched_ms=now_ms, published_ms=now_ms - 1_000, known_ms=None)


def of_a_live_run(folder: Path, phase_s: float = PHASE_S, step_s: float = STEP_S) -> list[Ratio]:
    """Percentiles at 10 and at 100 documents per second and at 60 % of the highest rate that keeps up."""
    folder.mkdir(parents=True)
    with kafka_cluster() as bootstrap, postgres_cluster(more=["track_commit_timestamp=on"]) as server, fresh_database(server) as url:
        store = Store(url)
        prepare_run(store, bootstrap, LIVE_RUN, kind=KIND_LIVE, instruments=instruments())
        sink = KafkaSink(bootstrap, identity=_identity, spool=folder / "spool", clock=CLOCK)
        feed = Feed(sink, documents(10_000_000, per_s=1.0))
        with kafka_run(bootstrap, url, LIVE_RUN, folder / "workers", main=serve_cheap) as workers:
            workers.start("fold", 0)
            workers.start("score", 0)
            workers.start("desk", 0)
            begun = feed.at(10.0, 2.0)
            workers.wait(partial(_all_scored, store, begun), what="the workers' start", within_s=120)
            phases = [feed.at(rate, phase_s) for rate in RATES]
            most, over = _highest(feed, store, workers, step_s)
            phases.append(feed.at(SHARE * most, phase_s))
            _wait_until_folded(feed, workers)
            if workers.ended:
                message = f"workers have ended: {workers.ended}"
                raise RuntimeError(message)
        lines = [line for phase in phases for line in _lines(store, phase, most=most, over=over)]
        sink.close()
        store.close()
    return lines


def _identity(raw: RawDocument) -> str:
    return identity(raw, text=f"{raw.title} {raw.text}")


def _highest(feed: Feed, store: Store, workers: KafkaRun, step_s: float) -> tuple[float, float]:
    """The highest rate whose documents were scored in time, in steps, and the first one that was too high; then the rest is worked off."""
    rate, most = FIRST_RATE, 0.0
    while True:
        step = feed.at(rate, step_s)
        time.sleep(BEHIND_S)
        if not _all_scored(store, step):
            workers.wait(partial(_all_scored, store, step), what="scoring what was too much", within_s=120)
            return most, step.rate
        most, rate = step.rate, rate * FASTER


def _all_scored(store: Store, phase: Phase) -> bool:
    return len(_late(store, SCORED, phase)) == phase.sent


def _wait_until_folded(feed: Feed, workers: KafkaRun) -> None:
    end_ms = CLOCK.now_ms() + TICK_MS

    def folded() -> bool:
        feed.sink.tick()
        return workers.folded_through(end_ms)

    workers.wait(folded, what="folding", within_s=90)


def _late(store: Store, statement: str, phase: Phase) -> list[float]:
    """Milliseconds of each document of a phase that has come so far, sorted."""
    with store.read() as connection:
        rows = connection.execute(text(statement), {"since": phase.since_ms, "until": phase.until_ms})
        return sorted(float(late) for (late,) in rows)


def _lines(store: Store, phase: Phase, *, most: float, over: float) -> list[Ratio]:
    what = f"{phase.rate:,.0f} documents per second"
    if phase.rate > max(RATES) * 1.05:
        what += f", {SHARE:.0%} of {most:,.0f}, the highest rate that kept up ({over:,.0f} did not)"
    scored, folded = _late(store, SCORED, phase), _late(store, FOLDED, phase)
    return [
        Ratio(
            f"p95 from fetched to scored at {what}",
            f"{PROMISED_S:.0f} s",
            percentile(scored, 95) / 1_000 / PROMISED_S,
            "at most 1",
            f"{percentiles(scored)} s of {len(scored):,} documents; {phase.sent - len(scored)} missing",
        ),
        Ratio(
            f"p95 from fetched to its tick folded at {what.split(',')[0]}",
            "a tick, 15 s",
            percentile(folded, 95) / TICK_MS,
            "printed",
            f"{percentiles(folded)} s; no alert came; a desk looks for folded ticks every half second",
        ),
    ]


def percentile(ordered: list[float], share: int) -> float:
    """The value that `share` percent of sorted values do not exceed.

    >>> percentile([1.0, 2.0, 3.0, 4.0], 50)
    2.0
    """
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]


def percentiles(late_ms: list[float]) -> str:
    """Three of them in seconds, in words."""
    return "p50 / p95 / p99: " + " / ".join(f"{percentile(late_ms, share) / 1_000:.2f}" for share in (50, 95, 99))
