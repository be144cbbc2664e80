"""Put alerts into a reader's words: language, zone, why they get it, and links of their own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final
from urllib.parse import urlsplit

import msgspec

from alerts.notify.digest import because, render_digest, state_line
from alerts.notify.message import ACTS, Message, render
from alerts.routes import Reader, Routes
from groundswell.records import Alert

__all__ = ["Link", "Voice"]

Link = Callable[[str, str, str], str]
"""(reader, alert_id, act) -> an address that shows a page; only what is sent from it is recorded."""

TAKEN: Final = frozenset({"acknowledge", "verdict"})
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Voice:
    """How this installation speaks.

    Args:
        base_url: where dossiers are linked to.
        entity_name: an entity id in the reader's words.
        link: makes a reader's own links; None: there are none but the dossier's.
        acts: what the board takes by such a link; of nothing else one is made. "unsubscribe" has to take a POST without a login.
    """

    base_url: str
    entity_name: Callable[[str], str]
    link: Link | None = None
    acts: frozenset[str] = TAKEN

    def alert(self, alert: Alert, reader: Reader | None, *, escalated: Routes | None = None, past: Sequence[str] = ()) -> Message:
        """The message of one alert.

        Args:
            alert: what to say.
            reader: to whom; None: a target of the settings, in English and UTC.
            escalated: the routes that led here because nobody acknowledged it.
            past: targets that it would have gone to first, and that their readers have stopped.
        """
        if reader is None:
            return render(alert, base_url=self.base_url, entity_name=self.entity_name)
        after_min = _after_min(escalated, reader) if escalated else None
        links: dict[str, str] = {act: self.link(reader.name, alert.id, act) for act in ACTS if act in self.acts} if self.link else {}
        message = render(
            alert,
            base_url=self.base_url,
            entity_name=self.entity_name,
            tz=reader.tz,
            language=reader.language,
            links=links,
            because=because(reader, alert, glob=_glob(reader, alert), after_min=after_min, past=past),
        )
        return msgspec.structs.replace(message, unsubscribe_url=self._unsubscribe(reader, alert.id))

    def digest(self, alerts: Sequence[Alert], reader: Reader | None, *, digest_id: str, held: bool) -> Message:
        """The message of several alerts."""
        links = {"settings": self.link(reader.name, alerts[0].id, "settings")} if self.link and reader and "settings" in self.acts else {}
        message = render_digest(
            alerts,
            digest_id=digest_id,
            held=held,
            base_url=self.base_url,
            entity_name=self.entity_name,
            tz=reader.tz if reader else "UTC",
            language=reader.language if reader else "en",
            links=links,
        )
        return msgspec.structs.replace(message, unsubscribe_url=self._unsubscribe(reader, alerts[0].id)) if reader else message

    def state(self, alert: Alert, said: str | None, reader: Reader | None) -> str:
        """How an incident is by now, in one line; "" where there is nothing to add to its first message."""
        return state_line(alert, said, tz=reader.tz if reader else "UTC", language=reader.language if reader else "en")

    def _unsubscribe(self, reader: Reader, alert_id: str) -> str | None:
        """Where a mail program may unsubscribe with one POST: only where the board has a public https address."""
        parts = urlsplit(self.base_url)
        if self.link is None or "unsubscribe" not in self.acts or parts.scheme != "https" or parts.hostname in LOOPBACK:
            return None
        return self.link(reader.name, alert_id, "unsubscribe")


def _glob(reader: Reader, alert: Alert) -> str | None:
    """The reader's first glob that found the alert."""
    series = [alert.series, *alert.all_series]
    return next((glob for glob in reader.series if not glob.startswith("!") and any(fnmatchcase(s, glob) for s in series)), None)


def _after_min(routes: Routes, reader: Reader) -> int | None:
    """After how many minutes it is escalated to this reader: the shortest of those who name one of their targets."""
    given = [one.escalation for one in routes.reader if one.escalation and set(one.escalation.to) & set(reader.targets)]
    return min((one.after_min for one in given), default=None)
