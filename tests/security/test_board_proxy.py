"""The board behind a real nginx that asks for the password, set up as docs/board.md says."""

import contextlib
import os
import signal
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from groundswell.store.actions import actions_of
from groundswell.store.audit import entries
from tests.dashboards.board.board_store import Served
from tests.dashboards.board.people_store import ALERT, Browser, Office, an_office, behind_a_proxy
from tests.nginx_peer import wait_for_port
from tests.peers import free_port, nginx_program, running, temporary_folder

pytestmark = pytest.mark.nginx
PAGE: Final = (Path(__file__).parents[2] / "docs" / "board.md").read_text("utf-8")
NGINX: Final = """daemon off; {user} worker_processes 1; error_log stderr; pid nginx.pid;
events {{}}
http {{
  access_log off; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {{
    listen 127.0.0.1:{port};
    {locations}
  }}
}}
"""
ACT: Final = f"/alerts/{ALERT.id}/act"


def locations(board: Served) -> str:
    """Those of the page, with nginx's own passwords where the page asks a login of the reader's house."""
    block = PAGE.split("```nginx\n")[1].split("```")[0]
    own = block.replace("auth_request /auth;", 'auth_basic "desk"; auth_basic_user_file people;')
    own = own.replace("auth_request_set $who $upstream_http_x_auth_user;", "set $who $remote_user;")
    assert own.count("auth_") == 2
    return own.replace("http://127.0.0.1:8350", board.url)


@contextlib.contextmanager
def in_front_of(office: Office) -> Iterator[Served]:
    with temporary_folder("nginx") as folder:
        port, log = free_port(), folder / "server.log"
        user = "user root;" if os.geteuid() == 0 else ""
        (folder / "people").write_text("mei:{PLAIN}one\nada:{PLAIN}two\nghost:{PLAIN}three\n")
        (folder / "nginx.conf").write_text(NGINX.format(user=user, port=port, locations=locations(office.board)))
        command = [nginx_program() or "nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
        with running(command, stop=signal.SIGTERM, cwd=folder, environ=os.environ, log=log) as process:
            wait_for_port(port, process, log=log)
            yield Served(port)


def somebody(proxy: Served, name: str, password: str, **headers: str) -> Browser:
    basic = {"Authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}
    return Browser(proxy, headers=basic | {key.replace("_", "-"): value for key, value in headers.items()})


def test_who_signed_in_at_the_proxy_is_who_acts_whatever_the_client_claims(tmp_path: Path) -> None:
    with an_office(tmp_path, access=behind_a_proxy()) as office, in_front_of(office) as proxy:
        assert proxy.get("/inbox").status == 401, "the proxy asks first"
        mei = somebody(proxy, "mei", "one", X_Forwarded_User="ada", X_Forwarded_For="203.0.113.9")
        page = mei.get(f"/alerts/{ALERT.id}")
        assert page.status == 200
        assert "<bdi>mei</bdi>" in page.text
        assert mei.post(ACT, {"what": "acknowledge"}, Origin=proxy.url, Sec_Fetch_Site="same-origin").status == 303
        assert somebody(proxy, "ghost", "three").get("/inbox").status == 403, "the proxy knows them, the board does not"
        with office.store.read() as connection:
            assert [action.who for action in actions_of(connection, "r")] == ["mei"]
            assert [(e.who, e.place) for e in entries(connection)] == [("mei", "127.0.0.1")]


def test_a_link_needs_no_login_at_the_proxy_and_its_button_works_through_it(tmp_path: Path) -> None:
    with an_office(tmp_path, access=behind_a_proxy()) as office, in_front_of(office) as proxy:
        path = urlsplit(office.links.make("li@bank.example", ALERT.id, "acknowledge")).path
        stranger = Browser(proxy, headers={"X-Forwarded-User": "ada"})
        assert "Nothing has been recorded yet" in stranger.get(path).text
        assert "<bdi>ada</bdi>" not in stranger.get(path).text
        assert stranger.post(path, {}, Origin=proxy.url).status == 303
        with office.store.read() as connection:
            assert [action.who for action in actions_of(connection, "r")] == ["li@bank.example"]
