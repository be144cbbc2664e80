"""What fold keeps of a burst, by how its known times are spread: the pure fold, without Kafka and store, each rate in a process of its own.

What fold remembers is bounded by known time (leaders of stories: three days, windows: one, hours of baselines: 56) and by count (leaders of
a series), not by how many documents there are: a burst of a few hours only grows, one of weeks does so by its hours and series.
"""

import gc
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

from bench.material import BEGIN_MS, CheapScorer, documents, instruments
from bench.pipeline import Ratio
from bench.processes import rss_bytes
from groundswell.names import HOUR_MS
from groundswell.records import Arrival, Document
from stream.operators.admit import ClosedTick, tick_of
from stream.operators.contribute import contribute
from stream.operators.normalise import normalise
from stream.operators.stories import LEADER_BYTES, LEADERS_MAX
from stream.pipeline import Fold, Folded
from tests.kafka_run import CONTEXT

DOCUMENTS: Final = 64_000
RATES_PER_S: Final = (50.0, 0.074)  # on the known axis: the burst of `resources`, and a small archive of ten days
PARTS: Final = 8


class Kept(NamedTuple):
    """What there is when an eighth more of the documents has been folded."""

    used_bytes: int
    leaders: int


def of_kept_state(folder: Path, count: int = DOCUMENTS) -> list[Ratio]:
    """Memory of the pure fold in the last quarter of a burst against its second, by rate on the known axis."""
    folder.mkdir(parents=True)
    lines = []
    for per_s in RATES_PER_S:
        with ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
            marks = pool.submit(measure_kept, count, per_s).result()
        second, last = marks[PARTS // 2 - 1], marks[-1]
        hours = count / per_s * 1_000 / HOUR_MS
        grown = (last.used_bytes - second.used_bytes) / (count / 2)
        lines.append(
            Ratio(
                f"memory of the fold at the end of {hours:,.1f} hours of known time",
                "after half of them",
                last.used_bytes / second.used_bytes,
                "printed",
                f"{last.used_bytes / 2**20:,.0f} against {second.used_bytes / 2**20:,.0f} MiB, {grown:,.0f} bytes a document; "
                f"{last.leaders:,} against {second.leaders:,} leaders of {LEADER_BYTES} bytes, at most {LEADERS_MAX:,} a series; "
                f"{count:,} documents, {per_s:g}/s on the known axis",
            )
        )
    return lines


def measure_kept(count: int, per_s: float) -> list[Kept]:
    """Memory and live leaders after each eighth of the documents, beyond what the process had at its beginning."""
    fold, scorer = Fold(instruments().rules), CheapScorer()
    gc.collect()
    before, done, marks = rss_bytes(os.getpid()), 0, list[Kept]()
    for tick, found in groupby(_documents(count, per_s), key=lambda document: tick_of(document.known_ms)):
        new = list(found)
        scored = zip(new, scorer.score(new), strict=True)
        contributions = [each for document, score in scored if score is not None for each in contribute(document, score)]
        heard = Counter(document.source for document in new)
        arrivals = [Arrival(source, "en", new[0].known_ms, documents) for source, documents in sorted(heard.items())]
        contributions.sort(key=lambda each: (each.known_ms, each.document_id, each.series))
        fold.step(ClosedTick(tick, contributions, arrivals), Folded())
        done += len(new)
        if done * PARTS >= (len(marks) + 1) * count:
            gc.collect()
            leaders = sum(len(memory.leaders) for memory in fold.series.values())
            marks.append(Kept(rss_bytes(os.getpid()) - before, leaders))
    return marks


def _documents(count: int, per_s: float) -> Iterator[Document]:
    return (normalise(raw, known_ms=raw.known_ms or BEGIN_MS) for raw in documents(count, per_s=per_s))
