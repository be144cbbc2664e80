"""The doctor tries real things, finds what is broken, says what to do, and leaves no trace."""

import socket
import threading
import time
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from groundswell import doctor
from groundswell.clock import ManualClock, SystemClock
from groundswell.doctor import Check, Probe, checks
from groundswell.errors import DependencyError
from groundswell.names import CONTRIBUTION_PARTITIONS, RAW_PARTITIONS, contribution_topic, raw_topic
from groundswell.settings import Settings, load_settings
from groundswell.store.store import HEAD, Store
from tests import peers

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def free_port() -> int:
    return peers.free_port()


@pytest.fixture
def environ(tmp_path: Path, free_port: int) -> dict[str, str]:
    return {
        "GROUNDSWELL_DATA_DIR": str(tmp_path / "var"),
        "GROUNDSWELL_STORE_URL": f"sqlite:///{tmp_path / 'desk.db'}",
        "GROUNDSWELL_BOARD_PORT": str(free_port),
        "GROUNDSWELL_METRICS_PORT": "0",
    }


def found(environ: dict[str, str], **more: str) -> dict[str, Check]:
    settings: Settings = load_settings(environ=environ | {f"GROUNDSWELL_{key}": value for key, value in more.items()})
    return {check.name: check for check in checks(settings)}


def test_a_healthy_machine_passes_every_check_and_parts_that_are_not_configured_are_not_tried(environ: dict[str, str]) -> None:
    report = found(environ)
    assert {name: check.detail for name, check in report.items() if not check.ok} == {}
    assert list(report) == ["python", "packages", "data folder", "clock", "store", "board"]
    assert {check.repair for check in report.values()} == {""}


def test_no_trace_is_left_in_the_data_folder_and_no_store_is_made(environ: dict[str, str], tmp_path: Path) -> None:
    found(environ)
    assert [path.name for path in tmp_path.rglob("*")] == ["var"]


def test_whatever_a_part_raises_is_a_failed_check_with_its_repair_and_without_its_passwords(environ: dict[str, str]) -> None:
    def broken() -> str:
        message = "no way to postgresql://u:hunter2@h/d"
        raise RuntimeError(message)

    def silent() -> str:
        raise ZeroDivisionError

    rooms = [Probe("model", broken, "install the bundle"), Probe("other", silent, "look"), Probe("fine", lambda: "found", "never said")]
    report = checks(load_settings(environ=environ), rooms=rooms)
    assert report[-3:] == [
        Check("model", False, "no way to postgresql://u:***@h/d", "install the bundle"),
        Check("other", False, "ZeroDivisionError", "look"),
        Check("fine", True, "found", ""),
    ]


# --- this machine ---------------------------------------------------------------------------------------------------------
def test_the_versions_of_python_and_the_packages_are_those_of_the_project_file() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    (low, high) = doctor.PYTHON
    assert project["requires-python"] == f">={low[0]}.{low[1]},<{high[0]}.{high[1]}"
    assert len(project["dependencies"]) == len(doctor.PACKAGES)


def test_another_python_and_a_missing_package_are_found() -> None:
    for version in ((3, 10, 9), (3, 13, 0)):
        with pytest.raises(DependencyError, match="not supported"):
            doctor._python(version)
    assert doctor._python((3, 11, 0)) == "3.11.0"
    with pytest.raises(DependencyError, match="no_such_package: No module named"):
        doctor._packages(["sys", "no_such_package"])


def test_a_data_folder_that_cannot_be_made_or_is_full_is_found(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    check = found(environ, DATA_DIR=str(tmp_path / "file" / "var"))["data folder"]
    assert not check.ok
    assert "set data.dir" in check.repair
    with pytest.raises(DependencyError, match="GiB are needed"):
        doctor._data(tmp_path, 2**70)


def test_a_clock_that_is_far_from_the_disks_or_in_the_past_is_found(tmp_path: Path) -> None:
    assert doctor._clock(tmp_path, SystemClock()).startswith("20")
    with pytest.raises(DependencyError, match="away from the clock of the disk"):
        doctor._clock(tmp_path, ManualClock(SystemClock().now_ms() + 60_000))
    with pytest.raises(DependencyError, match="long passed"):
        doctor._clock(tmp_path, ManualClock(0))


def test_a_port_that_is_taken_is_found_and_named(environ: dict[str, str], free_port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        report = found(environ, METRICS_PORT=str(free_port))
    assert not report["board"].ok
    assert "board.port" in report["board"].repair
    assert not report["metrics"].ok
    assert "metrics.port" in report["metrics"].repair


# --- the store ------------------------------------------------------------------------------------------------------------
def test_a_store_says_its_schema_and_one_of_a_later_release_is_refused(environ: dict[str, str], tmp_path: Path) -> None:
    store = Store(str(tmp_path / "desk.db"))
    assert found(environ)["store"] == Check("store", True, f"{store.shown}, schema {HEAD}", "")
    with store.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    store.close()
    check = found(environ)["store"]
    assert not check.ok
    assert "9999" in check.detail
    assert "later release" in check.repair


def test_a_store_that_is_no_database_is_found(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "desk.db").write_text("not a database at all, but long enough to be looked at")
    assert not found(environ)["store"].ok


def test_a_postgresql_server_that_is_away_is_found_and_its_password_is_not_shown(environ: dict[str, str], free_port: int) -> None:
    check = found(environ, STORE_URL=f"postgresql://u:hunter2@127.0.0.1:{free_port}/d")["store"]
    assert not check.ok
    assert "hunter2" not in str(check)
    assert "start PostgreSQL" in check.repair


# --- mail and Slack -------------------------------------------------------------------------------------------------------
class Relay(threading.Thread):
    """A mail relay that greets one caller and remembers what it says."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__(daemon=True)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.heard: list[bytes] = []
        self._replies = replies
        self.start()

    def run(self) -> None:
        with self._socket, self._socket.accept()[0] as link, link.makefile("rwb") as stream:
            for reply in self._replies:
                stream.write(reply)
                stream.flush()
                line = stream.readline()
                if not line:
                    return
                self.heard.append(line.strip())


def mail(environ: dict[str, str], port: int, *, tls: str = "none") -> Check:
    sender = {"MAIL_SENDER": "groundswell@bank.example", "MAIL_RECIPIENTS": "desk@bank.example"}
    return found(environ, MAIL_HOST="127.0.0.1", MAIL_PORT=str(port), MAIL_TLS=tls, **sender)["mail"]


def test_a_mail_relay_is_greeted_and_sent_nothing(environ: dict[str, str]) -> None:
    relay = Relay(b"220 relay\r\n", b"250 hello\r\n", b"221 bye\r\n")
    assert mail(environ, relay.port).ok
    relay.join(180)
    assert [line.split()[0].upper() for line in relay.heard] == [b"EHLO", b"QUIT"]


def test_a_relay_without_the_encryption_that_is_asked_for_is_found(environ: dict[str, str]) -> None:
    relay = Relay(b"220 relay\r\n", b"250 hello\r\n", b"221 bye\r\n")
    check = mail(environ, relay.port, tls="starttls")
    assert not check.ok
    assert "STARTTLS" in check.detail
    relay.join(180)


def test_a_relay_that_is_away_is_found(environ: dict[str, str], free_port: int) -> None:
    check = mail(environ, free_port)
    assert not check.ok
    assert "mail.host" in check.repair


def test_a_slack_address_is_only_looked_at_and_never_shown(environ: dict[str, str]) -> None:
    good = found(environ, SLACK_WEBHOOK_URL="https://hooks.slack.example/services/T0/B0/hunter2")["slack"]
    assert good.ok
    assert "hunter2" not in str(good)
    for bad in ("http://hooks.slack.example/services/T0/B0/hunter2", "https://hooks.slack.example/"):
        check = found(environ, SLACK_WEBHOOK_URL=bad)["slack"]
        assert not check.ok
        assert "hunter2" not in str(check)


# --- Kafka ----------------------------------------------------------------------------------------------------------------
def test_brokers_that_are_away_are_found_within_seconds(environ: dict[str, str], free_port: int) -> None:
    check = found(environ, KAFKA_BOOTSTRAP=f"127.0.0.1:{free_port}")["kafka"]
    assert not check.ok
    assert f"127.0.0.1:{free_port}" in check.detail
    assert "kafka.bootstrap" in check.repair


@pytest.fixture
def run(kafka: str) -> str:
    return f"doctor{uuid.uuid4().hex[:8]}"


@pytest.fixture
def make_topics(kafka: str, run: str) -> Iterator[Callable[..., None]]:
    from kafka import KafkaAdminClient
    from kafka.admin import NewTopic

    admin: Any = KafkaAdminClient(bootstrap_servers=kafka)

    def make(raw: int, contributions: int, *, stamp: str) -> None:
        configs = {"message.timestamp.type": stamp}
        topics = [(raw_topic(run), raw, configs), (contribution_topic(run), contributions, {})]
        admin.create_topics([NewTopic(name=name, num_partitions=n, replication_factor=1, topic_configs=c) for name, n, c in topics])
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:  # a broker may answer "unknown" for a moment after it has made a topic
            told = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics([name for name, _, _ in topics])}
            if told == {name: n for name, n, _ in topics}:
                return
        message = f"the topics were not there within 180 s: {told}"
        raise AssertionError(message)

    yield make
    admin.close()


def test_missing_topics_are_found_each(kafka: str, run: str) -> None:
    with pytest.raises(DependencyError) as caught:
        doctor._kafka(kafka, run)
    assert f"topic {raw_topic(run)} has 0 partitions, {RAW_PARTITIONS} are needed" in str(caught.value)
    assert f"topic {contribution_topic(run)} has 0 partitions, {CONTRIBUTION_PARTITIONS} are needed" in str(caught.value)


def test_topics_as_they_should_be_pass(kafka: str, run: str, make_topics: Callable[..., None]) -> None:
    make_topics(RAW_PARTITIONS, CONTRIBUTION_PARTITIONS, stamp="LogAppendTime")
    assert doctor._kafka(kafka, run) == f"{kafka}, {raw_topic(run)}, {contribution_topic(run)}"


def test_a_raw_topic_that_keeps_the_producers_time_is_found(kafka: str, run: str, make_topics: Callable[..., None]) -> None:
    make_topics(RAW_PARTITIONS, 3, stamp="CreateTime")
    with pytest.raises(DependencyError) as caught:
        doctor._kafka(kafka, run)
    assert "message.timestamp.type=CreateTime, LogAppendTime is needed" in str(caught.value)
    assert f"has 3 partitions, {CONTRIBUTION_PARTITIONS} are needed" in str(caught.value)
