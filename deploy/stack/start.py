"""Start everything on this machine without containers, and stop it cleanly: `make stack`, or `python deploy/stack/start.py`.

    PostgreSQL, Kafka, Alertmanager, Prometheus -> groundswell worker -> desk, crawl, board

All data and logs lie in one folder, `--data`; started again with it, everything goes on where it was. Servers come from this
machine's packages (Debian: openjdk-17-jre-headless maven postgresql prometheus prometheus-alertmanager) and listen on loopback alone.
Settings of groundswell are taken from the environment (GROUNDSWELL_MAIL_HOST and so on). Standard output names each part and where it
is, one a line, and ends with "ready"; Ctrl-C or SIGTERM stops all, and so does the end of any part.

Exit codes: 0 stopped on request, 1 a part failed, 3 a program that is needed is missing.
"""

import argparse
import contextlib
import os
import pwd
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

ROOT = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
READY_WITHIN_S = 240.0  # the very first start lets Maven fetch Kafka
STOP_WITHIN_S = 30.0
ANY_PORT = range(20_000, 32_000)  # below those that Linux lends to outgoing connections: none of these takes one before its server
USUAL = {
    "kafka": 9092, "postgres": 5432, "board": 8350, "prometheus": 9090, "alertmanager": 9093, "worker": 9464, "desk": 9466, "crawl": 9467,
}  # fmt: skip
"""Part -> its port; the worker's fold process takes the next one."""


class StackError(Exception):
    """What went wrong and what to do about it."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


@dataclass
class Stack:
    """The parts that run, in the order in which they were started.

    Args:
        data: the folder of everything.
        ports: part -> port.
    """

    data: Path
    ports: Mapping[str, int]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    starting: list[tuple[str, Callable[[], bool], str]] = field(default_factory=list)  # (part, whether it is there, where)
    stopping: bool = False

    def start(self, name: str, command: Sequence[str], *, environ: Mapping[str, str] | None = None, user: str | None = None) -> None:
        """Start a part; what it says goes to a file of its own, but for what Kafka's start script prints."""
        group = pwd.getpwnam(user).pw_gid if user else None
        with (self.data / "logs" / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                ending_with_us(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if name == "kafka" else log,
                stderr=log,
                cwd=self.data,
                env={k: v for k, v in os.environ.items() if k != "GROUNDSWELL_STORE_URL"} | dict(environ or {}),
                user=user,
                group=group,
                extra_groups=[] if user else None,
                start_new_session=True,  # Ctrl-C is for this process alone, which then stops them in order
            )

    def expect(self, name: str, ready: Callable[[], bool], *, where: str) -> None:
        """Say how it is known that a part is there, for the next `wait`."""
        self.starting.append((name, ready, where))

    def wait(self) -> None:
        """Return when all that is expected is there, having said where."""
        deadline = time.monotonic() + READY_WITHIN_S
        for name, ready, where in self.starting:
            while not ready():
                self.check()
                if time.monotonic() > deadline:
                    message = f"{name} is not ready after {READY_WITHIN_S:.0f} s; its log is {self.data / 'logs' / name}.log"
                    raise StackError(message)
                time.sleep(0.1)
            say(f"{name:12}  {where}")
        self.starting.clear()

    def check(self) -> None:
        """Raise where somebody has asked for the end (KeyboardInterrupt), or a part has ended by itself."""
        if self.stopping:
            raise KeyboardInterrupt
        for name, process in self.running.items():
            if process.poll() is not None:
                message = f"{name} has ended with code {process.returncode}; its log is {self.data / 'logs' / name}.log"
                raise StackError(message)

    def stop(self) -> None:
        """Stop all, the last one first; by force what takes too long."""
        for name, process in reversed(self.running.items()):
            # SIGINT is PostgreSQL's fast shutdown: open connections are closed, not waited for.
            process.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
            try:
                process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def say(text: str) -> None:
    """One line for people, and for whoever started this."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def ending_with_us(command: Sequence[str]) -> list[str]:
    """The command, so that it is told to end when this process dies without a chance to stop it (where Linux's setpriv is there)."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", "--", *command] if setpriv else list(command)


def found(*names: str, package: str, path: str | None = None) -> str:
    """The first of these programs that is there."""
    for name in names:
        if program := shutil.which(name, path=path):
            return program
    message = f"{names[0]} is not on the PATH: install it (Debian: {package})"
    raise StackError(message, exit_code=3)


def answers(url: str) -> bool:
    """Whether a server says that all is well."""
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


# --- the parts ---------------------------------------------------------------------------------------------------------------
def start_kafka(stack: Stack) -> str:
    """One broker; returns its bootstrap address. The start script says it in one line when the broker is there."""
    command = [str(ROOT / "deploy/kafka/start.sh"), "--port", str(stack.ports["kafka"]), "--data", str(stack.data / "kafka")]
    stack.start("kafka", command, environ={"PYTHON": sys.executable})
    pipe = stack.running["kafka"].stdout
    address = f"{HOST}:{stack.ports['kafka']}"
    stack.expect("kafka", lambda: bool(select.select([pipe], [], [], 0)[0]), where=address)
    return address


def start_postgres(stack: Stack) -> Path:
    """A cluster with one account and one database; returns the file that holds the store's URL, password included."""
    folders = ":".join(map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))
    path = f"{os.environ.get('PATH', '')}:{folders}"
    initdb, postgres = (found(name, package="postgresql", path=path) for name in ("initdb", "postgres"))
    folder, url_file, port = stack.data / "postgres", stack.data / "store-url", stack.ports["postgres"]
    # PostgreSQL refuses root, which lends it to another account.
    user = "postgres" if os.geteuid() == 0 else None
    if not folder.exists():
        initialise(initdb, folder, url_file=url_file, user=user)
    password = url_file.read_text(encoding="utf-8").split(":")[2].partition("@")[0]
    url = f"postgresql://groundswell:{password}@{HOST}:{port}/postgres"
    write_secret(url_file, url)
    options = [f"listen_addresses={HOST}", f"port={port}", "unix_socket_directories=", "timezone=UTC"]
    stack.start("postgres", [postgres, "-D", str(folder), *(word for option in options for word in ("-c", option))], user=user)

    def ready() -> bool:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(url, connect_timeout=5):
            return True
        return False

    stack.expect("postgres", ready, where=f"{HOST}:{port}, GROUNDSWELL_STORE_URL_FILE={url_file}")
    return url_file


def initialise(initdb: str, folder: Path, *, url_file: Path, user: str | None) -> None:
    """Make a cluster whose only account is `groundswell`, with a password of its own."""
    password, given = secrets.token_hex(16), folder.with_name("password")
    folder.mkdir(mode=0o700)
    write_secret(given, password)
    if user:
        for place in (folder, given):
            shutil.chown(place, user)
    command = [initdb, "-D", str(folder), "--username=groundswell", "--auth=scram-sha-256", f"--pwfile={given}", "--encoding=UTF8"]
    done = subprocess.run([*command, "--locale=C"], user=user, cwd="/", capture_output=True, text=True, check=False)
    given.unlink()
    if done.returncode:
        shutil.rmtree(folder)
        message = f"initdb ended with code {done.returncode}: {done.stderr.strip()}; may the account that runs it enter {folder.parent}?"
        raise StackError(message)
    write_secret(url_file, f"postgresql://groundswell:{password}@{HOST}/postgres")


def write_secret(path: Path, text: str) -> None:
    """A file that its owner alone reads."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")


def start_groundswell(stack: Stack, *, bootstrap: str, url_file: Path) -> None:
    """Workers first: they make the topics and the run. Then the others, all at once."""
    common = {
        "GROUNDSWELL_KAFKA_BOOTSTRAP": bootstrap,
        "GROUNDSWELL_STORE_URL_FILE": str(url_file),
        "GROUNDSWELL_DATA_DIR": str(stack.data / "groundswell"),
        "GROUNDSWELL_BOARD_PORT": str(stack.ports["board"]),
        "GROUNDSWELL_BOARD_BASE_URL": f"http://{HOST}:{stack.ports['board']}",
        "PYTHONPATH": str(ROOT),
    }
    for name in ("worker", "desk", "crawl"):
        port = stack.ports[name]
        stack.start(name, [sys.executable, "-m", "groundswell", name], environ=common | {"GROUNDSWELL_METRICS_PORT": str(port)})
        metrics = f"http://{HOST}:{port}/metrics"
        stack.expect(name, partial(answers, metrics), where=metrics)
        if name == "worker":
            stack.wait()
    stack.start("board", [sys.executable, "-m", "groundswell", "board"], environ=common)
    board = common["GROUNDSWELL_BOARD_BASE_URL"]
    stack.expect("board", partial(answers, board), where=board)


def start_watchers(stack: Stack) -> None:
    """Alertmanager and Prometheus, with the files of deploy; the copies in the data folder are yours to change."""
    folder, manager = stack.data / "prometheus", f"{HOST}:{stack.ports['alertmanager']}"
    folder.mkdir(exist_ok=True)
    for name in ("recording.yml", "alerts.yml"):
        shutil.copyfile(ROOT / "deploy/prometheus" / name, folder / name)
    text = (ROOT / "deploy/prometheus/prometheus.yml").read_text(encoding="utf-8").replace("127.0.0.1:9093", manager)
    (folder / "prometheus.yml").write_text(text, encoding="utf-8")
    targets = stack.data / "groundswell" / "targets"
    targets.mkdir(parents=True, exist_ok=True)  # Prometheus hears at once of what comes into a folder that is there
    with contextlib.suppress(FileExistsError):
        (folder / "targets").symlink_to(targets)
    receivers = stack.data / "alertmanager.yml"
    if not receivers.exists():
        shutil.copyfile(ROOT / "deploy/alertmanager/alertmanager.yml", receivers)
    program = found("prometheus-alertmanager", "alertmanager", package="prometheus-alertmanager")
    options = [f"--config.file={receivers}", f"--storage.path={stack.data / 'alertmanager'}", f"--web.listen-address={manager}"]
    stack.start("alertmanager", [program, *options, "--cluster.listen-address="])
    stack.expect("alertmanager", partial(answers, f"http://{manager}/-/ready"), where=f"http://{manager}")
    place = f"{HOST}:{stack.ports['prometheus']}"
    options = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={place}"]
    stack.start("prometheus", [found("prometheus", package="prometheus"), *options, "--enable-feature=exemplar-storage"])
    stack.expect("prometheus", partial(answers, f"http://{place}/-/ready"), where=f"http://{place}")


# --- all of it ---------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def told_to_stop(stack: Stack) -> Iterator[None]:
    """SIGTERM and Ctrl-C are noted, and found by the next check: never between a start and its bookkeeping."""

    def note(*_: object) -> None:
        stack.stopping = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, note)
    with contextlib.suppress(KeyboardInterrupt):
        yield


def run(stack: Stack) -> None:
    """Start all parts, and watch them until one ends or somebody says stop."""
    (stack.data / "logs").mkdir(parents=True, exist_ok=True)
    with told_to_stop(stack):
        try:
            url_file, bootstrap = start_postgres(stack), start_kafka(stack)
            start_watchers(stack)
            stack.wait()
            start_groundswell(stack, bootstrap=bootstrap, url_file=url_file)
            stack.wait()
            say(f"{'logs':12}  {stack.data / 'logs'}\nready: Ctrl-C stops everything")
            while True:
                stack.check()
                time.sleep(0.2)
        finally:
            stack.stop()
            say("stopped")


def free_ports() -> dict[str, int]:
    """Ports that nobody listens on now, two neighbours for the worker."""
    with contextlib.ExitStack() as held:
        ports = {}
        for name in USUAL:
            while name not in ports:
                probe = held.enter_context(socket.socket())
                port = secrets.choice(ANY_PORT)
                with contextlib.suppress(OSError):
                    probe.bind((HOST, port))
                    if name == "worker":
                        held.enter_context(socket.socket()).bind((HOST, port + 1))
                    ports[name] = port
    return ports


def main(arguments: Sequence[str]) -> int:
    """Run, and turn every ending into an exit code."""
    parser = argparse.ArgumentParser(prog="start.py", description="Start everything on this machine without containers.")
    parser.add_argument("--data", type=Path, default=ROOT / "var" / "stack", metavar="DIR", help="data and logs (default var/stack)")
    parser.add_argument("--free-ports", action="store_true", help="take any free ports instead of the usual ones")
    options = parser.parse_args(arguments)
    try:
        run(Stack(options.data.resolve(), free_ports() if options.free_ports else USUAL))
    except StackError as error:
        sys.stderr.write(f"stack: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
