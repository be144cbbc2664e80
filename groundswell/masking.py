"""What must not be shown: passwords inside URLs by their form, known secrets by their value."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

__all__ = ["MASK", "mask_secrets", "mask_url", "password_of_url", "spellings"]

MASK: Final = "***"
SECRET_CHARACTERS_MIN: Final = 4
"""Shorter ones are not looked for: hiding every "a" would hide what a line says, and guards nothing."""


def mask_url(url: str) -> str:
    """The text without the passwords that a URL in it may hold.

    >>> mask_url("postgresql://desk:pa@ss@db/groundswell?sslpassword=x&a=1")
    'postgresql://desk:***@db/groundswell?sslpassword=***&a=1'
    """
    url = re.sub(r"(://[^:/?#@]*):\S*@", rf"\1:{MASK}@", url)  # some drivers take a raw / or @ in a password
    return re.sub(r"([?&][^=&#]*(?:password|secret|token)[^=&#]*=)[^&#]*", rf"\1{MASK}", url, flags=re.IGNORECASE)


def password_of_url(url: str) -> str:
    """The password in a URL, decoded; empty where it has none or is no URL.

    >>> password_of_url("postgresql://desk:pa%40ss@db/groundswell"), password_of_url("var/desk.db")
    ('pa@ss', '')
    """
    try:
        return unquote(urlsplit(url).password or "")
    except ValueError:
        return ""


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
