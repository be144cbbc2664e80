"""A real IMAP server (dovecot, of Debian's package) on loopback, with TLS and one mailbox, for the tests of source type mailbox."""

import contextlib
import imaplib
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests import peers

READY_WITHIN_S: Final = 120.0
CONFIG: Final = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
protocols = imap
listen = 127.0.0.1
ssl = required
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
auth_mechanisms = plain login
mail_location = maildir:~/Maildir
first_valid_uid = 1
service imap-login {{
  inet_listener imap {{
    port = 0
  }}
  inet_listener imaps {{
    port = {port}
    ssl = yes
  }}
}}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={folder}/mail/%u
}}
"""


@dataclass(frozen=True)
class MailServer:
    """How to reach the mailbox of `desk`."""

    port: int
    password: str
    ca_file: Path

    @contextlib.contextmanager
    def client(self) -> Iterator[imaplib.IMAP4_SSL]:
        """Somebody who may write into it."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with imaplib.IMAP4_SSL("127.0.0.1", self.port, ssl_context=context, timeout=60) as server:
            server.login("desk", self.password)
            yield server


@contextlib.contextmanager
def mail_server() -> Iterator[MailServer]:
    """The server, with an empty mailbox, until the block ends."""
    with peers.temporary_folder("dovecot") as folder:
        folder.chmod(0o755)
        (folder / "mail").mkdir()
        shutil.chown(folder / "mail", "mail", "mail")
        port, password = peers.free_port(), secrets.token_hex(16)
        subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", *subject]
        subprocess.run(
            [*made, "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")], check=True, capture_output=True, cwd=folder
        )
        config = folder / "dovecot.conf"
        config.write_text(CONFIG.format(folder=folder, port=port, password=password))
        server = MailServer(port, password, folder / "cert.pem")
        command = [peers.dovecot_program() or "dovecot", "-F", "-c", str(config)]
        log = folder / "start.log"
        with peers.running(command, stop=signal.SIGTERM, cwd=folder, environ=os.environ, log=log) as process:
            deadline = time.monotonic() + READY_WITHIN_S
            while True:
                try:
                    with server.client():
                        break
                except (OSError, imaplib.IMAP4.error) as error:
                    if process.poll() is not None or time.monotonic() > deadline:
                        said = "".join(path.read_text(errors="replace") for path in (log, folder / "dovecot.log") if path.exists())
                        message = f"dovecot lets nobody in ({error}); it said:\n{said}"
                        raise RuntimeError(message) from error
                    time.sleep(0.05)
            yield server
