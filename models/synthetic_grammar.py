"""Words and frames of the synthetic company news: what the two files may hold, and how they are read and checked."""

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import msgspec

from groundswell.errors import SettingsError, reason_of
from groundswell.names import SENTIMENTS
from models.synthetic_figures import Quantity

WORDS_PATH: Final = Path(__file__).with_name("synthetic_words.toml")
FRAMES_PATH: Final = Path(__file__).with_name("synthetic_frames.toml")

NEGATIVE, NEUTRAL, POSITIVE = range(3)
SIDE: Final = re.compile(r"<([^<>]*)>")
PART: Final = {POSITIVE: 0, NEGATIVE: 1, NEUTRAL: 2}  # of <good//bad//dry>


class Region(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where companies come from, and what their names are made of."""

    countries: str  # name:adjective:currency:cities / ...
    first: str
    second: str
    legal: str


class Sector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field of business."""

    maker: str
    product: str
    site: str
    customers: str
    buyer: str
    delivery: str
    tail: str


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """synthetic_words.toml."""

    regions: dict[str, Region]
    sectors: dict[str, Sector]
    quantities: dict[str, Quantity]
    grades: dict[str, str]
    verbs: dict[str, str]
    shared: dict[str, str]
    lists: dict[str, str]


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Frames that work alike; synthetic_frames.toml explains the fields."""

    label: Literal["negative", "neutral", "positive", "mirror", "compare"]
    weight: float
    lines: str
    kinds: str = ""
    flat: bool = False
    cross: bool = False
    second: Literal["", "same", "opposite"] = ""
    second_kinds: str = ""
    other: Literal["neutral", "same", "opposite"] = "neutral"
    headline: bool = False


class Frame(NamedTuple):
    """A line and the group that it stands in."""

    group: str
    line: str


class Grammar(NamedTuple):
    """Words and frames, checked."""

    words: Words
    groups: dict[str, Group]
    frames: dict[int, dict[str, list[Frame]]]  # sentiment -> group -> frames that can have it


def items(text: str) -> list[str]:
    """Items of a list of synthetic_words.toml.

    >>> items("beer | soft drinks")
    ['beer', 'soft drinks']
    """
    return [item.strip() for item in text.split("|")]


def directions(words: Words, group: Group, sentiment: int, *, kinds: str = "") -> list[tuple[str, int]]:
    """(quantity, direction) pairs with which a comparing group says a sentiment; of other quantities than its own, of `kinds`."""
    pairs = []
    for kind in (kinds or group.kinds).split():
        good = words.quantities[kind].good
        for direction in (-1, 0, 1):
            if (direction or group.flat) and 1 + direction * good == sentiment:
                pairs.append((kind, direction))
    return pairs


@cache
def load_grammar() -> Grammar:
    """The shipped words and frames; see read_grammar."""
    return read_grammar()


def read_grammar(*, words_path: Path = WORDS_PATH, frames_path: Path = FRAMES_PATH) -> Grammar:
    """Read both files.

    Raises:
        SettingsError: one of them is missing, cannot be read, or a group names a quantity that there is not.
    """
    words = _read(words_path, Words)
    groups = _read(frames_path, dict[str, dict[str, Group]])["groups"]
    for name, group in groups.items():
        unknown = set(f"{group.kinds} {group.second_kinds}".split()) - words.quantities.keys()
        if unknown:
            message = f"{frames_path.name}: groups.{name}.kinds: {sorted(unknown)} are not quantities; add them to {words_path.name}"
            raise SettingsError(message)
    return Grammar(words, groups, _frames(words, groups))


def _frames(words: Words, groups: dict[str, Group]) -> dict[int, dict[str, list[Frame]]]:
    """Per sentiment, the frames that can have it."""
    frames: dict[int, dict[str, list[Frame]]] = {sentiment: {} for sentiment in range(len(SENTIMENTS))}
    for name, group in groups.items():
        lines = [line.strip() for line in group.lines.splitlines() if line.strip()]
        for sentiment in frames:
            chosen = [Frame(name, line) for line in lines if _can_say(words, group, line, sentiment)]
            if chosen:
                frames[sentiment][name] = chosen
    return frames


def _read(path: Path, form: type[Words] | type[dict[str, dict[str, Group]]]) -> Any:
    try:
        return msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), form)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        message = f"{path.name}: cannot be read ({reason_of(error)}); restore the file"
        raise SettingsError(message) from error


def _can_say(words: Words, group: Group, line: str, sentiment: int) -> bool:
    if group.label == "compare":
        return bool(directions(words, group, sentiment))
    if group.label == "mirror":
        return bool(min(side.count("//") for side in SIDE.findall(line)) >= PART[sentiment])
    return SENTIMENTS.index(group.label) == sentiment
