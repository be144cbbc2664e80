"""Take the pictures of the documentation from the demo: `python -m docs.pictures` (`make pictures`).

Needs Chromium, and a font with Chinese characters. The demo is played anew, so the pictures are what this release shows; only the age of
an incident counts from today.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.error import URLError

from groundswell.errors import DependencyError

ROOT: Final = Path(__file__).resolve().parent.parent
IMAGES: Final = ROOT / "docs" / "images"
WIDTH: Final = 1280
PLAY_S, LOOK_S = 600.0, 60.0
PAGES: Final = {
    "board": ("/", 900),
    "inbox": ("/inbox?state=all", 300),
    "dossier": ("/alerts/{alert}", 1_100),
    "search": ("/search?q=company%3ALinlanBank+%28%22bank+run%22+OR+default%29", 640),
}
"""{name of the picture: (page, height)}; {alert}: the newest surge."""


def take(url: str, path: Path, *, height: int, program: str) -> None:
    """A picture of what a page shows at its top.

    Args:
        url: of the page.
        path: the PNG.
        height: of the picture, in pixels.
        program: Chromium.

    Raises:
        DependencyError: the browser made none.
    """
    with tempfile.TemporaryDirectory() as profile:
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", f"--user-data-dir={profile}")
        command = [program, *flags, f"--window-size={WIDTH},{height}", f"--screenshot={path}", url]
        path.unlink(missing_ok=True)
        done = subprocess.run(command, capture_output=True, text=True, timeout=LOOK_S, check=False)
    if not path.exists():
        reason = f"{program}: made no picture of {url}: {done.stderr.strip()[-300:] or done.returncode}; try another version of it"
        raise DependencyError(reason)


def chromium() -> str:
    """The browser.

    Raises:
        DependencyError: there is none.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        reason = "pictures: no Chromium on this machine; install the package chromium"
        raise DependencyError(reason)
    return found


@contextmanager
def demo_board() -> Iterator[str]:
    """The address of a board over the demo, played to its end."""
    command = [sys.executable, "-m", "groundswell"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*command, "demo", "--once", "--dir", folder], cwd=folder, check=True, timeout=PLAY_S, stdout=subprocess.DEVNULL)
        store = f"{folder}/demo.db"
        board = [*command, "board", "--store", store, "--run", "demo", "--port", "0"]
        with subprocess.Popen(board, cwd=folder, stdout=subprocess.PIPE, text=True) as serving:
            try:
                assert serving.stdout is not None
                yield _answering(serving.stdout.readline().split()[1])
            finally:
                serving.terminate()


def _answering(url: str) -> str:
    """The address, as soon as somebody answers there: the board says it before it listens."""
    until_s = time.monotonic() + LOOK_S
    while True:
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=LOOK_S).close()
        except URLError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.1)
        else:
            return url


def main() -> None:
    """Take them all."""
    program = chromium()
    with demo_board() as url:
        with urllib.request.urlopen(f"{url}/api/alerts.json", timeout=LOOK_S) as answer:
            alert = next(alert["id"] for alert in json.load(answer)["alerts"] if alert["kind"] == "surge")
        for name, (page, height) in PAGES.items():
            take(url + page.format(alert=alert), IMAGES / f"{name}.png", height=height, program=program)


if __name__ == "__main__":
    main()
