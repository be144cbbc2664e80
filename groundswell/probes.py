"""`/live` and `/ready` of a process, beside its `/metrics`: for container platforms, load balancers and people with curl.

live    the process's loop still turns; if not, start it again
ready   it has what it needs and does its work; if not, wait
"""

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer

STUCK_AFTER_S: Final = 60.0


class Probes:
    """What a process says of itself. Safe for several threads.

    Args:
        stuck_after_s: how long the loop may give no beat.
        now_s: a clock that never goes back.
    """

    def __init__(self, stuck_after_s: float = STUCK_AFTER_S, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._limit_s, self._now_s = stuck_after_s, now_s
        self._last_s = now_s()
        self._waits_for: str | None = "starting"

    def beat(self) -> None:
        """The loop has turned."""
        self._last_s = self._now_s()

    def is_ready(self) -> None:
        """The work is being done."""
        self._waits_for = None

    def waits(self, reason: str) -> None:
        """The work is not being done, for a reason that passes."""
        self._waits_for = reason

    def answer(self, path: str) -> tuple[bool, str] | None:
        """Whether a probe holds, and one line for people; None where the path is no probe.

        >>> Probes().answer("/ready")
        (False, 'starting')
        """
        silent_s = self._now_s() - self._last_s
        live = silent_s <= self._limit_s
        if path == "/live":
            return live, "live" if live else f"the loop has not turned for {silent_s:.0f} s"
        if path == "/ready":
            return live and self._waits_for is None, self._waits_for or ("ready" if live else "not live")
        return None


def serve(registry: CollectorRegistry, probes: Probes | None, *, host: str, port: int) -> tuple[WSGIServer, threading.Thread]:
    """Answer `/live`, `/ready` and everything else with the metrics, in a thread.

    Raises:
        OSError: the port is taken or the address is not this machine's.
    """
    metrics: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        found = probes.answer(environ["PATH_INFO"]) if probes else None
        if found is None:
            return metrics(environ, start_response)
        holds, said = found
        start_response("200 OK" if holds else "503 Service Unavailable", [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{said}\n".encode()]

    server = make_server(host, port, app, ThreadingWSGIServer, handler_class=_Silent)
    thread = threading.Thread(target=server.serve_forever, name="groundswell-metrics", daemon=True)
    thread.start()
    return server, thread


class _Silent(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it
        """A scrape is no news."""
