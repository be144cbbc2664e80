"""The board with people, in a real browser: signing in, forms, keys, both languages, a phone, and axe on every page, light and dark."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from groundswell.names import LIVE_RUN
from groundswell.store.actions import actions_of, verdicts_of
from groundswell.store.watches import newest_watches
from groundswell.watches import NOTHING
from tests.alerts.alert_factory import a_quote
from tests.browser.test_board import CHROMIUM, Tab, a_tab
from tests.dashboards.board.board_store import EN, END_MS, HOSTILE, an_opened_alert
from tests.dashboards.board.people_store import PASSWORD, Office, an_office

AXE_MISSING: Final = "axe is not installed: axe-core-python is among the development packages"
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine: install the package chromium"),
    pytest.mark.skipif(find_spec("axe_core_python") is None, reason=AXE_MISSING),
]
ALERT: Final = an_opened_alert(
    title=HOSTILE, evidence=[a_quote(document_id=f"{433:016x}", title=HOSTILE, quote="x" * 5_000), a_quote(title="临澜银行\u200b网点")]
)
OTHER: Final = an_opened_alert(
    id="b1b2c3d4e5f60718",
    incident="b0b0b0b0b0b0b0b0",
    series=EN,
    all_series=[EN],
    severity="medium",
    opened_ms=END_MS - 3_600_000,
    evidence=[],
)
PAGES: Final = (
    "/inbox?state=all", "/", "/alerts", f"/alerts/{ALERT.id}", "/search?q=headline", "/series?key=entity:LinlanBank", "/watchlist",
    "/sources", "/me", "/nowhere",
)  # fmt: skip
SIGNED_OUT: Final = ("/login", "LINK")


@dataclass(frozen=True)
class Sitting:
    """A browser in front of a board with people."""

    office: Office
    tab: Tab

    async def open(self, path: str) -> None:
        place = self.office.links.make("mei@bank.example", ALERT.id, "verdict") if path == "LINK" else path
        await self.tab.open(self.office.board.url + place.removeprefix("http://127.0.0.1"))

    async def press(self, script: str) -> None:
        """Do what sends a form or follows a link, and wait for the page that comes of it."""
        self.tab.expect_load()
        await self.tab.value(script)
        await self.tab.loaded()

    async def sign_in(self, name: str = "mei") -> None:
        await self.open("/login")
        await self.press(
            f"document.querySelector('[name=name]').value = {name!r}; document.querySelector('[name=password]').value = {PASSWORD!r};"
            "document.querySelector('.login button').click()"
        )
        assert await self.tab.value("location.pathname") == "/inbox"


@asynccontextmanager
async def a_sitting(folder: Path, *, run: str = "r") -> AsyncIterator[Sitting]:
    with an_office(folder, run=run, alerts=[ALERT, OTHER]) as office:
        async with a_tab(folder / "profile") as tab:
            yield Sitting(office, tab)


def axe() -> str:
    spec = find_spec("axe_core_python")
    assert spec is not None
    assert spec.submodule_search_locations
    return (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text(encoding="utf-8")


async def violations(tab: Tab) -> list[dict[str, Any]]:
    """What axe finds on the open page, serious or worse: rule, and the first places."""
    await tab.ask("Page.setBypassCSP", enabled=True)
    await tab.value(f"{axe()}; true")
    found = await tab.value("axe.run(document).then((r) => JSON.stringify(r.violations.concat({passed: r.passes.length})))")
    await tab.ask("Page.setBypassCSP", enabled=False)
    *told, said = msgspec.json.decode(found)
    assert said["passed"] > 15, "axe looked at next to nothing"
    return [
        {"rule": one["id"], "at": [(node["html"][:160], node.get("failureSummary", "")[:300]) for node in one["nodes"][:3]]}
        for one in told
        if one["impact"] in ("serious", "critical")
    ]


def looks() -> Iterator[tuple[str, str]]:
    for scheme in ("light", "dark"):
        for language in ("en", "zh"):
            if scheme == "light" or language == "en":
                yield scheme, language


@pytest.mark.parametrize(("scheme", "language"), list(looks()))
async def test_axe_finds_nothing_serious_and_the_console_is_silent_on_any_page(tmp_path: Path, scheme: str, language: str) -> None:
    async with a_sitting(tmp_path, run=LIVE_RUN) as sitting:
        tab = sitting.tab
        await tab.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        found: dict[str, list[dict[str, Any]]] = {}
        for path in (*SIGNED_OUT, *PAGES):
            if path == PAGES[0]:
                await sitting.sign_in()
                if language == "zh":
                    await sitting.press("document.querySelector('[name=language]').click()")
                    assert await tab.value("document.documentElement.lang") == "zh-Hans"
            await sitting.open(path)
            assert await tab.value("document.querySelector('h1').textContent.length") > 0
            missing = ["network: Failed to load resource: the server responded with a status of 404 (Not Found)"]
            assert tab.complaints == (missing if path == "/nowhere" else []), path
            assert [url for url in tab.requests if not url.startswith((sitting.office.board.url, "data:"))] == []
            if path == f"/alerts/{ALERT.id}":
                await tab.value("document.querySelectorAll('details').forEach((one) => { one.open = true })")
            found[path] = await violations(tab)
        assert {path: rules for path, rules in found.items() if rules} == {}


async def test_everything_is_done_by_forms_without_a_script_and_the_page_says_that_it_took(tmp_path: Path) -> None:
    async with a_sitting(tmp_path) as sitting:
        tab, office = sitting.tab, sitting.office
        await sitting.sign_in()
        await tab.ask("Emulation.setScriptExecutionDisabled", value=True)
        await sitting.open(f"/alerts/{ALERT.id}")
        assert await tab.value("document.getElementById('pulse').textContent") == "", "the script did not run"
        await sitting.press("document.querySelector('#act ~ .acts [value=acknowledge]').click()")
        assert "Recorded for mei" in await tab.value("document.querySelector('.done').textContent")
        assert await tab.value("document.querySelector('.standing .state').textContent") == "acknowledged"
        await sitting.press("document.querySelector('[name=word][value=old_news]').click()")
        await sitting.press("document.querySelector('.act [value=snooze]').form.querySelector('button').click()")
        assert "snoozed until 2026-03-10 13:00 UTC" in await tab.value("document.querySelector('.standing').textContent")
        await sitting.open(f"/alerts?series=entity:LinlanBank&at={'2026-03-10T06:00Z'}")
        await sitting.press("document.querySelector('[action=\"/missed\"] button').click()")
        assert "entity:LinlanBank" in await tab.value("document.querySelector('.done').textContent")
        await sitting.press("document.querySelector('[action=\"/logout\"] button').click()")
        assert await tab.value("location.pathname") == "/login"
        with office.store.read() as connection:
            assert {action.what for action in actions_of(connection, "r")} == {"acknowledge", "snooze"}
            assert [(said.word, said.who) for said in verdicts_of(connection, "r")] == [("old_news", "mei")]


async def test_a_search_is_saved_where_it_was_made_a_table_is_pasted_and_both_are_removed_by_a_button(tmp_path: Path) -> None:
    async with a_sitting(tmp_path, run=LIVE_RUN) as sitting:
        tab, office = sitting.tab, sitting.office
        await sitting.sign_in()
        await sitting.open("/search?q=headline")
        await sitting.press("document.querySelector('[href^=\"/watchlist/try\"]').click()")
        await sitting.press(
            "document.querySelector('[action=\"/watchlist/save\"] [name=name]').value = 'queues';"
            "document.querySelector('[action=\"/watchlist/save\"] button').click()"
        )
        assert await tab.value("document.querySelector('.done').textContent.includes('search saved')")
        office.clock.advance(1_000)
        await sitting.press(
            "document.querySelector('[name=table]').value = 'company,weight,owner\\nLinlanBank,0.08,Moss\\nHarbourTrust,many,';"
            "document.querySelector('[action=\"/watchlist/companies\"] button').click()"
        )
        assert await tab.value("document.querySelectorAll('[name=seen]').length") == 1
        await sitting.press("document.querySelector('[action=\"/watchlist/companies\"] button').click()")
        assert "line 3: weight 'many'" in await tab.value("document.querySelector('main ul.doubt').textContent")
        assert await tab.value("[...document.querySelectorAll('[form=end]')].map((one) => one.value).join()") == "queues,LinlanBank"
        for _ in range(2):
            office.clock.advance(1_000)
            await sitting.press("document.querySelector('[form=end]').click()")
        with office.store.read() as connection:
            watches, versions = newest_watches(connection, LIVE_RUN)
        assert (watches, len(versions)) == (NOTHING, 4)
        assert tab.complaints == []


async def test_keys_go_down_and_up_the_inbox_and_leave_what_is_typed_alone(tmp_path: Path) -> None:
    async with a_sitting(tmp_path) as sitting:
        tab = sitting.tab
        await sitting.sign_in()
        seen = []
        for key in "jjjkx":
            await tab.ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=key)
            await tab.ask("Input.dispatchKeyEvent", type="keyUp", key=key)
            seen.append(await tab.value("document.activeElement.getAttribute('href')"))
        first, second = f"/alerts/{ALERT.id}", f"/alerts/{OTHER.id}"
        assert seen in ([first, second, second, first, first], [second, first, first, second, second])
        tab.expect_load()
        await tab.ask("Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r", code="Enter", windowsVirtualKeyCode=13)
        await tab.loaded()
        assert await tab.value("location.pathname") == seen[-1]
        await tab.value("document.querySelector('textarea').focus()")
        await tab.ask("Input.dispatchKeyEvent", type="keyDown", key="j", text="j")
        assert await tab.value("document.querySelector('textarea').value") == "j"


async def test_a_session_that_ended_leads_an_open_page_to_the_form(tmp_path: Path) -> None:
    async with a_sitting(tmp_path) as sitting:
        await sitting.sign_in()
        sitting.office.clock.advance(13 * 3_600_000)
        sitting.tab.expect_load()
        await sitting.tab.value("document.dispatchEvent(new Event('visibilitychange'))")
        await sitting.tab.loaded()
        assert await sitting.tab.value("location.pathname") == "/login"


async def test_a_phone_has_nothing_to_scroll_sideways_in_either_language(tmp_path: Path) -> None:
    async with a_sitting(tmp_path, run=LIVE_RUN) as sitting:
        tab = sitting.tab
        await tab.ask("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
        wide = []
        for path in (*SIGNED_OUT, *PAGES):
            if path == PAGES[0]:
                await sitting.sign_in()
            await sitting.open(path)
            wide += [path] if await tab.value("document.documentElement.scrollWidth") > 390 else []
        await sitting.press("document.querySelector('[name=language]').click()")
        for path in PAGES:
            await sitting.open(path)
            wide += [f"zh {path}"] if await tab.value("document.documentElement.scrollWidth") > 390 else []
        assert wide == []
