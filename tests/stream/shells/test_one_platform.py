"""One comment platform without author names: a text repeated is no opinion, sixty different texts are one."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from groundswell.codec import encode
from groundswell.records import Alert
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from ingest.demo_archive import CATALOGUE, DEMO_END, SMALL_DEMO, spec_lines
from stream.shells.backfill import ArchiveOptions, backfill
from stream.shells.instruments import Instruments, load_instruments

Line = dict[str, str]
DAY = datetime(2026, 6, 24, 13, tzinfo=UTC)
POOLS = (
    (
        "management at $VTLNQ",
        "Vitalune Pharma's auditor",
        "a whistleblower says Vitalune Pharma",
        "the Vitalune Pharma plant",
        "$VTLNQ again,",
    ),
    (
        "hides its debts",
        "loses the main contract",
        "fails the safety audit",
        "cannot pay wages",
        "recalls every unit",
        "faces a fraud lawsuit",
    ),
    ("while insiders dump stock", "and lenders walk away", "as patients complain", "after another denial", "with cash running out"),
    ("I am out", "worst quarter ever", "bankruptcy next", "shares crash tomorrow", "huge losses ahead", "total panic", "sell everything"),
)


@pytest.fixture(scope="module")
def instruments() -> Instruments:
    return load_instruments(catalogues=[CATALOGUE], use="linear")


@pytest.fixture(scope="module")
def everyday() -> list[Line]:
    """Nothing but one platform's comments, about 3,000 of them, the authors taken away."""
    plain = SMALL_DEMO.__class__(days=30, per_day=500, bank_run=False, copy_storm=False, silence=False, drift=False, strays=False)
    comments = [line for line in spec_lines(plain, end=DEMO_END) if line["source"] == "Tickertalk"]
    return [{key: value for key, value in line.items() if key not in ("author", "id")} for line in comments]


def posts(texts: list[str]) -> Iterator[Line]:
    for place, text in enumerate(texts):
        moment = (DAY + timedelta(seconds=90 * place)).isoformat()
        yield {"source": "Tickertalk", "kind": "comment", "title": text, "language": "en", "published_at": moment, "known_at": moment}


def alerts(lines: list[Line], folder: Path, instruments: Instruments) -> list[Alert]:
    file = folder / "comments.jsonl"
    file.write_bytes(b"".join(encode(line) + b"\n" for line in lines))
    store = Store(str(folder / "comments.db"))
    done = backfill([file], store, "comments", instruments, data_dir=folder, options=ArchiveOptions())
    assert not [row for row in done.rows if row.balance]
    with store.read() as connection:
        found = alerts_of(connection, "comments")
    day = round(DAY.timestamp() * 1000)
    return [alert for alert in found if day <= alert.opened_ms < day + 86_400_000]


def test_a_text_repeated_1600_times_is_not_an_opinion(everyday: list[Line], instruments: Instruments, tmp_path: Path) -> None:
    text = "RT @ox_9: Vitalune Pharma faces a fraud lawsuit and huge losses, I am out before the crash"
    copies = [text] * 600 + [text + "…"] * 500 + ["RT @ox_7: " + text] * 500
    assert alerts([*everyday, *posts(copies)], tmp_path, instruments) == []


def test_sixty_different_negative_posts_are_one_and_the_alert_says_that_nobody_knows_who_wrote_them(
    everyday: list[Line], instruments: Instruments, tmp_path: Path
) -> None:
    rng = random.Random(60)
    texts: set[str] = set()
    while len(texts) < 60:
        texts.add("{} {} {}, {}".format(*map(rng.choice, POOLS)))
    alert, *updates = [
        a for a in alerts([*everyday, *posts(rng.sample(sorted(texts), 60))], tmp_path, instruments) if a.series == "entity:VitalunePharma"
    ]
    assert {one.incident for one in updates} <= {alert.incident}
    assert not alert.owners_known
    assert "one platform, authors unknown" in alert.doubts
    assert len(alert.evidence) <= 20
