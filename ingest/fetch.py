"""One GET, with manners and limits: the only file that speaks HTTP to publishers.

Names itself, takes gzip, keeps no cookies, ends at a size and a time, follows five redirects one by one, and connects to no
inside address (loopback, private, link-local) unless the catalogue says so: checked on the very address that is connected to, so
that no redirect and no change in the name service can get around it.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urljoin, urlsplit

import aiohttp
import msgspec

from groundswell.errors import reason_of

__all__ = ["Fetched", "Fetcher", "Limits", "RefusedError", "inside", "user_agent"]

REDIRECTS_MAX: Final = 5
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_PERMANENT: Final = frozenset({301, 308})
_INSIDE: Final = "is an inside address"
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one answer may cost."""

    bytes_max: int = 10 * 1024 * 1024  # unpacked
    total_s: float = 60.0
    connect_s: float = 10.0
    silence_s: float = 20.0  # between two pieces of an answer


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """What came back."""

    status: int  # of the last answer; 0: there was none, see reason
    headers: dict[str, str] = {}  # names in lower case
    body: bytes = b""
    moved_to: str | None = None  # the last address, where every redirect on the way was a permanent one
    reason: str | None = None  # why there is no answer
    refused: bool = False  # nobody was asked: `permit` or the address forbade it


class RefusedError(Exception):
    """A request that must not be made; raised by `permit` with the reason."""


Permit = Callable[[str], Awaitable[None]]


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
    wrapped: list[ipaddress.IPv4Address] = []
    if isinstance(ip, ipaddress.IPv6Address):
        wrapped = [part for part in (ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())) if part is not None]
        if ip in _NAT64:
            wrapped.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
    if wrapped:
        return any(inside(str(part)) for part in wrapped)
    return not ip.is_global or ip.is_multicast


class Fetcher:
    """The HTTP client of a crawler; an async context manager.

    Args:
        contact: page or address that publishers see in the User-Agent.
        limits: what one answer may cost.
    """

    def __init__(self, *, contact: str = "", limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._agent = user_agent(contact)
        self._clients: dict[bool, aiohttp.ClientSession] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for client in self._clients.values():
            await client.close()

    def _client(self, allow_private: bool) -> aiohttp.ClientSession:
        if allow_private not in self._clients:
            limits = self.limits
            self._clients[allow_private] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=32, limit_per_host=2, socket_factory=None if allow_private else _public_socket),
                timeout=aiohttp.ClientTimeout(total=limits.total_s, connect=limits.connect_s, sock_read=limits.silence_s),
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
        headers: Mapping[str, str] | None = None,
        allow_private: bool = False,
        bytes_max: int | None = None,
        truncate: bool = False,
    ) -> Fetched:
        """Ask for an address; never raises for what the network or the publisher does.

        Args:
            url: where to ask.
            permit: awaited before each request, redirects included; raises RefusedError to forbid it.
            headers: more request headers.
            allow_private: whether the address may be inside.
            bytes_max: another limit of size.
            truncate: keep what fits the limit, instead of giving up.
        """
        permanent, here = True, url
        try:
            for _ in range(REDIRECTS_MAX + 1):
                await permit(here)
                sent = headers if _origin(here) == _origin(url) else None  # another host gets no key, and no validator of this one
                async with self._client(allow_private).get(here, headers=sent, allow_redirects=False) as answer:
                    status, found = answer.status, {name.lower(): ", ".join(answer.headers.getall(name)) for name in answer.headers}
                    if status not in _REDIRECTS or "location" not in found:
                        body = await _body(answer, self.limits.bytes_max if bytes_max is None else bytes_max, truncate)
                        return Fetched(status=status, headers=found, body=body, moved_to=here if permanent and here != url else None)
                    permanent = permanent and status in _PERMANENT
                    here = _target(here, found["location"])
            return Fetched(status=status, reason=f"more than {REDIRECTS_MAX} redirects, the last to {here[:200]}")
        except RefusedError as error:
            return Fetched(status=0, reason=reason_of(error), refused=True)
        except TimeoutError:
            return Fetched(status=0, reason="no complete answer in time")
        except aiohttp.ClientConnectorError as error:
            reason = reason_of(error.os_error)  # of a host with several addresses: all of their reasons in one text
            return Fetched(status=0, reason=reason, refused=_INSIDE in reason)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return Fetched(status=0, reason=f"{type(error).__name__}: {reason_of(error)[:200]}")


def _public_socket(info: Any) -> socket.socket:
    family, kind, protocol, _, place = info
    if inside(place[0]):
        message = f"{place[0]} {_INSIDE}: set allow_private = true in its catalogue entry if it is meant"
        raise OSError(message)
    return socket.socket(family=family, type=kind, proto=protocol)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()


def _target(here: str, location: str) -> str:
    target = urljoin(here, location)
    scheme = urlsplit(target).scheme
    if scheme not in ("http", "https") or (scheme == "http" and urlsplit(here).scheme == "https"):
        message = f"redirected to {target[:200]}: only http and https are followed, and never from https to http"
        raise RefusedError(message)
    return target


async def _body(answer: aiohttp.ClientResponse, bytes_max: int, truncate: bool) -> bytes:
    parts, size = [], 0
    async for part in answer.content.iter_chunked(64 * 1024):
        size += len(part)
        parts.append(part)
        if size > bytes_max:
            if truncate:
                break
            message = f"the answer is larger than {bytes_max} bytes"
            raise ValueError(message)
    return b"".join(parts)[:bytes_max]
