"""GDELT: the Global Knowledge Graph's files of fifteen minutes (2.0 and 2.1, `STAMP.gkg.csv`, also .zip and .gz).

One row is one page that GDELT has seen: source is its domain, the title is the one in the extras, and it was known when GDELT's stamp
says, which GDELT records itself. The published time is the page's own where the extras give it, else there is none. There is no text.
Column numbers: GDELT GKG codebook 2.1, 27 columns, divided by tabs, without a header.
"""

import html
import re
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ingest.archives.lines import TOO_LONG, Item, Rules
from ingest.archives.packed import Meter, lines_of

__all__ = ["REFUSED", "gkg_items"]

REFUSED: Final = {
    name: f"GDELT's {name} files hold no titles, and nothing is invented here; read the gkg file of the same stamp"
    for name in ("export", "mentions")
}
COLUMNS: Final = 27
_STAMP, _DOMAIN, _ADDRESS, _TRANSLATION, _EXTRAS = 1, 3, 4, 25, 26
_TITLE: Final = re.compile(r"<PAGE_TITLE>(.*?)</PAGE_TITLE>", re.DOTALL)
_PRECISE: Final = re.compile(r"<PAGE_PRECISEPUBTIMESTAMP>(\d{14})</PAGE_PRECISEPUBTIMESTAMP>")
_SOURCE_LANGUAGE: Final = re.compile(r"srclc:([a-z]{3})")
_CODES: Final = {"zho": "zh", "eng": "en"}


def gkg_items(path: Path, rules: Rules, meter: Meter | None) -> Generator[Item, None, None]:  # noqa: ARG001 (one shape for all)
    """Each row of a GKG file."""
    for number, body, whole in lines_of(path, meter):
        if not whole:
            yield Item(number, body, None, TOO_LONG)
            continue
        values = body.decode("utf-8", "replace").split("\t")
        if len(values) != COLUMNS:
            problem = f"the row has {len(values)} columns, a GKG file has {COLUMNS}; check that the file is one, and whole"
            yield Item(number, body, None, problem)
            continue
        stamp = _time(values[_STAMP])
        if stamp is None:
            yield Item(number, body, None, f"its stamp is no time: {values[_STAMP][:20]!r}; leave the row out")
            continue
        yield Item(number, body, _fields(values, stamp))


def _fields(values: list[str], stamp: str) -> dict[str, Any]:
    title, precise = _TITLE.search(values[_EXTRAS]), _PRECISE.search(values[_EXTRAS])
    language = _SOURCE_LANGUAGE.search(values[_TRANSLATION])
    code = language[1] if language else "eng"
    return {
        "source": values[_DOMAIN],
        "url": values[_ADDRESS] if values[_ADDRESS].startswith("http") else None,
        "title": html.unescape(title[1]).strip() if title else None,
        "language": _CODES.get(code, code),
        "published_at": _time(precise[1]) if precise else None,
        "known_at": stamp,
        "known_basis": "recorded",
    }


def _time(digits: str) -> str | None:
    """GDELT's fourteen digits as ISO 8601.

    >>> _time("20240301094500"), _time("20240001094500")
    ('2024-03-01T09:45:00+00:00', None)
    """
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC).isoformat() if len(digits) == 14 else None
    except ValueError:
        return None
