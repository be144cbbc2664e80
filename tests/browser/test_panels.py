"""The board's panels full of rows, in a real browser: axe, both schemes, a phone, and a company that is selected without a script."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from dashboards.board.app import create_app
from dashboards.board.door import LANGUAGE_COOKIE
from groundswell.store.store import Store
from tests.browser.test_board import CHROMIUM, a_tab
from tests.browser.test_people import AXE_MISSING, violations
from tests.dashboards.board.board_store import served
from tests.groundswell.store.panels.panel_store import END_MS, RUN, fill, sector

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the package chromium"),
    pytest.mark.skipif(find_spec("axe_core_python") is None, reason=AXE_MISSING),
]
PATHS = ("/?company=SVB", "/board/2?company=SVB", "/?as_of=2026-03-10T10:00Z", "/why-not?series=entity:SVB&at=2026-03-10T11:00Z")
FOLDED = """[...document.querySelectorAll('.scroll:has(.folding)')].filter((one) => one.scrollWidth > one.clientWidth + 1)
  .map((one) => one.getAttribute('aria-labelledby') ?? one.getAttribute('aria-label'))"""
BROKEN_WORDS = r"""(() => {
  const lines = (cell) => { const all = document.createRange(); all.selectNodeContents(cell);
    return new Set([...all.getClientRects()].map((box) => Math.round(box.top))).size; };
  const cells = [...document.querySelectorAll('.list th, .list td')].filter((cell) => !cell.querySelector('.sr'));
  const words = cells.filter((cell) => /^\s*[\u4e00-\u9fff]{2,6}\s*$/.test(cell.textContent));
  return [words.length > 10, words.filter((cell) => lines(cell) > 1).map((cell) => cell.textContent)];
})()"""


async def test_axe_finds_nothing_a_phone_scrolls_nothing_and_a_company_is_selected_without_a_script(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s.db"))
    fill(store, exposures=[700_000, 200_000])
    app = create_app(store, run=RUN, log=None, now_ms=lambda: END_MS, sector=sector, why_not=lambda *_: ["  STOPS  stories"])
    with served(app) as board:
        async with a_tab(tmp_path / "profile") as tab:
            for scheme in ("light", "dark"):
                await tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                for path in PATHS:
                    await tab.open(f"{board.url}{path}")
                    assert tab.complaints == [], path
                    assert await violations(tab) == [], (scheme, path)
            await tab.ask("Emulation.setDeviceMetricsOverride", width=375, height=800, deviceScaleFactor=2, mobile=True)
            for path in PATHS:
                await tab.open(f"{board.url}{path}")
                assert await tab.value("document.documentElement.scrollWidth") <= 375, path
            for path in (*PATHS, "/alerts", "/sources"):
                await tab.open(f"{board.url}{path}")
                assert await tab.value(FOLDED) == [], f"{path}: what is wide stands under its row's name"
            await tab.ask("Network.setCookie", name=LANGUAGE_COOKIE, value="zh", url=board.url)
            for path in PATHS[:2]:
                await tab.open(f"{board.url}{path}")
                assert await tab.value("document.documentElement.lang") == "zh-Hans"
                assert await tab.value(BROKEN_WORDS) == [True, []], "words of a narrow column stay whole"
            await tab.ask("Network.deleteCookies", name=LANGUAGE_COOKIE, url=board.url)
            await tab.ask("Emulation.setScriptExecutionDisabled", value=True)
            await tab.open(f"{board.url}/")
            assert await tab.value("document.querySelector('.choose b').textContent") == "Acme"
            tab.expect_load()
            await tab.value("document.querySelector('#echo [name=company]').value = 'SVB'")
            await tab.value("document.querySelector('#echo .choose button').click()")
            await tab.loaded()
            assert await tab.value("document.querySelector('.choose b').textContent") == "SVB"
            assert await tab.value("location.hash") == "#echo"
    store.close()
