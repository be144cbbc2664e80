"""One credible document, end to end: a regulator's feed leads to a sighting, a denial to an update, an official word to a reopening."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from alerts.rules import load_rules
from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, LIVE_RUN
from groundswell.records import Action, Alert, Document, RawDocument, Score
from groundswell.store import schema as t
from groundswell.store.actions import record_action
from groundswell.store.inbox import incident_row
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from groundswell.watches import WatchedCompany, Watches
from ingest.catalogue import Source
from ingest.types.base import Request
from ingest.types.table import type_of
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import open_run
from stream.shells.rehearse import rehearse
from stream.shells.verify import verify
from tests import builders as b
from tests.fake_scorer import FakeScorer

DAYS = 21
NOON_MS = b.T0_MS + DAYS * DAY_MS + 12 * HOUR_MS
AUTHORITY = Source(name="harbour_authority", owner="Harbour Authority", url="https://authority.example/rss", tier=1, role="regulator")
PRESS = Source(name="harbour_wire", owner="Harbour Wire", url="https://wire.example/rss", tier=2, role="wire")
UNKNOWN = Source(name="some_paper", owner="Some Paper", url="https://paper.example/rss")
ITEM = "<item><title>{title}</title><guid>{title}</guid></item>"
FEED = '<?xml version="1.0"?><rss version="2.0"><channel><title>x</title>{items}</channel></rss>'


class FlagScorer(FakeScorer):
    """The fake scorer, which knows one risk."""

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """One answer per document."""
        answers = super().score(documents)
        return [
            msgspec.structs.replace(answer, flags=["sanction_penalty"]) if answer and "fined" in document.title else answer
            for document, answer in zip(documents, answers, strict=True)
        ]


Line = tuple[int, str, str, bytes]


def told(source: Source, known_ms: int, *titles: str) -> list[Line]:
    """What a poll of a source's feed hands to the log."""
    feed = FEED.format(items="".join(ITEM.format(title=title) for title in titles)).encode()
    headers = {"content-type": "application/rss+xml"}
    parsed = type_of(source).parse(feed, headers, asked=Request(url=source.url), source=source, fetched_ms=known_ms)
    records: list[RawDocument] = list(parsed.records)
    assert len(records) == len(titles)
    return [(known_ms, "document", source.name, encode(record)) for record in records]


def quiet(chance: random.Random) -> Iterator[Line]:
    """Three weeks in which nothing happens to anybody."""
    for day in range(DAYS):
        for n in range(12):
            words = " ".join(chance.choices(b.WORDS.split(), k=9))
            yield from told(UNKNOWN, b.T0_MS + day * DAY_MS + n * 2 * HOUR_MS, f"Elstrand debt calm {words}")


def press(company: str, known_ms: int) -> list[Line]:
    """Eight stories of two owners: a sighting by their number."""
    chance = random.Random(company)
    titles = [f"{company} fined {' '.join(chance.choices(b.WORDS.split(), k=9))}" for _ in range(8)]
    return [line for n, title in enumerate(titles) for line in told((PRESS, UNKNOWN)[n % 2], known_ms + n * 60_000, title)]


@dataclass
class Run:
    """A live run with what it was told."""

    store: Store
    pipeline: EmbeddedPipeline
    log: LocalLog

    def hear(self, lines: Sequence[Line]) -> list[Alert]:
        """Take more records; returns every alert so far."""
        b.fill(self.log, sorted(lines, key=lambda line: line[0]))
        while self.pipeline.step():
            pass
        self.pipeline.finish()
        with self.store.read() as connection:
            return alerts_of(connection, LIVE_RUN)

    def state(self, alert: Alert, *, now_ms: int = 2**60, known_ms: int | None = None) -> list[tuple[str, str]]:
        """The states of an alert's incident with their causes."""
        with self.store.read() as connection:
            row = incident_row(connection, LIVE_RUN, alert.incident, now_ms=now_ms, known_ms=known_ms)
        assert row is not None
        return [(step.state, step.cause) for step in row.life.steps]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    store, instruments = Store(str(tmp_path / "s.db")), b.instruments(load_rules(), scorer=FlagScorer())
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    with LocalLog(tmp_path / "log") as log:
        made = Run(store, EmbeddedPipeline(store, log, LIVE_RUN, instruments), log)
        assert made.hear(list(quiet(random.Random(1)))) == []
        yield made
    store.close()


def made_again(run: Run) -> None:
    """Explain gives the same bytes, a rehearsal of the same rules the same alerts, and nothing stored disagrees."""
    instruments = b.instruments(load_rules(), scorer=FlagScorer())
    with run.store.read() as connection:
        alerts = alerts_of(connection, LIVE_RUN)
    for alert in alerts:
        again = explain(run.store, alert.id, instruments)
        assert again.differences == []
        assert again.same
    done = rehearse(run.store, LIVE_RUN, load_rules(), display=instruments.display, sector=instruments.sector)
    assert sorted(done.alerts, key=lambda a: a.id) == sorted(alerts, key=lambda a: a.id)


def test_a_regulators_notice_in_a_feed_leads_to_one_sighting(run: Run) -> None:
    alerts = run.hear(told(AUTHORITY, NOON_MS, "Harbour Authority: Aldora fined for late reports"))

    (alert,) = alerts
    assert (alert.kind, alert.series, alert.update, alert.statistic, alert.limit) == ("sighting", "flag:sanction_penalty:aldora", 0, 1, 1)
    assert [(quote.source, quote.role, quote.tier) for quote in alert.evidence] == [("harbour_authority", "regulator", 1)]
    again = run.hear(told(AUTHORITY, NOON_MS + HOUR_MS, "Harbour Authority: Aldora fined, the full text of the decision"))
    assert again == alerts
    made_again(run)


@pytest.mark.parametrize("source", [PRESS, UNKNOWN])
def test_the_same_words_of_any_other_source_lead_to_none(run: Run, source: Source) -> None:
    assert run.hear(told(source, NOON_MS, "Harbour Authority: Aldora fined for late reports")) == []


def test_of_a_company_that_the_run_watches_the_established_press_is_enough(tmp_path: Path) -> None:
    watches = Watches(companies=[WatchedCompany(company="aldora", weight=1.0)])
    store, instruments = Store(str(tmp_path / "s.db")), b.instruments(load_rules(), scorer=FlagScorer())
    open_run(store, LIVE_RUN, kind="live", instruments=instruments)
    with store.write() as connection:
        store.insert(connection, t.versions, [{"kind": "watches", "hash": watches.hash, "content": encode(watches)}])
        store.insert(connection, t.in_force, [{"run": LIVE_RUN, "kind": "watches", "effective_ms": 0, "hash": watches.hash}])
    with LocalLog(tmp_path / "log") as log:
        run = Run(store, EmbeddedPipeline(store, log, LIVE_RUN, instruments), log)
        run.hear(list(quiet(random.Random(1))))
        assert run.hear(told(UNKNOWN, NOON_MS, "Aldora fined, says Some Paper")) == []
        assert run.hear(told(PRESS, NOON_MS + HOUR_MS, "Brennick fined, says Harbour Wire")) == []
        (alert,) = run.hear(told(PRESS, NOON_MS + 2 * HOUR_MS, "Aldora fined, says Harbour Wire too"))
        assert (alert.series, alert.versions["watches"]) == ("flag:sanction_penalty:aldora", watches.hash)
        made_again(run)
    store.close()


def test_a_denial_leads_to_one_update_in_the_same_thread(run: Run) -> None:
    (first,) = run.hear(press("Brennick", NOON_MS))
    assert run.hear(told(UNKNOWN, NOON_MS + HOUR_MS, "Brennick denies the report, says Some Paper")) == [first]
    _, update = run.hear(told(PRESS, NOON_MS + 2 * HOUR_MS, "Brennick denies report of a penalty"))

    assert (update.incident, update.update, update.news, update.series) == (first.incident, 1, "denial", "word:denial:brennick")
    assert update.title == "entity:brennick: denied according to harbour_wire"
    assert [quote.quote for quote in update.evidence] == ["Brennick denies report of a penalty"]
    assert len(run.hear(told(PRESS, NOON_MS + 3 * HOUR_MS, "Brennick denies it once more, report is wrong"))) == 2
    made_again(run)


def test_an_official_word_after_somebody_resolved_it_reopens_it(run: Run) -> None:
    (first,) = run.hear(press("Brennick", NOON_MS))
    with run.store.write() as connection:
        action = Action(incident=first.incident, at_ms=NOON_MS, who="mei", what="resolve", alert=first.id)
        record_action(connection, LIVE_RUN, action)
    assert run.state(first)[-1] == ("resolved", "person")
    _, update = run.hear(told(AUTHORITY, NOON_MS + 3 * HOUR_MS, "Brennick: statement of the Harbour Authority"))

    assert (update.incident, update.news, update.quiet_from_ms) == (first.incident, "official", 0)
    assert update.title == "entity:brennick: official word, harbour_authority"
    assert run.state(first)[-1] == ("reopened", "update")
    made_again(run)


def test_an_official_word_on_an_incident_that_had_gone_quiet_reopens_it_in_the_same_thread(run: Run) -> None:
    (first,) = run.hear(press("Brennick", NOON_MS))
    later_ms = NOON_MS + 30 * HOUR_MS
    _, update = run.hear(told(AUTHORITY, later_ms, "Brennick: statement of the Harbour Authority"))

    assert (update.incident, update.update, update.news) == (first.incident, 1, "official")
    quiet_s = load_rules().desk.incident_quiet_s
    assert 0 <= update.quiet_from_ms - (NOON_MS + quiet_s * 1_000) < HOUR_MS
    assert run.state(first) == [("forming", "candidate"), ("open", "alert"), ("resolved", "quiet"), ("reopened", "update")]
    between = run.state(first, known_ms=later_ms - HOUR_MS)
    assert between == [("forming", "candidate"), ("open", "alert"), ("resolved", "quiet")]
    made_again(run)


def test_a_run_with_words_holds_together(run: Run) -> None:
    run.hear(
        [*press("Brennick", NOON_MS), *told(PRESS, NOON_MS + HOUR_MS, "Brennick denies report"), *told(AUTHORITY, NOON_MS, "Aldora fined")]
    )
    checks = verify(run.store, LIVE_RUN, b.instruments(load_rules(), scorer=FlagScorer()), log=run.log)
    assert {check.name: check.shown for check in checks if check.wrong} == {}
