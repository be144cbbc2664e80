"""Quix Streams and Bytewax, each in processes of their own, over a raw topic that this project has read too.

They are no dependencies: a virtual environment is made for them while the benchmark runs. What each pipeline does and promises
stands at the top of its script in bench/rivals/.
"""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

from tests.peers import free_port, plain_url

PACKAGES: Final = ("quixstreams==3.28.1", "bytewax[kafka]==0.21.1", "msgspec==0.22.0", "psycopg2-binary==2.9.13")
SCRIPTS: Final = Path(__file__).resolve().parent / "rivals"
PROCESSES: Final = 2
WITHIN_S: Final = 400.0
POLL_S: Final = 0.1
TABLES: Final = """
CREATE TABLE windows (series text, start bigint, documents bigint, negative bigint, PRIMARY KEY (series, start));
CREATE TABLE facts (document_id text PRIMARY KEY, source text, title text, text text, known_ms bigint, published_ms bigint,
                    topic bigint, negative_ppm bigint);
"""


@dataclass(frozen=True)
class Rival:
    """One of them.

    Args:
        name: as its makers call it.
        promise: what it says of a crash, in a few words.
    """

    name: str
    promise: str


QUIX = Rival("Quix Streams 3.28.1", "at least once: after a crash counts may be doubled")
BYTEWAX = Rival("Bytewax 0.21.1", "state and offsets from its last snapshot; outputs since then come again")


def install(folder: Path, *, packages: Sequence[str] = PACKAGES) -> str | None:
    """Make an environment; returns why it could not be made, None where it is there."""
    python = folder / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"{' '.join(command[2:5])} ended with {done.returncode}: {' '.join(done.stderr.split())[-200:]}"
    return None


def seconds(rival: Rival, environment: Path, folder: Path, *, bootstrap: str, topic: str, database: str, counts: int, facts: int) -> float:
    """Seconds from the first message that was read to the last row that was wanted.

    Args:
        rival: which.
        environment: where it is installed.
        folder: for its state and what it says.
        bootstrap: Kafka.
        topic: the raw topic, complete.
        database: an empty PostgreSQL database, as SQLAlchemy spells it.
        counts: contributions that the windows must add up to.
        facts: rows of documents with their scores that must be there too; 0: it does not store them.

    Raises:
        RuntimeError: a process has ended before, or time is up.
    """
    folder.mkdir(parents=True)
    url = plain_url(database)
    given = {
        "RIVAL_BROKER": bootstrap, "RIVAL_TOPIC": topic, "RIVAL_GROUP": folder.name, "RIVAL_DATABASE": url,
        "RIVAL_FOLDER": str(folder), "RIVAL_FACTS": "yes" if facts else "no",
    }  # fmt: skip
    with psycopg.connect(url, autocommit=True) as link, ExitStack() as stack:
        link.execute(TABLES)
        processes = []
        for number, command in enumerate(_commands(rival, environment / "bin" / "python", folder)):
            said = stack.enter_context((folder / f"said-{number}.log").open("wb"))
            own = {**os.environ, **given, "RIVAL_FOLDER": str(folder / str(number))}
            (folder / str(number)).mkdir()
            processes.append(subprocess.Popen(command, cwd=SCRIPTS, env=own, stdout=said, stderr=said))
            stack.callback(_end, processes[-1])
        deadline = time.monotonic() + WITHIN_S
        while not _is_done(link, counts=counts, facts=facts):
            failed = [p.returncode for p in processes if p.poll() not in (None, 0)]
            if failed or time.monotonic() > deadline:
                words = "\n".join(path.read_text(encoding="utf-8", errors="replace")[-1_500:] for path in folder.glob("said-*.log"))
                message = f"{rival.name}: {f'ended with {failed}' if failed else f'not done within {WITHIN_S:.0f} s'}; it said:\n{words}"
                raise RuntimeError(message)
            time.sleep(POLL_S)
        ended_s = time.time()
    return ended_s - min(float(path.read_text()) for path in folder.glob("*/began-*"))


def _commands(rival: Rival, python: Path, folder: Path) -> list[list[str]]:
    if rival is QUIX:
        return [[str(python), "quix.py"]] * PROCESSES
    recovery = folder / "recovery"
    recovery.mkdir()
    subprocess.run([str(python), "-m", "bytewax.recovery", str(recovery), str(PROCESSES)], check=True, capture_output=True)
    addresses = ";".join(f"127.0.0.1:{free_port()}" for _ in range(PROCESSES))
    flow = [str(python), "-m", "bytewax.run", "bytewax_flow:flow", "-r", str(recovery), "-s", "10", "-b", "0", "-a", addresses]
    return [[*flow, "-i", str(number)] for number in range(PROCESSES)]


def _is_done(link: "psycopg.Connection[tuple[int, ...]]", *, counts: int, facts: int) -> bool:
    row = link.execute("SELECT coalesce(sum(documents), 0), (SELECT count(*) FROM facts) FROM windows").fetchone()
    return row is not None and (row[0], row[1]) == (counts, facts)


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
