"""Clocks are arguments."""

import time

from groundswell.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_tells_milliseconds_of_utc() -> None:
    before = int(time.time() * 1000)
    assert before - 1 <= SystemClock().now_ms() <= int(time.time() * 1000) + 1


def test_a_manual_clock_stands_until_it_is_moved_and_may_go_back() -> None:
    clock: Clock = (manual := ManualClock(10))
    assert [clock.now_ms(), clock.now_ms()] == [10, 10]
    assert [manual.advance(5), manual.advance(-8), clock.now_ms()] == [15, 7, 7]
