"""Unsubscribing as it happens: a mail reaches a real relay, its header's address is posted to the board, the next mail stays away."""

from email.message import EmailMessage
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from dashboards.board.app import create_app
from dashboards.board.door import Access
from groundswell.cli import root
from groundswell.cli.channels import reader_links, sender
from groundswell.links import links_of
from groundswell.names import LIVE_RUN, ROUTES_TARGET
from groundswell.settings import Settings, load_settings
from groundswell.store.derived import insert_alert
from groundswell.store.store import Store
from stream.shells.sender import Sender
from tests.alerts.alert_factory import an_alert
from tests.alerts.notify.peers import HOST, Relay, a_relay
from tests.dashboards.board.board_store import served

SECRET = "a secret of the tests, long enough for them"
ROUTES = '[[reader]]\nname = "anna"\nmail = ["anna@bank.example"]\n'


def some_settings(folder: Path, port: int, *, base_url: str = "https://gs.bank.example") -> Settings:
    (folder / "routes.toml").write_text(ROUTES, encoding="utf-8")
    environ = {
        "GROUNDSWELL_BOARD_SECRET": SECRET, "GROUNDSWELL_BOARD_BASE_URL": base_url, "GROUNDSWELL_MAIL_HOST": HOST,
        "GROUNDSWELL_MAIL_PORT": str(port), "GROUNDSWELL_MAIL_RECIPIENTS": "ops@bank.example", "GROUNDSWELL_MAIL_SENDER": "gs@bank.example",
        "GROUNDSWELL_ROUTES_PATH": str(folder / "routes.toml"), "GROUNDSWELL_STORE_URL": str(folder / "s.db"),
    }  # fmt: skip
    return load_settings(environ=environ)


async def mailed(store: Store, sending: Sender, relay: Relay, name: str) -> list[EmailMessage]:
    """What has arrived when one more alert was told."""
    alert = an_alert(id=name * 16, incident=name * 16)
    with store.write() as connection:
        insert_alert(store, connection, LIVE_RUN, alert, targets=[ROUTES_TARGET])
    await sending.send_due()
    return list(relay.mails)


async def test_the_headers_address_is_posted_the_next_mail_stays_away_and_comes_again_after_the_undo(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "s.db"))
    async with a_relay(Relay()) as relay:
        settings = some_settings(tmp_path, relay.port)
        sending = sender(settings, store, link=reader_links(settings))
        (mail,) = await mailed(store, sending, relay, "a")
        url = str(mail["List-Unsubscribe"]).strip("<>")
        assert url.startswith("https://gs.bank.example/u/")
        assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        path = url.removeprefix("https://gs.bank.example")
        app = create_app(store, run=LIVE_RUN, log=None, now_ms=lambda: 0, access=Access(secret=SECRET), links=links_of(settings))
        with served(app) as board:
            assert board.get(path).status == 200
            assert len(await mailed(store, sending, relay, "b")) == 2, "a scanner has looked, and nothing changed"
            field = str(mail["List-Unsubscribe-Post"]).encode()
            form = {"Content-Type": "application/x-www-form-urlencoded"}
            assert board.ask("POST", path, headers=form, body=field).status == 200
            assert len(await mailed(store, sending, relay, "c")) == 2
            assert "not sent because of it: 1" in board.get(path).text
            assert board.ask("POST", path, headers=form, body=b"what=resume").status == 303
            assert len(await mailed(store, sending, relay, "d")) == 3
    store.close()


@pytest.mark.parametrize("base_url", ["http://gs.bank.example", "https://127.0.0.1:8350", "http://127.0.0.1:8350"])
async def test_without_a_public_address_neither_header_is_written(tmp_path: Path, base_url: str) -> None:
    store = Store(str(tmp_path / "s.db"))
    async with a_relay(Relay()) as relay:
        settings = some_settings(tmp_path, relay.port, base_url=base_url)
        (mail,) = await mailed(store, sender(settings, store, link=reader_links(settings)), relay, "a")
    assert [mail["List-Unsubscribe"], mail["List-Unsubscribe-Post"]] == [None, None]
    store.close()


def test_the_command_line_says_who_is_told_of_what_stops_a_target_and_lets_it_go_on(tmp_path: Path) -> None:
    (tmp_path / "routes.toml").write_text(ROUTES + 'slack = "C01"\n', encoding="utf-8")
    environ = {"GROUNDSWELL_STORE_URL": str(tmp_path / "s.db"), "GROUNDSWELL_ROUTES_PATH": str(tmp_path / "routes.toml")}

    def asked(*words: str) -> str:
        outcome = CliRunner().invoke(root, ["routes", *words], env=environ, catch_exceptions=False)
        assert outcome.exit_code == 0, outcome.output
        return outcome.output

    def states() -> dict[str, str]:
        rows = [msgspec.json.decode(line) for line in asked("--format", "jsonl").splitlines()]
        return {row["target"]: row["state"] for row in rows}

    assert states() == {"mail:anna": "on", "slack:anna": "on"}
    assert asked("stop", "mail:anna", "--who", "mei") == "mail:anna: stopped\n"
    assert asked("stop", "mail:anna") == "mail:anna: stopped already; nothing changed\n"
    assert states() == {"mail:anna": "stopped", "slack:anna": "on"}
    assert "mei, command line" in asked()
    asked("stop", "mail:gone")
    assert states()["mail:gone"] == "stopped", "a target that left the file while it was stopped is not forgotten"
    assert asked("resume", "mail:anna") == "mail:anna: on\n"
    assert states()["mail:anna"] == "on"
