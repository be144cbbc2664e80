"""How often chance pings a desk, and what false-discovery control changes: 200 series, 90 days, with no surge and with sixty planted ones.

Series have 2 to 60 stories a day, hours and weekends of their own, overdispersed hours and days, and a share of negative stories that is
drawn anew each day. A planted surge lasts three hours: 3, 5 or 10 times the usual negative stories, and eight more.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from alerts.desk import DeskState
from alerts.rules import Rules, load_rules
from bench.pipeline import Ratio
from groundswell.names import DAY_TICKS, HOUR_TICKS, TICK_MS
from groundswell.records import Arrival, Candidate, Increment
from groundswell.windows import COUNTS, FRESH, FRESH_NEGATIVE
from stream.pipeline import Fold, Folded

SERIES, DAYS, SURGES, OWNERS = 200, 90, 60, 8
HEARD_TICKS: Final = 20  # at least as often somebody is heard
BEGIN: Final = 119_329_920 // (7 * DAY_TICKS) * 7 * DAY_TICKS
SHARE_DISPERSION, HOUR_DISPERSION, DAY_DISPERSION = 0.02, 0.2, 0.05
FACTORS: Final = (3, 5, 10)
WEEKEND: Final = 0.5
ASKED: Final = (0.0, 0.05, 0.1, 0.2, 0.5)


class Told(NamedTuple):
    """One story of a series."""

    series: str
    negative: bool
    owner: int


class Surge(NamedTuple):
    """A planted one, with the hour after it."""

    series: str
    begin: int
    end: int


World = dict[int, list[Told]]


def name_of(number: int) -> str:
    """Every fifth series is a topic."""
    return f"entity:s{number}" if number % 5 else f"topic:t{number}:en"


def a_world(rng: np.random.Generator, *, surges: int) -> tuple[World, list[Surge]]:
    """Stories by tick, and what was planted among them."""
    rates, shares = np.exp(rng.uniform(np.log(2), np.log(60), SERIES)), rng.uniform(0.15, 0.5, SERIES)
    world: World = defaultdict(list)
    for number in range(SERIES):
        _everyday(rng, world, name_of(number), rates[number], shares[number])
    planted = []
    for place in range(surges):
        number, day = int(rng.integers(SERIES)), int(rng.integers(20, DAYS - 1))
        begin = day * DAY_TICKS + int(rng.integers(DAY_TICKS - 4 * HOUR_TICKS))
        usual = rates[number] / 8 * shares[number]
        for _ in range(rng.poisson(FACTORS[place % len(FACTORS)] * usual + 8)):
            tick = begin + int(rng.integers(3 * HOUR_TICKS))
            world[tick].append(Told(name_of(number), True, int(rng.integers(OWNERS))))
        planted.append(Surge(name_of(number), begin, begin + 4 * HOUR_TICKS))
    return world, planted


def _everyday(rng: np.random.Generator, world: World, series: str, rate: float, share: float) -> None:
    both, peak = 1 / SHARE_DISPERSION - 1, rng.integers(24)
    for day in range(DAYS):
        negative = rng.beta(share * both, (1 - share) * both)
        today = rate / 24 * (WEEKEND if day % 7 > 4 else 1.2) * rng.gamma(1 / DAY_DISPERSION, DAY_DISPERSION)
        for hour in range(24):
            wave = 1 + 0.7 * np.cos(2 * np.pi * (hour - peak) / 24)
            for _ in range(rng.poisson(today * wave * rng.gamma(1 / HOUR_DISPERSION, HOUR_DISPERSION))):
                tick = day * DAY_TICKS + hour * HOUR_TICKS + int(rng.integers(HOUR_TICKS))
                world[tick].append(Told(series, bool(rng.random() < negative), int(rng.integers(OWNERS))))


def candidates_of(world: World, rules: Rules) -> Iterator[tuple[int, list[Candidate]]]:
    """What the detectors find: the stages of the pipeline from windows on."""
    fold, number = Fold(rules), 0
    for tick in range(DAYS * DAY_TICKS):
        told = world.get(tick, [])
        if not told and tick % HEARD_TICKS:
            continue
        rows = []
        for one in told:
            number += 1
            rows.append(_increment(one, number, tick))
        arrivals = [Arrival("wire", "en", (BEGIN + tick) * TICK_MS, len(told) or 1)]
        found = fold.replay(BEGIN + tick, arrivals, rows, Folded())
        if found:
            yield tick, found


def _increment(told: Told, number: int, tick: int) -> Increment:
    counts = [0] * len(COUNTS)
    counts[0] = counts[FRESH] = 1
    counts[FRESH_NEGATIVE] = int(told.negative)
    story, owner = f"s{number}", f"o{told.owner}"
    negatives: list[list[str | int]] = [[f"d{number}", story, owner, 1, 900_000]] if told.negative else []
    pane = (BEGIN + tick) // 20
    return Increment(series=told.series, tick=BEGIN + tick, pane=pane, daily=False, members={story: {owner: counts}}, negatives=negatives)


def pings_of(found: list[tuple[int, list[Candidate]]], rules: Rules, false_share: float) -> list[tuple[int, set[str]]]:
    """(tick, series) of what the desk tells for the first time."""
    state, told = DeskState(msgspec.structs.replace(rules.desk, false_share=false_share)), []
    for tick, candidates in found:
        _, openings = state.decide(BEGIN + tick, candidates)
        told += [(tick, {c.series for c in opening.candidates}) for opening in openings if not opening.update]
    return told


def of_chance(_: Path) -> list[Ratio]:
    """Pings by chance in a quiet world, and what is found in one with surges, by the share that is asked for."""
    rules, rng = load_rules(), np.random.default_rng(1)
    quiet = list(candidates_of(a_world(rng, surges=0)[0], rules))
    world, planted = a_world(rng, surges=SURGES)
    loud = list(candidates_of(world, rules))
    rows = []
    for asked in ASKED:
        false, told = len(pings_of(quiet, rules, asked)), pings_of(loud, rules, asked)
        hits = [[ping for ping in told if surge.series in ping[1] and surge.begin <= ping[0] < surge.end] for surge in planted]
        found = sum(map(bool, hits))
        wrong = len(told) - len({ping[0] for some in hits for ping in some})
        name = f"false_share = {asked:g}" if asked else "off, as shipped"
        detail = (
            f"{false} pings in {DAYS} days of {SERIES} series without a surge; {found} of {SURGES} planted found with {wrong} false pings"
        )
        rows.append(Ratio(f"false-discovery control: {name}", "the budget of three pings a day", false / DAYS / 3, "printed", detail))
    return rows
