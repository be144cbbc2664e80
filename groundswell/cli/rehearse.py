"""`groundswell rehearse`: what would these rules have sent?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.exports import alert_row, iso
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS

if TYPE_CHECKING:
    from alerts.tally import Event, Ping
    from groundswell.records import Alert
    from stream.shells.rehearse import Rehearsal

FIGURE_COLUMNS: Final = ["rule", "span", "threshold", "pings", "a_day", "on_events", "events_found", "after_start", "before_end"]
EVENT_COLUMNS: Final = ["event", "start", "rehearsed", "z of the hour of the week", "last hour against twelve"]
REHEARSED: Final = "rehearsed"
TITLE_CHARACTERS: Final = 100


@click.command()
@click.argument("rules", type=click.Path(path_type=Path), metavar="RULES")
@click.option("--from", "start", metavar="TIME", help="Since when the rules are in force.  [default: the run's first tick]")
@click.option("--to", "end", metavar="TIME", help="Moment after the last; a bare day counts whole.  [default: as far as the run has come]")
@click.option("--incidents", type=click.Path(path_type=Path), metavar="FILE", help="Events that happened, as CSV: series,start,end,name.")
@click.option("--holdout", metavar="DATE", help="The rules were tuned on what was known before it; what comes after is their test.")
@click.option("--keep", metavar="NAME", help="Make a run of it, for the board, `explain` and `why-not`; nothing is stored otherwise.")
@o.listing_options
@o.run_option
@o.store_option
def rehearse(
    rules: Path,
    start: str | None,
    end: str | None,
    incidents: Path | None,
    holdout: str | None,
    keep: str | None,
    form: str,
    output: str | None,
    run: str | None,
    store_url: str | None,
) -> None:
    """What the rules file RULES would have sent over a stored run, with the documents.

    As if the rules had been put in force at --from. Beside them two plain rules, at an equal number of pings; with --incidents, how
    many pings told a listed event and how long it took. jsonl and csv print the alerts as `groundswell alerts` does, and the figures
    on standard error. No message is sent. RULES is a file, or "shipped".
    """
    from alerts.rules import load_rules
    from groundswell.store.query import run_named
    from stream.shells.rehearse import rehearse as play

    chosen = load_rules(None if str(rules) == "shipped" else rules)
    store = o.open_store(store_url)
    with store.read() as connection:
        name = run_named(connection, run)
    from_ms = o.time_ms(start, name="--from") if start else None
    to_ms = o.time_ms(end, name="--to", end=True) if end else None
    holdout_ms = o.time_ms(holdout, name="--holdout") if holdout else None
    events = _events(incidents) if incidents else []
    done = play(store, name, chosen, display=o.display(), from_ms=from_ms, to_ms=to_ms)
    if keep:
        from stream.shells.keep import keep as make_run

        make_run(store, done, keep)
    if form == "table":
        with click.open_file(output or "-", "w", encoding="utf-8") as out:
            out.writelines(f"{line}\n" for line in _report(done, events, holdout_ms, kept=keep))
    else:
        o.print_rows(_rows(store, done), form=form, output=output, columns=_alert_columns())
        for line in (*_figures(done, events, holdout_ms), *_warnings(done, events, holdout_ms)):
            click.echo(line, err=True)


def _events(path: Path) -> "list[Event]":
    """The listed events; a name in the first column is what `why-not` takes for a name."""
    from alerts.tally import read_events
    from groundswell.errors import NotFoundError, UsageError
    from stream.shells.why_not import series_named

    catalogue = o.catalogue()

    def series_of(name: str) -> list[str]:
        try:
            return [name, *series_named(name.removeprefix("entity:"), catalogue)]
        except NotFoundError as error:
            if ":" in name:  # a company that is not in the catalogue any more
                return [name]
            raise UsageError(str(error)) from error

    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = f"{path}: cannot be read: {error}; give a CSV file in UTF-8 with the columns series,start,end,name"
        raise UsageError(reason) from error
    return read_events(lines, place=str(path), moment=o.time_ms, series_of=series_of)


def _pings(done: "Rehearsal") -> "dict[str, list[Ping]]":
    """{rule: its pings}: the plain ones as often as the rehearsed."""
    from alerts.plain import PLAIN
    from alerts.tally import Ping

    pings = {REHEARSED: [Ping(alert.opened_ms, frozenset(alert.all_series)) for alert in done.alerts]}
    for name in PLAIN:
        spoken = done.plain.spoken(name, pings=len(done.alerts))
        pings[name] = [Ping((one.tick + 1) * TICK_MS, frozenset([one.series])) for one in spoken]
    return pings


def _rows(store: Any, done: "Rehearsal") -> Iterator[dict[str, Any]]:
    """The alerts as `groundswell alerts` prints them."""
    from groundswell.store.basis import basis_of_documents
    from groundswell.store.removals import removed_texts

    with store.read() as connection:
        for alert in done.alerts:
            documents = [quote.document_id for quote in alert.evidence]
            removed, basis = removed_texts(connection, documents), basis_of_documents(connection, done.run, documents)
            yield alert_row(alert, removed, basis=basis)
