"""`make faults`: every fault of the long list, and the page docs/faults.md that says what was lost and what was doubled.

`python -m tests.faults NAME...` runs some of them; their lines replace those of the page, the others stay as they are.
"""

import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.replays import ROOT, commit_of, machine
from groundswell.errors import GroundswellError
from tests.faults.catalogue import DISK, FEEDS, STRIKES, Fault, Feed
from tests.faults.disk import crawl_onto_a_full_disk, small_disk
from tests.faults.material import Material, Twists, make_material
from tests.faults.trial import Outcome, Rows, Trial, World, expected_rows, world

PAGE: Final = ROOT / "docs" / "faults.md"
SHARES_EACH: Final = 4  # a fault takes so many at most
HEAD: Final = """# Faults

Each line is written by `python -m tests.faults NAME`, all of them by `make faults`: real workers on three real Kafka nodes and a real
PostgreSQL server, one run for each line over the same synthetic archive of about 2,700 records. At the end every stored row is compared
with what the embedded shell makes of the same records, undisturbed, and the balance is taken.

- **times**: how often it was done; *in work*: how often something was under way at that moment.
- **lost**, **doubled**: rows that are missing, and rows that should not be there, over {tables} tables. **balance**: documents without
  one fate.
- **seconds**: from the fault (or the end of what lasted) until every partition that it hit had committed again, with what had piled up
  worked off: median, and the longest. A worker that stands still for two minutes would be ended by its own watch.
- **ended**: exit codes of workers that ended by themselves and were started again (75 a peer is away, 76 the partition has another owner).

What is published twice counts as a duplicate and changes nothing else; the embedded shell is given the same, for its admissions.
"""
TABLE: Final = (
    "| name | fault | times | in work | lost | doubled | balance | seconds | ended | when, commit |\n"
    "|---|---|---|---|---|---|---|---|---|---|\n"
)
TABLES: Final = 13


def main() -> int:
    """Run what was asked for; 1 where a row was lost or doubled or a run hung."""
    every = {entry.name: entry for entry in (*STRIKES, *FEEDS, DISK)}
    asked = sys.argv[1:] or list(every)
    unknown = [name for name in asked if name not in every]
    if unknown:
        sys.exit(f"faults: {unknown[0]!r} is none of {', '.join(every)}")
    commit, failed, began = commit_of(ROOT), False, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="groundswell-faults-") as temporary, world(Path(temporary)) as peers:
        for name in asked:
            entry, started = every[name], time.monotonic()
            try:
                outcome = run_one(peers, entry)
            except (AssertionError, GroundswellError) as error:
                say(f"{name}: FAILED: {error}")
                failed = True
                continue
            failed |= not outcome.clean
            line = row(entry, outcome, f"{datetime.now(UTC):%Y-%m-%d}, {commit}")
            PAGE.write_text(page(lines(PAGE) | {name: line}, list(every)), encoding="utf-8")
            say(f"{time.monotonic() - began:5.0f} s, of them {time.monotonic() - started:3.0f}: {line}")
    return 1 if failed else 0


def run_one(peers: World, entry: Fault | Feed) -> Outcome:
    """One line of the table."""
    if isinstance(entry, Feed):
        material = make_material(peers.folder / entry.name, shares=6, twists=entry.twists)
        if entry is DISK:
            return with_full_disk(peers, material)
        return fed(peers, entry.name, material, expected_rows(material, peers.folder / entry.name))
    material = make_material(peers.folder / entry.name, shares=2 + SHARES_EACH * entry.times, twists=Twists())
    expected = expected_rows(material, peers.folder / entry.name)
    with Trial.begin(peers, material, f"faults-{entry.name}", proxied=entry.proxied) as trial:
        trial.feed()
        trial.catch_up()
        for _ in range(entry.times):
            entry.strike(trial, entry)
        return trial.finish(expected)


def fed(peers: World, name: str, material: Material, expected: Rows) -> Outcome:
    """A run over records that something was done to."""
    with Trial.begin(peers, material, f"faults-{name}") as trial:
        trial.feed()
        trial.struck()
        return trial.finish(expected)


def with_full_disk(peers: World, material: Material) -> Outcome:
    """A run whose crawler meets a full disk."""
    expected = expected_rows(material, peers.folder / "disk")
    with small_disk(peers.folder / "full") as disk, Trial.begin(peers, material, "faults-disk") as trial:
        assert disk is not None, "only root may mount the small disk that this fault needs"
        for refusal in crawl_onto_a_full_disk(trial, disk):
            say(f"disk: {refusal}")
        return trial.finish(expected)


# --- the page -----------------------------------------------------------------------------------------------------------------
def row(entry: Fault | Feed, outcome: Outcome, when: str) -> str:
    """A fault's line."""
    lost, doubled = outcome.lost.total(), outcome.doubled.total()
    seconds = f"{statistics.median(outcome.seconds):.1f}, {max(outcome.seconds):.1f}" if outcome.seconds else "-"
    ended = ", ".join(f"{code} x {count}" for code, count in sorted(outcome.codes.items())) or "-"
    counts = [outcome.strikes, outcome.in_midst, lost, doubled, outcome.balance]
    return f"| {entry.name} | {entry.what} | {' | '.join(map(str, counts))} | {seconds} | {ended} | {when} |"


def lines(page: Path) -> dict[str, str]:
    """Name -> line, of a page that `page` has written."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    found = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| name |")]
    return {line.split("|")[1].strip(): line for line in found}


def page(found: dict[str, str], order: list[str]) -> str:
    """The page, lines in the order of the list."""
    kept = [found[name] for name in order if name in found]
    return f"{HEAD.format(tables=TABLES)}\nMachine: {machine()}.\n\n{TABLE}" + "\n".join(kept) + "\n"


def say(text: str) -> None:
    """A line that is out before anything else happens."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
