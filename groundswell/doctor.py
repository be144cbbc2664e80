"""`groundswell doctor`: tries every part that the settings name and says what to do about each that does not work.

Nothing is sent: the mail relay is greeted, Slack's address only looked at, no topic is made. The store is opened as every
command opens it, which brings an older schema up to date. What belongs to a room (the model) comes in as a probe from the command line.
"""

import importlib
import shutil
import socket
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from groundswell.clock import Clock, SystemClock
from groundswell.errors import DependencyError, UsageError, reason_of
from groundswell.kafka_access import KafkaAccess
from groundswell.masking import mask_url
from groundswell.names import CONTRIBUTION_PARTITIONS, LIVE_RUN, RAW_PARTITIONS, contribution_topic, raw_topic
from groundswell.settings import Mail, Settings
from groundswell.store.partitions import trouble_of
from groundswell.store.store import HEAD, Store, sqlalchemy_url

__all__ = ["Check", "Probe", "checks"]

PYTHON: Final = ((3, 11), (3, 13))  # from, below: pyproject.toml says the same, and a test compares
PACKAGES: Final = (
    "aiohttp", "aiokafka", "aiosmtplib", "ahocorasick", "alembic", "argon2", "click", "cssselect", "faust", "feedparser", "grafana_api",
    "itsdangerous", "jinja2", "jmespath", "kafka", "lark", "lxml", "msgspec", "numpy", "onnxruntime", "pandas", "prometheus_client",
    "protego", "psycopg", "py3langid", "pyarrow", "rensa", "rich", "safetensors", "scipy", "slack_sdk", "sqlalchemy", "starlette",
    "structlog", "tokenizers", "trafilatura", "uvicorn", "warcio",
)  # fmt: skip
"""What each dependency is imported as; a test counts them against pyproject.toml."""

FREE_BYTES_MIN: Final = 1024**3
WAIT_S: Final = 5.0
EARLIEST_MS: Final = 1_767_225_600_000  # 2026-01-01: no machine that runs this release lives before it
CLOCK_DRIFT_MS_MAX: Final = 5_000


class Check(NamedTuple):
    """One line of the report."""

    name: str
    ok: bool
    detail: str  # what was found
    repair: str  # what to do; empty where nothing is to be done


class Probe(NamedTuple):
    """One thing to try."""

    name: str
    run: Callable[[], str]  # says what it found, or raises
    repair: str  # said when it raises; empty: the error itself says it, after its last semicolon


def checks(settings: Settings, *, rooms: Sequence[Probe] = ()) -> list[Check]:
    """Try everything, in the order in which things depend on each other; a part that is not configured is not tried.

    Args:
        settings: what is configured.
        rooms: what only the command line can try, because the hall imports no room.

    Returns:
        One check per part; never raises for a part that is broken, whatever it raises.
    """
    return [_tried(probe) for probe in [*_probes(settings), *rooms]]


def _tried(probe: Probe) -> Check:
    try:
        return Check(probe.name, True, probe.run(), "")
    except Exception as error:  # a broken part may raise anything, and the rest is still to be tried
        said = mask_url(reason_of(error).strip())
        found, _, step = said.rpartition("; ")
        return Check(probe.name, False, said, probe.repair) if probe.repair or not found else Check(probe.name, False, found, step)


def _probes(settings: Settings) -> Iterator[Probe]:
    data, board, metrics = Path(settings.data.dir), settings.board, settings.metrics
    yield Probe("python", _python, f"install Python {PYTHON[0][0]}.{PYTHON[0][1]} or 3.12 and make the environment with it")
    yield Probe("packages", _packages, "install again: pip install groundswell")
    yield Probe("data folder", partial(_data, data), f"make {data} writable and free a gibibyte, or set data.dir to another disk")
    yield Probe("clock", partial(_clock, data, SystemClock()), "set the machine's clock by NTP; known times are stamped with it")
    yield Probe("store", partial(_store, settings.store.url), _store_repair(settings.store.url))
    if settings.kafka.bootstrap:
        yield Probe("kafka", partial(_kafka, KafkaAccess.from_settings(settings.kafka)), "")
    if settings.mail.host:
        yield Probe(
            "mail", partial(_mail, settings.mail), "ask the mail team for host, port and encryption; set mail.host, mail.port, mail.tls"
        )
    if settings.slack.webhook_url:
        yield Probe("slack", partial(_slack, settings.slack.webhook_url), "copy the incoming webhook's address from Slack once more")
    yield Probe(
        "board", partial(_port, board.host, board.port), "end the program that has the port (a board that runs?), or set board.port"
    )
    if metrics.port:
        yield Probe("metrics", partial(_port, metrics.host, metrics.port), "end the program that has the port, or set metrics.port")


def _fail(reason: str) -> str:
    raise DependencyError(reason)


# --- this machine ---------------------------------------------------------------------------------------------------------
def _python(version: tuple[int, ...] = sys.version_info[:3]) -> str:
    shown = ".".join(map(str, version))
    return shown if PYTHON[0] <= version[:2] < PYTHON[1] else _fail(f"{shown} is not supported")


def _packages(names: Sequence[str] = PACKAGES) -> str:
    broken = []
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as error:  # a package that is half there may raise anything
            broken.append(f"{name}: {reason_of(error)}")
    return f"{len(names)} packages" if not broken else _fail("; ".join(broken))


def _data(folder: Path, least_bytes: int = FREE_BYTES_MIN) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="doctor-", dir=folder) as place,
        closing(sqlite3.connect(Path(place) / "try.db", isolation_level=None)) as db,
    ):
        (mode,) = db.execute("PRAGMA journal_mode=WAL").fetchone()  # some network disks take files but not SQLite's locks
        db.execute("CREATE TABLE t (x)")
    if mode != "wal":
        return _fail(f"{folder}: SQLite cannot keep a write-ahead log there; use a local disk")
    free = shutil.disk_usage(folder).free
    shown = f"{folder.resolve()}, {free / 1024**3:.1f} GiB free"
    return shown if free >= least_bytes else _fail(f"{shown}, {least_bytes / 1024**3:.1f} GiB are needed")


def _clock(folder: Path, clock: Clock) -> str:
    with tempfile.NamedTemporaryFile(prefix="doctor-", dir=folder if folder.is_dir() else None) as file:
        file.write(b"x")
        file.flush()
        before_ms = clock.now_ms()
        drift_ms = before_ms - Path(file.name).stat().st_mtime_ns // 1_000_000
    shown = datetime.fromtimestamp(before_ms / 1_000, UTC).isoformat(timespec="seconds")
    if before_ms < EARLIEST_MS:
        return _fail(f"{shown} has long passed")
    if abs(drift_ms) > CLOCK_DRIFT_MS_MAX:
        return _fail(f"{shown} is {drift_ms / 1_000:.0f} s away from the clock of the disk")
    return shown


def _port(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
    return f"{host}:{port} is free"


# --- peers ----------------------------------------------------------------------------------------------------------------
def _store(url: str) -> str:
    parsed = make_url(sqlalchemy_url(url))
    if parsed.get_backend_name() == "sqlite" and parsed.database and not Path(parsed.database).expanduser().exists():
        return f"{parsed.database} will be made when it is first used"
    store = Store(url)
    try:
        with store.read() as connection:
            trouble = trouble_of(connection, now_ms=SystemClock().now_ms())
        return f"{store.shown}, schema {HEAD}" if not trouble else _fail(trouble["months"])
    finally:
        store.close()


def _store_repair(url: str) -> str:
    if sqlalchemy_url(url).startswith("sqlite"):
        return "check the file's folder, owner and free space; if a later release wrote it, install that release; or set store.url"
    return "start PostgreSQL, make the database and the account, and correct store.url; if a later release wrote it, install that release"


def _kafka(kafka: KafkaAccess | str, run: str = LIVE_RUN) -> str:
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    access = KafkaAccess.of(kafka)
    access.check_reachable(wait_s=WAIT_S)
    wait_ms = int(WAIT_S * 1_000)
    try:
        admin = KafkaAdminClient(
            client_id="groundswell-doctor", request_timeout_ms=wait_ms, bootstrap_timeout_ms=wait_ms, **access.for_kafka_python()
        )
        try:
            wrong, seen = _topics(admin, run)
        finally:
            admin.close()
    except KafkaError as error:
        raise access.refused(error) from error
    how = f" ({access.protocol}{f', login {access.username}' if access.login else ''})" if access.encrypted or access.login else ""
    step = "; `groundswell worker` makes topics that are missing, wrong ones go first"
    return _fail("; ".join(wrong) + step) if wrong else f"{access.bootstrap}{how}, {', '.join(seen)}"


def _topics(admin: Any, run: str) -> tuple[list[str], list[str]]:
    """What is wrong with a run's topics, and what was seen of each: a login sees no more than its part needs."""
    from kafka.admin import ConfigResource, ConfigResourceType
    from kafka.errors import TopicAuthorizationFailedError

    raw, wanted = raw_topic(run), {raw_topic(run): RAW_PARTITIONS, contribution_topic(run): CONTRIBUTION_PARTITIONS}
    told = {topic["name"]: topic for topic in admin.describe_topics(list(wanted))}
    hidden = {name for name, topic in told.items() if topic["error_code"] == TopicAuthorizationFailedError.errno}
    if raw in hidden:
        reason = f"topic {raw} is hidden"
        raise TopicAuthorizationFailedError(reason)
    found = {name: len(topic["partitions"]) for name, topic in told.items()}
    wrong = [
        f"topic {name} has {found.get(name, 0)} partitions, {n} are needed"
        for name, n in wanted.items()
        if name not in hidden and found.get(name) != n
    ]
    if found.get(raw):
        described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, raw)], config_filter="all")
        stamp = described["topic"][raw]["message.timestamp.type"]["value"]
        if stamp != "LogAppendTime":
            wrong.append(f"topic {raw} has message.timestamp.type={stamp}, LogAppendTime is needed")
    return wrong, [f"{name} hidden from this login" if name in hidden else name for name in wanted]


def _mail(mail: Mail) -> str:
    """Connect and say EHLO; with starttls, that it is offered. No login, no message."""
    import smtplib
    import ssl

    if mail.tls == "tls":
        link: smtplib.SMTP = smtplib.SMTP_SSL(mail.host, mail.port, timeout=WAIT_S, context=ssl.create_default_context())
    else:
        link = smtplib.SMTP(mail.host, mail.port, timeout=WAIT_S)
    with link:
        code, greeting = link.ehlo()
        if code != 250:
            return _fail(f"{mail.host}:{mail.port} answers EHLO with {code} {greeting.decode(errors='replace')[:100]}")
        if mail.tls == "starttls" and not link.has_extn("starttls"):
            return _fail(f"{mail.host}:{mail.port} does not offer STARTTLS")
    return f"{mail.host}:{mail.port} answers"


def _slack(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or len(parts.path.strip("/")) < 10 or parts.query or parts.fragment:
        message = "the address is not that of an incoming webhook (https://HOST/services/...)"
        raise UsageError(message)
    return f"{parts.hostname}: the address looks right (nothing was posted)"
