"""The routes in force: a file that is looked at again, and the last one that held."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from alerts.notify.base import Notifier
from alerts.routes import EXAMPLE, Routes, parse_routes
from groundswell.errors import SettingsError, reason_of
from groundswell.logs import logger
from groundswell.store.conditions import end, hold
from groundswell.store.store import Store

LOOK_EVERY_MS: Final = 5_000
_log = logger("groundswell.routes")

Build = Callable[[Routes], Mapping[str, Notifier]]
"""Channels of all targets; SettingsError where one cannot be made."""


@dataclass
class RoutesFile:
    """Routes that change when their file does. A mistake in it is told and changes nothing.

    Args:
        path: the file.
        build: makes the channels.
        store: where the condition is stored that the file has a mistake.
        now_ms: the wall clock.

    Raises:
        SettingsError: the first reading fails: there are no routes that could stay in force.
    """

    path: Path
    build: Build
    store: Store
    now_ms: Callable[[], int]
    _routes: Routes = field(init=False)
    _notifiers: Mapping[str, Notifier] = field(init=False)
    _seen: tuple[int, int] | None = field(default=None, init=False)
    _due_ms: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._seen, self._due_ms = self._stamp(), self.now_ms() + LOOK_EVERY_MS
        self._routes, self._notifiers = load(self.path, self.build)
        end(self.store, "routes", self.path.name, now_ms=self.now_ms())

    @property
    def routes(self) -> Routes:
        """Who is told of what."""
        self._look()
        return self._routes

    @property
    def notifiers(self) -> Mapping[str, Notifier]:
        """Channels by the targets' stored names."""
        return self._notifiers

    def _stamp(self) -> tuple[int, int] | None:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def _look(self) -> None:
        now_ms = self.now_ms()
        if now_ms < self._due_ms:
            return
        self._due_ms = now_ms + LOOK_EVERY_MS
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._routes, self._notifiers = load(self.path, self.build)
        except SettingsError as error:
            _log.error("the routes file has a mistake, the routes before it stay in force", reason=reason_of(error))
            hold(self.store, "routes", self.path.name, reason=reason_of(error), now_ms=now_ms)
        else:
            _log.info("routes", readers=len(self._routes.reader), targets=len(self._notifiers))
            end(self.store, "routes", self.path.name, now_ms=now_ms)


def load(path: Path, build: Build) -> tuple[Routes, Mapping[str, Notifier]]:
    """Routes and channels of a file.

    Raises:
        SettingsError: it cannot be read, or has a mistake.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or reason_of(error)
        reason = f"{path}: cannot be read: {said}; correct routes.path, {EXAMPLE} shows how a file looks"
        raise SettingsError(reason) from error
    routes = parse_routes(text, place=str(path))
    return routes, build(routes)
