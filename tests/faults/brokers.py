"""A Kafka cluster whose nodes a test ends and starts again one by one, with a way in that leads through proxies."""

import contextlib
import importlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kafka import KafkaAdminClient, TopicPartition
from kafka.errors import KafkaError

from tests import peers
from tests.faults.proxy import HOST, Proxy, Way

sys.path.append(str(peers.KAFKA_START.parent))  # a script's folder, not a package
start: Any = importlib.import_module("start")

NODES: Final = 3
READY_WITHIN_S: Final = 300.0
POLL_S: Final = 0.1
OUTSIDE: Final = """listeners=PLAINTEXT://{host}:{broker},CONTROLLER://{host}:{controller},OUTSIDE://{host}:{outside}
advertised.listeners=PLAINTEXT://{host}:{broker},OUTSIDE://{host}:{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,OUTSIDE:PLAINTEXT
"""


@dataclass
class Brokers:
    """Nodes by their number; each is broker and controller."""

    nodes: list[Any]  # start.Node
    java: str
    lib: Path
    proxies: list[Proxy]
    processes: dict[int, subprocess.Popen[bytes]]

    @property
    def bootstrap(self) -> str:
        """Where the test itself connects, whatever is done to the workers' network."""
        return ",".join(f"{HOST}:{node.broker_port}" for node in self.nodes)

    @property
    def proxied(self) -> str:
        """The same brokers through the proxies, which is also what they tell clients of this way in."""
        return ",".join(f"{HOST}:{proxy.port}" for proxy in self.proxies)

    def network(self, way: Way) -> None:
        """Let the network between the proxied clients and every broker behave so."""
        for proxy in self.proxies:
            proxy.become(way)

    def kill(self, *numbers: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to some nodes and wait for their end."""
        for one in numbers:
            self.processes[one].send_signal(number)
        for one in numbers:
            self.processes[one].wait(start.STOP_WITHIN_S)

    def start(self, *numbers: int) -> None:
        """Start nodes that have ended, and wait until all nodes know each other again."""
        for node in self.nodes:
            if node.node_id in numbers:
                self.processes[node.node_id] = start.start_node(node, self.java, self.lib)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Return when every node answers and knows all the others; raises AssertionError after a while."""
        deadline = time.monotonic() + READY_WITHIN_S
        while any(start.known_brokers(node, None) != len(self.nodes) for node in self.nodes):
            late = {node.node_id: self.processes[node.node_id].poll() for node in self.nodes}
            assert time.monotonic() < deadline, f"the nodes do not answer; exit codes: {late}; {start.tail(self.nodes[0].log)}"
            time.sleep(POLL_S)

    def controller(self) -> int:
        """The node that leads the cluster's own log now."""
        found = [json.loads(path.read_text()) for node in self.nodes for path in node.folder.glob("log/__cluster_metadata-0/quorum-state")]
        latest = max(found, key=lambda state: int(state["leaderEpoch"]))
        return int(latest["leaderId"])

    def leaders(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """Who leads each partition of some topics."""
        with self._admin() as admin:
            return {
                TopicPartition(topic["name"], partition["partition_index"]): partition["leader_id"]
                for topic in admin.describe_topics(list(topics))
                for partition in topic["partitions"]
            }

    def move_leaders(self, topics: Sequence[str]) -> int:
        """Make the next node the leader of every partition; returns how many have moved when that is done."""
        before = self.leaders(topics)
        order = {partition: [(leader + step - 1) % NODES + 1 for step in (1, 2, 3)] for partition, leader in before.items()}
        with self._admin() as admin:
            admin.alter_partition_reassignments(order)
            partitions: dict[str, list[int]] = {}
            for partition in order:
                partitions.setdefault(partition.topic, []).append(partition.partition)
            deadline = time.monotonic() + READY_WITHIN_S
            while (after := self.leaders(topics)) != {partition: nodes[0] for partition, nodes in order.items()}:
                assert time.monotonic() < deadline, f"leaders are {after}, wanted are {order}"
                with contextlib.suppress(KafkaError):  # until the new order of the copies is known everywhere
                    admin.elect_leaders(0, partitions)
                time.sleep(POLL_S)
        return sum(before[partition] != leader for partition, leader in after.items())

    @contextlib.contextmanager
    def _admin(self) -> Iterator[Any]:
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap.split(","))
        try:
            yield admin
        finally:
            admin.close()


@contextlib.contextmanager
def broker_nodes() -> Iterator[Brokers]:
    """Three nodes on free loopback ports with empty storage, and a proxy in front of each; all gone at the end."""
    java, lib = start.find_java(), start.HERE / "lib"
    start.fetch_jars(lib)
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(peers.temporary_folder("brokers"))
        ports = start.choose_ports(0, 3 * NODES)
        nodes = [start.Node(n + 1, ports[n], ports[NODES + n], folder / f"node-{n + 1}") for n in range(NODES)]
        outside = ports[2 * NODES :]
        proxies = [stack.enter_context(Proxy(lambda port=port: port)) for port in outside]  # type: ignore[misc]
        start.format_storage(nodes, java, lib, secure=None)
        for node, port, proxy in zip(nodes, outside, proxies, strict=True):
            with node.properties.open("a") as file:  # the last line of a name counts
                where = {"broker": node.broker_port, "controller": node.controller_port, "outside": port, "proxy": proxy.port}
                file.write(OUTSIDE.format(host=HOST, **where))
        processes: dict[int, subprocess.Popen[bytes]] = {}
        stack.callback(lambda: start.stop_nodes(nodes, processes))
        brokers = Brokers(nodes, java, lib, proxies, processes)
        brokers.start(*(node.node_id for node in nodes))
        yield brokers
