"""What a newcomer waits for: seconds from `groundswell demo` to the first picture and to the first alert."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from bench.pipeline import Ratio
from bench.replays import ROOT

PICTURE_S, ALERT_S = 15, 60


def first_impressions(folder: Path) -> Ratio:
    """Start the demo as people do, ask its board for a page, and wait for the mail that it shows."""
    folder.mkdir(parents=True)
    command = [sys.executable, "-u", "-m", "groundswell", "demo", "--no-browser", "--port", "0", "--dir", str(folder / "demo")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment) as demo:
        try:
            picture = alert = 0.0
            for line in demo.stdout or ():
                found = re.match(r"Board:\s+(http\S+)", line)
                if found:
                    _wait_for_page(found.group(1))
                    picture = time.perf_counter() - began
                if line.startswith("MAIL that would be sent"):
                    alert = time.perf_counter() - began
                    break
        finally:
            demo.terminate()
    return Ratio(
        "seconds from the start of the demo to its first alert",
        f"the {ALERT_S} s that a newcomer is promised",
        alert / ALERT_S,
        "at most 1",
        f"first picture after {picture:.1f} s ({PICTURE_S} promised), first alert after {alert:.1f} s; one run",
    )


def _wait_for_page(url: str) -> None:
    deadline = time.monotonic() + ALERT_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as page:
                page.read()
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
