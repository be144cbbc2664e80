"""Commands over dropped records: drops list, show, replay."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.errors import UsageError
from groundswell.exports import iso
from groundswell.names import LIVE_RUN

if TYPE_CHECKING:
    from groundswell.settings import Settings
    from groundswell.store.drops import StoredDrop
    from stream.shells.replay import Put

COLUMNS: Final = ["place", "known_at", "source", "reason", "bytes", "replayed_at", "removed_at"]
SHOWN_BYTES: Final = 4_096
HEX_LINE: Final = 16


@click.group(cls=Group)
def drops() -> None:
    """Records that could not be used: which, why, with their bytes, and the way back.

    PLACE is PART:OFFSET:INDEX as `groundswell drops list` prints it.
    """


@drops.command("list", epilog=example("groundswell drops list --reason language --from 2026-11-01"))
@click.option("--reason", metavar="TEXT", help="Only reasons that begin so: a class such as language, or more of it.")
@click.option("--source", metavar="NAME", help="Only this source's.")
@click.option("--from", "start", metavar="TIME", help="Known at or after.")
@click.option("--to", "end", metavar="TIME", help="Known before; a bare day counts whole.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many.")
@o.listing_options
@o.run_option
@o.store_option
def list_drops(
    reason: str | None,
    source: str | None,
    start: str | None,
    end: str | None,
    limit: int,
    form: str,
    output: str | None,
    run: str | None,
    store_url: str | None,
) -> None:
    """Dropped records, newest first."""
    from groundswell.store.drops import drops_of
    from groundswell.store.query import run_named

    start_ms, end_ms = o.span_ms(start, end)
    with o.open_store(store_url).read() as connection:
        found = drops_of(
            connection,
            run_named(connection, run),
            reason=reason,
            source=source,
            start_ms=start_ms,
            end_ms=end_ms,
            limit=limit,
        )
    o.print_rows((_row(drop) for drop in found), form=form, output=output, columns=COLUMNS)


def _row(drop: "StoredDrop") -> dict[str, Any]:
    return {
        "place": drop.place,
        "known_at": _at(drop.known_ms or None),
        "source": drop.source,
        "reason": drop.reason,
        "bytes": drop.bytes,
        "replayed_at": _at(drop.replayed_ms),
        "removed_at": _at(drop.removed_ms),
    }


def _at(ms: int | None) -> str | None:
    return None if ms is None else iso(ms)


# ignore_unknown_options: the places of an archive's bad lines begin with a minus sign.
@drops.command(context_settings={"ignore_unknown_options": True}, epilog=example("groundswell drops show 3:1042:7"))
@click.argument("place")
@o.run_option
@o.store_option
def show(place: str, run: str | None, store_url: str | None) -> None:
    """One dropped record with its bytes, and what to do about its reason.

    Bytes that are UTF-8 are shown as text, others in hexadecimal; control characters are shown as escapes.
    """
    from groundswell.metrics import drop_class
    from groundswell.store.drops import ADVICE, drop_at, position_of
    from groundswell.store.query import run_named
    from stream.shells.replay import refusal

    with o.open_store(store_url).read() as connection:
        drop, body = drop_at(connection, run_named(connection, run), position_of(place))
    reason = drop_class(drop.reason)
    for name, value in {"run": drop.run, **_row(drop), "class": reason}.items():
        if value is not None:
            click.echo(f"{name:<12} {_printable(str(value))}")
    why = "only the live run takes records" if drop.run != LIVE_RUN else refusal(drop, again=True)
    click.echo(f"{'to do':<12} {ADVICE.get(reason, ADVICE['other'])}")
    click.echo(f"{'replay':<12} {f'no: {why}' if why else f'groundswell drops replay {drop.place}'}\n")
    for line in _dump(body[:SHOWN_BYTES]):
        click.echo(line)
    if len(body) > SHOWN_BYTES:
        click.echo(f"... {len(body) - SHOWN_BYTES:,} more bytes")


def _dump(body: bytes) -> Iterator[str]:
    try:
        yield from map(_printable, body.decode("utf-8").split("\n"))
    except UnicodeDecodeError:
        for start in range(0, len(body), HEX_LINE):
            line = body[start : start + HEX_LINE]
            shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
            yield f"{start:08x}  {line.hex(' '):<{3 * HEX_LINE}} {shown}"


def _printable(text: str) -> str:
    """Strangers' text on a terminal: what would move the cursor or hide is shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@drops.command(
    context_settings={"ignore_unknown_options": True},
    epilog=example("groundswell drops replay 3:1042:7", "groundswell drops replay --reason language"),
)
@click.argument("places", nargs=-1, metavar="[PLACE...]")
@click.option("--reason", metavar="TEXT", help="All drops whose reason begins so, instead of places.")
@click.option("--again", is_flag=True, help="Also those that were replayed before.")
@o.run_option
@o.store_option
def replay(places: tuple[str, ...], reason: str | None, again: bool, run: str | None, store_url: str | None) -> None:
    """Put the kept bytes back at the end of the live run's raw log, as new records with a new time.

    Into the Kafka topic if kafka.bootstrap is set, else into live.log of data.dir. The drop stays in the list and is marked. What
    was cut to 64 KiB or removed is refused. Archives: mend the file and make the run again.
    """
    from groundswell.clock import SystemClock
    from groundswell.store.drops import position_of
    from groundswell.store.query import run_named
    from stream.shells.replay import replay as put_back

    if bool(places) == bool(reason):
        message = "drops replay: give places, or --reason, one of the two; `groundswell drops list` prints both"
        raise UsageError(message)
    settings, store = o.settings(), o.open_store(store_url)
    with store.read() as connection:
        name = run_named(connection, run)
    with _log_of(settings, name) as (put, where):
        found = [position_of(place) for place in places]
        done = put_back(store, name, put=put, now_ms=SystemClock().now_ms(), places=found, reason=reason, again=again)
    for place, why in done.passed_over.items():
        click.echo(f"passed over {place}: {why}", err=True)
    click.echo(f"{len(done.put_back)} records put back into {where}, {len(done.passed_over)} passed over")
    if not done.put_back:
        sys.exit(1)


@contextmanager
def _log_of(settings: "Settings", run: str) -> "Iterator[tuple[Put, str]]":
    """The live run's raw log, and what it is called; `replay` refuses other runs before it is used."""
    from groundswell.clock import SystemClock
    from groundswell.local_log import LocalLog
    from stream.shells.replay import to_local_log, to_raw_topic

    if settings.kafka.bootstrap and run == LIVE_RUN:
        from groundswell.names import raw_topic
        from stream.shells.publish import RawProducer

        with RawProducer(settings.kafka.bootstrap, run) as producer:
            yield to_raw_topic(producer), f"topic {raw_topic(run)}"
        return
    path = Path(settings.data.dir) / "live.log"
    if run == LIVE_RUN and not path.exists():
        message = f"{path}: there is no such log; set data.dir to the folder of `groundswell run`, or kafka.bootstrap"
        raise UsageError(message)
    if run != LIVE_RUN:
        yield (lambda _: None), "nothing"
        return
    with LocalLog(path) as log:
        yield to_local_log(log, now_ms=SystemClock().now_ms), str(path)
