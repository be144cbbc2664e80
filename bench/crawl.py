"""Fetch, parse, publish: the crawler beside Scrapy, 400 sources on loopback, the same parser and the same log for both.

`python -m bench.crawl PORT HOSTS ITEMS FOLDER PARSERS` is the crawler's own side, a process like the other.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, NamedTuple

from bench.pipeline import Ratio
from bench.processes import MemoryWatch, cpu_s, highest_in_quarter, with_children
from bench.replays import ROOT
from bench.rival_runs import install
from bench.rivals.feeds import addresses

SCRAPY: Final = "scrapy==2.19.0"
HOSTS: Final = 400
ITEMS_PER_FEED: Final = 25
ITEMS: Final = 30_000  # of each run beside Scrapy
LONG_ITEMS: Final = 200_000  # of the run whose memory is watched: caches are full after a quarter of it
ROUNDS: Final = 3
WANTED_PER_S: Final = 2_000
RIVALS: Final = ROOT / "bench" / "rivals"


class Run(NamedTuple):
    """One crawl."""

    per_s: float  # items
    cpu_s: float  # of the crawler and its readers
    memory: list[int]  # bytes, a sample each half second


def crawl(folder: Path) -> list[Ratio]:
    """Items a second beside Scrapy, and alone for longer: fast enough, and its memory flat."""
    items, long_items = (int(os.environ.get(name, value)) for name, value in (("CRAWL_ITEMS", ITEMS), ("CRAWL_LONG_ITEMS", LONG_ITEMS)))
    folder.mkdir(parents=True)
    problem = install(folder / "scrapy", packages=(SCRAPY,))
    if problem is not None:
        print(f"Scrapy could not be installed: {problem}")
        return []
    _lend_packages(folder / "scrapy")
    parsers = len(os.sched_getaffinity(0))
    with _publishers() as port:
        ours, theirs = [], []
        for number in range(ROUNDS):
            ours.append(_own(port, items, folder / f"own-{number}", parsers=parsers))
            theirs.append(_scrapy(port, items, folder / f"scrapy-{number}.db", python=folder / "scrapy" / "bin" / "python"))
        single = _own(port, items, folder / "own-single", parsers=1)
        long = _own(port, long_items, folder / "own-long", parsers=parsers)
    own, other = median(run.per_s for run in ours), median(run.per_s for run in theirs)
    middle, end = highest_in_quarter(long.memory, 2), highest_in_quarter(long.memory, 4)
    work = f"{HOSTS} sources, {ITEMS_PER_FEED} new items an answer, robots.txt obeyed, one request at a time per host"
    return [
        Ratio(
            what="items a second, fetch to published", against=f"Scrapy {SCRAPY.partition('==')[2]}, same parser, same log",
            ratio=own / other, bound="at least 1.5",
            detail=f"{own:,.0f} and {other:,.0f} items/s over {items:,}; {parsers} processes read; with one {single.per_s:,.0f}; "
            f"{median(r.cpu_s for r in ours):.0f} and {median(r.cpu_s for r in theirs):.0f} s of processor, imports included; {work}",
        ),
        Ratio(
            what="items a second, sustained", against=f"{WANTED_PER_S:,} a second", ratio=long.per_s / WANTED_PER_S, bound="at least 1",
            detail=f"{long.per_s:,.0f} items/s over {long_items:,}; {long.cpu_s:.0f} s of processor",
        ),
        Ratio(
            what="memory at the end of that run", against="its second quarter", ratio=end / middle, bound="at most 1.1",
            detail=f"{end / 1e6:.0f} MB and {middle / 1e6:.0f} MB, crawler and readers together",
        ),
    ]  # fmt: skip


@contextmanager
def _publishers() -> Iterator[int]:
    command = [sys.executable, str(RIVALS / "feeds.py"), str(HOSTS), str(ITEMS_PER_FEED)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        assert process.stdin is not None
        process.stdin.close()


def _own(port: int, items: int, folder: Path, *, parsers: int) -> Run:
    return _measured([sys.executable, "-m", "bench.crawl", str(port), str(HOSTS), str(items), str(folder), str(parsers)])


def _scrapy(port: int, items: int, log: Path, *, python: Path) -> Run:
    return _measured([str(python), str(RIVALS / "scrapy_feeds.py"), str(port), str(HOSTS), str(items), str(log)])


def _measured(command: Sequence[str]) -> Run:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, env=environ) as process:
        family = partial(with_children, process.pid)
        with MemoryWatch({"all": family}) as watch:
            assert process.stdout is not None
            said = process.stdout.readline()
            used_s = sum(map(cpu_s, family()))
    if not said or process.returncode:
        message = f"{' '.join(command[:3])} ended with {process.returncode} and said {said!r}"
        raise RuntimeError(message)
    found = json.loads(said)
    return Run(found["items"] / found["seconds"], used_s, watch.samples["all"])


def _lend_packages(environment: Path) -> None:
    """Scrapy's environment sees this one's packages behind its own: the parser is the same to the byte."""
    [site] = environment.glob("lib/python*/site-packages")
    (site / "lent.pth").write_text("".join(f"{path}\n" for path in sys.path if path.endswith("site-packages")))


# --- the crawler's own side -----------------------------------------------------------------------------------------------
async def _crawl(port: int, hosts: int, wanted: int, folder: Path, *, parsers: int) -> dict[str, float]:
    from groundswell.clock import SystemClock
    from groundswell.local_log import LocalLog
    from groundswell.logs import set_up_logs
    from ingest.catalogue import Source
    from ingest.crawler import Crawler
    from ingest.fetch import Fetcher
    from ingest.memory import Memory
    from ingest.parsers import Parsers
    from ingest.sink import LocalLogSink, RawRecord
    from ingest.types.base import Request
    from ingest.types.feed import Feed

    class Counting(LocalLogSink):
        """Says when there are enough."""

        def put(self, records: Sequence[RawRecord]) -> None:
            super().put(records)
            self.items = getattr(self, "items", 0) + len(records) - 1  # the heartbeat
            if self.items >= wanted:
                loop.call_soon_threadsafe(stop.set)

    set_up_logs(level="error")
    loop, stop, clock = asyncio.get_running_loop(), asyncio.Event(), SystemClock()
    sources = [
        Source(name=address, owner="o", url=f"http://{address}:{port}/rss", every_s=0, allow_private=True) for address in addresses(hosts)
    ]
    with LocalLog(folder / "raw.log") as log, Memory(folder / "crawler.db") as memory:
        sink = Counting(log, clock=clock)
        async with Fetcher() as fetcher, Parsers(parsers) as readers:
            crawler = Crawler(sources, sink=sink, memory=memory, fetcher=fetcher, clock=clock, host_gap_ms=0, off_loop=readers.run)
            # Scrapy's clock starts behind its imports; so does this one, behind those of the readers.
            await asyncio.gather(
                *(
                    readers.run(Feed().parse, b"", {}, asked=Request(url=source.url), source=source, fetched_ms=0)
                    for source in sources[:parsers]
                )
            )
            began_s = loop.time()
            await crawler.run(stop)
            return {"seconds": loop.time() - began_s, "items": sink.items}


if __name__ == "__main__":
    port, hosts, wanted, folder, parsers = sys.argv[1:]
    print(json.dumps(asyncio.run(_crawl(int(port), int(hosts), int(wanted), Path(folder), parsers=int(parsers)))), flush=True)
