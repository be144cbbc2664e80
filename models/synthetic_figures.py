"""Numbers of the synthetic company news: how one sentence writes them, and two values of a quantity that tell a direction."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

import msgspec

Form = Literal["money", "percent", "share", "price", "count", "result", "grade"]

SMALLEST_CHANGE: Final = 0.015  # of the value before: a smaller one would hardly be news
LARGEST_CHANGE: Final = 0.9
LEAP: Final = 0.25  # from this change on, values may surge or plunge
NUDGE: Final = 0.05  # below it, they may edge up or slip
DOLLARS_SHARE: Final = 0.05  # of the amounts in other currencies that are given in dollars too

# code: symbol, word, dollars per unit
_CURRENCIES: Final = {
    "EUR": ("€", "euros", 1.3), "SEK": ("SEK ", "kronor", 0.14), "NOK": ("NOK ", "kroner", 0.16), "DKK": ("DKK ", "kroner", 0.18),
    "GBP": ("£", "pounds", 1.6), "USD": ("$", "dollars", 1.0), "CAD": ("C$", "Canadian dollars", 0.9), "CHF": ("CHF ", "francs", 0.9),
    "PLN": ("PLN ", "zlotys", 0.3), "JPY": ("¥", "yen", 0.009), "CNY": ("CNY ", "yuan", 0.15), "HKD": ("HK$", "Hong Kong dollars", 0.13),
    "SGD": ("S$", "Singapore dollars", 0.75), "INR": ("Rs ", "rupees", 0.02),
}  # fmt: skip
_SHORT_SCALES: Final = {"mn": ("mn", "m", "mln"), "bn": ("bn", "bn", "bln"), "crore": ("crore", "crore", "cr")}
_LONG_SCALES: Final = {"mn": "million", "bn": "billion", "crore": "crore"}
_RANGES: Final = {"mn": (0.3, 900.0), "bn": (1.0, 40.0), "crore": (5.0, 4_000.0), "": (30_000.0, 990_000.0)}


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that is compared: more of it is good for the share (1), bad (-1), or neither (0)."""

    good: Literal[-1, 0, 1]
    form: Form
    names: str
    plural: bool = False
    weight: float = 1.0
    low: float = 300.0  # of counts: least and most
    high: float = 900_000.0
    largest_change: float = LARGEST_CHANGE
    up: str = ""  # verbs of its own, beside those of every quantity
    down: str = ""


class Value(NamedTuple):
    """A number and how the sentence writes it."""

    number: float  # as displayed: in the unit that the text shows; a loss is negative; of a grade, its place in the scale
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values of one quantity."""

    name: str
    quantity: Quantity
    before: Value
    now: Value
    by: str = ""  # change as a share of the value before, or in percentage points; no sign; empty: makes no sense here
    by_amount: str = ""

    @property
    def direction(self) -> int:
        """1 up, -1 down, 0 the same."""
        return (self.now.number > self.before.number) - (self.now.number < self.before.number)

    @property
    def change(self) -> float:
        """Size of the change as a share of the value before, without a sign."""
        return abs(self.now.number - self.before.number) / max(abs(self.before.number), 1e-9)

    @property
    def sentiment(self) -> int:
        """Index in names.SENTIMENTS: more of a good thing is positive (2), more of a bad one negative (0)."""
        return 1 + self.direction * self.quantity.good


@dataclass(slots=True)
class Notation:
    """How one sentence writes amounts, shares of a whole and counts; drawn once, so that a sentence is of one piece."""

    chance: random.Random
    code: str
    scale: str = field(init=False)
    _money: Callable[[str], str] = field(init=False)
    _bare: Callable[[str], str] = field(init=False)
    _unit: Callable[[str], str] = field(init=False)
    _percent: str = field(init=False)

    def __post_init__(self) -> None:
        """Draw the style."""
        chance, code = self.chance, self.code
        symbol, word, _ = _CURRENCIES[code]
        weights = {"crore": (0, 0, 8, 1), "yen": (3, 6, 0, 0)}.get("crore" if code == "INR" else word, (8, 1.2, 0, 1))
        self.scale = chance.choices(("mn", "bn", "crore", ""), weights)[0]
        short = chance.choice(_SHORT_SCALES.get(self.scale, ("",)))
        long = _LONG_SCALES.get(self.scale, "")
        style = chance.choices(("code", "tight", "symbol", "words"), (6, 1, 3, 2))[0]
        scale = {"code": chance.choice((short, long)), "tight": short, "symbol": chance.choice((long, short)), "words": long}[style]
        lead = {"code": f"{code} ", "tight": code, "symbol": symbol, "words": ""}[style]
        gap = "" if style == "tight" or (style == "symbol" and scale in ("m", "bn")) or not scale else " "
        tail = f" {word}" if style == "words" else ""
        self._bare = lambda digits: f"{digits}{gap}{scale}"
        self._money = lambda digits: f"{lead}{digits}{gap}{scale}{tail}"
        self._unit = lambda digits: f"{lead}{digits}{tail}"
        self._percent = chance.choices(("%", " %", " percent", " per cent", " pct"), (6, 5, 2, 1, 1))[0]

    def amount(self) -> float:
        """A plausible amount in the unit that is written."""
        low, high = _RANGES[self.scale]
        return math.exp(self.chance.uniform(math.log(low), math.log(high)))

    def digits(self, value: float, decimals: int) -> str:
        """A number with commas between thousands."""
        return f"{round(value, decimals):,.{max(decimals, 0)}f}"

    def decimals(self, value: float, form: Form) -> int:
        """How many decimals a value of a form is written with; negative: rounded to tens and more."""
        if form in ("share", "price"):
            return 2 if value < 100 else 1
        if form == "percent":
            return self.chance.choice((1, 1, 1, 0, 2)) if value >= 8 else 1
        if form == "count":
            return self.chance.choice((0, -1)) if value < 5_000 else self.chance.choice((-1, -2, -3)) if value < 200_000 else -3
        if self.scale == "":
            return self.chance.choice((-3, -3, -2))
        return 0 if value >= 300 else self.chance.choice((0, 1)) if value >= 30 else self.chance.choice((1, 1, 2))

    def money(self, value: float | None = None, *, dollars: bool = True) -> str:
        """An amount; of no value given, a plausible one."""
        value = self.amount() if value is None else value
        return self.write(value, "money", self.decimals(value, "money"), dollars=dollars)

    def percent(self, low: float, high: float) -> str:
        """A share of a whole between two bounds."""
        value = self.chance.uniform(low, high)
        return self.digits(value, self.chance.choice((0, 1, 1, 2)) if value >= 2 else 1) + self._percent

    def write(self, value: float, form: Form, decimals: int, *, elided: bool = False, dollars: bool = False) -> str:
        """A value in a form; elided: without its currency, since the value before it has one."""
        digits = self.digits(value, decimals)
        if form == "percent":
            return digits + self._percent
        if form == "count":
            return digits
        if form in ("share", "price"):
            return self._unit(digits)
        if form == "money" and elided:
            return self._bare(digits)
        text = self._money(digits)
        in_dollars = value * _CURRENCIES[self.code][2]
        if dollars and self.code != "USD" and self.scale in ("mn", "bn") and in_dollars >= 1 and self.chance.random() < DOLLARS_SHARE:
            text += f" (USD {self.digits(in_dollars, 1)} {self.scale})"
        return text

    def points(self, value: float, decimals: int) -> str:
        """A difference of two shares of a whole."""
        return f"{self.digits(value, decimals)} percentage points"


def compare(
    quantity: Quantity, name: str, *, direction: int, notation: Notation, scale: tuple[str, ...] = (), cross: bool = False
) -> Comparison:
    """Draw two values of a quantity.

    Args:
        quantity: what is compared.
        name: how the sentence calls it.
        direction: 1 up, -1 down, 0 the same.
        notation: how the sentence writes numbers.
        scale: of a grade, the grades from worst to best.
        cross: of a result, a profit on one side and a loss on the other.
    """
    chance = notation.chance
    if quantity.form == "grade":
        worse, better = sorted(chance.sample(range(len(scale)), 2))
        first, last = (worse, better) if direction > 0 else (better, worse)
        return Comparison(name, quantity, Value(first, scale[first]), Value(last, scale[last]))
    if quantity.form == "result":
        return _compare_results(quantity, name, direction=direction, notation=notation, cross=cross)
    low, decimals = _lower(quantity, notation)
    high = _higher(quantity, low, decimals, chance) if direction else low
    before, now = (low, high) if direction >= 0 else (high, low)
    elided = chance.random() < 0.25
    write = notation.write
    by, by_amount = "", ""
    if quantity.form == "percent":
        by = notation.points(high - low, decimals)
    elif direction:
        share = 100 * (high - low) / before
        by = write(share, "percent", 0 if share >= 10 and chance.random() < 0.4 else 1)
        by_amount = write(high - low, quantity.form, decimals)
    return Comparison(
        name,
        quantity,
        Value(before, write(before, quantity.form, decimals, elided=elided)),
        Value(now, write(now, quantity.form, decimals, dollars=True)),
        by,
        by_amount,
    )


def _lower(quantity: Quantity, notation: Notation) -> tuple[float, int]:
    """The lower of two values, as displayed, and its decimals."""
    chance, form = notation.chance, quantity.form
    if form == "count":
        value = math.exp(chance.uniform(math.log(quantity.low), math.log(quantity.high)))
    elif form == "percent":
        value = chance.uniform(3, 55)
    elif form == "share":
        value = chance.uniform(0.04, 3.5)
    elif form == "price":
        value = chance.uniform(2, 80)
    else:
        value = notation.amount()
    if form in ("share", "price") and notation.code in ("JPY", "INR"):
        value *= 30
    decimals = notation.decimals(value, "money" if form == "result" else form)
    return max(round(value, decimals), 10.0**-decimals), decimals


def _higher(quantity: Quantity, low: float, decimals: int, chance: random.Random) -> float:
    """A value above it, as displayed: by a share of it, mostly a small one."""
    while True:
        change = math.exp(chance.uniform(math.log(SMALLEST_CHANGE), math.log(quantity.largest_change)))
        high = round(min(low * (1 + change), low + 9) if quantity.form == "percent" else low * (1 + change), decimals)
        if high <= low:
            high = round(low + 10.0**-decimals, decimals)
        if high > low:
            return high


def _compare_results(quantity: Quantity, name: str, *, direction: int, notation: Notation, cross: bool) -> Comparison:
    """Results have a sign: the better one of a pair is a profit, the worse one a loss or a smaller profit."""
    chance = notation.chance
    low, decimals = _lower(quantity, notation)
    high = _higher(quantity, low, decimals, chance)
    pairs = [(-low, high), (-high, low)] if cross else [(-low, high), (-high, low), (-high, -low), (low, high)]
    worse, better = chance.choice(pairs)
    before, now = (worse, better) if direction > 0 else (better, worse)
    signed = chance.random() < 0.3
    texts = [_result_text(value, decimals, notation, signed=signed) for value in (before, now)]
    return Comparison(
        name, quantity, Value(before, texts[0]), Value(now, texts[1]), by_amount=notation.write(high - low, "money", decimals)
    )


def _result_text(value: float, decimals: int, notation: Notation, *, signed: bool) -> str:
    if signed:
        minus = notation.digits(value, decimals)
        return notation.write(abs(value), "money", decimals).replace(minus.removeprefix("-"), minus, 1)
    return f"{'a loss' if value < 0 else 'a profit'} of {notation.write(abs(value), 'money', decimals)}"
