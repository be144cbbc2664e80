"""Commands over files: backfill, score."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.errors import UsageError
from groundswell.names import LIVE_RUN

if TYPE_CHECKING:
    from groundswell.store.store import Store
    from stream.shells.backfill import ArchiveOptions

BACKFILL_NICE = 10
"""An archive can wait; a live document cannot."""


@click.command(
    epilog=example(
        "groundswell backfill archive.csv.gz --dry-run --map title=headline",
        "groundswell backfill archive.csv.gz --store history.db --run history --map title=headline",
    )
)
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="FILE...")
@click.option("--run", default=None, metavar="NAME", help="Name of the run to fill.  [default: the first file's name]")
@click.option("--assume-lag", default="10m", show_default=True, metavar="SPAN", help="Without known_at: known this long after published.")
@click.option("--strict", is_flag=True, help="Refuse lines without known_at.")
@click.option("--map", "mapping", multiple=True, metavar="FIELD=COLUMN", help="A column that is called otherwise in the file.")
@click.option("--mapping", "plan", type=click.Path(path_type=Path), metavar="FILE", help="A mapping file: columns, fixed values, zones.")
@click.option("--zone", metavar="NAME", help="Zone of days, and of times that name none.  [default: the mapping file's, else UTC]")
@click.option("--watches", type=click.Path(path_type=Path), metavar="FILE", help="Saved searches to count.  [default: those that ship]")
@click.option("--no-watches", is_flag=True, help="Count no saved search.")
@click.option("--dry-run", is_flag=True, help="Change nothing: say what is in the files, and what the run would take.")
@click.option("--sample", default=2_000, show_default=True, type=click.IntRange(min=1), help="Documents that a dry run scores.")
@click.option("--kafka", "bootstrap", metavar="HOST:PORT", help="Publish the sorted archive to the run's own topics instead.")
@click.option("--to-prometheus", type=click.Path(path_type=Path), metavar="DIR", help="Then write the run's windows for promtool.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@o.store_option
def backfill(
    files: tuple[Path, ...],
    run: str | None,
    assume_lag: str,
    strict: bool,
    mapping: tuple[str, ...],
    plan: Path | None,
    zone: str | None,
    watches: Path | None,
    no_watches: bool,
    dry_run: bool,
    sample: int,
    bootstrap: str | None,
    to_prometheus: Path | None,
    quiet: bool,
    store_url: str | None,
) -> None:
    """Run archives through the pipeline into a run of their own: jsonl, csv, parquet, warc and GDELT's gkg.csv, also .gz or .zip.

    Never pings. Can be stopped and resumed by the same command; a second call changes nothing. Bad lines are reported on
    standard error, counted as drops, and stop nothing. Runs at a lower priority than live work on the same machine.
    With --to-prometheus and no FILE the windows of a stored run are written. Exit code 3: partly done, run it again.
    """
    from dataclasses import replace

    from groundswell.watches import NOTHING
    from stream.shells import backfill as shell

    if not files:
        if to_prometheus is None:
            message = "backfill: name an archive, or a folder with --to-prometheus"
            raise UsageError(message)
        _to_prometheus(o.open_store(store_url), run, to_prometheus)
        return
    if watches and no_watches:
        message = "--watches and --no-watches: a run counts these searches or none; give one of the two"
        raise UsageError(message)
    if to_prometheus and (dry_run or bootstrap):
        message = "--to-prometheus reads what is folded: give it without files, once the run is complete"
        raise UsageError(message)
    os.nice(BACKFILL_NICE)
    options = _options(assume_lag=assume_lag, strict=strict, mapping=mapping, plan=plan, zone=zone)
    shown = not quiet and sys.stderr.isatty()
    if dry_run:
        _dry_run(files, options, sample=sample, shown=shown)
        return
    name = run or files[0].name.split(".")[0]
    if name == LIVE_RUN:
        message = (
            f"--run {LIVE_RUN}: only sources fill the live run; choose another name; `groundswell runs attach NAME` makes it live's past"
        )
        raise UsageError(message)
    store, chosen, instruments = o.open_store(store_url, makes=True), o.settings(), o.instruments(watches=watches)
    if no_watches:
        instruments = replace(instruments, watches=NOTHING)
    with Progress(shown=shown) as progress:
        if bootstrap:
            from groundswell.kafka_access import KafkaAccess
            from stream.shells.publish import publish_files

            kafka = KafkaAccess.from_settings(chosen.kafka).at(bootstrap)
            sent = publish_files(
                files, store, name, instruments, kafka=kafka, data_dir=Path(chosen.data.dir), options=options, progress=progress.update
            )
            click.echo(f"run {name}: {sent} records published; start workers with --run {name}", err=True)
            return
        done = shell.backfill(files, store, name, instruments, data_dir=Path(chosen.data.dir), options=options, progress=progress.update)
    _report(done)
    if to_prometheus:
        _to_prometheus(store, name, to_prometheus)


def _to_prometheus(store: "Store", run: str | None, folder: Path) -> None:
    from groundswell.clock import SystemClock
    from groundswell.history_export import write_history
    from groundswell.store.query import run_named

    with store.read() as connection:
        name = run_named(connection, run)
        written = write_history(connection, name, folder, now_ms=SystemClock().now_ms(), watched=o.settings().metrics.watch)
    click.echo(f"run {name}: {len(written)} months written to {folder}; promtool tsdb create-blocks-from openmetrics takes each", err=True)


def _options(*, assume_lag: str, strict: bool, mapping: tuple[str, ...], plan: Path | None, zone: str | None) -> "ArchiveOptions":
    """How lines are read: what an option says wins over the mapping file."""
    from groundswell.clock import SystemClock
    from ingest.archives.plan import Plan, load_plan
    from stream.shells.backfill import ArchiveOptions

    told = load_plan(plan) if plan else Plan()
    return ArchiveOptions(
        assume_lag_ms=o.duration_ms(assume_lag, name="--assume-lag"),
        strict=strict,
        mapping=told.columns | _mapping(mapping),
        always=told.always,
        zone=zone or told.zone,
        zones=told.zones,
        not_after_ms=SystemClock().now_ms(),
    )


def _dry_run(files: tuple[Path, ...], options: "ArchiveOptions", *, sample: int, shown: bool) -> None:
    from groundswell.exports import iso
    from stream.shells.dry_run import dry_run, told

    with Progress(shown=shown) as progress:
        found = dry_run(files, o.instruments(), options=options, sample=sample, progress=progress.update)
    for line in told(found, iso=iso):
        click.echo(line)
    click.echo("A dry run: nothing was stored.")


def _report(done: Any) -> None:
    from groundswell.store.query import total

    for line in done.bad_lines:
        click.echo(f"bad line: {line.reason}", err=True)
    sums = total(done.rows)
    state = "was complete already, nothing changed" if done.already else "complete"
    click.echo(f"run {done.run} {state}: " + ", ".join(f"{name} {value}" for name, value in sums.terms.items()))
    for row in done.rows:
        if row.balance:
            click.echo(f"  balance {row.balance:+d} in source {row.source}", err=True)
    if sums.balance:
        sys.exit(1)


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        field, equals, column = pair.partition("=")
        if not equals or not field or not column:
            reason = f"--map {pair!r}: write FIELD=COLUMN, for example --map title=headline"
            raise UsageError(reason)
        mapping[field] = column
    return mapping


class Progress:
    """A bar with rate and time left on a terminal; nothing elsewhere."""

    LABELS = {"read": "reading", "sort": "sorting", "run": "running", "publish": "publishing"}  # noqa: RUF012 - constant

    def __init__(self, *, shown: bool) -> None:
        self._bar: Any = None
        self._shown = shown
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> "Progress":
        if self._shown:
            from rich import progress as bars
            from rich.console import Console

            label, rate = bars.TextColumn("{task.description}"), bars.TextColumn("{task.fields[rate]}")
            columns = label, bars.BarColumn(), bars.MofNCompleteColumn(), rate, bars.TimeRemainingColumn()
            self._bar = bars.Progress(*columns, console=Console(stderr=True))
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def update(self, phase: str, done: int, total: int | None) -> None:
        """What the shell tells."""
        if not self._bar:
            return
        task = self._tasks.get(phase)
        if task is None:
            task = self._tasks[phase] = self._bar.add_task(self.LABELS[phase], total=total, rate="")
        elapsed = self._bar.tasks[task].elapsed or 0.0
        self._bar.update(task, completed=done, total=total, rate=f"{done / elapsed:,.0f}/s" if elapsed > 1 else "")


@click.command(
    epilog=example(
        'echo \'{"title": "Northwind misses a payment"}\' | groundswell score -', "groundswell score headlines.jsonl -o scored.jsonl"
    )
)
@click.argument("file", type=click.File("rb"), metavar="FILE")
@click.option("-o", "--output", default="-", type=click.File("wb"), metavar="FILE", help="Where to write.  [default: the terminal]")
def score(file: Any, output: Any) -> None:
    """Score JSON lines: id, title or text, language?, kind?, entities? in; topic, sentiment, companies and flags out.

    One line out for each line in, in order; a line that cannot be scored keeps its place with nulls and a reason.
    FILE may be - for standard input.
    """
    from models.score_file import score_lines
    from stream.operators.normalise import detect_language

    scorer = o.instruments().scorer
    for line in score_lines(file, scorer, detect=detect_language, judge=scorer if hasattr(scorer, "judge") else None):  # type: ignore[arg-type]
        output.write(line if line.endswith(b"\n") else line + b"\n")
