"""Migrations: the newest file is the schema that the code opens stores with."""

import json
import re
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, insert, inspect, select

from groundswell.local_log import LocalLog
from groundswell.schedule import InForce
from groundswell.store import migrations
from groundswell.store import schema as t
from groundswell.store.migrate import upgrade
from groundswell.store.query import balance_of, total
from groundswell.store.store import HEAD, Store
from groundswell.store.versions import read_schedule
from stream.shells.embedded import EmbeddedPipeline
from tests import builders as b

FILES = sorted((Path(str(migrations.__file__)).parent / "versions").glob("v*.py"))


def test_the_newest_migration_is_the_head_that_stores_are_opened_with() -> None:
    assert FILES[-1].name.startswith(f"v{HEAD}_")


def test_each_migration_follows_the_one_before() -> None:
    before = None
    for file in FILES:
        text = file.read_text()
        found = re.search(r"^down_revision = (.*)$", text, re.MULTILINE)
        assert found is not None
        assert found[1] == (f'"{before}"' if before else "None"), file.name
        before = file.name[1:5]
        assert f'revision = "{before}"' in text


FIRST = (t.documents, t.scores, t.runs, t.admissions, t.drops, t.progress, t.increments, t.stories, t.candidates, t.alerts, t.outbox)

LATER = {"admissions": {"model_id"}, "documents": {"tier", "role"}}
"""Columns that came with a later migration: empty in what was stored before it."""


def rows_of(store: Store) -> dict[str, list[dict[str, object]]]:
    with store.read() as connection:
        return {table.name: [dict(row) for row in connection.execute(select(table)).mappings()] for table in FIRST}


def test_a_store_of_the_first_schema_is_upgraded_with_its_data(tmp_path: Path) -> None:
    archive = b.an_archive(5, records=60)
    with closing(Store(str(tmp_path / "new.db"))) as new, b.fill(LocalLog(tmp_path / "log"), archive) as log:
        pipeline = EmbeddedPipeline(new, log, "live", b.instruments())
        while pipeline.step():
            pass
        kept = rows_of(new)
    assert len(kept["admissions"]) + len(kept["drops"]) > 50
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    upgrade(engine, to="0001")
    with engine.begin() as connection:
        assert "taken" not in inspect(engine).get_table_names()
        for table in FIRST:
            if kept[table.name]:
                connection.execute(
                    insert(table),
                    [{k: v for k, v in row.items() if k not in LATER.get(table.name, ())} for row in kept[table.name]],
                )
    engine.dispose()

    with closing(Store(str(tmp_path / "old.db"))) as old:
        assert rows_of(old) == kept
        with old.read() as connection:
            sums = total(balance_of(connection, "live"))
        assert (sums.fetched, sums.balance) == (len(kept["admissions"]) + len(kept["drops"]), 0)


def test_a_live_run_that_changed_its_model_before_there_was_a_schedule_keeps_whose_score_counted(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'old.db'}")
    upgrade(engine, to="0003")
    switches = [("a", None, 0, 0), ("b", 3, 10, 20_000), ("b", 5, 4, 31_000), ("a", 3, 12, 60_000)]
    manifest = {
        "versions": {"model": "a", "rules": "r"},
        "models": [{"model_id": m, "part": p, "offset": o, "effective_ms": ms} for m, p, o, ms in switches],
    }
    places = [(3, 9), (3, 10), (3, 12), (5, 3), (5, 4)]
    row = {"run": "live", "place": 0, "known_ms": 1, "tick": 0, "source": "wire", "outcome": "scored"}
    with engine.begin() as connection:
        connection.execute(insert(t.runs), {"run": "live", "kind": "live", "model_id": "a", "manifest": json.dumps(manifest).encode()})
        connection.execute(insert(t.admissions), [row | {"part": part, "position": position} for part, position in places])
    engine.dispose()

    with closing(Store(str(tmp_path / "old.db"))) as old, old.read() as connection:
        schedule, a = read_schedule(connection, "live"), t.admissions.c
        marks = [
            connection.execute(select(a.model_id).where(a.part == part, a.position == position)).scalar_one() for part, position in places
        ]
    assert schedule.rows == (
        InForce(0, "model", "a"),
        InForce(0, "rules", "r"),
        InForce(45_000, "model", "b"),
        InForce(60_000, "model", "a"),
    )
    assert marks == [None, "b", "a", None, "b"]
