"""What a labelled text is, wherever it comes from, and how a line of a file becomes one or a clear error."""

import gzip
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, NoReturn, TypeVar

import msgspec
from msgspec import inspect

from groundswell.errors import RecordError, UsageError, reason_of
from models.scorer import find_name

Part = Literal["train", "dev"]
T = TypeVar("T")

SHOWN: Final = 80  # characters of a refused value that an error repeats

_PLACE = re.compile(r"(?P<rule>.*?)(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`")
_STEP = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class Target(msgspec.Struct, frozen=True):
    """What a text says of one name."""

    name: str
    start: int | None  # characters of Example.text, [start, end); None where the text lacks the name
    end: int | None
    sentiment: int | None  # index in names.SENTIMENTS (0 negative, 1 neutral, 2 positive); None: only the span is known


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A text and what is known of it. A label that is None was not annotated, which is not the same as none of them."""

    text: str
    corpus: str  # key in datasets.CORPORA, or the name of a user's file
    language: str  # en, zh
    kind: str  # "post" or "news": how the text is written
    topic: int | None = None  # position in taxonomy.NATIVE_TOPICS
    sentiment: int | None = None  # index in names.SENTIMENTS
    labels: tuple[str, ...] | None = None  # FinNL labels, sorted; (): none of them
    targets: tuple[Target, ...] | None = None
    flags: tuple[str, ...] | None = None  # of taxonomy.RISK_FLAGS, in its order; (): annotated, none raised
    negative: bool | None = None  # is the news bad for somebody that it names (FinNSP)
    date: str | None = None  # ISO 8601 day


def refuse(place: str, field: str, *, rule: str, value: Any, step: str) -> NoReturn:
    """Raise a RecordError for a field of the line at `place`, which is `file:line`."""
    message = f"{place}: {field}: {rule}; got {_shown(value)}; {step}"
    raise RecordError(message)


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines of a file, plain or gzipped, with their numbers from 1.

    Raises:
        UsageError: the file cannot be opened.
        RecordError: it is not gzip all the way, as its name promises.
    """
    number = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        message = f"{path}:{number + 1}: the file is gzip to its end; got {reason_of(error)}; restore it from where it came"
        raise RecordError(message) from error
    except OSError as error:
        message = f"{path}: cannot be read ({error.strerror or reason_of(error)}); check the path and its permissions"
        raise UsageError(message) from error


def decode_line(place: str, line: bytes, form: type[T]) -> T:
    """A line of JSON in the form that a struct describes.

    Raises:
        RecordError: naming place, field, rule, value and next step.
    """
    try:
        return msgspec.json.decode(line, type=form)
    except msgspec.ValidationError as error:
        found = _PLACE.fullmatch(str(error))
        rule, path = (found["rule"], found["path"] or "") if found else (str(error), "")
        missing = _MISSING.fullmatch(rule)
        whole = msgspec.json.decode(line)
        field = ".".join(part for part in (path, missing[1] if missing else "") if part) or "line"
        refuse(place, field, rule=_words(form, path) or rule, value=_value_at(whole, path), step="correct the value, or remove the line")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        shown = line.decode("utf-8", "replace").strip()
        refuse(place, "line", rule=f"a line is one JSON object ({reason_of(error)})", value=shown, step="correct or remove the line")


def _value_at(value: Any, path: str) -> Any:
    """What stands at `entities[1].sentiment` of decoded JSON."""
    for index, key in _STEP.findall(path):
        value = value[int(index)] if index else value[key]
    return value


def _words(form: Any, path: str) -> str:
    """The rule of a field that has a list of words; empty for other fields."""
    kind: Any = inspect.type_info(form)
    for index, key in _STEP.findall(path):
        fields = kind.fields if isinstance(kind, inspect.StructType) else ()
        kind = kind.item_type if index else next((field.type for field in fields if field.name == key), None)
    return f"one of {', '.join(map(str, kind.values))}" if isinstance(kind, inspect.LiteralType) else ""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def places_of(text: str, names: Iterable[str]) -> dict[str, tuple[int, int] | None]:
    """Where each name stands: the first place that no longer name of the same text covers, else the first place; None: nowhere.

    Names are found as models.scorer.find_name finds them, or before a genitive that has lost its apostrophe.

    >>> places_of("Acme Bank buys Acme, Nadirs shares fall", ["Acme", "Acme Bank", "Nadir", "Zenith"])
    {'Acme Bank': (0, 9), 'Zenith': None, 'Nadir': (21, 26), 'Acme': (15, 19)}
    """
    places: dict[str, tuple[int, int] | None] = {}
    uncovered = text
    for name in sorted(dict.fromkeys(names), key=len, reverse=True):
        first = _place(uncovered, name)
        places[name] = first or _place(text, name)
        place = first
        while place:
            uncovered = uncovered[: place[0]] + "\0" * (place[1] - place[0]) + uncovered[place[1] :]
            place = _place(uncovered, name)
    return places


def _place(text: str, name: str) -> tuple[int, int] | None:
    bare = name.strip()
    if bare.isascii() and bare.lower() not in text.lower():  # most names are asked for twice, and a pattern costs more than this
        return None
    found = find_name(text, bare)
    if found or not bare.isascii():
        return found
    genitive = find_name(text, f"{bare}s")
    return (genitive[0], genitive[1] - 1) if genitive else None
