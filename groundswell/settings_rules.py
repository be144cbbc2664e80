"""Rules that settings must keep together; groundswell/settings.py checks them."""

import re
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from groundswell.settings_grafana import grafana_rules

if TYPE_CHECKING:
    from groundswell.settings import Board, Kafka, Settings

__all__ = ["SECRET_CHARACTERS_MIN", "Rule", "rules_of"]

Rule = tuple[str, bool, str]  # key, whether it holds, what must be

SECRET_CHARACTERS_MIN: Final = 32
"""Of board.secret: a shorter one can be guessed from one signed text."""

_HEADER: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}")


_BACKENDS: Final = ("sqlite", "postgresql", "postgres")
_BROKER: Final = re.compile(r"([^\s:,]+|\[[0-9A-Fa-f:]+\]):\d{1,5}")


def rules_of(settings: "Settings") -> tuple[Rule, ...]:
    """Every rule, with whether these settings keep it."""
    board, mail, slack, url = settings.board, settings.mail, settings.slack, settings.store.url
    backend = url.partition("://")[0].partition("+")[0]
    return (
        ("store.url", bool(url) and ("://" not in url or backend in _BACKENDS), "must be a path, sqlite:///FILE or postgresql://USER@HOST/DATABASE"),
        *_kafka_rules(settings.kafka),
        *grafana_rules(settings.grafana, _is_web),
        ("board.base_url", _is_web(board.base_url), "must begin with http:// or https:// and name a host"),
        *_board_rules(board),
        ("slack.webhook_url", not slack.webhook_url or _is_web(slack.webhook_url), "must be the https:// address that Slack gives"),
        ("mail.sender", not mail.host or "@" in mail.sender, "must be an address where mail.host is set"),
        ("mail.recipients", not mail.host or bool(mail.recipients), "must name at least one address where mail.host is set"),
        ("mail.recipients", all("@" in address for address in mail.recipients), "must be addresses with an @"),
        ("mail.username", bool(mail.username) == bool(mail.password), "must be given together with mail.password, or neither"),
        ("mail.tls", not mail.password or mail.tls != "none", "must be starttls or tls where mail.password is set"),
    )  # fmt: skip


def _board_rules(board: "Board") -> tuple[Rule, ...]:
    """What must hold of the secret, and of a proxy that says who somebody is."""
    long_enough = not board.secret or len(board.secret) >= SECRET_CHARACTERS_MIN
    together = bool(board.proxy_header) == bool(board.proxy_addresses)
    why = "must be given together with board.proxy_addresses: else whoever can send the header can be anybody"
    return (
        ("board.secret", long_enough, f"must have {SECRET_CHARACTERS_MIN} characters or more; make one with `openssl rand -hex 32`"),
        ("board.proxy_header", not board.proxy_header or _is_header(board.proxy_header), "must name a header, such as X-Forwarded-User"),
        ("board.proxy_header", together, why),
        ("board.proxy_addresses", all(map(_is_network, board.proxy_addresses)), "must be addresses or networks, such as 10.0.3.0/24"),
    )


def _is_header(text: str) -> bool:
    return _HEADER.fullmatch(text) is not None


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True


def _kafka_rules(kafka: "Kafka") -> tuple[Rule, ...]:
    brokers = [part.strip() for part in kafka.bootstrap.split(",")] if kafka.bootstrap else []
    login, tls = kafka.security_protocol.startswith("SASL"), kafka.security_protocol.endswith("SSL")
    has_login, needed = bool(kafka.sasl_username and kafka.sasl_password), "kafka.sasl_username and kafka.sasl_password"
    no_tls, no_login = "must be SSL or SASL_SSL where kafka.{} is set", "must begin with SASL_ where kafka.{} is set"
    return (
        ("kafka.bootstrap", all(_BROKER.fullmatch(broker) for broker in brokers), "must be HOST:PORT, several separated by commas"),
        ("kafka.security_protocol", not login or has_login, f"asks for {needed}; set both, or PLAINTEXT or SSL"),
        ("kafka.security_protocol", login or not kafka.sasl_username, no_login.format("sasl_username")),
        ("kafka.security_protocol", login or not kafka.sasl_password, no_login.format("sasl_password")),
        ("kafka.security_protocol", tls or not kafka.tls_ca_file, no_tls.format("tls_ca_file")),
        ("kafka.security_protocol", tls or not kafka.tls_cert_file, no_tls.format("tls_cert_file")),
        ("kafka.tls_key_file", not kafka.tls_key_file or bool(kafka.tls_cert_file), "must be given together with kafka.tls_cert_file"),
        ("kafka.tls_check_hostname", tls or kafka.tls_check_hostname, "matters only where kafka.security_protocol is SSL or SASL_SSL"),
    )  # fmt: skip


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not re.search(r"\s", url)
