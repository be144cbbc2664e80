"""Migrations: the newest file is the schema that the code opens stores with."""

import re
from contextlib import closing
from pathlib import Path

from sqlalchemy import create_engine, insert, inspect, select

from groundswell.local_log import LocalLog
from groundswell.store import migrations
from groundswell.store import schema as t
from groundswell.store.migrate import upgrade
from groundswell.store.query import balance_of, total
from groundswell.store.store import HEAD, Store
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
                connection.execute(insert(table), kept[table.name])
    engine.dispose()

    with closing(Store(str(tmp_path / "old.db"))) as old:
        assert rows_of(old) == kept
        with old.read() as connection:
            sums = total(balance_of(connection, "live"))
        assert (sums.fetched, sums.balance) == (len(kept["admissions"]) + len(kept["drops"]), 0)
