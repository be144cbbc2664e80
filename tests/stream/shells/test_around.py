"""What the desk reads around a tick: a model that moved holds surges and is told once; peers say whether it is only this one."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from alerts.rules import Rules
from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, HOUR_MS, LIVE_RUN, TICK_MS
from groundswell.records import Alert, RawDocument
from groundswell.store import schema as t
from groundswell.store.facts import counted_documents
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from stream.shells.around import Looker
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.explain import explain
from stream.shells.instruments import Instruments, open_run
from stream.shells.versions import VersionsInForce
from stream.shells.why_not import why_not
from tests import builders as b

DAYS = 24
TURN_MS = b.T0_MS + 23 * DAY_MS
TOPICS = ("debt", "merger", "oil", "harbour")
COMPANIES = ("Aldora", "Brennick", "Corvane", "Dunmoor", "Elstrand")


def an_instrument() -> Instruments:
    """Shipped rules, for a language of four topics; everybody's sector is everybody else."""
    replace, shipped = msgspec.structs.replace, b.rules()
    chosen: Rules = replace(shipped, model_shift=replace(shipped.model_shift, topics_min=4, stories_min=15))
    made = b.instruments(chosen)
    made.sector = lambda company: [other.lower() for other in COMPANIES if other.lower() != company]
    return made


def archive(seed: int, *, turned: tuple[str, ...], louder: int = 1) -> Iterator[tuple[int, str, str, bytes]]:
    """A hundred and sixty texts a day, a fifth of them negative; on the last day three quarters of some companies' are."""
    chance = random.Random(seed)
    for day in range(DAYS):
        for n in range(160 * (louder if day == DAYS - 1 else 1)):
            known_ms = b.T0_MS + day * DAY_MS + chance.randrange(DAY_MS)
            company, topic = COMPANIES[n % 5], TOPICS[n // 5 % 4]
            share = 0.75 if known_ms >= TURN_MS and company in turned else 0.2
            mood = "fraud" if chance.random() < share else "calm"
            raw: RawDocument = b.a_raw(
                id=f"{day}-{n}",
                source=f"wire{n % 7}",
                owner=f"Owner {n % 7}",
                title=f"{company} {topic} {mood} {' '.join(chance.choices(b.WORDS.split(), k=9))}",
                text="",
                published_ms=known_ms - 60_000,
            )
            yield known_ms, "document", raw.source, encode(raw)


def played(folder: Path, lines: list[tuple[int, str, str, bytes]]) -> tuple[Store, list[Alert]]:
    store, made = Store(str(folder / "s.db")), an_instrument()
    open_run(store, LIVE_RUN, kind="live", instruments=made)
    pipeline = EmbeddedPipeline(store, b.fill(LocalLog(folder / "log"), sorted(lines, key=lambda one: one[0])), LIVE_RUN, made)
    while pipeline.step(limit=1_000):
        pass
    pipeline.finish()
    with store.read() as connection:
        return store, alerts_of(connection, LIVE_RUN)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[Alert]]]:
    """Every company in every topic at once, with as many texts as ever."""
    store, alerts = played(tmp_path_factory.mktemp("moved"), list(archive(2, turned=COMPANIES)))
    yield store, alerts
    store.close()


def test_when_all_topics_move_at_once_one_notice_is_told_and_the_surges_after_it_are_held(moved: tuple[Store, list[Alert]]) -> None:
    store, alerts = moved
    (notice,) = [alert for alert in alerts if alert.kind == "model_shift"]
    reasons = [str(row) for row in b.export(store, LIVE_RUN)["decisions"]]

    assert (notice.series, notice.severity, notice.evidence, notice.parts) == ("language:en", "low", [], [])
    assert notice.negative_share_ppm > notice.baseline_share_ppm + 100_000
    assert [alert for alert in alerts if alert.kind == "surge" and alert.opened_ms > notice.opened_ms] == []
    assert sum("model_shift: the figures of en have moved with the model" in reason for reason in reasons) >= 3


def test_the_notice_is_made_again_to_the_same_byte(moved: tuple[Store, list[Alert]]) -> None:
    store, alerts = moved
    for alert in alerts:
        explained = explain(store, alert.id, an_instrument())
        assert (explained.differences, explained.same) == ([], True)


def test_a_language_can_be_asked_why_it_was_told(moved: tuple[Store, list[Alert]]) -> None:
    store, alerts = moved
    (notice,) = [alert for alert in alerts if alert.kind == "model_shift"]
    with store.read() as connection:
        answer = why_not(connection, LIVE_RUN, ["language:en"], at_ms=notice.opened_ms, rules=an_instrument().rules)

    assert [alert.id for alert in answer.alerts] == [notice.id]


def test_one_company_that_turns_alone_is_a_surge_and_its_peers_say_so(tmp_path: Path) -> None:
    store, alerts = played(tmp_path, list(archive(3, turned=("Aldora",))))
    about = next(alert for alert in alerts if alert.series == "entity:aldora")
    explained = explain(store, about.id, an_instrument())
    store.close()

    assert {alert.kind for alert in alerts} == {"surge"}
    assert about.peers is not None
    assert (about.peers.of, about.peers.measured, about.alone) == ("sector", 4, True)
    assert abs(about.peers.before_ppm - 200_000) < 60_000
    assert explained.same


def test_before_the_turn_nothing_is_told(moved: tuple[Store, list[Alert]]) -> None:
    assert min(alert.opened_ms for alert in moved[1]) > TURN_MS + HOUR_MS


def test_the_desk_knows_which_companies_the_documents_of_a_topic_name(moved: tuple[Store, list[Alert]]) -> None:
    store, _ = moved
    tick = TURN_MS // TICK_MS + 60
    with store.read() as connection:
        documents = [row[0] for row in connection.execute(select(t.admissions.c.document_id).limit(40))]
        titles = {name: document.title for name, document in counted_documents(connection, LIVE_RUN, documents).items()}
        candidates = [b.a_candidate(series=series, tick=tick, documents=documents) for series in ("topic:debt:en", "entity:aldora")]
        look = Looker(connection, LIVE_RUN, tick, VersionsInForce(LIVE_RUN, an_instrument().rules))
        of_topic, of_company = (look.around([candidate], an_instrument().rules)[0].named for candidate in candidates)

    assert of_topic == {name: {title.split()[0].lower()} for name, title in titles.items()}
    assert of_company == {}, "a company is recognised by itself: nothing is read for it"
