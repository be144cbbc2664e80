from itertools import pairwise

import pytest

from groundswell.codec import encode
from groundswell.errors import RecordError
from groundswell.names import CONTRIBUTION_PARTITIONS, partition_of
from groundswell.records import Arrival, Contribution, Envelope, Heartbeat, RawDocument
from stream.operators.admit import BEGINNING_MS, StampClock
from stream.shells.wire import FoldItem, FoldPart, RawBatch, RawMessage, fold_messages, open_fold_message, punctuation, stamp_message


def document(known_ms: int | None) -> bytes:
    return encode(RawDocument(source="s", title="t", known_ms=known_ms))


def envelope(*records: bytes, time_ms: int | None = None) -> bytes:
    head = b'{"v":1,"time_ms":%s,"records":[' % (b"null" if time_ms is None else str(time_ms).encode())
    return head + b",".join(records) + b"]}"


def stamps(body: bytes, *, live: bool, clock: StampClock | None = None) -> tuple[list[int], int]:
    clock = clock or StampClock()
    found = stamp_message(RawMessage(4, 5_000, body), 3, clock, live=live)
    assert [(r.position.partition, r.position.offset, r.position.index) for r in found] == [(3, 4, n) for n in range(len(found))]
    return [record.known_ms for record in found], clock.time_ms


# --- time ---------------------------------------------------------------------------------------------------------------
def test_live_records_are_stamped_with_the_append_time_whatever_they_say() -> None:
    assert stamps(envelope(document(1), document(9_999), time_ms=77_000), live=True) == ([5_000, 5_000], 5_000)


def test_an_append_time_that_goes_back_does_not_take_the_partition_with_it() -> None:
    assert stamps(envelope(document(None)), live=True, clock=StampClock(8_000)) == ([8_000], 8_000)


def test_archive_records_are_stamped_with_their_own_known_time_and_never_with_the_append_time() -> None:
    assert stamps(envelope(document(10), document(30)), live=False) == ([10, 30], 30)


def test_an_archive_record_that_cannot_say_its_known_time_takes_its_envelopes() -> None:
    beat = encode(Heartbeat(source="s", fetched_ms=3, ok=True))
    assert stamps(envelope(beat, time_ms=40), live=False, clock=StampClock(20)) == ([40], 40)


def test_without_any_time_of_its_own_an_archive_record_takes_the_partitions_time() -> None:
    assert stamps(b"\xff\xfe", live=False, clock=StampClock(20)) == ([20], 20)


@pytest.mark.parametrize(("live", "time_ms", "after"), [(True, None, 5_000), (False, 60, 60), (False, None, 20)])
def test_a_punctuation_has_no_records_and_moves_only_time(live: bool, time_ms: int | None, after: int) -> None:
    assert stamps(punctuation(time_ms), live=live, clock=StampClock(20)) == ([], after)


# --- what is no envelope --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("body", [b"", b"\x00", b"[1]", b'{"v":"x","records":[]}', document(7), b'{"hello":1}'])
def test_a_message_that_is_no_envelope_is_one_record_with_its_bytes(body: bytes) -> None:
    found = stamp_message(RawMessage(4, 5_000, body), 3, StampClock(), live=True)
    assert [record.body for record in found] == [body]


def test_an_envelope_of_a_later_schema_is_refused_and_not_guessed_at() -> None:
    with pytest.raises(RecordError, match="schema version 2, this release reads 1; upgrade the workers before the crawlers"):
        stamp_message(RawMessage(4, 5_000, encode(Envelope(v=2))), 3, StampClock(), live=True)


# --- fold messages ----------------------------------------------------------------------------------------------------------
def contribution(series: str, number: int) -> Contribution:
    return Contribution(
        series=series, document_id=f"d{number}", known_ms=number, published_ms=0, daily=False, fresh=True, owner="o", owner_known=True,
        sentiment="neutral", negative_ppm=0, digest=bytes(256),
    )  # fmt: skip


def batch(items: int, *, series: str = "entity:SVB") -> RawBatch:
    made = [FoldItem.of(10 + n, [Arrival("s", "en", n, 1)], [contribution(series, n)]) for n in range(items)]
    return RawBatch(partition=2, first=8, last=10 + items, time_ms=99, items=made)


def opened(pieces: list[bytes]) -> list[FoldPart]:
    return [part for piece in pieces for part in open_fold_message(piece).parts]


def test_every_partition_hears_arrivals_and_time_but_only_its_own_contributions() -> None:
    messages = fold_messages([batch(3)])
    assert len(messages) == CONTRIBUTION_PARTITIONS
    for partition, pieces in enumerate(messages):
        (part,) = opened(pieces)
        assert (part.partition, part.first, part.last, part.time_ms) == (2, 8, 13, 99)
        assert [arrival.documents for item in part.items for arrival in item.arrivals] == [1, 1, 1]
        mine = partition == partition_of("entity:SVB", CONTRIBUTION_PARTITIONS)
        assert [len(item.contributions) for item in part.items] == [int(mine)] * 3


def test_a_batch_of_punctuations_still_brings_time_to_every_partition() -> None:
    messages = fold_messages([RawBatch(partition=2, first=8, last=9, time_ms=99, items=[])])
    assert all(opened(pieces) == [FoldPart(2, 8, 9, 99, [])] for pieces in messages)


def test_large_messages_are_split_between_raw_messages_and_only_the_last_piece_moves_time() -> None:
    whole = batch(40)
    pieces = fold_messages([whole, batch(1)], size_max=3_000)[partition_of("entity:SVB", CONTRIBUTION_PARTITIONS)]
    assert max(map(len, pieces)) <= 3_000
    parts = opened(pieces)
    first_batch = parts[:-1]
    assert len(first_batch) > 2
    assert [item for part in first_batch for item in part.items] == whole.items
    assert [part.time_ms for part in first_batch] == [None] * (len(first_batch) - 1) + [99]
    assert first_batch[0].first == whole.first
    assert first_batch[-1].last == whole.last
    assert all(later.first == earlier.last + 1 for earlier, later in pairwise(first_batch))


def test_one_item_above_the_limit_goes_alone_rather_than_not_at_all() -> None:
    pieces = fold_messages([batch(1)], size_max=10)[partition_of("entity:SVB", CONTRIBUTION_PARTITIONS)]
    assert len(pieces) == 1


@pytest.mark.parametrize("body", [b"", b'{"v":1}', b'{"v":2,"parts":[]}'])
def test_a_foreign_message_in_the_contribution_topic_stops_fold(body: bytes) -> None:
    with pytest.raises(RecordError):
        open_fold_message(body)


def test_a_clock_that_has_not_begun_stamps_nothing_before_the_beginning() -> None:
    assert stamps(b"nothing", live=False) == ([BEGINNING_MS], BEGINNING_MS)
