"""What is said of the settings: docs/settings.md and deploy/settings.example.toml, made from their declarations."""

from collections.abc import Callable
from typing import Any, get_type_hints

import msgspec

from groundswell.settings import Setting, Settings, settings_of
from groundswell.settings_sources import CONFIG_VARIABLE, DEFAULT_FILE, FILE_SUFFIX, PREFIX

__all__ = ["settings_example", "settings_markdown"]


def _sections(write: Callable[[str, str, list[Setting]], list[str]]) -> list[str]:
    lines = []
    for name, kind in get_type_hints(Settings).items():
        lines += write(name, (kind.__doc__ or "").strip(), settings_of(name, kind))
    return lines


def settings_markdown() -> str:
    """docs/settings.md: every setting with its variable, default, limits, unit and meaning."""

    def table(name: str, doc: str, settings: list[Setting]) -> list[str]:
        head = ["", f"## {name}", "", doc, "", "| setting | variable | default | allowed | meaning |", "|---|---|---|---|---|"]
        return head + [
            f"| `{s.key}` | `{s.variable}` | {f'`{_toml(s.default)}`' if s.default not in ('', ()) else 'empty'} "
            f"| {' '.join(filter(None, [s.allowed, f'({s.unit})' if s.unit else '']))} | {s.doc}{_from_file(s)} |"
            for s in settings
        ]

    intro = [
        "# Settings",
        "",
        "Made from `groundswell/settings.py` (by `groundswell/settings_pages.py`); a test compares the two.",
        "",
        "Defaults, then a TOML file, then the environment: the last one wins. The file is the one that `--config` names, else the",
        f"one in `{CONFIG_VARIABLE}`, else `{DEFAULT_FILE}` in the working folder. An empty variable counts as not set.",
        "`groundswell config` shows each value and where it comes from; secrets are masked.",
        "",
        "A secret may also stand in a file of its own, as its only line, as Kubernetes and systemd hand them out: `mail.password_file` in",
        f"the TOML file, or `{PREFIX}MAIL_PASSWORD_FILE`, names it. The secret and its file together are refused.",
    ]
    return "\n".join(intro + _sections(table)) + "\n"


def settings_example() -> str:
    """deploy/settings.example.toml: every setting, commented out, with its default."""

    def block(name: str, doc: str, settings: list[Setting]) -> list[str]:
        lines = ["", f"# {doc}", f"[{name}]"]
        for s in settings:
            extra = ", ".join(filter(None, [s.allowed, s.unit and f"unit {s.unit}", _secret(s)]))
            lines += [f"# {s.doc}{f' ({extra})' if extra else ''}", f"# {s.key.split('.')[1]} = {_toml(s.default)}"]
        return lines

    intro = [
        f"# Settings of groundswell. Copy to {DEFAULT_FILE}, take the # from what you change; everything else keeps its default.",
        f"# Each setting is also a variable: board.port is {PREFIX}BOARD_PORT. A variable wins over this file.",
        "# `groundswell config` shows every value and where it comes from.",
    ]
    return "\n".join(intro + _sections(block)) + "\n"


def _secret(s: Setting) -> str:
    return f"secret: prefer the environment, or {s.key.split('.')[1]}{FILE_SUFFIX}" if s.secret else ""


def _from_file(s: Setting) -> str:
    how = f" Or in a file that `{s.variable}{FILE_SUFFIX.upper()}` names." if s.from_file else ""
    return f"{' Secret.' if s.secret else ''}{how}"


def _toml(value: Any) -> str:
    return msgspec.json.encode(value).decode()
