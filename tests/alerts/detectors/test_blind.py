"""Blind: a language that is not seen for hours is told, and told again when it is seen; a short gap is not."""

from alerts.detectors.blind import HOURS_MAX, BlindWatch, ClosedHour, formed_by
from alerts.rules import load_rules
from groundswell.records import Candidate
from tests import builders as b

RULES = load_rules().blind


def hour(exposure: float, *, heard: bool = True, formed: bool = True) -> ClosedHour:
    return ClosedHour(round(exposure * 1e6), heard, RULES, formed)


def hear(watch: BlindWatch, *exposures: float, start: int = 0, formed: bool = True) -> list[Candidate]:
    """Closed hours, one at a time."""
    found = [watch.step(b.T0_TICK + (start + n) * b.TICKS_H, [hour(exposure, formed=formed)]) for n, exposure in enumerate(exposures)]
    return [candidate for candidate in found if candidate]


def test_three_hours_with_less_than_half_of_the_usual_are_told_then_held_then_over() -> None:
    found = hear(BlindWatch("zh"), 1, 0.4, 0.3, 0.2, 0.6, 0.79, 0.8, 1)

    assert [(c.level, c.ended, c.statistic) for c in found] == [
        ("open", False, 3),
        ("hold", False, 4),  # more than half sees again, and that is not enough
        ("hold", False, 5),
        ("open", True, 5),
    ]
    assert {c.series for c in found} == {"language:zh"}
    assert [c.exposure_ppm for c in found] == [200_000, 600_000, 790_000, 800_000]
    assert [c.window_s for c in found] == [3 * 3_600, 4 * 3_600, 5 * 3_600, 5 * 3_600]


def test_two_hours_are_not_told() -> None:
    assert hear(BlindWatch("en"), *([0.1, 0.1, 1] * 10)) == []


def test_before_it_is_known_what_is_usual_nothing_is_told() -> None:
    assert hear(BlindWatch("en"), 0, 0, 0, 0, 0, formed=False) == []
    assert not formed_by(13 * 24, 0, RULES)
    assert formed_by(14 * 24, 0, RULES)
    assert not formed_by(14 * 24, None, RULES)


def test_what_went_blind_and_sees_again_before_anybody_could_be_told_is_past() -> None:
    """Hours that ended in one tick, because none was closed between them."""
    gap = [hour(1.0)] + [hour(0.2)] * 5 + [hour(1.0)]

    assert BlindWatch("en").step(b.T0_TICK, gap) is None


def test_what_is_still_blind_when_several_hours_have_ended_is_told_at_once() -> None:
    found = BlindWatch("en").step(b.T0_TICK, [hour(1)] + [hour(0)] * 5)

    assert found is not None
    assert (found.level, found.statistic) == ("open", 5)


def test_hours_in_which_nothing_at_all_is_heard_are_the_operators_and_count_for_nothing() -> None:
    watch, dark = BlindWatch("en"), hour(0.3, heard=False)

    assert watch.step(b.T0_TICK, [hour(1)] + [hour(0.2)] * 4 + [dark] * 20) is None
    assert hear(watch, *[0.2] * 9) == []  # after it, who has not spoken yet is only slow to come back
    assert [c.level for c in hear(watch, 0.9, 0.2, 0.2, 0.2, start=9)] == ["open"]


def test_a_quiet_hour_neither_counts_nor_begins_anew() -> None:
    watch, silent = BlindWatch("en"), hour(0.2, heard=False)
    found = [watch.step(b.T0_TICK + n * b.TICKS_H, [each]) for n, each in enumerate([hour(1), hour(0.2), silent, hour(0.2), hour(0.2)])]

    assert [candidate.statistic for candidate in found if candidate] == [3]


def test_a_watch_that_is_shown_the_hours_again_goes_on_like_the_one_that_lived() -> None:
    hours = [0.9, 0.4, 0.4, 0.4, 0.6, 1, 0.2, 0.2, 0.2, 0.2, 0.9, 0.1, 0.1]
    for border in range(len(hours)):
        alive, again = BlindWatch("en"), BlindWatch("en")
        hear(alive, *hours[:border])
        for exposure in hours[:border]:
            again.hour(hour(exposure))
        assert hear(alive, *hours[border:], start=border) == hear(again, *hours[border:], start=border)


def test_hours_are_counted_only_as_far_as_a_restart_can_count_them() -> None:
    watch = BlindWatch("en")

    assert hear(watch, 1, *[0.0] * (HOURS_MAX + 50))[-1].statistic == HOURS_MAX
