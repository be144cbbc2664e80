"""Commands that remove strangers' text: forget document, source, author, expired."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.exports import iso

if TYPE_CHECKING:
    from stream.shells.forget import Forgotten


@click.group(cls=Group)
def forget() -> None:
    """Remove text: titles, texts and addresses of documents, and the bytes of drops.

    Hashes, integers, scores and alerts stay. An alert is kept as the argument that was sent: titles of at most 300 and quotes of
    at most 150 characters, and addresses. What the raw log still holds is said.
    """


@forget.command(epilog=example("groundswell forget document 2aea429a54d0e1a3"))
@click.argument("document_id", metavar="ID")
@o.store_option
def document(document_id: str, store_url: str | None) -> None:
    """One document, in every content that it had; ID as the dossier and the exports print it."""
    from stream.shells import forget as shell

    _say(shell.forget_document(o.open_store(store_url), document_id, now_ms=_now_ms()))


@forget.command(epilog=example("groundswell forget source harbour_news"))
@click.argument("name")
@o.store_option
def source(name: str, store_url: str | None) -> None:
    """Everything that source NAME has brought so far. To stop it too: enabled = false in a catalogue of your own."""
    from stream.shells import forget as shell

    _say(shell.forget_source(o.open_store(store_url), name, now_ms=_now_ms()))


@forget.command(epilog=example("groundswell forget author some_handle"))
@click.argument("name")
@o.store_option
def author(name: str, store_url: str | None) -> None:
    """Everything by author NAME at any source: the name as the sources give it, or the hash that it is stored as.

    Names are stored as hashes only. Drops whose bytes cannot be read are searched for the hash.
    """
    from stream.shells import forget as shell

    _say(shell.forget_author(o.open_store(store_url), name, now_ms=_now_ms()))


@forget.command(epilog=example("groundswell forget expired"))
@click.option("--archives", is_flag=True, help="Also what archives brought, counted from its known time, which may be years ago.")
@o.store_option
def expired(archives: bool, store_url: str | None) -> None:
    """Crawled texts that were kept for longer than data.text_retention_days, or than their source's retention_days.

    Run it daily, by cron or a systemd timer.
    """
    from ingest.catalogue import load_catalogue
    from stream.shells import forget as shell

    settings = o.settings()
    sources = load_catalogue(settings.catalogue.extra, disabled=True)
    by_source = {one.name: one.retention_days for one in sources if one.retention_days is not None}
    days = settings.data.text_retention_days
    _say(shell.forget_expired(o.open_store(store_url), days=days, by_source=by_source, now_ms=_now_ms(), archives=archives))


def _now_ms() -> int:
    from groundswell.clock import SystemClock

    return SystemClock().now_ms()


def _say(done: "Forgotten") -> None:
    before = f" ({done.already:,} were gone before)" if done.already else ""
    click.echo(f"{done.texts:,} texts and the bytes of {done.drops:,} drops removed{before}.")
    click.echo("Alerts stay as they were sent, with titles of at most 300 and quotes of at most 150 characters.")
    for line in _still_there(o.settings()):
        click.echo(line)


def _still_there(settings: Any) -> list[str]:
    """Where the raw bytes are until they go by themselves."""
    lines = []
    if settings.kafka.bootstrap:
        from groundswell.names import DAY_MS, raw_topic
        from stream.shells.topics import RETENTION_DAYS

        until = iso(_now_ms() + RETENTION_DAYS * DAY_MS)
        lines.append(f"Kafka still holds the raw bytes, until {until} at the latest if {raw_topic()} keeps its {RETENTION_DAYS} days.")
    for name, what in (("live.log", "the local log"), ("spool.log", "the crawler's spool")):
        path = Path(settings.data.dir) / name
        if path.exists():
            when = "until the broker has them" if name == "spool.log" else "for as long as the file is kept: it has no retention"
            lines.append(f"{path}, {what}, still holds the raw bytes, {when}.")
    return lines
