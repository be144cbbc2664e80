"""What a text is found by: its words, pairs of characters where a script writes no spaces, and facets such as its source.

    "Linlan Bank 临澜银行"  ->  linlan bank 临澜 澜银 银行 行

Neighbouring terms are a phrase, so a name of any length is found inside a longer run of characters. The last character of a run
stands alone too: one character alone is looked for as the beginning of a term. Both databases index these terms and nothing else,
and a saved query is tried on them in memory, so the three cannot disagree about what a word is.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

from groundswell.records import Document, Score

TERMS_MAX: Final = 16_000
"""Of one text; PostgreSQL keeps no positions behind the 16,383rd. What stands behind them is not found."""

WORD_CHARACTERS_MAX: Final = 40
MARK: Final = "·"
"""No letter and no digit: begins a facet, so that no word of a text can be one."""

ALL: Final = f"{MARK}all"
"""The facet that every document has: what a lone NOT is taken from."""

QUOTE_CHARACTERS_MAX: Final = 150
"""Of a text that may not be stored and has no title."""

_PAIRED = r"\u3005\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUNS: Final = re.compile(rf"(?P<paired>[{_PAIRED}]+)|[^\W_{_PAIRED}]+")
_ASCII_WORDS: Final = bytes(ord(chr(code).lower()) if code < 128 and chr(code).isalnum() else ord(" ") for code in range(256))
"""For `bytes.translate`: small letters and digits, and blanks for all that stands between words."""


class Term(NamedTuple):
    """One term and where it stands: `[start, end)` in characters."""

    term: str
    start: int
    end: int


def terms_of(text: str) -> Iterator[Term]:
    """The terms of a text in their order.

    >>> [term.term for term in terms_of("A股 Moody's 降级")]
    ['a', '股', 'moody', 's', '降级', '级']
    """
    for run in _RUNS.finditer(text):
        if run["paired"]:
            yield from _pairs(run[0], run.start())
        else:
            word = _folded(run[0])
            if word:
                yield Term(word, run.start(), run.end())


def words_of(text: str) -> list[str]:
    """The first TERMS_MAX of the same terms without their places, for whoever has to read every document.

    >>> words_of("A股 Moody's 降级")
    ['a', '股', 'moody', 's', '降级', '级']
    """
    if text.isascii():  # most texts, and without a look at each character
        return [word[:WORD_CHARACTERS_MAX] for word in text.encode().translate(_ASCII_WORDS).decode().split()[:TERMS_MAX]]
    found: list[str] = []
    for run in _RUNS.finditer(text):
        if run["paired"]:
            found += [term.term for term in _pairs(run[0], 0)]
        elif word := _folded(run[0]):
            found.append(word)
    return found[:TERMS_MAX]


def _pairs(run: str, start: int) -> Iterator[Term]:
    characters = [unicodedata.normalize("NFKC", character) for character in run]
    for place, (first, second) in enumerate(pairwise(characters), start=start):
        yield Term(first + second, place, place + 2)
    yield Term(characters[-1], start + len(run) - 1, start + len(run))


def _folded(word: str) -> str:
    word = word[:WORD_CHARACTERS_MAX]
    if word.isascii():
        return word.lower()
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", word).casefold()))[:WORD_CHARACTERS_MAX]


class Phrase(NamedTuple):
    """Terms that stand beside each other."""

    terms: tuple[str, ...]
    open_end: bool = False  # the last one is the beginning of a term: a single character of a script that is indexed in pairs


@lru_cache(maxsize=8_192)  # a saved search is tried on every document
def phrase_of(text: str) -> Phrase:
    """What to look for, to find a text within others; without terms where it has no letter and no digit.

    >>> phrase_of("Linlan Bank"), phrase_of("临澜银行").terms, phrase_of("债")
    (Phrase(terms=('linlan', 'bank'), open_end=False), ('临澜', '澜银', '银行'), Phrase(terms=('债',), open_end=True))
    """
    found = [term.term for term in terms_of(text)]
    runs = list(_RUNS.finditer(text))
    if not runs or not runs[-1]["paired"]:
        return Phrase(tuple(found))
    alone = len(runs[-1][0]) == 1
    return Phrase(tuple(found if alone else found[:-1]), open_end=alone)


@lru_cache(maxsize=8_192)  # the same few hundred sources and companies come again and again
def facet(field: str, value: str) -> str:
    """The term of a property, whatever characters its value has.

    >>> facet("source", "Harbour Wire")
    '·source·harbour·20·wire'
    """
    return f"{MARK}{field}{MARK}" + "".join(c if c.isalnum() else f"{MARK}{ord(c):x}{MARK}" for c in value.casefold()).rstrip(MARK)


def facets_of(document: Document, score: Score | None) -> list[str]:
    """The facets of a document: of its own, and where it was scored what the model says of it."""
    said = [("source", document.source), ("kind", document.kind), ("language", document.language or "")]
    if score is not None:
        said += [("topic", score.topic), ("sentiment", score.sentiment)]
        said += [("company", entity_id) for entity_id in dict.fromkeys(mention.entity_id for mention in score.mentions)]
    return [ALL, *(facet(field, value) for field, value in said)]


def kept_text(document: Document) -> tuple[str, str]:
    """Title and text as they may be stored: all that anybody may look into later."""
    if document.store_text:
        return document.title, document.text
    # A text without a title would leave an alert nothing to quote, and a quote is what may be kept.
    return document.title or document.text[:QUOTE_CHARACTERS_MAX], ""


class Indexed:
    """A document as it is found: its terms with their places, and its facets.

    Args:
        document: as it was taken; what may not be stored of it is not looked into.
        score: what the model says of it, where it was scored.
    """

    def __init__(self, document: Document, score: Score | None) -> None:
        self.terms: Sequence[str] = words_of("\n".join(kept_text(document)))
        self._facets_of = document, score

    @cached_property
    def facets(self) -> frozenset[str]:
        """Its facets."""
        return frozenset(facets_of(*self._facets_of))

    @cached_property
    def places(self) -> dict[str, list[int]]:
        """{term: its places, ascending from 1}."""
        places: dict[str, list[int]] = defaultdict(list)
        for place, term in enumerate(self.terms, start=1):
            places[term].append(place)
        return places

    def has(self, phrase: Phrase) -> bool:
        """Whether the phrase stands in it."""
        if len(phrase.terms) == 1 and phrase.open_end:
            return any(term.startswith(phrase.terms[0]) for term in self.places)
        return any(stands_at(self.terms, place - 1, phrase) for place in self.places.get(phrase.terms[0], ()))


def stands_at(terms: Sequence[str], place: int, phrase: Phrase) -> bool:
    """Whether a phrase begins at a place of a text's terms."""
    found = tuple(terms[place : place + len(phrase.terms)])
    return found == phrase.terms or (
        phrase.open_end and len(found) == len(phrase.terms) and found[:-1] == phrase.terms[:-1] and found[-1].startswith(phrase.terms[-1])
    )


# --- what a reader sees of it ---------------------------------------------------------------------------------------------------
def marks(text: str, phrases: Sequence[Phrase]) -> list[tuple[int, int]]:
    """Where a text has any of the phrases: `[start, end)` in characters, ascending, without overlaps.

    >>> marks("Linlan Bank said Linlan", [phrase_of("linlan bank")])
    [(0, 11)]
    """
    found = list(terms_of(text))
    terms = [term.term for term in found]
    spans = []
    for phrase in phrases:
        for place, term in enumerate(found):
            if term.term.startswith(phrase.terms[0]) and stands_at(terms, place, phrase):
                last = found[place + len(phrase.terms) - 1]
                spans.append((term.start, last.start + 1 if phrase.open_end else last.end))
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def excerpt(text: str, spans: Sequence[tuple[int, int]], *, characters: int) -> tuple[int, int]:
    """The part of a text to show: around its first mark, else its beginning; cut between words where there is one near.

    >>> excerpt("one two three four five", [(14, 18)], characters=15)
    (14, 23)
    """
    start = max(0, spans[0][0] - characters // 3) if spans else 0
    start = max(0, min(start, len(text) - characters))
    blank = text.find(" ", start, min(start + 15, spans[0][0] if spans else 0))
    start = blank + 1 if start and blank >= 0 else start
    return start, min(len(text), start + characters)
