"""`make bench`: every benchmark, printed as ratios and written to docs/benchmarks.md. `python -m bench NAME...` runs some."""

import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.demo import first_impressions
from bench.kafka import beside_a_bare_loop
from bench.pipeline import ROUNDS, Ratio, against_a_plain_loop, in_a_full_store
from bench.replays import ROOT, commit_of, machine
from bench.scoring import scoring

PAGE = ROOT / "docs" / "benchmarks.md"
BENCHMARKS: dict[str, Callable[[Path], Ratio | list[Ratio]]] = {
    "demo": first_impressions,
    "plain-loop": against_a_plain_loop,
    "full-store": in_a_full_store,
    "kafka": beside_a_bare_loop,
    "scoring": scoring,
}


def main() -> None:
    """Run what was asked for; write the page when everything ran."""
    asked = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in asked if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"bench: {unknown[0]!r} is none of {', '.join(BENCHMARKS)}")
    commit = commit_of(ROOT)
    page = [
        "# Benchmarks\n",
        f"Written by `make bench` on {datetime.now(UTC):%Y-%m-%d}, commit {commit}, {machine()}.",
        f"Each ratio is of medians of {ROUNDS} runs that alternate within one process, on synthetic text. Ratios carry over to other",
        "machines better than seconds do; the seconds are beside them.\n",
        "| what | against | ratio | wanted | figures |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(prefix="groundswell-bench-") as temporary:
        for name in asked:
            found = BENCHMARKS[name](Path(temporary) / name)
            for r in found if isinstance(found, list) else [found]:
                page.append(f"| {r.what} | {r.against} | **{r.ratio:.2g}** | {r.bound} | {r.detail} |")
                print(page[-1], flush=True)
    if asked == list(BENCHMARKS):
        PAGE.write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
