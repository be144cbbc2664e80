"""How long a rehearsal of rules takes for a quarter of archive, beside folding the same archive again; processor time, one process."""

import time
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from bench.pipeline import Ratio
from ingest.demo_archive import DEMO_END, DemoSpec
from stream.shells.demo import RUN, set_up
from stream.shells.rehearse import rehearse

QUARTER_DAYS: Final = 91
WANTED_S: Final = 10.0
ROUNDS: Final = 3


def a_quarter(folder: Path) -> list[Ratio]:
    """The demo's archive, three months of it, folded once with the linear models and rehearsed with rules of its own making."""
    demo = set_up(folder / "demo", end=DEMO_END, spec=DemoSpec(days=QUARTER_DAYS), use="linear")
    began = time.process_time()
    demo.play_at_speed()
    demo.pipeline.finish()
    folded_s = time.process_time() - began
    shipped = demo.instruments.rules
    strict = msgspec.structs.replace(shipped, surge=msgspec.structs.replace(shipped.surge, p_open_hour=1e-6, p_open_day=1e-5))
    found = []
    with closing(demo.store):
        for _ in range(ROUNDS):
            began = time.process_time()
            done = rehearse(demo.store, RUN, strict, display=demo.instruments.display)
            found.append(time.process_time() - began)
    seconds = median(found)
    detail = f"{seconds:.1f} s for {QUARTER_DAYS} days with {done.documents:,} documents, median of {ROUNDS}"
    return [
        Ratio("processor seconds of a rehearsal of a quarter of archive", f"{WANTED_S:.0f} s", seconds / WANTED_S, "at most 1", detail),
        Ratio(
            "processor seconds of a rehearsal of a quarter of archive",
            "reading, scoring and folding it again, with the linear models",
            seconds / folded_s,
            "at most 0.5",
            f"{detail}; {folded_s:.1f} s to fold, without making the archive",
        ),
    ]
