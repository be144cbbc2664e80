"""The nearest pipeline in Quix Streams: `python quix.py`, as many processes of it as shall share the work.

    raw topic -> documents -> score -> one contribution for each series -> group_by(series) -> tumbling windows -> PostgreSQL

Grouping by series sends every contribution through a topic of its own; windows live in RocksDB with a changelog topic. The running
count is emitted ("current"): raw partitions are read at different speeds, and a window that had closed would drop the slower ones'.
What it promises (https://quix.io/docs/quix-streams/advanced/checkpointing.html): at least once, the default: every message is
processed, after a crash some again, so counts of windows and outputs may be doubled; its exactly-once covers Kafka, not PostgreSQL.
"""

from urllib.parse import urlsplit

from plain import WINDOW_MS
from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum
from quixstreams.sinks.community.postgresql import PostgreSQLSink
from records import BROKER, DATABASE, FOLDER, GROUP, TOPIC, WITH_FACTS, contributions, fact, opened

GRACE_MS = 7 * 86_400_000


def sink(table: str, *keys: str) -> PostgreSQLSink:
    """Their own sink, which writes once for each checkpoint."""
    url = urlsplit(DATABASE)
    return PostgreSQLSink(
        host=url.hostname,
        port=url.port,
        dbname=url.path[1:],
        user=url.username,
        password=url.password,
        table_name=table,
        schema_auto_update=False,
        primary_key_columns=keys,
        upsert_on_primary_key=True,
        include_metadata=False,
    )


def counted(value: dict[str, int], key: str, _timestamp: int, _headers: object) -> dict[str, int | str]:
    """A window as a row."""
    return {"series": key, "start": value["start"], "documents": value["documents"], "negative": value["negative"]}


def main() -> None:
    """Run until stopped."""
    app = Application(
        broker_address=BROKER,
        consumer_group=GROUP,
        auto_offset_reset="earliest",
        commit_interval=1.0,
        state_dir=FOLDER / "state",
        loglevel="WARNING",
    )
    documents = app.dataframe(app.topic(TOPIC, value_deserializer="bytes", key_deserializer="bytes")).apply(opened, expand=True)
    if WITH_FACTS:
        documents.apply(fact).sink(sink("facts", "document_id"))
    each = documents.apply(contributions, expand=True)
    each = each.apply(lambda c: {"series": c[0], "at": c[1], "negative": c[2]}).set_timestamp(lambda value, *_: value["at"])
    windows = (
        each.group_by("series")
        .tumbling_window(WINDOW_MS, grace_ms=GRACE_MS)
        .agg(documents=Count(), negative=Sum("negative"))
        .current()
        .apply(counted, metadata=True)
    )
    windows.sink(sink("windows", "series", "start"))
    app.run()


if __name__ == "__main__":
    main()
