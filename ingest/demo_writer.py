"""How the demo archive's people, outlets and sentences are put together: pools of sentences filled by one seeded chance."""

import csv
import random
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from pathlib import Path
from string import Formatter
from typing import Final, NamedTuple

from ingest import demo_texts as texts

CATALOGUE: Final = Path(__file__).with_name("demo_catalogue.csv")
_SECTORS_OF: Final = {"financial_institutions": ("bank", "insurer"), "commodities_energy": ("energy", "mining")}


class Source(NamedTuple):
    """An invented outlet or platform, with its hours, its mix of tones and its delay."""

    name: str
    language: str
    kind: str
    weight: float  # share of the documents
    lag_s: int  # mean delay from published to known
    peak_hour: int  # UTC
    weekend: float  # volume on Saturday and Sunday, relative to a weekday
    mix: tuple[float, float, float]  # negative, neutral, positive
    identity: str  # which of "id", "url" and "author" its lines carry


class Company(NamedTuple):
    """An invented company."""

    entity_id: str
    en: str
    zh: str
    sector: str
    ticker: str


@cache
def _parsed(template: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((literal, field) for literal, field, _, _ in Formatter().parse(template))


def companies() -> list[Company]:
    """Every invented company, the best known first."""
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Company(row["entity_id"], row["name_en"], row["name_zh"], row["sector"], row["tickers"]) for row in rows]


class Writer:
    """Turns pools of sentences into titles, texts and comments; all chance comes from one seeded stream."""

    def __init__(self, rng: random.Random, companies: Sequence[Company]) -> None:
        self.rng = rng
        self.companies = companies
        self._weights = list(accumulate(1 / (place + 6) for place in range(len(companies))))
        self._by_topic = {topic: [company for company in companies if company.sector in sectors] for topic, sectors in _SECTORS_OF.items()}

    def company(self, topic: str = "") -> Company:
        """A company that such news is about; the first ones of the catalogue most often."""
        if topic in self._by_topic:
            return self.rng.choice(self._by_topic[topic])
        return self.rng.choices(self.companies, cum_weights=self._weights)[0]

    def fill(self, template: str, language: str, company: Company, *, tickers: bool = False) -> str:
        """A template with its slots filled; begins with a capital."""
        parts = []
        for literal, field in _parsed(template):
            parts.append(literal)
            if field is not None:
                parts.append(self._value(field, language, company, tickers=tickers))
        done = "".join(parts)
        return done[:1].upper() + done[1:]

    def _value(self, field: str, language: str, company: Company, *, tickers: bool) -> str:
        rng, slots = self.rng, texts.SLOTS[language]
        match field:
            case "c":
                return f"${company.ticker}" if tickers and rng.random() < 0.5 else str(getattr(company, language))
            case "k":
                other = self.company()
                return str(getattr(other if other is not company else self.companies[-1], language))
            case "n":
                return str(rng.randrange(2, 40)) if rng.random() < 0.5 else f"{rng.randrange(2, 40)}.{rng.randrange(1, 10)}"
            case "d":
                return str(rng.randrange(12, 980))
            case "m":
                return rng.choice(slots["m"]).format(rng.randrange(2, 99), few=rng.randrange(2, 20))
            case "x":
                return texts.PRODUCTS[company.sector][language == "zh"]
            case "p":
                return rng.choice(slots["p"]) + (" " if language == "en" else "") + rng.choice(slots["s"])
        return rng.choice(slots[field])

    def news(self, clause: str, language: str, feeling: int, company: Company, *, second: str = "") -> tuple[str, str]:
        """A headline and a lead of one or two sentences."""
        rng = self.rng
        title = self.fill(clause, language, company)
        if rng.random() < 0.6:
            tail = self.fill(rng.choice(texts.TAILS[language]), language, company)
            title += tail if tail[0] in ",，（" else " " + tail[0].lower() + tail[1:]
        bodies = rng.sample(texts.REACTIONS[language][feeling], 2 if rng.random() < 0.6 else 1)
        return title, self.sentences([bodies[0], *([second] if second else bodies[1:])], language, company)

    def sentences(self, templates: Sequence[str], language: str, company: Company) -> str:
        """Filled templates as running text."""
        stop, space = (".", " ") if language == "en" else ("。", "")
        return space.join(self.fill(template, language, company) + stop for template in templates)

    def comment(self, clause: str, language: str, feeling: int, company: Company) -> str:
        """What somebody writes on a platform: an opener, the matter, two closers."""
        rng, space = self.rng, " " if language == "en" else ""
        opener = self.fill(rng.choice(texts.OPENERS[language][feeling]), language, company)
        middle = self.fill(clause, language, company, tickers=language == "en")
        closer = self.fill((", " if space else "，").join(rng.sample(texts.CLOSERS[language][feeling], 2)), language, company)
        return f"{opener}{space}{middle}{rng.choice([', ', '… ', '. ', '! ']) if space else '，'}{closer}"

    def handle(self, source: Source) -> str:
        """An author's handle, where the platform gives one."""
        rng = self.rng
        if "author" not in source.identity:
            return ""
        return f"ox_{rng.randrange(900)}" if source.language == "en" else f"潮友{rng.randrange(700)}"
