"""Links in mail and Slack that lead to one act on one alert, for one reader.

A link is a capability: whoever has it may do what it says, as the reader for whom it was made, until it expires. So it says one thing
only, and opening it does nothing: mail gateways open every link. The board shows what would be recorded, and a press of its button
(POST) records it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from groundswell.clock import SystemClock
from groundswell.errors import SignatureError
from groundswell.names import DAY_MS
from groundswell.signing import Signed, board_secret

if TYPE_CHECKING:
    from groundswell.settings import Settings

__all__ = ["Link", "Links", "links_of"]

WALL_MS: Final = SystemClock().now_ms
STOP_DAYS: Final = 400
"""How long one click can unsubscribe: mail is kept, and a reader who wants no more of it is not told that it is too late."""


@dataclass(frozen=True)
class Link:
    """What a link says."""

    reader: str  # for whom it was made: a name, or the address that the mail went to
    alert_id: str
    act: str  # a kind of action, or "verdict:" and one


class Links:
    """Makes links, and reads their tokens back.

    >>> links = Links("a secret of thirty-two characters", "https://gs.bank.example/", 3600, now_ms=lambda: 0)
    >>> url = links.make("mei@bank.example", "a1b2c3d4", "acknowledge")
    >>> url.startswith("https://gs.bank.example/l/")
    True
    >>> links.read(url.rpartition("/")[2])
    Link(reader='mei@bank.example', alert_id='a1b2c3d4', act='acknowledge')

    Args:
        secret: the installation's (`groundswell.signing.board_secret`).
        base_url: how readers reach the board.
        lifetime_s: how long a link can record something, in seconds.
        now_ms: the wall time.

    Raises:
        SettingsError: the secret is too short.
    """

    def __init__(self, secret: str, base_url: str, lifetime_s: int, *, now_ms: Callable[[], int] = WALL_MS) -> None:
        self.base_url = base_url.rstrip("/")
        self._signed = Signed(secret, "link", lifetime_s=lifetime_s, now_ms=now_ms)
        self._stops = Signed(secret, "stop", lifetime_s=STOP_DAYS * DAY_MS // 1_000, now_ms=now_ms)

    def make(self, reader: str, alert_id: str, act: str) -> str:
        """The address of a page on which a reader can do one thing to one alert."""
        return f"{self.base_url}/l/{self._signed.sign([reader, alert_id, act])}"

    def read(self, token: str) -> Link:
        """What the last part of such an address says.

        Raises:
            ExpiredError: its time is over.
            SignatureError: it was not made here, or was changed.
        """
        match self._signed.read(token):
            case [str(reader), str(alert_id), str(act)]:
                return Link(reader, alert_id, act)
        reason = "it does not say for whom, of which alert and what"
        raise SignatureError(reason)

    def make_stop(self, target: str) -> str:
        """The address that stops one target of one reader; opening it shows that it would."""
        return f"{self.base_url}/u/{self._stops.sign([target])}"

    def read_stop(self, token: str) -> str:
        """The target that the last part of such an address names.

        Raises:
            ExpiredError: its time is over.
            SignatureError: it was not made here, or was changed.
        """
        match self._stops.read(token):
            case [str(target)]:
                return target
        reason = "it does not say what it would stop"
        raise SignatureError(reason)


def links_of(settings: "Settings") -> Links:
    """The links of an installation.

    Raises:
        DependencyError: its secret cannot be kept.
    """
    return Links(board_secret(settings), settings.board.base_url, settings.board.link_hours * 3600)
