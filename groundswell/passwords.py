"""Passwords: what one must be, how it is kept (argon2id), and how it is checked without telling whether there is such an account."""

import threading
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from groundswell.errors import UsageError

__all__ = ["CHARACTERS_MAX", "CHARACTERS_MIN", "Passwords"]

CHARACTERS_MIN: Final = 12
CHARACTERS_MAX: Final = 256
AT_ONCE: Final = 2
"""Checks at a time. Each takes 64 MiB and a core for some ten milliseconds: a flood of logins must not take the machine."""


class Passwords:
    """Hashes and checks. Safe for several threads.

    Args:
        hasher: how dear a guess is; the default is RFC 9106's second choice (64 MiB, 3 passes).
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._room = threading.Semaphore(AT_ONCE)
        self._nobody = self._hasher.hash("nobody has this password")

    def hash(self, password: str) -> str:
        """What is stored of a password: algorithm, costs, salt and digest.

        Raises:
            UsageError: it is too short or too long.
        """
        text = _normal(password)
        if not CHARACTERS_MIN <= len(text) <= CHARACTERS_MAX:
            reason = f"password: must have {CHARACTERS_MIN} to {CHARACTERS_MAX} characters, got {len(text)}; a few words in a row will do"
            raise UsageError(reason)
        return self._hasher.hash(text)

    def fits(self, password: str, stored: str | None) -> bool:
        """Whether a password is the one that was stored; where nothing is stored, it takes as long to say no."""
        with self._room:
            try:
                return self._hasher.verify(stored or self._nobody, _normal(password[: 4 * CHARACTERS_MAX])) and stored is not None
            except (VerificationError, InvalidHashError):
                return False


def _normal(password: str) -> str:
    """The same letters typed on another keyboard are the same password."""
    return unicodedata.normalize("NFKC", password)
