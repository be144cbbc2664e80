"""Files of verdicts: what one reader said of texts, by their hashes, in models/judgements. Read strictly; no text stands in them."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from groundswell.errors import UsageError, reason_of
from groundswell.windows import wilson

ROOT: Final = Path(__file__).resolve().parent.parent
JUDGEMENTS: Final = ROOT / "models" / "judgements"
DATA: Final = ROOT.parent / "shared" / "data"
"""Where the texts are looked for that the verdicts are of, unless --data says otherwise."""

Z_95: Final = 1.959964


def rows_of(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The rows of a file of verdicts, each with its place (file and line) and as many cells as there are columns.

    Raises:
        UsageError: the file cannot be read, has other columns, or a row has another number of cells.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            if next(reader, []) != list(columns):
                message = f"{path}, line 1: the columns are {', '.join(columns)}; restore the file"
                raise UsageError(message)
            for row in reader:
                place = f"{path}, line {reader.line_num}"
                if len(row) != len(columns):
                    message = f"{place}: a row has {len(columns)} cells; got {len(row)}; correct it"
                    raise UsageError(message)
                yield place, row
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        message = f"{path}: the verdicts cannot be read ({reason_of(error)}); restore the file"
        raise UsageError(message) from error


def share(hits: int, trials: int) -> str:
    """A share with its 95 % interval (Wilson 1927).

    >>> share(9, 10), share(0, 0)
    ('.900 (.596-.982)', '-')
    """
    if not trials:
        return "-"
    values = (hits / trials, *wilson(hits, trials, z=Z_95))
    middle, low, high = (f"{value:.3f}".removeprefix("0") for value in values)
    return f"{middle} ({low}-{high})"
