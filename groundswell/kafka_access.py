"""How Kafka is reached: addresses, encryption and login, once for both clients, and what to do when the brokers refuse.

What a client does not say when it is refused is found out here: a connection is opened, encrypted, asked one question and
logged in, so that an unknown authority or a wrong password has its own sentence. kafka-python 3.0 tries both again for half a
minute and then says that it could not bootstrap. What is wrong on this machine (a file that cannot be read) is a UsageError;
what the brokers say is a DependencyError, because it may pass.
"""

import re
import socket
import ssl
import struct
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Self

from groundswell.errors import DependencyError, UsageError, reason_of
from groundswell.masking import mask_secrets, spellings
from groundswell.settings import Kafka

__all__ = ["KafkaAccess", "Protocol", "advice_for"]

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
ANSWER_WITHIN_S: Final = 5.0
ANSWER_BYTES_MAX: Final = 1_000_000
_API_VERSIONS: Final = (18, 0)  # (key, version): the one question that brokers answer before a login
_SASL_HANDSHAKE: Final = (17, 1)
_SASL_AUTHENTICATE: Final = (36, 0)


@dataclass(frozen=True)
class KafkaAccess:
    """Where the brokers are and how they let us in.

    Args:
        bootstrap: HOST:PORT, several separated by commas.
        protocol: what they speak there.
        mechanism: how the login is proved.
        username: the login.
        password: its password; never shown.
        ca_file: PEM file of the authorities that may vouch for the brokers; empty: this machine's.
        cert_file: PEM file with our own certificate; empty: none.
        key_file: PEM file with its key; empty: in `cert_file`.
        check_hostname: whether a broker's certificate must name the host that is connected to.
    """

    bootstrap: str
    protocol: Protocol = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    check_hostname: bool = True

    @classmethod
    def of(cls, kafka: "KafkaAccess | str") -> "KafkaAccess":
        """What is given, or brokers without encryption and login at a bare address."""
        return cls(kafka) if isinstance(kafka, str) else kafka

    @classmethod
    def from_settings(cls, kafka: Kafka) -> Self:
        """What the settings say."""
        return cls(
            bootstrap=kafka.bootstrap,
            protocol=kafka.security_protocol,
            mechanism=kafka.sasl_mechanism,
            username=kafka.sasl_username,
            password=kafka.sasl_password,
            ca_file=kafka.tls_ca_file,
            cert_file=kafka.tls_cert_file,
            key_file=kafka.tls_key_file,
            check_hostname=kafka.tls_check_hostname,
        )

    def at(self, bootstrap: str) -> Self:
        """The same way in, at other addresses."""
        return replace(self, bootstrap=bootstrap)

    @property
    def encrypted(self) -> bool:
        """Whether connections are TLS."""
        return self.protocol.endswith("SSL")

    @property
    def login(self) -> bool:
        """Whether the brokers ask for name and password."""
        return self.protocol.startswith("SASL")

    def addresses(self) -> list[tuple[str, int]]:
        """(host, port) of every broker that is named.

        Raises:
            UsageError: an address is not HOST:PORT.
        """
        found = []
        for broker in self.bootstrap.split(","):
            host, _, port = broker.strip().rpartition(":")
            if not host or not port.isdigit():
                reason = f"kafka.bootstrap {self.bootstrap!r}: {broker.strip()!r} is not HOST:PORT; separate several by commas"
                raise UsageError(reason)
            found.append((host.strip("[]"), int(port)))
        return found

    def tls(self) -> ssl.SSLContext | None:
        """What both clients encrypt with; None where nothing is encrypted. The files are read now.

        Raises:
            UsageError: a file cannot be read, or does not hold what it should.
        """
        if not self.encrypted:
            return None
        place, path = "kafka.tls_ca_file", self.ca_file
        try:
            context = ssl.create_default_context(cafile=path or None)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.check_hostname = self.check_hostname
            if self.cert_file:
                place, path = "kafka.tls_cert_file, kafka.tls_key_file", ", ".join(filter(None, [self.cert_file, self.key_file]))
                # A key with a passphrase would make a service wait at a prompt for ever.
                context.load_cert_chain(self.cert_file, self.key_file or None, password=_no_passphrase)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = f"{place}: {path}: {_plainly(error)}; give PEM files that this account can read, the key without a passphrase"
            raise UsageError(reason) from error
        return context

    def for_kafka_python(self, context: ssl.SSLContext | None = None) -> dict[str, Any]:
        """Arguments for kafka-python's clients.

        Args:
            context: from `tls()`, where the files shall not be read again.

        Raises:
            UsageError: as in `tls()`.
        """
        given: dict[str, Any] = {"bootstrap_servers": self.bootstrap.split(","), "security_protocol": self.protocol}
        if self.encrypted:
            given["ssl_context"] = context or self.tls()
        return given | self._sasl()

    def _sasl(self) -> dict[str, str]:
        names = {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.username, "sasl_plain_password": self.password}
        return names if self.login else {}

    def check_reachable(self, *, wait_s: float = ANSWER_WITHIN_S, context: ssl.SSLContext | None = None) -> None:
        """Connect to a broker, encrypt, log in and hang up.

        A client that finds nobody, or is refused, tries on for half a minute, leaves sockets open and keeps to itself why.

        Args:
            wait_s: how long each broker has for each step.
            context: from `tls()`, where the files shall not be read again.

        Raises:
            DependencyError: no broker answers; the text says what to do.
            UsageError: an address is not HOST:PORT, or as in `tls()`.
        """
        from kafka.errors import KafkaError

        context, told, step = context or self.tls(), [], ""
        for host, port in self.addresses():
            try:
                _try(host, port, context, self, wait_s=wait_s)
            except (OSError, KafkaError) as error:
                told.append(f"{host}:{port}: {self._shown(error)}")
                step = step or advice_for(error, self)
            else:
                return
        reason = f"Kafka {'; '.join(told)}; {step}"
        raise DependencyError(reason)

    def refused(self, error: BaseException, *, place: str = "") -> DependencyError:
        """What a client's error means here: where, what was said, what to do. It never holds the password."""
        return DependencyError(f"Kafka {self.bootstrap}{place}: {self._shown(error)}; {advice_for(error, self)}")

    def _shown(self, error: BaseException) -> str:
        return mask_secrets(_plainly(error), spellings([self.password]))


def _try(host: str, port: int, context: ssl.SSLContext | None, access: KafkaAccess, *, wait_s: float) -> None:
    with socket.create_connection((host, port), timeout=wait_s) as plain, ExitStack() as opened:
        link = opened.enter_context(context.wrap_socket(plain, server_hostname=host)) if context else plain
        # With TLS 1.3 a broker refuses our certificate only after the handshake, so something has to be read in any case.
        _answer(link, *_API_VERSIONS, b"")
        if access.login:
            _log_in(link, access, host=host)


def _log_in(link: socket.socket, access: KafkaAccess, *, host: str) -> None:
    """One login by kafka-python's own mechanisms; raises its errors, or one of the socket's."""
    from kafka.errors import SaslAuthenticationFailedError, UnsupportedSaslMechanismError
    from kafka.net.sasl import get_sasl_mechanism

    name = access.mechanism.encode()
    offered = _answer(link, *_SASL_HANDSHAKE, struct.pack(">h", len(name)) + name)
    if offered[:2] != b"\0\0":
        raise UnsupportedSaslMechanismError
    mechanism = get_sasl_mechanism(access.mechanism)(host=host, **access._sasl())
    while not mechanism.is_done():
        token = mechanism.auth_bytes()
        told = _answer(link, *_SASL_AUTHENTICATE, struct.pack(">i", len(token)) + token)
        code, size = struct.unpack_from(">hh", told)
        size = max(size, 0)  # -1: no message
        if code:
            raise SaslAuthenticationFailedError(told[4 : 4 + size].decode(errors="replace"))
        mechanism.receive(told[8 + size :])


def _answer(link: socket.socket, key: int, version: int, body: bytes) -> bytes:
    """Ask a broker something (no client id) and return its answer's body."""
    request = struct.pack(">hhih", key, version, 1, -1) + body
    link.sendall(struct.pack(">i", len(request)) + request)
    with link.makefile("rb") as stream:
        head = stream.read(8)
        if len(head) < 8:
            reason = "the broker hung up without an answer"
            raise ConnectionResetError(reason)
        size = struct.unpack_from(">i", head)[0] - 4
        if not 0 <= size <= ANSWER_BYTES_MAX:
            reason = "what answers is no broker"
            raise ConnectionResetError(reason)
        return stream.read(size)


def _no_passphrase() -> str:
    reason = "the key asks for a passphrase"
    raise ValueError(reason)


def _plainly(error: BaseException) -> str:
    """What an error says, without the source line of OpenSSL and Python's errno."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the broker's certificate is refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or reason_of(error)).lower().replace('_', ' ')}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    # Kafka's errors begin with a number and their own name, some with both twice.
    return re.sub(r"^(\[Error \d+\] )?(\w+Error: )+", "", reason_of(error)) or type(error).__name__


_NAMES_DIFFER: Final = (62, 63, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, EMAIL, IP_ADDRESS
_OUT_OF_TIME: Final = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, CERT_HAS_EXPIRED
_AWAY: Final = "is the broker running, kafka.bootstrap its address, and kafka.security_protocol ({}) what it speaks there?"
_RIGHTS: Final = "the login lacks a right: give {} what docs/security.md lists for its part"


def advice_for(error: BaseException, access: KafkaAccess) -> str:
    """The next step after an error of a connection or of either client; both call their errors by Kafka's names.

    >>> advice_for(ConnectionRefusedError(), KafkaAccess("h:9092"))
    'is the broker running, kafka.bootstrap its address, and kafka.security_protocol (PLAINTEXT) what it speaks there?'
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _NAMES_DIFFER:
            return "name the brokers in kafka.bootstrap as their certificates do; kafka.tls_check_hostname = false gives the check up"
        if error.verify_code in _OUT_OF_TIME:
            return "renew the broker's certificate, or set this machine's clock"
        return "kafka.tls_ca_file must hold the authority that signed the broker's certificate"
    if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or "") and "PROTOCOL_VERSION" not in (error.reason or ""):
        return "the broker asks for a client certificate that it trusts: kafka.tls_cert_file and kafka.tls_key_file"
    if isinstance(error, ssl.SSLError) and "WRONG_VERSION" in (error.reason or ""):
        return f"the broker does not encrypt at this port: kafka.security_protocol is {access.protocol}"
    if kinds & {"UnsupportedSaslMechanismError", "IllegalSaslStateError"}:
        return f"kafka.sasl_mechanism is {access.mechanism}: choose one that the brokers offer"
    if kinds & {"SaslAuthenticationFailedError", "SaslAuthenticationFailed", "AuthenticationFailedError"}:
        return f"correct kafka.sasl_username ({access.username}) and kafka.sasl_password"
    if any(kind.endswith(("AuthorizationFailedError", "AuthorizationError")) for kind in kinds):
        return _RIGHTS.format(access.username or "the certificate's name")
    return _AWAY.format(access.protocol)
