"""The nearest pipeline in Bytewax: `python -m bytewax.run bytewax_flow:flow -r RECOVERY`, two processes of it as one cluster.

    raw topic -> documents -> score -> one contribution for each series -> windows by event time -> PostgreSQL

It reads to the end of the topic and closes all windows there: raw partitions are read at different speeds, and with a shorter wait
the slower ones' would be late. Recovery is switched on. What it promises (https://docs.bytewax.io/v0.20.0/guide/concepts/recovery.html):
state and offsets are snapshot together; after a crash outputs since the last snapshot come again, so systems behind it should be
idempotent. The upsert of a closed window is; the rows of facts are.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import bytewax.operators as op
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, fold_window
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from plain import WINDOW_MS
from records import BROKER, FACTS, TOPIC, WINDOWS, WITH_FACTS, Writer, contributions, fact, opened

MESSAGES = 100  # a batch of the source
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LENGTH = timedelta(milliseconds=WINDOW_MS)


class Rows(DynamicSink[Any]):
    """Rows of one table, a transaction for each batch that comes."""

    def __init__(self, statement: str) -> None:
        self._statement = statement

    def build(self, *_: object) -> "Part":
        """One connection for each worker."""
        return Part(self._statement)


class Part(StatelessSinkPartition[Any]):
    """One worker's share."""

    def __init__(self, statement: str) -> None:
        self._statement, self._writer = statement, Writer()

    def write_batch(self, items: list[tuple[object, ...]]) -> None:
        """Write what has come."""
        self._writer.write(self._statement, items)


def timed(documents: list[Any]) -> Iterable[tuple[str, tuple[datetime, int]]]:
    """Contributions by series, with their event time."""
    for document in documents:
        for series, at_ms, negative in contributions(document):
            yield series, (EPOCH + timedelta(milliseconds=at_ms), negative)


flow = Dataflow("nearest")
messages = op.input("raw", flow, KafkaSource([BROKER], [TOPIC], tail=False, batch_size=MESSAGES))
documents = op.flat_map_batch("open", messages, lambda batch: [record for message in batch for record in opened(message.value)])
if WITH_FACTS:
    rows = op.flat_map_batch("fact", documents, lambda batch: [tuple(fact(record).values()) for record in batch])
    op.output("facts", rows, Rows(FACTS))
windows = fold_window(
    "count",
    op.flat_map_batch("contribute", documents, timed),
    EventClock(ts_getter=lambda value: value[0], wait_for_system_duration=timedelta(days=1)),
    TumblingWindower(length=LENGTH, align_to=EPOCH),
    builder=lambda: (0, 0),
    folder=lambda counts, value: (counts[0] + 1, counts[1] + value[1]),
    merger=lambda a, b: (a[0] + b[0], a[1] + b[1]),
    ordered=False,
)
closed = op.map("row", windows.down, lambda item: (item[0], item[1][0] * WINDOW_MS, *item[1][1]))
op.output("windows", closed, Rows(WINDOWS))
