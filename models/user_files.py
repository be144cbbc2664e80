"""A user's own labelled CSV or JSON lines, joined to the sets by a few lines of the training recipe.

    [[data.user]]
    path = "mine.csv"           # .csv or .jsonl, also .gz; relative to the recipe
    language = "en"             # en or zh
    kind = "news"               # news or post: how the texts are written
    text = "headline"           # names of columns from here on
    sentiment = "label"
    [data.user.map.sentiment]   # only where the file's words are not ours
    bad = "negative"

Columns: topic (0..19, or its English name), sentiment, labels and flags (several with | between them; `none` for none of them),
negative (true or false), date (YYYY-MM-DD), entity with entity_sentiment (lines of the same text are joined), and in JSON lines
targets (a list of objects: name, and sentiment, start, end where known). An empty cell is not annotated.
"""

import csv
import gzip
import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, TextIO, cast, get_args

import msgspec

from groundswell.errors import RecordError, SettingsError, UsageError, reason_of
from groundswell.names import SENTIMENTS
from models.examples import Example, Part, Target, decode_line, lines_of, places_of, refuse
from models.linear import NO_LICENCE
from models.taxonomy import LABEL_TO_TOPIC, NATIVE_TOPICS, RISK_FLAGS

Field = Literal["topic", "sentiment", "labels", "flags", "negative", "date", "entity", "entity_sentiment", "targets"]
FIELDS: Final[tuple[Field, ...]] = get_args(Field)
NONE_OF_THEM: Final = "none"
FORMATS: Final = (".csv", ".jsonl")


class UserFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[data.user]]` of a recipe: where a file is, and which of its columns means what."""

    path: str
    language: Literal["en", "zh"]
    kind: Literal["post", "news"]
    text: str  # column, as all below
    name: str = ""  # Example.corpus; else the file's name without its suffixes
    part: Part = "train"
    licence: str = NO_LICENCE  # for the model card
    topic: str | None = None
    sentiment: str | None = None
    labels: str | None = None
    flags: str | None = None
    negative: str | None = None
    date: str | None = None
    entity: str | None = None
    entity_sentiment: str | None = None
    targets: str | None = None
    map: dict[Field, dict[str, str | int | bool]] = {}  # field -> the file's value -> ours

    @property
    def key(self) -> str:
        """What its examples carry as `corpus`."""
        return self.name or Path(self.path).name.split(".")[0]

    def columns(self) -> dict[Field, str]:
        """Field -> column, of the fields that the file has."""
        return {field: column for field in FIELDS if (column := getattr(self, field)) is not None}


class _Recipe(msgspec.Struct):
    data: dict[str, Any] = {}


# --- the recipe -------------------------------------------------------------------------------------------------------
def user_entries(recipe: Path) -> list[UserFile]:
    """The user's files that a recipe (TOML) names, with paths made absolute or relative to the working folder.

    Raises:
        UsageError: the recipe cannot be read.
        SettingsError: it is no TOML, or an entry has a wrong, missing or contradictory key.
    """
    try:
        with recipe.open("rb") as file:
            found = msgspec.convert(tomllib.load(file), _Recipe).data.get("user", [])
    except OSError as error:
        message = f"{recipe}: cannot be read ({error.strerror or reason_of(error)}); name the recipe's file"
        raise UsageError(message) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        message = f"{recipe}: a recipe is a TOML file with tables ({reason_of(error)}); correct it there"
        raise SettingsError(message) from error
    entries = []
    for number, raw in enumerate(found if isinstance(found, list) else [found], 1):
        place = f"{recipe}: data.user {number}"
        try:
            entry = msgspec.convert(raw, UserFile)
        except msgspec.ValidationError as error:
            message = f"{place}: {reason_of(error)}; got {str(raw)[:80]}; correct the entry as docs/models.md describes"
            raise SettingsError(message) from error
        _check(place, entry)
        entries.append(msgspec.structs.replace(entry, path=str(recipe.parent / entry.path)))
    return entries


def _check(place: str, entry: UserFile) -> None:
    """Refuse what contradicts itself, before a long file is read."""
    columns = entry.columns()
    if _format(entry.path) not in FORMATS:
        _refuse(place, "path ends in .csv, .jsonl, .csv.gz or .jsonl.gz", entry.path, "convert the file")
    if not set(columns) - {"date"}:
        _refuse(place, f"at least one of {', '.join(FIELDS)} names a column", "none", "name the column with the labels")
    if ("entity_sentiment" in columns and "entity" not in columns) or {"entity", "targets"} <= set(columns):
        got = ", ".join(columns)
        _refuse(place, "names stand in the column entity, beside entity_sentiment, or in targets", got, "give entity, or targets alone")
    if "targets" in columns and _format(entry.path) == ".csv":
        _refuse(place, "targets are objects, which only JSON lines hold", entry.path, "give entity and entity_sentiment")
    for field, words in entry.map.items():
        if field in ("date", "entity", "targets") or (field not in columns and not (field == "entity_sentiment" and "targets" in columns)):
            _refuse(place, "a map belongs to a label whose column is named", f"map.{field}", f"name the column {field}, or remove the map")
        for word in words.values():
            try:
                _PARSE[field](word)
            except ValueError as error:
                _refuse(place, f"map.{field}: {error}", str(word), "correct the right-hand side")


def _refuse(place: str, rule: str, value: str, step: str) -> NoReturn:
    message = f"{place}: {rule}; got {value[:80]!r}; {step}"
    raise SettingsError(message)


def _format(path: str) -> str:
    return Path(path.removesuffix(".gz")).suffix


# --- the files --------------------------------------------------------------------------------------------------------
def read_user_file(entry: UserFile) -> list[tuple[int, Example]]:
    """The examples of a file with the line of each, from 1; of joined lines the first. Empty texts are kept: `data check` counts them.

    Raises:
        UsageError: the file cannot be opened.
        SettingsError: it lacks a column that the entry names.
        RecordError: a line is not what the entry says; the first one is described, others are counted.
    """
    columns, read = entry.columns(), _csv_rows if _format(entry.path) == ".csv" else _json_rows
    found: list[tuple[int, Example]] = []
    wrong: list[RecordError] = []
    seen: set[str] = set()
    for number, row in read(entry, wrong):
        seen |= row.keys()
        try:
            found.append((number, _example(f"{entry.path}:{number}", entry, columns=columns, row=row)))
        except RecordError as error:
            wrong.append(error)
    if wrong:
        more = f" ({len(wrong) - 1} more lines are wrong)" if len(wrong) > 1 else ""
        message = f"{wrong[0]}{more}"
        raise RecordError(message)
    missing = [column for column in (entry.text, *columns.values()) if column not in seen]
    if missing and found:
        _refuse(entry.path, "the file has the columns that the recipe names", ", ".join(sorted(seen)), f"correct {', '.join(missing)}")
    return _joined(found) if "entity" in columns else found


def _csv_rows(entry: UserFile, wrong: list[RecordError]) -> Iterator[tuple[int, dict[str, Any]]]:
    number = 0
    try:
        with _open_text(Path(entry.path)) as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            for cells in reader:
                number = reader.line_num
                if len(cells) > len(header):
                    rule, step = f"a row has at most {len(header)} cells", "quote cells that contain a comma"
                    wrong.append(RecordError(f"{entry.path}:{number}: row: {rule}; got {len(cells)}; {step}"))
                elif cells:
                    yield number, dict.fromkeys(header, "") | dict(zip(header, cells, strict=False))
    except (csv.Error, UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        message = f"{entry.path}:{number + 1}: the file is comma-separated UTF-8; got {reason_of(error)}; save it as that"
        raise RecordError(message) from error
    except OSError as error:
        message = f"{entry.path}: cannot be read ({error.strerror or reason_of(error)}); check data.user.path in the recipe"
        raise UsageError(message) from error


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _json_rows(entry: UserFile, wrong: list[RecordError]) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in lines_of(Path(entry.path)):
        if not line.strip():
            continue
        try:
            yield number, decode_line(f"{entry.path}:{number}", line, dict[str, Any])
        except RecordError as error:
            wrong.append(error)


def _example(place: str, entry: UserFile, *, columns: Mapping[Field, str], row: Mapping[str, Any]) -> Example:
    text = row.get(entry.text)
    if not isinstance(text, str):
        refuse(place, f"column {entry.text}", rule="the text is a string", value=text, step="correct or remove the line")
    values = {field: _value(place, entry, field=field, column=column, cell=row.get(column)) for field, column in columns.items()}
    name, sentiment, given = (values.pop(field, None) for field in ("entity", "entity_sentiment", "targets"))
    targets: tuple[Target, ...] | None = given
    if name is not None:
        start, end = places_of(text, [name])[name] or (None, None)
        targets = (Target(name, start, end, sentiment),)
    elif given is not None:
        targets = _located(place, columns["targets"], text=text, targets=given)
    return Example(text=text, corpus=entry.key, language=entry.language, kind=entry.kind, targets=targets, **values)


def _value(place: str, entry: UserFile, *, field: Field, column: str, cell: Any) -> Any:
    """A cell as a label; None where it is empty."""
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        return None
    words = entry.map.get(field, {})
    try:
        if field in ("labels", "flags"):
            return _several(field, cell, words)
        if field == "targets":
            return _targets(cell, entry.map.get("entity_sentiment", {}))
        return _PARSE[field](_translated(cell, words))
    except ValueError as error:
        step = f"correct it, or add the word to [data.user.map.{field}]" if field in _MAPPED else "correct it"
        refuse(place, f"column {column}", rule=str(error), value=cell, step=step)


def _translated(word: Any, words: Mapping[str, str | int | bool]) -> Any:
    stripped = word.strip() if isinstance(word, str) else word
    return words.get(str(stripped), stripped)


def _several(field: Field, cell: Any, words: Mapping[str, str | int | bool]) -> tuple[str, ...]:
    items = cell if isinstance(cell, list) else [] if cell == NONE_OF_THEM else str(cell).split("|")
    chosen = {_PARSE[field](_translated(item, words)) for item in items}
    return tuple(flag for flag in RISK_FLAGS if flag in chosen) if field == "flags" else tuple(sorted(chosen))


# --- values: a ValueError states the rule -----------------------------------------------------------------------------
class _Given(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(min_length=1)]
    sentiment: str | int | None = None
    start: int | None = None
    end: int | None = None


def _targets(cell: Any, words: Mapping[str, str | int | bool]) -> tuple[Target, ...]:
    given = msgspec.convert(cell, list[_Given])  # its ValidationError is a ValueError
    sentiments = [None if one.sentiment is None else _sentiment(_translated(one.sentiment, words)) for one in given]
    return tuple(Target(one.name, one.start, one.end, sentiment) for one, sentiment in zip(given, sentiments, strict=True))


def _located(place: str, column: str, *, text: str, targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """Targets with the places that their names have in the text, where the file gives none."""
    places = places_of(text, (target.name for target in targets))
    located = []
    for target in targets:
        if target.start is None and target.end is None:
            start, end = places[target.name] or (None, None)
            located.append(msgspec.structs.replace(target, start=start, end=end))
            continue
        if target.start is None or target.end is None or target.start < 0 or text[target.start : target.end] != target.name:
            rule = "start and end cut the name out of the text"
            refuse(place, f"column {column}", rule=rule, value=msgspec.to_builtins(target), step="correct them, or leave both out")
        located.append(target)
    return tuple(located)


def _sentiment(word: Any) -> int:
    if str(word).lower() not in SENTIMENTS:
        message = f"a sentiment is one of {', '.join(SENTIMENTS)}"
        raise ValueError(message)
    return SENTIMENTS.index(str(word).lower())


def _topic(word: Any) -> int:
    if word in NATIVE_TOPICS:
        return NATIVE_TOPICS.index(word)
    if isinstance(word, bool) or not str(word).isdecimal() or int(word) >= len(NATIVE_TOPICS):
        message = f"a topic is 0 to 19, or one of {', '.join(NATIVE_TOPICS)}"
        raise ValueError(message)
    return int(word)


def _negative(word: Any) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    if str(word).lower() not in known:
        message = "negative is true or false"
        raise ValueError(message)
    return known[str(word).lower()]


def _date(word: Any) -> str:
    try:
        return date.fromisoformat(str(word)[:10]).isoformat()
    except ValueError:
        message = "a date begins with YYYY-MM-DD"
        raise ValueError(message) from None


def _entity(word: Any) -> str:
    if not isinstance(word, str):
        message = "a name is a string"
        raise ValueError(message)  # noqa: TRY004 - every rule of a cell is a ValueError
    return word


def _one_of(what: str, known: tuple[str, ...]) -> Callable[[Any], str]:
    def parse(word: Any) -> str:
        if word not in known:
            message = f"{what} is one of {', '.join(known)}"
            raise ValueError(message)
        return cast(str, word)

    return parse


_PARSE: Final[Mapping[Field, Callable[[Any], Any]]] = {
    "topic": _topic,
    "sentiment": _sentiment,
    "labels": _one_of("a label", tuple(LABEL_TO_TOPIC)),
    "flags": _one_of("a flag", RISK_FLAGS),
    "negative": _negative,
    "date": _date,
    "entity": _entity,
    "entity_sentiment": _sentiment,
}
_MAPPED: Final = ("topic", "sentiment", "labels", "flags", "negative", "entity_sentiment")


def _joined(rows: list[tuple[int, Example]]) -> list[tuple[int, Example]]:
    """Lines of the same text, each with one name, as one example; lines that contradict each other stay apart, to be reported."""
    first: dict[Example, int] = {}
    joined: list[tuple[int, Example]] = []
    for number, example in rows:
        bare = msgspec.structs.replace(example, targets=None)
        at = first.get(bare)
        known = joined[at][1].targets or () if at is not None else ()
        new = tuple(target for target in example.targets or () if target not in known)
        if at is None or {target.name for target in new} & {target.name for target in known}:
            first.setdefault(bare, len(joined))
            joined.append((number, example))
        elif new:
            joined[at] = (joined[at][0], msgspec.structs.replace(joined[at][1], targets=(*known, *new)))
    return joined
