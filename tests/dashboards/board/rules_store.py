"""A live run that has really been folded and decided, with people and a board that rehearses rules over it."""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from dashboards.board.app import create_app
from groundswell.clock import ManualClock
from groundswell.links import Links
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, LIVE_RUN
from groundswell.store.accounts import Person, add_person
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import open_run
from stream.shells.try_rules import TryRules
from tests import builders as b
from tests.dashboards.board.board_store import served
from tests.dashboards.board.people_store import ACCESS, PASSWORD, PASSWORDS, PEOPLE, Office

OWN: Final = b.easy_rules()
STRICT: Final = msgspec.structs.replace(OWN, desk=msgspec.structs.replace(OWN.desk, budget_per_day=1))
NOW_MS: Final = b.T0_MS + 400 * DAY_MS


@cache
def _run() -> bytes:
    """The store's file after a run; made once for all tests."""
    with tempfile.TemporaryDirectory() as folder:
        with closing(Store(str(Path(folder) / "s.db"))) as store, LocalLog(Path(folder) / "log") as log:
            open_run(store, LIVE_RUN, kind="live", instruments=b.instruments(OWN))
            pipeline = EmbeddedPipeline(
                store, b.fill(log, b.an_archive(1, records=420)), LIVE_RUN, b.instruments(OWN), targets=("console",)
            )
            while pipeline.step(limit=50):
                pass
            pipeline.finish()
            with store.write() as connection:
                for name, role in PEOPLE.items():
                    add_person(store, connection, Person(name, role, PASSWORDS.hash(PASSWORD), 1, 1, None))
        return (Path(folder) / "s.db").read_bytes()


@contextmanager
def a_rules_office(folder: Path, **options: Any) -> Iterator[Office]:
    """The run, served, with three people; `rules` may be another reader of rules."""
    (folder / "store.db").write_bytes(_run())
    store, clock = Store(str(folder / "store.db")), ManualClock(NOW_MS)
    try:
        links = Links(ACCESS.secret, "http://127.0.0.1", 3_600, now_ms=clock.now_ms)
        rules = options.pop("rules", None) or TryRules(store, display=str)
        app = create_app(store, run=None, log=None, now_ms=clock.now_ms, access=ACCESS, links=links, rules=rules, **options)
        with served(app) as board:
            yield Office(board, store, clock, links)
    finally:
        store.close()
