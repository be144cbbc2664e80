"""`make fuzz`: many mutated answers through every parser; none may raise, take two seconds, or take 300 MB.

    python -m tests.fuzz [INPUTS]

Prints one line for each parser: inputs, readable ones, the slowest in seconds, and how much memory the process has grown by.
"""

import sys
import time

from hypothesis import HealthCheck, given, settings

from groundswell.codec import decode_raw, encode
from ingest.types.table import type_of
from tests.ingest.types.examples import EXAMPLES, Example
from tests.ingest.types.hostile import peak_kb
from tests.ingest.types.mutations import mutated_answer

INPUTS = 100_000
ONE_INPUT_S = 2.0
MEMORY_KB_MAX = 300 * 1024


def fuzz(name: str, *, inputs: int) -> tuple[int, int, float]:
    """(inputs, readable, seconds of the slowest) of one parser."""
    done = readable = 0
    slowest_s = 0.0

    @settings(max_examples=inputs, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutated_answer(name))
    def one(case: tuple[Example, str, bytes]) -> None:
        nonlocal done, readable, slowest_s
        example, url, body = case
        started = time.thread_time()
        parsed = type_of(example.source).parse(body, example.headers, asked=example.asked(url), source=example.source, fetched_ms=0)
        took_s = time.thread_time() - started
        done, readable, slowest_s = done + 1, readable + parsed.readable, max(slowest_s, took_s)
        assert took_s < ONE_INPUT_S, f"{took_s:.1f} s for {body[:200]!r}"
        for record in parsed.records:
            assert decode_raw(encode(record)) == record

    one()
    return done, readable, slowest_s


def main(inputs: int = INPUTS) -> int:
    """Fuzz every parser; 1 if the memory grew too much."""
    for example in EXAMPLES.values():  # what parsers load once is not theirs to answer for
        for url, body in example.site.items():
            type_of(example.source).parse(body, example.headers, asked=example.asked(url), source=example.source, fetched_ms=0)
    before = peak_kb()
    for name in EXAMPLES:
        done, readable, slowest_s = fuzz(name, inputs=inputs // len(EXAMPLES) + 1)
        grown_mb = (peak_kb() - before) / 1024
        sys.stdout.write(f"{name:<12} {done:>7} inputs  {readable:>7} readable  slowest {slowest_s:.3f} s  memory +{grown_mb:.0f} MB\n")
        sys.stdout.flush()
    return int(peak_kb() - before > MEMORY_KB_MAX)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:2])))
