"""Signed texts that expire: what a reader carries (a session, a form's token, a link in a mail) and the board believes again.

The signature is HMAC-SHA256 over a key that is derived from the installation's secret and the purpose, so that a text signed for one
purpose is worth nothing for another. A signed text can be read by whoever holds it: it is proof, not secrecy.
"""

import os
import secrets
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from itsdangerous import BadData, SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from groundswell.errors import DependencyError, ExpiredError, SettingsError, SignatureError, reason_of
from groundswell.settings_rules import SECRET_CHARACTERS_MIN

if TYPE_CHECKING:
    from groundswell.settings import Settings

__all__ = ["Signed", "board_secret"]

SECRET_FILE: Final = "board.secret"
TEXT_CHARACTERS_MAX: Final = 2_048
"""No text that is signed here is longer; what stands behind is not looked at."""


class _Signer(TimestampSigner):
    """The library's own, asked for its time."""

    def __init__(self, *args: Any, now_ms: Callable[[], int], **options: Any) -> None:
        super().__init__(*args, **options)
        self._now_ms = now_ms

    def get_timestamp(self) -> int:
        """Seconds since 1970."""
        return self._now_ms() // 1000


class Signed:
    """Signs values for one purpose, and reads them back while they are valid.

    >>> forms = Signed("a secret of thirty-two characters", "form", lifetime_s=60, now_ms=lambda: 1_700_000_000_000)
    >>> forms.read(forms.sign({"who": "mei"}))
    {'who': 'mei'}

    Args:
        secret: the installation's; at least SECRET_CHARACTERS_MIN characters.
        purpose: a name; texts of another purpose are not ours.
        lifetime_s: how long a text is valid, in seconds.
        now_ms: the wall time.

    Raises:
        SettingsError: the secret is too short.
    """

    def __init__(self, secret: str, purpose: str, *, lifetime_s: int, now_ms: Callable[[], int]) -> None:
        if len(secret) < SECRET_CHARACTERS_MIN:
            rule = f"must have {SECRET_CHARACTERS_MIN} characters or more, got {len(secret)}"
            reason = f"board.secret: {rule}; make one with `openssl rand -hex 32`"
            raise SettingsError(reason)
        self._lifetime_s = lifetime_s
        options = {"key_derivation": "hmac", "digest_method": sha256, "now_ms": now_ms}
        self._signer = URLSafeTimedSerializer(secret, salt=f"groundswell.{purpose}", signer=_Signer, signer_kwargs=options)

    def sign(self, value: Any) -> str:
        """The value, of what JSON can hold, as a text that fits into an address or a cookie."""
        return str(self._signer.dumps(value))

    def read(self, text: str) -> Any:
        """The value that was signed.

        Raises:
            ExpiredError: it was ours, and its time is over (or the clock was set back since).
            SignatureError: it is not ours, was changed, or was signed for something else.
        """
        try:
            return self._signer.loads(text[:TEXT_CHARACTERS_MAX], max_age=self._lifetime_s)
        except SignatureExpired as error:
            reason = "its time is over"
            raise ExpiredError(reason) from error
        except (BadData, UnicodeError) as error:
            reason = "it was not signed here, or it was changed on its way"
            raise SignatureError(reason) from error


def board_secret(settings: "Settings") -> str:
    """The installation's secret: the setting, else one of this machine's own that is made once and kept in a file.

    Whoever has it can be anybody on the board, so the file is its owner's alone. Where the desk and the board run on several
    machines, links of the one are only known to the other if `board.secret` is set on both.

    Raises:
        DependencyError: the file cannot be read or made.
    """
    if settings.board.secret:
        return settings.board.secret
    path = Path(settings.data.dir) / SECRET_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make(path)
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError) as error:
        reason = f"{path}: the board's secret cannot be kept there: {reason_of(error)}; make the folder writable, or set board.secret"
        raise DependencyError(reason) from error


def _make(path: Path) -> None:
    """Make the file whole or not at all: two processes that start together end up with the same one."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)
