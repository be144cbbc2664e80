"""The faults that are survived: what each does to a trial, how often in `make faults`, and how often in `make test`."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from groundswell import names
from stream.shells.kafka import GIVEN_UP_AFTER_S
from tests.faults.material import Twists
from tests.faults.trial import Trial
from tests.kafka_worker import Role

SILENT_S: Final = GIVEN_UP_AFTER_S + 3  # longer than a group waits for a silent member
OUTAGE_S: Final = 30.0


@dataclass(frozen=True)
class Fault:
    """One line of the table.

    Args:
        name: short, for the command line.
        what: what is done, for people.
        times: how often in the long list.
        short: how often in the tests; 0 leaves it out there.
        strike: does it once, feeds the workers, and waits until they have gone on.
        outage_s: how long it lasts, where that is not for the peers to say.
        short_outage_s: the same in the tests.
        proxied: the workers reach broker and database through proxies.
    """

    name: str
    what: str
    times: int
    short: int
    strike: Callable[[Trial, "Fault"], None]
    outage_s: float = 0.0
    short_outage_s: float = 0.0
    proxied: bool = False


@dataclass(frozen=True)
class Feed:
    """A line of the table about what is published, not about what is done to processes.

    Args:
        name: short, for the command line.
        what: what is done, for people.
        twists: what is done to the records.
    """

    name: str
    what: str
    twists: Twists


# --- processes --------------------------------------------------------------------------------------------------------------
def kill(trial: Trial, _: Fault) -> None:
    """SIGKILL the next kind of worker, any one of it, at any moment of its work."""
    role: Role = ("score", "fold", "desk")[trial.outcome.strikes % 3]
    number = 0 if role == "desk" else trial.rng.randrange(2)
    trial.feed()
    trial.pause(trial.rng.uniform(0.0, 0.6))
    trial.struck()
    hit = trial.owned(role, number)
    trial.run.kill(role, number)
    trial.feed()
    trial.recover(hit)


def suspend(trial: Trial, _: Fault) -> None:
    """SIGSTOP a worker until others have its partitions and have committed; then let it go on with what it held."""
    role: Role = ("fold", "score", "desk")[trial.outcome.strikes % 3]
    number = 0 if role == "desk" else trial.rng.randrange(2)
    trial.feed()
    trial.pause(trial.rng.uniform(0.0, 0.4))
    trial.struck()
    hit, zombie = trial.owned(role, number), trial.run.pid(role, number)
    os.kill(zombie, signal.SIGSTOP)
    try:
        if role == "desk":  # no group gives its row to another one
            trial.run.start("desk", 1)
        trial.feed()
        trial.recover(hit)
        trial.pause(SILENT_S - trial.outcome.seconds[-1])
        if role == "desk":
            assert trial.run.stop("desk", 1) == 0
    finally:
        os.kill(zombie, signal.SIGCONT)
    trial.feed()
    trial.catch_up()


def join_and_leave(trial: Trial, _: Fault) -> None:
    """Start one worker more while there is work, and stop it by SIGTERM while there is work."""
    role: Role = ("fold", "score")[trial.outcome.strikes % 2]
    trial.feed()
    trial.struck()
    trial.join(role, 2)
    trial.feed()
    code = trial.run.stop(role, 2)
    assert code == 0, f"a {role} worker ended with {code} after SIGTERM"
    trial.feed()
    trial.catch_up()


# --- brokers ----------------------------------------------------------------------------------------------------------------
def kill_broker(trial: Trial, _: Fault) -> None:
    """SIGKILL a broker that is not the controller; the others have to do for a while."""
    controller = trial.world.brokers.controller()
    others = [node.node_id for node in trial.world.brokers.nodes if node.node_id != controller]
    _kill_node(trial, trial.rng.choice(others))


def kill_controller(trial: Trial, _: Fault) -> None:
    """SIGKILL the node that is the controller."""
    _kill_node(trial, trial.world.brokers.controller())


def _kill_node(trial: Trial, node: int) -> None:
    trial.feed()
    trial.pause(trial.rng.uniform(0.0, 0.4))
    trial.struck()
    trial.world.brokers.kill(node)
    hit = trial.places()
    trial.feed()
    trial.recover(hit)
    trial.world.brokers.start(node)
    trial.feed()
    trial.catch_up()


def restart_brokers(trial: Trial, _: Fault) -> None:
    """SIGKILL all brokers at once and start them again."""
    every = [node.node_id for node in trial.world.brokers.nodes]
    trial.feed()
    trial.pause(trial.rng.uniform(0.0, 0.4))
    trial.struck()
    trial.world.brokers.kill(*every)
    hit = trial.places()
    trial.world.brokers.start(*every)
    trial.over()
    trial.feed()
    trial.recover(hit)


def move_leaders(trial: Trial, _: Fault) -> None:
    """Make another broker the leader of every partition while there is work."""
    run = trial.run.run
    trial.feed()
    trial.struck()
    hit = trial.places()
    moved = trial.world.brokers.move_leaders([names.raw_topic(run), names.contribution_topic(run)])
    assert moved == names.RAW_PARTITIONS + names.CONTRIBUTION_PARTITIONS
    trial.feed()
    trial.recover(hit)


# --- the database -----------------------------------------------------------------------------------------------------------
def end_database(number: signal.Signals) -> Callable[[Trial, Fault], None]:
    """Send the server a signal in the middle of the work, and start it again."""

    def strike(trial: Trial, _: Fault) -> None:
        trial.feed()
        trial.pause(trial.rng.uniform(0.0, 0.4))
        trial.struck()
        trial.world.postgres.restart(number)
        hit = trial.over()
        trial.feed()
        trial.recover(hit)

    return strike


def refuse_connections(trial: Trial, fault: Fault) -> None:
    """Cut every worker off from the database and let none in for a while."""
    trial.feed()
    trial.pause(trial.rng.uniform(0.0, 0.4))
    trial.struck()
    trial.world.database.become("refusing")
    try:
        trial.feed()
        trial.pause(fault.outage_s)
        hit = trial.over()
    finally:
        trial.world.database.become("open")
    trial.feed()
    trial.recover(hit)


# --- the network ------------------------------------------------------------------------------------------------------------
def cut_network(trial: Trial, fault: Fault) -> None:
    """Let nothing pass between workers and brokers for a while; no connection is closed."""
    trial.feed()
    trial.pause(trial.rng.uniform(0.0, 0.4))
    trial.struck()
    trial.world.brokers.network("cut")
    try:
        trial.feed()
        trial.pause(fault.outage_s)
        hit = trial.over()
    finally:
        trial.world.brokers.network("open")
    trial.feed()
    trial.recover(hit)


def lose_answers(trial: Trial, _: Fault) -> None:
    """Brokers take contributions, their answers are lost, and the score worker dies before it could send them, and time, again."""
    number = trial.rng.randrange(2)
    hit = trial.owned("score", number)
    trial.world.brokers.network("deaf")
    try:
        trial.feed()
        trial.struck()
        trial.pause(trial.rng.uniform(0.3, 1.5))
        trial.run.kill("score", number)
    finally:
        trial.world.brokers.network("open")
    trial.feed()
    trial.recover(hit)


STRIKES: Final = (
    Fault("kill", "SIGKILL of a score, fold or desk process, in turn, at a random moment", 60, 3, kill),
    Fault("suspend", f"SIGSTOP of a fold, score or desk process for {SILENT_S:.0f} s (a session is over after {GIVEN_UP_AFTER_S:.0f}), "
          "then SIGCONT: a zombie", 6, 1, suspend),
    Fault("join", "a worker more, then one less by SIGTERM", 10, 0, join_and_leave),
    Fault("broker", "SIGKILL of a broker that is not the controller; started again later", 2, 1, kill_broker),
    Fault("controller", "SIGKILL of the controller; started again later", 2, 0, kill_controller),
    Fault("all-brokers", "SIGKILL of all three brokers at once; started again", 1, 0, restart_brokers),
    Fault("leaders", "another leader for every partition", 3, 0, move_leaders),
    Fault("database-restart", "PostgreSQL restarted (fast shutdown)", 3, 0, end_database(signal.SIGINT)),
    Fault("database-crash", "PostgreSQL ended without a shutdown (SIGQUIT)", 3, 1, end_database(signal.SIGQUIT)),
    Fault("database-kill", "SIGKILL of the PostgreSQL server", 3, 0, end_database(signal.SIGKILL)),
    Fault("database-away", f"PostgreSQL refuses connections for {OUTAGE_S:.0f} s", 1, 1, refuse_connections, OUTAGE_S, 3.0, proxied=True),
    Fault("network", f"nothing passes between workers and brokers for {OUTAGE_S:.0f} s", 2, 1,
          cut_network, OUTAGE_S, SILENT_S, proxied=True),
    Fault("answers", "brokers' answers to contributions are lost, and the score worker dies before it sends the time behind them",
          5, 1, lose_answers, proxied=True),
)  # fmt: skip

FEEDS: Final = (
    Feed("duplicates", "one envelope in ten is delivered twice", Twists(duplicates=True)),
    Feed("clocks", "one crawler's clock an hour behind, one's a day ahead", Twists(clocks=True)),
    Feed("old-schema", "envelopes in the bytes of the first release, and one without a version", Twists(old=True)),
    Feed("poison", "the first messages of four partitions are no envelopes", Twists(poison=True)),
)

DISK: Final = Feed("disk", "the crawler's disk is full while the broker is away; both come back", Twists(readable=True))
