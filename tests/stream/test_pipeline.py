"""The stages as pure functions: raw records in, rows out; what a stage promises, without any store."""

import pytest

from groundswell.codec import encode
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.records import Admission, Arrival, Drop, Heartbeat, Position, Stamped
from stream.operators.admit import ClosedTick, StampClock
from stream.operators.stories import digest
from stream.pipeline import DROP_BYTES_MAX, Fold, Folded, arrivals_of, contributions_of, open_records
from tests import builders as b


def stamped(offset: int, body: bytes, known_ms: int = b.T0_MS, source: str = "?") -> Stamped:
    return Stamped(Position(0, offset), known_ms, body, source)


def admission(**overrides: object) -> Admission:
    fields: dict[str, object] = {
        "position": Position(0, 1), "known_ms": 5, "source": "wire", "language": "en", "outcome": "scored",
        "document_id": "00000000000000d1", "content_hash": "00000000000000c1",
    }  # fmt: skip
    return Admission(**(fields | overrides))  # type: ignore[arg-type]


# --- intake -----------------------------------------------------------------------------------------------------------------
def test_every_record_becomes_a_document_a_heartbeat_or_a_drop() -> None:
    beat = Heartbeat(source="wire", fetched_ms=1, ok=True)
    opened = open_records(
        [stamped(1, encode(b.a_raw())), stamped(2, encode(beat)), stamped(3, b"{", source="torn"), stamped(4, b"", source="")], StampClock()
    )

    assert [(position.offset, document.title) for position, document in opened.documents] == [(1, "Aldora debt fraud")]
    assert opened.heartbeats == [beat]
    assert opened.drops == [
        Drop(position=Position(0, 3), known_ms=b.T0_MS, source="torn", reason="raw record: Input data was truncated", body=b"{")
    ]


def test_one_poison_record_stops_nothing() -> None:
    nested = b'{"type":"document","source":"s","title":"t","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    opened = open_records([stamped(1, nested), stamped(2, encode(b.a_raw()))], StampClock())

    assert len(opened.drops) == len(opened.documents) == 1
    assert len(opened.drops[0].body) == DROP_BYTES_MAX


def test_a_poison_record_that_must_not_be_touched_stops_nothing_either() -> None:
    nested = b'{"source":"s","x":' + b"[" * 100_000
    opened = open_records([stamped(1, nested, source="Harbour Wire")], StampClock(), {stamped(1, nested).position: "killed"})

    assert [(drop.source, drop.reason) for drop in opened.drops] == [("Harbour Wire", "killed")]


def test_a_drop_is_counted_for_its_source_as_the_log_names_it() -> None:
    body = encode(b.a_raw(source="  Harbour <b>Wire</b>\x00 ", title="12 %", text=""))
    (drop,) = open_records([stamped(1, body, source="Harbour Wire")], StampClock()).drops

    assert (drop.source, drop.reason) == ("Harbour Wire", "language: none, the text has no letters")


def test_known_time_is_the_logs_and_never_falls() -> None:
    bodies = [encode(b.a_raw(id=str(n), known_ms=77)) for n in range(2)]
    opened = open_records([stamped(1, bodies[0], 1_000), stamped(2, bodies[1], 400)], StampClock())

    assert [document.known_ms for _, document in opened.documents] == [1_000, 1_000]


def test_arrivals_add_up_what_is_new_and_drops_and_repetitions_say_nothing() -> None:
    new = [admission(), admission(), admission(outcome="edited", language=None)]
    told = [*new, admission(outcome="duplicate"), admission(outcome="dropped")]

    assert arrivals_of(told) == [Arrival("wire", "en", 5, 2), Arrival("wire", "", 5, 1)]


def test_duplicates_and_edits_add_nothing() -> None:
    scores = {("00000000000000d1", "00000000000000c1"): b.a_score()}
    rows = [(admission(outcome=outcome), b.a_document()) for outcome in ("scored", "duplicate", "edited")]

    assert [c.series for _, c in contributions_of(rows, scores)] == ["topic:debt_credit:en"]


def test_a_document_without_its_stored_score_is_an_error_not_a_gap() -> None:
    with pytest.raises(KeyError):
        contributions_of([(admission(), b.a_document())], {})


# --- fold -------------------------------------------------------------------------------------------------------------------
def tick(number: int, *documents: str, sentiment: str = "negative") -> ClosedTick:
    known_ms = (b.T0_TICK + number) * TICK_MS
    contributions = [
        b.a_contribution(
            document_id=name, known_ms=known_ms, published_ms=known_ms, sentiment=sentiment, digest=digest(f"{name} {name[::-1]} {name}")
        )
        for name in documents
    ]
    return ClosedTick(b.T0_TICK + number, contributions, [b.an_arrival(known_ms=known_ms)])


def test_a_tick_leads_to_stories_and_increments_of_its_series() -> None:
    fold, rows = Fold(b.easy_rules()), Folded()
    fold.step(tick(0, "harbour", "lantern", "quarry"), rows)

    assert [story.story for story in rows.stories] == ["harbour", "lantern", "quarry"]
    assert [(row.series, row.tick) for row in rows.increments] == [("entity:aldora", b.T0_TICK)]
    assert not any([rows.baselines, rows.source_hours, rows.exposures, rows.candidates])


def test_an_hour_closes_at_the_first_tick_after_it_with_a_row_for_each_series_it_had() -> None:
    fold, rows = Fold(b.easy_rules()), Folded()
    fold.step(tick(0, "harbour"), rows)
    fold.step(tick(b.TICKS_H - 1, "lantern", sentiment="neutral"), rows)
    assert rows.baselines == []
    fold.step(tick(3 * b.TICKS_H), rows)

    assert [(r.period_s, r.index, r.negative, r.stories) for r in rows.baselines] == [(3_600, b.T0_MS // HOUR_MS, 1, 2)]
    assert [row.hour - b.T0_MS // HOUR_MS for row in rows.exposures if row.language == ""] == [0, 1, 2]


def test_a_day_closes_once_even_when_the_next_tick_is_days_later() -> None:
    fold, rows = Fold(b.easy_rules()), Folded()
    fold.step(tick(5, "harbour"), rows)
    fold.step(tick(9 * b.TICKS_D), rows)
    fold.step(tick(12 * b.TICKS_D), rows)

    assert [(r.period_s, r.index) for r in rows.baselines] == [(3_600, b.T0_MS // HOUR_MS), (86_400, b.T0_MS // DAY_MS)]


def test_ticks_without_items_may_be_left_out() -> None:
    exports = []
    for numbers in ([0, 400, 9_000], [0, *range(100, 400, 50), 400, 5_000, 9_000]):
        fold, rows = Fold(b.easy_rules()), Folded()
        for number in numbers:
            has_items = number in (0, 400, 9_000)
            fold.step(tick(number, f"d{number}") if has_items else ClosedTick(b.T0_TICK + number, [], []), rows)
        exports.append((rows.increments, rows.stories, rows.baselines, rows.source_hours, rows.exposures))

    assert exports[0] == exports[1]
