"""Fixtures that start real peers, and the rule for where a peer is missing; the machinery is in tests/peers.py."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests import peers

if TYPE_CHECKING:
    from tests.mailserver import MailServer
    from tests.nginx_peer import Nginx
    from tests.prometheus_peer import Prometheus

# A busy machine is no bug: how long an example takes is not what these tests are about. Nor may a change be stopped by an example that
# chance has brought up this time: the same ones each time, and others in a night's search.
settings.register_profile("patient", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", deadline=None, max_examples=1_000)  # for a night
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))

skipped = pytest.StashKey[dict[str, int]]()
required = pytest.StashKey[frozenset[str]]()
why_missing = cache(lambda word: peers.PEERS[word]())


def pytest_configure(config: pytest.Config) -> None:
    # kafka-python 3.0 reads its own schemas, on import, through a function that Python 3.11 deprecates and 3.13 keeps.
    config.addinivalue_line("filterwarnings", "ignore:(read|open)_text is deprecated:DeprecationWarning")
    config.stash[skipped] = {}
    try:
        config.stash[required] = peers.required_peers(os.environ.get(peers.REQUIRE_VARIABLE, ""))
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(tryfirst=True)  # before -m selects by marker
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a peer's fixture carries that peer's marker, written or not."""
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            word = peers.FIXTURE_PEERS.get(fixture)
            if word is not None and item.get_closest_marker(word) is None:
                item.add_marker(word)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for word in peers.PEERS:
        reason = why_missing(word) if item.get_closest_marker(word) else None
        if reason is None:
            continue
        if word in item.config.stash[required]:
            pytest.fail(f"{peers.REQUIRE_VARIABLE} names {word}, but it {reason}", pytrace=False)
        counts = item.config.stash[skipped]
        counts[word] = counts.get(word, 0) + 1
        pytest.skip(f"{word}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for word, count in sorted(config.stash[skipped].items()):
        terminalreporter.write_line(f"SKIPPED PEER {word}: {why_missing(word)} ({count} tests)", yellow=True, bold=True)


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """Bootstrap address of a real one-node broker, the same for the whole run: give every topic and group a name of its own."""
    with peers.kafka_cluster() as address:
        yield address


@pytest.fixture(scope="session")
def secure_kafka() -> Iterator[peers.SecureKafka]:
    """A real one-node broker with encryption, logins and rights, the same for the whole run; `admin` may do everything."""
    with peers.secure_kafka_cluster() as cluster:
        yield cluster


@pytest.fixture
def prometheus() -> "Callable[..., AbstractContextManager[Prometheus]]":
    """Starts a Prometheus: see `tests.prometheus_peer.prometheus_server`."""
    from tests.prometheus_peer import prometheus_server

    return prometheus_server


@pytest.fixture
def alertmanager() -> "Callable[..., AbstractContextManager[str]]":
    """Starts an Alertmanager: see `tests.prometheus_peer.alertmanager_server`."""
    from tests.prometheus_peer import alertmanager_server

    return alertmanager_server


@pytest.fixture
def docker_compose() -> str:
    """Path of docker-compose."""
    return shutil.which("docker-compose") or ""


@pytest.fixture
def nginx() -> Iterator["Nginx"]:
    """One nginx with a folder that this test has to itself."""
    from tests.nginx_peer import nginx_server

    with nginx_server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """SQLAlchemy URL of a real PostgreSQL server's first database, the same for the whole run: read it, change nothing in it."""
    with peers.postgres_cluster() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """Name of a database with a store's tables: to copy it takes half as long as to make it."""
    from groundswell.store.store import Store

    with peers.fresh_database(postgres_url) as url:
        Store(url).close()
        yield url.rpartition("/")[2]


@pytest.fixture
def postgres_store_url(postgres_url: str, postgres_template: str) -> Iterator[str]:
    """SQLAlchemy URL of a PostgreSQL database with the tables of a store, all empty, that this test has to itself."""
    with peers.fresh_database(postgres_url, template=postgres_template) as url:
        yield url


@pytest.fixture
def postgres_empty_url(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy URL of a PostgreSQL database without a table that this test has to itself."""
    with peers.fresh_database(postgres_url) as url:
        yield url


@pytest.fixture(scope="session")
def dovecot() -> "Iterator[MailServer]":
    """A real mail server with one mailbox, the same for the whole run: every test makes folders of its own in it."""
    from tests.mailserver import mail_server

    with mail_server() as server:
        yield server
