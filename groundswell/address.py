"""The one form of an address that two copies of a document share, wherever it was linked from."""

import re
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["canonical_url"]

_TRACKING: Final = re.compile(
    r"^(utm_|at_|mc_|_hs|pk_|mtm_|hsa_|ref$|cmpid$|ns_|spm$|scm$|fbclid$|gclid$|gclsrc$|dclid$|gbraid$|wbraid$|msclkid$|yclid$|igshid$|"
    r"twclid$|ttclid$|li_fat_id$|vero_id$|share_token$)",
    re.IGNORECASE,
)
_DEFAULT_PORT: Final = {"https": ":443", "http": ":80"}


def canonical_url(url: str) -> str:
    """The address without tracking parameters, fragment, default port, final dot of its host or trailing slash; query sorted.

    A host in other letters becomes its form in ASCII. Applying it twice changes nothing.

    Raises:
        ValueError: it is no address (a broken IPv6 host).

    >>> canonical_url("HTTPS://News.example:443/a/?utm_source=x&id=3#top")
    'https://news.example/a?id=3'
    >>> canonical_url("https://bücher.example./?fbclid=1&spm=a.b")
    'https://xn--bcher-kva.example'
    """
    parts = urlsplit(url.strip())
    scheme = parts.scheme.lower()
    # A bare number (story?123) is a key without a value, and some queries are not UTF-8: both tell pages apart.
    pairs = parse_qsl(parts.query, keep_blank_values=True, errors="surrogateescape")
    query = urlencode(sorted((k, v) for k, v in pairs if not _TRACKING.match(k)), errors="surrogateescape")
    return urlunsplit((scheme, _host(parts.netloc, scheme), parts.path.rstrip("/"), query, "")).strip()


def _host(netloc: str, scheme: str) -> str:
    account, at, place = netloc.rpartition("@")
    place = place.lower().removesuffix(_DEFAULT_PORT.get(scheme, ":"))
    host, colon, port = (place, "", "") if place.endswith("]") else place.partition(":")
    if not host.isascii():
        with suppress(UnicodeError):  # not a name that any name service has; it may still tell two pages apart
            host = host.encode("idna").decode("ascii").lower()
    return f"{account}{at}{host.rstrip('.')}{colon}{port}"
