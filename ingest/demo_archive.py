"""The synthetic demo archive: 60 days of invented news and comments in English and Chinese, made by a seeded script.

    python -m ingest.demo_archive demo.jsonl.gz

Every company (ingest/demo_catalogue.csv), outlet, person and sentence is invented; no line carries a label. About 30,000
documents from 13 outlets and three comment platforms, each with its own hours, weekend, mix and delay; counts are
overdispersed (gamma-mixed Poisson), some stories are syndicated word for word, half a per cent arrives hours late.
Planted, each with a switch in `DemoSpec`; E is the archive's end (2026-06-30T15:00:00Z unless given):

- `bank_run`, [E - 6 h, E - 5 min]: Linlan Bank 临澜银行 loses its depositors. 120 documents in two languages, 38 headlines
  from ten outlets, some syndicated, and comments; three quarters are out one hour before the end.
- `copy_storm`, [E - 4 d - 2 h, E - 4 d]: 400 accounts repost one negative comment about Orrin Motors, with small prefixes
  and cut tails: one text repeated, not an opinion that turned.
- `silence`, [E - 20 d, E - 8 d): Brightline Releases, one of the largest sources and a mostly positive one, sends
  nothing, then returns at its full rate. It is the cheerful side of what is said of Skyferrion Freight: while it is
  silent only the critics are heard, and nothing has turned.
- `drift`, the last 40 days (or from the archive's second day): negative news of Castellan Homes grows sixteenfold, by 7 % a
  day. Must not fire.
- `strays`: six edits (same id or url, other text), six exact repeats, a Finnish and a Thai line, all before E - 2 d.

Switching one plant off leaves every other line as it was. Equal settings give equal bytes.
"""

import argparse
import gzip
import math
import random
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from groundswell import names
from groundswell.errors import UsageError
from ingest import demo_texts as texts
from ingest.demo_writer import CATALOGUE, Source, Writer, companies

__all__ = ["CATALOGUE", "DEMO_END", "SMALL_DEMO", "DemoSpec", "main", "spec_lines", "write_demo"]

DEMO_END: Final = datetime(2026, 6, 30, 15, tzinfo=UTC)
DAYS_MIN: Final = 28
NEGATIVE, NEUTRAL, POSITIVE = range(3)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


class DemoSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive shall hold: its size, its seed and which plants are on."""

    days: int = 60  # at least 28
    per_day: int = 460  # documents a day on average, the plants not counted
    seed: int = 7
    bank_run: bool = True
    copy_storm: bool = True
    silence: bool = True
    drift: bool = True
    strays: bool = True


SMALL_DEMO: Final = DemoSpec(days=30, per_day=60)  # about 3,500 documents, every plant in it: for tests


_EVEN: Final = (0.27, 0.43, 0.30)
_SOURCES: Final = (
    Source("Harbour Wire", "en", "news", 0.10, 20, 14, 0.6, _EVEN, "id"),
    Source("Brightline Releases", "en", "news", 0.12, 45, 13, 0.1, (0.04, 0.46, 0.50), "url"),
    Source("Meridian Post", "en", "news", 0.06, 90, 11, 0.7, (0.32, 0.42, 0.26), "url"),
    Source("The Ledger Daily", "en", "news", 0.05, 240, 6, 0.4, (0.30, 0.45, 0.25), "url"),
    Source("Northgate Markets", "en", "news", 0.06, 30, 17, 0.1, _EVEN, "id"),
    Source("Copperline Business", "en", "news", 0.04, 150, 15, 0.3, (0.35, 0.40, 0.25), ""),
    Source("Oxbow Notes", "en", "report", 0.02, 300, 8, 0.1, (0.30, 0.35, 0.35), "id"),
    Source("Exchange Notices", "en", "filing", 0.01, 0, 0, 0.0, (0.15, 0.70, 0.15), "id"),
    Source("临江财讯", "zh", "news", 0.06, 25, 3, 0.5, _EVEN, "id"),
    Source("海岸早报", "zh", "news", 0.04, 200, 0, 0.7, (0.30, 0.40, 0.30), "url"),
    Source("明河证券报", "zh", "news", 0.03, 120, 7, 0.2, (0.25, 0.40, 0.35), "url"),
    Source("青石观察", "zh", "news", 0.02, 180, 9, 0.6, (0.38, 0.37, 0.25), ""),
    Source("北岭快讯", "zh", "news", 0.02, 15, 5, 0.4, _EVEN, "id"),
    Source("Tickertalk", "en", "comment", 0.15, 5, 18, 0.5, (0.30, 0.34, 0.36), "id author"),
    Source("潮声社区", "zh", "comment", 0.12, 5, 8, 0.6, (0.34, 0.32, 0.34), "id author"),
    Source("Openfloor", "en", "comment", 0.06, 12, 20, 0.8, (0.33, 0.34, 0.33), ""),
)
_BY_NAME: Final = {source.name: source for source in _SOURCES}
_SILENT: Final = "Brightline Releases"
_BY_MINUTE: Final = "The Ledger Daily"  # writes its times without seconds
_WIRES: Final = tuple(source for source in _SOURCES if source.kind in ("news", "report") and source.name != _SILENT)
_TOPICS_OF: Final = {  # weights in the order of names.TOPICS
    "news": (12, 7, 7, 10, 7, 8, 4, 10, 7, 9, 6, 6, 11, 5),
    "comment": (9, 6, 4, 5, 4, 5, 3, 12, 5, 6, 9, 4, 22, 6),
    "report": (10, 50, 8, 8, 0, 4, 0, 6, 8, 6, 0, 0, 0, 0),
    "filing": (30, 0, 20, 0, 10, 25, 15, 0, 0, 0, 0, 0, 0, 0),
    _SILENT: (20, 0, 3, 0, 3, 14, 10, 42, 8, 0, 0, 0, 0, 0),
}


class _Doc(NamedTuple):
    """A line before it is written; times in seconds since 1970."""

    known_s: int
    published_s: int
    source: Source
    title: str
    text: str = ""
    author: str = ""
    language: str = ""  # where it is not the source's own


def spec_lines(spec: DemoSpec, *, end: datetime) -> Iterator[dict[str, str]]:
    """Archive lines of a specification, in the order in which they became known.

    Raises:
        UsageError: fewer days than the plants need, no documents, or an end without a zone.

    >>> first = next(spec_lines(SMALL_DEMO, end=DEMO_END))
    >>> {"source", "kind", "title", "language", "published_at"} <= set(first), first["known_at"] >= first["published_at"][:16]
    (True, True)
    """
    if spec.days < DAYS_MIN or spec.per_day < 1 or end.tzinfo is None:
        message = f"demo archive: days must be at least {DAYS_MIN}, per_day at least 1 and end have a zone; got {spec}, {end}; correct it"
        raise UsageError(message)
    return _Maker(spec, int(end.timestamp())).lines()


def write_demo(path: Path, spec: DemoSpec | None = None, *, end: datetime = DEMO_END) -> tuple[int, int]:
    """Write a packed archive file; equal settings give equal bytes.

    Returns:
        The number of documents and of bytes.
    """
    encode = msgspec.json.Encoder().encode
    count = 0
    with path.open("wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        for line in spec_lines(spec or DemoSpec(), end=end):
            packed.write(encode(line) + b"\n")
            count += 1
    return count, path.stat().st_size


def _iso(seconds: int, *, minute: bool = False) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[: 16 if minute else 19] + "Z"


class _Maker:
    """One archive: the everyday lines, then each plant from its own stream of chance."""

    def __init__(self, spec: DemoSpec, end_s: int) -> None:
        self.spec, self.end_s = spec, end_s
        self.start_s = end_s - spec.days * _DAY
        self.companies = companies()
        self.named = {company.entity_id: company for company in self.companies}

    def lines(self) -> Iterator[dict[str, str]]:
        everyday = [*self._everyday(), *self._coverage()]
        docs = [doc for doc in everyday if not (self.spec.silence and self._is_silent(doc))]
        if self.spec.bank_run:
            docs += self._bank_run()
        if self.spec.copy_storm:
            docs += self._copy_storm()
        if self.spec.drift:
            docs += self._drift()
        if self.spec.strays:
            docs += self._strays(everyday)
        docs = [doc for doc in docs if self.start_s <= doc.known_s <= self.end_s]
        docs.sort(key=lambda doc: (doc.known_s, doc.source.name, doc.title, doc.text, doc.author))
        return map(_line, docs)

    def _writer(self, part: str) -> Writer:
        return Writer(random.Random(f"{self.spec.seed}:{part}"), self.companies)

    def _is_silent(self, doc: _Doc) -> bool:
        return doc.source.name == _SILENT and self.end_s - 20 * _DAY <= doc.published_s < self.end_s - 8 * _DAY

    def _everyday(self) -> Iterator[_Doc]:
        writer = self._writer("everyday")
        for hour_s in range(self.start_s, self.end_s, _HOUR):
            for source in _SOURCES:
                rate = self.spec.per_day * source.weight / 24 * _season(source, hour_s) * writer.rng.gammavariate(8.0, 0.125)
                into = writer.rng.expovariate(rate) if rate > 0 else 1.0
                while into < 1:
                    yield from self._story(writer, source, hour_s + int(into * _HOUR))
                    into += writer.rng.expovariate(rate)

    def _story(self, writer: Writer, source: Source, published_s: int) -> Iterator[_Doc]:
        rng = writer.rng
        language = "zh" if source.name == "Openfloor" and rng.random() < 0.3 else source.language
        topic = rng.choices(names.TOPICS, _TOPICS_OF[_SILENT if source.name == _SILENT else source.kind])[0]
        feeling = rng.choices((NEGATIVE, NEUTRAL, POSITIVE), source.mix)[0]
        company = writer.company(topic)
        pool = texts.CLAUSES[language][topic][feeling]
        if source.kind == "comment":
            title, text = writer.comment(rng.choice(pool), language, feeling, company), ""
        else:
            clause, other = rng.sample(pool, 2)
            title, text = writer.news(clause, language, feeling, company, second=other if rng.random() < 0.3 else "")
        known_s = published_s + _lag_s(rng, source, published_s)
        doc = _Doc(known_s, published_s, source, title, text, writer.handle(source), language if language != source.language else "")
        yield doc
        if source.kind == "news" and source.name != _SILENT and rng.random() < 0.04:
            yield from _syndicated(rng, doc, rng.randrange(1, 4))

    def _coverage(self) -> Iterator[_Doc]:
        """Skyferrion Freight: thirty cheerful releases a day from one source, thirteen critical reports from the others."""
        writer, company = self._writer("coverage"), self.named["SkyferrionFreight"]
        rng = writer.rng
        critics = [wire for wire in _WIRES if wire.language == "en" and wire.kind == "news"]
        for day_s in range(self.start_s, self.end_s, _DAY):
            for feeling, count in ((POSITIVE, 30), (NEGATIVE, 13)):
                for _ in range(count):
                    source = _BY_NAME[_SILENT] if feeling == POSITIVE else rng.choice(critics)
                    at_s = day_s + rng.randrange(_DAY)
                    pool = texts.CLAUSES["en"][rng.choice(("company_product", "earnings_dividends"))][feeling]
                    clause, other = rng.sample(pool, 2)
                    title, text = writer.news(clause, "en", feeling, company, second=other)
                    yield _Doc(at_s + _lag_s(rng, source, at_s), at_s, source, title, text)

    def _bank_run(self) -> Iterator[_Doc]:
        writer, company = self._writer("bank_run"), self.named["LinlanBank"]
        rng = writer.rng
        begin_s, span_s = self.end_s - 6 * _HOUR, 6 * _HOUR - 5 * _MINUTE
        plan: list[tuple[str, str]] = [("news", language) for language in ("en", "zh") for _ in texts.BANK_RUN["titles"][language]]
        plan += [("copies", "")] * 14
        plan += [("comment", language) for language in ("en", "zh") for _ in range(27)]
        rng.shuffle(plan)
        pools = {part: {lang: rng.sample(pool, len(pool)) for lang, pool in by.items()} for part, by in texts.BANK_RUN.items()}
        leads: list[_Doc] = []
        # Counts grow with the power 1.8 of the time; the last tenth of a minute is left for the delays.
        for place, (part, language) in enumerate(plan):
            at_s = begin_s + int((span_s - 6) * ((place + rng.random()) / len(plan)) ** (1 / 1.8))
            if part == "news":
                source = [wire for wire in _WIRES if wire.language == language][len(leads) % 5]
                title = writer.fill(pools["titles"][language].pop(), language, company)
                text = writer.sentences(rng.sample(pools["bodies"][language], 2), language, company)
                leads.append(_Doc(at_s + rng.randrange(2, 6), at_s, source, title, text))
                yield leads[-1]
            elif part == "copies" and leads:
                for copy in _syndicated(rng, rng.choice(leads[-6:]), 2):
                    later_s = max(at_s, copy.published_s) + rng.randrange(5, 240)
                    yield copy._replace(published_s=min(later_s, begin_s + span_s - 6), known_s=min(later_s + 5, begin_s + span_s))
            elif part == "comment":
                source = rng.choice([each for each in _SOURCES if each.kind == "comment" and each.language == language])
                base = pools["comments"][language]
                clause = base[place % len(base)]
                title = writer.fill(clause, language, company, tickers=language == "en")
                if rng.random() < 0.5:
                    title = writer.comment(clause, language, NEGATIVE, company)
                yield _Doc(at_s + rng.randrange(2, 6), at_s, source, title, author=writer.handle(source))

    def _copy_storm(self) -> Iterator[_Doc]:
        writer, source = self._writer("copy_storm"), _BY_NAME["Tickertalk"]
        rng = writer.rng
        words = writer.fill(texts.STORM_TEXT, "en", self.named["OrrinMotors"]).split()
        begin_s = self.end_s - 4 * _DAY - 2 * _HOUR
        for account in rng.sample(range(900, 9_000), 400):
            at_s = begin_s + int(rng.betavariate(1.6, 3.2) * (2 * _HOUR - 10))
            cut = rng.choice((0, 0, 0, 1, 2, 3, 4))
            body = " ".join(words[: len(words) - cut]) + ("…" if cut else "")
            prefix = rng.choice(("", "RT ", f"RT @ox_{rng.randrange(900)}: ", "RT @ox_77: ", "this! ", "wow. "))
            yield _Doc(at_s + rng.randrange(1, 9), at_s, source, prefix + body, author=f"ox_{account}")

    def _drift(self) -> Iterator[_Doc]:
        writer, company = self._writer("drift"), self.named["CastellanHomes"]
        rng = writer.rng
        days = min(40, self.spec.days - 1)
        sources = [source for source in _SOURCES if source.kind in ("news", "comment") and source.name != _SILENT]
        for hour in range(days * 24):
            hour_s = self.end_s - days * _DAY + hour * _HOUR
            for source in sources:
                share = source.weight / sum(each.weight for each in sources)
                rate = 1.2 / 24 * share * 16 ** (hour / 24 / days) * _season(source, hour_s)
                into = rng.expovariate(rate)
                while into < 1:
                    at_s, language = hour_s + int(into * _HOUR), source.language
                    clause = rng.choice(texts.DRIFT[language])
                    if source.kind == "comment":
                        title, text = writer.comment(clause, language, NEGATIVE, company), ""
                    else:
                        title, text = writer.news(clause, language, NEGATIVE, company)
                    yield _Doc(at_s + _lag_s(rng, source, at_s), at_s, source, title, text, writer.handle(source))
                    into += rng.expovariate(rate)

    def _strays(self, everyday: list[_Doc]) -> Iterator[_Doc]:
        writer = self._writer("strays")
        rng = writer.rng
        last_s = self.end_s - 2 * _DAY
        able = [doc for doc in everyday if doc.source.kind == "news" and doc.known_s < last_s - _HOUR and not self._is_silent(doc)]
        chosen = rng.sample([doc for doc in able if doc.source.identity], 12)
        for place, doc in enumerate(chosen):
            later_s = doc.known_s + rng.randrange(3 * _MINUTE, 50 * _MINUTE)
            changed = doc.text + texts.LATE_WORDS[doc.source.language] if place < 6 else doc.text
            yield doc._replace(known_s=later_s, text=changed)
        for place, (language, title) in enumerate(texts.UNKNOWN):
            at_s = last_s - (place + 1) * _DAY
            yield _Doc(at_s + 30, at_s, _BY_NAME["Harbour Wire"], title, language=language)


def _season(source: Source, hour_s: int) -> float:
    """The hour's volume relative to the source's mean hour: one wave a day and a quieter weekend."""
    moment = datetime.fromtimestamp(hour_s, UTC)
    day = source.weekend if moment.weekday() >= 5 else 1.0
    wave = 1 + 0.75 * math.cos(2 * math.pi * (moment.hour - source.peak_hour) / 24)
    return wave * day * 7 / (5 + 2 * source.weekend)


def _lag_s(rng: random.Random, source: Source, published_s: int) -> int:
    if source.kind == "filing":  # dated by the day: handed out on the next morning
        return _DAY - published_s % _DAY + 6 * _HOUR + rng.randrange(_HOUR)
    if rng.random() < 0.005:
        return rng.randrange(_HOUR, 20 * _HOUR)
    return min(2 + int(rng.expovariate(1 / source.lag_s)), 15 * _MINUTE)


def _syndicated(rng: random.Random, doc: _Doc, copies: int) -> Iterator[_Doc]:
    """The same story through other outlets of its language, minutes later."""
    others = [wire for wire in _WIRES if wire.kind == "news" and wire.language == doc.source.language and wire is not doc.source]
    for wire in rng.sample(others, copies):
        at_s = doc.published_s + rng.randrange(2 * _MINUTE, 40 * _MINUTE)
        title = f"{doc.title} - {doc.source.name}" if rng.random() < 0.4 else doc.title
        yield _Doc(at_s + _lag_s(rng, wire, at_s), at_s, wire, title, doc.text)


def _key(doc: _Doc) -> str:
    """Id and url; the text has no part in it, so an edit keeps them."""
    return names.content_id(doc.source.name, str(doc.published_s), doc.title, doc.author)[:8]


def _line(doc: _Doc) -> dict[str, str]:
    source, line = doc.source, {}
    if "id" in source.identity:
        line["id"] = _key(doc)
    line["source"] = source.name
    if "url" in source.identity:
        host = source.name.lower().replace(" ", "-") if source.language == "en" else f"news{_SOURCES.index(source)}"
        line["url"] = f"https://{host}.example/{_key(doc)}"
    line |= {"kind": source.kind, "title": doc.title}
    line |= {"text": doc.text} if doc.text else {}
    line["language"] = doc.language or source.language
    line |= {"author": doc.author} if doc.author else {}
    published = _iso(doc.published_s, minute=source.name == _BY_MINUTE)
    return line | {"published_at": published[:10] if source.kind == "filing" else published, "known_at": _iso(doc.known_s)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the archive to a file and say how much it holds."""
    parser = argparse.ArgumentParser(prog="python -m ingest.demo_archive", description="Write the synthetic demo archive.")
    parser.add_argument("out", type=Path, help="file to write, ending in .jsonl.gz")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--days", type=int, default=DemoSpec().days)
    parser.add_argument("--per-day", type=int, default=DemoSpec().per_day)
    parser.add_argument("--end", type=datetime.fromisoformat, default=DEMO_END, help="last moment, ISO 8601 with zone")
    chosen = parser.parse_args(arguments)
    spec = DemoSpec(seed=chosen.seed, days=chosen.days, per_day=chosen.per_day)
    count, size = write_demo(chosen.out, spec, end=chosen.end)
    sys.stdout.write(f"{chosen.out}: {count:,} documents, {size:,} bytes\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
