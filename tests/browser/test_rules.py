"""Rules in a real browser: changed, mistyped, rehearsed, saved; with a script and without one; axe on every page, light and dark."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from groundswell.names import LIVE_RUN
from groundswell.schedule import RULES
from groundswell.store.versions import read_schedule
from tests.browser.test_board import CHROMIUM, a_tab
from tests.browser.test_people import AXE_MISSING, Sitting, violations
from tests.dashboards.board.rules_store import OWN, a_rules_office

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the package chromium"),
    pytest.mark.skipif(find_spec("axe_core_python") is None, reason=AXE_MISSING),
]
WRITE: Final = "document.querySelector('textarea').value = document.querySelector('textarea').value.replace(/budget_per_day = \\d+/, '{}')"
SEND: Final = "document.querySelector('[action=\"/rules/rehearse\"] button').click()"


@asynccontextmanager
async def a_sitting(folder: Path) -> AsyncIterator[Sitting]:
    with a_rules_office(folder) as office:
        async with a_tab(folder / "profile") as tab:
            yield Sitting(office, tab)


async def rehearsed(sitting: Sitting) -> None:
    """Wait on the page of a rehearsal until its result is there: it loads itself again then."""
    sitting.tab.expect_load()
    while not await sitting.tab.value("document.readyState === 'complete' && !!document.getElementById('goes')"):
        await sitting.tab.loaded()
        sitting.tab.expect_load()


async def test_rules_are_mistyped_mended_rehearsed_and_saved(tmp_path: Path) -> None:
    async with a_sitting(tmp_path) as sitting:
        tab = sitting.tab
        await sitting.sign_in()
        await sitting.open("/rules")
        await sitting.press("document.querySelector('a.button.main').click()")
        await sitting.press(f"{WRITE.format('budget_per_dag = 1')}; {SEND}")
        assert "did you mean 'budget_per_day'?" in await tab.value("document.querySelector('[role=alert]').textContent")
        await sitting.press(
            "const at = document.querySelector('textarea'); at.value = at.value.replace('budget_per_dag', 'budget_per_day');"
            f"document.querySelector('select[name=days]').value = '365'; {SEND}"
        )
        assert (await tab.value("location.pathname")).startswith("/rules/rehearsals/")
        await rehearsed(sitting)
        assert await tab.value("document.querySelectorAll('[aria-labelledby=goes] a').length") > 0
        assert "budget_per_day = 1" in await tab.value("document.querySelector('.diff .plus').textContent")
        await sitting.press("document.querySelector('[action=\"/rules/save\"] button').click()")
        assert "rules saved" in await tab.value("document.querySelector('.done').textContent")
        assert tab.complaints == []
        with sitting.office.store.read() as connection:
            assert len(read_schedule(connection, LIVE_RUN).of(RULES)) == 2


@pytest.mark.parametrize(("scheme", "language", "width"), [("light", "en", 1280), ("dark", "zh", 1280), ("light", "zh", 390)])
async def test_axe_finds_nothing_serious_and_a_phone_has_nothing_to_scroll_sideways(
    tmp_path: Path, scheme: str, language: str, width: int
) -> None:
    async with a_sitting(tmp_path) as sitting:
        tab = sitting.tab
        await tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 400)
        await sitting.sign_in()
        if language == "zh":
            await sitting.press("document.querySelector('[name=language]').click()")
        await sitting.open("/rules/edit")
        await sitting.press(f"{WRITE.format('budget_per_day = 1')}; document.querySelector('select[name=days]').value = '365'; {SEND}")
        await rehearsed(sitting)
        place = await tab.value("location.pathname")
        for path in ("/rules", "/rules/edit", place, f"/rules/versions/{OWN.hash}"):
            await sitting.open(path)
            assert await tab.value("document.querySelector('h1').textContent.length") > 0
            assert tab.complaints == [], path
            assert await violations(tab) == [], path
            assert await tab.value("document.documentElement.scrollWidth") <= width, path
