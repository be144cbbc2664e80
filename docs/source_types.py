"""docs/source-types.md, from the classes of `ingest/types`: each field with its comment, its default, and its meaning there."""

import ast
import inspect
import re
from pathlib import Path

from ingest.types.article import ArticleRules
from ingest.types.base import HttpType, KeyedType
from ingest.types.fields import FieldMap
from ingest.types.table import TYPES

__all__ = ["types_markdown"]


def types_markdown() -> str:
    """One section for each type, and one for each table that several share."""
    shared = {name for kind in (HttpType, KeyedType) for name in kind.__annotations__}
    lines = [
        "# Source types",
        "",
        "Made from the classes of `ingest/types` by `make docs`; a test compares the two. What they are for: [sources](sources.md).",
        "",
    ]
    for name, kind in TYPES.items():
        lines += [f"## {name}", "", f"{kind.about[:1].upper()}{kind.about[1:]}. The url: {kind.address}.", ""]
        lines += _table([kind], leave_out=shared)
    lines += ["## Every type that is asked over HTTP", "", *_table([HttpType])]
    lines += ["## json_api and thread, where the source wants a key", "", *_table([KeyedType])]
    lines += ["## fields", "", "`[source.how.fields]`: JMESPath expressions.", "", *_table([FieldMap])]
    lines += [
        "## article",
        "",
        '`[source.how.article."news.example"]`: CSS selectors for the pages of one host.',
        "",
        *_table([ArticleRules]),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _table(kinds: list[type], *, leave_out: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]
    rows = [f"| `{name}` | {default} | {comment} |" for kind in kinds for name, default, comment in _fields(kind) if name not in leave_out]
    return ["| field | default | |", "|---|---|---|", *rows, ""] if rows else ["No field of its own.", ""]


def _fields(kind: type) -> list[tuple[str, str, str]]:
    """(name, default, comment) of the fields that a class declares itself."""
    lines, start = inspect.getsourcelines(kind)
    tree = ast.parse(Path(inspect.getfile(kind)).read_text(encoding="utf-8"))
    body = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == kind.__name__).body
    found = []
    for node in body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name) or "ClassVar" in ast.unparse(node.annotation):
            continue
        comments = (re.search(r"  # (?!fmt:)(.+)$", lines[number - start]) for number in range(node.lineno, (node.end_lineno or 0) + 1))
        comment = next((match[1].strip() for match in comments if match), "")
        found.append((node.target.id, _shown(node), comment))
    return found


def _shown(node: ast.AnnAssign) -> str:
    if node.value is None:
        return "needed"
    if isinstance(node.value, ast.Constant):
        value = node.value.value
        shown = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
        return f"`{shown}`" if shown else ""
    return ""
