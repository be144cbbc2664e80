"""The labelled sets that models are trained on, each with one reader; a user's own files join them (models/user_files.py).

A set is a gzipped JSON-lines file `<data>/<part>/<stem>.jsonl.gz`. What its lines hold is the struct above its reader; a line
that is otherwise, or a label outside the map, is an error that names file, line, field, value and the next step. Sets marked
"research only" are opened on demand alone: weights trained on them may not be shipped.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, cast

import msgspec

from groundswell.errors import UsageError
from groundswell.names import SENTIMENTS, content_id
from models import near_duplicates
from models.examples import Example, Part, Target, decode_line, lines_of, places_of, refuse
from models.linear import NO_LICENCE
from models.taxonomy import LABEL_TO_TOPIC, RISK_FLAGS
from models.user_files import UserFile, read_user_file, user_entries

__all__ = [
    "CORPORA", "EVENT_TO_FLAGS", "TAUGHT_FLAGS", "Corpus", "Example", "Part", "Target", "UserFile",
    "folds", "holdout", "read_corpus", "read_numbered", "read_user_files", "read_user_numbered", "user_entries",
]  # fmt: skip

HOLDOUT_SHARE: Final = 0.1
FIQA_NEUTRAL: Final = 0.1  # FiQA: a score nearer to 0 reads as neutral
SHIFT_MAX: Final = 8  # FinEntity: characters by which a start may miss its name
NO_EVENT: Final = "其他"
NO_ENTITY: Final = "NaN"


class Corpus(msgspec.Struct, frozen=True):
    """A labelled set: what it is, what may be done with it, what it teaches."""

    key: str
    title: str
    language: str  # en, zh
    kind: str  # "post" or "news"
    licence: str  # as stated
    ship: Literal["yes", "own bundle", "research only"]  # of weights trained on it
    stem: str  # of its files
    train_lines: int
    dev_lines: int  # 0: there is no such part
    tasks: tuple[str, ...]  # topic, sentiment, entities (sentiment towards names), spans (all names are marked), labels, flags, negative

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that there are: train, and most often dev."""
        return ("train", "dev") if self.dev_lines else ("train",)


_CARD: Final = "MIT (card); none at its mirror"
_OWN: Final = "own bundle"
_RESEARCH: Final = "research only"
# fmt: off
_LISTED: Final = (
    Corpus("tfnt", "Twitter Financial News, topics", "en", "post", _CARD, "yes", "en_topic_tfnt", 15_301, 1_546, ("topic",)),
    Corpus("tfns", "Twitter Financial News, sentiment", "en", "post", _CARD, "yes", "en_sentiment_tfns", 9_413, 1_100, ("sentiment",)),
    Corpus("sentfin", "SEntFiN", "en", "news", "MIT", "yes", "en_entity_sentfin", 8_013, 1_045, ("entities", "spans")),
    Corpus("finentity", "FinEntity", "en", "news", "ODC-BY 1.0", "yes", "en_entity_finentity", 496, 0, ("entities", "spans")),
    Corpus("finfe", "FinFE", "zh", "post", NO_LICENCE, _OWN, "zh_comments_finfe", 8_584, 1_127, ("sentiment",)),
    Corpus("wwwxmu", "dated news titles (wwwxmu)", "zh", "news", NO_LICENCE, _OWN, "zh_news_wwwxmu", 5_726, 0, ("sentiment",)),
    Corpus("finnl", "FinNL", "zh", "news", NO_LICENCE, _OWN, "zh_topic_finnl", 6_934, 853, ("labels",)),
    Corpus("finese", "FinESE", "zh", "news", NO_LICENCE, _OWN, "zh_event_finese", 14_252, 1_516, ("flags", "entities")),
    Corpus("finnsp", "FinNSP", "zh", "news", NO_LICENCE, _OWN, "zh_risk_finnsp", 3_963, 310, ("negative", "entities")),
    Corpus("fiqa", "FiQA", "en", "post", "not by the authors", _RESEARCH, "en_entity_fiqa", 907, 0, ("entities",)),
    Corpus("stockemotions", "StockEmotions", "en", "post", NO_LICENCE, _RESEARCH, "en_comments_stockemotions", 7_998, 998, ("sentiment",)),
    Corpus("thucnews", "THUCNews titles", "zh", "news", "not checked", _RESEARCH, "zh_relevance_thucnews", 9_993, 0, ()),
)
# fmt: on
CORPORA: Final[Mapping[str, Corpus]] = {corpus.key: corpus for corpus in _LISTED}

# FinESE's 21 risk events and "其他" (no event), with their lines in train, and the flags that they raise. A line says what
# went wrong for one company, so an event raises a flag where most of its lines mean what the flag says, and else none.
# The shares below were counted in the characters around the named company, train and dev together.
EVENT_TO_FLAGS: Final[Mapping[str, tuple[str, ...]]] = {
    NO_EVENT: (),  # 2,500. An ordinary resignation, a share sale, a delisting is no event here
    "信批违规": ("sanction_penalty",),  # 2,010 disclosure. A third is merely late: doubtful, but the supervisor's rule is broken
    # 1,458 controlling owner changes: a fact of ownership, none of our flags.
    "实控人股东变更": (),
    # 1,366 trading. Half is insider dealing, half short swings, closed periods and slips: a rule broken each time, a fraud only sometimes.
    "交易违规": ("sanction_penalty",),
    "涉嫌非法集资": ("fraud_investigation",),  # 1,332 illegal fund raising
    # 1,080 an officer who cannot serve: missing 37 %, arrested or questioned 19 %, dead 16 %. An ordinary resignation is 其他.
    "不能履职": ("exec_departure",),
    "重组失败": (),  # 833 a deal or restructuring falls through. Of companies, rarely of debts: no default
    "评级调整": ("downgrade",),  # 667 rating changes: 99 % downwards
    "业绩下滑": (),  # 554 results fall. Nobody downgraded anything; sentiment has it
    # 483 suspected of an offence. Doubtful for a fifth, civil suits: two in five name police or prosecutors, hardly any a penalty.
    "涉嫌违法": ("fraud_investigation",),
    "财务造假": ("fraud_investigation",),  # 477 falsified accounts
    "涉嫌传销": ("fraud_investigation",),  # 410 pyramid selling
    "涉嫌欺诈": ("fraud_investigation",),  # 315 deceit
    # 256 money at risk. Doubtful: 54 % accounts frozen, 29 % deposits stolen or missing. Money out of reach is what liquidity_run
    # says; a break-in into computers, which cyber_incident would say, is 3 %.
    "资金账户风险": ("liquidity_run",),
    "高管负面": ("fraud_investigation",),  # 176 officers in the dock: arrested, charged, sentenced. That they leave is not said
    "资产负面": ("liquidity_run",),  # 96 assets. Doubtful: half seized or frozen, a seventh overdue debts, the rest cases of fund raising
    "投诉维权": (),  # 80 complaints. A third stands in a court, the others are customers' posts; no flag means complaint
    "产品违规": (),  # 52 products. One in ten speaks of goods, the others of illegal investment products: no recall
    "提现困难": ("liquidity_run",),  # 44 customers cannot withdraw
    "失联跑路": ("liquidity_run", "fraud_investigation"),  # 35 gone, and its customers' money with it
    "歇业停业": ("default_bankruptcy",),  # 27 out of business
    "公司股市异常": (),  # 1 line; it is of a delisting, and nothing can be learnt from it
}
# What FinESE says of other flags is nothing: a model must not learn their absence from it.
TAUGHT_FLAGS: Final = tuple(flag for flag in RISK_FLAGS if any(flag in flags for flags in EVENT_TO_FLAGS.values()))

_Sentiment = Literal["negative", "neutral", "positive"]
_Numbered = tuple[int, Example]  # line of the file, from 1; of several, the first


class _Line(NamedTuple):
    """A line of a file, on its way to an example."""

    place: str  # file:line, for errors
    number: int
    data: bytes


# --- English ----------------------------------------------------------------------------------------------------------
class _TopicLine(msgspec.Struct):
    text: str
    native_topic: Annotated[int, msgspec.Meta(ge=0, le=19)]


def _tfnt(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """Twitter Financial News, topics: tweets of news accounts; MIT on its card, nothing at its mirror; 15,301 + 1,546.

    Labels: 0..19 as taxonomy.NATIVE_TOPICS.
    """
    for line in lines:
        row = decode_line(line.place, line.data, _TopicLine)
        yield line.number, _example(corpus, row.text, topic=row.native_topic)


class _SentimentLine(msgspec.Struct):
    text: str
    sentiment: _Sentiment


def _sentences(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """One of three sentiments per text, by name.

    - Twitter Financial News, sentiment: tweets; MIT on its card, nothing at its mirror; 9,413 + 1,100.
    - FinFE (CFLEB): posts of 股吧, median 17 characters, noisy; no licence stated; 8,584 + 1,127.
    - StockEmotions: StockTwits comments, no neutral ones; no licence stated, research only; 7,998 + 998. Emotions are not read.
    """
    for line in lines:
        row = decode_line(line.place, line.data, _SentimentLine)
        yield line.number, _example(corpus, row.text, sentiment=SENTIMENTS.index(row.sentiment))


class _Named(msgspec.Struct):
    name: str
    sentiment: _Sentiment


class _NamedLine(msgspec.Struct):
    text: str
    entities: list[_Named]


# The words of the label map have got into names of the published file: "Holdings" reads "neutralings".
_UNDONE: Final = (("neutral", "Hold"), ("negative", "sell"), ("positive", "buy"))


def _sentfin(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """SEntFiN: headlines with a sentiment towards every name; MIT; 8,013 + 1,045, a quarter name several.

    Labels by name. The set gives names without places: the first place counts that a longer name does not cover. 18 names that
    lost a part to the label map are put right; names that even then stand nowhere (spelt otherwise) have no place.
    """
    for line in lines:
        row = decode_line(line.place, line.data, _NamedLine)
        names = [_repaired(row.text, entity.name) for entity in row.entities]
        places = places_of(row.text, names)
        targets = [_target(name, places[name], entity.sentiment) for name, entity in zip(names, row.entities, strict=True)]
        yield line.number, _example(corpus, row.text, targets=tuple(targets))


def _repaired(text: str, name: str) -> str:
    if name not in text:
        for wrong, right in _UNDONE:
            if name.replace(wrong, right) in text:
                return name.replace(wrong, right)
    return name


class _Span(msgspec.Struct):
    name: str
    start: int
    end: int
    sentiment: _Sentiment


class _SpanLine(msgspec.Struct):
    text: str
    entities: list[_Span]


def _finentity(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """FinEntity: Reuters sentences with a sentiment towards every span; ODC-BY 1.0; 496, no dev part (see folds).

    Labels by name. 32 starts miss their name by up to 4 characters, where the text has lost quotation marks: they are moved to
    the nearest place of the name. A span marked twice is kept once, without a sentiment where the two disagree.
    """
    for line in lines:
        row = decode_line(line.place, line.data, _SpanLine)
        targets: dict[int, Target] = {}
        for i, span in enumerate(row.entities):
            start = _nearest(row.text, span)
            if start is None:
                rule = f"its name stands within {SHIFT_MAX} characters of start in the text"
                refuse(line.place, f"entities[{i}].start", rule=rule, value=span.start, step="correct the offsets")
            target = _target(span.name, (start, start + len(span.name)), span.sentiment)
            if start in targets and targets[start] != target:
                target = msgspec.structs.replace(target, sentiment=None)
            targets[start] = target
        yield line.number, _example(corpus, row.text, targets=tuple(targets.values()))


def _nearest(text: str, span: _Span) -> int | None:
    shifts = sorted(range(-SHIFT_MAX, SHIFT_MAX + 1), key=abs)
    return next((span.start + by for by in shifts if span.start + by >= 0 and text.startswith(span.name, span.start + by)), None)


class _Scored(msgspec.Struct):
    name: str
    score: Annotated[float, msgspec.Meta(ge=-1, le=1)]


class _ScoredLine(msgspec.Struct):
    text: str
    kind: Literal["headline", "post"]
    targets: list[_Scored]


def _fiqa(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """FiQA: headlines and posts with a score towards each name; licence not by the authors, research only; 907.

    Labels: a score below -.1 is negative, above .1 positive, between them neutral. Aspects are not read.
    """
    for line in lines:
        row = decode_line(line.place, line.data, _ScoredLine)
        places = places_of(row.text, (target.name for target in row.targets))
        targets = [_target(target.name, places[target.name], _rounded(target.score)) for target in row.targets]
        kind = "news" if row.kind == "headline" else "post"
        yield line.number, msgspec.structs.replace(_example(corpus, row.text, targets=tuple(targets)), kind=kind)


def _rounded(score: float) -> _Sentiment:
    return "neutral" if abs(score) <= FIQA_NEUTRAL else "positive" if score > 0 else "negative"


# --- Chinese ----------------------------------------------------------------------------------------------------------
class _DatedLine(msgspec.Struct):
    text: str
    sentiment: Literal["negative", "positive"]
    company: str
    date: str


def _wwwxmu(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """Dated news titles of listed companies (wwwxmu); no licence stated; 5,726 of 2016-03 to 2019-02, no dev part (see holdout).

    Labels by name, positive or negative, 78 % positive; a single company's target has the title's sentiment.
    """
    for line in lines:
        row = decode_line(line.place, line.data, _DatedLine)
        try:
            day = date.fromisoformat(row.date).isoformat()
        except ValueError:
            refuse(line.place, "date", rule="a date is YYYY-MM-DD", value=row.date, step="correct the value, or remove the line")
        names = [name for name in row.company.split(",") if name]
        places = places_of(row.text, names)
        targets = tuple(_target(name, places[name], row.sentiment if len(names) == 1 else None) for name in names)
        yield line.number, _example(corpus, row.text, sentiment=SENTIMENTS.index(row.sentiment), targets=targets, date=day)


class _LabelsLine(msgspec.Struct):
    text: str
    labels: list[str]


def _finnl(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """FinNL (CFLEB): flash news with any of 17 labels, 16 of which occur; no licence stated; 6,934 + 853.

    Labels: topics, regions and sectors as in taxonomy.LABEL_TO_TOPIC; 13 texts have none.
    """
    for line in lines:
        row = decode_line(line.place, line.data, _LabelsLine)
        for label in row.labels:
            if label not in LABEL_TO_TOPIC:
                rule = f"a label is one of {' '.join(LABEL_TO_TOPIC)}"
                refuse(line.place, "labels", rule=rule, value=label, step="correct it, or add it to taxonomy.LABEL_TO_TOPIC")
        yield line.number, _example(corpus, row.text, labels=tuple(sorted(set(row.labels))))


class _EventLine(msgspec.Struct):
    text: str
    event: str
    entity: str


def _finese(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """FinESE (CFLEB): what went wrong and for whom; no licence stated; 14,252 + 1,516 lines, of 12,807 + 1,509 texts.

    Lines of the same text are one example. Labels: EVENT_TO_FLAGS; a company for which something went wrong is a negative
    target. Texts string several headlines together, of which the lines annotate one or two: no flag means that no line raises it.
    """
    rows: dict[str, tuple[int, list[_EventLine]]] = {}
    for line in lines:
        row = decode_line(line.place, line.data, _EventLine)
        if row.event not in EVENT_TO_FLAGS:
            rule = f"an event is one of {' '.join(EVENT_TO_FLAGS)}"
            refuse(line.place, "event", rule=rule, value=row.event, step="correct it, or add it to datasets.EVENT_TO_FLAGS")
        rows.setdefault(row.text, (line.number, []))[1].append(row)
    for text, (number, same) in rows.items():
        raised = {flag for row in same for flag in EVENT_TO_FLAGS[row.event]}
        names = dict.fromkeys(row.entity for row in same if row.event != NO_EVENT and row.entity != NO_ENTITY)
        places = places_of(text, names)
        targets = tuple(_target(name, places[name], "negative") for name in names)
        yield number, _example(corpus, text, targets=targets, flags=tuple(flag for flag in RISK_FLAGS if flag in raised))


class _RiskLine(msgspec.Struct):
    text: str
    candidates: list[str]
    negative: bool
    subjects: list[str]


def _finnsp(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """FinNSP (CFLEB): is the news bad, and for which of the names; posts and news; no licence stated; 3,963 + 310.

    Labels: `negative` as it is; subjects are negative targets, of other candidates only the place is known.
    """
    for line in lines:
        row = decode_line(line.place, line.data, _RiskLine)
        strangers = [name for name in row.subjects if name not in row.candidates]
        if strangers:
            refuse(line.place, "subjects", rule="a subject is among the candidates", value=strangers[0], step="add it to candidates")
        places = places_of(row.text, row.candidates)
        targets = tuple(_target(name, places[name], "negative" if name in row.subjects else None) for name in dict.fromkeys(row.candidates))
        yield line.number, _example(corpus, row.text, negative=row.negative, targets=targets)


class _ClassLine(msgspec.Struct):
    text: str


def _thucnews(corpus: Corpus, lines: Iterable[_Line]) -> Iterator[_Numbered]:
    """THUCNews: titles of ten general classes; licence not checked, research only; 9,993. No head has these classes: texts only."""
    for line in lines:
        yield line.number, _example(corpus, decode_line(line.place, line.data, _ClassLine).text)


_READERS: Final[Mapping[str, Callable[[Corpus, Iterable[_Line]], Iterator[_Numbered]]]] = {
    "tfnt": _tfnt, "tfns": _sentences, "sentfin": _sentfin, "finentity": _finentity, "finfe": _sentences, "wwwxmu": _wwwxmu,
    "finnl": _finnl, "finese": _finese, "finnsp": _finnsp, "fiqa": _fiqa, "stockemotions": _sentences, "thucnews": _thucnews,
}  # fmt: skip


def _example(corpus: Corpus, text: str, **labels: Any) -> Example:
    return Example(text=text, corpus=corpus.key, language=corpus.language, kind=corpus.kind, **labels)


def _target(name: str, place: tuple[int, int] | None, sentiment: str | None) -> Target:
    start, end = place or (None, None)
    return Target(name, start, end, SENTIMENTS.index(sentiment) if sentiment else None)


# --- reading ----------------------------------------------------------------------------------------------------------
def read_corpus(data: Path, key: str, part: Part, *, research: bool = False) -> list[Example]:
    """The examples of one part of a set, in the order of its file.

    Args:
        data: folder with train/ and dev/.
        key: of CORPORA.
        part: train or dev.
        research: open it even where weights trained on it may not be shipped.

    Raises:
        UsageError: no such set or part, no such file, or a "research only" set without `research`.
        RecordError: a line that is not what the set's reader expects.
    """
    return [example for _, example in read_numbered(data, key, part, research=research)]


def read_numbered(data: Path, key: str, part: Part, *, research: bool = False) -> list[tuple[int, Example]]:
    """The same with the line of each example, from 1; of joined lines the first."""
    path = path_of(data, key, part)
    if CORPORA[key].ship == "research only" and not research:
        message = f"{path}: {CORPORA[key].title} is for research only ({CORPORA[key].licence}); pass research=True and do not ship weights"
        raise UsageError(message)
    lines = (_Line(f"{path}:{number}", number, line) for number, line in lines_of(path))
    return list(_READERS[key](CORPORA[key], lines))


def path_of(data: Path, key: str, part: Part) -> Path:
    """The file of one part of a set.

    Raises:
        UsageError: no such set, or it has no such part.
    """
    if key not in CORPORA:
        message = f"data: no set is called {key!r}; choose of {', '.join(CORPORA)}"
        raise UsageError(message)
    corpus = CORPORA[key]
    if part not in corpus.parts:
        message = f"data: {corpus.title} has no part {part!r}; use train with datasets.folds or datasets.holdout"
        raise UsageError(message)
    return data / part / f"{corpus.stem}.jsonl.gz"


def read_user_files(entries: Sequence[UserFile], part: Part | None = None) -> list[Example]:
    """The examples of a user's files (see user_entries), of one part or of both, in the order of the recipe.

    Raises:
        UsageError: a file cannot be opened, or is named like one of the sets.
        SettingsError: a file lacks a column that its entry names.
        RecordError: a line is not what its entry says.
    """
    return [example for entry in entries if part in (None, entry.part) for _, example in read_user_numbered(entry)]


def read_user_numbered(entry: UserFile) -> list[tuple[int, Example]]:
    """The examples of one file with the line of each, from 1."""
    if entry.key in CORPORA:
        message = f"{entry.path}: a set is called {entry.key!r} already; give the entry of data.user another name"
        raise UsageError(message)
    return read_user_file(entry)


# --- dev parts that do not exist --------------------------------------------------------------------------------------
def holdout(examples: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Part dated examples by time and by company: (train, held).

    Held are the last tenth by date, whole days. Of the earlier ones those train that name no company of the held ones; the
    others are in neither part, so that a figure on held examples is one of later news on unseen companies. Of wwwxmu, 575 are
    held (from 2018-06-06 on), 4,086 train, 1,065 are left out: train the model that ships on all of them.

    Raises:
        UsageError: an example without a date.
    """
    days = sorted(example.date for example in examples if example.date)
    if len(days) < len(examples):
        message = f"holdout: every example has a date; {len(examples) - len(days)} have none; use datasets.folds"
        raise UsageError(message)
    if not days:
        return [], []
    cut = days[int(len(days) * (1 - HOLDOUT_SHARE))]
    held = [example for example in examples if cast(str, example.date) >= cut]
    companies = {target.name for example in held for target in example.targets or ()}
    early = (example for example in examples if cast(str, example.date) < cut)
    return [example for example in early if companies.isdisjoint(target.name for target in example.targets or ())], held


def folds(examples: Sequence[Example], n: int) -> list[int]:
    """A fold in [0, n) for every example: near duplicates share one, sizes differ by as little as that allows.

    Deterministic: it depends on the texts and their order alone.

    Raises:
        UsageError: n is less than 2.
    """
    if n < 2:
        message = f"folds: at least two folds are needed; got {n}; pass 5"
        raise UsageError(message)
    leaders = near_duplicates.groups([example.text for example in examples])
    sizes: dict[int, int] = {}
    for leader in leaders:
        sizes[leader] = sizes.get(leader, 0) + 1
    filled, fold_of = [0] * n, {}
    for leader in sorted(sizes, key=lambda row: (-sizes[row], content_id(examples[row].text))):  # by hash: files are often sorted by label
        fold_of[leader] = filled.index(min(filled))
        filled[fold_of[leader]] += sizes[leader]
    return [fold_of[leader] for leader in leaders]
