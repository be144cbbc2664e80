"""Panel 8, new stories: what was first said in the last 24 hours, the most surprising first; a story once, with its copies counted.

A document counts in exactly one topic of its language, so the stories of topics hold every document once. A story is new where the
document that leads it was known within the 24 hours.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec
from sqlalchemy import Connection, select

from groundswell import surprise
from groundswell.names import DAY_TICKS, LANGUAGES, TICK_MS, TOPICS, topic_series
from groundswell.store import schema as t
from groundswell.store.chunks import in_chunks
from groundswell.store.derived import IncrementBody
from groundswell.store.facts import counted_documents
from groundswell.store.panels.rows import PanelRow
from groundswell.store.panels.usual import usual_days
from groundswell.windows import DOCUMENTS, NEGATIVE_PPM

ROWS_READ: Final = 4_000
"""Rows of increments that are looked at, the latest ones: where more come in 24 hours, the panel shows fewer hours."""

LOOKED_UP: Final = 200
"""Stories whose documents are looked up, the most surprising ones: old stories that go on are among them, and drop out."""


class NewStoryRow(PanelRow, frozen=True):
    """One story that was first known in the last 24 hours."""

    story: str  # id of the document that leads it
    topic: str
    series: str  # of the topic
    title: str  # of that document; empty where its text was removed
    source: str
    kind: str
    tier: int | None  # of the source: 1 official or primary to 4; None: unknown
    role: str | None  # of the source; None: unknown
    language: str | None
    url: str | None
    published_ms: int
    known_ms: int
    documents: int  # it and its copies
    owners: int
    p_negative: float  # mean over its documents
    usual_share: float | None  # of negative stories in its topic, over the 56 days before
    surprise_bits: float | None  # None: nothing is known to be usual yet


@dataclass
class _Found:
    series: str
    documents: int = 0
    negative_ppm: int = 0
    owners: set[str] = field(default_factory=set)

    @property
    def p_negative(self) -> float:
        return self.negative_ppm / 1e6 / self.documents


def read_stories(connection: Connection, run: str, *, known_ms: int, limit: int) -> list[NewStoryRow]:
    """New stories by whole bits of surprise; of as many, readers' comments last, then that of more owners and the newer one first.

    Args:
        connection: a reading transaction.
        run: whose.
        known_ms: end of the 24 hours of known time.
        limit: rows at most.
    """
    found = _stories(connection, run, until=known_ms // TICK_MS)
    usual = usual_days(connection, run, {one.series for one in found.values()}, known_ms=known_ms)
    bits = {}
    for story, one in found.items():
        share = usual[one.series].share
        bits[story] = None if share is None else surprise.of_reading(one.p_negative, share)

    chosen = sorted(found, key=lambda story: (-(bits[story] or 0.0), -found[story].p_negative, -len(found[story].owners), story))
    chosen = chosen[:LOOKED_UP]
    documents = counted_documents(connection, run, chosen, removed=True)
    rows = []
    for story in chosen:
        document, one = documents.get(story), found[story]
        if document is None or not known_ms - DAY_TICKS * TICK_MS <= document.known_ms < known_ms:
            continue
        share = usual[one.series].share
        rows.append(
            NewStoryRow(
                story=story,
                topic=one.series.split(":")[1],
                series=one.series,
                title=document.title,
                source=document.source,
                kind=document.kind,
                tier=document.tier,
                role=document.role,
                language=document.language,
                url=document.url,
                published_ms=document.published_ms,
                known_ms=document.known_ms,
                documents=one.documents,
                owners=len(one.owners),
                p_negative=one.p_negative,
                usual_share=share,
                surprise_bits=bits[story],
            )
        )
    return sorted(rows, key=_order)[:limit]


def _order(row: NewStoryRow) -> tuple[int, bool, int, int, str]:
    """By whole bits: within one, what only readers say comes last, and what more owners say first."""
    return -round(row.surprise_bits or 0.0), row.kind == "comment", -row.owners, -row.known_ms, row.story


def _stories(connection: Connection, run: str, *, until: int) -> dict[str, _Found]:
    """{story: what was known of it in the 24 hours}, from the latest rows of the topics."""
    row = t.increments.c
    (series,) = in_chunks(topic_series(topic, language) for topic in TOPICS for language in LANGUAGES)
    wanted = (row.run == run, row.series.in_(series), row.tick >= until - DAY_TICKS, row.tick < until)
    latest = select(row.series, row.body).where(*wanted).order_by(row.tick.desc(), row.series, row.pane).limit(ROWS_READ)
    found: dict[str, _Found] = {}
    for name, body in connection.execute(latest):
        for story, owners in msgspec.json.decode(body, type=IncrementBody).members.items():
            one = found.setdefault(story, _Found(name))
            one.owners.update(owners)
            for counts in owners.values():
                one.documents += counts[DOCUMENTS]
                one.negative_ppm += counts[NEGATIVE_PPM]
    return found
