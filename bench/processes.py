"""What processes use, as Linux tells: processor seconds and memory, and the cores that they may run on."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
EVERY_S = 0.5
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """Processor seconds of a process and of its children that have ended; 0 for one that is gone."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS_PER_S
    return 0.0


def rss_bytes(pid: int) -> int:
    """Resident memory of a process; 0 for one that is gone."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    return 0


def with_children(pid: int) -> list[int]:
    """A process and those that its main thread has started; none once it is gone."""
    with suppress(OSError):
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    return []


def family(word: str) -> list[int]:
    """This process's descendants whose program's name begins with a word."""
    parents, names = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            head, _, rest = (entry / "stat").read_text().rpartition(")")
            parents[int(entry.name)], names[int(entry.name)] = int(rest.split()[1]), head.partition("(")[2]
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return sorted(pid for pid in mine if names.get(pid, "").startswith(word))


@contextmanager
def cores(chosen: Iterable[int]) -> Iterator[None]:
    """What is started in the block runs on these cores for ever."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(chosen) & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def pin(pid: int, chosen: Iterable[int]) -> None:
    """Let a process, all threads of it, run on these cores only."""
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):
            os.sched_setaffinity(int(task.name), set(chosen))


class MemoryWatch:
    """Samples the memory of processes every EVERY_S seconds until the block ends.

    Args:
        members: by name, the processes that are counted together under it; asked anew for each sample.
    """

    def __init__(self, members: Mapping[str, Callable[[], Iterable[int]]]) -> None:
        self._members = members
        self.samples: dict[str, list[int]] = {name: [] for name in members}  # bytes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(EVERY_S):
            for name, pids in self._members.items():
                self.samples[name].append(sum(map(rss_bytes, pids())))


def highest_in_quarter(samples: Sequence[int], number: int) -> int:
    """The highest sample of one quarter of the time, 1 to 4."""
    return max(samples[(number - 1) * len(samples) // 4 : max(number * len(samples) // 4, 1)])
