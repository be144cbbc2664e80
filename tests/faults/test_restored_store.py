"""A store that is restored from a backup: the topics are read again from where it stands, and nothing is lost or counted twice."""

import shutil
from pathlib import Path

from groundswell.names import ROLE_SCORE
from groundswell.store.progress import progress_of
from groundswell.store.query import balance_of
from groundswell.store.store import Store
from stream.shells.publish import publish_archive
from stream.shells.topics import prepare_run
from tests.kafka_run import embedded_rows, kafka_run, rows_of
from tests.synthetic_news import instruments, sealed_log

RUN = "restored"
ENVELOPE_RECORDS = 5


def test_a_store_from_a_backup_catches_up_from_the_topics(kafka: str, tmp_path: Path) -> None:
    log, file, backup = sealed_log(tmp_path / "log.db"), tmp_path / "store.db", tmp_path / "backup.db"
    expected = embedded_rows(log, tmp_path, RUN)
    store = Store(str(file))
    prepare_run(store, kafka, RUN, kind="backfill", instruments=instruments())
    messages = publish_archive(log, kafka, RUN, store=store, envelope_records=ENVELOPE_RECORDS) // ENVELOPE_RECORDS

    def scored() -> int:
        with store.read() as connection:
            return sum(row.next_offset for row in progress_of(connection, RUN, ROLE_SCORE))

    with kafka_run(kafka, str(file), RUN, tmp_path / "before") as run:
        run.start("score", 0)
        run.start("fold", 0)
        run.wait(lambda: scored() >= messages // 4, what="a quarter")
        assert run.stop("score", 0) == run.stop("fold", 0) == 0
    store.close()
    for part in tmp_path.glob("store.db*"):  # the file and its write-ahead log, while nobody writes
        shutil.copy(part, part.with_name(part.name.replace("store", "backup")))
    with kafka_run(kafka, str(file), RUN, tmp_path / "after") as run:
        run.start("score", 0)
        run.start("fold", 0)
        run.finish(log)
        assert run.stop("score", 0) == run.stop("fold", 0) == 0
    for part in tmp_path.glob("store.db*"):
        part.unlink()

    with kafka_run(kafka, str(backup), RUN, tmp_path / "again") as run:
        run.start("score", 0)
        run.start("fold", 0)
        run.finish(log)
        found = rows_of(run.store, RUN)
        with run.store.read() as connection:
            unbalanced = [row for row in balance_of(connection, RUN) if row.balance and row.source != "?"]
    for table, rows in expected.items():
        assert found[table] == rows, table
    assert unbalanced == []
