"""Exposure: a source that stopped reporting is blind, not calm."""

import random
from itertools import groupby

from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.names import HOUR_MS, HOUR_TICKS, TICK_MS
from groundswell.records import Arrival
from groundswell.silence import LEAST_PATIENCE_TICKS
from stream.operators.exposure import FULL_PPM, HORIZON_HOURS, BlindSpan, Exposure, HourExposure, SourceHour
from tests import builders as b

MINUTE = 60_000 // TICK_MS
Rows = tuple[list[SourceHour], list[HourExposure]]


def hear(exposure: Exposure, tick: int, *sources: str, language: str = "en", documents: int = 1) -> Rows:
    """One closed tick."""
    rows: Rows = [], []
    for heard, exposures in exposure.roll(tick):
        rows[0].extend(heard)
        rows[1].extend(exposures)
    exposure.hear(tick, [Arrival(source, language, tick * TICK_MS, documents) for source in sources])
    return rows


def steady(gap: int, *, ticks: int, source: str = "wire") -> Exposure:
    exposure = Exposure()
    for tick in range(0, ticks, gap):
        hear(exposure, tick, source)
    return exposure


# --- blind ------------------------------------------------------------------------------------------------------------------
def test_a_source_is_blind_when_its_own_rhythm_says_so() -> None:
    exposure = steady(10 * MINUTE, ticks=21 * b.TICKS_D)
    last = 21 * b.TICKS_D - 10 * MINUTE

    assert exposure.blind(last + LEAST_PATIENCE_TICKS - 1) == {}
    assert exposure.blind(last + LEAST_PATIENCE_TICKS) == {"wire": last}


def test_a_source_that_forms_is_never_blind() -> None:
    exposure = steady(10 * MINUTE, ticks=5 * b.TICKS_D)

    assert exposure.blind(18 * b.TICKS_D) == {}


def test_blindness_is_told_when_it_has_ended() -> None:
    exposure = steady(10 * MINUTE, ticks=21 * b.TICKS_D)
    last, back = 21 * b.TICKS_D - 10 * MINUTE, 22 * b.TICKS_D
    list(exposure.roll(back))
    arrivals = [Arrival("wire", language, back * TICK_MS, 1) for language in ("en", "zh")]

    assert exposure.hear(back, arrivals) == [BlindSpan("wire", last + LEAST_PATIENCE_TICKS, back)]
    assert exposure.hear(back + 1, arrivals) == []


# --- exposure ---------------------------------------------------------------------------------------------------------------
def two_sources(*, blindness_ignored: bool = False) -> Exposure:
    """Three weeks: `office` brings 9 documents an hour by day, `night` one an hour by night; then silence of `office`."""
    exposure = Exposure(blindness_ignored=blindness_ignored)
    for hour in range(21 * 24):
        for part in range(4):
            tick = hour * HOUR_TICKS + part * HOUR_TICKS // 4
            name = "office" if 8 <= hour % 24 < 20 else "night"
            hear(exposure, tick, name, documents=9 if name == "office" else 1)
    return exposure


def test_exposure_is_full_while_everybody_is_heard() -> None:
    exposure = steady(MINUTE, ticks=5 * HOUR_TICKS)

    assert exposure.now(5 * HOUR_TICKS, "en") == FULL_PPM
    assert exposure.now(5 * HOUR_TICKS, "zh") == FULL_PPM  # nothing is known of it


def test_a_blind_source_counts_by_its_usual_volume_in_this_hour_of_the_week() -> None:
    exposure = two_sources()
    monday = 21 * 24
    # `night` was heard until midnight's last quarter; keep it alive through the next day while `office` stays away.
    for hour in range(monday, monday + 30):
        for part in range(4):
            hear(exposure, hour * HOUR_TICKS + part * HOUR_TICKS // 4, "night")
    noon, midnight = (monday + 12) * HOUR_TICKS, (monday + 25) * HOUR_TICKS

    assert "office" in exposure.blind(noon)
    assert exposure.now(noon, "en") < 60_000 < 600_000 < exposure.now(midnight, "en")


def test_the_twin_that_ignores_blindness_sees_all_the_time() -> None:
    seeing, twin = two_sources(), two_sources(blindness_ignored=True)
    much_later = (21 * 24 + 60) * HOUR_TICKS

    assert seeing.now(much_later, "en") == 0
    assert twin.now(much_later, "en") == FULL_PPM


def test_a_language_is_judged_by_its_own_sources_and_all_by_all() -> None:
    exposure = Exposure()
    for hour in range(17 * 24):
        hear(exposure, hour * HOUR_TICKS, "wire")
        if hour < 16 * 24:
            hear(exposure, hour * HOUR_TICKS + 1, "xinwen", language="zh")
    now = 17 * 24 * HOUR_TICKS

    assert (exposure.now(now, "en"), exposure.now(now, "zh")) == (FULL_PPM, 0)
    assert 0 < exposure.now(now, "") < FULL_PPM


def test_an_hour_in_which_a_source_spoke_was_seen_even_if_it_was_blind_before() -> None:
    exposure = steady(MINUTE, ticks=20 * b.TICKS_D)
    day = 20 * 24
    hear(exposure, (day + 20) * HOUR_TICKS + HOUR_TICKS // 4, "wire")
    _, exposures = hear(exposure, (day + 22) * HOUR_TICKS, "wire")

    seen = [(row.hour - day, row.exposure_ppm) for row in exposures if row.language == "en"]
    assert seen == [(20, FULL_PPM), (21, 0)]


def test_every_hour_closes_once_with_what_was_heard_in_it() -> None:
    exposure = Exposure()
    hear(exposure, 0, "wire", documents=3)
    hear(exposure, 5, "wire", documents=2)
    heard, exposures = hear(exposure, 3 * HOUR_TICKS, "wire")

    assert heard == [SourceHour(0, "wire", "en", 5)]
    assert [row.hour for row in exposures if row.language == ""] == [0, 1, 2]
    assert exposure.of_hour(1, "en") == FULL_PPM


def test_after_a_silence_longer_than_the_horizon_nobody_is_missed() -> None:
    exposure = steady(MINUTE, ticks=2 * HOUR_TICKS)
    hear(exposure, (2 * HORIZON_HOURS) * HOUR_TICKS, "other")

    assert exposure.blind(2 * HORIZON_HOURS * HOUR_TICKS) == {}
    assert exposure.now(2 * HORIZON_HOURS * HOUR_TICKS, "en") == FULL_PPM


def test_seeing_time_is_counted_by_hour_and_by_day_of_the_week() -> None:
    exposure = steady(MINUTE, ticks=48 * HOUR_TICKS)
    hear(exposure, 48 * HOUR_TICKS, "wire")

    assert exposure.seen(5, "en") == (FULL_PPM, 48 * FULL_PPM)
    assert exposure.seen(100, "en") == (0, 48 * FULL_PPM)
    assert exposure.seen(1, "en", daily=True) == (FULL_PPM, 2 * FULL_PPM)


# --- rebuilding -------------------------------------------------------------------------------------------------------------
def restored(through_tick: int, arrivals: list[tuple[int, str, str]], rows: Rows) -> Exposure:
    """As stream/shells/rebuild.py does it, from the rows that are stored."""
    exposure, hour = Exposure(), through_tick // HOUR_TICKS
    exposure.hour, exposure.first_hour = hour, min(tick for tick, _, _ in arrivals) // HOUR_TICKS
    for source, found in groupby(sorted({(source, tick) for tick, source, _ in arrivals}), key=lambda one: one[0]):
        exposure.restore_source(source, [tick for _, tick in found if tick > through_tick - 2 * HORIZON_HOURS * HOUR_TICKS])
    for tick, source, language in arrivals:
        if tick >= hour * HOUR_TICKS:
            exposure.restore_open(source, language, 1)
    oldest = hour - 1 - HORIZON_HOURS
    for heard in rows[0]:
        if heard.hour >= oldest:
            exposure.restore_source_hour(heard)
    for closed in rows[1]:
        if closed.hour >= oldest:
            exposure.restore_exposure(closed)
    exposure.forget_silent_sources()
    return exposure


def probe(exposure: Exposure, tick: int) -> list[object]:
    """All that the detectors and the board ask."""
    languages = ("en", "zh", "")
    return [
        [exposure.now(tick, language) for language in languages],
        [exposure.of_hour(tick // HOUR_TICKS - back, language) for back in range(1, 26) for language in languages],
        [exposure.seen(slot, language) for slot in range(168) for language in languages],
        [exposure.seen(slot, language, daily=True) for slot in range(7) for language in languages],
        exposure.blind(tick),
        exposure.first_hour,
    ]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 0.9), st.sampled_from([5, 60, 130]))
def test_memory_restored_from_rows_at_any_tick_goes_on_like_the_one_that_lived(seed: int, part: float, days: int) -> None:
    chance = random.Random(seed)
    dies = chance.randrange(1, days)
    ticks = sorted({chance.randrange(days * b.TICKS_D) for _ in range(120)})
    arrivals = []
    for tick in ticks:
        source, language = chance.choice((("wire", "en"), ("wire", "zh"), ("mortal", "zh"), ("weekly", "en")))
        if source != "mortal" or tick < dies * b.TICKS_D:
            arrivals.append((tick, source, language))
    border = max(1, int(len(arrivals) * part))
    alive = Exposure()
    rows: Rows = [], []
    for tick, source, language in arrivals[:border]:
        heard, exposures = hear(alive, tick, source, language=language)
        rows[0].extend(heard)
        rows[1].extend(exposures)
    again = restored(arrivals[border - 1][0], arrivals[:border], rows)

    assert probe(again, arrivals[border - 1][0]) == probe(alive, arrivals[border - 1][0])
    for tick, source, language in arrivals[border:]:
        assert hear(again, tick, source, language=language) == hear(alive, tick, source, language=language)
    assert probe(again, arrivals[-1][0] + 3) == probe(alive, arrivals[-1][0] + 3)
    assert HOUR_MS == HOUR_TICKS * TICK_MS


def test_a_language_that_nobody_speaks_any_more_is_forgotten_with_its_hours() -> None:
    """Else a worker that lives on would remember hours that one that was restarted does not load."""
    horizon = HORIZON_HOURS * HOUR_TICKS
    arrivals = [(0, "wire", "zh"), *((n * b.TICKS_D, "wire", "en") for n in range(1, 2 * HORIZON_HOURS // 24 + 5))]
    alive = Exposure()
    rows: Rows = [], []
    for tick, source, language in arrivals:
        heard, exposures = hear(alive, tick, source, language=language)
        rows[0].extend(heard)
        rows[1].extend(exposures)
    last = arrivals[-1][0]

    assert last > 2 * horizon
    assert alive.seen(0, "zh") == (0, 0)
    assert probe(restored(last, arrivals, rows), last) == probe(alive, last)
