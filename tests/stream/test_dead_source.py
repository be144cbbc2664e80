"""A source that dies is blind, not calm: neither its silence nor its return is news, and what is expected meanwhile is less."""

import random

from alerts.rules import load_rules
from groundswell.names import HOUR_MS, HOUR_TICKS, TICK_MS
from groundswell.records import Arrival, Contribution
from stream.operators.admit import ClosedTick
from stream.operators.exposure import BlindSpan, Exposure
from stream.pipeline import Fold, Folded
from tests import builders as b

DAYS = 35
DIES, RETURNS = 30, 33
"""Days: the large source is away between them."""

BIG, SMALL = "Harbour Wire", "Quay Forum"


def texts(source: str, hour: int, number: int, *, published_hour: int | None = None, negative_share: float = 0.25) -> list[Contribution]:
    """Some documents of a source in one hour, each its own story."""
    published_ms = (hour if published_hour is None else published_hour) * HOUR_MS
    chance = random.Random(f"{source}:{published_ms}")
    found = []
    for n in range(number):
        known_ms, negative = hour * HOUR_MS + (60_000 if source == BIG else 120_000), chance.random() < negative_share
        found.append(
            b.a_contribution(
                series="topic:debt_credit:en",
                document_id=f"{source[:1]}-{published_ms}-{n}",
                known_ms=known_ms,
                published_ms=published_ms,
                fresh=known_ms - published_ms <= 6 * HOUR_MS,
                owner=f"{source} {n}",
                digest=chance.randbytes(256),
                sentiment="negative" if negative else "neutral",
                negative_ppm=900_000 if negative else 50_000,
            )
        )
    return found


def play(exposure: Exposure, *, backlog_negative: float = 0.25) -> tuple[Fold, Folded, dict[int, int]]:
    """Weeks of two sources; the large one returns with all that it published meanwhile.

    Args:
        exposure: what fold knows of sources.
        backlog_negative: share of what it published meanwhile, and on the day of its return.

    Returns:
        Fold, its rows, and {hour: exposure in ppm at its end}.
    """
    fold, folded, seen = Fold(load_rules(), exposure=exposure), Folded(), dict[int, int]()
    begin = b.T0_MS // HOUR_MS
    for hour in range(begin, begin + DAYS * 24):
        day = (hour - begin) / 24
        turned = backlog_negative if RETURNS <= day < RETURNS + 1 else 0.25
        big = [] if DIES <= day < RETURNS else texts(BIG, hour, 9, negative_share=turned)
        if day == RETURNS:
            for back in range(1, 73):
                big += texts(BIG, hour, 9, published_hour=hour - back, negative_share=backlog_negative)
        for source, said in ((BIG, big), (SMALL, texts(SMALL, hour, 1))):
            if said:
                known_ms = said[0].known_ms
                said.sort(key=lambda one: one.document_id)
                fold.step(ClosedTick(known_ms // TICK_MS, said, [Arrival(source, "en", known_ms, len(said))]), folded)
        seen[hour - begin] = fold.exposure.now((hour + 1) * HOUR_TICKS - 1, "en")
    return fold, folded, seen


def test_neither_the_silence_nor_the_return_of_a_source_is_a_finding() -> None:
    _, folded, seen = play(Exposure())
    begin_tick = b.T0_MS // TICK_MS // HOUR_TICKS * HOUR_TICKS

    assert {one.kind for one in folded.candidates} == {"blind"}, "that it is blind is said, and nothing of the world"
    assert seen[DIES * 24 - 1] == seen[RETURNS * 24 + 1] == 1_000_000
    # Of ten documents the small source brings one.
    assert all(99_000 < seen[hour] < 103_000 for hour in range(DIES * 24 + 2, RETURNS * 24))
    (span,) = folded.blind_spans
    assert isinstance(span, BlindSpan)
    assert (span.source, (span.until_tick - begin_tick) // b.TICKS_D) == (BIG, RETURNS)
    assert DIES * b.TICKS_D < span.since_tick - begin_tick < DIES * b.TICKS_D + 4 * HOUR_TICKS


def test_a_backlog_that_has_turned_and_goes_on_is_a_finding() -> None:
    """So the calm above is no deafness."""
    candidates = [one for one in play(Exposure(), backlog_negative=0.9)[1].candidates if one.kind != "blind"]

    assert min((one.tick - b.T0_TICK) // b.TICKS_D for one in candidates) == RETURNS


def test_the_baseline_after_the_return_is_that_of_the_time_that_was_seen() -> None:
    dead, twin = play(Exposure())[0], play(Exposure(blindness_ignored=True))[0]
    hour = b.T0_MS // HOUR_MS + DAYS * 24 - 1
    seen, ignored = (fold.exposure.seen(hour % 168, "en")[1] for fold in (dead, twin))

    missing = ignored - seen
    assert 0.9 * 70 * 900_000 <= missing <= 72 * 900_000
