"""Commands over the source catalogue: sources list, check, test, add, health."""

import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from groundswell.cli import options as o
from groundswell.cli.groups import Group, example
from groundswell.cli.source_health import health
from groundswell.errors import NotFoundError, UsageError
from groundswell.exports import iso

if TYPE_CHECKING:
    from ingest.catalogue import Source
    from ingest.probe import Probe

LIST_COLUMNS: Final = ["source", "enabled", "type", "kind", "language", "region", "role", "tier", "owner", "rhythm", "checked", "url"]


@click.group(cls=Group)
def sources() -> None:
    """The sources that are read: which there are, and how they do."""


@sources.command("list", epilog=example("groundswell sources list --language zh --tier 1 --enabled"))
@click.option("--kind", help="Only news, report, filing or comment.")
@click.option("--language", metavar="CODE", help="Only this language: en, zh.")
@click.option("--region", metavar="CODE", help='Only this region: US, CN, EU, "world".')
@click.option("--tier", type=click.IntRange(1, 4), help="Only this tier: 1 official, 2 established press, 3 other press, 4 forums.")
@click.option("--enabled/--disabled", default=None, help="Only those that are switched on, or off.")
@o.listing_options
def list_sources(
    kind: str | None, language: str | None, region: str | None, tier: int | None, enabled: bool | None, form: str, output: str | None
) -> None:
    """Every source of the catalogue, switched off or not.

    checked: the day on which it was last seen to work. Other formats also say the licence, where the address is documented, and
    why a source is switched off.
    """
    from ingest.catalogue import load_catalogue

    wanted = {"kind": kind, "language": language, "region": region, "tier": tier, "enabled": enabled}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    found = load_catalogue(o.settings().catalogue.extra, disabled=True)
    rows = (_row(source) for source in found if all(getattr(source, name) == value for name, value in wanted.items()))
    columns = LIST_COLUMNS if form == "table" else [*LIST_COLUMNS, *_MORE]
    o.print_rows(rows, form=form, output=output, columns=columns)


_MORE: Final = ("licence", "may_store_text", "may_redistribute", "documented", "note", "why_disabled")


def _row(source: "Source") -> dict[str, Any]:
    names = (*LIST_COLUMNS[1:], *_MORE)
    return {"source": source.name} | {name: getattr(source, name) for name in names}


@sources.command(epilog=example("groundswell sources check my-sources.toml"))
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE...]")
def check(files: tuple[Path, ...]) -> None:
    """Check catalogue files, without asking anybody: the shipped one, those of catalogue.extra, and FILEs after them.

    Names, addresses and owners that stand twice, fields that do not exist, values that cannot be, licences that nobody has written
    down. Exit code 1 when something is wrong: file, entry, field and rule of each.
    """
    from ingest.catalogue import SHIPPED
    from ingest.catalogue_check import problems_of

    asked = [SHIPPED, *(Path(extra) for extra in o.settings().catalogue.extra), *files]
    paths = list({path.resolve(): path for path in reversed(asked)}.values())[::-1]  # a file that is named twice is read once
    found = problems_of(paths)
    for problem in found:
        click.echo(str(problem))
    if found:
        sys.exit(1)
    click.echo(f"{len(paths)} file{'s' if len(paths) > 1 else ''}, nothing wrong")


# --- asking --------------------------------------------------------------------------------------------------------------------
ITEMS_SHOWN: Final = 5


@sources.command("test", epilog=example("groundswell sources test https://harbour.example/news.rss"))
@click.argument("target", metavar="URL|NAME")
@click.option(
    "--write-checked", "file", type=click.Path(path_type=Path), metavar="FILE", help="If it works: say so in this catalogue file."
)
@click.option("--allow-private", is_flag=True, help="The address may be inside: loopback, private or link-local.")
def try_source(target: str, file: Path | None, allow_private: bool) -> None:
    """Ask a source once, politely, and say what a crawler would make of it; nothing is stored.

    robots.txt first, then one request. Shows the answer, its first items, how many there are a day, and how often it would be asked.
    Exit code 1 when it cannot be read as it is, with what is wrong and what to do next.
    """
    from ingest.catalogue_write import set_checked
    from ingest.probe import advice

    source = _source_of(target, allow_private=allow_private)
    if file and "://" in target:
        reason = f"--write-checked {file}: an address has no entry yet; `groundswell sources add {target} --to {file}` makes one"
        raise UsageError(reason)
    if source.type != "feed":
        reason = f"{source.name}: its type is {source.type}, and only feeds can be tested so; {source.why_disabled or 'look at its page'}"
        raise UsageError(reason)
    found = _look(source)
    for line in _told(found):
        click.echo(line)
    wrong = advice(found, documented=source.documented)
    if wrong:
        click.echo(f"does not work: {wrong}", err=True)
        sys.exit(1)
    click.echo("works")
    if file:
        day = _today()
        set_checked(file, source, day=day)
        click.echo(f"{file}: {source.name} was checked on {day}")


@sources.command(
    epilog=example("groundswell sources add https://harbour.example/news.rss --to my-sources.toml --licence 'asked on 2026-11-02'")
)
@click.argument("url")
@click.option(
    "--to", "file", type=click.Path(path_type=Path), metavar="FILE", help="Add the entry to this catalogue file.  [default: print it]"
)
@click.option("--name", help="[default: made from the address]")
@click.option("--owner", help="Who stands behind it.  [default: the feed's title]")
@click.option("--kind", type=click.Choice(["news", "report", "filing", "comment"]), default="news", show_default=True)
@click.option(
    "--tier", type=click.IntRange(1, 4), default=3, show_default=True, help="1 official, 2 established press, 3 other press, 4 forums."
)
@click.option("--licence", help="What its publisher allows, in one line. Without it the entry is written switched off.")
@click.option("--store-text", is_flag=True, help="Its text may be stored.")
@click.option("--allow-private", is_flag=True, help="The address may be inside: loopback, private or link-local.")
def add(
    url: str,
    file: Path | None,
    name: str | None,
    owner: str | None,
    kind: str,
    tier: int,
    licence: str | None,
    store_text: bool,
    allow_private: bool,
) -> None:
    """Look at URL and make a catalogue entry of it; of a page that names a feed, the feed is taken.

    Exit code 1 when it cannot be read, with what is wrong and what to do next.
    """
    from ingest.catalogue_write import append_entry, entry_text
    from ingest.probe import advice

    source = _source_of(url, allow_private=allow_private)
    found, documented = _look(source), url
    if found.form == "html" and found.feeds:
        click.echo(f"{url} is HTML; it names {len(found.feeds)} feed(s), the first is taken: {found.feeds[0]}", err=True)
        source = _source_of(found.feeds[0], allow_private=allow_private)
        found = _look(source)
    wrong = advice(found)
    if wrong:
        click.echo(f"{source.url} does not work: {wrong}", err=True)
        sys.exit(1)
    fields: dict[str, Any] = {
        "name": name or _name_of(source.url),
        "owner": owner or found.parsed.title.strip()[:200] or urlsplit(source.url).hostname or "",
        "tier": tier,
        "kind": kind,
        "language": _language_of(found),
        "rhythm": found.rhythm,
        "url": source.url,
        "documented": documented,
        "licence": licence,
        "may_store_text": store_text,
        "checked": _today(),
        "allow_private": True if allow_private else None,
    }
    if not licence:
        fields |= {
            "enabled": False,
            "why_disabled": "nobody has read what its publisher allows: write it down as its licence, then switch it on",
        }
    fields = {field: value for field, value in fields.items() if value is not None}
    if file is None:
        click.echo(entry_text(fields), nl=False)
        return
    append_entry(file, fields)
    state = "switched on" if licence else "switched off until its licence is written down"
    click.echo(f"{file}: {fields['name']} added, {state}; name the file in catalogue.extra if it is not there yet")


def _source_of(target: str, *, allow_private: bool) -> "Source":
    """The catalogue's entry of a name, or one made up for an address."""
    from ingest.catalogue import Source, address_problem, load_catalogue

    if "://" in target:
        problem = address_problem(target)
        if problem:
            message = f"{target}: {problem}"
            raise UsageError(message)
        return Source(name="test", owner="test", url=target, allow_private=allow_private)
    found = {source.name: source for source in load_catalogue(o.settings().catalogue.extra, disabled=True)}
    if target not in found:
        message = f"{target!r}: neither an address with http:// or https:// nor a source; `groundswell sources list` prints their names"
        raise NotFoundError(message)
    return found[target]


def _look(source: "Source") -> "Probe":
    import asyncio

    from groundswell.clock import SystemClock
    from ingest.fetch import Fetcher
    from ingest.probe import probe

    async def look() -> "Probe":
        async with Fetcher(contact=o.settings().catalogue.contact) as fetcher:
            return await probe(source, fetcher=fetcher, clock=SystemClock())

    return asyncio.run(look())


def _told(found: "Probe") -> Iterator[str]:
    fetched, headers = found.fetched, found.fetched.headers
    yield f"address     {found.url}" + (f", moved for good to {fetched.moved_to}" if fetched.moved_to else "")
    yield f"robots.txt  {found.robots}"
    yield (
        f"answer      HTTP {fetched.status}, {len(fetched.body):,} bytes in {found.took_ms:,} ms" if fetched.status else "answer      none"
    )
    if fetched.status:
        yield f"type        {headers.get('content-type', 'not said')}; what is in it: {found.form}"
        yield f"packing     {headers.get('content-encoding', 'none')}"
        yield f"validators  etag {headers.get('etag', 'none')}, last-modified {headers.get('last-modified', 'none')}"
    if found.parsed.readable:
        yield f"feed        {found.parsed.title!r}, language {found.parsed.language or 'not said'}, {found.parsed.entries:,} items"
        for record in found.parsed.records[:ITEMS_SHOWN]:
            when = "no time       " if record.published_ms is None else f"{iso(record.published_ms)} ({record.published_precision})"
            yield f"  {when}  {record.title[:100] or record.text[:100]}"
            yield f"    {record.url or 'no link'}"
        if found.parsed.problem:
            yield f"problem     {found.parsed.problem}"
        yield f"rhythm      {'cannot be told from its times' if found.rhythm is None else f'about {found.rhythm:g} a day'}"
        yield f"asked       about every {found.asked_every_ms / 60_000:.0f} minutes"


def _name_of(url: str) -> str:
    """A name for an address.

    >>> _name_of("https://www.news.example/feeds/markets.xml?x=1")
    'news_example_feeds_markets'
    """
    parts = urlsplit(url)
    words = re.findall(r"[a-z0-9]+", f"{(parts.hostname or '').removeprefix('www.')} {re.sub(r'[.][a-z]+$', '', parts.path)}".lower())
    return "_".join(words)[:100] or "source"


def _language_of(found: "Probe") -> str | None:
    """What its titles are written in; what the feed claims is only asked where they are too few."""
    from stream.operators.normalise import detect_language

    claimed = (found.parsed.language or "").lower().replace("_", "-").split("-")[0] or None
    return detect_language(" ".join(record.title for record in found.parsed.records[:50]), claimed)


def _today() -> str:
    from groundswell.clock import SystemClock

    return datetime.fromtimestamp(SystemClock().now_ms() / 1000, UTC).date().isoformat()


sources.add_command(health)
