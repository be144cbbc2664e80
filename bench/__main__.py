"""`make bench`: every benchmark, printed as ratios and written to docs/benchmarks.md. `python -m bench NAME...` runs some of them."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from math import isnan
from pathlib import Path

from bench.beside import beside_a_backfill
from bench.board import board_views
from bench.chance import of_chance
from bench.crawl import crawl
from bench.demo import first_impressions
from bench.detect import detectors
from bench.gpu import on_a_gpu
from bench.kafka import beside_a_bare_loop
from bench.kept import of_kept_state
from bench.latency import of_a_live_run
from bench.months import of_months
from bench.ping import evidence_to_ping
from bench.pipeline import ROUNDS, Ratio, against_a_plain_loop, in_a_full_store
from bench.rehearse import a_quarter
from bench.replays import ROOT, commit_of, machine
from bench.resources import of_a_burst, of_a_million
from bench.scoring import scoring
from bench.shares import shares
from bench.stages import of_stages
from bench.stream import of_the_stream

PAGE = ROOT / "docs" / "benchmarks.md"
BENCHMARKS: dict[str, Callable[[Path], Ratio | list[Ratio]]] = {
    "demo": first_impressions,
    "plain-loop": against_a_plain_loop,
    "full-store": in_a_full_store,
    "beside": beside_a_backfill,
    "board": board_views,
    "kafka": beside_a_bare_loop,
    "stream": of_the_stream,
    "months": of_months,
    "stages": of_stages,
    "crawl": crawl,
    "latency": of_a_live_run,
    "ping": evidence_to_ping,
    "resources": of_a_burst,
    "million": of_a_million,
    "kept": of_kept_state,
    "rehearse": a_quarter,
    "chance": of_chance,
    "detect": detectors,
    "shares": shares,
    "scoring": scoring,
    "gpu": on_a_gpu,
}


HEAD = """# Benchmarks

Each section is written by `python -m bench NAME`, all of them by `make bench`. Each ratio is of medians of {rounds} runs that alternate
within one process, unless a line says otherwise. Ratios carry over to other machines better than seconds do; the seconds are beside them.
"""
TABLE = "| what | against | ratio | wanted | figures |\n|---|---|---|---|---|\n"


def main() -> None:
    """Run what was asked for; each benchmark that has run replaces its own section of the page."""
    asked = sys.argv[1:] or list(BENCHMARKS)
    unknown = [name for name in asked if name not in BENCHMARKS]
    if unknown:
        sys.exit(f"bench: {unknown[0]!r} is none of {', '.join(BENCHMARKS)}")
    commit = commit_of(ROOT)
    with tempfile.TemporaryDirectory(prefix="groundswell-bench-") as temporary:
        for name in asked:
            found = BENCHMARKS[name](Path(temporary) / name)
            rows = [
                f"| {r.what} | {r.against} | {shown(r.ratio)} | {r.bound} | {r.detail} |"
                for r in (found if isinstance(found, list) else [found])
            ]
            print("\n".join(rows), flush=True)
            if not rows:  # it has said why
                continue
            said = f"{datetime.now(UTC):%Y-%m-%d}, commit {commit}, {machine()}.\n\n{TABLE}" + "\n".join(rows)
            kept = sections(PAGE.read_text(encoding="utf-8")) | {name: said}
            PAGE.write_text(page(kept), encoding="utf-8")


def shown(ratio: float) -> str:
    """A ratio, or that there is none."""
    return "-" if isnan(ratio) else f"**{ratio:.2g}**"


def sections(text: str) -> dict[str, str]:
    """Section -> its text, of a page that `page` has written."""
    return {title: rest.strip() for title, _, rest in (part.partition("\n") for part in text.split("\n## ")[1:])}


def page(found: Mapping[str, str]) -> str:
    """The page, sections in the order of BENCHMARKS."""
    return HEAD.format(rounds=ROUNDS) + "".join(f"\n## {name}\n\n{found[name]}\n" for name in BENCHMARKS if name in found)


if __name__ == "__main__":
    main()
