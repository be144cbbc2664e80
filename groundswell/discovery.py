"""Where Prometheus finds the processes of this machine: a file for each command, in the form of its `file_sd_configs`.

    DATA/targets/worker-HOST-9464.json    [{"targets": ["127.0.0.1:9464"], "labels": {"process": "score", "run": "live"}}, ...]

The file is replaced as a whole, so that no half of one is ever read, and it goes when the command is told to stop. Whoever ends
otherwise leaves it: Prometheus then says that the processes are down, which is what it is there for.
"""

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from groundswell.errors import DependencyError, reason_of

FOLDER: Final = "targets"
"""Name of the folder in `data.dir`."""

_EVERYWHERE: Final = ("", "0.0.0.0", "::")


@dataclass(frozen=True)
class Endpoint:
    """Where one process shows its metrics.

    Args:
        host: the address that it listens on; one that means all of them is shown as this machine's name.
        port: its port.
        process: what it is: "run", "crawl", "desk", "score" or "fold".
        run: whose records it works on.
    """

    host: str
    port: int
    process: str
    run: str

    @property
    def address(self) -> str:
        """HOST:PORT as Prometheus asks it.

        >>> Endpoint("::1", 9464, "run", "live").address
        '[::1]:9464'
        """
        host = socket.gethostname() if self.host in _EVERYWHERE else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


@dataclass
class Announcement:
    """What was announced; `stays`: it is not taken back at the end, since the processes are gone and should not be."""

    stays: bool = False


@contextmanager
def announced(data_dir: Path, name: str, *, endpoints: Sequence[Endpoint]) -> Iterator[Announcement]:
    """Let Prometheus find processes while the block runs; a block that fails leaves the file.

    Args:
        data_dir: the machine's folder, `data.dir`.
        name: of the command; with the host and the first port it names the file, since nobody else can have that port there.
        endpoints: the processes; those of port 0 show nothing, and without any there is no file.

    Raises:
        DependencyError: the folder cannot be written.
    """
    said = Announcement()
    shown = [endpoint for endpoint in endpoints if endpoint.port]
    if not shown:
        yield said
        return
    path = data_dir / FOLDER / f"{name}-{socket.gethostname()}-{shown[0].port}.json"
    _replace(path, [{"targets": [one.address], "labels": {"process": one.process, "run": one.run}} for one in shown])
    try:
        yield said
    except KeyboardInterrupt:  # a person's way of telling it to stop
        path.unlink(missing_ok=True)
        raise
    if not said.stays:
        path.unlink(missing_ok=True)


def _replace(path: Path, groups: list[dict[str, object]]) -> None:
    coming = path.with_suffix(".tmp")  # no name that Prometheus looks for
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        coming.write_text(json.dumps(groups, indent=1) + "\n", encoding="utf-8")
        coming.replace(path)
    except OSError as error:
        reason = (
            f"data.dir {path.parent}: {reason_of(error)}; Prometheus finds processes there: check the folder's permissions and free space"
        )
        raise DependencyError(reason) from error
