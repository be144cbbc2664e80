"""The page behind a mail's unsubscribe address, in a real browser: stopped and undone by its button, both languages, axe, a phone."""

from pathlib import Path

import pytest

from groundswell.names import LIVE_RUN
from groundswell.store.stops import stopped
from tests.browser.test_people import a_sitting, pytestmark, violations

__all__ = ["pytestmark"]


@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "en"), ("light", "zh"), ("dark", "zh")])
async def test_a_reader_stops_and_undoes_it_by_the_button_without_signing_in(tmp_path: Path, scheme: str, language: str) -> None:
    async with a_sitting(tmp_path, run=LIVE_RUN) as sitting:
        tab, office = sitting.tab, sitting.office
        await tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        await tab.ask("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        path = office.links.make_stop("mail:mei").removeprefix("http://127.0.0.1")
        await sitting.open(path)
        if language == "zh":
            await sitting.press("document.querySelector('[name=language]').click()")
            await sitting.open(path)
            assert await tab.value("document.documentElement.lang") == "zh-Hans"
        titles = [await tab.value("document.querySelector('h1').textContent")]
        found = await violations(tab)
        for what in ("stop", "resume"):
            office.clock.advance(1_000)
            await sitting.press(f"document.querySelector('[name=what][value={what}]').click()")
            titles.append(await tab.value("document.querySelector('h1').textContent"))
            found += await violations(tab)
            with office.store.read() as connection:
                assert ("mail:mei" in stopped(connection)) == (what == "stop")
        assert found == []
        assert titles[0] == titles[2] != titles[1]
        assert ("退订" if language == "zh" else "Unsubscribe") in await tab.value("document.title")
        assert await tab.value("document.documentElement.scrollWidth") <= 390
        assert tab.complaints == []
