"""How often a headline that is read as a denial is one: `python -m models.denial_check [--data DIR] [--show]`. Deterministic.

The texts are those of models/flag_check.py. Half of them, by the last digit of the content hash, were looked at while the phrases were
written; of the other half the first fifty by hash whose headline names a company of the catalogue (posts left out, near beginnings once)
were read by one reader, who had written the phrases too. models/judgements/denials.csv says of each whether it reports a denial, by hash,
without a text. The phrases were narrowed once more with those texts in sight: the first figure is of before that, the second of now.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from groundswell.denial import CHARACTERS_MAX, denies
from groundswell.errors import UsageError, reason_of
from models.entities import Catalogue
from models.flag_check import Read, is_reported, read_texts
from models.verdict_files import DATA, JUDGEMENTS, rows_of, share

SAMPLE: Final = 50
BEGINNING: Final = {"en": 40, "zh": 12}  # characters: headlines that begin alike are one
VERDICTS: Final = JUDGEMENTS / "denials.csv"
COLUMNS: Final = ("language", "hash", "denial")


def headline(text: str) -> str:
    """The title of a text, else its beginning: labelled sets have no titles."""
    title, _, body = text.partition("\n")
    return title or body[:60]


def found(read: Read, language: str, catalogue: Catalogue) -> Iterator[str]:
    """Hashes of the reported half whose headline denies something and names a company, by hash."""
    begun: set[str] = set()
    for name in sorted(read.texts):
        said = headline(read.texts[name])
        if name in read.posts or not is_reported(name) or not denies(said, language):
            continue
        beginning = said[: BEGINNING[language]].lower()
        if beginning not in begun and any(not mention.authority for mention in catalogue.find(said[:CHARACTERS_MAX])):
            begun.add(beginning)
            yield name


def verdicts(path: Path = VERDICTS) -> dict[tuple[str, str], bool]:
    """{(language, hash): whether it reports a denial}.

    Raises:
        UsageError: the file is missing, or a row is not a language, a hash that is new in it, and yes or no.
    """
    found: dict[tuple[str, str], bool] = {}
    for place, (language, name, denial) in rows_of(path, COLUMNS):
        if language not in BEGINNING or denial not in ("yes", "no") or (language, name) in found:
            message = (
                f"{place}: a row is one of {', '.join(BEGINNING)}, a new hash, and yes or no; got {[language, name, denial]}; correct it"
            )
            raise UsageError(message)
        found[language, name] = denial == "yes"
    return found


def lines(read: Read, language: str, judged: dict[tuple[str, str], bool], catalogue: Catalogue) -> Iterator[str]:
    """What is printed of one language."""
    texts = {name: headline(text) for name, text in read.texts.items()}
    fired = sum(denies(said, language) for said in texts.values())
    mine = {name: right for (of, name), right in judged.items() if of == language}
    now = [right for name, right in mine.items() if name in texts and denies(texts[name], language)]
    naming = len(list(found(read, language, catalogue)))
    yield f"{language}: read as denials {fired:,} of {len(texts):,} texts; {naming:,} of the reported half name a company"
    yield f"{language}: of the first {len(mine)} of these {sum(mine.values())} right: {share(sum(mine.values()), len(mine))}"
    yield f"{language}: of the {len(now)} that are still read so {sum(now)} right (the phrases were narrowed with them in sight)"


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 2 where archives or verdicts cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m models.denial_check", description="How often a denial is one.")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the archives")
    parser.add_argument("--show", action="store_true", help="print the texts of the sample")
    chosen = parser.parse_args(arguments)
    catalogue = Catalogue.load()
    try:
        judged = verdicts()
        texts = {language: read_texts(chosen.data, language) for language in BEGINNING}
    except (UsageError, OSError) as error:
        sys.stderr.write(f"denial_check: {reason_of(error)}\n")
        return 2
    for language, read in texts.items():
        for line in lines(read, language, judged, catalogue):
            sys.stdout.write(line + "\n")
        if chosen.show:
            for name in list(found(read, language, catalogue))[:SAMPLE]:
                sys.stdout.write(f"  {name} {headline(read.texts[name])[:120]}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
