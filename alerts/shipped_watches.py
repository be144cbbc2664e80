"""What every new run watches: the saved searches of one commented TOML file."""

from importlib import resources
from pathlib import Path

import msgspec

from alerts import toml_lines
from groundswell.errors import SettingsError, UsageError, reason_of
from groundswell.watches import NOTHING, IdsOf, Watches


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What stands in such a file."""

    searches: dict[str, str] = {}  # name -> query; breaks of lines are blanks


def load_watches(path: Path | None = None, *, ids_of: IdsOf) -> Watches:
    """The searches of a file, or the shipped ones.

    Args:
        path: a file like alerts/watches.toml; None: that one.
        ids_of: the companies that a name in a query may mean.

    Raises:
        SettingsError: the file cannot be read, is no TOML, or has a key, a name or a query that cannot be used; it is named.
    """
    place = str(path) if path else "alerts/watches.toml"
    try:
        text = path.read_text(encoding="utf-8") if path else resources.files("alerts").joinpath("watches.toml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or reason_of(error)
        reason = f"{place}: cannot be read: {said}; name a file like alerts/watches.toml, or give --no-watches"
        raise SettingsError(reason) from error
    watches = NOTHING
    for name, query in toml_lines.read(text, _File, place=place, example="the shipped alerts/watches.toml").searches.items():
        try:
            watches = watches.saving(name, " ".join(query.split()), ids_of=ids_of)
        except UsageError as error:
            raise toml_lines.wrong(text, ("searches", name), place=place, rule=str(error)) from error
    return watches
