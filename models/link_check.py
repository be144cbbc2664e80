"""How often the catalogue links a name to the right company: `python -m models.link_check [--data DIR] [--show]`. Deterministic.

The sample is drawn from the dev parts that SAMPLE names, by hash alone: the first texts in the order of content_id("link", hash).
models/judgements/links.csv says of each text which companies, banks, exchanges and institutions it names, as one reader saw it:
a row per mention with its place and the company's entity_id, or `outside` where the catalogue does not hold that company; a text
that names none has one row `none`. The file holds hashes and no text.

- precision: of what the catalogue finds, how much overlaps a judged mention of the same company;
- recall: of the judged mentions whose company the catalogue holds, how many it finds;
- coverage: of all judged mentions, how many are of a company that the catalogue holds.

Only a text's own names count. People, indices, funds, products that nobody uses as their maker's name, countries and their
governments are no mentions; what a web address contains is none either. A company that is added to the catalogue later makes
verdicts `outside` wrong: read those texts again (--show prints them) and write its id.
"""

import argparse
import gzip
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from groundswell.errors import UsageError, reason_of
from groundswell.names import content_id
from groundswell.records import Mention
from models.entities import Catalogue
from models.verdict_files import DATA, JUDGEMENTS, rows_of, share

SAMPLE: Final = {
    "en": {"en_entity_sentfin": 100, "en_topic_tfnt": 70, "en_sentiment_tfns": 30},
    "zh": {"zh_comments_finfe": 30, "zh_topic_finnl": 30, "zh_event_finese": 40},
}
"""Language -> dev part -> how many of its texts are read."""
COLUMNS: Final = ("content_hash", "start", "end", "verdict")
NONE: Final = "none"
OUTSIDE: Final = "outside"


class Line(msgspec.Struct, frozen=True):
    """A line of a dev part, as far as it is needed here."""

    text: str


class Verdict(NamedTuple):
    """A mention that the reader saw: characters [start, end) of the text, and whose name they are."""

    start: int
    end: int
    entity_id: str  # or OUTSIDE


class Difference(NamedTuple):
    """A mention that only one of the two saw."""

    kind: str  # wrong: only the catalogue; missed: only the reader
    content_hash: str
    start: int
    end: int
    entity_id: str


class Link(NamedTuple):
    """What became of the sample of one language, or of all."""

    language: str
    texts: int
    found: int  # mentions that the catalogue finds
    right: int  # of those, how many the reader saw too
    held: int  # judged mentions whose company the catalogue holds
    linked: int  # of those, how many the catalogue finds
    outside: int  # judged mentions of other companies
    differences: tuple[Difference, ...]


# --- reading ---------------------------------------------------------------------------------------------------
def read_sample(folder: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    """Content hash -> text, for the first texts by hash of each dev part; a text counts once, even if two parts hold it.

    Raises:
        UsageError: a part is missing, cannot be read, or has too few texts.
    """
    chosen: dict[str, str] = {}
    for name, size in sizes.items():
        path = folder / f"{name}.jsonl.gz"
        try:
            with gzip.open(path) as file:
                texts = [msgspec.json.decode(line, type=Line).text for line in file]
        except (OSError, EOFError, msgspec.MsgspecError) as error:
            message = f"link_check: {path} cannot be read ({reason_of(error)}); name the folder above dev/ with --data"
            raise UsageError(message) from error
        fresh = {content_id(text): text for text in texts if content_id(text) not in chosen}
        if len(fresh) < size:
            message = f"link_check: {path} has {len(fresh)} texts and {size} are drawn; restore the file"
            raise UsageError(message)
        chosen |= {key: fresh[key] for key in sorted(fresh, key=lambda key: content_id("link", key))[:size]}
    return chosen


def read_verdicts(path: Path) -> dict[str, tuple[Verdict, ...]]:
    """Content hash -> the mentions that the reader saw, in the order of the text; none for a text that names nobody.

    Raises:
        UsageError: the file is missing, or a row is no verdict or contradicts an earlier one.
    """
    verdicts: dict[str, list[Verdict]] = {}
    empty: set[str] = set()
    for place, row in rows_of(path, COLUMNS):
        _add_verdict(verdicts, empty, place, row)
    return {key: tuple(sorted(seen)) for key, seen in verdicts.items()}


def _add_verdict(verdicts: dict[str, list[Verdict]], empty: set[str], place: str, row: Sequence[str]) -> None:
    """Add one row.

    Raises:
        UsageError: it is malformed, overlaps an earlier mention, or stands beside `none`.
    """
    if not row[0] or not row[3]:
        message = f"{place}: a row is a hash, start, end and an entity_id, {OUTSIDE} or {NONE}; got {list(row)}; correct it"
        raise UsageError(message)
    key, start, end, verdict = row
    seen = verdicts.setdefault(key, [])
    if verdict == NONE:
        if start or end or seen or key in empty:
            message = f"{place}: {NONE} stands alone and without a place; got {list(row)}; remove the other rows of this text or this one"
            raise UsageError(message)
        empty.add(key)
        return
    if not (start.isdecimal() and end.isdecimal() and int(start) < int(end)) or key in empty:
        message = f"{place}: a mention is characters [start, end) of a text without {NONE}; got {list(row)}; correct it"
        raise UsageError(message)
    mention = Verdict(int(start), int(end), verdict)
    if any(mention.start < other.end and other.start < mention.end for other in seen):
        message = f"{place}: mentions of a text do not overlap; got {list(row)}; keep one of the two"
        raise UsageError(message)
    seen.append(mention)


# --- measuring -------------------------------------------------------------------------------------------------
def compare(language: str, texts: Mapping[str, str], verdicts: Mapping[str, Sequence[Verdict]], catalogue: Catalogue) -> Link:
    """Compare the catalogue with the reader on texts that the reader has judged; others are left out."""
    judged = [key for key in texts if key in verdicts]
    found = right = held = linked = outside = 0
    differences: list[Difference] = []
    for key in judged:
        mentions = catalogue.find(texts[key])
        wrong = [mention for mention in mentions if not _matches(mention, verdicts[key])]
        inside = [seen for seen in verdicts[key] if seen.entity_id != OUTSIDE]
        missed = [seen for seen in inside if not _matches(seen, mentions)]
        found += len(mentions)
        right += len(mentions) - len(wrong)
        held += len(inside)
        linked += len(inside) - len(missed)
        outside += len(verdicts[key]) - len(inside)
        differences += [Difference("wrong", key, one.start, one.end, one.entity_id) for one in wrong]
        differences += [Difference("missed", key, one.start, one.end, one.entity_id) for one in missed]
    return Link(language, len(judged), found, right, held, linked, outside, tuple(differences))


def _matches(one: Mention | Verdict, others: Iterable[Mention | Verdict]) -> bool:
    """Whether one of the others is the same company at a place that overlaps."""
    return any(one.entity_id == other.entity_id and one.start < other.end and other.start < one.end for other in others)


def total(rows: Sequence[Link]) -> Link:
    """All languages together."""
    return Link(
        "all",
        texts=sum(row.texts for row in rows),
        found=sum(row.found for row in rows),
        right=sum(row.right for row in rows),
        held=sum(row.held for row in rows),
        linked=sum(row.linked for row in rows),
        outside=sum(row.outside for row in rows),
        differences=tuple(difference for row in rows for difference in row.differences),
    )


# --- saying ----------------------------------------------------------------------------------------------------
def table(rows: Sequence[Link]) -> str:
    """Precision, recall and coverage with their 95 % intervals as a table in Markdown."""
    lines = [
        "| language | texts | found | precision (95 % interval) | held | recall | mentions | coverage |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.language} | {row.texts} | {row.found} | {share(row.right, row.found)} | {row.held} | {share(row.linked, row.held)} | "
        f"{row.held + row.outside} | {share(row.held, row.held + row.outside)} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def problems(sample: Mapping[str, str], verdicts: Mapping[str, Sequence[Verdict]], catalogue: Catalogue) -> list[str]:
    """What keeps the judgements from being judgements of this sample and this catalogue."""
    said = [f"{len(unread)} texts of the sample have not been read"] if (unread := sample.keys() - verdicts.keys()) else []
    for key in sorted(verdicts):
        if key not in sample:
            said.append(f"{key}: judged, and not in the sample; remove its rows")
            continue
        said += [f"{key}: ends before character {seen.end}; correct the row" for seen in verdicts[key] if seen.end > len(sample[key])]
        unknown = {seen.entity_id for seen in verdicts[key]} - {OUTSIDE} - catalogue.entities.keys()
        said += [f"{key}: the catalogue holds no {entity_id}; write {OUTSIDE}" for entity_id in sorted(unknown)]
    return said


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where judgements and sample or catalogue do not fit, 2 where they cannot be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder with dev/")
    parser.add_argument("--judgements", type=Path, default=JUDGEMENTS, help="folder of the verdicts")
    parser.add_argument("--show", action="store_true", help="print the texts of wrong and missed mentions")
    chosen = parser.parse_args(arguments)
    catalogue = Catalogue.load()
    try:
        verdicts = read_verdicts(chosen.judgements / "links.csv")
        samples = {language: read_sample(chosen.data / "dev", sizes) for language, sizes in SAMPLE.items()}
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    texts = {key: text for sample in samples.values() for key, text in sample.items()}
    rows = [compare(language, sample, verdicts, catalogue) for language, sample in samples.items()]
    sys.stdout.write(f"{sum(row.texts for row in rows)} texts, catalogue {catalogue.hash}.\n\n{table([*rows, total(rows)])}")
    if chosen.show:
        sys.stdout.write("".join(_shown(one, texts[one.content_hash]) for row in rows for one in row.differences))
    wrong = problems(texts, verdicts, catalogue)
    sys.stderr.write("".join(f"differs: {problem}\n" for problem in wrong))
    return 1 if wrong else 0


def _shown(one: Difference, text: str) -> str:
    return f"{one.kind}, {one.entity_id}, {text[one.start : one.end]!r}: {' '.join(text.split())}\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
