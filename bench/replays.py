"""`make replays`: the six real archives through the real command line; writes docs/replays.md.

Reads ../shared/data/replay and ../shared/tools, which are not part of the project: without them it says so and ends.
Every figure in the page comes from here. `python -m bench.replays NAME...` runs only archives whose name begins so.
"""

import csv
import gzip
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
PAGE = ROOT / "docs" / "replays.md"
ARCHIVES = (
    "en_news_rss_2022-12_2023",
    "en_news_crypto_2022",
    "en_news_headlines_2017_2020",
    "en_comments_stocknet_2014_2016",
    "zh_en_news_rss_2025_2026",
    "zh_comments_weibo_hot_2020_2026",
)
RSS, STOCKNET = ARCHIVES[0], ARCHIVES[3]
CUTS = (  # begin, length: a Monday morning, a weekday, a long weekend
    ("2023-02-13T06:00:00", timedelta(hours=6)),
    ("2023-04-12T00:00:00", timedelta(days=1)),
    ("2023-05-19T00:00:00", timedelta(days=3)),
)
RUN = "replay"
GROUNDSWELL = (sys.executable, "-m", "groundswell")
Line = dict[str, Any]


@dataclass
class Run:
    """What one `groundswell backfill` said and cost."""

    store: Path
    balance: dict[str, int]
    bad_lines: int
    seconds: float
    peak_mb: int
    alerts: list[Line]


def call(*arguments: str, folder: Path) -> tuple[str, str, float, int]:
    """Run a command of the project; returns output, errors, seconds, and the peak memory of the process in MiB."""
    environment = {**os.environ, "GROUNDSWELL_DATA_DIR": str(folder / "data"), "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        child = subprocess.Popen([*GROUNDSWELL, *arguments], stdout=out, stderr=err, env=environment, cwd=folder)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - began
        out.seek(0)
        err.seek(0)
        output, errors = out.read(), err.read()
    if child.returncode:
        sys.exit(f"groundswell {' '.join(arguments)}: exit code {child.returncode}\n{errors}")
    return output, errors, seconds, usage.ru_maxrss // 1024


def backfill(archive: Path, folder: Path) -> Run:
    """Backfill one archive into a store of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / "replay.db"
    output, errors, seconds, peak_mb = call("backfill", str(archive), "--store", str(store), "--run", RUN, folder=folder)
    terms = dict(part.rsplit(" ", 1) for part in output.strip().split(": ", 1)[1].split(", "))
    return Run(store, {k: int(v) for k, v in terms.items()}, errors.count("bad line:"), seconds, peak_mb, alerts_of(store, folder))


def alerts_of(store: Path, folder: Path) -> list[Line]:
    """The alerts of a store, as the command line prints them."""
    output, *_ = call("alerts", "--store", str(store), "--format", "jsonl", folder=folder)
    return [json.loads(line) for line in output.splitlines()]


def lines_of(name: str) -> Iterator[Line]:
    """An archive's lines."""
    with gzip.open(SHARED / "data" / "replay" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def write(path: Path, lines: Iterator[Line] | list[Line]) -> Path:
    """Write an archive that was made from another one."""
    with gzip.open(path, "wt", encoding="utf-8", compresslevel=1) as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    return path


def evaluated(alerts: list[Line], name: str, folder: Path) -> Line | None:
    """What tools/eval_alerts.py says; None where no event of the archive is listed."""
    events = json.loads((SHARED / "tools" / "events.json").read_text(encoding="utf-8"))
    key = next((key for key in events if name.startswith(key)), None)
    if key is None:
        return None
    listed = folder / "alerts.jsonl"
    listed.write_text("".join(json.dumps(alert) + "\n" for alert in alerts), encoding="utf-8")
    command = [sys.executable, str(SHARED / "tools" / "eval_alerts.py"), str(listed), str(SHARED / "tools" / "events.json"), key]
    said: Line = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return said


# --- single lines of the page ---------------------------------------------------------------------------------------------------
def replay(name: str, folder: Path, say: Callable[[str], None]) -> Run:
    """One archive, twice: the second time nothing may change."""
    archive = SHARED / "data" / "replay" / f"{name}.jsonl.gz"
    run = backfill(archive, folder)
    before = exports(run.store, folder)
    output, *_ = call("backfill", str(archive), "--store", str(run.store), "--run", RUN, folder=folder)
    unchanged = "nothing changed" in output and exports(run.store, folder) == before
    found = evaluated(run.alerts, name, folder)
    events = (
        "-"
        if found is None
        else f"{found['caught']} of {found['of']}" + (f" (not: {', '.join(found['missed'])})" if found["missed"] else "")
    )
    quiet = "-" if found is None or found["unexplained_per_week"] is None else str(found["unexplained_per_week"])
    wrong = "-" if found is None else (", ".join(found["wrong"]) or "none")
    b = run.balance
    rate = f"{b['fetched'] / run.seconds:,.0f}"
    counts = [name, f"{b['fetched']:,}", f"{b['scored']:,}", b["duplicate"], b["edited"], b["dropped"], b["balance"]]
    cells = [*counts, run.peak_mb, rate, "yes" if unchanged else "NO", len(run.alerts), events, quiet, wrong]
    say(f"| {' | '.join(map(str, cells))} |")
    return run


def exports(store: Path, folder: Path) -> tuple[str, str]:
    """The two exports that parity is about."""
    series, *_ = call("series", "*", "--window", "1d", "--format", "csv", "--store", str(store), folder=folder)
    alerts, *_ = call("alerts", "--format", "jsonl", "--store", str(store), folder=folder)
    return series, alerts


def explained(run: Run, folder: Path) -> str:
    """Whether every alert is recomputed to the same bytes (a differing one ends this program)."""
    for alert in run.alerts:
        call("explain", alert["id"], "--store", str(run.store), folder=folder)
    return f"{len(run.alerts)} of {len(run.alerts)} alerts recomputed to the same bytes"


def cut(begin: str, length: timedelta, uncut: list[Line], folder: Path) -> str:
    """Remove a span of known time; no alert may open within a day after it that the whole archive does not open."""
    start = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    end = start + length
    kept = [line for line in lines_of(RSS) if not start <= datetime.fromisoformat(line["published_at"]) < end]
    run = backfill(write(folder.parent / f"cut-{begin[:10]}.jsonl.gz", kept), folder)
    known = {(alert["series"], alert["opened_at"][:10]) for alert in uncut}
    after = [
        alert
        for alert in run.alerts
        if end <= datetime.fromisoformat(alert["opened_at"]) < end + timedelta(days=1)
        and (alert["series"], alert["opened_at"][:10]) not in known
    ]
    middle = start + length * 0.75
    output, *_ = call(
        "series", "topic:general_other:en", "--window", "1h", "--from", middle.isoformat()[:13] + ":00", "--to",
        (middle + timedelta(hours=1)).isoformat()[:13] + ":00", "--format", "csv", "--store", str(run.store), folder=folder,
    )  # fmt: skip
    exposure = next(csv.DictReader(output.splitlines()))["exposure"]
    return f"| {begin}Z | {length} | {len(after)} | {exposure} |" + "".join(f" {alert['opened_at']} {alert['title']}" for alert in after)


def planted(folder: Path) -> str:
    """The tweets with 60 differently worded negative posts on one company in two hours, and what alerts about it."""
    rng = random.Random(60)
    begin = datetime(2014, 8, 13, 15, 0, tzinfo=UTC)
    subjects = (
        "The board",
        "Management",
        "The auditor",
        "A supplier",
        "One regulator",
        "The new factory",
        "The main client",
        "A warehouse",
    )
    verbs = ("hides", "cannot explain", "loses", "writes off", "fails on", "cancels", "misstates", "walks away from")
    objects = (
        "its debts",
        "the missing cash",
        "a large contract",
        "this year's profit",
        "the product recall",
        "unpaid wages",
        "the lawsuit",
        "its guidance",
    )
    tails = (
        "I am selling",
        "terrible quarter ahead",
        "worst news of the year",
        "bankruptcy talk again",
        "shares crash",
        "huge losses",
        "investors panic",
    )
    texts: set[str] = set()
    while len(texts) < 60:
        texts.add(f"$CAT {rng.choice(subjects).lower()} {rng.choice(verbs)} {rng.choice(objects)}, {rng.choice(tails)}")
    posts = [
        {
            "source": "twitter",
            "kind": "comment",
            "title": text,
            "language": "en",
            "published_at": (begin + timedelta(minutes=2 * i)).isoformat(),
        }
        for i, text in enumerate(sorted(texts))
    ]
    run = backfill(write(folder.parent / "planted.jsonl.gz", [*lines_of(STOCKNET), *posts]), folder)
    found = [alert for alert in run.alerts if alert["opened_at"].startswith("2014-08-13") and "entity:Caterpillar" in alert["all_series"]]
    return f"60 planted posts: {'alert ' + found[0]['opened_at'] + ' ' + found[0]['title'] if found else 'NO ALERT'}"


def shuffled(uncut: Run, folder: Path) -> str:
    """The same lines in another order give the same exports."""
    lines = list(lines_of(RSS))
    random.Random(1).shuffle(lines)
    run = backfill(write(folder.parent / "shuffled.jsonl.gz", lines), folder)
    same = exports(run.store, folder) == exports(uncut.store, folder)
    return f"shuffled archive: exports {'byte-identical' if same else 'DIFFER'}"


def main() -> None:
    """Run what was asked for and write the page."""
    if not (SHARED / "data" / "replay").is_dir():
        sys.exit(
            f"{SHARED / 'data' / 'replay'} is not here: the real archives are not part of the project; the synthetic twins are in make test"
        )
    names = [name for name in ARCHIVES if not sys.argv[1:] or name.startswith(tuple(sys.argv[1:]))]
    commit = commit_of(ROOT)
    page: list[str] = []

    def say(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        page.append(line)

    say("# Replays of real archives\n")
    say(f"Written by `make replays` on {datetime.now(UTC):%Y-%m-%d}, commit {commit}, {machine()}.")
    say("The archives are real text and not part of the project; `make test` runs a twin of each line on synthetic archives.\n")
    say("## Every archive to its end\n")
    say(
        "| archive | fetched | scored | duplicate | edited | dropped | balance | peak MiB | documents/s "
        "| second run changes nothing | alerts | events caught | unexplained a week | wrong |"
    )
    say("|" + "---|" * 14)
    with tempfile.TemporaryDirectory(prefix="groundswell-replays-") as temporary:
        folder = Path(temporary)
        runs = {name: replay(name, folder / name, say) for name in names}
        if RSS in runs:
            _rss(runs[RSS], folder, say)
        if STOCKNET in runs:
            copies = [a for a in runs[STOCKNET].alerts if a["opened_at"].startswith(("2014-05-21", "2014-05-22"))]
            say("\n## Copies and opinion (StockNet)\n")
            say(f"1,581 copies of one retweet on 2014-05-21: {len(copies)} alerts on that day and the next.\n")
            say(planted(folder / "planted"))
    if len(names) == len(ARCHIVES):
        PAGE.write_text("\n".join(page) + "\n", encoding="utf-8")


def _rss(run: Run, folder: Path, say: Callable[[str], None]) -> None:
    say("\n## Alerts of the 2022-2023 news archive\n")
    say("Not an independent test: thresholds (alerts/rules.toml) were chosen with this archive in sight, and the English lexicon")
    say("(docs/models.md) has crisis phrases that were added after reading its headlines of March 2023.\n")
    say("| opened | alert | owners | evidence |\n|---|---|---|---|")
    for alert in run.alerts:
        say(f"| {alert['opened_at']} | {alert['title']} | {alert['owners']} | {len(alert['evidence'])} documents |")
    say(f"\n{explained(run, folder)}; {shuffled(run, folder / 'shuffled')}.")
    say("\n## Spans cut out of it\n")
    say("New alerts within a day after the cut, and the exposure in its last quarter (1 = everybody is heard).\n")
    say("| cut from | length | new alerts | exposure |\n|---|---|---|---|")
    for begin, length in CUTS:
        say(cut(begin, length, run.alerts, folder / f"cut{begin[:10]}"))


def commit_of(checkout: Path) -> str:
    """The commit that is measured; "-dirty" where files have changed since."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, capture_output=True, text=True, cwd=checkout, check=False).stdout.strip() or "unknown"


def machine() -> str:
    """The machine, in words."""
    model = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")), ""
    )
    return f"{model or platform.processor()}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    main()
