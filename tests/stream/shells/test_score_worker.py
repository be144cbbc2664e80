from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from groundswell.codec import encode
from groundswell.errors import ContinuityError
from groundswell.names import CONTRIBUTION_PARTITIONS, ROLE_FOLD, ROLE_SCORE
from groundswell.records import Envelope, RawDocument
from groundswell.store.progress import advance, claim, progress_of
from groundswell.store.store import Store
from stream.operators.lead import Lead
from stream.shells.intake_stage import IntakeStage
from stream.shells.score_worker import MESSAGE_HELD_BYTES, ScorePartition
from stream.shells.wire import RawBatch, RawMessage, punctuation
from tests.fake_scorer import FakeScorer

MINUTE_MS = 60_000
NOON_MS = 1_760_011_200_000


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store:
        yield store


def opened(store: Store, *, live: bool = True, lead: Lead | None = None) -> ScorePartition:
    return ScorePartition.open(IntakeStage(store, "r", FakeScorer(), shared=True), 5, owner="o", log_id="t", live=live, lead=lead)


def said(offset: int, minute: int, *names: str) -> RawMessage:
    records = [RawDocument(source="s", id=name, title=f"Aldora {name}", language="en", published_ms=NOON_MS) for name in names]
    body = encode(Envelope(records=[msgspec.Raw(encode(record)) for record in records]))
    return RawMessage(offset, NOON_MS + minute * MINUTE_MS, body)


def quiet(offset: int, minute: int) -> RawMessage:
    return RawMessage(offset, NOON_MS + minute * MINUTE_MS, punctuation())


def known_minutes(batches: list[RawBatch]) -> list[tuple[int, int]]:
    """(raw offset, minute) of every contribution to a company."""
    return [
        (item.offset, (contribution.known_ms - NOON_MS) // MINUTE_MS)
        for batch in batches
        for item in batch.items
        for contribution in item.contributions
        if contribution.series.startswith("entity:")
    ]


def progress(store: Store) -> tuple[int, int]:
    """Next offset and minute, as stored."""
    with store.read() as connection:
        (row,) = progress_of(connection, "r", ROLE_SCORE)
    return row.next_offset, (row.time_ms - NOON_MS) // MINUTE_MS


def test_a_batch_says_what_each_message_led_to_and_how_far_time_has_come(store: Store) -> None:
    (batch,) = opened(store).take([said(0, 1, "a", "b"), quiet(1, 2), said(2, 3, "c"), quiet(3, 4)])
    assert (batch.partition, batch.first, batch.last) == (5, 0, 3)
    assert (batch.time_ms or 0) - NOON_MS == 4 * MINUTE_MS
    assert known_minutes([batch]) == [(0, 1), (0, 1), (2, 3)]
    assert [(item.offset, item.arrivals[0].documents) for item in batch.items] == [(0, 2), (2, 1)]


def test_punctuations_alone_move_offset_and_time_in_the_store(store: Store) -> None:
    (batch,) = opened(store).take([quiet(0, 1), quiet(1, 2)])
    assert batch.items == []
    assert progress(store) == (2, 2)


def test_after_a_restart_time_goes_on_from_the_last_punctuation_though_the_brokers_clock_went_back(store: Store) -> None:
    opened(store).take([said(0, 1, "a"), quiet(1, 9)])
    batches = opened(store).take([said(2, 4, "b")])
    assert known_minutes(batches) == [(2, 9)]


def test_a_replayed_record_keeps_the_known_time_that_it_was_admitted_with(store: Store) -> None:
    messages = [said(0, 1, "a"), quiet(1, 9), said(2, 4, "b"), said(3, 12, "c")]
    first = opened(store).take(messages)
    for begin, end in ((0, 4), (1, 3), (2, 4), (3, 4)):
        again = opened(store).take(messages[begin:end])
        assert known_minutes(again) == [pair for pair in known_minutes(first) if begin <= pair[0] < end]
    assert progress(store) == (4, 12)


def test_a_replay_up_to_the_stored_progress_passes_the_stored_time_on_and_a_shorter_one_none(store: Store) -> None:
    messages = [said(0, 1, "a"), quiet(1, 9)]
    opened(store).take(messages)
    (short,) = opened(store).take(messages[:1])
    (whole,) = opened(store).take(messages)
    assert short.time_ms is None
    assert whole.time_ms == NOON_MS + 9 * MINUTE_MS


def test_replays_and_new_messages_of_one_batch_are_told_apart(store: Store) -> None:
    opened(store).take([said(0, 1, "a")])
    old, new = opened(store).take([said(0, 1, "a"), said(1, 2, "b")])
    assert (old.first, old.last, new.first, new.last) == (0, 0, 1, 1)
    assert progress(store) == (2, 2)


def test_a_first_message_above_the_stored_progress_stops_with_what_to_do(store: Store) -> None:
    opened(store).take([said(0, 1, "a")])
    with pytest.raises(ContinuityError, match="raw partition 5: the first message has offset 3, the store stopped before 1; messages were"):
        opened(store).take([said(3, 1, "b")])


def test_a_jump_between_messages_stops(store: Store) -> None:
    with pytest.raises(ContinuityError, match="offset 2 came where 1 was due"):
        opened(store).take([said(0, 1, "a"), said(2, 1, "b")])


def test_progress_of_a_topic_that_was_made_again_is_refused(store: Store) -> None:
    opened(store)
    with pytest.raises(ContinuityError, match="belongs to log t, but this is log u"):
        ScorePartition.open(IntakeStage(store, "r", FakeScorer()), 5, owner="o", log_id="u", live=True)


# --- how far it may run ahead --------------------------------------------------------------------------------------------------
def folded_to(store: Store, minute: int) -> None:
    """Every contribution partition has folded what was known before a minute."""
    for part in range(CONTRIBUTION_PARTITIONS):
        mine = claim(store, "r", ROLE_FOLD, part=part, owner="f")
        with store.write() as connection:
            advance(connection, mine, next_offset=0, time_ms=NOON_MS + minute * MINUTE_MS, closed_tick=0)


def test_a_partition_that_is_too_far_ahead_waits_until_fold_has_come_closer(store: Store) -> None:
    partition = opened(store, lead=Lead(records_max=3, bytes_max=10**6))
    assert partition.may_take(0)
    partition.take([said(0, 1, "a")])
    assert partition.may_take(1)
    partition.take([said(1, 2, "b")])
    assert partition.lead.records == 4, "each document counts for its topic and its company"
    assert not partition.may_take(2)
    folded_to(store, 1)
    assert not partition.may_take(2), "its first document's tick is not folded yet"
    folded_to(store, 2)
    assert partition.may_take(2)


def test_punctuations_use_up_the_lead_too_for_their_messages_are_held_unacknowledged(store: Store) -> None:
    partition = opened(store, lead=Lead(records_max=100, bytes_max=3 * MESSAGE_HELD_BYTES))
    for offset in range(3):
        assert partition.may_take(offset)
        partition.take([quiet(offset, offset)])
    assert not partition.may_take(3)


def test_what_a_former_owner_has_sent_counts_for_the_lead_of_the_next_one_and_replays_always_pass(store: Store) -> None:
    opened(store).take([said(0, 1, "a"), said(1, 2, "b")])
    heir = opened(store, lead=Lead(records_max=3, bytes_max=10**6))
    assert heir.lead.records >= 4
    assert not heir.may_take(2)
    assert heir.may_take(0), "what was stored and perhaps not sent must reach fold, which may wait for it"
