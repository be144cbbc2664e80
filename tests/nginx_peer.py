"""nginx as a test's publisher: Debian's own, with gzip, ETags and a limit of requests. `tests/peers.py` says whether it is there."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.peers import free_port, nginx_program, running, temporary_folder

READY_WITHIN_S: Final = 120.0
NGINX: Final = """daemon off; {user} worker_processes 1; error_log stderr; pid nginx.pid;
events {{}}
http {{
  access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  gzip on; gzip_min_length 0; gzip_types *;
  limit_req_zone $binary_remote_addr zone=all:1m rate=1r/m;
  server {{
    listen 127.0.0.1:{port}; root site;
    location /limited/ {{ limit_req zone=all; limit_req_status {status}; error_page 429 503 = @rest; }}
    location @rest {{ add_header Retry-After 14400 always; return {status}; }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A web server with gzip, ETags, and one request a minute below /limited/."""

    url: str
    site: Path  # the folder that it shows


@contextlib.contextmanager
def nginx_server(*, status: int = 429) -> Iterator[Nginx]:
    """One nginx on a free loopback port with an empty folder to show.

    Args:
        status: its answer to those who ask too often.
    """
    with temporary_folder("nginx") as folder:
        port, log, site = free_port(), folder / "server.log", folder / "site"
        site.mkdir()
        user = "user root;" if os.geteuid() == 0 else ""  # else its worker could not read the private folder
        (folder / "nginx.conf").write_text(NGINX.format(user=user, port=port, status=status))
        command = [nginx_program() or "nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        with running(command, stop=signal.SIGTERM, cwd=folder, environ=os.environ, log=log) as process:
            wait_for_port(port, process, log=log)
            yield Nginx(f"http://127.0.0.1:{port}", site)


def wait_for_port(port: int, process: subprocess.Popen[bytes], *, log: Path) -> None:
    """Return when somebody listens; raises RuntimeError when the process has ended or two minutes are over."""
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"nobody listens on port {port}; the server said:\n{log.read_text(errors='replace')}"
                raise RuntimeError(message) from error
            time.sleep(0.02)
        else:
            return
