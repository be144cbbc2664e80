"""What `run` and `crawl` are made of when the catalogue has sources that are no feeds; how a command of several tasks ends."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from groundswell.cli.service import _crawler
from groundswell.errors import UsageError
from groundswell.logs import logger
from groundswell.metrics import Metrics
from groundswell.settings import load_settings
from ingest.catalogue import load_catalogue
from ingest.crawler import Crawler
from ingest.parsers import Parsers
from ingest.receiver import Receiver

ENTRIES = """
[[source]]
name = "pushed"
owner = "Vendor"
url = "webhook:vendor"
type = "webhook"
how = {secret_variable = "VENDOR_SECRET"}

[[source]]
name = "dropped"
owner = "Vendor"
url = "file:///var/drop"
type = "folder"
"""


def made(tmp_path: Path, entries: str) -> tuple[Any, Any]:
    extra = tmp_path / "extra.toml"
    extra.write_text(entries)
    settings = load_settings(environ={"GROUNDSWELL_CATALOGUE_EXTRA": str(extra), "GROUNDSWELL_DATA_DIR": str(tmp_path)})
    return _crawler(settings, sink=None, fetcher=None, parsers=Parsers(0), metrics=Metrics(CollectorRegistry()))


def test_what_pushes_is_listened_for_and_everything_else_is_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VENDOR_SECRET", "hunter2hunter2hunter2")
    crawler, receiver = made(tmp_path, ENTRIES)
    assert isinstance(crawler, Crawler)
    assert isinstance(receiver, Receiver)
    assert {source.name for source in crawler.due()} == {"dropped", *(source.name for source in load_catalogue())}
    logger("tests").warning("said", line="the key is hunter2hunter2hunter2")
    assert "hunter2" not in capfd.readouterr().err


def test_without_a_source_that_pushes_nobody_listens(tmp_path: Path) -> None:
    assert made(tmp_path, "")[1] is None


def test_a_secret_that_is_not_set_ends_the_start_with_its_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VENDOR_SECRET", raising=False)
    with pytest.raises(UsageError, match="source pushed: environment variable VENDOR_SECRET"):
        made(tmp_path, ENTRIES)


@pytest.mark.parametrize(("raised", "code"), [("DependencyError('the port is taken')", 3), ("ValueError('a fault of ours')", 1)])
def test_an_error_of_one_task_among_several_is_one_line_and_a_fault_is_shown_whole(raised: str, code: int) -> None:
    script = (
        "import groundswell.cli, groundswell.__main__ as front\n"
        "from groundswell.errors import DependencyError\n"
        f"def root(**_): raise ExceptionGroup('tasks', [ExceptionGroup('inner', [{raised}])])\n"
        "groundswell.cli.root = root\n"
        "front.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert (done.stderr == "groundswell: the port is taken\n") == (code == 3)
    assert ("a fault of ours" in done.stderr) == (code == 1)
