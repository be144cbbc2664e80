import os
import re
import select
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic

from tests import peers

CI_RUN = peers.REPOSITORY / ".ci" / "run"
START = peers.KAFKA_START


# --- the words ----------------------------------------------------------------------------------------------------------
def test_markers_fixtures_and_the_ci_script_name_the_peers_that_there_are() -> None:
    pytest_settings = tomllib.loads((peers.REPOSITORY / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    markers = {marker.partition(":")[0] for marker in pytest_settings["markers"] if " is started)" in marker}
    set_by_ci = re.findall(rf"^export {peers.REQUIRE_VARIABLE}=(\S+)$", CI_RUN.read_text(), flags=re.MULTILINE)
    assert markers == set(peers.PEERS)
    assert set(peers.FIXTURE_PEERS.values()) == set(peers.PEERS)
    assert [set(value.split(",")) for value in set_by_ci] == [set(peers.PEERS)]


def test_a_required_peer_that_does_not_exist_is_refused_by_name() -> None:
    known = "alertmanager, compose, dovecot, kafka, nginx, postgres, prometheus"
    with pytest.raises(ValueError, match=f"GROUNDSWELL_REQUIRE='kafka,postgress': 'postgress' is no peer; known are {known}"):
        peers.required_peers("kafka,postgress")


# --- what a run without the peers says ------------------------------------------------------------------------------------
def run_without_programs(project: Path, require: str) -> subprocess.CompletedProcess[str]:
    """One test per peer, run by pytest in a project with this conftest, where the PATH leads to no program."""
    (project / "tests").mkdir()
    for name in ("conftest.py", "peers.py", "mailserver.py"):
        (project / "tests" / name).write_bytes((peers.REPOSITORY / "tests" / name).read_bytes())
    start = project / "deploy" / "kafka"
    start.mkdir(parents=True)
    for name in ("start.sh", "start.py", "secure.py", "pom.xml"):
        (start / name).write_bytes((START.parent / name).read_bytes())
    (start / "start.sh").chmod(0o755)
    (project / "pytest.ini").write_text(
        "[pytest]\naddopts = --import-mode=importlib\npythonpath = .\nmarkers =\n  kafka: k\n  nginx: n\n  postgres: p\n"
    )
    (project / "tests" / "test_two.py").write_text("def test_one(kafka): ...\ndef test_two(postgres_store_url): ...\n")
    tools = project / "bin"
    tools.mkdir()
    for name in ("bash", "dirname"):
        (tools / name).symlink_to(next(folder for folder in map(Path, ("/usr/bin", "/bin")) if (folder / name).exists()) / name)
    environ = {name: value for name, value in os.environ.items() if name not in {"JAVA_HOME", "PYTEST_ADDOPTS"}}
    environ |= {"PATH": str(tools), peers.POSTGRES_VARIABLE: str(project), peers.REQUIRE_VARIABLE: require}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(command, cwd=project, env=environ, capture_output=True, text=True, check=False)


def test_a_missing_peer_skips_its_tests_and_says_so_once_at_the_end(tmp_path: Path) -> None:
    done = run_without_programs(tmp_path, require="")
    lines = [line for line in done.stdout.splitlines() if line.startswith("SKIPPED PEER")]
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 skipped" in done.stdout
    assert len(lines) == 2
    assert lines[0].startswith("SKIPPED PEER kafka: needs Java 17 and Maven: no java program on the PATH")
    assert lines[1].startswith("SKIPPED PEER postgres: needs the server programs of PostgreSQL 15 or newer: no initdb")


def test_a_missing_peer_that_is_required_fails_its_tests(tmp_path: Path) -> None:
    done = run_without_programs(tmp_path, require="kafka")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "GROUNDSWELL_REQUIRE names kafka, but it needs Java 17 and Maven" in done.stdout
    assert "1 skipped" in done.stdout
    assert "SKIPPED PEER kafka" not in done.stdout


# --- the start script ---------------------------------------------------------------------------------------------------
def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(START), *arguments], env=peers.kafka_environ(), capture_output=True, text=True, check=False)


@pytest.mark.kafka
def test_a_taken_port_is_named_before_anything_starts(kafka: str, tmp_path: Path) -> None:
    port = kafka.rpartition(":")[2]
    done = start("--port", port, "--data", str(tmp_path))
    assert done.returncode == 2
    assert f"port {port} on 127.0.0.1 cannot be used" in done.stderr
    assert "--port" in done.stderr
    assert not list(tmp_path.glob("node-*"))


def test_an_impossible_number_of_nodes_is_a_usage_error() -> None:
    done = start("--nodes", "0")
    assert done.returncode == 2
    assert "--nodes must be from 1 to 9, got 0" in done.stderr


@pytest.mark.kafka
def test_data_of_a_cluster_of_another_size_is_not_touched(tmp_path: Path) -> None:
    identity = tmp_path / "cluster"
    identity.write_text("3 c3ludGhldGljLWNsdXN0ZQ\n")
    done = start("--port", "0", "--data", str(tmp_path))
    assert done.returncode == 2
    assert "holds a cluster that was made with --nodes 3: start it so" in done.stderr
    assert identity.read_text() == "3 c3ludGhldGljLWNsdXN0ZQ\n"
    identity.write_text("1 c3ludGhldGljLWNsdXN0ZQ secure\n")
    assert "holds a cluster that was made with --nodes 1 --secure: start it so" in start("--port", "0", "--data", str(tmp_path)).stderr


# --- real peers -----------------------------------------------------------------------------------------------------------
@pytest.mark.kafka
def test_a_message_comes_back_from_the_real_broker_with_the_stamp_of_the_log(kafka: str) -> None:
    topic = "house.peers.roundtrip"
    admin = KafkaAdminClient(bootstrap_servers=kafka)
    try:
        wanted = NewTopic(topic, num_partitions=2, replication_factor=1, topic_configs={"message.timestamp.type": "LogAppendTime"})
        admin.create_topics([wanted])
    finally:
        admin.close()
    producer = KafkaProducer(bootstrap_servers=kafka, acks="all")
    try:
        sent = producer.send(topic, key=b"k", value=b"payload", partition=1, timestamp_ms=1_000).get(timeout=120)
    finally:
        producer.close()
    consumer = KafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", consumer_timeout_ms=120_000)
    try:
        consumer.assign([TopicPartition(topic, 1)])
        got = next(consumer)
    finally:
        consumer.close()
    assert (got.offset, got.key, got.value) == (sent.offset, b"k", b"payload")
    assert got.timestamp_type == 1
    assert got.timestamp > 1_000


@pytest.mark.kafka
def test_a_topic_is_never_made_by_use(kafka: str) -> None:
    consumer = KafkaConsumer(bootstrap_servers=kafka)
    try:
        consumer.partitions_for_topic("house.peers.misspelt")
        assert "house.peers.misspelt" not in consumer.topics()
    finally:
        consumer.close()


@pytest.fixture
def engine(postgres_empty_url: str) -> Iterator[sqlalchemy.Engine]:
    engine = sqlalchemy.create_engine(postgres_empty_url)
    yield engine
    engine.dispose()


@pytest.mark.postgres
@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_gets_a_database_without_the_tables_of_another(engine: sqlalchemy.Engine, turn: int) -> None:
    with engine.begin() as link:
        link.execute(sqlalchemy.text("CREATE TABLE seen (turn integer)"))
        link.execute(sqlalchemy.text("INSERT INTO seen VALUES (:turn)"), {"turn": turn})
        assert link.execute(sqlalchemy.text("SELECT turn FROM seen")).scalars().all() == [turn]
        assert link.execute(sqlalchemy.text("SHOW server_encoding")).scalar() == "UTF8"


@pytest.mark.postgres
def test_a_database_is_dropped_even_while_somebody_is_connected(postgres_url: str) -> None:
    with peers.fresh_database(postgres_url) as url:
        held = psycopg.connect(peers.plain_url(url))
    try:
        with pytest.raises(psycopg.OperationalError):
            held.execute("SELECT 1")
    finally:
        held.close()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(peers.plain_url(url))


# --- nothing is left behind -----------------------------------------------------------------------------------------------
@pytest.mark.postgres
def test_a_failure_in_the_block_still_stops_the_server(postgres_url: str) -> None:
    seen: list[str] = []

    def fail() -> None:
        with peers.postgres_cluster() as url:
            seen.append(url)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with pytest.raises(psycopg.OperationalError, match="refused"):
        psycopg.connect(peers.plain_url(seen[0]))


def test_a_process_that_works_in_a_folder_is_found_and_gone_after_its_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import signal; print('ready', flush=True); signal.pause()"]
    with peers.running(command, stop=signal.SIGTERM, cwd=tmp_path, environ=os.environ, log=tmp_path / "log") as process:
        assert peers.first_line(process.stdout, within_s=120.0) == "ready"
        assert [line.split()[0] for line in peers.leftovers(tmp_path)] == [str(process.pid)]
    assert process.returncode == -signal.SIGTERM
    assert peers.leftovers(tmp_path) == []


def test_a_process_that_ignores_its_stop_is_ended_by_force_and_reported(tmp_path: Path) -> None:
    script = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"
    left: list[subprocess.Popen[bytes]] = []

    def stop_in_vain() -> None:
        with peers.running(
            [sys.executable, "-c", script], stop=signal.SIGTERM, stop_within_s=0.2, cwd=tmp_path, environ=os.environ, log=tmp_path / "log"
        ) as process:
            peers.first_line(process.stdout, within_s=120.0)
            left.append(process)

    with pytest.raises(subprocess.TimeoutExpired):
        stop_in_vain()
    assert left[0].returncode == -signal.SIGKILL


@pytest.mark.kafka
def test_a_broker_ends_with_a_start_script_that_is_killed(tmp_path: Path) -> None:
    command = [str(START), "--port", "0", "--data", str(tmp_path)]
    log = tmp_path / "start.log"
    with peers.running(command, stop=signal.SIGKILL, cwd=tmp_path, environ=peers.kafka_environ(), log=log) as process:
        assert peers.first_line(process.stdout, within_s=peers.KAFKA_READY_WITHIN_S)
        broker = int((tmp_path / "node-1" / "pid").read_text())
        handle = os.pidfd_open(broker)
    try:
        ended, _, _ = select.select([handle], [], [], 120.0)  # readable once the broker is gone
        if not ended:
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    finally:
        os.close(handle)
    assert ended
