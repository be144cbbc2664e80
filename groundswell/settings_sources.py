"""Where settings come from: a TOML file, the environment, and files that hold one secret each."""

import difflib
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from groundswell.errors import SettingsError, reason_of

if TYPE_CHECKING:
    from groundswell.settings import Setting

__all__ = ["CONFIG_VARIABLE", "DEFAULT_FILE", "FILE_SUFFIX", "PREFIX", "fail", "file_of", "from_environment", "from_file"]

PREFIX: Final = "GROUNDSWELL_"
CONFIG_VARIABLE: Final = "GROUNDSWELL_CONFIG"
DEFAULT_FILE: Final = Path("groundswell.toml")
FILE_SUFFIX: Final = "_file"
SECRET_FILE_BYTES_MAX: Final = 65_536


def file_of(path: Path | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """The settings file: the one that is named, else the one in GROUNDSWELL_CONFIG, else the default one if it is there."""
    if path is not None:
        return path
    named = environ.get(CONFIG_VARIABLE)
    if named:
        return Path(named)
    default = folder / DEFAULT_FILE
    return default if default.is_file() else None


def from_file(file: Path, known: Mapping[str, "Setting"], sections: Sequence[str]) -> dict[str, Any]:
    """{key: value} of a settings file, values unchecked; the text of a secret's file in place of the file's name.

    Raises:
        SettingsError: no such file, no TOML, an unknown section or key, or a secret's file that cannot be read.
    """
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{file}: cannot be read: {error.strerror or reason_of(error)}; check the path that --config or {CONFIG_VARIABLE} names")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        fail(f"{file}: is not TOML: {reason_of(error)}; mend the line, deploy/settings.example.toml shows how it looks")
    values: dict[str, Any] = {}
    for section, content in table.items():
        if section not in sections:
            fail(f"{file}: {section}: there is no such section{_nearest(section, sections)}; sections are {', '.join(sections)}")
        if not isinstance(content, dict):
            fail(f"{file}: {section}: is a section, got {content!r}; write [{section}] and its keys below")
        for name, value in content.items():
            key = f"{section}.{name}"
            secret = known.get(key.removesuffix(FILE_SUFFIX))
            if key not in known and secret is not None and secret.from_file:
                if secret.key in values or secret.key.split(".")[1] in content:
                    fail(f"{file}: {secret.key} and {key} are both given; keep one of the two")
                key, value = secret.key, _secret_in(value, place=f"{file}: {key}")
            if key not in known:
                keys = [other for other in known if other.startswith(f"{section}.")]
                fail(f"{file}: {key}: there is no such setting{_nearest(key, list(known))}; [{section}] has {', '.join(keys)}")
            values[key] = value
    return values


def _secret_in(path: object, *, place: str) -> str:
    """What a file of its own holds: one line, without its end."""
    if not isinstance(path, str) or not path:
        fail(f"{place}: names the file that holds the secret, got {path!r}; write its path")
    try:
        with open(path, "rb") as file:
            text = file.read(SECRET_FILE_BYTES_MAX + 1).decode("utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", None) or reason_of(error)
        fail(f"{place}: {path} cannot be read: {reason}; check the path and who may read it")
    if not text or "\n" in text or len(text) >= SECRET_FILE_BYTES_MAX:
        found = "nothing" if not text else f"{text.count(chr(10)) + 1} lines, {len(text)} characters"
        fail(f"{place}: {path} must hold the secret as its only line, got {found}; write it there again")
    return text


def from_environment(environ: Mapping[str, str], known: Mapping[str, "Setting"]) -> list[tuple["Setting", str, str]]:
    """(setting, text, variable) of what is set; the text of a secret's file in place of the file's name.

    Raises:
        SettingsError: a variable of ours that is no setting, or a secret's file that cannot be read.
    """
    variables = {setting.variable: setting for setting in known.values()}
    files = {setting.variable + FILE_SUFFIX.upper(): setting for setting in known.values() if setting.from_file}
    sections = tuple({f"{PREFIX}{key.split('.')[0]}_".upper() for key in known})
    found = []
    for variable, text in environ.items():
        if variable in variables:
            if text:
                found.append((variables[variable], text, variable))
        elif variable in files:
            if text and environ.get(files[variable].variable):
                fail(f"{files[variable].variable} and {variable} are both set; keep one of the two")
            if text:
                found.append((files[variable], _secret_in(text, place=variable), variable))
        elif variable.startswith(PREFIX) and variable != CONFIG_VARIABLE and not _SERVICE_LINK.search(variable):
            # A name that is neither near a setting nor in a section may belong to another program.
            close = difflib.get_close_matches(variable, variables, n=1, cutoff=0.85)
            if close or variable.startswith(sections):
                fail(f"{variable}: there is no such setting{_nearest(variable, list(variables))}; `groundswell config` lists all")
    return found


_SERVICE_LINK: Final = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)")
"""What Kubernetes puts into every container for a service called groundswell-something."""


def _nearest(name: str, choices: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, choices, n=1, cutoff=0.5)
    return f", did you mean {close[0]}?" if close else ""


def fail(message: str, cause: BaseException | None = None) -> NoReturn:
    """Raise SettingsError."""
    raise SettingsError(message) from cause
