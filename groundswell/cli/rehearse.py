"""`groundswell rehearse`: what would these rules have sent?"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.exports import alert_row, iso
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS

if TYPE_CHECKING:
    from alerts.tally import Event, Figures, Ping
    from groundswell.records import Alert
    from groundswell.store.store import Store
    from stream.shells.rehearse import Rehearsal

FIGURE_COLUMNS: Final = ["rule", "span", "threshold", "pings", "a_day", "on_events", "events_found", "after_start", "before_end"]
REHEARSED: Final = "rehearsed"
TITLE_CHARACTERS: Final = 100
DOCUMENTS_SHOWN: Final = 3


@click.command(epilog=example("groundswell rehearse my-rules.toml --from 2026-04-01 --incidents known.csv"))
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
    from stream.shells.keep import refuse_name as refuse_kept
    from stream.shells.rehearse import rehearse as play

    chosen = load_rules(None if str(rules) == "shipped" else rules)
    store = o.open_store(store_url)
    with store.read() as connection:
        name = run_named(connection, run)
        if keep:
            refuse_kept(connection, keep)
    from_ms, to_ms = o.span_ms(start, end)
    holdout_ms = o.time_ms(holdout, name="--holdout") if holdout else None
    events = listed_events(incidents) if incidents else []
    done = play(store, name, chosen, display=o.display(), sector=o.catalogue().peers, from_ms=from_ms, to_ms=to_ms)
    if keep:
        from stream.shells.keep import keep as make_run

        make_run(store, done, keep)
    if form == "table":
        with o.written(output) as out:
            out.writelines(f"{line}\n" for line in _report(done, events, holdout_ms, kept=keep))
    else:
        from groundswell.store.tables import ALERT_COLUMNS

        o.print_rows(_rows(store, done), form=form, output=output, columns=ALERT_COLUMNS)
        for line in (*_figures(done, events, holdout_ms), *_warnings(done, events, holdout_ms)):
            click.echo(line, err=True)


def listed_events(path: Path) -> "list[Event]":
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

    pings = {REHEARSED: [_ping(alert) for alert in done.alerts]}
    for name in PLAIN:
        spoken = done.plain.spoken(name, pings=len(done.alerts))
        pings[name] = [Ping((one.tick + 1) * TICK_MS, frozenset([one.series])) for one in spoken]
    return pings


def _ping(alert: "Alert") -> "Ping":
    from alerts.tally import Ping

    return Ping(alert.opened_ms, frozenset(alert.all_series))


def _rows(store: "Store", done: "Rehearsal") -> list[dict[str, Any]]:
    """The alerts, oldest first, as `groundswell alerts` prints them."""
    from groundswell.store.basis import basis_of_alerts
    from groundswell.store.removals import removed_of_alerts

    with store.read() as connection:
        removed, basis = removed_of_alerts(connection, done.alerts), basis_of_alerts(connection, done.run, done.alerts)
    return [alert_row(alert, removed, basis=basis) for alert in done.alerts]


# --- the report -------------------------------------------------------------------------------------------------------------
def _report(done: "Rehearsal", events: "list[Event]", holdout_ms: int | None, *, kept: str | None) -> Iterator[str]:
    span = done.span
    yield f"rules {done.rules.hash} over run {done.run}, {iso(span.start_ms)} to {iso(span.end_ms)}: {done.documents:,} documents"
    yield f"kept as run {kept}" if kept else "nothing was stored and nothing was sent"
    yield ""
    yield from _figures(done, events, holdout_ms)
    yield ""
    for alert in done.alerts:
        yield from _told(alert, events)
    if done.held:
        yield "held by the desk: " + ", ".join(f"{number} {reason}" for reason, number in done.held.items())
    yield from _warnings(done, events, holdout_ms)


def _told(alert: "Alert", events: "list[Event]") -> Iterator[str]:
    """One message with its documents."""
    ping = _ping(alert)
    names = [event.name for event in events if ping.tells(event)]
    update = f"update {alert.update}: " if alert.update else ""
    yield f"{iso(alert.opened_ms)}  {alert.severity}  {update}{alert.title}" + (f"   [{', '.join(names)}]" if names else "")
    for quote in alert.evidence[:DOCUMENTS_SHOWN]:
        yield f"    {quote.document_id}  {quote.source}: {quote.title[:TITLE_CHARACTERS]}"
    more = len(alert.evidence) - DOCUMENTS_SHOWN
    if more > 0:
        yield f"    and {more} more; --format jsonl prints all"


def _figures(done: "Rehearsal", events: "list[Event]", holdout_ms: int | None) -> Iterator[str]:
    """One line for each rule and part of the span, and one for each listed event."""
    from alerts.tally import figures, first_ping

    pings = _pings(done)
    columns = FIGURE_COLUMNS if events else FIGURE_COLUMNS[:5]
    rows = [
        _figure_row(name, part, done, figures(of_rule, events, start_ms=start_ms, end_ms=end_ms))
        for part, start_ms, end_ms in _parts(done, holdout_ms)
        for name, of_rule in pings.items()
    ]
    yield from _table(rows, columns)
    if events:
        yield ""
        yield from _table(
            [
                {"event": event.name, "start": iso(event.start_ms)}
                | {name: _after(first_ping(event, of_rule), event) for name, of_rule in pings.items()}
                for event in events
                if done.span.start_ms <= event.start_ms < done.span.end_ms
            ],
            ["event", "start", *pings],
        )


def _figure_row(name: str, part: str, done: "Rehearsal", found: "Figures") -> dict[str, str]:
    threshold = None if name == REHEARSED else done.plain.threshold(name, pings=len(done.alerts))
    return {
        "rule": name,
        "span": part,
        "threshold": "-" if threshold is None else f"{threshold:.2f}",
        "pings": str(found.pings),
        "a_day": f"{found.per_day:.2f}",
        "on_events": f"{found.right} of {found.pings}",
        "events_found": f"{found.found} of {found.listed}",
        "after_start": _hours(found.after_start_ms),
        "before_end": _hours(found.before_end_ms),
    }


def _parts(done: "Rehearsal", holdout_ms: int | None) -> list[tuple[str, int, int]]:
    span = done.span
    if holdout_ms is None or not span.start_ms < holdout_ms < span.end_ms:
        return [("all", span.start_ms, span.end_ms)]
    return [("tuned on", span.start_ms, holdout_ms), ("held out", holdout_ms, span.end_ms)]


def _warnings(done: "Rehearsal", events: "list[Event]", holdout_ms: int | None) -> Iterator[str]:
    """What makes the figures worth less than they look."""
    from alerts.plain import Z

    span, days = done.span, (done.span.end_ms - done.span.start_ms) / DAY_MS
    if holdout_ms is None:
        yield "note: nobody says which period these rules were tuned on; on that one they always look good: give --holdout DATE"
    elif holdout_ms > span.start_ms:
        overlap = (min(holdout_ms, span.end_ms) - span.start_ms) / DAY_MS
        yield f"WARNING: the rules were tuned on {overlap:.1f} of these {days:.1f} days; believe the held-out figures alone"
    first_ms = max(span.start_ms, done.plain.since_tick * TICK_MS)
    if first_ms > span.start_ms:
        yield f"note: baselines form until {iso(first_ms)}; nothing fires before, by any rule"
    yield f"note: the plain rules speak as often as the rehearsed; at z >= 3 the first would have sent {done.plain.pings_at(Z, 3.0)} pings"
    outside = sum(not span.start_ms <= event.start_ms < span.end_ms for event in events)
    if outside:
        yield f"note: {outside} listed events begin outside the span and are left out"
    for month in done.gone:
        yield f"WARNING: {month.sentence}: nothing of it is rehearsed or counted, and no baseline knows of it; that is not a quiet month"
    if done.unlike:
        yield (
            f"WARNING: {done.unlike:,} of {done.periods:,} hours and days of baseline come out otherwise than they are stored: the run was"
            " made by another release, or given a history on its way; what it sent itself may differ"
        )


def _table(rows: list[dict[str, str]], columns: list[str]) -> Iterator[str]:
    widths = {name: max(len(row[name]) for row in [dict(zip(columns, columns, strict=True)), *rows]) for name in columns}
    yield "  ".join(name.ljust(widths[name]) for name in columns).rstrip()
    for row in rows:
        yield "  ".join(row[name].ljust(widths[name]) for name in columns).rstrip()


def _after(ping: "Ping | None", event: "Event") -> str:
    return "not told" if ping is None else f"{_hours(ping.at_ms - event.start_ms)} after its start"


def _hours(ms: int | None) -> str:
    return "-" if ms is None else f"{ms / HOUR_MS:.1f} h"
