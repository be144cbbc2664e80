"""One series through `groundswell detect` and through fold's closed ticks: the same counts, the same scores."""

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest

from alerts.detectors.volume import VolumeDetector
from alerts.rules import load_rules
from alerts.volume_file import detect_lines
from groundswell.names import TICK_MS
from groundswell.records import Increment
from stream.operators.admit import ClosedTick
from stream.pipeline import Fold, Folded
from tests import builders as b

STEP_S, HOURS = 300, 30
STEP_TICKS = STEP_S * 1_000 // TICK_MS
RULES = load_rules()


def closed_ticks() -> Iterator[ClosedTick]:
    """Negative posts, each a story of its own, and a wave of them in the last hours."""
    rng = np.random.default_rng(4)
    words = rng.integers(0, 2**32, (20_000, 64), dtype=np.uint32)
    many = 0
    for number in range(HOURS * b.TICKS_H):
        known_ms, rate = (b.T0_TICK + number) * TICK_MS, 0.2 if number < 26 * b.TICKS_H else 1.0
        contributions = []
        for _ in range(rng.poisson(rate)):
            many += 1
            contributions.append(
                b.a_contribution(
                    document_id=f"d{many:05}", known_ms=known_ms, published_ms=known_ms, digest=words[many].astype("<u4").tobytes()
                )
            )
        yield ClosedTick(b.T0_TICK + number, contributions, [b.an_arrival(known_ms=known_ms)])


@pytest.mark.parametrize("profile", sorted(RULES.volume))
def test_detect_and_closed_ticks_give_the_same_scores(profile: str) -> None:
    fold, into = Fold(RULES, similarity_min=2.0), Folded()
    detector = VolumeDetector(RULES.volume[profile], step_s=STEP_S)
    lines, scores = ["timestamp,value\n"], []
    for closed in closed_ticks():
        fold.step(closed, into)
        if (closed.tick + 1) % STEP_TICKS == 0:  # a step of the detector has closed with this tick
            number = closed.tick // STEP_TICKS
            count = stories(into.increments, number)
            scores.append(detector.step(number, count))
            lines.append(f"{datetime.fromtimestamp(number * STEP_S, tz=UTC):%Y-%m-%d %H:%M:%S},{count}\n")
            into = Folded()

    found = list(detect_lines(lines, RULES.volume[profile], name="-", step_s=STEP_S, report=pytest.fail))[1:]

    assert [line.strip().split(",")[2:] for line in found] == [[f"{s.score_milli / 1_000:.3f}", str(int(s.alert))] for s in scores]
    assert len({s.score_milli for s in scores}) > len(scores) / 3
    assert max(s.score_milli for s in scores[26 * 12 :]) > max(s.score_milli for s in scores[24 * 12 : 26 * 12])


def stories(rows: list[Increment], number: int) -> int:
    """Distinct fresh negative stories of a step, on the known axis."""
    return len({str(negative[1]) for row in rows if row.tick // STEP_TICKS == number for negative in row.negatives})
