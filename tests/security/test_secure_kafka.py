"""Kafka with encryption, logins and rights: every client gets in by its settings, and what is wrong is said with its setting."""

import asyncio
import io
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from deploy.kafka import secure
from groundswell import doctor, names
from groundswell.clock import ManualClock
from groundswell.errors import DependencyError
from groundswell.kafka_access import KafkaAccess
from groundswell.logs import set_up_logs
from groundswell.names import contribution_topic, raw_topic
from groundswell.records import RawDocument
from groundswell.store.store import Store
from ingest.sink import KafkaSink
from stream.shells.kafka import make_app
from stream.shells.publish import RawProducer, publish_archive
from stream.shells.topics import check_rights, create_topics, prepare_run, topic_ids
from stream.shells.worker import AgentName, WorkerSettings
from tests.kafka_run import embedded_rows, kafka_run, rows_of
from tests.peers import SecureKafka
from tests.security.secure_rights import allow, give_out, listed
from tests.synthetic_news import instruments, sealed_log

Client = Callable[[KafkaAccess, Path], None]
WRONG: Final = "hunter2-is-wrong"
DAYS, PER_DAY = 7, 30


@pytest.fixture(scope="module")
def rights(secure_kafka: SecureKafka) -> None:
    give_out(secure_kafka.access("admin"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(str(tmp_path / "kafka.db"))) as store:
        yield store


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    """Everything that anybody logs, at the lowest level, as a service would show it."""
    root, stream = logging.getLogger(), io.StringIO()
    handlers, level = list(root.handlers), root.level
    yield stream
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def heard(said: io.StringIO, access: KafkaAccess) -> KafkaAccess:
    set_up_logs(level="debug", format="json", stream=said, secrets=[access.password])
    return access


# --- getting in -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("way", ["SCRAM-SHA-512", "certificate"])
def test_each_client_gets_in_by_each_way_and_a_real_worker_makes_the_rows_of_the_embedded_shell(
    secure_kafka: SecureKafka, rights: None, way: str, store: Store, tmp_path: Path
) -> None:
    run = f"secure-{way.lower()}"
    access = secure_kafka.access("worker-tls") if way == "certificate" else replace(secure_kafka.access("worker"), mechanism=way)  # type: ignore[arg-type]
    log = sealed_log(tmp_path / "log.db", days=DAYS, per_day=PER_DAY)
    workers: list[tuple[AgentName, int]] = [("score", 0), ("fold", 0)]
    prepare_run(store, access, run, kind="backfill", instruments=instruments())
    assert publish_archive(log, access, run, store=store, envelope_records=20) == log.records()
    with kafka_run(access, store.url, run, tmp_path / "work") as started:
        for agent, number in workers:
            started.start(agent, number)
        expected = embedded_rows(log, tmp_path, run)
        started.finish(log)
        found = rows_of(store, run)
        codes = [started.stop(agent, number) for agent, number in workers]
    assert expected["documents"]
    for table, rows in expected.items():
        assert found[table] == rows, table
    assert codes == [0, 0]
    assert not access.password or access.password not in "".join(path.read_text() for path in (tmp_path / "work").glob("*.log"))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256"])
def test_the_other_mechanisms_let_both_clients_in(
    secure_kafka: SecureKafka, rights: None, mechanism: Any, said: io.StringIO, tmp_path: Path
) -> None:
    access = heard(said, replace(secure_kafka.access("worker"), mechanism=mechanism))
    ids = create_topics(access, "mechanism")
    assert topic_ids(access, "mechanism") == ids
    given = make_app(WorkerSettings(access, "", "mechanism", tmp_path), "score").conf.broker_credentials

    async def topics() -> set[str]:
        client = AIOKafkaConsumer(bootstrap_servers=access.bootstrap, **credentials_to_aiokafka_auth(given))
        await client.start()
        try:
            return set(await client.topics())
        finally:
            await client.stop()

    assert {raw_topic("mechanism"), contribution_topic("mechanism")} <= asyncio.run(topics())
    assert "Authenticated as worker" in said.getvalue(), "both clients were heard at the lowest level"
    assert access.password not in said.getvalue()


# --- not getting in ---------------------------------------------------------------------------------------------------------
def through_the_admin(access: KafkaAccess, tmp_path: Path) -> None:
    topic_ids(access, "live")


def through_a_producer(access: KafkaAccess, tmp_path: Path) -> None:
    RawProducer(access, "live").close()


def through_a_crawlers_sink(access: KafkaAccess, tmp_path: Path) -> None:
    with closing(KafkaSink(access, identity=lambda raw: raw.title, spool=tmp_path / "spool", clock=ManualClock(1_000))) as sink:
        sink.connect()


def through_the_doctor(access: KafkaAccess, tmp_path: Path) -> None:
    doctor._kafka(access)


CLIENTS: list[Client] = [through_the_admin, through_a_producer, through_a_crawlers_sink, through_the_doctor]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("wrong", "setting"),
    [
        ("password", r"correct kafka.sasl_username \(worker\) and kafka.sasl_password"),
        ("login", r"correct kafka.sasl_username \(nobody\) and kafka.sasl_password"),
        ("authority", r"kafka.tls_ca_file must hold the authority that signed the broker's certificate"),
        ("host", r"name the brokers in kafka.bootstrap as their certificates do; kafka.tls_check_hostname = false"),
        ("no certificate", r"asks for a client certificate that it trusts: kafka.tls_cert_file and kafka.tls_key_file"),
        ("foreign certificate", r"asks for a client certificate that it trusts: kafka.tls_cert_file and kafka.tls_key_file"),
        ("protocol", r"kafka.security_protocol \(PLAINTEXT\) what it speaks there"),
    ],
)
def test_who_does_not_get_in_is_told_the_setting_and_never_the_secret(
    secure_kafka: SecureKafka, wrong: str, setting: str, client: Client, said: io.StringIO, tmp_path: Path
) -> None:
    access = heard(said, wrongly(secure_kafka, wrong, tmp_path))
    began_s = time.monotonic()
    with pytest.raises(DependencyError, match=setting) as caught:
        client(access, tmp_path)
    assert time.monotonic() - began_s < 20, "found out at once, not after a client's own timeout"
    for secret in (access.password or WRONG, secure_kafka.access("worker").password):
        assert secret not in str(caught.value)
        assert secret not in said.getvalue()


def wrongly(kafka: SecureKafka, wrong: str, tmp_path: Path) -> KafkaAccess:
    login, shown = kafka.access("worker"), kafka.access("worker-tls")
    match wrong:
        case "password":
            return replace(login, password=WRONG)
        case "login":
            return replace(login, username="nobody")
        case "authority":
            return replace(login, ca_file=str(secure.make_authority(tmp_path)))
        case "host":
            return login.at(login.bootstrap.replace("127.0.0.1", "localhost"))
        case "no certificate":
            return replace(shown, cert_file="")
        case "foreign certificate":
            secure.make_authority(tmp_path)
            return replace(shown, cert_file=str(secure.make_certificate(tmp_path, "worker")))
        case _:
            return KafkaAccess(login.bootstrap)


def test_a_name_that_is_not_in_the_certificate_does_when_the_check_is_given_up(secure_kafka: SecureKafka) -> None:
    access = wrongly(secure_kafka, "host", Path())
    replace(access, check_hostname=False).check_reachable()


def test_a_client_that_encrypts_is_told_when_the_broker_does_not(kafka: str, secure_kafka: SecureKafka) -> None:
    with pytest.raises(DependencyError, match=r"kafka.security_protocol"):
        secure_kafka.access("worker").at(kafka).check_reachable()


# --- rights -----------------------------------------------------------------------------------------------------------------
@pytest.fixture
def live(secure_kafka: SecureKafka, rights: None) -> None:
    create_topics(secure_kafka.access("worker"), names.LIVE_RUN)


def test_the_page_lists_a_right_for_each_part_that_talks_to_kafka() -> None:
    assert {who for who, *_ in listed()} == {"crawler", "worker"}


def test_a_crawler_publishes_with_its_few_rights_and_its_doctor_is_content(secure_kafka: SecureKafka, live: None, tmp_path: Path) -> None:
    access = secure_kafka.access("crawler")
    with closing(KafkaSink(access, identity=lambda raw: raw.title, spool=tmp_path / "spool", clock=ManualClock(1_000))) as sink:
        sink.connect()
        sink.put([RawDocument(source="desk", title="t", id="1")])
        assert sink.tick() == 0
    assert "groundswell.contributions hidden from this login" in doctor._kafka(access)


def test_a_crawler_reads_nothing_and_sees_no_topic_but_its_own(secure_kafka: SecureKafka, live: None, tmp_path: Path) -> None:
    access = secure_kafka.access("crawler")
    given = make_app(WorkerSettings(access, "", "live", tmp_path), "score").conf.broker_credentials

    async def read() -> set[str]:
        client = AIOKafkaConsumer(bootstrap_servers=access.bootstrap, auto_offset_reset="earliest", **credentials_to_aiokafka_auth(given))
        await client.start()
        client.assign([TopicPartition(raw_topic(), 0)])
        try:
            with pytest.raises(TopicAuthorizationFailedError):
                await asyncio.wait_for(client.getone(), 180)
            return set(await client.topics())
        finally:
            await client.stop()

    assert asyncio.run(read()) == {raw_topic()}


def test_what_a_login_may_not_do_is_said_with_where_its_rights_are_listed(secure_kafka: SecureKafka, live: None) -> None:
    with pytest.raises(DependencyError, match=r"topic groundswell.contributions.*give crawler what docs/security.md lists"):
        topic_ids(secure_kafka.access("crawler"), names.LIVE_RUN)
    with pytest.raises(DependencyError, match=r"give crawler what docs/security.md lists"):
        create_topics(secure_kafka.access("crawler"), "made-by-a-crawler")


@pytest.mark.parametrize(
    ("role", "lacks"),
    [
        (names.ROLE_SCORE, r"no READ on topic groundswell.raw.lame"),
        (names.ROLE_FOLD, r"no READ on group groundswell-fold.lame"),
    ],
)
def test_a_worker_that_lacks_a_right_is_told_instead_of_waiting_for_ever(
    secure_kafka: SecureKafka, rights: None, role: str, lacks: str
) -> None:
    create_topics(secure_kafka.access("worker"), "lame")
    allow(secure_kafka.access("admin"), "crawler", "topic", names.raw_topic("lame"), ["WRITE", "DESCRIBE_CONFIGS"])
    allow(secure_kafka.access("admin"), "crawler", "topic", names.contribution_topic("lame"), ["READ", "WRITE"])
    with pytest.raises(DependencyError, match=rf"{lacks}; the login lacks a right: give crawler what"):
        check_rights(secure_kafka.access("crawler"), "lame", role=role)
    for each in (names.ROLE_SCORE, names.ROLE_FOLD):
        check_rights(secure_kafka.access("worker"), "lame", role=each)
