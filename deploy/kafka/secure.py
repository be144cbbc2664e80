"""What `start.sh --secure` adds: certificates, logins and rights, made for one data folder and kept in it.

Two listeners: SASL_SSL (encrypted, with name and password) and SSL (encrypted, with a client certificate). Nodes and their
controllers talk over the second one. Nobody but `admin` may do anything until an ACL says so. Needs the program `openssl`.
"""

import os
import secrets
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

USERS = ("admin", "crawler", "worker")
MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256")
DAYS = "30"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class OpensslError(Exception):
    """The program is missing, or refused; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Secure:
    """The folder with everything secret of a cluster; only its owner may read it."""

    folder: Path

    @property
    def authority(self) -> Path:
        """The certificate that all others are signed with."""
        return self.folder / "ca.pem"

    def certificate(self, name: str) -> Path:
        """A key and its certificate in one file."""
        return self.folder / f"{name}.pem"

    def prepare(self) -> None:
        """Make what is missing: the authority, a certificate for the nodes, one and a password for each user."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.authority.is_file():
            make_authority(self.folder)
        for name in ("broker", *USERS):
            if not self.certificate(name).is_file():
                make_certificate(self.folder, name)
        for user in USERS:
            place = self.folder / f"{user}.password"
            if not place.is_file():
                write_secret(place, secrets.token_urlsafe(18) + "\n")

    def password(self, user: str) -> str:
        """The password of a user."""
        return (self.folder / f"{user}.password").read_text(encoding="utf-8").strip()

    def properties(self, *, host: str, sasl_port: int, tls_port: int, controller_port: int) -> dict[str, object]:
        """The settings of one node that differ from those of an open one."""
        plain = " ".join(f'user_{user}="{self.password(user)}"' for user in USERS)
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "inter.broker.listener.name": "SSL",
            "listener.security.protocol.map": "SASL_SSL:SASL_SSL,SSL:SSL,CONTROLLER:SSL",
            "listeners": f"SASL_SSL://{host}:{sasl_port},SSL://{host}:{tls_port},CONTROLLER://{host}:{controller_port}",
            "advertised.listeners": f"SASL_SSL://{host}:{sasl_port},SSL://{host}:{tls_port}",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificate("broker"),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority,
            "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.controller.ssl.client.auth": "required",
            # A certificate for CN=worker is the same principal as the login "worker": one list of rights for both.
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]*).*$/$1/,DEFAULT",
            "sasl.enabled.mechanisms": ",".join([*MECHANISMS, "PLAIN"]),
            **{f"listener.name.sasl_ssl.{name.lower()}.sasl.jaas.config": scram for name in MECHANISMS},
            "listener.name.sasl_ssl.plain.sasl.jaas.config": f"org.apache.kafka.common.security.plain.PlainLoginModule required {plain};",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:broker;User:admin",
        }

    def scram_arguments(self) -> list[str]:
        """Arguments for the storage tool that store every user's login; in a file, because a command line can be read by everybody."""
        place = self.folder / "scram.arguments"
        words = [
            word
            for name in MECHANISMS
            for user in USERS
            for word in ("--add-scram", f"{name}=[name={user},password={self.password(user)}]")
        ]
        write_secret(place, "\n".join(words) + "\n")
        return [f"@{place}"]

    def context(self) -> ssl.SSLContext:
        """What the nodes' own connections are encrypted with."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.certificate("broker"))
        return context

    def write_settings(self, *, sasl: str, tls: str) -> None:
        """For each user two settings files of groundswell: USER.toml logs in, USER-tls.toml shows a certificate."""
        for user in USERS:
            common = [f'tls_ca_file = "{self.authority}"']
            login = [f'sasl_username = "{user}"', f'sasl_password_file = "{self.folder / f"{user}.password"}"']
            shown = [f'tls_cert_file = "{self.certificate(user)}"']
            for name, bootstrap, protocol, more in ((user, sasl, "SASL_SSL", login), (f"{user}-tls", tls, "SSL", shown)):
                lines = ["[kafka]", f'bootstrap = "{bootstrap}"', f'security_protocol = "{protocol}"', *common, *more]
                (self.folder / f"{name}.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner may read, from its first moment on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def make_authority(folder: Path) -> Path:
    """A certificate authority `ca.pem` with its key in `folder`."""
    made, key = folder / "ca.pem", folder / "ca.key"
    extensions = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
    openssl(
        ["req", "-x509", *_NEW_KEY, "-keyout", str(key), "-out", str(made), "-days", DAYS, "-subj", "/CN=groundswell trial CA", *extensions]
    )
    return made


def make_certificate(folder: Path, name: str) -> Path:
    """A key and a certificate for CN=NAME, signed by the authority in `folder`, in one file NAME.pem."""
    key, request, signed, made = (folder / f"{name}.{end}" for end in ("key", "csr", "crt", "pem"))
    openssl(["req", "-new", *_NEW_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}"])
    extensions = folder / f"{name}.extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n", encoding="utf-8")
    by = ["-CA", str(folder / "ca.pem"), "-CAkey", str(folder / "ca.key"), "-CAcreateserial"]
    openssl(["x509", "-req", "-in", str(request), *by, "-days", DAYS, "-extfile", str(extensions), "-out", str(signed)])
    write_secret(made, key.read_text(encoding="utf-8") + signed.read_text(encoding="utf-8"))
    for path in (key, request, signed, extensions):
        path.unlink()
    return made


def openssl(arguments: Sequence[str]) -> None:
    """Run openssl."""
    program = shutil.which("openssl")
    if program is None:
        message = "no openssl program on the PATH; --secure makes certificates with it: install it (Debian: openssl)"
        raise OpensslError(message)
    done = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, umask=0o077)
    if done.returncode != 0:
        message = f"openssl {arguments[0]} ended with code {done.returncode}:\n{done.stderr[-1000:]}"
        raise OpensslError(message)
