"""What people and admins do with forms, in a real browser: a table from a file, a token, a new account, a dead letter."""

from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import update

from groundswell.names import LIVE_RUN
from groundswell.store import schema as t
from groundswell.store.outbox import listed
from groundswell.store.tokens import tokens_of
from groundswell.store.watches import newest_watches
from tests.browser.test_people import a_sitting, pytestmark, violations

__all__ = ["pytestmark"]

TABLE: Final = "company,weight,owner\\nLinlanBank,0.08,Moss\\nNobody,many,\\n"
CHOOSE: Final = f"""(() => {{
  const given = new DataTransfer(), chosen = document.querySelector('[data-into=table]');
  given.items.add(new File(['{TABLE}'], 'companies.csv', {{type: 'text/csv'}}));
  chosen.files = given.files;
  chosen.dispatchEvent(new Event('change'));
  return new Promise((done) => {{
    const look = () => document.getElementById('table').value ? done(true) : requestAnimationFrame(look);
    look();
  }});
}})()"""
NEW: Final = "another few words in a row"
FILL: Final = "document.querySelectorAll('input[type=password]').forEach((one) => { one.value = '%s' });"


async def test_a_table_is_read_from_a_file_looked_at_and_saved(tmp_path: Path) -> None:
    async with a_sitting(tmp_path, run=LIVE_RUN) as sitting:
        tab = sitting.tab
        await sitting.sign_in()
        await sitting.open("/watchlist")
        assert await tab.value(CHOOSE)
        await sitting.press("document.querySelector('[action=\"/watchlist/companies\"] button').click()")
        assert "Added 1, changed 0" in await tab.value("document.querySelector('main').textContent")
        assert "line 3: weight 'many'" in await tab.value("document.querySelector('ul.doubt').textContent")
        assert await violations(tab) == []
        await sitting.press("document.querySelector('[action=\"/watchlist/companies\"] button').click()")
        assert "companies watched" in await tab.value("document.querySelector('.done').textContent")
        with sitting.office.store.read() as connection:
            assert [one.company for one in newest_watches(connection, LIVE_RUN)[0].companies] == ["LinlanBank"]
        assert tab.complaints == []


async def test_a_token_is_made_shown_once_and_revoked(tmp_path: Path) -> None:
    async with a_sitting(tmp_path, run=LIVE_RUN) as sitting:
        tab = sitting.tab
        await sitting.sign_in()
        await sitting.open("/me")
        await sitting.press(
            "document.querySelector('[action=\"/me/token\"] [name=name]').value = 'nightly';"
            "document.querySelector('[action=\"/me/token\"] button').click()"
        )
        token = await tab.value("document.querySelector('.once').textContent")
        assert await violations(tab) == []
        answer = sitting.office.board.ask("GET", "/api/v1/alerts", headers={"Authorization": f"Bearer {token}"})
        assert answer.status == 200
        await sitting.open("/me")
        assert await violations(tab) == []
        await sitting.press("document.querySelector('[action=\"/me/token/revoke\"] button').click()")
        with sitting.office.store.read() as connection:
            assert [one.revoked_ms is None for one in tokens_of(connection, "mei")] == [False]


async def test_an_admin_adds_somebody_who_chooses_a_password_and_puts_a_dead_letter_back(tmp_path: Path) -> None:
    async with a_sitting(tmp_path, run=LIVE_RUN) as sitting:
        tab, office = sitting.tab, sitting.office
        with office.store.write() as connection:
            connection.execute(update(t.outbox).values(state="failed", attempts=1, reason="550 no such user"))
        await sitting.sign_in("ada")
        await sitting.open("/outbox")
        await sitting.press("document.querySelector('[action=\"/outbox/retry\"] button').click()")
        assert "it is due again" in await tab.value("document.querySelector('.done').textContent")
        with office.store.read() as connection:
            assert {item.state for item in listed(connection, LIVE_RUN)} == {"due", "failed"}
        await sitting.open("/people")
        await sitting.press(
            "document.querySelector('[action=\"/people/add\"] [name=name]').value = 'li';"
            "document.querySelector('[action=\"/people/add\"] button').click()"
        )
        place = await tab.value("document.querySelector('.once').textContent")
        office.clock.advance(1_000)
        await sitting.open(place)
        assert await violations(tab) == []
        await sitting.press(FILL % NEW + "document.querySelector('.login button').click()")
        assert await tab.value("location.pathname") == "/inbox", "whoever is signed in here is sent on"
        assert office.browser().sign_in("li", NEW).status == 303


@pytest.mark.parametrize(("scheme", "language", "width"), [("light", "en", 1280), ("dark", "zh", 390)])
async def test_axe_finds_nothing_serious_on_an_admins_pages_and_a_phone_has_nothing_to_scroll_sideways(
    tmp_path: Path, scheme: str, language: str, width: int
) -> None:
    async with a_sitting(tmp_path, run=LIVE_RUN) as sitting:
        tab = sitting.tab
        await tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 400)
        await sitting.sign_in("ada")
        await sitting.open("/me")
        await sitting.press(
            f"document.querySelector('[name=theme]').value = '{scheme}';"
            f"document.querySelector('select[name=language]').value = '{language}';"
            "document.querySelector('[action=\"/me/save\"] button').click()"
        )
        assert await tab.value("getComputedStyle(document.documentElement).colorScheme") == scheme
        for path in ("/people", "/audit", "/outbox?state=due", "/me", "/watchlist", "/watchlist/try?q=headline&name=queues"):
            await sitting.open(path)
            assert tab.complaints == [], path
            assert await violations(tab) == [], path
            assert await tab.value("document.documentElement.scrollWidth") <= width, path
