"""One way to the brokers for both clients; what is wrong with it is said before a client has tried for half a minute."""

import pickle
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundswell.errors import DependencyError, UsageError
from groundswell.kafka_access import KafkaAccess, advice_for
from groundswell.settings import Kafka

SECURE = KafkaAccess("h:9093", protocol="SASL_SSL", username="desk", password="hunter2")


@pytest.fixture
def answering() -> Iterator[str]:
    """A listener that takes connections and answers each with its greeting, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    link, _ = server.accept()
                except OSError:
                    return
                with link:
                    link.recv(65_536)
                    link.sendall(b"\0\0\0\4\0\0\0\1")

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def test_a_bare_address_is_brokers_without_encryption_and_login() -> None:
    access = KafkaAccess.of("a:1,b:2")
    assert access.for_kafka_python() == {"bootstrap_servers": ["a:1", "b:2"], "security_protocol": "PLAINTEXT"}
    assert KafkaAccess.of(access) is access
    assert access.tls() is None


def test_the_settings_are_carried_over_whole_and_can_be_used_at_other_addresses() -> None:
    kafka = Kafka(bootstrap="a:1", security_protocol="SASL_PLAINTEXT", sasl_mechanism="PLAIN", sasl_username="u", sasl_password="p")
    access = KafkaAccess.from_settings(kafka).at("b:2")
    assert access.for_kafka_python() == {
        "bootstrap_servers": ["b:2"],
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "PLAIN",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
    }


def test_certificates_are_checked_unless_the_name_check_is_given_up_and_old_protocols_are_not_spoken() -> None:
    context = SECURE.tls()
    assert context is not None
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    lax = KafkaAccess("h:1", protocol="SSL", check_hostname=False).tls()
    assert lax is not None
    assert (lax.verify_mode, lax.check_hostname) == (ssl.CERT_REQUIRED, False)


def test_the_password_is_not_in_what_is_printed_and_goes_to_other_processes() -> None:
    assert "hunter2" not in repr(SECURE)
    assert pickle.loads(pickle.dumps(SECURE)) == SECURE


@pytest.mark.parametrize("field", ["ca_file", "cert_file"])
@pytest.mark.parametrize(("text", "rule"), [(None, "no such file"), ("no PEM", "TLS: ")])
def test_a_tls_file_that_cannot_be_used_is_named_with_its_setting(field: str, text: str | None, rule: str, tmp_path: Path) -> None:
    path = tmp_path / "file.pem"
    if text is not None:
        path.write_text(text)
    access = KafkaAccess("h:1", protocol="SSL", **{field: str(path)})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=rf"kafka.tls_{field}.*: {path}: {rule}.*give PEM files"):
        access.for_kafka_python()


def test_brokers_that_are_away_are_named_each_with_one_next_step() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
        with pytest.raises(DependencyError) as caught:
            KafkaAccess(f"{address},{address}").check_reachable()
    assert str(caught.value).count(f"{address}: connection refused") == 2
    assert str(caught.value).count("is the broker running") == 1


def test_one_broker_that_answers_is_enough(answering: str) -> None:
    KafkaAccess(f"127.0.0.1:9,{answering}").check_reachable()


def test_a_port_that_does_not_encrypt_is_told_from_one_where_nobody_is(answering: str) -> None:
    with pytest.raises(DependencyError, match=r"the broker does not encrypt at this port: kafka.security_protocol is SASL_SSL"):
        SECURE.at(answering).check_reachable()


def test_a_client_that_is_refused_is_told_what_to_correct_and_never_the_password() -> None:
    class SaslAuthenticationFailedError(Exception):
        """As both clients call it."""

    class TopicAuthorizationFailedError(Exception):
        """As both clients call it."""

    told = str(SECURE.refused(SaslAuthenticationFailedError("wrong: hunter2"), place=", topic t"))
    assert told == "Kafka h:9093, topic t: wrong: ***; correct kafka.sasl_username (desk) and kafka.sasl_password"
    assert "give desk what docs/security.md lists" in advice_for(TopicAuthorizationFailedError(), SECURE)
