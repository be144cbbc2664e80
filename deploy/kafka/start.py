"""Start a KRaft cluster of one or more nodes on loopback and stop it cleanly; run it through `start.sh`.

The one line on standard output is the bootstrap address, printed once every node answers and knows all the others;
everything meant for people goes to standard error. SIGTERM, SIGINT and the death of this process all stop the nodes.
Needs the standard library, Java 17 or newer and, the first time only, Maven; with --secure also openssl.

Exit codes: 0 stopped on request, 1 a node failed, 2 impossible request, 3 a program that is needed is missing.
"""

import argparse
import contextlib
import ctypes
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from secure import OpensslError, Secure

HERE = Path(__file__).resolve().parent
DEFAULT_DATA = HERE.parents[1] / "var" / "kafka"
HOST = "127.0.0.1"
JAVA_MIN = 17
STOP_WITHIN_S = 20.0
ANY_PORT = range(20_000, 32_000)  # below those that Linux lends to outgoing connections: none of these takes one before a node does
PR_SET_PDEATHSIG = 1  # Linux, prctl(2)


class StartError(Exception):
    """What went wrong and what to do about it.

    Args:
        message: The place, the rule, the value received and the next step.
        exit_code: See the module's text.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class StopRequestedError(Exception):
    """SIGTERM or SIGINT arrived; raised only where a wait can be given up, so never between a start and its bookkeeping."""


class StopFlag:
    """What the signal handlers leave for the waits to find."""

    def __init__(self) -> None:
        self.requested = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._set)

    def _set(self, _number: int, _frame: object) -> None:
        self.requested = True

    def pause(self, seconds: float) -> None:
        """Sleep, then raise StopRequestedError if a signal has come."""
        time.sleep(seconds)
        if self.requested:
            raise StopRequestedError


@dataclass(frozen=True, slots=True)
class Node:
    """One process that is broker and controller; ids count from 1."""

    node_id: int
    broker_port: int
    controller_port: int
    folder: Path
    tls_port: int = 0  # with --secure: where nodes, and clients with a certificate, talk to it

    @property
    def properties(self) -> Path:
        """The file that Kafka reads its settings from."""
        return self.folder / "server.properties"

    @property
    def log(self) -> Path:
        """What the process printed."""
        return self.folder / "server.log"


def say(text: str) -> None:
    """One line for people."""
    sys.stderr.write(f"kafka: {text}\n")
    sys.stderr.flush()


# --- what has to be there ---------------------------------------------------------------------------------------------
def find_java() -> str:
    """The path of a Java of at least version 17: the one in JAVA_HOME, else the one on the PATH."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(str(Path(home, "bin", "java"))) if home else shutil.which("java")
    place = f"in JAVA_HOME={home}" if home else "on the PATH"
    if java is None:
        message = f"no java program {place}; Kafka needs Java {JAVA_MIN}: install a headless JRE (Debian: openjdk-17-jre-headless)"
        raise StartError(message, exit_code=3)
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(?:1\.)?(\d+)', told)
    if found is None or int(found[1]) < JAVA_MIN:
        first = told.strip().partition("\n")[0] or "nothing"
        message = f"{java} answers {first!r}, but Kafka needs Java {JAVA_MIN}: install one and point JAVA_HOME at it"
        raise StartError(message, exit_code=3)
    return java


def pom_digest() -> str:
    """What says which jars are wanted; the same text in lib/.complete says that they are there."""
    return hashlib.sha256((HERE / "pom.xml").read_bytes()).hexdigest()


def find_maven(lib: Path) -> str | None:
    """The path of Maven, or None if `lib` holds the jars of this very pom.xml, so that Maven is not needed."""
    stamp = lib / ".complete"
    if stamp.is_file() and stamp.read_text() == pom_digest():
        return None
    maven = shutil.which("mvn")
    if maven is None:
        message = f"no mvn program on the PATH, and {lib} does not hold the jars of pom.xml yet: install Maven (Debian: maven)"
        raise StartError(message, exit_code=3)
    return maven


def fetch_jars(lib: Path) -> None:
    """Let Maven copy the pinned jars into `lib`, unless they are there."""
    lib.mkdir(parents=True, exist_ok=True)
    with (lib / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two first starts at once: the second waits for the jars of the first
        maven = find_maven(lib)
        if maven is None:
            return
        say(f"fetching the jars into {lib} (once, about 45 MB)")
        (lib / ".complete").unlink(missing_ok=True)
        for old in lib.glob("*.jar"):
            old.unlink()
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={lib}"]
        command = [maven, "--batch-mode", "--quiet", "--strict-checksums", "--file", str(HERE / "pom.xml"), *goal]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            message = f"Maven ended with code {done.returncode}; check the network and ~/.m2/settings.xml, then start again:\n{done.stdout}"
            raise StartError(message)
        (lib / ".complete").write_text(pom_digest())


def choose_ports(first: int, count: int) -> list[int]:
    """`count` ports from `first` on, or any free ones if `first` is 0; raises StartError for one that is taken."""
    with contextlib.ExitStack() as held:  # all at once, so that free ports differ
        chosen = []
        while len(chosen) < count:
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            port = first + len(chosen) if first else secrets.choice(ANY_PORT)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                if not first:
                    continue
                message = (
                    f"port {port} on {HOST} cannot be used ({error.strerror}); ports {first} to {first + count - 1} are needed: "
                    "stop what listens there (another broker?) or choose others with --port"
                )
                raise StartError(message, exit_code=2) from error
            chosen.append(port)
        return chosen


# --- settings and storage ---------------------------------------------------------------------------------------------
def server_properties(node: Node, nodes: Sequence[Node], secure: Secure | None) -> str:
    """The settings of one node; everything else is Kafka's default."""
    copies = min(3, len(nodes))
    in_sync = max(1, copies - 1)
    voters = ",".join(f"{peer.node_id}@{HOST}:{peer.controller_port}" for peer in nodes)
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node.node_id,
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listeners": f"PLAINTEXT://{HOST}:{node.broker_port},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{node.broker_port}",
        "log.dirs": node.folder / "log",
        # A misspelt topic is an error here as in production, never a new topic with one partition.
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": in_sync,
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 4,
        # Kafka waits 3 s for more members before a new group gets anything; nobody else is coming here.
        "group.initial.rebalance.delay.ms": 0,
        # All nodes stop together: handing leaders over would wait for a quorum that is going away too.
        "controlled.shutdown.enable": "false",
    }
    if secure is not None:
        settings |= secure.properties(host=HOST, sasl_port=node.broker_port, tls_port=node.tls_port, controller_port=node.controller_port)
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def java_command(java: str, lib: Path, *, heap: str, arguments: Sequence[str]) -> list[str]:
    """The command line of one Java process.

    Its code is compiled quickly and not well: a broker for development lives for minutes, and compiling it well costs more than that gains.
    """
    tuning = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]
    logging = ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ"]
    return [java, f"-Xmx{heap}", "-Djava.awt.headless=true", *tuning, *logging, "-cp", f"{lib}/*", *arguments]


def format_storage(nodes: Sequence[Node], java: str, lib: Path, *, secure: Secure | None) -> None:
    """Write each node's settings, and prepare its storage if that has not been done in an earlier start."""
    identity = nodes[0].folder.parent / "cluster"
    if identity.is_file():
        count, cluster_id, *kind = identity.read_text().split()
        if (int(count), bool(kind)) != (len(nodes), secure is not None):
            folder, was = identity.parent, f"{count}{' --secure' if kind else ''}"
            message = f"{folder} holds a cluster that was made with --nodes {was}: start it so, use another --data, or delete it"
            raise StartError(message, exit_code=2)
    else:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode().replace("-", "_")  # a leading "-" reads as an option
    for node in nodes:
        node.folder.mkdir(parents=True, exist_ok=True)
        node.properties.touch(mode=0o600)  # with --secure it holds passwords
        node.properties.write_text(server_properties(node, nodes, secure))
        if (node.folder / "log" / "meta.properties").is_file():
            continue
        logins = secure.scram_arguments() if secure is not None else []
        tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(node.properties), *logins]
        command = java_command(java, lib, heap="128m", arguments=tool)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=node.folder)
        if done.returncode != 0:
            message = f"storage of node {node.node_id} in {node.folder} could not be prepared:\n{(done.stderr + done.stdout)[-2000:]}"
            raise StartError(message)
    identity.write_text(f"{len(nodes)} {cluster_id}{' secure' if secure is not None else ''}\n")


# --- the processes ----------------------------------------------------------------------------------------------------
def end_with_parent() -> None:
    """In a child, before it becomes Java: be told to stop when this supervisor dies, even by SIGKILL (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def start_node(node: Node, java: str, lib: Path) -> subprocess.Popen[bytes]:
    """Start one node; its output goes to its log, its process id into the file `pid` beside it."""
    command = java_command(java, lib, heap="512m", arguments=["kafka.Kafka", str(node.properties)])
    with node.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=node.folder,
            start_new_session=True,  # Ctrl-C in a terminal reaches this supervisor alone, which then stops every node once
            preexec_fn=end_with_parent,
        )
    (node.folder / "pid").write_text(f"{process.pid}\n")
    return process


def stop_nodes(nodes: Sequence[Node], processes: dict[int, subprocess.Popen[bytes]]) -> None:
    """Ask every node to stop, wait, and end by force what is left after 20 s."""
    for process in processes.values():
        process.terminate()
    deadline = time.monotonic() + STOP_WITHIN_S
    for node_id, process in processes.items():
        try:
            process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            say(f"node {node_id} did not stop within {STOP_WITHIN_S:.0f} s and is ended by force; its log is recovered at the next start")
            process.kill()
            process.wait()
    for node in nodes:
        (node.folder / "pid").unlink(missing_ok=True)


def known_brokers(node: Node, secure: Secure | None) -> int:
    """How many brokers a node knows, by a metadata request (version 1, no topics); 0 while it does not answer."""
    body = struct.pack(">hhih", 3, 1, 1, -1) + struct.pack(">i", 0)
    try:
        with contextlib.ExitStack() as opened:
            link = opened.enter_context(socket.create_connection((HOST, node.tls_port or node.broker_port), timeout=2.0))
            if secure is not None:
                link = opened.enter_context(secure.context().wrap_socket(link, server_hostname=HOST))
            answer = opened.enter_context(link.makefile("rb"))
            link.sendall(struct.pack(">i", len(body)) + body)
            size = struct.unpack(">i", answer.read(4))[0]
            reply = answer.read(size)
        return int(struct.unpack_from(">ii", reply)[1])
    except (OSError, struct.error):
        return 0


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, or of its errors if it has any."""
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    errors = [line for line in text if " ERROR " in line or "Exception" in line]
    return "\n".join((errors or text)[-lines:])


def wait_until_ready(
    nodes: Sequence[Node], processes: dict[int, subprocess.Popen[bytes]], *, secure: Secure | None, stop: StopFlag, within_s: float
) -> None:
    """Return when every node answers and knows all the others; raises StartError when one ends or time is up."""
    deadline = time.monotonic() + within_s
    waiting = list(nodes)
    while waiting:
        for node in nodes:
            code = processes[node.node_id].poll()
            if code is not None:
                message = f"node {node.node_id} ended with code {code} while starting; the end of {node.log}:\n{tail(node.log)}"
                raise StartError(message)
        waiting = [node for node in waiting if known_brokers(node, secure) != len(nodes)]
        if waiting and time.monotonic() > deadline:
            late = waiting[0]
            message = f"node {late.node_id} was not ready within {within_s:.0f} s (--within); the end of {late.log}:\n{tail(late.log)}"
            raise StartError(message)
        if waiting:
            stop.pause(0.1)


def watch(nodes: Sequence[Node], processes: dict[int, subprocess.Popen[bytes]], *, stop: StopFlag) -> None:
    """Wait as long as a node lives, and say so when one ends; raises StartError when none is left."""
    alive = {node.node_id: node for node in nodes}
    while alive:
        stop.pause(0.2)
        for node in list(alive.values()):
            code = processes[node.node_id].poll()
            if code is not None:
                del alive[node.node_id]
                say(f"node {node.node_id} ended with code {code}; {len(alive)} of {len(nodes)} go on; its log is {node.log}")
    message = f"no node is left; the end of {nodes[-1].log}:\n{tail(nodes[-1].log)}"
    raise StartError(message)


@contextlib.contextmanager
def data_folder(folder: Path) -> Iterator[Path]:
    """The folder, made if need be and locked against a second start."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{folder} is in use by a cluster that runs already: stop that one or choose another folder with --data"
            raise StartError(message, exit_code=2) from error
        yield folder


def run(options: argparse.Namespace, *, stop: StopFlag) -> None:
    """Start the nodes, print the bootstrap address, wait; the nodes are gone when this returns or raises."""
    began = time.monotonic()
    count, lib = options.nodes, HERE / "lib"
    java = find_java()
    find_maven(lib)
    if options.check:
        return
    with data_folder(options.data.resolve()) as data:
        secure = Secure(data / "secure") if options.secure else None
        ports = choose_ports(options.port, (3 if secure else 2) * count)
        places = [data / f"node-{i + 1}" for i in range(count)]
        nodes = [Node(i + 1, ports[i], ports[count + i], places[i], ports[2 * count + i] if secure else 0) for i in range(count)]
        fetch_jars(lib)
        if secure is not None:
            secure.prepare()
        format_storage(nodes, java, lib, secure=secure)
        processes: dict[int, subprocess.Popen[bytes]] = {}
        try:
            for node in nodes:
                stop.pause(0)
                processes[node.node_id] = start_node(node, java, lib)
            wait_until_ready(nodes, processes, secure=secure, stop=stop, within_s=options.within)
            say(f"{count} node(s) ready after {time.monotonic() - began:.1f} s, data and logs in {data}; Ctrl-C or SIGTERM stops")
            bootstrap, tls = (
                ",".join(f"{HOST}:{port}" for port in every) for every in zip(*[(n.broker_port, n.tls_port) for n in nodes], strict=True)
            )
            if secure is not None:
                secure.write_settings(sasl=bootstrap, tls=tls)
                say(f"settings of each user are in {secure.folder}: GROUNDSWELL_CONFIG={secure.folder / 'admin.toml'}")
            sys.stdout.write(bootstrap + "\n")
            sys.stdout.flush()
            watch(nodes, processes, stop=stop)
        finally:
            stop_nodes(nodes, processes)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line; ends the process with code 2 on a mistake."""
    parser = argparse.ArgumentParser(prog="start.sh", description="Start Kafka (KRaft) on loopback for development and tests.")
    parser.add_argument("--nodes", type=int, default=1, metavar="N", help="how many nodes, 1 to 9; each takes 512 MB of heap (default 1)")
    ports = "first port: brokers take N from here, their controllers the next N; 0 takes any free ones (default 9092)"
    parser.add_argument("--port", type=int, default=9092, metavar="PORT", help=ports)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, metavar="DIR", help="data, settings and logs (default var/kafka)")
    parser.add_argument("--within", type=float, default=60.0, metavar="SECONDS", help="give up when not ready by then (default 60)")
    secured = "encrypted, with logins and rights; settings for each user in DIR/secure"
    parser.add_argument("--secure", action="store_true", help=secured)
    parser.add_argument("--check", action="store_true", help="start nothing; only tell whether Java and Maven are there (exit code 0 or 3)")
    options = parser.parse_args(arguments)
    if not 1 <= options.nodes <= 9:
        parser.error(f"--nodes must be from 1 to 9, got {options.nodes}")
    highest = 65536 - (3 if options.secure else 2) * options.nodes
    if options.port != 0 and not 1024 <= options.port <= highest:
        parser.error(f"--port must be 0 or from 1024 to {highest}, got {options.port}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run and turn every ending into an exit code."""
    options = parse(arguments)
    stop = StopFlag()
    try:
        run(options, stop=stop)
    except OpensslError as error:
        say(str(error))
        return 3
    except (StopRequestedError, StartError) as error:
        if stop.requested:  # Ctrl-C also ends a Maven that is fetching: that is no failure
            say("stopped")
            return 0
        say(str(error))
        return error.exit_code if isinstance(error, StartError) else 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
