"""The real programs that some tests need: Kafka, PostgreSQL, nginx, started for the test run and stopped after it.

`tests/conftest.py` turns these into the fixtures `kafka`, `postgres_url`, `postgres_store_url` and `nginx`. A test that asks for one
of them carries the marker of the same peer. Where a peer's programs are missing its tests are skipped and the end of the run says
so in one line; GROUNDSWELL_REQUIRE=kafka,nginx,postgres turns that skip into a failure.
"""

import contextlib
import os
import pwd
import re
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psycopg
from psycopg import sql

from groundswell.kafka_access import KafkaAccess
from groundswell.settings import load_settings

__all__ = [
    "FIXTURE_PEERS",
    "PEERS",
    "REQUIRE_VARIABLE",
    "SecureKafka",
    "dovecot_program",
    "fresh_database",
    "kafka_cluster",
    "leftovers",
    "postgres_cluster",
    "required_peers",
    "secure_kafka_cluster",
]

REQUIRE_VARIABLE: Final = "GROUNDSWELL_REQUIRE"
POSTGRES_VARIABLE: Final = "GROUNDSWELL_POSTGRES_BIN"
REPOSITORY: Final = Path(__file__).resolve().parents[1]
KAFKA_START: Final = REPOSITORY / "deploy" / "kafka" / "start.sh"
POSTGRES_MIN: Final = 15
KAFKA_READY_WITHIN_S: Final = 240.0  # the very first start lets Maven fetch the jars
POSTGRES_READY_WITHIN_S: Final = 120.0
STOP_WITHIN_S: Final = 120.0
"""How long a peer that was told to stop may take: nobody waits for longer than it does take."""
PORTS: Final = range(20_000, 32_000)
"""Below those that Linux lends to outgoing connections, so that nothing takes one between its choice and its use by chance."""


# --- which peers there are, and whether their programs are here ---------------------------------------------------------
def kafka_missing() -> str | None:
    """Why no broker can be started here, or None; the start script itself is asked."""
    asked = subprocess.run([str(KAFKA_START), "--check"], capture_output=True, text=True, check=False, env=kafka_environ())
    if asked.returncode == 0:
        return None
    return f"needs Java 17 and Maven: {asked.stderr.strip().removeprefix('kafka: ')}"


def postgres_folders() -> list[Path]:
    """Where `initdb` and `postgres` may be.

    In GROUNDSWELL_POSTGRES_BIN and nowhere else if that is set; else on the PATH, where pg_config says, or where Debian puts them,
    newest first.
    """
    chosen = os.environ.get(POSTGRES_VARIABLE)
    if chosen:
        return [Path(chosen)]
    folders = [Path(found).parent for found in [shutil.which("initdb")] if found]
    pg_config = shutil.which("pg_config")
    if pg_config:
        told = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False).stdout.strip()
        folders += [Path(told)] if told else []
    return folders + sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)


def postgres_programs() -> Path | None:
    """The first folder that holds both programs."""
    return next((place for place in postgres_folders() if all(os.access(place / name, os.X_OK) for name in ("initdb", "postgres"))), None)


def postgres_missing() -> str | None:
    """Why no PostgreSQL server can be started here, or None."""
    needs = f"needs the server programs of PostgreSQL {POSTGRES_MIN} or newer"
    folder = postgres_programs()
    if folder is None:
        return f"{needs}: no initdb and postgres in {POSTGRES_VARIABLE}, on the PATH, beside pg_config or in Debian's folder"
    told = subprocess.run([str(folder / "postgres"), "--version"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.search(r"\) (\d+)", told)
    if found is None or int(found[1]) < POSTGRES_MIN:
        return f"{needs}: {folder / 'postgres'} answers {told!r}"
    return None


def dovecot_program() -> str | None:
    """Debian puts it where only root looks."""
    return shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def dovecot_missing() -> str | None:
    """Why no mail server can be started here, or None."""
    if dovecot_program() is None or shutil.which("openssl") is None:
        return "needs dovecot (Debian: dovecot-imapd) and openssl"
    return None if os.geteuid() == 0 else "needs root: dovecot gives each of its processes another account"


def nginx_program() -> str | None:
    """Where nginx is; Debian's folder is on root's PATH only."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def nginx_missing() -> str | None:
    """Why no web server can be started here, or None."""
    return None if nginx_program() else "needs nginx: it is neither on the PATH nor in /usr/sbin"


def prometheus_missing() -> str | None:
    """Why no Prometheus can be started here, or None."""
    return None if shutil.which("prometheus") and shutil.which("promtool") else "needs prometheus and promtool (Debian: prometheus)"


def alertmanager_program() -> str | None:
    """Debian gives it another name than its authors."""
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def alertmanager_missing() -> str | None:
    """Why no Alertmanager can be started here, or None."""
    if alertmanager_program() and shutil.which("amtool"):
        return None
    return "needs alertmanager and amtool (Debian: prometheus-alertmanager)"


def compose_missing() -> str | None:
    """Why no compose file can be read here, or None; an engine is not needed for that."""
    return None if shutil.which("docker-compose") else "needs docker-compose (Debian: docker-compose)"


PEERS: Final[Mapping[str, Callable[[], str | None]]] = {
    "kafka": kafka_missing,
    "postgres": postgres_missing,
    "dovecot": dovecot_missing,
    "nginx": nginx_missing,
    "prometheus": prometheus_missing,
    "alertmanager": alertmanager_missing,
    "compose": compose_missing,
}
"""Word of a peer (marker, and word of GROUNDSWELL_REQUIRE) -> why it cannot be started here, None if it can."""

FIXTURE_PEERS: Final[Mapping[str, str]] = {
    "kafka": "kafka",
    "secure_kafka": "kafka",
    "nginx": "nginx",
    "postgres_url": "postgres",
    "postgres_store_url": "postgres",
    "postgres_empty_url": "postgres",
    "dovecot": "dovecot",
    "prometheus": "prometheus",
    "alertmanager": "alertmanager",
    "docker_compose": "compose",
}
"""Fixture -> the peer that it starts."""


def required_peers(value: str) -> frozenset[str]:
    """The peers that a value of GROUNDSWELL_REQUIRE names; raises ValueError for a word that is no peer.

    >>> sorted(required_peers("postgres, kafka"))
    ['kafka', 'postgres']
    >>> required_peers("")
    frozenset()
    """
    words = frozenset(word.strip() for word in value.split(",") if word.strip())
    unknown = sorted(words - PEERS.keys())
    if unknown:
        message = f"{REQUIRE_VARIABLE}={value!r}: {unknown[0]!r} is no peer; known are {', '.join(sorted(PEERS))}"
        raise ValueError(message)
    return words


# --- processes ------------------------------------------------------------------------------------------------------------
def leftovers(folder: Path) -> list[str]:
    """Processes that work in `folder` or name it on their command line, as `pid command`; always empty where /proc is missing."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if entry.name == str(os.getpid()):
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            place = os.readlink(entry / "cwd").removesuffix(" (deleted)")
        except OSError:  # gone meanwhile, or another user's
            continue
        if str(folder) in command or Path(place).is_relative_to(folder):
            found.append(f"{entry.name} {command}")
    return found


def ending_with_parent(command: list[str], number: signal.Signals) -> list[str]:
    """The command, so that it gets this signal when pytest dies without a chance to stop it (where Linux's setpriv is there)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", number.name.removeprefix("SIG"), "--", *command] if setpriv else command


@contextlib.contextmanager
def running(
    command: list[str],
    *,
    stop: signal.Signals,
    stop_within_s: float = STOP_WITHIN_S,
    user: str | None = None,
    cwd: Path,
    environ: Mapping[str, str],
    log: Path,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, stopped by `stop` however the block ends; by force, and loudly, when that takes too long."""
    group = pwd.getpwnam(user).pw_gid if user else None
    with log.open("wb") as errors:
        process = subprocess.Popen(
            ending_with_parent(command, stop),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=cwd,
            env=dict(environ),
            user=user,
            group=group,
            extra_groups=None if user is None else [],
            start_new_session=True,  # Ctrl-C is for pytest alone, which then comes here
        )
    with process:
        try:
            yield process
        finally:
            process.send_signal(stop)
            try:
                process.wait(stop_within_s)
            except BaseException:  # a second Ctrl-C too
                os.killpg(process.pid, signal.SIGKILL)
                raise


@contextlib.contextmanager
def temporary_folder(name: str, *, owner: str | None = None) -> Iterator[Path]:
    """A short, private folder (a UNIX socket's path must be short); raises AssertionError if a process still uses it at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"groundswell-{name}-"))
    try:
        if owner is not None:
            account = pwd.getpwnam(owner)
            os.chown(folder, account.pw_uid, account.pw_gid)
        yield folder
        deadline = time.monotonic() + STOP_WITHIN_S
        while (left := leftovers(folder)) and time.monotonic() < deadline:  # a server's own children end a moment after it
            time.sleep(0.02)
        if left:
            message = f"{name} left processes behind after its stop: {'; '.join(left)}"
            raise AssertionError(message)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- Kafka ----------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def kafka_cluster(nodes: int = 1) -> Iterator[str]:
    """A real broker (or several) on free loopback ports with empty storage; yields the bootstrap address.

    Topics are never made by use: create them through the admin client, under a name that no other test has.
    """
    with _kafka(["--nodes", str(nodes)]) as (address, _):
        yield address


@dataclass(frozen=True)
class SecureKafka:
    """A broker that encrypts, asks for a login or a certificate, and lets only `admin` do anything (deploy/kafka/secure.py)."""

    folder: Path

    def access(self, user: str) -> KafkaAccess:
        """How a user gets in: "admin", "crawler" or "worker" log in, "admin-tls" and so on show a certificate."""
        return KafkaAccess.from_settings(load_settings(path=self.folder / f"{user}.toml", environ={}).kafka)

    def environ(self, user: str) -> dict[str, str]:
        """The same for a command, as variables; the password itself is in one of them."""
        kafka = load_settings(path=self.folder / f"{user}.toml", environ={}).kafka
        given = {name: getattr(kafka, name) for name in kafka.__struct_fields__ if name != "tls_check_hostname"}
        return {f"GROUNDSWELL_KAFKA_{name.upper()}": str(value) for name, value in given.items() if value}


@contextlib.contextmanager
def secure_kafka_cluster() -> Iterator[SecureKafka]:
    """A real broker with encryption, logins and rights, on free loopback ports with empty storage."""
    with _kafka(["--secure"]) as (_, data):
        yield SecureKafka(data / "secure")


@contextlib.contextmanager
def _kafka(options: list[str]) -> Iterator[tuple[str, Path]]:
    """(bootstrap address, data folder) of what start.sh makes of the options."""
    with temporary_folder("kafka") as folder:
        log = folder / "start.log"
        command = [str(KAFKA_START), *options, "--port", "0", "--data", str(folder / "data")]
        # SIGTERM: start.sh stops its nodes and waits for them.
        with running(command, stop=signal.SIGTERM, cwd=folder, environ=kafka_environ(), log=log) as process:
            address = first_line(process.stdout, within_s=KAFKA_READY_WITHIN_S)
            if not address:
                message = f"{KAFKA_START} printed no bootstrap address; it said:\n{log.read_text(errors='replace')}"
                raise RuntimeError(message)
            yield address, folder / "data"


def kafka_environ() -> dict[str, str]:
    """The environment of the start script: the Python that runs the tests also runs the script."""
    return {**os.environ, "PYTHON": sys.executable}


def first_line(stream: IO[bytes] | None, *, within_s: float) -> str:
    """The first line of a pipe without its end, or nothing if the pipe closes or time is up before."""
    if stream is None:
        return ""
    ready, _, _ = select.select([stream], [], [], within_s)
    return stream.readline().decode().strip() if ready else ""


# --- PostgreSQL -----------------------------------------------------------------------------------------------------------
def server_user() -> str | None:
    """Whom PostgreSQL runs as: it refuses root, so that root lends it to `postgres` or `nobody`; None for anybody else."""
    if os.geteuid() != 0:
        return None
    names = {account.pw_name for account in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def initialise(programs: Path, folder: Path, *, password: str, user: str | None) -> None:
    """Make an empty cluster in `folder`/data whose only account is `groundswell` with this password."""
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if user is not None:
        shutil.chown(secret, user)
    access = ["--username=groundswell", "--auth=scram-sha-256", f"--pwfile={secret}"]
    command = [str(programs / "initdb"), "-D", str(folder / "data"), *access, "--encoding=UTF8", "--locale=C", "--no-sync"]
    group = pwd.getpwnam(user).pw_gid if user else None
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
    )
    if done.returncode != 0:
        message = f"{command[0]} ended with code {done.returncode}:\n{done.stderr}"
        raise RuntimeError(message)


def free_port(neighbours: int = 0) -> int:
    """A TCP port of 127.0.0.1 that nobody uses now, nor so many behind it; of two that ask at once, hardly ever the same."""
    while True:
        first = secrets.choice(PORTS[: len(PORTS) - neighbours])
        if all(_is_free(port) for port in range(first, first + neighbours + 1)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def postgres_cluster(*, certificate: Path | None = None, more: Sequence[str] = ()) -> Iterator[str]:
    """A real PostgreSQL server on a free loopback port with empty storage; yields the SQLAlchemy URL of its first database.

    Args:
        certificate: a file with key and certificate; with it the server offers TLS.
        more: server settings, each "name=value".
    """
    programs, user = postgres_programs(), server_user()
    if programs is None:
        message = f"PostgreSQL {postgres_missing()}"
        raise RuntimeError(message)
    with temporary_folder("postgres", owner=user) as folder:
        password, port, log = secrets.token_hex(16), free_port(), folder / "server.log"
        initialise(programs, folder, password=password, user=user)
        settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "max_connections=100", "timezone=UTC"]
        if certificate is not None:
            shown = folder / "server.pem"
            shown.touch(mode=0o600)
            shown.write_bytes(certificate.read_bytes())
            if user is not None:
                shutil.chown(shown, user)
            settings += ["ssl=on", f"ssl_cert_file={shown}", f"ssl_key_file={shown}"]
        unsafe_and_quick = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]  # storage that is thrown away at the end
        chosen = [word for setting in [*settings, *unsafe_and_quick, *more] for word in ("-c", setting)]
        command = [str(programs / "postgres"), "-D", str(folder / "data"), *chosen]
        url = f"postgresql+psycopg://groundswell:{password}@127.0.0.1:{port}/postgres"
        # SIGINT is PostgreSQL's fast shutdown: open connections are closed, not waited for.
        with running(command, stop=signal.SIGINT, user=user, cwd=folder, environ=os.environ, log=log) as process:
            wait_for_postgres(url, process, log=log)
            yield url


def wait_for_postgres(url: str, process: subprocess.Popen[bytes], *, log: Path) -> None:
    """Return when the server lets somebody in; raises RuntimeError when it ends or time is up."""
    deadline = time.monotonic() + POSTGRES_READY_WITHIN_S
    while True:
        try:
            with psycopg.connect(plain_url(url), connect_timeout=5):
                return
        except psycopg.OperationalError as error:
            code = process.poll()
            if code is not None or time.monotonic() > deadline:
                state = f"ended with code {code}" if code is not None else f"was not ready within {POSTGRES_READY_WITHIN_S:.0f} s"
                message = f"the PostgreSQL server {state}; it said:\n{log.read_text(errors='replace')}"
                raise RuntimeError(message) from error
            time.sleep(0.05)


def plain_url(url: str) -> str:
    """The URL as psycopg wants it: without SQLAlchemy's driver.

    >>> plain_url("postgresql+psycopg://u:p@127.0.0.1:5432/d")
    'postgresql://u:p@127.0.0.1:5432/d'
    """
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


@contextlib.contextmanager
def fresh_database(url: str, *, template: str = "template1") -> Iterator[str]:
    """A new database on the server of `url`, dropped at the end even if somebody is still connected; yields its own URL.

    Args:
        url: of any database of that server.
        template: name of the database that it is a copy of; an empty one unless another is named.
    """
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(plain_url(url), autocommit=True) as link:
        link.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield f"{url.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(plain_url(url), autocommit=True) as link:
            link.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
