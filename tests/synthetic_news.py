"""A small synthetic archive with everything that can go wrong in it, and the instruments to run it; every word is invented."""

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from alerts.rules import Rules, load_rules
from groundswell.codec import encode
from groundswell.local_log import LocalLog, StagedRecord
from groundswell.names import DAY_MS, HOUR_MS
from groundswell.records import Kind, RawDocument
from groundswell.watches import Watches
from stream.shells.instruments import Instruments
from tests.fake_scorer import COMPANIES, REFUSED, FakeScorer

BEGIN_MS: Final = 1_760_000_400_000  # the start of an hour
DAYS: Final = 22
PER_DAY: Final = 110
_WORDS: Final = (
    "harbour ledger tender quarter plant union audit ferry copper lease tariff outlook warehouse refund cargo board dividend branch "
    "orchard signal turbine mortgage freight vineyard census bakery pension canal timber satellite clinic rival permit sugar glass "
    "railway deposit forecast voucher garden lumber museum bridge charter panel vessel license kiosk pottery wheel market bottle"
)
WORDS: Final = _WORDS.split()
SOURCES: Final[tuple[tuple[str, Kind, int], ...]] = (
    ("Alder Wire", "news", 20_000), ("Birch Post", "news", 90_000), ("Cedar Daily", "news", 300_000), ("Elm Notes", "report", 600_000),
    ("Fir Notices", "filing", 0), ("Gorse Talk", "comment", 5_000), ("Hazel Talk", "comment", 9_000), ("Iris Brief", "news", 45_000),
)  # fmt: skip
WATCHES: Final = Watches(queries={"credit": "default OR fraud", "trade": "tariff NOT kind:filing"})
SURGES: Final = ((16, "Brennick", "default"), (20, "Elstrand", "fraud"))  # day, company, word


def rules() -> Rules:
    """The shipped rules, with so short a forming time that a small archive can alert."""
    shipped = load_rules()
    surge = msgspec.structs.replace(shipped.surge, forming_days=5, p_open_hour=1e-3, p_open_day=1e-3, p_hold=1e-2)
    return msgspec.structs.replace(shipped, surge=surge)


def instruments() -> Instruments:
    """Fake scorer, short rules, saved searches; called in worker processes too."""
    chosen = rules()
    versions = {"model": FakeScorer.model_id, "rules": chosen.hash}
    return Instruments(FakeScorer(), chosen, lambda series: series, versions, watches=WATCHES)


def documents(*, seed: int = 11, days: int = DAYS, per_day: int = PER_DAY) -> Iterator[RawDocument]:
    """Documents in no order: everyday news, surges, copies, repeats, edits, late and day-dated ones, strays."""
    rng = random.Random(seed)
    everyday = [_document(rng, number, BEGIN_MS + rng.randrange(days * DAY_MS)) for number in range(days * per_day)]
    yield from everyday
    for day, company, word in SURGES:
        for number in range(40):
            at_ms = BEGIN_MS + day * DAY_MS + 11 * HOUR_MS + rng.randrange(2 * HOUR_MS)
            yield _document(rng, 100_000 * day + number, at_ms, said=f"{company} {word} debt")
    for document in rng.sample(everyday, min(60, len(everyday))):
        known_ms = (document.known_ms or 0) + rng.randrange(HOUR_MS)
        yield msgspec.structs.replace(document, known_ms=known_ms)  # the same again
        yield msgspec.structs.replace(document, known_ms=known_ms + 1, text="rewritten " + document.text)  # an edit
        yield msgspec.structs.replace(document, known_ms=known_ms, id=f"copy-{document.id}", source="Alder Wire")  # syndicated
        yield msgspec.structs.replace(document, id=f"twin-{document.id}")  # known at the very same moment
    for number in range(8):
        at_ms = BEGIN_MS + rng.randrange(days * DAY_MS)
        yield msgspec.structs.replace(_document(rng, 900_000 + number, at_ms), text=f"{REFUSED} {number}")
        yield msgspec.structs.replace(_document(rng, 910_000 + number, at_ms), language="fi")


def _document(rng: random.Random, number: int, published_ms: int, *, said: str = "") -> RawDocument:
    source, kind, lag_ms = rng.choice(SOURCES)
    late_ms = rng.randrange(20 * HOUR_MS) if rng.random() < 0.02 else 0
    daily = kind == "filing"
    word = rng.choice(["", "", "profit", "default", "merger record", "oil", "collapse"])
    return RawDocument(
        source=source,
        title=f"{said or rng.choice(COMPANIES) + ' ' + word} {' '.join(rng.sample(WORDS, 7))}",
        text=" ".join(rng.sample(WORDS, 9)),
        kind=kind,
        id=f"n{number}",
        author_hash=f"author{rng.randrange(300)}" if source == "Gorse Talk" else None,
        language="en",
        published_ms=published_ms - published_ms % DAY_MS if daily else published_ms,
        published_precision="day" if daily else "second",
        known_ms=published_ms + int(rng.expovariate(1 / (lag_ms + 1))) + late_ms,
        known_basis="claimed",
    )


def sealed_log(path: Path, *, days: int = DAYS, per_day: int = PER_DAY) -> LocalLog:
    """The archive as a sorted log, with a few records that nobody can read."""
    log = LocalLog(path)
    staged = staged_records(documents(days=days, per_day=per_day))
    log.stage("synthetic", staged, lines=len(staged), done=True)
    log.seal()
    return log


def staged_records(found: Iterable[RawDocument]) -> list[StagedRecord]:
    """Documents as an archive's records, and a few that nobody can read."""
    staged = [StagedRecord(d.known_ms or 0, f"{d.source}:{d.id}", d.source, encode(d)) for d in found]
    broken = (b"\xff\xfe no text", b'{"type":"document","source":3}', b"[]", b'{"records":[]}')
    for place, body in enumerate(broken):
        staged.append(StagedRecord(BEGIN_MS + (place + 2) * DAY_MS, f"broken{place}", "?", body))
    return staged
