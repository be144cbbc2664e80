"""What several commands share: the store, the run, times, tables."""

import io
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from groundswell.errors import NotFoundError, UsageError
from groundswell.exports import write_csv
from groundswell.moments import duration_ms, moment_ms, time_ms

if TYPE_CHECKING:
    from groundswell.local_log import LocalLog
    from groundswell.settings import Settings
    from groundswell.store.audit import Entry
    from groundswell.store.store import Store
    from models.entities import Catalogue
    from models.scorer import Scorer
    from stream.shells.instruments import Instruments

__all__ = [
    "catalogue", "company_ids", "company_names", "display", "duration_ms", "entry", "instruments", "linear", "listing_options", "live_log",
    "moment_ms", "near_companies", "open_store", "print_rows", "run_option", "settings", "span_ms", "store_option", "time_ms", "written",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])
FORMATS = ("table", "jsonl", "csv")


def store_option(command: F) -> F:
    """--store URL."""
    text = "Store: a path, sqlite:///FILE or postgresql://USER@HOST/DATABASE.  [default: GROUNDSWELL_STORE_URL, else the setting]"
    return click.option("--store", "store_url", metavar="URL", help=text)(command)


def run_option(command: F) -> F:
    """--run NAME."""
    return click.option("--run", metavar="NAME", help="Run to read.  [default: live, or the only one stored]")(command)


def who_option(command: F) -> F:
    """--who NAME."""
    return click.option("--who", metavar="NAME", default=_login, help="In whose name.  [default: this machine's login]")(command)


def _login() -> str:
    from getpass import getuser

    return getuser()


def entry(what: str, detail: str, *, now_ms: int, who: str | None = None) -> "Entry":
    """What the audit log says of something that this command does.

    Args:
        what: one of the words of groundswell/store/audit.py.
        detail: of what.
        now_ms: the wall clock.
        who: in whose name; None: this machine's login.
    """
    from groundswell.store.audit import COMMAND_LINE, Entry

    return Entry(now_ms, who or _login(), COMMAND_LINE, what, detail)


def listing_options(command: F) -> F:
    """--format and --output."""
    command = click.option("-o", "--output", metavar="FILE", help="Write here instead of to the terminal.")(command)
    return click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="How rows are printed.")(
        command
    )


def settings() -> "Settings":
    """The settings in force."""
    from groundswell.settings import load_settings

    return load_settings(environ=os.environ)


def open_store(url: str | None, *, makes: bool = False) -> "Store":
    """The store that was asked for, else that of the settings.

    Args:
        url: --store.
        makes: the command may begin a store. The others refuse a file that does not exist: a mistyped path would be an empty store,
            and its silence would look like calm.

    Raises:
        UsageError: a password on the command line.
        NotFoundError: there is no such file.
    """
    from groundswell.masking import mask_url, passwords_of_url
    from groundswell.store.store import Store, sqlite_file

    if url and passwords_of_url(url):
        reason = (
            f"--store {mask_url(url)}: everybody on this machine can read a password on a command line; set GROUNDSWELL_STORE_URL, or "
            "GROUNDSWELL_STORE_URL_FILE, or leave the password to PGPASSFILE"
        )
        raise UsageError(reason)
    url = url or settings().store.url
    file = sqlite_file(url)
    if file and not makes and not file.exists():
        reason = (
            f"store {file}: there is no such file; name another by --store or GROUNDSWELL_STORE_URL, or make one with `groundswell demo`, "
            "`groundswell backfill` or `groundswell run`"
        )
        raise NotFoundError(reason)
    return Store(url)


def instruments(*, of_run: str | None = None, bundle: str | None = None, watches: Path | None = None) -> "Instruments":
    """The model, rules and catalogue of the settings; the demo's run has its own invented companies beside them.

    Args:
        of_run: whose.
        bundle: a bundle of the registry, for its languages, instead of what is in force.
        watches: a file of searches that a new run begins to watch; None: those that ship.
    """
    from models.registry import registry_at
    from stream.shells.instruments import load_instruments

    chosen = settings()
    found = registry_at(chosen.models.registry or None).open(bundle) if bundle else None
    companies = [*_demo_companies(of_run), *(Path(name) for name in chosen.companies.extra)]
    return load_instruments(
        rules=Path(chosen.rules.path) if chosen.rules.path else None,
        catalogues=companies,
        registry=Path(chosen.models.registry) if chosen.models.registry else None,
        errors=[Path(name) for name in chosen.models.errors],
        use=chosen.models.use,
        device=chosen.models.device,
        bundles=dict.fromkeys(found.languages, found.name) if found else None,
        watches=watches,
    )


def linear() -> "Scorer":
    """The linear models that ship, for a second reading."""
    from models.registry import current_scorer, registry_at

    return current_scorer(registry_at(None), finder=catalogue().find, digest=lambda _: b"", use="linear")


def live_log(run: str) -> "LocalLog | None":
    """The live run's local log, where it is this machine's and not Kafka's."""
    from groundswell.local_log import LocalLog
    from groundswell.names import LIVE_RUN

    chosen = settings()
    path = Path(chosen.data.dir) / "live.log"
    return LocalLog(path) if run == LIVE_RUN and not chosen.kafka.bootstrap and path.exists() else None


def print_rows(rows: Iterable[Mapping[str, Any]], *, form: str, output: str | None, columns: list[str], whole: bool = False) -> int:
    """Print rows as a table, JSON lines or CSV; returns how many. Long cells of a table are cut, unless they are asked for `whole`."""
    with written(output) as out:
        if form == "jsonl":
            return sum(1 for row in rows if out.write(msgspec.json.encode(row).decode() + "\n"))
        if form == "csv":
            return write_csv(out, rows, columns)
        shown = [[_shown(row[name], whole=whole) for name in columns] for row in rows]
        widths = [max(len(line[i]) for line in [columns, *shown]) for i in range(len(columns))]
        for line in [columns, *shown]:
            out.write("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() + "\n")
        return len(shown)


def written(output: str | None) -> AbstractContextManager[Any]:
    """The file of --output, or standard output.

    Raises:
        UsageError: the file cannot be written.
    """
    if output is None or output == "-":
        return _stdout()
    try:
        return open(output, "w", encoding="utf-8", newline="")
    except OSError as error:
        reason = f"--output {output}: cannot be written: {error.strerror}; name a file in a folder that exists and is yours to write"
        raise UsageError(reason) from error


class _stdout(io.TextIOBase):  # noqa: N801 - used like a function
    """Standard output as a context that does not close it."""

    def __enter__(self) -> Any:
        return sys.stdout

    def __exit__(self, *_: object) -> None:
        sys.stdout.flush()


def _shown(value: Any, *, whole: bool) -> str:
    if value is None:
        return "-"
    text = f"{value:.3g}" if isinstance(value, float) else str(value)
    return text if whole or len(text) <= 80 else text[:79] + "…"


def _demo_companies(run: str | None) -> list[Path]:
    if run is None:  # spares `score` the import of the whole pipeline
        return []
    from ingest.demo_archive import CATALOGUE
    from stream.shells.demo import RUN

    return [CATALOGUE] if run == RUN else []


def span_ms(start: str | None, end: str | None) -> tuple[int | None, int | None]:
    """--from and --to; a bare day as --to counts whole.

    Raises:
        UsageError: one is not a time, or they are the wrong way round.
    """
    start_ms = time_ms(start, name="--from") if start else None
    end_ms = time_ms(end, name="--to", end=True) if end else None
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        reason = f"--from {start} --to {end}: the span is empty; give the later moment as --to"
        raise UsageError(reason)
    return start_ms, end_ms


def display() -> Callable[[str], str]:
    """Series keys in the reader's words, by the catalogues of the settings."""
    from stream.shells.instruments import display as shown

    companies = catalogue()
    return lambda series: shown(series, companies)


def company_names() -> Callable[[str], str]:
    """Company ids in the reader's words."""
    return catalogue().name


def company_ids() -> Callable[[str], Sequence[str]]:
    """What a name of a company stands for: its id, or the ids of the companies that the catalogue finds in it."""
    return catalogue().ids_of


def near_companies() -> Callable[[str], Sequence[str]]:
    """Ids of companies whose id or a name is nearest to what somebody wrote."""
    from difflib import get_close_matches

    companies = catalogue()

    @lru_cache(maxsize=1)
    def names() -> dict[str, str]:
        return {name.casefold(): one for one in companies.entities for name in (one, companies.name(one))}

    def near(name: str) -> Sequence[str]:
        known = names()
        return list(dict.fromkeys(known[found] for found in get_close_matches(name.casefold(), known, n=3, cutoff=0.7)))

    return near


@lru_cache(maxsize=1)
def catalogue() -> "Catalogue":
    """The company catalogue of the settings, with the demo's companies."""
    from ingest.demo_archive import CATALOGUE
    from models.entities import Catalogue

    return Catalogue.load(extra=[CATALOGUE, *(Path(name) for name in settings().companies.extra)])
