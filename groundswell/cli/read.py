"""Commands that only read: series, alerts, explain, config."""

import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.exports import iso
from groundswell.names import DAY_MS, TICK_MS

if TYPE_CHECKING:
    from groundswell.store.judged import Before
    from stream.shells.second_reading import Reading


@click.command(
    epilog=example(
        "groundswell series 'entity:*' --from 2026-11-01 --window 1d --format csv -o november.csv",
        "groundswell series topic:debt_credit:en --as-of 2026-11-23T10:05",
    )
)
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@click.option("--from", "start", metavar="TIME", help="First moment.  [default: the run's first pane]")
@click.option("--to", "end", metavar="TIME", help="Moment after the last; a bare day counts whole.  [default: the run's closed time]")
@click.option("--window", default="1h", show_default=True, metavar="SPAN", help="Length of a window: 15m, 1h, 1d.")
@click.option("--as-of", metavar="TIME", help="Only what was known before this moment.")
@click.option(
    "--vintage", type=click.Choice(["final", "first"]), default="final", show_default=True, help="first: each window as known at its end."
)
@o.listing_options
@o.run_option
@o.store_option
def series(
    keys: tuple[str, ...],
    start: str | None,
    end: str | None,
    window: str,
    as_of: str | None,
    vintage: str,
    form: str,
    output: str | None,
    run: str | None,
    store_url: str | None,
) -> None:
    """Print windows of series; KEY is a series or a glob such as 'entity:*'.

    Windows are [start, end) on the published axis; empty ones are printed with zeros. A topic that the model cannot
    measure in a language has no counts: that is not zero. Shares of topics are also given corrected for the model's measured
    errors. known_basis: the weakest of the run; assumed times are no evidence of who knew what when.
    """
    from groundswell.store.query import run_named
    from groundswell.store.tables import SERIES_COLUMNS, series_rows, uncounted_series

    start_ms, end_ms = o.span_ms(start, end)
    with o.open_store(store_url).read() as connection:
        name = run_named(connection, run)
        for key in uncounted_series(connection, name, keys):
            click.echo(f"note: run {name} counts nothing in {key}, so its zeros say nothing; the key '*' prints every series", err=True)
        rows = series_rows(
            connection,
            name,
            keys,
            start_ms=start_ms,
            end_ms=end_ms,
            window_ms=o.duration_ms(window, name="--window"),
            as_of_ms=o.time_ms(as_of, name="--as-of") if as_of else None,
            vintage=vintage,
        )
        o.print_rows(rows, form=form, output=output, columns=SERIES_COLUMNS)


@click.command(epilog=example("groundswell alerts --from 2026-11-01 --format jsonl"))
@click.option("--from", "start", metavar="TIME", help="Opened at or after.")
@click.option("--to", "end", metavar="TIME", help="Opened before; a bare day counts whole.")
@o.listing_options
@o.run_option
@o.store_option
def alerts(start: str | None, end: str | None, form: str, output: str | None, run: str | None, store_url: str | None) -> None:
    """Print alerts sent or due to be sent, oldest first; ids are hashes of content, equal in every run."""
    from groundswell.store.query import alerts_of, run_named
    from groundswell.store.tables import ALERT_COLUMNS, alert_rows

    start_ms, end_ms = o.span_ms(start, end)
    with o.open_store(store_url).read() as connection:
        name = run_named(connection, run)
        found = alerts_of(connection, name, start_ms=start_ms, end_ms=end_ms)
        rows = alert_rows(connection, name, found)
    o.print_rows(rows, form=form, output=output, columns=ALERT_COLUMNS)


@click.command(epilog=example("groundswell explain 4d9c4db3"))
@click.argument("alert_id", metavar="ID")
@click.option("--bytes", "raw", is_flag=True, help="Print the recomputed alert and nothing else.")
@o.run_option
@o.store_option
def explain(alert_id: str, raw: bool, run: str | None, store_url: str | None) -> None:
    """Make an alert again from stored rows and compare every byte; ID may be shortened.

    Below the proof: what other models make of its stories (those that have read them, and the linear one now), and how alerts of its
    rule were judged. Exit code 1 when the bytes differ; what differs is named. Of an alert whose rows were dropped it says when.
    """
    from groundswell.store.judged import what_was_before
    from groundswell.store.query import alert_bytes
    from stream.shells.explain import explain as recompute
    from stream.shells.second_reading import second_readings

    store = o.open_store(store_url)
    with store.read() as connection:
        name, _ = alert_bytes(connection, alert_id, run=run)
    found = recompute(store, alert_id, o.instruments(of_run=name), run=name)
    if raw:
        click.echo(found.recomputed)
    else:
        with store.read() as connection:
            before = what_was_before(connection, name, found.alert)
            readings = second_readings(connection, name, found.alert, found.candidates[0], linear=o.linear()) if found.candidates else []
        click.echo("\n".join([*_explained(found), *_read_again(readings), *_before(before)]))
    if not found.same and not found.gone:
        sys.exit(1)


_FIRES = {True: "still fires", False: "would not fire"}
_NEWS = {"official": "the first official word on it", "denial": "denied for the first time", "tier": "a better source than before"}
_COUNTED = {
    "sighting": "fresh stories of this risk",
    "amplification": "documents of one story",
    "late": "negative stories that were known too late",
    "blind": "hours with too little seen",
    "model_shift": "negative stories of all topics",
}


def _explained(found: Any) -> Iterator[str]:
    alert = found.alert
    days = alert.window_s * 1000 // DAY_MS
    window = {0: "hour", 1: "day"}.get(days, f"{days} days")
    yield f"{alert.title}"
    yield f"alert {alert.id}   run {found.run}   known until {iso(alert.known_until_ms)}   severity {alert.severity}"
    yield ""
    expected = f"{alert.expected_milli / 1000:.2f} expected, limit {alert.limit}"
    what = _COUNTED.get(alert.kind, "fresh stories of this search" if alert.any_tone else "fresh negative stories")
    yield f"  {alert.statistic} {what} in the {window} that ends there; {expected}"
    yield f"  p = {alert.p_ppt / 1e12:.2g} (negative binomial); owners {alert.owners}; exposure {alert.exposure_ppm / 1e6:.0%}"
    if alert.news:
        yield f"  told again: {_NEWS[alert.news]}"
    if alert.quiet_from_ms:
        yield f"  its incident had gone quiet at {iso(alert.quiet_from_ms)}, and is reopened"
    if alert.kind == "sighting" and alert.quiet_days:
        yield f"  the first in {alert.quiet_days} days"
    elif not alert.any_tone:
        yield f"  negative share {alert.negative_share_ppm / 1e6:.0%}, normally {alert.baseline_share_ppm / 1e6:.0%}"
    fires = _FIRES[alert.without_largest_fires]
    yield f"  without its largest story: {alert.without_largest}, {fires}"
    for left in alert.against:
        yield f"  without {left.what if left.what == 'comments' else 'its loudest owner'}: {left.statistic}, {_FIRES[left.fires]}"
    if alert.peers:
        moved = f"{alert.peers.before_ppm / 1e6:.0%}, now {alert.peers.now_ppm / 1e6:.0%}"
        yield f"  {alert.peers.of} ({alert.peers.measured}): {moved}: {'only this one' if alert.alone else 'not only this one'}"
    yield "  parts of the excess:"
    for part in alert.parts:
        yield f"    {part.excess_milli / 1000:+7.2f}  {part.name}"
    yield f"    {sum(p.excess_milli for p in alert.parts) / 1000:+7.2f}  sum"
    for quote in alert.evidence:
        tier = f", tier {quote.tier}" if quote.tier else ""
        if quote.role or tier:
            yield f"  {quote.source}: {quote.role or 'role unknown'}{tier}"
    for candidate in found.candidates:
        found_at = iso(candidate.tick * TICK_MS)
        yield f"  recomputed: {candidate.series} {candidate.window_s // 3600} h, {candidate.statistic} stories at tick {found_at}"
    for document_id, removed_ms in sorted(found.removed.items()):
        yield f"  document {document_id}: text removed on {iso(removed_ms)}; its words are taken from the alert, all else is made again"
    yield ""
    if found.gone:
        yield f"cannot be made again: {found.gone}"
        return
    yield f"recomputed to the same {len(found.stored)} bytes" if found.same else "RECOMPUTED BYTES DIFFER"
    yield from (f"  {difference}" for difference in found.differences)


def _read_again(readings: Iterable["Reading"]) -> Iterator[str]:
    """Also no part of the proof: other models, now."""
    for number, reading in enumerate(readings):
        if not number:
            yield ""
        yield f"  read by {reading.model}: {reading.negative} of {reading.stories} stories are negative"


def _before(before: "Before") -> Iterator[str]:
    """What is no part of the proof: people may say more at any time."""
    yield ""
    yield f"this rule in 90 days: {before.record}"
    for past in before.similar:
        judged = before.words.get(past.alert.id, "not judged")
        yield f"  like it ({', '.join(past.because)}): {iso(past.alert.opened_ms)} {past.alert.title}, alert {past.alert.id}: {judged}"


@click.command(epilog=example("groundswell config --format jsonl"))
@o.listing_options
def config(form: str, output: str | None) -> None:
    """Show every setting with its value and where that came from; secrets are masked."""
    from groundswell.settings import describe, load_with_origins

    shown = describe(*load_with_origins(environ=os.environ))
    o.print_rows((row._asdict() for row in shown), form=form, output=output, columns=list(shown[0]._fields))
