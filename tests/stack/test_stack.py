"""`make stack`: everything as it is installed, without containers.

A surge enters at a feed and leaves wherever people look; workers that crash are told to operations through Prometheus and Alertmanager.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from alerts.rules import load_rules
from groundswell.store.store import Store
from ingest.catalogue import load_catalogue
from ingest.demo_archive import CATALOGUE
from tests.alerts.notify.peers import Relay, Slack, a_relay, a_slack
from tests.crash_loop import crash_loop
from tests.ingest.publisher import Publisher, answer, publishing, rss
from tests.peers import REPOSITORY, leftovers, running, temporary_folder
from tests.prometheus_peer import Prometheus, until

START = REPOSITORY / "deploy" / "stack" / "start.py"
SAID = {
    "North Wire": (
        "Veyra Bank files for bankruptcy", "Veyra Bank collapses as losses mount", "Depositors of Veyra Bank fear heavy losses",
    ),
    "East Post": ("Veyra Bank is insolvent, says its auditor", "Bankruptcy of Veyra Bank hits lenders", "Veyra Bank defaults on its bonds"),
    "South Daily": ("Court opens insolvency of Veyra Bank", "Veyra Bank shares crash after default", "Veyra Bank fails with huge losses"),
}  # fmt: skip
"""Source -> what it reports within a minute; each is an owner of its own."""

SAMPLES = {
    "sum(groundswell_alerts_total) >= 1": "the alert",
    'sum(groundswell_documents_watched_total{entity="VeyraBank", sentiment="negative"}) >= 5': "the documents that led to it",
    'groundswell_deliveries_total{process="desk", result="sent"} >= 2': "the mail and the Slack message",
    'count(up{process=~"score|fold|desk|crawl"} == 1) == 4': "every process",
}
"""Expression that gives something in the end -> what it stands for."""


def feeds(publisher: Publisher, folder: Path) -> Path:
    """A catalogue of these sources alone; those that ship are switched off, so that nobody outside is asked."""
    off = "".join(f'[[source]]\nname = "{s.name}"\nowner = "o"\nurl = "{s.url}"\nenabled = false\n' for s in load_catalogue())
    ours = ""
    for number, (name, titles) in enumerate(SAID.items()):
        publisher.play(f"/{number}", answer(200, rss(*titles), content_type="application/rss+xml"))
        ours += f'[[source]]\nname = "{name}"\nowner = "{name}"\nurl = "{publisher.url}/{number}"\nallow_private = true\n'
    (folder / "sources.toml").write_text(off + ours, encoding="utf-8")
    return folder / "sources.toml"


def eager_rules(folder: Path) -> Path:
    """The shipped rules for a run that has no past: nothing has to form, and what is unusual is judged by the floors alone."""
    shipped = (REPOSITORY / "alerts" / "rules.toml").read_text(encoding="utf-8")
    path = folder / "rules.toml"
    path.write_text(shipped.replace("forming_days = 14", "forming_days = 0"), encoding="utf-8")
    assert load_rules(path).surge.forming_days == load_rules(path).sighting.forming_days == 0
    return path


def quick_receivers(folder: Path, relay: Relay) -> None:
    """The shipped receivers, which `make stack` takes from its data folder where they lie there: with this relay, and no patience."""
    shipped = (REPOSITORY / "deploy" / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    for usual, ours in {"127.0.0.1:25": f"127.0.0.1:{relay.port}", "group_wait: 10s": "group_wait: 0s"}.items():
        assert usual in shipped
        shipped = shipped.replace(usual, ours)
    (folder / "data").mkdir()
    (folder / "data" / "alertmanager.yml").write_text(shipped, encoding="utf-8")


@contextmanager
def stack(folder: Path, **settings: str) -> Iterator[dict[str, str]]:
    """The parts and where they are; stopped by Ctrl-C."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GROUNDSWELL")}
    environ |= {f"GROUNDSWELL_{name}": value for name, value in settings.items()}
    command = [sys.executable, str(START), "--data", str(folder / "data"), "--free-ports"]
    log = folder / "stack.log"
    with running(command, stop=signal.SIGINT, cwd=folder, environ=environ, log=log) as process:
        yield places(process, log)
    assert process.returncode == 0, log.read_text(encoding="utf-8")


def places(process: subprocess.Popen[bytes], log: Path) -> dict[str, str]:
    assert process.stdout is not None
    found: dict[str, str] = {}
    for line in process.stdout:
        name, _, place = line.decode().strip().partition(" ")
        if name == "ready:":
            return found
        found[name] = place.strip()
    message = f"the stack has ended: {log.read_text(encoding='utf-8')}"
    raise AssertionError(message)


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.prometheus
@pytest.mark.alertmanager
async def test_a_surge_becomes_a_mail_a_slack_message_a_sample_and_a_row_on_the_board_and_a_crash_loop_a_mail_to_operations() -> None:
    with temporary_folder("stack") as folder:
        folder.chmod(0o755)  # PostgreSQL runs under another account
        async with publishing() as publisher, a_relay(Relay()) as relay, a_slack(Slack()) as slack:
            settings = {
                "CATALOGUE_EXTRA": str(feeds(publisher, folder)), "COMPANIES_EXTRA": str(CATALOGUE), "RULES_PATH": str(eager_rules(folder)),
                "MODELS_USE": "linear", "MAIL_HOST": "127.0.0.1", "MAIL_PORT": str(relay.port), "MAIL_SENDER": "desk@bank.example",
                "MAIL_RECIPIENTS": "analyst@bank.example", "SLACK_WEBHOOK_URL": slack.url, "METRICS_WATCH": "VeyraBank",
            }  # fmt: skip
            quick_receivers(folder, relay)
            await asyncio.to_thread(follow, folder, settings, relay, slack)
        assert leftovers(folder) == []


def subjects(relay: Relay, recipient: str, words: str) -> list[str]:
    """Of the mails that somebody got, with these words in them."""
    mails = zip(relay.envelopes, relay.mails, strict=False)  # a mail comes before its envelope
    return [mail["Subject"] for (_, recipients), mail in mails if recipient in recipients and words in mail["Subject"]]


def follow(folder: Path, settings: dict[str, str], relay: Relay, slack: Slack) -> None:
    with stack(folder, **settings) as where:
        assert set(where) == {"postgres", "kafka", "worker", "desk", "crawl", "board", "alertmanager", "prometheus", "logs"}
        with closing(Store((folder / "data" / "store-url").read_text(encoding="utf-8"))) as store:
            crash_loop(store, folder)  # of workers on another machine, say; what it leads to comes while the surge builds
        until(lambda: subjects(relay, "analyst@bank.example", "Veyra Bank"), within_s=400, says="a mail")
        until(lambda: [post for post in slack.posts if "Veyra Bank" in post["text"]], says="a Slack message")
        # The desk looks every 30 s, Prometheus every 15 s, and once more to judge; the rule itself waits for nothing.
        words = "[operations] firing: A supervisor has given its workers up."  # a slow machine may have more to tell of, beside it
        until(lambda: subjects(relay, "operations@example.com", words), says="a mail of the Alertmanager")

        server = Prometheus(where["prometheus"])
        for expr, says in SAMPLES.items():  # each process is asked every 15 s, by itself
            until(lambda expr=expr: server.query(expr), says=says)
        assert len(server.get("alertmanagers")["activeAlertmanagers"]) == 1

        with urllib.request.urlopen(f"{where['board']}/api/alerts.json", timeout=60) as answered:
            assert "Veyra Bank" in json.dumps(json.load(answered))
