"""How each source does: `groundswell sources health`."""

from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import example
from groundswell.exports import iso
from groundswell.names import DAY_MS, TICK_MS

if TYPE_CHECKING:
    from groundswell.store.health import SourceHealth
    from ingest.catalogue import Source

COLUMNS: Final = ["source", "state", "since", "why", "last_document", "last_poll", "expected_per_day", "silent_s", "usual_s", "allowed_s"]
SELDOM: Final = 1.0
"""Items a day at which a rhythm in the catalogue says how long a gap may be; what comes oftener shows its own within two weeks."""


@click.command(epilog=example("groundswell sources health --as-of 2026-11-23T10:05"))
@click.option("--as-of", metavar="TIME", help="As it stood at this moment of known time.  [default: the end of the data]")
@o.run_option
@o.store_option
@o.listing_options
def health(as_of: str | None, run: str | None, store_url: str | None, form: str, output: str | None) -> None:
    """Every source: live, late, blind, forming or disabled, since when and why, and how long its silence may be.

    Sources of the catalogue that were never heard are listed too, where the live run is asked for.
    """
    from groundswell.names import LIVE_RUN
    from groundswell.store.health import SourceWatch, source_health
    from groundswell.store.query import closed_ms, run_named
    from ingest.catalogue import load_catalogue

    catalogue = load_catalogue(o.settings().catalogue.extra, disabled=True)
    store = o.open_store(store_url)
    with store.read() as connection:
        name = run_named(connection, run)
        at_ms = o.time_ms(as_of, name="--as-of") if as_of else closed_ms(connection, name)
        priors = {source.name: gap for source in catalogue if (gap := _promised_ticks(source))}
        found = []
        if at_ms is not None:
            rhythms = SourceWatch(name, priors=priors).rhythms(connection, at_ms=at_ms)
            disabled = {source.name: "switched off in the catalogue" for source in catalogue if not source.enabled}
            found = source_health(connection, name, rhythms, at_ms=at_ms, disabled=disabled)
    rows = [_row(one, at_ms or 0) for one in found]
    heard = {one.source for one in found}
    rows += [_unheard(source) for source in catalogue if name == LIVE_RUN and source.name not in heard]
    o.print_rows(rows, form=form, output=output, columns=COLUMNS)


def _promised_ticks(source: "Source") -> int:
    """The gap that its rhythm in the catalogue leads one to expect, 0 where it says none.

    >>> from ingest.catalogue import Source
    >>> [_promised_ticks(Source(name="n", owner="o", url="https://o.example", rhythm=r)) * TICK_MS // DAY_MS for r in (0.1, 1, 20, None)]
    [10, 1, 0, 0]
    """
    return round(DAY_MS / source.rhythm) // TICK_MS if source.rhythm and source.rhythm <= SELDOM else 0


def _row(one: "SourceHealth", at_ms: int) -> dict[str, Any]:
    return {
        "source": one.source,
        "state": one.state,
        "since": _time(one.since_ms),
        "why": one.why,
        "last_document": iso(one.last_known_ms),
        "last_poll": _time(one.polled_ms),
        "expected_per_day": round(sum(one.days) / len(one.days), 1),
        "silent_s": max(0, at_ms - one.last_known_ms) // 1_000,
        "usual_s": one.expected_ms // 1_000,
        "allowed_s": one.patience_ms // 1_000,
    }


def _unheard(source: "Source") -> dict[str, Any]:
    state, why = ("forming", "nothing has come from it yet") if source.enabled else ("disabled", "switched off in the catalogue")
    return dict.fromkeys(COLUMNS) | {"source": source.name, "state": state, "why": why}


def _time(moment_ms: int | None) -> str | None:
    return None if moment_ms is None else iso(moment_ms)
