"""What the workers are judged by: ten lines that know nothing of gates, batches, offsets or crashes."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from groundswell.records import Arrival, Contribution, Position, Stamped
from groundswell.store.store import Store
from stream.operators.admit import BEGINNING_MS, ClosedTick, StampClock, tick_of
from stream.pipeline import Fold, Folded
from stream.shells.desk_stage import DeskStage
from stream.shells.fold_process import store_folded
from stream.shells.instruments import open_run
from stream.shells.intake_stage import IntakeStage
from stream.shells.wire import RawMessage, open_envelope
from tests import builders as b
from tests.time_model import RULES, RUN, World, empty_store, rows_of


def stamped(partition: int, messages: Sequence[RawMessage], *, live: bool) -> list[Stamped]:
    """The records of a raw partition: each is known at its own stamp, or at the highest before it."""
    records, time_ms = [], BEGINNING_MS
    for message in messages:
        envelope = open_envelope(message.body)
        assert envelope is not None
        for index, record in enumerate(envelope.records):
            own_ms = message.append_ms if live else msgspec.json.decode(record)["known_ms"]
            time_ms = max(time_ms, own_ms)
            records.append(Stamped(Position(partition, message.offset, index), time_ms, bytes(record)))
        time_ms = max(time_ms, message.append_ms if live else envelope.time_ms or BEGINNING_MS)
    return records


def reference(store: Store, log: Sequence[Sequence[RawMessage]], *, live: bool) -> None:
    """Everything that is in the log, sorted by known time and folded once."""
    made, folded, fold = b.instruments(RULES), Folded(), Fold(RULES)
    open_run(store, RUN, kind="backfill", instruments=made)
    desk = DeskStage(store, RUN, made.display, made.in_force(RUN), ("console",))
    records = sorted((r for p, messages in enumerate(log) for r in stamped(p, messages, live=live)), key=lambda r: (r.known_ms, r.position))
    taken, _ = IntakeStage(store, RUN, made.scorer).take(records, StampClock())
    ticks: dict[int, tuple[list[Contribution], list[Arrival]]] = defaultdict(lambda: ([], []))
    for _, contribution in taken.contributions:
        ticks[tick_of(contribution.known_ms)][0].append(contribution)
    for arrival in taken.arrivals:
        ticks[tick_of(arrival.known_ms)][1].append(arrival)
    with store.write() as connection:
        for tick, (contributions, arrivals) in sorted(ticks.items()):
            in_order = sorted(contributions, key=lambda c: (c.known_ms, c.document_id))
            desk.decide(connection, tick, fold.step(ClosedTick(tick, in_order, arrivals), folded))
        store_folded(store, connection, RUN, folded)


def reference_rows(folder: Path, world: World) -> dict[str, list[tuple[Any, ...]]]:
    """The rows that a world must have when all of its log is worked off."""
    path = folder / "reference.db"
    path.write_bytes(empty_store().read_bytes())
    store = Store(str(path))
    try:
        reference(store, world.raw, live=world.live)
        return rows_of(store)
    finally:
        store.close()
