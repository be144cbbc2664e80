"""Documentation that can fail: every page against the code that it speaks of."""

import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

import click
import pytest

from docs import generate
from groundswell import errors
from groundswell.cli import COMMANDS, root
from groundswell.settings import settings_list

ROOT: Final = Path(__file__).resolve().parents[2]
BUILT: Final = frozenset({"build", "dist", "var", "target", "node_modules", "__pycache__"})  # folders that git ignores
GENERATED: Final = frozenset(generate.PAGES)
LINES_MAX: Final = 250
# Pages that nobody reads from top to bottom.
LOOKED_UP: Final = {"docs/runbook.md": 400, "docs/glossary.md": 400, "docs/benchmarks.md": 400}
IMAGE_BYTES_MAX: Final = 300_000

CODE: Final = ("groundswell", "ingest", "models", "stream", "alerts", "dashboards", "deploy")
TERMS: Final = (
    "admission", "alert", "arrival", "attempted", "balance", "baseline", "blind", "candidate", "closed tick", "contribution", "decision",
    "desk", "dossier", "drop", "duplicate", "edit", "envelope", "epoch", "evidence", "exposure", "fact", "fence", "fold", "forming",
    "fresh", "gate", "heartbeat", "held", "hold", "horizon", "identity", "incident", "increment", "instruments", "known time", "leader",
    "limit", "log", "outbox", "owner", "pane", "part", "position", "progress", "published time", "punctuation", "replay", "revision",
    "rules", "run", "score", "series", "spool", "stamp", "story", "surge", "target", "tick", "version", "vintage", "watermark", "window",
)  # fmt: skip


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def markdown_pages() -> list[str]:
    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if path.is_dir() and not path.name.startswith(".") and path.name not in BUILT:
                yield from walk(path)
            elif path.suffix == ".md":
                yield path

    return [path.relative_to(ROOT).as_posix() for path in walk(ROOT) if not path.is_relative_to(ROOT / "deploy" / "kafka" / "lib")]


PAGES: Final = markdown_pages()


def without_code(markdown: str) -> str:
    return re.sub(r"^(```+)[^\n]*\n.*?^\1\s*$", "", markdown, flags=re.MULTILINE | re.DOTALL)


def slug(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).strip().lower()).replace(" ", "-")


def sections(name: str) -> dict[str, str]:
    """{anchor: text below the heading, up to the next one} of a page."""
    pieces = re.split(r"^#+ +(.+)$", without_code(text_of(name)), flags=re.MULTILINE)
    return {slug(heading): body.strip() for heading, body in zip(pieces[1::2], pieces[2::2], strict=True)}


def table_rows(markdown: str) -> list[list[str]]:
    """Cells of every table row; head rows and rules are left out."""
    rows: list[list[str]] = []
    for line in markdown.splitlines():
        if line.startswith(("|---", "|:--")):
            rows.pop()  # what stands above the rule is the head
        elif line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return rows


def sources() -> Iterator[tuple[str, str]]:
    for folder in CODE:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".toml", ".j2", ".json", ".yml", ".yaml") and BUILT.isdisjoint(path.parts):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


# --- generated pages --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(GENERATED))
def test_a_generated_page_is_what_the_code_says_now(name: str) -> None:
    assert text_of(name) == generate.PAGES[name](), f"{name} lags behind the code: run `make docs` and look at what changed"


def test_every_command_has_its_section_with_its_help() -> None:
    page = text_of("docs/cli.md")
    missing = [name for name in COMMANDS if f"## groundswell {name}\n\n```text\nUsage: groundswell {name} " not in page]
    assert not missing


def test_every_setting_is_explained_on_the_page_and_in_the_example() -> None:
    page, example = text_of("docs/settings.md"), text_of("deploy/settings.example.toml")
    for setting in settings_list():
        assert len(setting.doc.split()) >= 3, f"{setting.key}: says nothing about itself"
        assert f"| `{setting.key}` | `{setting.variable}` |" in page
        assert f"# {setting.doc}" in example


def test_a_transcript_keeps_its_commands_and_takes_its_output_and_ids_from_them() -> None:
    page = "a\n<!-- demo -->\n```console\n$ groundswell alerts\nold\n$ groundswell explain 00000000\nold\n```\n$ groundswell alerts\n"
    printed = {"groundswell alerts": "id\n0123456789abcdef  x  \n", "groundswell explain 01234567": "same\n"}
    expected = "a\n<!-- demo -->\n```console\n$ groundswell alerts\nid\n0123456789abcdef  x\n$ groundswell explain 01234567\nsame\n```\n"
    assert generate.transcribed(page, printed.__getitem__) == expected + "$ groundswell alerts\n"


# --- links ----------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", PAGES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(text_of(name))):
        target, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        path = (ROOT / name).parent / target if target else ROOT / name
        if not path.exists() or (anchor and anchor not in sections(path.resolve().relative_to(ROOT).as_posix())):
            broken.append(link)
    assert not broken


def test_the_readme_shows_the_board_in_a_picture_that_loads_fast() -> None:
    first = text_of("README.md").split("\n## ")[0]
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+\.png)\)", first)
    assert pictures == ["docs/images/board.png"]
    picture = (ROOT / pictures[0]).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < IMAGE_BYTES_MAX


# --- commands ------------------------------------------------------------------------------------------------------------------
def command_lines(markdown: str) -> list[str]:
    """Every `groundswell ...` and `make ...` of a page: lines of its blocks, parts of their pipes, and inline code."""
    lines = []
    for language, block in re.findall(r"^```(\w*)\n(.*?)^```", markdown, flags=re.MULTILINE | re.DOTALL):
        if language in ("", "sh", "bash", "console"):
            joined = block.replace("\\\n", " ")
            lines += [line.removeprefix("$ ").split("  #")[0] for line in joined.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", without_code(markdown))
    parts = [part.strip() for line in lines for part in re.split(r"\||&&|;|\$\(", line)]
    return [part for part in parts if part.startswith(("groundswell ", "make "))]


def complaint(line: str) -> str | None:
    """What is wrong with a command line of a page; None if it can be typed."""
    words = shlex.split(line.replace("...", ""))
    if words[0] == "make":
        targets = set(re.findall(r"^([a-z]+):", text_of("Makefile"), flags=re.MULTILINE))
        unknown = [word for word in words[1:] if "=" not in word and word not in targets]
        return f"make has no target {unknown[0]!r}" if unknown else None
    name = words[1]
    if name.startswith("-"):
        return None if name in ("--help", "-h", "--version") else f"groundswell has no option {name!r}"
    if name not in COMMANDS:
        return None if name.isupper() else f"there is no command {name!r}"
    command = root.get_command(click.Context(root), name)
    assert command is not None
    while isinstance(command, click.Group) and len(words) > 2 and words[2] in command.commands:
        command = command.commands[words.pop(2)]
    options = {flag: param for param in command.params if isinstance(param, click.Option) for flag in (*param.opts, *param.secondary_opts)}
    for place, word in enumerate(words[2:], start=2):
        flag, _, value = word.partition("=")
        if not re.match(r"--?[a-z]", flag) or flag in ("--help", "-h"):
            continue
        if flag not in options:
            return f"groundswell {name} has no option {flag!r}"
        kind, given = options[flag].type, value or (words[place + 1] if place + 1 < len(words) else "")
        if isinstance(kind, click.Choice) and given not in kind.choices and not given.isupper():
            return f"groundswell {name} {flag} takes one of {', '.join(kind.choices)}, not {given!r}"
    return None


@pytest.mark.parametrize("name", PAGES)
def test_every_command_in_a_page_exists_with_its_options(name: str) -> None:
    wrong = [f"{line}: {found}" for line in command_lines(text_of(name)) if (found := complaint(line))]
    assert not wrong


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("make coffee", "no target 'coffee'"),
        ("groundswell divine", "no command 'divine'"),
        ("groundswell series 'entity:*' --widow 1h", "no option '--widow'"),
        ("groundswell series 'entity:*' --vintage last", "takes one of final, first"),
        ("groundswell --loud", "no option '--loud'"),
    ],
)
def test_a_command_that_nobody_can_type_is_found(line: str, rule: str) -> None:
    assert command_lines(f"```console\n$ {line}\n```\n") == [line]
    assert rule in (complaint(line) or "")


def test_commands_are_found_in_pipes_and_inline() -> None:
    page = "```sh\necho x | groundswell score -   # standard input\n```\n```text\nmake nothing\n```\nSay `groundswell doctor`, not `it`.\n"
    assert command_lines(page) == ["groundswell score -", "groundswell doctor"]


def leaves(command: click.Command = root, path: str = "groundswell") -> Iterator[tuple[str, click.Command]]:
    """Every command that is no group, with what is typed for it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, f"{path} {name}")


def test_the_help_of_every_command_ends_with_an_example_that_can_be_typed() -> None:
    wrong = []
    for path, command in leaves():
        lines = [line.strip() for line in (command.epilog or "").splitlines() if line.startswith("  ")]
        typed = [part for line in lines for part in command_lines(f"```sh\n{line}\n```\n")]
        wrong += [f"{path}: {line}: {found}" for line in typed if (found := complaint(line))]
        if not any(line.startswith(path) for line in typed):
            wrong.append(f"{path}: no example")
    assert not wrong


def test_every_command_that_the_code_tells_people_to_type_exists() -> None:
    told = [(name, line) for name, text in sources() for line in re.findall(r"`((?:groundswell|make) [^`\n]+)`", text)]
    assert told
    assert not [f"{name}: {line}: {found}" for name, line in told if (found := complaint(line))]


# --- the hand-written pages ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", sorted(set(PAGES) - GENERATED))
def test_a_page_stays_short_enough_to_be_read(name: str) -> None:
    assert len(text_of(name).splitlines()) <= LOOKED_UP.get(name, LINES_MAX)


def test_the_readme_leads_to_every_page_of_docs() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)", text_of("README.md")))
    assert {name for name in PAGES if name.startswith("docs/")} == linked


def test_the_glossary_has_every_term_once_in_order_and_says_something_of_it() -> None:
    entries = re.findall(r"^\*\*([^*]+)\*\*: (.+)$", text_of("docs/glossary.md"), flags=re.MULTILINE)
    names = [name for name, _ in entries]
    assert names == sorted(set(names), key=str.lower)
    assert not set(TERMS) - set(names)
    assert not [name for name, said in entries if len(said) < 30]


def test_what_the_glossary_calls_code_is_in_the_code() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for folder in CODE for path in (ROOT / folder).rglob("*.py"))
    words = set(re.findall(r"`([A-Za-z_]\w+)`", text_of("docs/glossary.md")))
    assert words
    assert not {word for word in words if not re.search(rf"\b{word}\b", source)}


def test_the_table_of_dependencies_names_exactly_those_of_pyproject() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    wanted = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {re.split(r"[\[<>=~! ]", line)[0] for line in wanted}
    rows = table_rows(text_of("docs/dependencies.md"))
    assert [len(row) for row in rows] == [3] * len(rows)
    assert all(row[1] and row[2] for row in rows)
    assert sorted(row[0].strip("`") for row in rows) == sorted(declared)


def test_a_dependency_that_is_said_to_be_reserved_is_not_imported() -> None:
    modules = {"grafana-api": "grafana_api", "faust-streaming": "faust", "kafka-python": "kafka", "pyahocorasick": "ahocorasick"}
    rows = table_rows(text_of("docs/dependencies.md"))
    reserved = [row[0].strip("`") for row in rows if "reserved for" in row[1]]
    code = "\n".join(text for name, text in sources() if name.endswith(".py"))
    imported = set(re.findall(r"^\s*(?:from|import) (\w+)", code, flags=re.MULTILINE))
    assert not {name for name in reserved if modules.get(name, name.replace("-", "_")) in imported}


def test_the_readme_names_the_data_that_the_shipped_models_were_trained_on_with_its_licence() -> None:
    named = [tuple(row) for row in table_rows(text_of("README.md").split("## The models")[1])]
    cards = {"English": "en", "Chinese": "zh"}
    trained = [
        (source["name"].partition(": ")[2], language, source["licence"])
        for language, code in cards.items()
        for source in json.loads(text_of(f"models/bundles/linear/{code}.json"))["sources"]
    ]
    assert named == trained


def test_every_test_that_a_page_names_exists() -> None:
    named = {(name, test) for name in PAGES for test in re.findall(r"`(test_\w+)`", text_of(name))}
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert not {(name, test) for name, test in named if not re.search(rf"^(?:(?:async )?def )?{test}\b", tests, flags=re.MULTILINE)}


def test_files_named_in_contributing_exist() -> None:
    rows = table_rows(text_of("CONTRIBUTING.md"))
    assert len(rows) >= 8
    named = {path for row in rows for path in re.findall(r"`([\w./-]+/[\w./-]*)`", " ".join(row))}
    assert not {path for path in named if not (ROOT / path).exists()}


# --- the runbook ------------------------------------------------------------------------------------------------------------
def test_every_runbook_heading_that_code_names_exists() -> None:
    headings = sections("docs/runbook.md")
    named = {(name, anchor) for name, text in sources() for anchor in re.findall(r"runbook\.md#([\w-]+)", text)}
    assert not {(name, anchor) for name, anchor in named if anchor not in headings}


def test_every_runbook_heading_says_what_is_seen_what_it_means_and_what_to_do() -> None:
    conditions = {anchor: body for anchor, body in sections("docs/runbook.md").items() if anchor != "runbook"}
    assert len(conditions) >= 9
    for anchor, body in conditions.items():
        assert [part for part in ("**Seen:**", "**Means:**", "**Do:**") if part not in body] == [], anchor


def test_messages_quoted_in_the_runbook_are_messages_of_the_code() -> None:
    quoted = [words for words in re.findall(r'"([^"\n]*)"', text_of("docs/runbook.md")) if len(words) >= 12]
    code = "\n".join(text for _, text in sources())
    assert quoted
    assert not [words for words in quoted if words not in code]


def test_the_runbook_speaks_of_every_error_that_an_operator_can_meet() -> None:
    page = text_of("docs/runbook.md")
    kinds = {"DependencyError", "OwnershipLostError", "ContinuityError", "BundleError", "RecordError"}
    assert kinds <= set(errors.__all__)
    assert not {kind for kind in kinds if f"`{kind}`" not in page}
