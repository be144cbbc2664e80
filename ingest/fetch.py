"""One GET, with manners and limits: the only file that speaks HTTP to publishers.

Names itself, takes gzip, keeps no cookies, ends at a size, a time and a least rate, follows five redirects one by one, and
connects to no inside address (loopback, private, link-local) unless the catalogue allows that host: checked on the very address
that is connected to, so that no redirect and no change in the name service can get around it. What a redirect may lead to is in
`_target`. Certificates are checked against the authorities of the system, or of SSL_CERT_FILE.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urljoin

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from groundswell.errors import reason_of

__all__ = ["Fetched", "Fetcher", "Limits", "RefusedError", "RestingError", "inside", "place_of", "user_agent"]

REDIRECTS_MAX: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PERMANENT: Final = frozenset({301, 308})
_INSIDE: Final = "is an inside address"
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_IPV6_PUBLIC: Final = ipaddress.ip_network("2000::/3")  # what has been given out; all else is of local use, or wraps an IPv4 address
_IPV6_EXAMPLES: Final = ipaddress.ip_network("3fff::/20")  # for documentation; Python 3.11 does not know it yet
_AZURE: Final = ipaddress.ip_address("168.63.129.16")  # speaks to each machine of that cloud about itself, from a public address
_FOR_ANYBODY: Final = frozenset({"accept", "accept-language", "if-modified-since", "if-none-match"})
_PORTS: Final = {"http": 80, "https": 443}


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer may cost."""

    bytes_max: int = 10 * 1024 * 1024  # unpacked
    total_s: float = 60.0
    connect_s: float = 10.0
    silence_s: float = 20.0  # between two pieces of an answer
    least_bytes_per_s: float = 256.0  # of a body, on the wire or unpacked, on average
    patience_s: float = 15.0  # from when on that average counts


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int  # of the last answer; 0: there was none, see reason
    headers: dict[str, str] = {}  # names in lower case
    body: bytes = b""
    url: str = ""  # the last address that was asked
    moved_to: str | None = None  # the same, where every redirect on the way was a permanent one
    reason: str | None = None  # why there is no answer
    refused: bool = False  # nobody was asked: `permit` or the address forbade it
    resting: bool = False  # ... for now: its host wants rest, or this poll has asked enough


class RefusedError(Exception):
    """A request that must not be made; raised by `permit` with the reason."""


class RestingError(RefusedError):
    """A request that must not be made now."""


Permit = Callable[[str], Awaitable[None]]
Turn = Callable[[str], AbstractAsyncContextManager[None]]


def user_agent(contact: str) -> str:
    """How the crawler names itself.

    >>> user_agent("https://bank.example/crawler")
    'groundswell/0.1 (+https://bank.example/crawler)'
    """
    return f"groundswell/0.1 (+{contact})" if contact else "groundswell/0.1"


def inside(address: str) -> bool:
    """Whether an IP address is not one of the public internet; an address that wraps another is judged by that one too.

    >>> inside("127.0.0.1"), inside("::ffff:10.0.0.1"), inside("169.254.169.254"), inside("8.8.8.8")
    (True, True, True, False)
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = [part for part in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if part is not None]
        if ip in _NAT64:
            wrapped.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        if wrapped:
            return any(inside(str(part)) for part in wrapped)
        if ip not in _IPV6_PUBLIC or ip in _IPV6_EXAMPLES:
            return True
    return not ip.is_global or ip.is_multicast or ip == _AZURE


def place_of(url: str) -> tuple[str, int]:
    """Host and port of an address: what the catalogue allows where it allows an inside address.

    Raises:
        ValueError: it has none.
    """
    parts = URL(url)  # as the client itself reads it: two readers of one address are two answers to a question
    return (parts.host or "").rstrip("."), parts.port or 0


class Fetcher:
    """The HTTP client of a crawler; an async context manager.

    Args:
        contact: page or address that publishers see in the User-Agent.
        limits: what one answer may cost.
        resolver: turns names into addresses; the system's is asked where none is given.
        is_inside: which addresses are not connected to.
    """

    def __init__(
        self,
        *,
        contact: str = "",
        limits: Limits | None = None,
        resolver: AbstractResolver | None = None,
        is_inside: Callable[[str], bool] = inside,
    ) -> None:
        self.limits = limits or Limits()
        self._agent, self._resolver, self._is_inside = user_agent(contact), resolver, is_inside
        self._tls = ssl.create_default_context()
        self._clients: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in self._clients.values():
            await client.close()

    def _client(self, allow_private: bool) -> aiohttp.ClientSession:
        if allow_private not in self._clients:
            self._clients[allow_private] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=32,
                    limit_per_host=2,
                    ssl=self._tls,
                    resolver=self._resolver,
                    use_dns_cache=False,  # hours lie between two polls, and a connection is kept for what follows at once
                    socket_factory=None if allow_private else self._public_socket,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": self._agent, "Accept-Encoding": "gzip"},
                trust_env=False,
            )
        return self._clients[allow_private]

    async def get(
        self,
        url: str,
        *,
        permit: Permit,
        turn: Turn | None = None,
        headers: Mapping[str, str] | None = None,
        allow_private: bool = False,
        bytes_max: int | None = None,
        truncate: bool = False,
    ) -> Fetched:
        """Ask for an address; never raises for what the network or the publisher does.

        Args:
            url: where to ask.
            permit: awaited before each request, redirects included; raises RefusedError to forbid it.
            turn: entered for the time of each request, after `permit`; may wait, or raise RefusedError.
            headers: more request headers.
            allow_private: whether the host and port of `url` may be inside; a redirect to another one may not.
            bytes_max: another limit of size.
            truncate: keep what fits the limit, instead of giving up.
        """
        permanent, here, left_s, loop = True, url, self.limits.total_s, asyncio.get_running_loop()
        try:
            private = place_of(url) if allow_private else None
            for _ in range(REDIRECTS_MAX + 1):
                await permit(here)
                async with turn(here) if turn is not None else nullcontext():
                    began_s = loop.time()
                    async with self._client(place_of(here) == private).get(
                        here, headers=_carried(headers or {}, url, here), allow_redirects=False, timeout=self._timeout(left_s)
                    ) as answer:
                        status, found = answer.status, {name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers}
                        if status not in _REDIRECTS or "location" not in found:
                            body = await _body(answer, bytes_max or self.limits.bytes_max, truncate=truncate, limits=self.limits)
                            moved_to = here if permanent and here != url else None
                            return Fetched(status=status, headers=found, body=body, url=here, moved_to=moved_to)
                    left_s -= loop.time() - began_s  # all hops together have the time of one answer; waiting for a turn is not counted
                permanent = permanent and status in _PERMANENT
                here = _target(here, found["location"], first=url)
            return Fetched(status=status, url=here, reason=f"more than {REDIRECTS_MAX} redirects, the last to {here[:200]}")
        except (RefusedError, aiohttp.ClientError, OSError, ValueError) as error:
            return _no_answer(error, here)

    def _timeout(self, left_s: float) -> aiohttp.ClientTimeout:
        limits = self.limits
        # 0 would mean no limit at all.
        return aiohttp.ClientTimeout(total=max(left_s, 0.001), connect=limits.connect_s, sock_read=limits.silence_s)

    def _public_socket(self, info: Any) -> socket.socket:
        """Asked for each address that is about to be connected to, names resolved: no later answer can differ from this one."""
        family, kind, protocol, _, place = info
        if self._is_inside(place[0]):
            message = f"{place[0]} {_INSIDE}: set allow_private = true in its catalogue entry if it is meant"
            raise OSError(message)
        return socket.socket(family=family, type=kind, proto=protocol)


def _no_answer(error: Exception, url: str) -> Fetched:
    if isinstance(error, RefusedError):
        return Fetched(status=0, url=url, reason=reason_of(error), refused=True, resting=isinstance(error, RestingError))
    if isinstance(error, TimeoutError):
        return Fetched(status=0, url=url, reason="no complete answer in time")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Fetched(status=0, url=url, reason=f"the certificate does not hold: {reason_of(error.certificate_error)[:200]}")
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = reason_of(error.os_error)  # of a host with several addresses: all of their reasons in one text
        return Fetched(status=0, url=url, reason=reason, refused=_INSIDE in reason)
    return Fetched(status=0, url=url, reason=f"{type(error).__name__}: {reason_of(error)[:200]}")


def _carried(headers: Mapping[str, str], first: str, here: str) -> dict[str, str]:
    """Headers for a hop: a key that was meant for one host is not given to another."""
    same = (URL(first).scheme, place_of(first)) == (URL(here).scheme, place_of(here))
    return {name: value for name, value in headers.items() if same or name.lower() in _FOR_ANYBODY}


def _target(here: str, location: str, *, first: str) -> str:
    """Where a redirect leads.

    Raises:
        RefusedError: it leaves the web, or https, or carries a login, or leads to a port where something else than the web is spoken.
        ValueError: it is no address.
    """
    target = urljoin(here, location)
    parts = URL(target)
    rule = None
    if parts.scheme not in _PORTS or (parts.scheme == "http" and URL(here).scheme == "https"):
        rule = "only http and https are followed, and never from https to http"
    elif parts.user is not None or parts.password is not None:
        rule = "an address with a login is not followed"
    elif parts.port not in (*_PORTS.values(), place_of(first)[1]):
        rule = f"port {parts.port} is not followed"
    if rule is not None:
        message = f"redirected to {target[:200]}: {rule}"
        raise RefusedError(message)
    return target


async def _body(answer: aiohttp.ClientResponse, bytes_max: int, *, truncate: bool, limits: Limits) -> bytes:
    parts, size = [], 0
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    async for part in answer.content.iter_chunked(64 * 1024):
        size += len(part)
        parts.append(part)
        if size > bytes_max:
            if truncate:
                break
            message = f"the answer is larger than {bytes_max} bytes"
            raise ValueError(message)
        took_s = loop.time() - began_s
        if took_s > limits.patience_s and size < took_s * limits.least_bytes_per_s:
            message = f"slower than {limits.least_bytes_per_s:g} bytes a second"
            raise ValueError(message)
    return b"".join(parts)[:bytes_max]
