"""A run's two topics and its rows: made once, checked by everybody who uses them.

A topic is known by the id that the broker gave it, not by its name: a topic that was deleted and made again is another log,
and the progress that is stored does not belong to it.
"""

import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAlreadyExistsError, TopicAuthorizationFailedError

from groundswell import names
from groundswell.errors import ContinuityError, DependencyError, NotFoundError, UsageError
from groundswell.kafka_access import KafkaAccess
from groundswell.store import schema as t
from groundswell.store.progress import NEVER_TICK, progress_of
from groundswell.store.store import Store
from stream.shells.instruments import Instruments, open_run
from stream.shells.wire import MESSAGE_BYTES_MAX

KIND_LIVE: Final = "live"
RETENTION_DAYS: Final = 7
"""How long messages stay in a topic that is made here: longer than the longest outage that shall be survived."""
_READY_WITHIN_S: Final = 20.0
"""How long a topic may stay unknown, or without a leader, before it is believed: each broker hears of a new topic for itself."""
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


def create_topics(kafka: KafkaAccess | str, run: str, *, replication: int = -1) -> TopicIds:
    """Make a run's topics where they are missing, and say their ids.

    Args:
        kafka: the brokers; a bare HOST:PORT has neither encryption nor login.
        run: whose topics.
        replication: copies of each partition; -1 leaves it to the broker.

    Raises:
        DependencyError: the broker does not answer or refuses.
        UsageError: a topic exists with another number of partitions or another kind of timestamp.
    """
    shared = {"retention.ms": str(RETENTION_DAYS * names.DAY_MS), "max.message.bytes": str(MESSAGE_BYTES_MAX), "cleanup.policy": "delete"}
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
    with _admin(kafka) as admin:
        for topic, how in wanted.items():
            try:
                admin.create_topics({topic: how})
            except TopicAlreadyExistsError:
                continue
        return _ids(admin, run)


def topic_ids(kafka: KafkaAccess | str, run: str) -> TopicIds:
    """The ids of a run's topics.

    Raises:
        NotFoundError: they do not exist, and have not come within 20 s: the broker that is asked may hear of them late.
        DependencyError: the broker does not answer.
        UsageError: a topic has another number of partitions or another kind of timestamp.
    """
    with _admin(kafka) as admin:
        return _ids(admin, run)


def prepare_run(
    store: Store,
    kafka: KafkaAccess | str,
    run: str,
    *,
    kind: str,
    instruments: Instruments,
    manifest: Mapping[str, Any] | None = None,
    replication: int = -1,
    now_ms: int = 0,
) -> TopicIds:
    """Make a run's topics, its own row and the progress rows of fold, where they are missing. Every command that starts a part calls it.

    All rows of fold have to be there before the desk may believe that every partition has closed a tick.

    Raises:
        ContinuityError: the stored progress belongs to other topics: they were made again, or the database was restored.
        UsageError: the run exists with other instruments or another input.
        DependencyError: broker or store do not answer.
    """
    open_run(store, run, kind=kind, instruments=instruments, manifest=dict(manifest or {}), now_ms=now_ms, others_work=True)
    ids = create_topics(kafka, run, replication=replication)
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


def check_rights(kafka: KafkaAccess | str, run: str, *, role: str) -> None:
    """Ask the broker whether a worker may do its part: without these rights aiokafka waits for ever and says nothing.

    Args:
        kafka: the brokers.
        run: whose topics; they exist.
        role: names.ROLE_SCORE or names.ROLE_FOLD.

    Raises:
        DependencyError: a right is missing, or the broker does not answer.
    """
    raw, contributions = names.raw_topic(run), names.contribution_topic(run)
    score = role == names.ROLE_SCORE
    needed = {raw: {"READ", "WRITE"}, contributions: {"WRITE"}} if score else {contributions: {"READ"}}
    with _admin(kafka) as admin:
        for topic in admin.describe_topics(list(needed)):
            # None: a broker so old that it does not tell.
            missing = needed[topic["name"]] - set(topic["authorized_operations"] or needed[topic["name"]])
            if topic["error_code"] == TopicAuthorizationFailedError.errno or missing:
                reason = f"no {' and no '.join(sorted(missing or needed[topic['name']]))} on topic {topic['name']}"
                raise TopicAuthorizationFailedError(reason)
        group = names.score_group(run) if score else names.fold_group(run)
        try:
            admin.list_group_offsets(group)
        except GroupAuthorizationFailedError as error:
            reason = f"no READ on group {group}"
            raise GroupAuthorizationFailedError(reason) from error
        except KafkaError:
            pass  # nobody has used a group yet, or its place moves: the worker waits for that itself


class _admin:  # noqa: N801 - used like a function
    """An admin client whose errors are this project's."""

    def __init__(self, kafka: KafkaAccess | str) -> None:
        self._access = KafkaAccess.of(kafka)

    def __enter__(self) -> Any:
        self._access.check_reachable()
        try:
            self._client = KafkaAdminClient(
                client_id="groundswell-admin", bootstrap_timeout_ms=_ANSWER_WITHIN_MS, **self._access.for_kafka_python()
            )
        except KafkaError as error:
            raise self._access.refused(error) from error
        return self._client

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self._client.close()
        if isinstance(error, KafkaError):
            raise self._access.refused(error) from error


def _stamp_type(run: str) -> str:
    return "LogAppendTime" if is_live(run) else "CreateTime"


def _ids(admin: Any, run: str) -> TopicIds:
    """Ask until every partition has a leader: a topic that was just made takes a moment, and on another broker a longer one."""
    wanted = {names.raw_topic(run): names.RAW_PARTITIONS, names.contribution_topic(run): names.CONTRIBUTION_PARTITIONS}
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        described = admin.describe_topics(list(wanted))
        hidden = [topic["name"] for topic in described if topic["error_code"] == TopicAuthorizationFailedError.errno]
        if hidden:
            reason = f"topic {hidden[0]} is hidden"
            raise TopicAuthorizationFailedError(reason)
        found = {topic["name"]: topic for topic in described if topic["error_code"] == 0}
        missing = sorted(wanted.keys() - found.keys())
        ready = not missing and all(partition["leader_id"] >= 0 for topic in found.values() for partition in topic["partitions"])
        if ready:
            break
        if time.monotonic() >= deadline:
            if missing:
                reason = f"run {run!r}: no topic {missing[0]} on this broker; make it with `groundswell worker` or `backfill --kafka`"
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
