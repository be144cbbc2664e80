"""A small invented store in which every panel of the board has rows that can be counted by hand.

Sixty days of one run to 2026-03-10 12:00 UTC. Three companies are watched: SVB (0.08), Acme (0.5) and Calm (2). Each closed day before
the last seven had ten stories of SVB, one negative, and of Acme, two; of the last seven days five of ten were negative of SVB, and one
of ten of Acme. Calm is calm. P1, P2 and P3 are SVB's sector: one, two and three of ten, always.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection

from groundswell.codec import canonical
from groundswell.names import DAY_MS, HOUR_MS, PANE_MS, ROLE_FOLD, ROLE_SCORE, TICK_MS
from groundswell.records import Action, Admission, Candidate, Decision, Document, Increment, Position, Verdict
from groundswell.schedule import WATCHES
from groundswell.store import schema as t
from groundswell.store.actions import record_action, record_verdict
from groundswell.store.derived import insert_alert, insert_candidates, insert_decisions, insert_increments, insert_rows
from groundswell.store.facts import write_intake
from groundswell.store.progress import advance, claim
from groundswell.store.store import Store
from groundswell.watches import WatchedCompany, Watches
from tests import builders as b
from tests.alerts.alert_factory import an_alert

RUN: Final = "r"
END_MS: Final = 1_773_144_000_000  # 2026-03-10 12:00:00 UTC
TODAY: Final = END_MS // DAY_MS
BEGAN_MS: Final = (TODAY - 60) * DAY_MS
SVB, ACME, CALM, TOPIC = "entity:SVB", "entity:Acme", "entity:Calm", "topic:debt_credit:en"
OPEN_MS: Final = 2 * HOUR_MS + 120_000
"""A document of Calm's became known so long before the end: two minutes before its pane was over."""

WIRE, ECHO = "Harbour Wire", "Quay Forum"
SECTOR: Final = {"SVB": ("SVB", "P1", "P2", "P3")}
WATCHED: Final = Watches(
    companies=[
        WatchedCompany(company="Acme", weight=0.5),
        WatchedCompany(company="Calm", weight=2.0),
        WatchedCompany(company="SVB", weight=0.08, owner="Li"),
    ]
)


def sector(company: str) -> Sequence[str]:
    """The companies of a company's sector."""
    return SECTOR.get(company, ())


class _Rows:
    """Documents as counts of increments: one row for each series, tick and pane."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, int, int], dict[str, dict[str, list[int]]]] = defaultdict(dict)
        self._negatives: dict[tuple[str, int, int], list[list[str | int]]] = defaultdict(list)

    def say(self, series: str, ago_ms: int, story: str, owner: str, *, negative: bool, fresh: bool = True, ppm: int | None = None) -> None:
        """One document, known `ago_ms` before the end and published ten seconds earlier."""
        known_ms = END_MS - ago_ms
        key = series, known_ms // TICK_MS, (known_ms - 10_000) // PANE_MS
        ppm = (900_000 if negative else 100_000) if ppm is None else ppm
        counts = [1, int(negative), int(not negative), 0, ppm, int(fresh), int(negative and fresh)]
        mine = self._members[key].setdefault(story, {})
        mine[owner] = [a + c for a, c in zip(mine.get(owner, [0] * 7), counts, strict=True)]
        if negative and fresh:
            self._negatives[key].append([f"{story}-{owner}", story, owner, 1, ppm])

    def increments(self) -> list[Increment]:
        """What was said, as rows."""
        return [
            Increment(series=series, tick=tick, pane=pane, daily=False, members=members, negatives=self._negatives[series, tick, pane])
            for (series, tick, pane), members in self._members.items()
        ]


def _said() -> list[Increment]:
    rows = _Rows()
    for owner in ("o1", "o2"):
        rows.say(SVB, HOUR_MS, "s1", owner, negative=True)
    rows.say(SVB, 2 * HOUR_MS, "s2", "o3", negative=True)
    rows.say(SVB, 3 * HOUR_MS, "s3", "o1", negative=False)
    rows.say(SVB, 4 * HOUR_MS, "s4", "o1", negative=True, fresh=False)  # known too late to be fresh
    rows.say(SVB, 25 * HOUR_MS, "s0", "o1", negative=True)  # before the 24 hours
    for number in range(4):
        rows.say(ACME, (number + 1) * HOUR_MS, f"a{number}", "o1", negative=True)
    rows.say(CALM, OPEN_MS, "c1", "o1", negative=False)
    for name, negative in (("P1", 0), ("P2", 1), ("P3", 2)):
        for number in range(5):
            rows.say(f"entity:{name}", HOUR_MS, f"p{number}", "o1", negative=number < negative)
    for number in range(2):
        rows.say("flag:litigation:SVB", (number + 1) * HOUR_MS, f"s{number + 1}", "o1", negative=True)
    rows.say("flag:litigation:SVB", 10 * DAY_MS, "s-1", "o1", negative=True)
    rows.say("flag:downgrade:Acme", HOUR_MS, "a1", "o1", negative=True)
    rows.say("flag:downgrade:Acme", 40 * DAY_MS, "a-1", "o1", negative=True)  # more than 30 days ago
    rows.say("flag:downgrade:Nobody", HOUR_MS, "n1", "o1", negative=True)
    for owner in ("o1", "o2", "o3"):
        rows.say(TOPIC, HOUR_MS, "new", owner, negative=True, ppm=970_000)
    rows.say(TOPIC, 2 * HOUR_MS, "rant", "o1", negative=True, ppm=990_000)
    rows.say(TOPIC, 3 * HOUR_MS, "gone", "o1", negative=True, ppm=960_000)
    rows.say(TOPIC, 4 * HOUR_MS, "old", "o1", negative=True, ppm=970_000)  # led by a document of three days ago
    rows.say(TOPIC, 5 * HOUR_MS, "mild", "o1", negative=False, ppm=50_000)
    return rows.increments()


def _baselines() -> list[dict[str, Any]]:
    made = []
    for day in range(TODAY - 60, TODAY):
        last_week = day >= TODAY - 7
        for series, negative, stories in (
            (SVB, 5 if last_week else 1, 10), (ACME, 1 if last_week else 2, 10), (CALM, 0, 4), (TOPIC, 1, 10),
            ("entity:P1", 1, 10), ("entity:P2", 2, 10), ("entity:P3", 3, 10), ("topic:management:en", 1, 1 if last_week else 0),
        ):  # fmt: skip
            made.append({"series": series, "period_s": 86_400, "period": day, "negative": negative, "stories": stories})
        made.append({"series": SVB, "period_s": 3_600, "period": day * 24, "negative": 90, "stories": 90})  # an hour is no day
    return made


DOCUMENTS: Final = {
    "new": (HOUR_MS, "news", "Linlan <b>payout</b> missed", 60_000),
    "rant": (2 * HOUR_MS, "comment", "Sell it all", 5_000),
    "gone": (3 * HOUR_MS, "news", "", 5_000),
    "old": (3 * DAY_MS, "news", "An older story", 5_000),
    "mild": (5 * HOUR_MS, "news", "Quarter as planned", 600_000),
}
"""{story: (known so long before the end, kind, title, published so long before it was known)}."""


def _documents(store: Store, connection: Connection) -> None:
    for number, (name, (ago_ms, kind, title, lag_ms)) in enumerate(DOCUMENTS.items()):
        known_ms = END_MS - ago_ms
        document: Document = b.a_document(
            document_id=name, content_hash=name, kind=kind, title=title, text="", known_ms=known_ms, published_ms=known_ms - lag_ms,
            source=ECHO if kind == "comment" else WIRE,
        )  # fmt: skip
        admission = Admission(
            position=Position(0, number), known_ms=known_ms, source=document.source, language="en", outcome="scored", document_id=name,
            content_hash=name,
        )  # fmt: skip
        score = b.a_score(document_id=name, content_hash=name)
        write_intake(store, connection, RUN, admissions=[admission], documents=[document], scores=[score])
    gone = {"document_id": "gone", "content_hash": "gone", "removed_ms": END_MS, "reason": "document"}
    store.insert(connection, t.removals, [gone])


FOUND: Final[tuple[tuple[str, int, int, str, str, str | None], ...]] = (
    # id, ticks before the end, statistic (the limit is 10), level, reason, incident
    ("near", 4, 8, "hold", "hold: not improbable enough to open", "i1"),
    ("nearer", 8, 9, "hold", "hold: not improbable enough to open", "i1"),
    ("far", 12, 7, "hold", "hold: not improbable enough to open", "i1"),
    ("told", 16, 12, "open", "cooldown: entity:SVB alerted in incident i9", "told"),
    ("over", 20, 11, "open", "budget: 3 alerts today, 3 allowed", "i2"),
    ("past", 8 * 5_760, 9, "hold", "hold: not improbable enough to open", "i3"),
)


def _findings(store: Store, connection: Connection) -> None:
    found: list[Candidate] = []
    decided: list[Decision] = []
    for name, ago, statistic, level, reason, incident in FOUND:
        tick = END_MS // TICK_MS - ago
        series = ACME if name == "over" else SVB
        found.append(b.a_candidate(candidate_id=name, series=series, tick=tick, statistic=statistic, limit=10, level=level))
        decided.append(Decision(candidate_id=name, tick=tick, incident=incident, verdict="held", reason=reason))
    insert_candidates(store, connection, RUN, found)
    insert_decisions(store, connection, RUN, decided)


def _alerts(store: Store, connection: Connection) -> None:
    for number in range(12):
        opened_ms = END_MS - (number + 1) * DAY_MS
        incident = "told" if number == 0 else f"w{number}"
        alert = an_alert(id=f"{number:016x}", incident=incident, opened_ms=opened_ms, series=SVB, all_series=[SVB], evidence=[])
        insert_alert(store, connection, RUN, alert, targets=[])
        verdict = Verdict(alert=alert.id, at_ms=END_MS - 1_000, who="mei", word="true" if number < 8 else "false")
        record_verdict(connection, RUN, verdict)
        if number:
            record_action(connection, RUN, Action(incident=incident, at_ms=END_MS - 1_000, who="mei", what="resolve"))


def fill(store: Store, *, watched: bool = True, exposures: Sequence[int] = (), began_ms: int = BEGAN_MS) -> None:
    """Write it.

    Args:
        store: an empty one.
        watched: whether the three companies are on the watchlist.
        exposures: shares (ppm) of the last closed hours, the oldest first; before them everybody was seeing.
        began_ms: first closed hour of the run.
    """
    with store.write() as connection:
        store.insert(connection, t.runs, [{"run": RUN, "kind": "backfill", "model_id": "fake-1", "manifest": b"{}"}])
        insert_increments(store, connection, RUN, _said())
        insert_rows(store, connection, RUN, t.baselines, _baselines())
        hours = range(began_ms // HOUR_MS, END_MS // HOUR_MS)
        seen = [1_000_000] * (len(hours) - len(exposures)) + list(exposures)
        rows = [{"hour": hour, "language": "", "exposure_ppm": share} for hour, share in zip(hours, seen, strict=True)]
        insert_rows(store, connection, RUN, t.exposures, rows)
        heard = [
            {"hour": END_MS // HOUR_MS - 1 - hour, "source": WIRE, "language": "en", "documents": 1 if hour < 24 else 2}
            for hour in range(8 * 24)
        ]
        silent = {"hour": END_MS // HOUR_MS - 30, "source": "Silent", "language": "zh", "documents": 7}
        insert_rows(store, connection, RUN, t.source_hours, [*heard, silent])
        if watched:
            store.insert(connection, t.versions, [{"kind": WATCHES, "hash": WATCHED.hash, "content": canonical(WATCHED)}])
            store.insert(connection, t.in_force, [{"run": RUN, "kind": WATCHES, "effective_ms": END_MS - 2 * DAY_MS, "hash": WATCHED.hash}])
        _documents(store, connection)
        _findings(store, connection)
        _alerts(store, connection)
    for role in (ROLE_SCORE, ROLE_FOLD):
        mine = claim(store, RUN, role, owner="test")
        with store.write() as connection:
            advance(connection, mine, next_offset=0, time_ms=END_MS, closed_tick=END_MS // TICK_MS - 1)
