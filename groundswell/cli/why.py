"""`groundswell why-not`: why did it not tell me?"""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.exports import iso
from groundswell.names import DAY_MS, TICK_MS

if TYPE_CHECKING:
    from stream.shells.why_not import Reading, WhyNot


@click.command("why-not", epilog=example("groundswell why-not 'Credit Suisse' --at 2023-03-15T09:00"))
@click.argument("name")
@click.option("--at", metavar="TIME", help="The moment, in known time: ISO 8601, today 10:05, -2h; now by default.")
@o.run_option
@o.store_option
def why_not(name: str, at: str | None, run: str | None, store_url: str | None) -> None:
    """Which gates stood between NAME and an alert at a moment, with their numbers.

    NAME is a company, a topic or a series. Exit code 1 when there was an alert after all.
    """
    from groundswell.clock import SystemClock
    from groundswell.store.query import run_named
    from stream.shells.why_not import series_named
    from stream.shells.why_not import why_not as ask

    store = o.open_store(store_url)
    now_ms = SystemClock().now_ms()
    at_ms = o.moment_ms(at, name="--at", now_ms=now_ms) if at else now_ms
    with store.read() as connection:
        chosen = run_named(connection, run)
        series = series_named(name, o.catalogue())
        found = ask(connection, chosen, series, at_ms=at_ms, rules=o.instruments(of_run=chosen).rules)
    click.echo("\n".join(told(found, name)))
    if found.alerts:
        sys.exit(1)


def told(found: "WhyNot", name: str) -> Iterator[str]:
    """The answer, line by line."""
    shown = o.display()
    yield f"{name}, as known until {iso((found.tick + 1) * TICK_MS)}   run {found.run}"
    for alert in found.alerts:
        yield f"  it did tell: {alert.title} ({iso(alert.opened_ms)}, alert {alert.id})"
    for candidate, decision in found.held:
        why = decision.reason if decision else "the desk has not come so far"
        moment = iso(candidate.known_until_ms)
        yield f"  held by the desk: {shown(candidate.series)}, {candidate.statistic} stories at {moment}: {why}"
    if not found.readings:
        yield "  nothing fresh spoke against it in the day before"
    for reading in found.readings:
        yield ""
        yield from _gates(reading, shown(reading.series))


def _gates(reading: "Reading", shown: str) -> Iterator[str]:
    stopped = reading.stopped_by
    verdict = f"stopped at {stopped.name}" if stopped else "every gate holds"
    days, hours = divmod(reading.window_s * 1_000, DAY_MS)
    window = "hour" if hours else "day" if days == 1 else f"{days} days"
    kind = "" if reading.kind == "surge" else f" ({reading.kind.replace('_', ' ')})"
    yield f"{shown}, the {window} before{kind}: {verdict}"
    for gate in reading.gates:
        yield f"  {'holds' if gate.holds else 'STOPS'}  {gate.name.ljust(14)} {gate.said}"
