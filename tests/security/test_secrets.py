"""Real processes that are given secrets and then troubles: none says a secret, anywhere that another person can look."""

import os
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select
from sqlalchemy.engine import make_url

from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.derived import insert_alert
from groundswell.store.store import Store
from ingest.catalogue import SHIPPED
from stream.shells.instruments import open_run
from tests.alerts.alert_factory import an_alert
from tests.peers import SecureKafka, free_port, plain_url
from tests.synthetic_news import instruments

ROOT: Final = Path(__file__).resolve().parents[2]
MAIL, SLACK, WRONG, LOGIN = "hunter2/of mail", "hunter2OfSlack", "hunter2&wrong", "hunter2@of:store"
ALERT: Final = an_alert()


class Told:
    """Whatever a process let out, and the secrets that it was given."""

    def __init__(self, *more: str) -> None:
        self.secrets = ("hunter2", *more)
        self.pieces: list[str] = []

    def add(self, *pieces: str) -> None:
        self.pieces += pieces

    def check(self) -> str:
        """All that was let out; raises AssertionError if a secret is in it."""
        everything = "\n".join(self.pieces)
        for secret in self.secrets:
            place = everything.find(secret)
            assert place < 0, f"a secret was let out: {everything[max(0, place - 200) : place + 80]}"
        return everything


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Settings with a secret in every place, a relay and a webhook that nobody answers, and no source that is on a real network."""
    off = tmp_path / "off.toml"
    names = [source["name"] for source in tomllib.loads(SHIPPED.read_text("utf-8"))["source"]]
    entry = 'owner = "o"\nkind = "news"\nurl = "https://127.0.0.1:9/feed"\nenabled = false\n'
    off.write_text("".join(f'[[source]]\nname = "{name}"\n{entry}' for name in names))
    given = {key: value for key, value in os.environ.items() if not key.startswith("GROUNDSWELL")}
    settings = {
        "CATALOGUE_EXTRA": str(off),
        "DATA_DIR": str(tmp_path / "data"),
        "LOG_LEVEL": "debug",
        "LOG_FORMAT": "json",
        "MAIL_HOST": "127.0.0.1",
        "MAIL_PASSWORD": MAIL,
        "MAIL_PORT": "9",
        "MAIL_RECIPIENTS": "desk@bank.example",
        "MAIL_SENDER": "groundswell@bank.example",
        "MAIL_TLS": "starttls",
        "MAIL_USERNAME": "desk",
        "METRICS_PORT": str(free_port()),
        "MODELS_USE": "linear",
        "SLACK_WEBHOOK_URL": f"https://127.0.0.1:9/services/T0/B0/{SLACK}",
    }
    return given | {"PYTHONPATH": str(ROOT)} | {f"GROUNDSWELL_{key}": value for key, value in settings.items()}


@pytest.fixture
def store_url(postgres_store_url: str) -> Iterator[str]:
    """A migrated store with one alert whose messages are due; its account's password is a secret that a URL has to encode."""
    name = f"secret_{make_url(postgres_store_url).database}"
    with closing(Store(postgres_store_url)) as store:
        open_run(store, LIVE_RUN, kind="live", instruments=instruments())
        with store.write() as connection:
            insert_alert(store, connection, LIVE_RUN, ALERT, targets=("mail", "slack"))
    with psycopg.connect(plain_url(postgres_store_url), autocommit=True) as admin:
        who = sql.Identifier(name)
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(who, LOGIN))
        yield make_url(postgres_store_url).set(username=name, password=LOGIN).render_as_string(hide_password=False)
        admin.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(who))
        admin.execute(sql.SQL("DROP ROLE {}").format(who))


def command_lines(pid: int) -> list[str]:
    """What `ps` shows of a process and all that it has started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found, new = {pid}, {pid}
    while new := {child for child, parent in parents.items() if parent in new} - found:
        found |= new
    return [(Path("/proc") / str(each) / "cmdline").read_text(errors="replace").replace("\0", " ") for each in sorted(found)]


def page(url: str) -> tuple[int, str]:
    """Status and text of an address; 0 while nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return int(answer.status), answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, f"{error.headers}{error.read().decode()}"
    except OSError:
        return 0, ""


def wait_for(found: Callable[[], bool], said: Path, *, within_s: float = 240.0) -> None:
    deadline = time.monotonic() + within_s
    while not found():
        assert time.monotonic() < deadline, said.read_text(errors="replace")[-3_000:]
        time.sleep(0.1)


@contextmanager
def running(environ: dict[str, str], *arguments: str, told: Told, said: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A command as a service, told to stop at the end; what it said and how `ps` showed it is kept."""
    with said.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "groundswell", *arguments],
            cwd=said.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    try:
        yield process
        told.add(*command_lines(process.pid))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        told.add(said.read_text(errors="replace"))


def test_config_and_doctor_show_every_setting_and_try_every_part_without_a_secret(
    environ: dict[str, str], secure_kafka: SecureKafka, store_url: str, tmp_path: Path
) -> None:
    told = Told(secure_kafka.access("crawler").password)
    wrong = make_url(store_url).set(password=WRONG).render_as_string(hide_password=False)
    right = environ | secure_kafka.environ("crawler") | {"GROUNDSWELL_STORE_URL": store_url}
    broken = right | {"GROUNDSWELL_KAFKA_SASL_PASSWORD": WRONG, "GROUNDSWELL_STORE_URL": wrong}
    for given in (right, broken):
        for command in ("config", "doctor"):
            done = subprocess.run(
                [sys.executable, "-m", "groundswell", command],
                cwd=tmp_path,
                env=given,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            told.add(done.stdout, done.stderr)
    everything = told.check()
    assert "***" in everything
    assert "correct kafka.sasl_username (crawler) and kafka.sasl_password" in everything


def test_a_password_on_a_command_line_is_refused_and_not_repeated(environ: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "groundswell", "alerts", "--store", "postgresql://desk:hunter2@127.0.0.1:9/none"]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 2
    assert "--store postgresql://desk:***@127.0.0.1:9/none: everybody on this machine can read" in done.stderr
    assert "GROUNDSWELL_STORE_URL_FILE" in done.stderr
    assert "hunter2" not in done.stderr


def test_workers_that_log_all_they_can_show_no_secret_in_lines_metrics_or_ps(
    environ: dict[str, str], secure_kafka: SecureKafka, store_url: str, tmp_path: Path
) -> None:
    told, said = Told(secure_kafka.access("admin").password), tmp_path / "worker.log"
    given = environ | secure_kafka.environ("admin") | {"GROUNDSWELL_STORE_URL": store_url, "GROUNDSWELL_KAFKA_SASL_MECHANISM": "PLAIN"}
    metrics = f"http://127.0.0.1:{given['GROUNDSWELL_METRICS_PORT']}/metrics"
    with running(given, "worker", "--agents", "fold", told=told, said=said) as process:
        wait_for(lambda: page(metrics)[0] == 200 and b"SaslAuthenticate" in said.read_bytes(), said)
        wait_for(lambda: b"groundswell.contributions" in said.read_bytes() and len(command_lines(process.pid)) >= 3, said)
        told.add(page(metrics)[1])
    everything = told.check()
    assert "***" in everything, "the clients wrote the password, and the guard was there"


def test_a_worker_and_a_crawler_that_are_refused_say_why_and_no_secret(
    environ: dict[str, str], secure_kafka: SecureKafka, store_url: str, tmp_path: Path
) -> None:
    told = Told(secure_kafka.access("crawler").password)
    given = environ | secure_kafka.environ("crawler") | {"GROUNDSWELL_STORE_URL": store_url, "GROUNDSWELL_KAFKA_SASL_PASSWORD": WRONG}
    for command in ("worker", "crawl"):
        said = tmp_path / f"{command}.log"
        with running(given, command, told=told, said=said) as process:
            wait_for(lambda said=said: b"correct kafka.sasl_username (crawler)" in said.read_bytes(), said)  # type: ignore[misc]
            assert command == "worker" or process.poll() is None, "a crawler goes on, and its records wait on disk"
    told.check()


def test_desk_and_board_in_trouble_show_no_secret(environ: dict[str, str], store_url: str, postgres_store_url: str, tmp_path: Path) -> None:
    told = Told()
    given = environ | {"GROUNDSWELL_STORE_URL": store_url}
    desk, board = tmp_path / "desk.log", tmp_path / "board.log"
    with running(given, "desk", told=told, said=desk):
        wait_for(lambda: desk.read_bytes().count(b"message waits") >= 2, desk)
    with closing(Store(store_url)) as store, store.read() as connection:
        reasons = list(connection.execute(select(t.outbox.c.reason)).scalars())
    assert all(reasons)
    told.add(*map(str, reasons))
    with running(given, "board", "--port", "0", "--run", LIVE_RUN, told=told, said=board):
        wait_for(lambda: b"Board:" in board.read_bytes(), board)
        url = board.read_text().partition("Board:")[2].split()[0]
        wait_for(lambda: page(f"{url}/healthz")[0] > 0, board)
        paths = ("/", "/alerts", f"/alerts/{ALERT.id}", "/sources", "/api/board.json", f"/api/alerts/{ALERT.id}.json", "/healthz")
        told.add(*(page(url + path)[1] for path in paths))
        assert page(f"{url}/alerts/{ALERT.id}")[0] == 200
        lock_out(store_url, postgres_store_url)
        answers = [page(url + path) for path in paths]
        assert 503 in {status for status, _ in answers}
        told.add(*(text for _, text in answers))
    told.check()


def lock_out(store_url: str, admin_url: str) -> None:
    """The account may not log in any more, and is thrown out."""
    who = str(make_url(store_url).username)
    with psycopg.connect(plain_url(admin_url), autocommit=True) as admin:
        admin.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(sql.Identifier(who)))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (who,))
