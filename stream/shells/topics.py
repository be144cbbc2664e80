"""A run's two topics and its rows: made once, checked by everybody who uses them.

A topic is known by the id that the broker gave it, not by its name: a topic that was deleted and made again is another log,
and the progress that is stored does not belong to it.
"""

import socket
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError, TopicAlreadyExistsError

from groundswell import names
from groundswell.errors import ContinuityError, DependencyError, NotFoundError, UsageError, reason_of
from groundswell.store import schema as t
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.store import Store
from stream.shells.instruments import Instruments, open_run
from stream.shells.wire import MESSAGE_BYTES_MAX

KIND_LIVE: Final = "live"
RETENTION_DAYS: Final = 7
_READY_WITHIN_S: Final = 20.0
_ANSWER_WITHIN_MS: Final = 5_000
_STAMP: Final = "message.timestamp.type"


class TopicIds(NamedTuple):
    """What the broker calls a run's topics."""

    raw: str
    contributions: str


def is_live(run: str) -> bool:
    """Whether a run's clock is the broker's append time; every other run brings its own known times.

    >>> is_live("live"), is_live("r2016")
    (True, False)
    """
    return run == names.LIVE_RUN


def create_topics(bootstrap: str, run: str, *, replication: int = -1, retention_days: int = RETENTION_DAYS) -> TopicIds:
    """Make a run's topics where they are missing, and say their ids.

    Args:
        bootstrap: HOST:PORT, several separated by commas.
        run: whose topics.
        replication: copies of each partition; -1 leaves it to the broker.
        retention_days: how long messages stay; longer than the longest outage that shall be survived.

    Raises:
        DependencyError: the broker does not answer or refuses.
        UsageError: a topic exists with another number of partitions or another kind of timestamp.
    """
    shared = {"retention.ms": str(retention_days * names.DAY_MS), "max.message.bytes": str(MESSAGE_BYTES_MAX), "cleanup.policy": "delete"}
    wanted = {
        names.raw_topic(run): {
            "num_partitions": names.RAW_PARTITIONS,
            "replication_factor": replication,
            # An archive's messages carry the time of their sending: its old known times would be deleted at once.
            "configs": shared | {_STAMP: _stamp_type(run)},
        },
        names.contribution_topic(run): {
            "num_partitions": names.CONTRIBUTION_PARTITIONS,
            "replication_factor": replication,
            "configs": shared,
        },
    }
    with _admin(bootstrap) as admin:
        for topic, how in wanted.items():
            try:
                admin.create_topics({topic: how})
            except TopicAlreadyExistsError:
                continue
        return _ids(admin, run, within_s=_READY_WITHIN_S)


def topic_ids(bootstrap: str, run: str) -> TopicIds:
    """The ids of a run's topics.

    Raises:
        NotFoundError: they do not exist.
        DependencyError: the broker does not answer.
        UsageError: a topic has another number of partitions or another kind of timestamp.
    """
    with _admin(bootstrap) as admin:
        return _ids(admin, run, within_s=0.0)


def prepare_run(
    store: Store,
    bootstrap: str,
    run: str,
    *,
    kind: str,
    instruments: Instruments,
    manifest: Mapping[str, Any] | None = None,
    replication: int = -1,
) -> TopicIds:
    """Make a run's topics, its own row and the progress rows of fold, where they are missing. Every command that starts a part calls it.

    All rows of fold have to be there before the desk may believe that every partition has closed a tick.

    Raises:
        ContinuityError: the stored progress belongs to other topics: they were made again, or the database was restored.
        UsageError: the run exists with other instruments or another input.
        DependencyError: broker or store do not answer.
    """
    open_run(store, run, kind=kind, instruments=instruments, manifest=dict(manifest or {}))
    ids = create_topics(bootstrap, run, replication=replication)
    with store.write() as connection:
        for role, topic, log_id in (
            (names.ROLE_SCORE, names.raw_topic(run), ids.raw),
            (names.ROLE_FOLD, names.contribution_topic(run), ids.contributions),
        ):
            stored = {row.log_id for row in progress_of(connection, run, role)} - {None, log_id}
            if stored:
                reason = (
                    f"run {run!r}: the stored progress belongs to topic id {stored.pop()}, but {topic} is {log_id}; the topic was made "
                    "again or the database restored: start a new run, or restore the topic"
                )
                raise ContinuityError(reason)
        rows = [_fold_row(run, part, ids.contributions) for part in range(names.CONTRIBUTION_PARTITIONS)]
        store.insert(connection, t.progress, rows)
    return ids


def _fold_row(run: str, part: int, log_id: str) -> dict[str, Any]:
    return {
        "run": run, "role": names.ROLE_FOLD, "part": part, "epoch": 0, "owner": "", "revision": 0,
        "next_offset": 0, "time_ms": NEVER_TICK, "closed_tick": NEVER_TICK, "log_id": log_id,
    }  # fmt: skip


def check_reachable(bootstrap: str) -> None:
    """Connect to a broker and hang up: a client that finds none waits for half a minute and leaves its sockets open.

    Raises:
        DependencyError: nobody listens at any of the addresses.
        UsageError: an address is not HOST:PORT.
    """
    told = []
    for broker in bootstrap.split(","):
        host, _, port = broker.strip().rpartition(":")
        if not host or not port.isdigit():
            reason = f"kafka.bootstrap {bootstrap!r}: {broker.strip()!r} is not HOST:PORT; separate several by commas"
            raise UsageError(reason)
        try:
            with socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_WITHIN_MS / 1_000):
                return
        except OSError as error:
            told.append(f"{broker.strip()}: {reason_of(error)}")
    reason = f"Kafka {'; '.join(told)}; is the broker running, and kafka.bootstrap its address?"
    raise DependencyError(reason)


class _admin:  # noqa: N801 - used like a function
    """An admin client whose errors are this project's."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def __enter__(self) -> Any:
        check_reachable(self._bootstrap)
        try:
            self._client = KafkaAdminClient(
                bootstrap_servers=self._bootstrap.split(","), client_id="groundswell-admin", bootstrap_timeout_ms=_ANSWER_WITHIN_MS
            )
        except KafkaError as error:
            raise self._away(error) from error
        return self._client

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._client.close()
        if isinstance(error, KafkaError):
            raise self._away(error) from error

    def _away(self, error: KafkaError) -> DependencyError:
        reason = f"Kafka {self._bootstrap}: {reason_of(error)}; is the broker running, and kafka.bootstrap its address?"
        return DependencyError(reason)


def _stamp_type(run: str) -> str:
    return "LogAppendTime" if is_live(run) else "CreateTime"


def _ids(admin: Any, run: str, *, within_s: float) -> TopicIds:
    """Ask until every partition has a leader: a topic that was just made takes a moment."""
    wanted = {names.raw_topic(run): names.RAW_PARTITIONS, names.contribution_topic(run): names.CONTRIBUTION_PARTITIONS}
    deadline = time.monotonic() + within_s
    while True:
        found = {topic["name"]: topic for topic in admin.describe_topics(list(wanted)) if topic["error_code"] == 0}
        missing = sorted(wanted.keys() - found.keys())
        ready = not missing and all(partition["leader_id"] >= 0 for topic in found.values() for partition in topic["partitions"])
        if ready:
            break
        if time.monotonic() >= deadline:
            reason = f"run {run!r}: no topic {missing[0]} on this broker; make it with `groundswell worker` or `backfill --kafka`"
            if missing:
                raise NotFoundError(reason)
            reason = f"run {run!r}: a partition of its topics has no leader; are all brokers running?"
            raise DependencyError(reason)
        time.sleep(0.05)
    for name, partitions in wanted.items():
        _check(name, "partitions", len(found[name]["partitions"]), partitions)
    _check(names.raw_topic(run), _STAMP, _configured(admin, names.raw_topic(run)), _stamp_type(run))
    return TopicIds(*(str(found[name]["topic_id"]) for name in wanted))


def _configured(admin: Any, topic: str) -> str:
    found = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic, {_STAMP: None})], config_filter="all")
    return str(found["topic"][topic][_STAMP]["value"])


def _check(topic: str, what: str, found: object, wanted: object) -> None:
    if found != wanted:
        reason = f"topic {topic}: {what} is {found}, needed is {wanted}; use another run name, or delete the topic if it is nobody's"
        raise UsageError(reason)
