"""One synthetic sentence's world: its companies, place, period, people and figures, and what each slot of a frame says of them."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Final, NamedTuple

from models.synthetic_figures import LEAP, NUDGE, Comparison, Notation, compare
from models.synthetic_grammar import PART, SIDE, Group, Region, Words, directions, items

MARKS: Final[Mapping[str, str]] = MappingProxyType({"A": "\ue001", "B": "\ue002", "bank": "\ue003"})
"""A company's place in a sentence, until its spelling is decided."""
MARK: Final = re.compile("[\ue001-\ue003]")

FLAT: Final = 0.75  # of the neutral comparisons that may be of two equal values are
BANK_TAILS: Final = ("Securities", "Markets", "Bank", "Capital", "Research")
NAME_TRIES: Final = 100

_CHOICE: Final = re.compile(r"\[([^\[\]]*)\]")
_SLOT: Final = re.compile(r"\{([A-Za-z_]+)(\d*)\}")
_COUNTABLE: Final = re.compile(
    r"(?:profit|loss|margin|rate|ratio|book|backlog|dividend|result|headcount|turnover|position|estimate|target)$|^(?:profit|loss|number) "
)
_VERB_FORMS: Final = {"move": 0, "moves": 1, "moved": 2, "moved_on": 3, "moving": 4}
_UP_OR_DOWN: Final = {
    "up": ("up", "down"), "higher": ("higher", "lower"), "more": ("more", "less"),
    "change": ("[rise|increase|growth]", "[fall|decrease|decline|drop]"),
    "a_change": ("[a rise|an increase|growth]", "[a fall|a decrease|a decline|a drop]"),
}  # fmt: skip
_QUARTERS: Final = ("first", "second", "third", "fourth")
_SPANS: Final = ("January-March", "January-June", "January-September", "October-December", "April-June", "July-September")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
)  # fmt: skip


class Company(NamedTuple):
    """An invented company."""

    short: str
    long: str  # with its legal form
    described: str  # what it is: "Finnish paper maker"


class Home(NamedTuple):
    """Where a company sits."""

    region: Region
    country: str
    adjective: str
    currency: str
    cities: tuple[str, ...]


@dataclass(slots=True)
class Scene:
    """What one sentence speaks of. Slots are drawn when they are first met and keep their value."""

    words: Words
    chance: Random
    sentiment: int
    group: Group
    home: Home = field(init=False)
    notation: Notation = field(init=False)
    year: int = field(init=False)
    companies: dict[str, Company] = field(init=False, default_factory=dict)
    comparisons: list[Comparison] = field(init=False, default_factory=list)
    _sector: str = field(init=False)
    _said: dict[str, str] = field(init=False, default_factory=dict)
    _draw: dict[str, Callable[[], str]] = field(init=False)

    def __post_init__(self) -> None:
        """Draw place, field of business and year; and the comparison, which the frame's label rests on."""
        self.home = self._place()
        self.notation = Notation(self.chance, self.home.currency)
        self.year = self.chance.randint(1999, 2024)
        self._sector = self.chance.choice(list(self.words.sectors))
        self._draw = {**self._figures(), **self._time(), **self._facts()}
        self._say_period()
        if self.group.label == "compare":
            self._compare()

    def expand(self, text: str) -> str:
        """A frame, a list item or a lead-in with every choice made and every slot filled."""
        text = SIDE.sub(lambda found: f"[{found[1].split('//')[PART[self.sentiment]]}]", text)
        while found := _CHOICE.search(text):
            text = text[: found.start()] + self.chance.choice(found[1].split("|")) + text[found.end() :]
        return _SLOT.sub(lambda slot: self.slot(slot[1], slot[2]), text)

    def slot(self, name: str, number: str = "") -> str:
        """What a slot says; with a number, the same slot's further draws.

        Raises:
            KeyError: no such slot.
        """
        key = name + number
        if name in MARKS:
            if name not in self.companies:
                self.companies[name] = self._company(name)
            return MARKS[name]
        if key not in self._said:
            draw = self._draw.get(key) or self._draw.get(name)
            self._said[key] = self.expand(draw() if draw else self._listed(name, key))
        return self._said[key]

    def _listed(self, name: str, key: str) -> str:
        """An item of a list; of numbered slots, one that has not been said yet."""
        sector = self.words.sectors[self._sector]
        options = items(getattr(sector, name) if name in sector.__struct_fields__ else self.words.lists[name])
        said = {self._said.get(name + number) for number in ("", "2", "3") if name + number != key}
        return self.chance.choice([option for option in options if option not in said])

    # --- companies ---------------------------------------------------------------------------------------------------------
    def _place(self) -> Home:
        region = self.chance.choice(list(self.words.regions.values()))
        country, adjective, currency, cities = self.chance.choice(region.countries.split(" / ")).split(":")
        return Home(region, country, adjective, currency, tuple(cities.split(",")))

    def _company(self, key: str) -> Company:
        chance = self.chance
        home = self.home if key == "A" or chance.random() < 0.4 else self._place()
        sector = self.words.sectors[self._sector if key == "A" or chance.random() < 0.5 else chance.choice(list(self.words.sectors))]
        taken = {word for company in self.companies.values() for word in company.short.split()}
        for _ in range(NAME_TRIES):
            root = chance.choice(items(home.region.first)) + chance.choice(items(home.region.second))
            if root not in taken:
                break
        tails = BANK_TAILS if key == "bank" else items(sector.tail)
        short = f"{root} {chance.choice(tails)}" if key == "bank" or chance.random() < 0.45 else root
        maker = "broker" if key == "bank" else chance.choice(items(sector.maker))
        return Company(short, f"{short} {chance.choice(items(home.region.legal))}", f"{home.adjective} {maker}")

    # --- comparisons -------------------------------------------------------------------------------------------------------
    def _compare(self) -> None:
        group = self.group
        self._add(directions(self.words, group, self.sentiment), taken="")
        if group.second:
            wanted = self.sentiment if group.second == "same" else 2 - self.sentiment
            kinds = group.second_kinds or group.kinds
            pairs = [pair for pair in directions(self.words, group, wanted, kinds=kinds) if pair[1]]
            self._add(pairs, taken=self.comparisons[0].name)

    def _add(self, pairs: list[tuple[str, int]], *, taken: str) -> None:
        """Draw one more comparison among (quantity, direction) pairs."""
        moving = [pair for pair in pairs if pair[1]]
        still = [pair for pair in pairs if not pair[1]]
        pairs = still if still and (not moving or self.chance.random() < FLAT) else moving
        kind, direction = self.chance.choices(pairs, [self.words.quantities[name].weight for name, _ in pairs])[0]
        quantity = self.words.quantities[kind]
        name = self.expand(self.chance.choice([name for name in items(quantity.names) if name != taken]))
        scale = tuple(items(self.words.grades[kind])) if quantity.form == "grade" else ()
        self.comparisons.append(compare(quantity, name, direction=direction, notation=self.notation, scale=scale, cross=self.group.cross))
        number = "" if len(self.comparisons) == 1 else str(len(self.comparisons))
        self._said |= {key + number: value for key, value in self._spoken(self.comparisons[-1]).items()}

    def _spoken(self, comparison: Comparison) -> dict[str, str]:
        """The slots of a comparison. What makes no sense for it is absent, so that a frame that needs it fails loudly."""
        name, plural = comparison.name, comparison.quantity.plural
        article = "" if plural or not _COUNTABLE.search(name) else "an " if name[0] in "aeiou" or name.startswith("EB") else "a "
        said = {
            "quantity": name,
            "a_quantity": article + name,
            "was": "were" if plural else "was",
            "is": "are" if plural else "is",
            "has": "have" if plural else "has",
            "now": comparison.now.text,
            "before": comparison.before.text,
        }
        if comparison.by:
            said["by"] = comparison.by
        if comparison.by_amount:
            said["by_amount"] = comparison.by_amount
        if comparison.quantity.form == "result":
            said["now_abs"], said["before_abs"] = (_unsigned(value.text) for value in (comparison.now, comparison.before))
        if comparison.direction:
            rising = comparison.direction > 0
            said |= {key: self.expand(pair[0 if rising else 1]) for key, pair in _UP_OR_DOWN.items()}
            forms = [form.replace("_", " ") for form in self._verb(comparison).split()]
            said |= {key: forms[0 if plural and key == "moves" else place] for key, place in _VERB_FORMS.items()}
        return said

    def _verb(self, comparison: Comparison) -> str:
        rising = comparison.direction > 0
        own = comparison.quantity.up if rising else comparison.quantity.down
        verbs = items(self.words.verbs["up" if rising else "down"])
        if own:
            verbs += items(own) * 3
        if comparison.change >= LEAP:
            verbs += items(self.words.verbs["leap" if rising else "plunge"])
        elif comparison.change < NUDGE:
            verbs += items(self.words.verbs["edge_up" if rising else "edge_down"])
        return self.chance.choice(verbs)

    # --- figures, time, facts ------------------------------------------------------------------------------------------------
    def _figures(self) -> dict[str, Callable[[], str]]:
        chance, notation = self.chance, self.notation
        amount = notation.amount()
        price = chance.uniform(0.8, 60)
        whole = chance.choice((51, 60, 49, 75, 80, 70, 40))
        decimals = notation.decimals(amount, "money")

        def priced(factor: float) -> Callable[[], str]:
            return lambda: notation.write(price * factor, "price", 2)

        return {
            "money": lambda: notation.write(amount, "money", decimals, dollars=True),
            "money2": lambda: notation.write(max(amount * chance.uniform(0.1, 0.6), 10.0**-decimals), "money", decimals),
            "pershare": lambda: notation.write(math.exp(chance.uniform(math.log(0.04), math.log(3))), "price", 2),
            "move_pct": lambda: notation.percent(0.2, 9),
            "coupon": lambda: notation.percent(2, 9),
            "index": lambda: notation.digits(chance.uniform(900, 12_000), chance.choice((0, 1, 2))),
            "shares": lambda: notation.digits(10 ** chance.uniform(4, 7.5), chance.choice((0, 0, -2, -3))),
            "price": priced(1.0), "price2": priced(1.15), "price3": priced(1.3),
            "smallprice": lambda: notation.write(chance.choice((4.9, 19, 49, 99, 149, 299, 599)), "price", chance.choice((0, 2))),
            "fee": lambda: notation.write(chance.randrange(15, 90) * 1_000, "price", 0),
            "pct": lambda: notation.percent(1.5, 38),
            "own": lambda: notation.write(whole, "percent", 0), "rest": lambda: notation.write(100 - whole, "percent", 0),
            "count": lambda: notation.digits(10 ** chance.uniform(2.5, 5.3), -2),
            "staff": lambda: notation.digits(10 ** chance.uniform(1.2, 3.6), chance.choice((0, -1))),
            "area": lambda: f"{notation.digits(10 ** chance.uniform(2.8, 4.8), -2)} [square metres|square meters|sqm|m2]",
            "age": lambda: str(chance.randint(34, 63)), "page": lambda: str(chance.randint(11, 140)),
        }  # fmt: skip

    def _time(self) -> dict[str, Callable[[], str]]:
        chance = self.chance
        first, second = sorted(chance.sample(range(12 * 28), 2))
        style = chance.choice(("{day} {month} {year}", "{month} {day}, {year}", "{day} {month}", "{month} {day}", "{day}.{number}.{year}"))

        def dated(place: int) -> Callable[[], str]:
            month, day = divmod(place, 28)
            return lambda: style.format(day=day + 1, month=_MONTHS[month], number=month + 1, year=self.year)

        return {
            "date": dated(first), "date2": dated(second),
            "year": lambda: str(self.year), "prev_year": lambda: str(self.year - 1), "next_year": lambda: str(self.year + 1),
            "old_year": lambda: str(self.year - chance.randint(4, 110)),
            "time": lambda: f"{chance.randint(8, 17)}[:|.]{chance.choice(('00', '15', '30', '45'))} [am|CET|local time|EET|]",
        }  # fmt: skip

    def _say_period(self) -> None:
        """The period reported on and the one before it, long and short; both from one drawing, so that they compare."""
        quarter, span = self.chance.randrange(4), self.chance.choice(_SPANS)
        name, ends = _QUARTERS[quarter], "-".join(month[:3] for month in span.split("-"))
        long, short = self.chance.choice(
            (
                (f"the {name} quarter of {{}}", f"Q{quarter + 1}"),
                (f"the {name} quarter of {{}}", f"Q{quarter + 1} {{}}"),
                (f"{span} {{}}", f"{span} {{}}"),
                (f"{span} {{}}", ends),
                ("the first half of {}", "H1"),
                ("the first nine months of {}", "9-month"),
                ("the six months to June {}", "half-year"),
                ("the financial year {}", "full-year"),
                ("{}", "FY{}"),
            )
        )
        before = "the [same period|corresponding period|comparison period] [a year earlier|of the previous year]"
        self._said["period"], self._said["short_period"] = long.format(self.year), short.format(self.year)
        self._said["prev_period"] = self.expand(before) if self.chance.random() < 0.25 else long.format(self.year - 1)
        self._said["short_prev_period"] = (short if "{}" in short else short + " {}").format(self.year - 1)

    def _facts(self) -> dict[str, Callable[[], str]]:
        return {
            "home": lambda: self.home.country,
            "nationality": lambda: self.home.adjective,
            "city": lambda: self.chance.choice(self.home.cities),
            "person": lambda: "{given} {family}",
            "person2": lambda: "{given2} {family2}",
            "person3": lambda: "{given3} {family3}",
            "person4": lambda: "{given4} {family4}",
            "ticker": lambda: self._ticker(),
        }

    def _ticker(self) -> str:
        self.slot("A")
        letters = re.sub("[AEIOU ]", "", self.companies["A"].short.upper())
        return letters[:3] + self.chance.choice(("1V", "AS", "", "B"))


def _unsigned(text: str) -> str:
    return text.removeprefix("a loss of ").removeprefix("a profit of ").replace("-", "")
