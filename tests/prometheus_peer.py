"""Prometheus as a test's peer: Debian's own, on a free port, with a data folder of the test. `tests/peers.py` says whether it is there."""

import contextlib
import json
import os
import signal
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.nginx_peer import wait_for_port
from tests.peers import free_port, running

JOB: Final = "groundswell"
WAIT_S: Final = 60.0


@dataclass(frozen=True)
class Prometheus:
    """A server that scrapes every second."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression now, each with `metric` and `value`.

        Raises:
            AssertionError: Prometheus refuses the expression; its words are in the text.
        """
        body = urllib.parse.urlencode({"query": expression}).encode()
        try:
            with urllib.request.urlopen(f"{self.url}/api/v1/query", data=body, timeout=20) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            message = f"{expression}: {json.load(error)['error']}"
            raise AssertionError(message) from error
        return found

    def wait(self, expression: str, *, holds: Callable[[list[dict[str, Any]]], bool] = bool) -> list[dict[str, Any]]:
        """The series of an expression as soon as they are as they should be; raises TimeoutError after a minute."""
        deadline = time.monotonic() + WAIT_S
        while not holds(found := self.query(expression)):
            if time.monotonic() > deadline:
                message = f"{expression}: after {WAIT_S:g} s still {found}"
                raise TimeoutError(message)
            time.sleep(0.1)
        return found


@contextlib.contextmanager
def prometheus_server(folder: Path, targets: Sequence[str]) -> Iterator[Prometheus]:
    """One Prometheus on a free loopback port that scrapes the targets (HOST:PORT) every second, as one job."""
    port = free_port()
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": list(targets)}]}],
    }
    (folder / "prometheus.json").write_text(json.dumps(config))  # JSON is YAML too
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.json'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn",
    ]  # fmt: skip
    log = folder / "prometheus.log"
    with running(command, stop=signal.SIGTERM, stop_within_s=20.0, cwd=folder, environ=os.environ, log=log) as process:
        wait_for_port(port, process, log=log)
        wait_until_ready(f"http://127.0.0.1:{port}/-/ready")
        yield Prometheus(f"http://127.0.0.1:{port}")


def wait_until_ready(url: str) -> None:
    """Return when the server has read its data folder; until then it answers 503. Raises TimeoutError after a minute."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except OSError as error:
            if time.monotonic() > deadline:
                message = f"{url}: not ready after {WAIT_S:g} s"
                raise TimeoutError(message) from error
            time.sleep(0.05)
        else:
            return
