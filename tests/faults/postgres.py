"""A PostgreSQL server that a test stops, kills and starts again; its storage stays, and what it has committed is committed."""

import contextlib
import os
import secrets
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests import peers

START_WITHIN_S: Final = 120.0
SETTINGS: Final = (
    "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=100", "timezone=UTC",
    # No power supply fails here, so fsync may be off; but a killed server must not forget what it has confirmed.
    "fsync=off", "full_page_writes=off", "synchronous_commit=on",
)  # fmt: skip


@dataclass
class Postgres:
    """One server; `url` is the same over all its lives."""

    programs: Path
    folder: Path
    user: str | None
    port: int
    url: str
    _lives: int = 0
    _running: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _pid: int = 2**30  # nobody's

    def start(self) -> None:
        """Start it and wait until it lets somebody in; what an earlier life left behind may hold it up for a moment."""
        deadline = time.monotonic() + START_WITHIN_S
        while True:
            try:
                self._start()
            except RuntimeError:
                self._running.close()
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def _start(self) -> None:
        self._lives += 1
        log = self.folder / f"server-{self._lives}.log"
        chosen = [word for setting in [*SETTINGS, f"port={self.port}"] for word in ("-c", setting)]
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), *chosen]
        process = self._running.enter_context(
            peers.running(command, stop=signal.SIGINT, user=self.user, cwd=self.folder, environ=os.environ, log=log)
        )
        self._pid = process.pid
        peers.wait_for_postgres(self.url, process, log=log)

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it by a signal: SIGINT is a fast shutdown, SIGQUIT an immediate one (as after a crash), SIGKILL is one."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)
        self._running.close()

    def restart(self, number: signal.Signals = signal.SIGINT) -> None:
        """End it and start it again."""
        self.end(number)
        self.start()


@contextlib.contextmanager
def postgres_server() -> Iterator[Postgres]:
    """A server on a free loopback port with empty storage; gone at the end."""
    programs, user = peers.postgres_programs(), peers.server_user()
    assert programs is not None, peers.postgres_missing()
    with peers.temporary_folder("faults", owner=user) as folder:
        password, port = secrets.token_hex(16), peers.free_port()
        peers.initialise(programs, folder, password=password, user=user)
        url = f"postgresql+psycopg://groundswell:{password}@127.0.0.1:{port}/postgres"
        server = Postgres(programs, folder, user, port, url)
        try:
            server.start()
            yield server
        finally:
            server.end()
