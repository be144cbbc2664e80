"""Write the generated pages: `python -m docs.generate` (`make docs`).

    real --help of every command        -> docs/cli.md
    groundswell.settings                -> docs/settings.md, deploy/settings.example.toml
    the classes of ingest/types         -> docs/source-types.md
    ingest/sources.toml                 -> docs/source-catalogue.md
    groundswell/metrics.py              -> docs/metrics.md
    dashboards/prometheus/rules.py      -> deploy/prometheus/recording.yml, alerts.yml
    real output, with `--transcript`    -> console blocks below a `<!-- demo -->` line in README.md (plays the demo once)

tests/house/test_docs.py compares all but the last with what `PAGES` makes, so a page that lags behind the code is a failed test.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final, get_args

import click
from click.testing import CliRunner

from dashboards.prometheus.files import files
from docs.metrics_page import metrics_markdown
from docs.source_types import types_markdown
from groundswell.cli import COMMANDS, root
from groundswell.errors import DependencyError
from groundswell.records import Role
from groundswell.settings_pages import settings_example, settings_markdown
from ingest.catalogue import Source, load_catalogue

ROOT: Final = Path(__file__).resolve().parent.parent
HELP_COLUMNS: Final = 100
TRANSCRIPTS: Final = ("README.md",)
_DEMO_BLOCK: Final = re.compile(r"(<!-- demo -->\n```console\n)(.*?)(```\n)", re.DOTALL)


# --- the command line -------------------------------------------------------------------------------------------------------
def cli_markdown() -> str:
    """docs/cli.md: what `--help` prints, for the program and for each command, in their order."""
    lines = [
        "# Command line",
        "",
        "Made from the commands' own `--help` by `make docs`; a test compares the two.",
        "",
        "Exit codes: 0 done, 1 not found or not held, 2 usage, 3 a peer is away or the work is partly done: run it again.",
        "Results go to standard output, everything else to standard error. What no option says comes from the [settings](settings.md).",
    ]
    for name in ("", *_commands()):
        lines += ["", f"## groundswell {name}".rstrip(), "", "```text", help_of(name), "```"]
    return "\n".join(lines) + "\n"


def _commands() -> Iterator[str]:
    """Every command, and after a group those in it."""
    for name in COMMANDS:
        yield name
        command = root.get_command(click.Context(root), name)
        if isinstance(command, click.Group):
            yield from (f"{name} {sub}" for sub in command.commands)


def help_of(name: str) -> str:
    """What `groundswell NAME --help` prints; an empty name is the program itself, `models list` a command of a group.

    Raises:
        RuntimeError: the command cannot be imported or its help cannot be printed.
    """
    arguments = [*name.split(), "--help"]
    result = CliRunner().invoke(root, arguments, prog_name="groundswell", terminal_width=HELP_COLUMNS)
    if result.exit_code or result.exception:
        place = COMMANDS[name.split()[0]][0] if name else "groundswell.cli"
        message = f"groundswell {name} --help: {result.exception or result.output}; mend the command in {place}"
        raise RuntimeError(message)
    return "\n".join(line.rstrip() for line in result.output.strip("\n").splitlines())


# --- the sources ------------------------------------------------------------------------------------------------------------
def sources_markdown() -> str:
    """docs/source-catalogue.md: every source that comes with the package, by the role of its owner."""
    found = load_catalogue(disabled=True)
    owners, on = len({source.owner for source in found}), sum(source.enabled for source in found)
    lines = ["# The source catalogue", "", f"{len(found)} sources of {owners} owners; {on} are switched on.", *_SOURCES_SAY]
    for role in get_args(Role):
        lines += ["", f"## {role.replace('_', ' ').capitalize()}", ""]
        lines += ["| source | owner | what | tier | a day | text | state | checked |", "|---|---|---|---|---|---|---|---|"]
        lines += [_source_row(source) for source in found if source.role == role]
    return "\n".join(lines) + "\n"


_SOURCES_SAY: Final = """\
Made from `ingest/sources.toml` by `make docs`; a test compares the two. What its fields mean stands at its head.

**None was tried:** no network reaches the place where this was written, and addresses are from public texts, most from lists of
third parties. `groundswell sources test NAME --write-checked FILE` looks once, politely, and writes down the day; until then the
last column says never. `groundswell sources list --format jsonl` also says the licence and where each address is documented.

Switched off are those whose terms forbid it or were read by nobody, whose type is not built, or that are said to be dead. To switch
one on, copy its entry to a file of your own, name that in `catalogue.extra`, and write down its licence. Text: whether the body is
stored; else title and address are, and the body goes once it is scored. A day: about how many items, judged and not measured.
""".splitlines()


def _source_row(source: Source) -> str:
    what = f"{source.kind}, {source.language}, {source.region}"
    text, state = "stored" if source.may_store_text else "scored only", "on" if source.enabled else f"off: {source.why_disabled}"
    cells = (f"[{source.name}]({source.url})", source.owner, what, source.tier, f"{source.rhythm:g}", text, state, source.checked)
    return f"| {' | '.join(map(str, cells))} |"


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/cli.md": cli_markdown,
    "docs/settings.md": settings_markdown,
    "deploy/settings.example.toml": settings_example,
    "docs/source-types.md": types_markdown,
    "docs/source-catalogue.md": sources_markdown,
    "docs/metrics.md": metrics_markdown,
    **{name: partial(files().__getitem__, name) for name in files()},
}
"""Path from the repository's root -> what makes its text."""


# --- real output ---------------------------------------------------------------------------------------------------------------
def transcribed(text: str, run: Callable[[str], str]) -> str:
    r"""A page with the output below each `$ ` line of its demo blocks made anew.

    An id after `groundswell explain` becomes the first one that the block has printed before it.

    Args:
        text: the page.
        run: called with each command line in the order of the page; returns what it printed.

    >>> page = "<!-- demo -->\n```console\n$ groundswell alerts\nold\n```\n"
    >>> transcribed(page, run=lambda command: f"output of {command}\n")
    '<!-- demo -->\n```console\n$ groundswell alerts\noutput of groundswell alerts\n```\n'
    """

    def block(match: re.Match[str]) -> str:
        lines: list[str] = []
        for line in match[2].splitlines():
            if not line.startswith("$ "):
                continue
            command = line.removeprefix("$ ")
            shown = re.search(r"^([0-9a-f]{8})[0-9a-f]{8} ", "\n".join(lines), flags=re.MULTILINE)
            if shown:
                command = re.sub(r"(groundswell explain )[0-9a-f]{8}\b", rf"\g<1>{shown[1]}", command)
            lines += [f"$ {command}", *(printed.rstrip() for printed in run(command).splitlines())]
        return match[1] + "\n".join(lines) + "\n" + match[3]

    return _DEMO_BLOCK.sub(block, text)


class _Shell:
    """Runs command lines one after the other, in a folder of their own; `export` lines hold for those after them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._exports: list[str] = []
        self._environ = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL_")}
        self._environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

    def __call__(self, command: str) -> str:
        if command.startswith("export "):
            self._exports.append(command)
            return ""
        script = "\n".join(["set -o pipefail", *self._exports, command])
        done = subprocess.run(["bash", "-c", script], cwd=self._folder, env=self._environ, capture_output=True, text=True, check=False)
        if done.returncode and "| head" not in command:
            message = (
                f"{command}: ended with code {done.returncode}: {(done.stderr or done.stdout).strip()[-500:]}; mend it, then run this again"
            )
            raise DependencyError(message)
        return done.stdout


def main() -> None:
    """Write every generated page that differs, and say which."""
    parser = argparse.ArgumentParser(prog="python -m docs.generate", description="Write the generated pages.")
    parser.add_argument("--transcript", action="store_true", help="also play the demo and renew the output in README.md (a minute)")
    wanted = {name: make() for name, make in PAGES.items()}
    if parser.parse_args().transcript:
        with tempfile.TemporaryDirectory() as folder:
            shell = _Shell(Path(folder))
            for name in TRANSCRIPTS:
                wanted[name] = transcribed((ROOT / name).read_text(encoding="utf-8"), shell)
    for name, text in wanted.items():
        path = ROOT / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"wrote {name}\n")


if __name__ == "__main__":
    main()
