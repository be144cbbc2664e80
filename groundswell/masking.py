"""What must not be shown: passwords inside URLs by their form, known secrets by their value."""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote

__all__ = ["MASK", "mask_secrets", "mask_url", "passwords_of_url", "spellings"]

MASK: Final = "***"
SECRET_CHARACTERS_MIN: Final = 4
"""Shorter ones are not looked for: hiding every "a" would hide what a line says, and guards nothing."""

_ACCOUNT: Final = re.compile(r"://(?=([^:/?#@]*+:))")  # looked ahead of, since the : may be that of the next ://
_WORD: Final = re.compile(r"\S*")
_KEY: Final = re.compile(r"[?&]([^=&#]*+)=?")  # without its "=" it is no key, but what was looked at once is not looked at again
_SECRET_KEY: Final = re.compile(r"password|secret|token", re.IGNORECASE)
_VALUE: Final = re.compile(r"[^&#]*")


def mask_url(url: str) -> str:
    """The text without the passwords that a URL in it may hold.

    Whatever the text, it takes time in proportion to its length: log lines hold what strangers sent.

    >>> mask_url("postgresql://desk:pa@ss@db/groundswell?sslpassword=x&a=1")
    'postgresql://desk:***@db/groundswell?sslpassword=***&a=1'
    """
    for spans in (_in_accounts, _in_queries):
        parts, done = [], 0
        for start, end in spans(url):
            parts += [url[done:start], MASK]
            done = end
        url = "".join([*parts, url[done:]])
    return url


def passwords_of_url(url: str) -> tuple[str, ...]:
    """The passwords in a URL, decoded: that of the account, and those in its query.

    >>> passwords_of_url("postgresql://desk:pa%40ss@db/groundswell?sslpassword=x"), passwords_of_url("var/desk.db")
    (('pa@ss', 'x'), ())
    """
    return tuple(unquote(url[start:end]) for spans in (_in_accounts, _in_queries) for start, end in spans(url) if start < end)


def _in_accounts(text: str) -> Iterator[tuple[int, int]]:
    """Where passwords of accounts stand, `[start, end)`: up to the last @ of the word, since some drivers take a raw / or @ in one."""
    looked_at = 0
    for found in _ACCOUNT.finditer(text):
        start = found.end(1)
        if start >= looked_at:
            looked_at = _end(_WORD, text, start)
            end = text.rfind("@", start, looked_at)
            if end >= 0:
                yield start, end


def _in_queries(text: str) -> Iterator[tuple[int, int]]:
    """Where values of keys that speak of a secret stand, `[start, end)`."""
    looked_at = 0
    for key in _KEY.finditer(text):
        if key.start() >= looked_at and key[0].endswith("=") and _SECRET_KEY.search(key[1]):
            looked_at = _end(_VALUE, text, key.end())
            yield key.end(), looked_at


def _end(run: re.Pattern[str], text: str, start: int) -> int:
    found = run.match(text, start)
    return found.end() if found else start


def spellings(secrets: Iterable[str]) -> tuple[str, ...]:
    """Every way in which a library may write a secret into a line: plain, as Python shows text or bytes, in a URL; longest first."""
    found = set()
    for secret in secrets:
        if len(secret) >= SECRET_CHARACTERS_MIN:
            found |= {secret, repr(secret)[1:-1], repr(secret.encode())[2:-1], quote(secret, safe=""), quote_plus(secret)}
    return tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))


def mask_secrets(text: str, known: Iterable[str]) -> str:
    """The text without any of the spellings.

    >>> mask_secrets("login desk hunter2 refused", spellings(["hunter2"]))
    'login desk *** refused'
    """
    for spelling in known:
        text = text.replace(spelling, MASK)
    return text
