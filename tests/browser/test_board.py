"""The board in a real browser: Chromium, driven over its own protocol. Without one these tests are skipped, with the reason.

What only a browser can tell: that the policy blocks nothing of ours, that nothing is asked of another host, that the
script swaps in what is new, that a phone has nothing to scroll sideways, and that a hostile headline runs nothing.
"""

import asyncio
import itertools
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dashboards.board.app import create_app
from dashboards.board.live import Live
from groundswell.local_log import LocalLog
from groundswell.names import HOUR_MS
from groundswell.store.store import Store
from tests.alerts.alert_factory import a_quote
from tests.dashboards.board.board_store import END_MS, HOSTILE, Served, an_opened_alert, close, fill, served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the package chromium")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0",
)  # fmt: skip
WITHIN_S = 180.0
PAGES = (
    "/inbox", "/", "/?span=24h", "/board/2", "/alerts", "/alerts/a1b2c3d4e5f60718", "/search?q=headline", "/search?q=(",
    "/series?key=entity:LinlanBank", "/watchlist", "/sources", "/nowhere",
)  # fmt: skip


class Tab:
    """One page of the browser: what it asked for and what it complained of."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._loaded = asyncio.Event()
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            said = message.json()
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._hear(said["method"], said.get("params", {}))

    def _hear(self, method: str, said: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Log.entryAdded":
            self.complaints.append(f"{said['entry']['source']}: {said['entry']['text']}")
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(said["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(str(said["args"]))
        elif method == "Page.loadEventFired":
            self._loaded.set()

    async def ask(self, method: str, **parameters: Any) -> Any:
        """One command of the protocol and its result."""
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        answer = await asyncio.wait_for(self._answers[number], WITHIN_S)
        assert "error" not in answer, answer
        return answer["result"]

    async def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded; what was heard before is forgotten."""
        self.expect_load()
        await self.ask("Page.navigate", url=url)
        await self.loaded()

    def expect_load(self) -> None:
        """Forget what was heard and loaded so far: what follows loads a page."""
        self._loaded.clear()
        self.requests.clear()
        self.complaints.clear()

    async def loaded(self) -> None:
        """Wait until a page has loaded."""
        await asyncio.wait_for(self._loaded.wait(), WITHIN_S)

    async def value(self, script: str) -> Any:
        """What an expression comes to; a promise is waited for."""
        answer = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def end(self) -> None:
        """Stop listening."""
        self._reader.cancel()


@asynccontextmanager
async def a_tab(folder: Path) -> AsyncIterator[Tab]:
    """A browser of its own with one page."""
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *FLAGS, f"--user-data-dir={folder}", "about:blank", stderr=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert process.stderr is not None
    try:
        address = await asyncio.wait_for(_address(process.stderr), WITHIN_S)
        heard = asyncio.create_task(process.stderr.read())  # a full pipe would stop the browser
        async with aiohttp.ClientSession() as client:
            async with client.put(f"{address}/json/new?about:blank") as answer:
                page = (await answer.json())["webSocketDebuggerUrl"]
            socket = await client.ws_connect(page, max_msg_size=0)
            tab = Tab(socket)
            for domain in ("Page", "Network", "Log", "Runtime"):
                await tab.ask(f"{domain}.enable")
            yield tab
            await tab.end()
            await socket.close()
        process.terminate()
        await asyncio.wait_for(heard, WITHIN_S)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _address(stream: asyncio.StreamReader) -> str:
    async for line in stream:
        found = re.search(r"DevTools listening on ws://([^/]+)/", line.decode(errors="replace"))
        if found:
            return f"http://{found[1]}"
    message = "chromium ended before it listened"
    raise AssertionError(message)


@asynccontextmanager
async def a_board(folder: Path, **options: Any) -> AsyncIterator[tuple[Served, Callable[[int], None]]]:
    """The board over the invented store with a hostile alert, and a way to let its known time pass."""
    hostile = a_quote(title=HOSTILE, quote=HOSTILE, source="<img src=x onerror=alert(3)>")
    store, log = Store(str(folder / "store.db")), LocalLog(folder / "store.log")
    fill(store, log, alerts=[an_opened_alert(title=HOSTILE, evidence=[hostile, a_quote()])])
    try:
        with served(create_app(store, run="r", log=log, now_ms=lambda: END_MS, **options)) as board:
            yield board, lambda until_ms: close(store, "r", until_ms=until_ms, next_offset=600)
    finally:
        log.close()
        store.close()


async def test_no_page_complains_or_asks_another_host_or_runs_what_a_stranger_wrote(tmp_path: Path) -> None:
    async with a_board(tmp_path) as (board, _), a_tab(tmp_path / "profile") as tab:
        for path in PAGES:
            await tab.open(f"{board.url}{path}")
            assert await tab.value("document.querySelector('h1').textContent.length") > 0
            expected = (
                ["network: Failed to load resource: the server responded with a status of 404 (Not Found)"] if path == "/nowhere" else []
            )
            assert tab.complaints == expected, path
            assert [url for url in tab.requests if not url.startswith((board.url, "data:"))] == []
            assert await tab.value("document.querySelectorAll('script').length") == 1
            assert await tab.value("getComputedStyle(document.body).margin") == "0px"  # the style sheet was let through


async def test_the_policy_stops_a_script_that_got_into_the_page(tmp_path: Path) -> None:
    async with a_board(tmp_path) as (board, _), a_tab(tmp_path / "profile") as tab:
        await tab.open(f"{board.url}/")
        await tab.value(
            "(() => { const s = document.createElement('script'); s.textContent = 'window.ran = 1'; document.body.append(s); })()"
        )
        assert await tab.value("window.ran === undefined")
        assert await tab.value("fetch('http://127.0.0.2:9/').then(() => 'sent', () => 'stopped')") == "stopped"
        assert any("Content Security Policy" in said for said in tab.complaints)


@pytest.mark.parametrize("path", ["/", "/alerts/a1b2c3d4e5f60718"])
async def test_an_open_page_takes_in_what_is_new_without_loading_again(tmp_path: Path, path: str) -> None:
    async with a_board(tmp_path) as (board, pass_time), a_tab(tmp_path / "profile") as tab:
        await tab.open(f"{board.url}{path}")
        await tab.value("window.kept = true")
        seen = (
            "new Promise((done) => { const look = () => document.getElementById('trust').textContent.includes('13:00:00') && done(true);"
            "new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true}); look(); })"
        )
        waiting = asyncio.create_task(tab.value(seen))
        pass_time(END_MS + HOUR_MS)
        assert await waiting
        assert await tab.value("window.kept === true")
        assert await tab.value("document.querySelectorAll('[data-live]').length") > 1


CHANGED = (
    "new Promise((done) => { const look = () => document.getElementById('trust').textContent.includes('13:00:00') && done(true);"
    "new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true}); look(); })"
)


async def test_an_open_page_asks_when_it_is_told_to_and_not_by_the_clock(tmp_path: Path) -> None:
    """The script's own clock is stopped before the page loads, so what changes it is the event."""
    async with a_board(tmp_path) as (board, pass_time), a_tab(tmp_path / "profile") as tab:
        await tab.ask("Page.addScriptToEvaluateOnNewDocument", source="window.setInterval = () => 0;")
        await tab.open(f"{board.url}/")
        waiting = asyncio.create_task(tab.value(CHANGED))
        pass_time(END_MS + HOUR_MS)
        assert await waiting
        assert f"{board.url}/live" in tab.requests


async def test_an_open_page_asks_by_the_clock_where_nobody_tells(tmp_path: Path) -> None:
    async with a_board(tmp_path, live=Live(listeners_max=0)) as (board, pass_time), a_tab(tmp_path / "profile") as tab:
        await tab.open(f"{board.url}/")
        waiting = asyncio.create_task(tab.value(CHANGED))
        pass_time(END_MS + HOUR_MS)
        assert await waiting


async def test_a_search_is_typed_and_its_words_are_marked(tmp_path: Path) -> None:
    async with a_board(tmp_path) as (board, _), a_tab(tmp_path / "profile") as tab:
        await tab.open(f"{board.url}/search")
        await tab.value("document.getElementById('q').value = 'invented NOT 7'")
        tab.expect_load()
        await tab.value("document.querySelector('form.search button').click()")
        await tab.loaded()
        assert await tab.value("document.querySelectorAll('mark').length") == 50
        assert await tab.value("document.querySelector('mark').textContent") == "Invented"
        assert await tab.value("document.querySelector('a[rel=next]').href.includes('after=')")
        assert tab.complaints == []


async def test_a_paused_page_asks_for_nothing(tmp_path: Path) -> None:
    async with a_board(tmp_path) as (board, _), a_tab(tmp_path / "profile") as tab:
        await tab.open(f"{board.url}/sources")
        await tab.value("document.querySelector('#pulse button').click()")
        assert await tab.value("document.getElementById('pulse').textContent") == "pausedresume"
        before = len(tab.requests)
        await tab.value("document.dispatchEvent(new Event('visibilitychange'))")
        assert len(tab.requests) == before
        await tab.value("document.querySelector('#pulse button').click()")
        await tab.value("fetch('/healthz').then((answer) => answer.status)")
        assert len(tab.requests) >= before + 2


async def test_a_phone_has_nothing_to_scroll_sideways(tmp_path: Path) -> None:
    async with a_board(tmp_path) as (board, _), a_tab(tmp_path / "profile") as tab:
        await tab.ask("Emulation.setDeviceMetricsOverride", width=375, height=800, deviceScaleFactor=2, mobile=True)
        for path in PAGES:
            await tab.open(f"{board.url}{path}")
            assert await tab.value("document.documentElement.scrollWidth") <= 375, path


async def test_the_dark_scheme_is_followed_and_text_keeps_its_contrast(tmp_path: Path) -> None:
    contrast = """(() => {
      const channel = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
      const light = (colour) => { const [r, g, b] = colour.match(/[0-9.]+/g).map(Number);
        return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); };
      const paper = light(getComputedStyle(document.documentElement).backgroundColor);
      return Math.min(...[...document.querySelectorAll('main *, .foot *, .top *')].filter((e) => !e.closest('svg, [aria-current], button'))
        .map((e) => light(getComputedStyle(e).color)).map((ink) => (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05)));
    })()"""
    async with a_board(tmp_path) as (board, _), a_tab(tmp_path / "profile") as tab:
        papers = set()
        for scheme in ("light", "dark"):
            await tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            for path in ("/", "/alerts/a1b2c3d4e5f60718", "/search?q=headline", "/sources"):
                await tab.open(f"{board.url}{path}")
                assert await tab.value(contrast) >= 4.5, (scheme, path)
            papers.add(await tab.value("getComputedStyle(document.documentElement).backgroundColor"))
        assert len(papers) == 2
