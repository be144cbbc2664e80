"""What must not be shown: passwords inside URLs by their form, known secrets by their value."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus, unquote

__all__ = ["MASK", "mask_secrets", "mask_url", "passwords_of_url", "spellings"]

MASK: Final = "***"
SECRET_CHARACTERS_MIN: Final = 4
"""Shorter ones are not looked for: hiding every "a" would hide what a line says, and guards nothing."""

_IN_ACCOUNT: Final = re.compile(r"://[^:/?#@]*:(\S*)@")  # some drivers take a raw / or @ in a password
_IN_QUERY: Final = re.compile(r"[?&][^=&#]*(?:password|secret|token)[^=&#]*=([^&#]*)", re.IGNORECASE)


def mask_url(url: str) -> str:
    """The text without the passwords that a URL in it may hold.

    >>> mask_url("postgresql://desk:pa@ss@db/groundswell?sslpassword=x&a=1")
    'postgresql://desk:***@db/groundswell?sslpassword=***&a=1'
    """
    for form in (_IN_ACCOUNT, _IN_QUERY):
        url = form.sub(lambda found: found[0][: found.start(1) - found.start()] + MASK + found[0][found.end(1) - found.start() :], url)
    return url


def passwords_of_url(url: str) -> tuple[str, ...]:
    """The passwords in a URL, decoded: that of the account, and those in its query.

    >>> passwords_of_url("postgresql://desk:pa%40ss@db/groundswell?sslpassword=x"), passwords_of_url("var/desk.db")
    (('pa@ss', 'x'), ())
    """
    return tuple(unquote(found[1]) for form in (_IN_ACCOUNT, _IN_QUERY) for found in form.finditer(url) if found[1])


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
