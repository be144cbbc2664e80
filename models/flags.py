"""Risk flags: which kinds of trouble a text reports, found by phrases, and which of them are right often enough to be shown.

A flag says what a text is about, not which way it went: sentiment says that. It counts when title or lead report the event of
a company, bank, fund, exchange, token, industry, public institution or state, or of people who act for one: that it happened,
is alleged, feared, threatened or denied, and what follows from it, down to its settlement or end. It does not count for
metaphors ("crash course"), another sense of the word ("bank holiday"), history told as history, advice, explainers or
opinion without a case, general rule-making, private people, crime, war, sport and entertainment without such a subject.

- default_bankruptcy: debts cannot or may not be paid, or a business fails: default, insolvency, administration, liquidation,
  collapse, restructured debt, a state that nears its debt limit and may default. Not: households, failed talks.
- liquidity_run: money is short or flees: a run, halted withdrawals or redemptions, a lost peg, margin calls, rescue or
  emergency finance, contagion. Not: fund flows within the usual.
- fraud_investigation: fraud, corruption, market abuse or money laundering, or an official inquiry into a company, its conduct
  or its deal, alleged or proven; arrests and charges of managers; a state's leaders where money is concerned. Not: scams of
  private people, politics, a company's inquiry into its staff's manners.
- sanction_penalty: an authority punishes or bars somebody, or may: fine, sanctions, blacklist, export or import ban, lost
  licence, asset freeze, seizure, crackdown on an industry. Not: rules for everybody, licences granted.
- litigation: a lawsuit, trial, ruling, appeal, settlement or criminal case with such a party. Not: mere inquiries, politics.
- downgrade: a rating, outlook, price target, forecast or guidance is cut, or may be; profit warnings. Not: cut prices or rates.
- exec_departure: a head, board member, top manager, minister or central banker leaves, is made to leave or may leave.
- layoff_strike: jobs are cut, sites, branches or shops are closed, workers strike or may strike. Not: strikes of war.
- product_recall_outage: a product is recalled or faulty, aircraft are grounded, a service, grid, exchange or production stops.
- cyber_incident: a hack, breach, leak or theft of data or tokens, ransomware, also action against those who did it.
- accident_environment: explosion, fire, crash, spill, pollution of somebody's plant, product or transport. Not: war, weather.
- short_report_delisting: short sellers bet against or accuse somebody; a security or token is delisted or may be.

How a phrase is read:
`fraud` stands as a whole word, `bankrupt*` takes any ending, `cut* .. jobs` has up to GAP_WORDS words between its parts, all in one
sentence. Chinese phrases stand anywhere and know no `*`; `gap` characters may part them, fewer than in English (READINGS).
A phrase of `phrases` raises its flag by itself. A phrase of `near` needs one of its words within `reach` characters. A phrase of
`never` covers what it contains and raises nothing. A word of `away` anywhere in the text keeps the flag down.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import ahocorasick
import msgspec

from groundswell.errors import BundleError
from models.taxonomy import RISK_FLAGS

LEXICON_PATH: Final = Path(__file__).resolve().parent / "bundles" / "linear" / "lexicon.json"
FLAG_CHARACTERS: Final = 400  # flags are read where opinion is read: in the headline and its lead
GAP_WORDS: Final = 4
LEAST_PERCENT: Final = 85  # a flag whose measured precision is lower is not shown

_GAP = " .. "
_WORD = re.compile(r"\w+")

Span = tuple[int, int]  # [start, end) in characters of the folded text


class Reading(NamedTuple):
    """How phrases of a language are read."""

    whole_words: bool
    gap: int  # characters that may stand between two parts of a phrase
    reach: int  # characters before and after a phrase in which a word of its `near` counts
    stop: re.Pattern[str]  # ends a sentence


_ENGLISH: Final = Reading(True, 48, 60, re.compile(r"(?<=\w\w)[.!?;](?=\s)|\n"))  # U.S. does not end a sentence
READINGS: Final[Mapping[str, Reading]] = {"en": _ENGLISH, "zh": Reading(False, 16, 24, re.compile(r"[。!?;\n]"))}


class Near(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Phrases that say nothing alone, and the words of which one must stand beside them."""

    phrases: list[str]
    words: list[str]


class Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one flag rests on in one language; see the module."""

    phrases: list[str] = []
    near: list[Near] = []
    never: list[str] = []
    away: list[str] = []


class Lexicon(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The phrases behind the risk flags and how well they did.

    `flags` and `tone` are training rows of the sentiment heads, so they change only when the heads are trained anew. A flag
    without rules in a language is raised by its phrases of `flags`.
    """

    dated: str
    about: str
    flags: dict[str, dict[str, list[str]]]  # flag -> language -> phrases
    tone: dict[str, dict[str, list[str]]]
    rules: dict[str, dict[str, Rules]] = {}  # flag -> language -> rules
    measured: dict[str, dict[str, tuple[int, int]]] = {}  # language -> flag -> (right, judged), see models/flag_check.py

    def shown(self, language: str) -> frozenset[str]:
        """Flags that may be shown in a language: those measured at LEAST_PERCENT or more.

        All flags where none of the language has been measured: there is nothing yet to judge them by.

        >>> Lexicon("", "", {}, {}, measured={"en": {"litigation": (9, 10), "downgrade": (8, 10)}}).shown("en")
        frozenset({'litigation'})
        """
        measured = self.measured.get(language)
        if not measured:
            return frozenset(RISK_FLAGS)
        return frozenset(flag for flag, (right, judged) in measured.items() if judged and right * 100 >= judged * LEAST_PERCENT)


def parse_lexicon(data: bytes) -> Lexicon:
    """Read lexicon.json.

    Raises:
        BundleError: it cannot be read, or it names a flag that taxonomy.RISK_FLAGS does not have.
    """
    try:
        lexicon = msgspec.json.decode(data, type=Lexicon)
    except msgspec.MsgspecError as error:
        message = f"lexicon.json: cannot be read ({error}); restore models/bundles/linear/lexicon.json"
        raise BundleError(message) from error
    named = set(lexicon.flags).union(lexicon.rules, *lexicon.measured.values())
    unknown = sorted(named - set(RISK_FLAGS))
    if unknown:
        message = f"lexicon.json: flags {unknown} are not among taxonomy.RISK_FLAGS; rename them or add them there"
        raise BundleError(message)
    return lexicon


@cache
def shipped_lexicon() -> Lexicon:
    """The lexicon that ships with the package, read once.

    Raises:
        BundleError: the file is missing or broken.
    """
    try:
        data = LEXICON_PATH.read_bytes()
    except OSError as error:
        message = f"bundle {LEXICON_PATH}: cannot be read ({error}); restore the file"
        raise BundleError(message) from error
    return parse_lexicon(data)


def shown(language: str) -> frozenset[str]:
    """Flags of the shipped lexicon that may be shown in a language, whatever finds them; see Lexicon.shown.

    >>> shown("en") <= frozenset(RISK_FLAGS)
    True
    """
    return shipped_lexicon().shown(language)


class _Phrase(NamedTuple):
    flag: str
    parts: tuple[int, ...]
    words: frozenset[int] | None  # one of them must stand near; None: the phrase is enough


class _Parts:
    """Words and phrases that are looked for all at once, each with a number."""

    def __init__(self, *, whole_words: bool) -> None:
        self._whole_words = whole_words
        self._numbers: dict[str, int] = {}
        self._automaton: Any = None

    def number(self, part: str) -> int:
        return self._numbers.setdefault(part, len(self._numbers))

    def numbers(self, phrase: str) -> tuple[int, ...]:
        return tuple(self.number(part) for part in phrase.split(_GAP))

    def close(self) -> None:
        """Call once, when all parts are in."""
        owners: dict[str, list[tuple[int, bool]]] = {}
        for part, number in self._numbers.items():
            plain = part.removesuffix("*") if self._whole_words else part
            owners.setdefault(plain, []).append((number, plain != part))
        self._automaton = ahocorasick.Automaton()
        for plain, numbers in owners.items():
            self._automaton.add_word(plain, (len(plain), numbers))
        self._automaton.make_automaton()

    def find(self, text: str) -> dict[int, list[Span]]:
        """Number -> places, in the order of the text; a part with an open end reaches to the end of its word."""
        found: dict[int, list[Span]] = {}
        if not self._numbers:
            return found
        for last, (length, numbers) in self._automaton.iter(text):
            start, end = last - length + 1, last + 1
            if self._whole_words and start and text[start - 1].isalnum() and text[start].isalnum():
                continue
            runs_on = self._whole_words and end < len(text) and text[end].isalnum() and text[last].isalnum()
            while runs_on and end < len(text) and text[end].isalnum():
                end += 1
            for number, open_end in numbers:
                if open_end or not runs_on:
                    found.setdefault(number, []).append((start, end))
        return found


class FlagFinder:
    """Risk flags of a text in one language, by the rules in this module's docstring."""

    def __init__(self, lexicon: Lexicon, language: str, *, flags: Collection[str] | None = None) -> None:
        """Compile a lexicon.

        Args:
            lexicon: phrases and rules.
            language: `zh` is matched character by character, any other by whole words as English is.
            flags: the flags to look for; those that may be shown where none are given.
        """
        wanted = lexicon.shown(language) if flags is None else flags
        self._reading = READINGS.get(language, _ENGLISH)
        self._raising, self._others = (_Parts(whole_words=self._reading.whole_words) for _ in range(2))
        self._phrases: dict[int, list[_Phrase]] = {}  # by the number of the first part
        self._never: dict[str, dict[int, list[tuple[int, ...]]]] = {}  # by flag, then by the number of the first part
        self._away: dict[str, frozenset[int]] = {}
        for flag in RISK_FLAGS:
            if flag in wanted:
                plain = Rules(phrases=lexicon.flags.get(flag, {}).get(language, []))
                self._compile(flag, lexicon.rules.get(flag, {}).get(language, plain))
        self._raising.close()
        self._others.close()

    def find(self, text: str) -> list[str]:
        """Flags of the first FLAG_CHARACTERS characters, in the order of taxonomy.RISK_FLAGS.

        >>> finder = FlagFinder(Lexicon("", "", {"litigation": {"en": ["sues", "lawsuit*"]}}, {}), "en")
        >>> finder.find("Fund sues bank"), finder.find("Tissues in demand"), finder.find("Two Lawsuits")
        (['litigation'], [], ['litigation'])
        """
        text = _folded(text[:FLAG_CHARACTERS])
        found = self._raising.find(text)
        if not found:
            return []
        others = self._others.find(text)
        covered: dict[str, list[Span]] = {}
        raised: set[str] = set()
        for number in found:
            for phrase in self._phrases.get(number, ()):
                if phrase.flag in raised or not self._away[phrase.flag].isdisjoint(others):
                    continue
                if phrase.flag not in covered:
                    covered[phrase.flag] = self._covered(phrase.flag, text, others)
                if self._stands(phrase, text, found, others, covered[phrase.flag]):
                    raised.add(phrase.flag)
        return [flag for flag in RISK_FLAGS if flag in raised]

    def _compile(self, flag: str, rules: Rules) -> None:
        groups: list[tuple[Sequence[str], frozenset[int] | None]] = [(rules.phrases, None)]
        groups += [(near.phrases, frozenset(map(self._others.number, near.words))) for near in rules.near]
        for group, words in groups:
            for phrase in group:
                parts = self._raising.numbers(phrase)
                self._phrases.setdefault(parts[0], []).append(_Phrase(flag, parts, words))
        self._never[flag] = {}
        for phrase in rules.never:
            parts = self._others.numbers(phrase)
            self._never[flag].setdefault(parts[0], []).append(parts)
        self._away[flag] = frozenset(map(self._others.number, rules.away))

    def _covered(self, flag: str, text: str, others: Mapping[int, list[Span]]) -> list[Span]:
        never = self._never[flag]  # few words of a text begin a phrase of `never`, so go by the words
        phrases = (parts for number in others for parts in never.get(number, ()))
        return [(place[0][0], place[-1][1]) for parts in phrases for place in self._places(text, others, parts)]

    def _stands(
        self, phrase: _Phrase, text: str, found: Mapping[int, list[Span]], others: Mapping[int, list[Span]], covered: Sequence[Span]
    ) -> bool:
        """Whether a phrase stands somewhere in the text, not covered, and with one of its words near it."""
        for place in self._places(text, found, phrase.parts):
            if any(first <= start and end <= last for start, end in place for first, last in covered):
                continue
            start, end = place[0][0], place[-1][1]
            if phrase.words is None or any(self._near(spans, start, end) for word, spans in others.items() if word in phrase.words):
                return True
        return False

    def _near(self, words: Sequence[Span], start: int, end: int) -> bool:
        """Whether one of the words stands within reach of `[start, end)` and outside it."""
        low, high = start - self._reading.reach, end + self._reading.reach
        return any(low <= first and last <= high and (last <= start or end <= first) for first, last in words)

    def _places(self, text: str, found: Mapping[int, list[Span]], parts: Sequence[int]) -> Iterator[list[Span]]:
        """Where a phrase stands: the spans of its parts, each followed closely by the next."""
        if any(part not in found for part in parts):
            return
        for first in found[parts[0]]:
            place = [first]
            for part in parts[1:]:
                following = next((span for span in found[part] if self._follows(text, place[-1][1], span[0])), None)
                if following is None:
                    break
                place.append(following)
            else:
                yield place

    def _follows(self, text: str, end: int, start: int) -> bool:
        """Whether what stands between two parts is short and within one sentence."""
        if not end <= start <= end + self._reading.gap:
            return False
        between = text[end:start]
        return len(_WORD.findall(between)) <= GAP_WORDS and not self._reading.stop.search(between)


def _folded(text: str) -> str:
    """Lower case, full-width forms and quotation marks made plain."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFKC", text).lower().replace("\u2018", "'").replace("\u2019", "'")
