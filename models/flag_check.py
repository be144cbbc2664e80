"""How often the risk flags are right: `python -m models.flag_check [--language zh] [--data DIR] [--show]`. Deterministic, no training.

The texts of a language (CORPORA) are split by the last digit of their content hash: the flags were tuned on even ones and are
reported on odd ones. Of the odd texts on which a flag fires, the first by hash are the sample (all, where fewer fire);
models/judgements/flags_en.csv or flags_zh.csv says of each whether it reports the flag's event, as models/flags.py defines it.
`seen` marks texts that were read before the flag's rules were changed once more; they are left out. Of the Chinese texts many are
copies or posts: near copies of a sampled text are passed over, and at most a third of a sample are posts. For what is missed,
models/judgements/flags_en_random.csv says which events the titles of random odd texts clearly report, whether flagged or not;
for Chinese nobody has read such a sample.
The verdicts are one reader's, and texts on one event stand in both halves: read the figures as those of such news.

The judgements hold hashes and no text; --show prints the texts of wrong and missed flags from the archives.
"""

import argparse
import gzip
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, cast

import msgspec

from groundswell.errors import UsageError
from groundswell.names import content_id
from models.flags import FLAG_CHARACTERS, FlagFinder, Lexicon, shipped_lexicon
from models.near_duplicates import SIMILARITY_MIN, jaccard
from models.taxonomy import RISK_FLAGS
from models.verdict_files import DATA, JUDGEMENTS, rows_of, share

Verdict = Literal["yes", "no", "seen"]
Texts = Mapping[str, str]  # content hash -> title, line feed, text


class Corpus(NamedTuple):
    """What the flags of a language are measured on."""

    name: str
    archives: tuple[str, ...]  # below the folder of the data
    sample: int  # texts per flag
    random: int = 0  # texts that are read for what is missed
    posts: tuple[str, ...] = ()  # archives that give at most a third of a sample
    distinct: bool = False  # near copies of a text of the sample are passed over


CORPORA: Final[Mapping[str, Corpus]] = {
    "en": Corpus(
        "English",
        (
            "replay/en_news_rss_2022-12_2023",
            "replay/en_news_crypto_2022",
            "replay/en_news_headlines_2017_2020",
            "replay/zh_en_news_rss_2025_2026",
        ),
        sample=300,
        random=600,
    ),
    "zh": Corpus(
        "Chinese",
        (
            "replay/zh_en_news_rss_2025_2026",
            "train/zh_news_wwwxmu",
            "train/zh_topic_finnl",
            "train/zh_event_finese",
            "train/zh_risk_finnsp",
            "replay/zh_comments_weibo_hot_2020_2026",
        ),
        sample=100,
        posts=("replay/zh_comments_weibo_hot_2020_2026",),
        distinct=True,
    ),
}


class Line(msgspec.Struct, frozen=True):
    """An archive line or a row of a labelled set, as far as it is needed here."""

    title: str = ""
    text: str = ""
    language: str = ""  # a labelled set does not say it: its texts are all in one


class Read(NamedTuple):
    """The texts of a corpus, each content once."""

    texts: dict[str, str]
    posts: frozenset[str]  # hashes
    skips: list[str]  # a sentence per thing that was skipped


class Precision(NamedTuple):
    """What became of one flag on the reported half."""

    flag: str
    fired: int  # texts of both halves
    reported: int  # texts of the reported half
    judged: int  # of the sample
    right: int
    unjudged: int  # of the sample, without a verdict
    wrong: tuple[str, ...]  # hashes


class Recall(NamedTuple):
    """What became of one flag's events in the random sample."""

    flag: str
    events: int
    found: int
    missed: tuple[str, ...]  # hashes


# --- reading ---------------------------------------------------------------------------------------------------
def read_texts(folder: Path, language: str = "en") -> Read:
    """The texts of a language from the folder of the data.

    Raises:
        UsageError: none of the archives is in the folder.
    """
    corpus = CORPORA[language]
    texts: dict[str, str] = {}
    posts: set[str] = set()
    skips: list[str] = []
    for name in corpus.archives:
        path = folder / f"{name}.jsonl.gz"
        if not path.is_file():
            skips.append(f"{name}: no such archive in the folder")
            continue
        bad = 0
        for line in _lines(path):
            if line is None:
                bad += 1
            elif line.language in (language, ""):
                title, text = (line.title, line.text) if line.title else (line.text, "")
                content_hash = content_id(title, text)
                if title and content_hash not in texts:
                    texts[content_hash] = f"{title}\n{text}" if text else title
                    posts.update({content_hash} if name in corpus.posts else ())
        if bad:
            skips.append(f"{name}: {bad} lines are not archive lines")
    if not texts:
        message = f"flag_check: {folder} has none of {', '.join(corpus.archives)}; name the folder above replay/ with --data"
        raise UsageError(message)
    return Read(texts, frozenset(posts), skips)


def _lines(path: Path) -> Iterator[Line | None]:
    decoder = msgspec.json.Decoder(Line)
    with gzip.open(path) as file:
        for row in file:
            try:
                yield decoder.decode(row)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                yield None


def read_verdicts(path: Path) -> dict[str, dict[str, Verdict]]:
    """Flag -> content hash -> verdict.

    Raises:
        UsageError: the file is missing or a row is not content_hash, flag, verdict.
    """
    verdicts: dict[str, dict[str, Verdict]] = {flag: {} for flag in RISK_FLAGS}
    for place, row in rows_of(path, ("content_hash", "flag", "verdict")):
        content_hash, flag, verdict = row
        if flag not in verdicts or verdict not in ("yes", "no", "seen") or content_hash in verdicts[flag]:
            message = f"{place}: a row is a new hash, a flag of taxonomy.RISK_FLAGS, and yes, no or seen; got {row}; correct it"
            raise UsageError(message)
        verdicts[flag][content_hash] = cast(Verdict, verdict)
    return verdicts


def read_events(path: Path) -> dict[str, frozenset[str]]:
    """Content hash -> the flags whose events the title clearly reports.

    Raises:
        UsageError: the file is missing or a row is not content_hash, flags.
    """
    events: dict[str, frozenset[str]] = {}
    for place, row in rows_of(path, ("content_hash", "flags")):
        flags = frozenset(row[1].split("|")) - {""}
        if row[0] in events or not flags <= set(RISK_FLAGS):
            message = f"{place}: a row is a new hash and flags of taxonomy.RISK_FLAGS, separated by |; got {row}; correct it"
            raise UsageError(message)
        events[row[0]] = flags
    return events


# --- measuring -------------------------------------------------------------------------------------------------
def is_reported(content_hash: str) -> bool:
    """Whether a text belongs to the half that is reported.

    >>> is_reported("0f"), is_reported("f0")
    (True, False)
    """
    return int(content_hash[-1], 16) % 2 == 1


def fired(texts: Texts, lexicon: Lexicon, language: str = "en") -> dict[str, list[str]]:
    """Flag -> hashes of the texts that it fires on, hidden flags too."""
    finder = FlagFinder(lexicon, language, flags=RISK_FLAGS)
    hashes: dict[str, list[str]] = {flag: [] for flag in RISK_FLAGS}
    for content_hash, text in texts.items():
        for flag in finder.find(text):
            hashes[flag].append(content_hash)
    return hashes


def drawn(flag: str, hashes: Iterable[str], read: Read, corpus: Corpus) -> list[str]:
    """The sample: the first texts by hash, of posts and near copies no more than the corpus says."""
    ordered = sorted(hashes, key=lambda content_hash: content_id(flag, content_hash))
    others = _first([one for one in ordered if one not in read.posts], corpus.sample, read.texts, corpus)
    room = min(corpus.sample // 3, len(others) // 2 if others else corpus.sample)  # where no other is left unseen, posts alone
    posts = _first([one for one in ordered if one in read.posts], room, read.texts, corpus)
    return others[: corpus.sample - len(posts)] + posts


def _first(ordered: Iterable[str], size: int, texts: Texts, corpus: Corpus) -> list[str]:
    chosen: list[str] = []
    for content_hash in ordered:
        if len(chosen) == size:
            break
        text = texts[content_hash][:FLAG_CHARACTERS]
        if corpus.distinct and any(jaccard(text, texts[other][:FLAG_CHARACTERS]) >= SIMILARITY_MIN for other in chosen):
            continue
        chosen.append(content_hash)
    return chosen


def precision(flag: str, hashes: Sequence[str], verdicts: Mapping[str, Verdict], read: Read, corpus: Corpus = CORPORA["en"]) -> Precision:
    """Judge one flag by the sample of the reported texts that it fires on."""
    reported = [content_hash for content_hash in hashes if is_reported(content_hash)]
    sample = drawn(flag, (content_hash for content_hash in reported if verdicts.get(content_hash) != "seen"), read, corpus)
    said = [(content_hash, verdicts.get(content_hash)) for content_hash in sample]
    wrong = tuple(content_hash for content_hash, verdict in said if verdict == "no")
    right = sum(verdict == "yes" for _, verdict in said)
    return Precision(flag, len(hashes), len(reported), right + len(wrong), right, sum(verdict is None for _, verdict in said), wrong)


def random_sample(texts: Texts, size: int = CORPORA["en"].random) -> list[str]:
    """Hashes of reported texts that nothing but their hash has chosen."""
    reported = [content_hash for content_hash in texts if is_reported(content_hash)]
    return sorted(reported, key=lambda content_hash: content_id("random", content_hash))[:size]


def recall(hashes: Mapping[str, Sequence[str]], sample: Iterable[str], events: Mapping[str, frozenset[str]]) -> list[Recall]:
    """Of each flag's events in the sample, how many carry the flag."""
    found = {flag: set(hashes[flag]) for flag in RISK_FLAGS}
    judged = [content_hash for content_hash in sample if content_hash in events]
    rows = []
    for flag in RISK_FLAGS:
        wanted = [content_hash for content_hash in judged if flag in events[content_hash]]
        missed = tuple(content_hash for content_hash in wanted if content_hash not in found[flag])
        rows.append(Recall(flag, len(wanted), len(wanted) - len(missed), missed))
    return rows


# --- saying ----------------------------------------------------------------------------------------------------
def table(rows: Sequence[Precision], shown: frozenset[str]) -> str:
    """The precision of every flag as a table in Markdown."""
    lines = ["| flag | fires on | in the reported half | judged | precision (95 % interval) | shown |", "|---|---|---|---|---|---|"]
    lines += [
        f"| {row.flag} | {row.fired:,} | {row.reported:,} | {row.judged} | {share(row.right, row.judged)} | "
        f"{'yes' if row.flag in shown else 'no'} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def found_table(rows: Sequence[Recall]) -> str:
    """The recall of every flag, and of all together, as a table in Markdown."""
    total = Recall("all", sum(row.events for row in rows), sum(row.found for row in rows), ())
    lines = ["| flag | events | flagged | share (95 % interval) |", "|---|---|---|---|"]
    lines += [f"| {row.flag} | {row.events} | {row.found} | {share(row.found, row.events)} |" for row in (*rows, total)]
    return "\n".join(lines) + "\n"


def differences(rows: Sequence[Precision], lexicon: Lexicon, language: str = "en") -> list[str]:
    """What keeps the lexicon's `measured` from being what was measured here."""
    noted = lexicon.measured.get(language, {})
    said = [f"{row.flag}: {row.unjudged} texts of the sample have no verdict; read them and add rows" for row in rows if row.unjudged]
    for row in rows:
        if noted.get(row.flag) != (row.right, row.judged):
            have = list(noted[row.flag]) if row.flag in noted else "nothing"
            said.append(f"{row.flag}: lexicon.json has measured {have}, here it is {[row.right, row.judged]}; correct lexicon.json")
    return said


def _examples(heading: str, hashes: Iterable[str], texts: Texts) -> str:
    return "".join(f"{heading}: {' '.join(texts[content_hash][:FLAG_CHARACTERS].split())}\n" for content_hash in hashes)


def main(arguments: Sequence[str]) -> int:
    """Measure and print; 1 where lexicon.json says something else, 2 where archives or judgements cannot be read."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--language", choices=sorted(CORPORA), default="en", help="of the texts and rules")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with replay/ and train/")
    parser.add_argument("--judgements", type=Path, default=JUDGEMENTS, help="folder of the verdicts")
    parser.add_argument("--show", action="store_true", help="print the texts of wrong and missed flags")
    chosen = parser.parse_args(arguments)
    language, corpus, lexicon = chosen.language, CORPORA[chosen.language], shipped_lexicon()
    try:
        verdicts = read_verdicts(chosen.judgements / f"flags_{language}.csv")
        events = read_events(chosen.judgements / f"flags_{language}_random.csv") if corpus.random else {}
        read = read_texts(chosen.data, language)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    texts = read.texts
    hashes = fired(texts, lexicon, language)
    rows = [precision(flag, hashes[flag], verdicts[flag], read, corpus) for flag in RISK_FLAGS]
    sample = random_sample(texts, corpus.random)
    found = recall(hashes, sample, events)
    say = sys.stdout.write
    say(f"{len(texts):,} {corpus.name} texts, {sum(map(is_reported, texts)):,} of them in the reported half.\n\n")
    say(table(rows, lexicon.shown(language)))
    if sample:
        say(f"\nEvents that {sum(content_hash in events for content_hash in sample)} random titles of that half clearly report:\n\n")
        say(found_table(found))
    if chosen.show:
        say("".join(_examples(f"wrong, {row.flag}", row.wrong, texts) for row in rows))
        say("".join(_examples(f"missed, {row.flag}", row.missed, texts) for row in found))
    without = len(sample) - sum(content_hash in events for content_hash in sample)
    problems = differences(rows, lexicon, language) + ([f"{without} texts of the random sample have not been read"] if without else [])
    sys.stderr.write("".join(f"skipped: {skip}\n" for skip in read.skips) + "".join(f"differs: {problem}\n" for problem in problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
