"""Builders for tests: plain functions that make one realistic thing each; any field is replaced at will."""

import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import select

from alerts.rules import Rules, load_rules
from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS
from groundswell.records import Arrival, Candidate, Contribution, Decision, Document, Heartbeat, RawDocument, Score
from groundswell.store import schema as t
from groundswell.store.store import Store
from stream.operators.stories import digest
from stream.shells.instruments import Instruments
from tests.fake_scorer import COMPANIES, REFUSED, FakeScorer

T0_MS: Final = 1_789_948_800_000
"""2026-09-21 00:00:00 UTC, a Monday: the first moment of most tests."""

T0_TICK: Final = T0_MS // TICK_MS
TICKS_H: Final = HOUR_MS // TICK_MS
TICKS_D: Final = DAY_MS // TICK_MS


# --- records ----------------------------------------------------------------------------------------------------------------
def a_raw(**overrides: Any) -> RawDocument:
    """A news item about a company that does not exist."""
    fields: dict[str, Any] = {
        "source": "Harbour Wire",
        "title": "Aldora debt fraud",
        "text": "The board of Aldora said on Monday that it would not comment.",
        "published_ms": T0_MS,
        "known_ms": T0_MS + 60_000,
    }
    return RawDocument(**(fields | overrides))


def a_document(**overrides: Any) -> Document:
    """The same item after it was cleaned."""
    fields: dict[str, Any] = {
        "document_id": "00000000000000d1",
        "content_hash": "00000000000000c1",
        "source": "Harbour Wire",
        "owner": "Harbour Wire",
        "owner_known": True,
        "kind": "news",
        "language": "en",
        "title": "Aldora debt fraud",
        "text": "The board of Aldora said on Monday that it would not comment.",
        "url": "https://harbour.example/aldora",
        "published_ms": T0_MS,
        "published_precision": "second",
        "known_ms": T0_MS + 60_000,
    }
    return Document(**(fields | overrides))


def a_score(**overrides: Any) -> Score:
    """What a model says of it."""
    fields: dict[str, Any] = {
        "document_id": "00000000000000d1",
        "content_hash": "00000000000000c1",
        "model_id": "fake-1",
        "language": "en",
        "topic": "debt_credit",
        "topic_ppm": {"debt_credit": 1_000_000},
        "sentiment": "negative",
        "negative_ppm": 900_000,
        "neutral_ppm": 50_000,
        "positive_ppm": 50_000,
        "digest": digest("Aldora debt fraud"),
    }
    return Score(**(fields | overrides))


def a_contribution(**overrides: Any) -> Contribution:
    """What it adds to the company's series."""
    fields: dict[str, Any] = {
        "series": "entity:aldora",
        "document_id": "00000000000000d1",
        "known_ms": T0_MS + 60_000,
        "published_ms": T0_MS,
        "daily": False,
        "fresh": True,
        "owner": "Harbour Wire",
        "owner_known": True,
        "sentiment": "negative",
        "negative_ppm": 900_000,
        "digest": digest("Aldora debt fraud"),
    }
    return Contribution(**(fields | overrides))


def an_arrival(**overrides: Any) -> Arrival:
    """That its source was heard."""
    fields: dict[str, Any] = {"source": "Harbour Wire", "language": "en", "known_ms": T0_MS + 60_000, "documents": 1}
    return Arrival(**(fields | overrides))


def a_candidate(**overrides: Any) -> Candidate:
    """Six negative stories in an hour where half a one was expected; `documents` names those of the evidence."""
    documents = overrides.pop("documents", [f"d{n}" for n in range(6)])
    tick = overrides.get("tick", T0_TICK)
    fields: dict[str, Any] = {
        "candidate_id": f"{overrides.get('series', 'entity:aldora')}/{overrides.get('window_s', 3600)}/{tick}",
        "series": "entity:aldora",
        "window_s": 3_600,
        "tick": tick,
        "known_until_ms": (tick + 1) * TICK_MS,
        "statistic": len(documents),
        "expected_milli": 500,
        "limit": 5,
        "p_ppt": 1_000_000,
        "share_p_ppt": 1_000_000_000,
        "by": "count",
        "stories": len(documents) + 1,
        "owners": 4,
        "owners_known": True,
        "baseline_share_ppm": 300_000,
        "exposure_ppm": 1_000_000,
        "level": "open",
        "evidence": [[name, f"s-{name}", f"o-{n % 4}", 1, 900_000 - n] for n, name in enumerate(documents)],
    }
    return Candidate(**(fields | overrides))


def a_decision(**overrides: Any) -> Decision:
    """What the desk did with it: held."""
    fields: dict[str, Any] = {"candidate_id": "c", "tick": T0_TICK, "incident": "i", "verdict": "held", "reason": "hold"}
    return Decision(**(fields | overrides))


# --- rules and instruments --------------------------------------------------------------------------------------------------
def rules(**surge: Any) -> Rules:
    """The shipped rules with some of the detector's thresholds replaced."""
    shipped = load_rules()
    return msgspec.structs.replace(shipped, surge=msgspec.structs.replace(shipped.surge, **surge))


def easy_rules() -> Rules:
    """Rules so low that a small random archive leads to candidates, held ones and alerts."""
    easy = rules(
        forming_days=3,
        p_open_hour=1e-2,
        p_open_day=1e-2,
        p_hold=5e-2,
        p_share_open=0.5,
        expected_floor_hour=0.05,
        expected_floor_day=0.2,
        stories_min_hour=2,
        stories_min_day=3,
        owners_min=2,
        one_platform_stories_min=3,
        one_platform_factor_min=2.0,
        repeat_s=600,
        hold_s=14_400,
    )
    replace = msgspec.structs.replace
    return replace(
        easy,
        amplification=replace(easy.amplification, documents_min=2, owners_min=1, publishers_min=1, p_open=0.5, growth=1.0, repeat_s=7_200),
        late=replace(easy.late, stories_min=2, owners_min=1, p_open=0.5, p_share_open=0.9, repeat_s=7_200),
        slow_burn=replace(easy.slow_burn, days=2, days_before=21, stories_min=3, growth=1.0, share_growth_ppm=0, p_open=0.5, repeat_days=3),
        blind=replace(easy.blind, exposure_min_ppm=900_000, seeing_ppm=950_000, hours=1, forming_days=3),
    )


UNREAD: Final = "unreadable"
"""Word of a document that the scorer below has no answer for."""


class CountingScorer(FakeScorer):
    """The fake scorer; it counts what it scored, and answers None for what it cannot read."""

    def __init__(self) -> None:
        self.scored = 0

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """One answer per document, in order."""
        answers = super().score(documents)
        found = [None if UNREAD in document.title else answer for document, answer in zip(documents, answers, strict=True)]
        self.scored += sum(answer is not None for answer in found)
        return found


def instruments(given: Rules | None = None, *, scorer: FakeScorer | None = None) -> Instruments:
    """A fake scorer, easy rules, and series shown as their keys."""
    chosen = given or easy_rules()
    model = scorer or CountingScorer()
    versions = {"catalogue": "none", "model": model.model_id, "rules": chosen.hash}
    return Instruments(scorer=model, rules=chosen, display=lambda series: series, versions=versions)


# --- archives ---------------------------------------------------------------------------------------------------------------
WORDS: Final = (
    "market ferry harbour copper ledger tariff auction orchard signal bridge quarter margin rescue pension timber barley vessel "
    "turbine lantern quarry glacier meadow engine circuit ribbon canyon marble saddle velvet thunder kettle anchor falcon"
)
_ZH: Final = "银行债券市场股价利率公司业绩下跌上涨风险央行通胀贸易港口铜价"
_OWNERS: Final = ("Quill", "Tarn", "Moss", "Brook", "Fell", "Heath")


def an_archive(seed: int, *, records: int = 700, days: int = 12) -> list[tuple[int, str, str, bytes]]:
    """(known_ms, kind, source, body) in order of known time: several sources, one of which dies half way.

    Holds quiet days, three surges, copies, duplicates, edits, late and undated documents, heartbeats, records that cannot be
    read or scored, and long gaps, so that hours and days close at every kind of moment.
    """
    chance = random.Random(seed)
    times = sorted(_times(chance, records, days))
    surges = [(T0_MS + int(days * DAY_MS * part), chance.choice(COMPANIES)) for part in (0.4, 0.6, 0.85)]
    out: list[tuple[int, str, str, bytes]] = []
    told: list[RawDocument] = []
    for number, known_ms in enumerate(times):
        out.append(_one(chance, number, known_ms, surges, told, dead=known_ms > T0_MS + days * DAY_MS // 2))
    for start_ms, company in surges:
        for n in range(chance.randrange(8, 14)):
            known_ms = start_ms + n * chance.randrange(30_000, 400_000)
            raw = a_raw(
                source=chance.choice(("wire", "daily")),
                owner=chance.choice(_OWNERS),
                title=f"{company} debt fraud {_phrase(chance)}",
                text="",
                published_ms=known_ms - chance.randrange(600_000),
                id=f"surge-{start_ms}-{n}",
            )
            out.append((known_ms, "document", raw.source, encode(raw)))
    return sorted(out, key=lambda one: one[0])


def _times(chance: random.Random, records: int, days: int) -> Iterator[int]:
    for _ in range(records):
        day = chance.choice([d for d in range(days) if d % 7 != 5])  # nothing at all on Saturdays
        second = chance.choice([chance.randrange(86_400), chance.randrange(30_000, 60_000)])
        yield T0_MS + day * DAY_MS + second * 1_000 + chance.randrange(1_000)


def _phrase(chance: random.Random) -> str:
    return " ".join(chance.choices(WORDS.split(), k=9))


def _one(
    chance: random.Random, number: int, known_ms: int, surges: list[tuple[int, str]], told: list[RawDocument], *, dead: bool
) -> tuple[int, str, str, bytes]:
    what = chance.random()
    source = chance.choice(("wire", "wire", "wire", "daily", "forum", "zhwire", *(() if dead else ("mortal", "mortal"))))
    if what < 0.03:
        return known_ms, "heartbeat", source, encode(Heartbeat(source=source, fetched_ms=known_ms, ok=chance.random() < 0.8))
    if what < 0.05:
        return known_ms, "document", source, b'{"type":"document","source":"' + source.encode() + b'","title":'
    if what < 0.13 and told:
        again = chance.choice(told[-40:])
        changed = chance.random() < 0.5
        raw = msgspec.structs.replace(again, title=f"{again.title} corrected" if changed else again.title)
        return known_ms, "document", raw.source, encode(raw)
    raw = _document(chance, number, known_ms, source)
    if what < 0.25 and told:  # a copy with a small change: another document of the same story
        copied = chance.choice(told[-15:])
        raw = msgspec.structs.replace(raw, title=f"{copied.title}.", text=copied.text)
    told.append(raw)
    return known_ms, "document", source, encode(raw)


def _document(chance: random.Random, number: int, known_ms: int, source: str) -> RawDocument:
    mood = chance.choice(("fraud", "profit", "calm", "calm", "calm"))
    odd = chance.random()
    extra = UNREAD if odd < 0.02 else REFUSED if odd < 0.03 else ""
    company = chance.choice((*COMPANIES, "", ""))
    title = f"{company} {chance.choice(('debt', 'rates', 'sales'))} {mood} {_phrase(chance)} {extra}".strip()
    if source == "zhwire":
        title = f"{company} " + "".join(chance.choices(_ZH, k=24)) + (" fraud" if mood == "fraud" else "")
    if odd > 0.98:
        title = "1234 5678 %"  # no letters: no language
    kind: Any = "comment" if source == "forum" else "news"
    age_ms = chance.choice((1_000, 60_000, 900_000, 5 * HOUR_MS, 30 * HOUR_MS, -HOUR_MS))
    return a_raw(
        source=source,
        kind=kind,
        title=title,
        text=chance.choice(("", _phrase(chance))),
        owner=chance.choice((*_OWNERS, None)) if kind == "news" else None,
        author_hash=f"author{chance.randrange(30)}" if kind == "comment" and chance.random() < 0.5 else None,
        id=f"{source}-{number}",
        published_ms=None if odd > 0.95 else known_ms - age_ms,
        published_precision="day" if odd < 0.1 else "second",
        known_ms=known_ms,
    )


def fill(log: LocalLog, archive: Iterable[tuple[int, str, str, bytes]]) -> LocalLog:
    """Append an archive to a live log, as if each record had come at its time."""
    for known_ms, kind, source, body in archive:
        log.append([(kind, source, body)], now_ms=known_ms)
    return log


# --- what a run has led to --------------------------------------------------------------------------------------------------
def export(store: Store, run: str, *, without: Iterable[str] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Every derived row of a run, by table, sorted.

    Left out is the run's name, and what depends on who looked when: progress counts restarts, sums of the balance go as far as somebody
    has summed.
    """
    tables = [table for table in t.DERIVED if table.name not in {"progress", "runs", "tallied", "tallies", "reach", *without}]
    with store.read() as connection:
        return {
            table.name: sorted(
                (tuple(row) for row in connection.execute(select(*[c for c in table.c if c.name != "run"]).where(table.c.run == run))),
                key=repr,
            )
            for table in tables
        }


def differences(left: dict[str, list[tuple[Any, ...]]], right: dict[str, list[tuple[Any, ...]]]) -> dict[str, str]:
    """{table: how two exports differ}; a message that can be read, where a plain comparison prints megabytes."""
    found = {}
    for name in sorted({*left, *right}):
        only_left = [row for row in left.get(name, []) if row not in right.get(name, [])]
        only_right = [row for row in right.get(name, []) if row not in left.get(name, [])]
        if left.get(name) != right.get(name):
            found[name] = f"{len(only_left)} rows only left, {len(only_right)} only right: {only_left[:2]!r} | {only_right[:2]!r}"[:1_500]
    return found
