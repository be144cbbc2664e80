import gc
import threading

import pytest

from groundswell.errors import ContinuityError, DependencyError, OwnershipLostError, UsageError
from stream.shells.worker import (
    COLLECT_AFTER,
    EXIT_DEPENDENCY,
    EXIT_FINAL,
    EXIT_OWNERSHIP,
    EXIT_STALLED,
    EXIT_UNEXPECTED,
    StallWatch,
    end_process,
    exit_code_of,
    leave_within,
    spare_the_collector,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OwnershipLostError("x"), EXIT_OWNERSHIP),
        (DependencyError("x"), EXIT_DEPENDENCY),
        (ContinuityError("x"), EXIT_FINAL),
        (UsageError("x"), EXIT_FINAL),
        (ZeroDivisionError(), EXIT_UNEXPECTED),
    ],
)
def test_every_kind_of_end_has_its_own_exit_code(error: Exception, code: int) -> None:
    left: list[int] = []
    end_process(error, place="here", leave=left.append)
    assert left == [code] == [exit_code_of(error)]
    assert code not in (0, 1, 2)


def test_the_collector_looks_less_often_and_not_at_what_a_worker_began_with() -> None:
    before = gc.get_threshold()
    try:
        spare_the_collector()
        assert gc.get_threshold() == COLLECT_AFTER != before
        assert gc.get_freeze_count() > 0
        assert gc.isenabled(), "what refers to itself still goes"
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)


def test_a_graceful_stop_that_takes_too_long_is_cut_short() -> None:
    left = threading.Event()
    leave_within(0.01, leave=lambda _: left.set())
    assert left.wait(180)


class Seconds:
    now = 0.0


def test_a_worker_to_which_nothing_comes_leaves_with_its_own_code() -> None:
    left: list[int] = []
    seconds = Seconds()
    watch = StallWatch(60, leave=left.append, now_s=lambda: seconds.now)
    seconds.now = 1_000.0
    watch.check()
    assert left == [], "before the first message there is nothing to miss"
    watch.beat()
    seconds.now += 60
    watch.check()
    assert left == []
    seconds.now += 1
    watch.check()
    assert left == [EXIT_STALLED]


def test_a_worker_without_partitions_is_not_stalled() -> None:
    left: list[int] = []
    seconds = Seconds()
    watch = StallWatch(60, leave=left.append, now_s=lambda: seconds.now)
    watch.beat()
    watch.rest()
    seconds.now = 1_000.0
    watch.check()
    assert left == []


def test_a_worker_of_an_archive_is_stalled_only_while_messages_wait() -> None:
    left: list[int] = []
    seconds = Seconds()
    watch = StallWatch(60, always=False, leave=left.append, now_s=lambda: seconds.now)
    watch.beat()
    seconds.now = 1_000.0
    watch.check()
    watch.see(lag=0)
    watch.check()
    assert left == [], "the archive has ended"
    watch.see(lag=5)
    watch.check()
    assert left == [], "from now on there is work"
    seconds.now += 61
    watch.see(lag=5)
    watch.check()
    assert left == [EXIT_STALLED]


def test_a_worker_that_never_gets_its_first_message_is_stalled_when_the_broker_holds_some() -> None:
    left: list[int] = []
    seconds = Seconds()
    watch = StallWatch(60, leave=left.append, now_s=lambda: seconds.now)
    watch.see(lag=1)
    seconds.now += 61
    watch.see(lag=7)
    watch.check()
    assert left == [EXIT_STALLED]
