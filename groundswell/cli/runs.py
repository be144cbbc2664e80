"""Commands over runs: runs list, show, attach, verify, drop."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.exports import iso
from groundswell.names import LIVE_RUN

if TYPE_CHECKING:
    from groundswell.store.runs import RunRow

LIST_COLUMNS: Final = ["run", "kind", "model", "documents", "alerts", "first_known", "last_known", "known_basis", "complete", "note"]
BALANCE_COLUMNS: Final = ["source", "fetched", "scored", "duplicate", "edited", "dropped", "in_flight", "balance"]
PROGRESS_COLUMNS: Final = ["role", "part", "time", "closed", "next_offset", "epoch", "owner"]
VERIFY_COLUMNS: Final = ["check", "compared", "holds", "disagreements", "first"]


@click.group(cls=Group)
def runs() -> None:
    """The runs of a store: the live one, backfills, demos; each is a derivation of its own from a log.

    Facts (documents, scores) belong to no run: they stay when a run is dropped.
    """


@runs.command("list", epilog=example("groundswell runs list"))
@o.listing_options
@o.store_option
def list_runs(form: str, output: str | None, store_url: str | None) -> None:
    """Every run: what it holds, from when to when, how its known times came about (the weakest), and whether it is complete."""
    from groundswell.store.basis import basis_of_run
    from groundswell.store.runs import runs_of

    with o.open_store(store_url).read() as connection:
        found = [_row(one) | {"known_basis": basis_of_run(connection, one.run)} for one in runs_of(connection)]
    o.print_rows(found, form=form, output=output, columns=LIST_COLUMNS)


def _row(one: "RunRow") -> dict[str, Any]:
    return {
        "run": one.run,
        "kind": one.kind,
        "model": one.model_id,
        "documents": one.documents,
        "alerts": one.alerts,
        "first_known": None if one.first_known_ms is None else iso(one.first_known_ms),
        "last_known": None if one.last_known_ms is None else iso(one.last_known_ms),
        "complete": one.complete,
        "note": one.note or None,
    }


@runs.command(epilog=example("groundswell runs show history"))
@click.argument("run")
@o.store_option
def show(run: str, store_url: str | None) -> None:
    """What RUN was made from, its balance by source, and how far each part has come."""
    from groundswell.names import ROLE_DESK, ROLE_FOLD, ROLE_SCORE
    from groundswell.store.progress import progress_of
    from groundswell.store.query import balance_of, total
    from groundswell.store.runs import manifest_of

    log = o.live_log(run)
    with o.open_store(store_url).read() as connection:
        manifest = manifest_of(connection, run)
        balances = balance_of(connection, run, log=log)
        claims = [claim for role in (ROLE_SCORE, ROLE_FOLD, ROLE_DESK) for claim in progress_of(connection, run, role)]
    click.echo(f"run {run}")
    click.echo(msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode())
    click.echo("\nbalance")
    rows = [{"source": row.source} | row.terms for row in (*balances, total(balances))]
    o.print_rows(rows, form="table", output=None, columns=BALANCE_COLUMNS)
    click.echo("\nprogress")
    o.print_rows((_progress(claim) for claim in claims), form="table", output=None, columns=PROGRESS_COLUMNS)


def _progress(claim: Any) -> dict[str, Any]:
    from groundswell.names import TICK_MS
    from groundswell.store.progress import NEVER_TICK

    return {
        "role": claim.role,
        "part": claim.part,
        "time": iso(claim.time_ms) if claim.time_ms > 0 else None,
        "closed": None if claim.closed_tick == NEVER_TICK else iso((claim.closed_tick + 1) * TICK_MS),
        "next_offset": claim.next_offset,
        "epoch": claim.epoch,
        "owner": claim.owner,
    }


@runs.command(epilog=example("groundswell runs verify history"))
@click.argument("run")
@o.listing_options
@o.store_option
def verify(run: str, form: str, output: str | None, store_url: str | None) -> None:
    """Make again from RUN's facts what can be made again, and compare: balance, facts, increments, alerts.

    Reads everything, so a large run takes minutes. Exit code 1 when something does not hold; the first few are named.
    """
    from stream.shells.verify import verify as check_all

    checks = check_all(o.open_store(store_url), run, o.instruments(of_run=run), log=o.live_log(run), progress=_told)
    rows = [
        {
            "check": check.name,
            "compared": check.compared,
            "holds": None if check.skipped else not check.wrong,
            "disagreements": check.wrong,
            "first": check.skipped or (check.shown[0] if check.shown else check.note or None),
        }
        for check in checks
    ]
    o.print_rows(rows, form=form, output=output, columns=VERIFY_COLUMNS)
    for check in checks:
        for line in check.shown:
            click.echo(f"{check.name}: {line}", err=True)
    if any(check.wrong for check in checks):
        sys.exit(1)


def _told(check: str) -> None:
    if sys.stderr.isatty():
        click.echo(f"checking {check} ...", err=True)


@runs.command(epilog=example("groundswell runs attach history"))
@click.argument("run")
@o.store_option
def attach(run: str, store_url: str | None) -> None:
    """Make the finished backfill RUN the live run's history, or a re-scored RUN the past of its model: baselines need not form anew.

    Of a backfill: its windows, stories and baselines from before the live run's first tick are read as the live run's own. No alert of it
    is copied and nothing is sent. Everything that works on the live run ends at its next commit and goes on with the history
    once it is started again, which a supervisor does.
    """
    from groundswell.clock import SystemClock
    from groundswell.names import TICK_MS
    from groundswell.store.audit import RUN_ATTACHED
    from groundswell.store.history import attach as attach_run
    from groundswell.store.pasts import attach_past, is_rescore

    store, now_ms = o.open_store(store_url), SystemClock().now_ms()
    entry = o.entry(RUN_ATTACHED, run, now_ms=now_ms)
    with store.read() as connection:
        rescored = is_rescore(connection, run)
    if rescored:
        row = attach_past(store, run, now_ms=now_ms, entry=entry)
        click.echo(f"{run} is the {row.kind} in the live run, from {iso(row.effective_ms)} on")
    else:
        history, copied = attach_run(store, run, entry=entry)
        click.echo(f"live goes on from {run}, whose ticks before {iso(history.before_tick * TICK_MS)} are its history:")
        click.echo("  " + ", ".join(f"{rows:,} rows of {table}" for table, rows in copied.items()))
    click.echo("Whatever works on the live run ends at its next commit; start it again unless a supervisor does.")


@runs.command(epilog=example("groundswell runs drop history"))
@click.argument("run")
@click.option("--yes", is_flag=True, help="Do not ask.")
@o.store_option
def drop(run: str, yes: bool, store_url: str | None) -> None:
    """Delete everything that was derived in RUN; documents and scores stay, and so do its Kafka topics.

    Can be stopped and goes on with the same command. A live run that is worked on, and the history of one, are refused.
    """
    from groundswell.clock import SystemClock
    from groundswell.store.drop_run import begin_drop, finish_drop
    from groundswell.store.runs import manifest_of
    from stream.shells.backfill import log_path

    store = o.open_store(store_url)
    with store.read() as connection:
        manifest = manifest_of(connection, run)
    if not yes:
        click.confirm(f"Delete every row of run {run} in {store.shown}?", abort=True)
    begin_drop(store, run, now_ms=SystemClock().now_ms())
    path = log_path(Path(o.settings().data.dir), store, run)
    for leftover in path.parent.glob(path.name + "*"):  # of a backfill that was not finished: it must not be met by the next one
        leftover.unlink()
    rows = finish_drop(store, run)
    click.echo(f"run {run} dropped: {rows:,} rows")
    if run == LIVE_RUN or "published" in manifest:
        click.echo("Its log stays: Kafka topics, or live.log. Remove it too before a run of this name is made again from another log.")
