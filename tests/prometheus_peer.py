"""A real Prometheus and a real Alertmanager for tests. `tests/peers.py` says whether their programs are there."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.nginx_peer import wait_for_port
from tests.peers import REPOSITORY, alertmanager_program, free_port, running, temporary_folder

DEPLOY: Final = REPOSITORY / "deploy"
WITHIN_S: Final = 180.0


@dataclass(frozen=True)
class Prometheus:
    """A server that answers."""

    url: str

    def get(self, path: str, **parameters: str) -> Any:
        """`data` of an answer of its API."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=60) as answer:
            return json.load(answer)["data"]

    def query(self, expr: str, **parameters: str) -> list[tuple[dict[str, str], float]]:
        """(labels without the name, value) of what an expression gives now, or at `time`."""
        found = self.get("query", query=expr, **parameters)["result"]
        return [({k: v for k, v in one["metric"].items() if k != "__name__"}, float(one["value"][1])) for one in found]


def shipped_configuration(folder: Path, *, targets: Path, alertmanager: str = "127.0.0.1:9") -> Path:
    """deploy/prometheus with its rules, as it is but for addresses and a pace at which a test can wait for it; returns the file."""
    text = (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    for was, shall_be in (('"targets/*.json"', f'"{targets}/*.json"'), ("127.0.0.1:9093", alertmanager)):
        assert was in text, f"the shipped configuration has no {was} any more"
        text = text.replace(was, shall_be)
    text = re.sub(r"(scrape_interval|evaluation_interval|refresh_interval): \d+s", r"\1: 1s", text)
    for name in ("recording.yml", "alerts.yml"):
        (folder / name).write_bytes((DEPLOY / "prometheus" / name).read_bytes())
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    return folder / "prometheus.yml"


@contextlib.contextmanager
def prometheus_server(configuration: Path, *, data: Path | None = None) -> Iterator[Prometheus]:
    """A Prometheus on a free loopback port.

    Args:
        configuration: its file.
        data: where its blocks lie; None: an empty folder that goes at the end.
    """
    with temporary_folder("prometheus") as folder:
        port, log = free_port(), folder / "server.log"
        command = [
            "prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={data or folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=30y", "--enable-feature=exemplar-storage",
        ]  # fmt: skip
        with running(command, stop=signal.SIGTERM, cwd=folder, environ=os.environ, log=log) as process:
            wait_for_port(port, process, log=log)
            url = f"http://127.0.0.1:{port}"
            until(lambda: urllib.request.urlopen(f"{url}/-/ready", timeout=60).read(), says="Prometheus is ready")
            yield Prometheus(url)


@contextlib.contextmanager
def alertmanager_server(configuration: Path) -> Iterator[str]:
    """An Alertmanager on a free loopback port that speaks to no other; yields HOST:PORT."""
    with temporary_folder("alertmanager") as folder:
        port, log = free_port(), folder / "server.log"
        command = [
            alertmanager_program() or "alertmanager", f"--config.file={configuration}", f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        ]  # fmt: skip
        with running(command, stop=signal.SIGTERM, cwd=folder, environ=os.environ, log=log) as process:
            wait_for_port(port, process, log=log)
            yield f"127.0.0.1:{port}"


def check_metrics(port: int) -> None:
    """Assert that promtool finds nothing to say of what a process shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as shown:
        done = subprocess.run(["promtool", "check", "metrics"], input=shown.read(), capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def until(what: Any, *, says: str, within_s: float = WITHIN_S) -> Any:
    """The first answer of `what()` that is not empty; asked again and again, also after an OSError (a server that is not ready)."""
    deadline, last = time.monotonic() + within_s, None
    while time.monotonic() < deadline:
        try:
            last = what()
        except OSError as error:
            last = error
        if last and not isinstance(last, OSError):
            return last
        time.sleep(0.1)
    message = f"{says}: not within {within_s:.0f} s; the last answer was {last!r}"
    raise AssertionError(message)
