"""People for the board's tests: accounts with one password, and a browser that keeps cookies and sends forms back."""

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from argon2 import PasswordHasher

from dashboards.board.app import create_app
from dashboards.board.door import Access
from groundswell.clock import ManualClock
from groundswell.links import Links
from groundswell.names import LIVE_RUN
from groundswell.passwords import Passwords
from groundswell.records import Alert
from groundswell.store.accounts import Person, Role, add_person
from groundswell.store.store import Store
from tests.dashboards.board.board_store import END_MS, Answer, Served, an_opened_alert, fill, served

SECRET: Final = "a secret of the tests, long enough for them"
PASSWORD: Final = "a few words in a row"
PASSWORDS: Final = Passwords(PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
PEOPLE: Final[dict[str, Role]] = {"mei": "analyst", "rob": "reader", "ada": "admin"}
ALERT: Final = an_opened_alert()
ACCESS: Final = Access(secret=SECRET, accounts=True, passwords=PASSWORDS)
_TOKEN: Final = re.compile(r'name="token" value="([^"]+)"')


@dataclass
class Browser:
    """Cookies are kept, redirects are not followed, forms carry the token of the last page that was seen."""

    board: Served
    headers: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def get(self, path: str, **headers: str) -> Answer:
        """Look at a page."""
        return self._keep(self.board.ask("GET", path, headers=self._headers(headers)))

    def post(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        """Send a form."""
        sent = {"Content-Type": "application/x-www-form-urlencoded"} | self._headers(headers)
        return self._keep(self.board.ask("POST", path, headers=sent, body=urlencode({"token": self.token} | form).encode()))

    def sign_in(self, name: str, password: str = PASSWORD) -> Answer:
        """By the form, as people do."""
        self.get("/login")
        answer = self.post("/login", {"name": name, "password": password})
        if answer.status == 303:
            self.get("/alerts")
        return answer

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}
        return cookie | self.headers | {name.replace("_", "-"): value for name, value in more.items()}

    def _keep(self, answer: Answer) -> Answer:
        for line in answer.cookies:
            name, _, value = line.partition(";")[0].partition("=")
            self.cookies[name] = value
            if not value.strip('"'):
                del self.cookies[name]
        found = _TOKEN.search(answer.body.decode(errors="replace"))
        self.token = found[1] if found else self.token
        return answer


@dataclass(frozen=True)
class Office:
    """A board with people, and what a test changes about it."""

    board: Served
    store: Store
    clock: ManualClock
    links: Links

    def browser(self, name: str | None = None, **headers: str) -> Browser:
        """A new browser; with a name it is signed in."""
        made = Browser(self.board, headers={key.replace("_", "-"): value for key, value in headers.items()})
        if name is not None:
            assert made.sign_in(name).status == 303
        return made


@contextmanager
def an_office(
    folder: Path,
    *,
    access: Access = ACCESS,
    alerts: Sequence[Alert] = (ALERT,),
    then: Callable[[Store], None] | None = None,
    run: str = "r",
    **options: Any,
) -> Iterator[Office]:
    """The invented store with three accounts, served."""
    (folder / "store.db").write_bytes(_filled(msgspec.json.encode(list(alerts)), run))
    store, clock = Store(str(folder / "store.db")), ManualClock(END_MS)
    try:
        if then is not None:
            then(store)
        links = Links(access.secret, "http://127.0.0.1", 3_600, now_ms=clock.now_ms)
        app = create_app(store, run=run, log=None, now_ms=clock.now_ms, access=access, links=links, **options)
        with served(app) as board:
            yield Office(board, store, clock, links)
    finally:
        store.close()


@cache
def _filled(alerts: bytes, run: str) -> bytes:
    """The store's file: filled once for all tests that begin alike, and copied."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(str(Path(folder) / "store.db"))
        fill(store, None, run=run, kind="live" if run == LIVE_RUN else "backfill", alerts=msgspec.json.decode(alerts, type=list[Alert]))
        stored = PASSWORDS.hash(PASSWORD)
        with store.write() as connection:
            for name, role in PEOPLE.items():
                add_person(store, connection, Person(name, role, stored, 1, 1, None))
        store.close()
        return (Path(folder) / "store.db").read_bytes()


def behind_a_proxy(**changes: Any) -> Access:
    """Identity from a header of this machine's proxy."""
    return replace(ACCESS, accounts=False, proxy_header="X-Forwarded-User", **({"proxy_addresses": ("127.0.0.1",)} | changes))
