"""Commands over what is in force: versions list, put; and rescore, which asks what another model would have said."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.exports import iso
from groundswell.names import LIVE_RUN

COLUMNS: Final = ["kind", "hash", "since", "state"]
KINDS_TO_PUT: Final = ("rules", "errors")
RESCORE_NICE: Final = 10
"""The past can wait; a live document cannot."""


@click.group(cls=Group)
def versions() -> None:
    """What a run is made with: model, rules, company catalogue, each from a known time on, for all workers alike."""


@versions.command("list", epilog=example("groundswell versions list"))
@o.run_option
@o.listing_options
@o.store_option
def list_versions(run: str | None, form: str, output: str | None, store_url: str | None) -> None:
    """Every version of a run, newest first: since when it is in force, or from when on it will be."""
    from groundswell.store.query import closed_ms, run_named
    from groundswell.store.versions import read_schedule

    with o.open_store(store_url).read() as connection:
        name = run_named(connection, run)
        schedule, reached_ms = read_schedule(connection, name), closed_ms(connection, name) or 0
    rows = (
        {
            "kind": row.kind,
            "hash": row.hash,
            "since": iso(row.effective_ms) if row.effective_ms else None,
            "state": schedule.state(row, reached_ms),
        }
        for row in sorted(schedule.rows, reverse=True)
    )
    o.print_rows(rows, form=form, output=output, columns=COLUMNS, whole=True)


@versions.command(epilog=example("groundswell versions put rules my-rules.toml --in 5m"))
@click.argument("kind", type=click.Choice(KINDS_TO_PUT))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--in", "ahead", default="1m", show_default=True, metavar="SPAN", help="How far ahead it comes into force.")
@o.store_option
def put(kind: str, file: Path, ahead: str, store_url: str | None) -> None:
    """Put the rules or measured errors of FILE in force in the live run, a little ahead: from the same tick on for everybody.

    Nothing is started again. A model comes into force with `groundswell models promote`, a company catalogue with the setting and a start.
    """
    from alerts.rules import rules_of, rules_text
    from groundswell.clock import SystemClock
    from groundswell.store.audit import ERRORS_SAVED, RULES_SAVED, note
    from groundswell.store.versions import add_versions, keep_rules_text
    from models.error_matrix import load_matrices
    from stream.shells.versions import content_of_rules

    span_ms = o.duration_ms(ahead, name="--in")
    text, store = rules_text(file) if kind == "rules" else "", o.open_store(store_url)
    given = content_of_rules(rules_of(text, place=str(file))) if kind == "rules" else load_matrices([file])
    now_ms = SystemClock().now_ms()
    with store.write() as connection:
        rows = add_versions(store, connection, LIVE_RUN, {kind: given}, now_ms=now_ms + span_ms)
        if text:
            keep_rules_text(store, connection, given[0], text)
        for row in rows:
            note(store, connection, o.entry(RULES_SAVED if text else ERRORS_SAVED, row.said, now_ms=now_ms))
    for row in rows:
        click.echo(f"{row.kind} {row.hash}: in force from {iso(row.effective_ms)}")
    if not rows:
        click.echo(f"{kind} {given[0]}: nothing to do, they are the newest already")


@click.command(epilog=example("groundswell rescore --run past --model my-bundle --from 2026-09-01"))
@click.option("--run", required=True, metavar="NAME", help="Name of the run to fill.")
@click.option("--model", "bundle", metavar="BUNDLE", help="A bundle of the registry, for its languages.  [default: what is in force]")
@click.option("--from", "start", metavar="TIME", help="Known time of the first document.  [default: the live run's first]")
@click.option("--to", "end", metavar="TIME", help="Known time that the last document lies before.  [default: now]")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@o.store_option
def rescore(run: str, bundle: str | None, start: str | None, end: str | None, quiet: bool, store_url: str | None) -> None:
    """Read what the live run has counted by another model, into a run of its own: to compare, or to attach before a promotion.

    The live run goes on and does not move; nothing is sent. Can be stopped and resumed by the same command. Documents whose text
    was removed are left out and counted. `groundswell runs attach NAME` makes the finished run the past of its model. Exit
    code 3: partly done, run it again.
    """
    from groundswell.cli.archive import Progress
    from groundswell.store.query import total
    from stream.shells.rescore import rescore as shell

    os.nice(RESCORE_NICE)
    store, data_dir = o.open_store(store_url), Path(o.settings().data.dir)
    from_ms, to_ms = o.span_ms(start, end)
    with Progress(shown=not quiet and sys.stderr.isatty()) as progress:
        done = shell(store, run, o.instruments(bundle=bundle), data_dir=data_dir, progress=progress.update, from_ms=from_ms, to_ms=to_ms)
    sums = total(done.rows)
    state = "was complete already, nothing changed" if done.already else "complete"
    click.echo(f"run {run} {state}: " + ", ".join(f"{name} {value}" for name, value in sums.terms.items()))
    if done.removed:
        click.echo(f"  left out: {done.removed} documents whose text was removed")
    if sums.balance:
        sys.exit(1)
