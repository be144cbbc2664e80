"""A second reading: whether the stories of an alert are negative to other models too."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from groundswell.codec import canonical, decode
from groundswell.local_log import LocalLog
from groundswell.names import TICK_MS
from groundswell.records import Alert, Candidate, Score
from groundswell.store import schema as t
from groundswell.store.derived import load_candidates
from groundswell.store.query import alerts_of
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.second_reading import Reading, second_readings
from tests import builders as b
from tests.fake_scorer import FakeScorer

RUN = "live"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "s.db"))) as store, LocalLog(tmp_path / "log") as log:
        open_run(store, RUN, kind="live", instruments=b.instruments())
        pipeline = EmbeddedPipeline(store, b.fill(log, b.an_archive(1, records=420)), RUN, b.instruments())
        while pipeline.step(limit=50):
            pass
        pipeline.finish()
        yield store


class Again(FakeScorer):
    def __init__(self, model_id: str) -> None:
        self.model_id = model_id


def a_surge(store: Store) -> tuple[Alert, Candidate]:
    with store.read() as connection:
        alert = next(alert for alert in alerts_of(connection, RUN) if alert.kind == "surge")
        tick = alert.opened_ms // TICK_MS - 1
        found = load_candidates(connection, RUN, since_tick=tick, through_tick=tick, series=[alert.series])
    return alert, next(one for one in found if one.statistic == alert.statistic)


def ask(store: Store, alert: Alert, main: Candidate, linear: FakeScorer) -> list[Reading]:
    with store.read() as connection:
        return second_readings(connection, RUN, alert, main, linear=linear)


def test_the_linear_model_reads_the_stories_now_and_another_model_as_it_did_then(store: Store) -> None:
    alert, main = a_surge(store)
    stories = {str(row[0]): str(row[1]) for row in main.evidence}
    first = next(iter(stories))
    with store.write() as connection:
        body = connection.execute(t.scores.select().where(t.scores.c.document_id == first)).mappings().one()
        changed = msgspec.structs.replace(decode(body["body"], Score), model_id="earlier", sentiment="positive")
        row = {**body, "model_id": "earlier", "sentiment": "positive", "body": canonical(changed)}
        store.insert(connection, t.scores, [row])

    found = {reading.model: reading for reading in ask(store, alert, main, Again("again"))}

    assert found["earlier"] == Reading("earlier", stories=1, negative=0)
    assert found["again"] == Reading("again", stories=len(set(stories.values())), negative=len(set(stories.values())))


def test_the_alerts_own_model_is_no_second_reading_and_a_sighting_has_none(store: Store) -> None:
    alert, main = a_surge(store)
    assert ask(store, alert, main, Again(alert.versions["model"])) == []
    assert ask(store, msgspec.structs.replace(alert, kind="sighting"), main, Again("again")) == []
