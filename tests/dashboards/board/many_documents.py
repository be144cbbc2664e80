"""A live run with as many invented documents as wanted, in PostgreSQL, and every view that the board has of it."""

from typing import Any, Final
from urllib.parse import quote

import psycopg

from groundswell.codec import encode
from groundswell.names import HOUR_MS, LIVE_RUN, PANE_MS, RAW_PARTITIONS, ROLE_FOLD, ROLE_SCORE, TICK_MS, entity_series, topic_series
from groundswell.store import schema as t
from groundswell.store.accounts import Person, add_person
from groundswell.store.derived import insert_alert
from groundswell.store.progress import advance, claim
from groundswell.store.store import Store
from groundswell.store.tallies import tally
from tests import builders as b
from tests.dashboards.board.board_store import an_opened_alert
from tests.dashboards.board.people_store import PASSWORD, PASSWORDS
from tests.groundswell.store.synthetic_texts import DIFFERENT, NAME, different, load, published_ms
from tests.peers import plain_url

RUN: Final = LIVE_RUN
ALERTS: Final = 200
ALERT: Final = f"{5:016x}"
LANGUAGES: Final = ("", "en", "zh")

VIEWS: Final = {
    "board, 7 days": "/?span=7d",
    "board, 90 days": "/?span=90d",
    "board, a company selected": "/?company=C7",
    "board, as of a month ago": "/?as_of=2027-08-01T10:00Z",
    "board, second page": "/board/2",
    "alerts": "/alerts",
    "dossier": f"/alerts/{ALERT}",
    "search, a name of two characters": f"/search?q={quote(NAME)}",
    "search, a word of every second document": "/search?q=w0",
    "search, a phrase": "/search?q=%22w0+w0%22",
    "search, two words and no third": "/search?q=w1+w2+NOT+w0",
    "search, a word that nobody wrote": "/search?q=nowhere",
    "search, company and mood": "/search?q=company:C7+sentiment:negative",
    "series of a company": "/series?key=entity:C7",
    "watchlist": "/watchlist",
    "sources": "/sources",
    "api, documents": "/api/v1/documents?q=w3&limit=500",
    "api, series": "/api/v1/series?key=entity:C7&window=1d",
}
"""What is measured (bench/board.py)."""


_FINDINGS: Final = (
    """INSERT INTO drops SELECT %(run)s, n %% 16, n, 1, %(first_ms)s + n * %(every_ms)s::bigint, 'source ' || n %% 40,
       'language: ' || n %% 7, ''::bytea FROM generate_series(0, %(rows)s) AS n""",
    """INSERT INTO candidates SELECT %(run)s, lpad(to_hex(n), 16, '0'), 'entity:C' || n %% 900, 3600,
       (%(first_ms)s + n * %(every_ms)s::bigint * %(rows)s / %(findings)s) / 15000, %(candidate)s
       FROM generate_series(0, %(findings)s) AS n""",
    """INSERT INTO decisions SELECT run, candidate_id, tick, NULL, 'held', 'cooldown' FROM candidates WHERE run = %(run)s""",
    """INSERT INTO stories SELECT %(run)s, 'entity:C' || n %% 900, lpad(to_hex(n), 16, '0'), %(first_ms)s + n * %(every_ms)s::bigint,
       (%(first_ms)s + n * %(every_ms)s::bigint) / 15000, ''::bytea FROM generate_series(0, %(rows)s) AS n""",
    """INSERT INTO source_hours SELECT %(run)s, %(first_ms)s / 3600000 + n / 40, 'source ' || n %% 40, 'en', 1
       FROM generate_series(0, %(rows)s) AS n""",
    """INSERT INTO baselines SELECT %(run)s, 'entity:C' || n %% 900, 3600, %(first_ms)s / 3600000 + n / 900, 1, 1
       FROM generate_series(0, %(rows)s) AS n""",
    """INSERT INTO baselines SELECT %(run)s, 'entity:C' || n %% 900, 86400, %(first_ms)s / 86400000 + n / 900, 3, 12
       FROM generate_series(0, %(rows)s) AS n""",
)
"""What else a run leaves behind: half as many rows of each as there are documents; of findings and decisions FINDINGS."""

FINDINGS: Final = 25_000
"""Enough for a plan that reads them all to be seen. Real news lead to one in eighty documents (`make replays`), most of them joined."""


def fill_many(store: Store, url: str, *, documents: int, every_ms: int = 60_000) -> int:
    """Fill an empty store as a run would have left it, and analyse it.

    Returns:
        End of the last closed tick.
    """
    with psycopg.connect(plain_url(url), autocommit=True) as link:
        load(link, RUN, documents=documents, every_ms=every_ms)
        _copy_increments(link, documents, every_ms)
        begins = {
            "run": RUN,
            "rows": documents // 2,
            "findings": FINDINGS,
            "first_ms": published_ms(0, documents, every_ms),
            "every_ms": 2 * every_ms,
        }
        begins |= {"candidate": encode(b.a_candidate(series=entity_series("C7")))}
        for statement in _FINDINGS:
            link.execute(statement, begins)
    end_ms = published_ms(documents, documents, every_ms) // HOUR_MS * HOUR_MS
    with store.write() as connection:
        store.insert(connection, t.runs, [{"run": RUN, "kind": "live", "model_id": "fake-1", "manifest": b"{}"}])
        taken = [{"run": RUN, "part": 0, "source": f"source {n}", "documents": len(range(n, documents, 40))} for n in range(40)]
        store.insert(connection, t.taken, taken)
        for number in range(ALERTS):
            alert = an_opened_alert(id=f"{number:016x}", series=entity_series("C7"), opened_ms=end_ms - number * 6 * HOUR_MS)
            insert_alert(store, connection, RUN, alert, targets=[])
        hours = range(published_ms(0, documents, every_ms) // HOUR_MS, end_ms // HOUR_MS)
        rows = [{"run": RUN, "hour": hour, "language": name, "exposure_ppm": 990_000} for hour in hours for name in LANGUAGES]
        store.insert(connection, t.exposures, rows)
    for role in (ROLE_SCORE, ROLE_FOLD):
        for part in range(RAW_PARTITIONS):
            mine = claim(store, RUN, role, part=part, owner="bench")
            with store.write() as connection:
                advance(connection, mine, next_offset=documents, time_ms=end_ms, closed_tick=end_ms // TICK_MS - 1)
    tally(store, RUN)
    _people(store)
    with psycopg.connect(plain_url(url), autocommit=True) as link:
        link.execute("VACUUM ANALYZE")
    return end_ms


def _people(store: Store) -> None:
    """Whoever looks, and what they follow."""
    with store.write() as connection:
        add_person(store, connection, Person("ada", "admin", PASSWORDS.hash(PASSWORD), 1, 1, None))


def _copy_increments(link: "psycopg.Connection[Any]", documents: int, every_ms: int) -> None:
    """One row for the topic and one for the company of each document."""
    columns = "run, series, tick, pane, daily, documents, negative, body"
    with link.cursor() as cursor, cursor.copy(f"COPY increments ({columns}) FROM STDIN") as copy:
        for number in range(documents):
            document, score, _ = different()[number % DIFFERENT]
            ms = published_ms(number, documents, every_ms)
            negative = int(score.sentiment == "negative")
            counts = [1, negative, int(score.sentiment == "neutral"), int(score.sentiment == "positive"), score.negative_ppm, 1, negative]
            body = encode([{f"{number:016x}": {document.source: counts}}, []])
            for series in (topic_series("debt_credit", "en"), entity_series(score.mentions[0].entity_id)):
                copy.write_row((RUN, series, (ms + 30_000) // TICK_MS, ms // PANE_MS, False, 1, negative, body))
