"""A store full of invented texts, filled by COPY: words of a Zipf-like law, some Chinese, and a name that hardly any has."""

import random
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any

import msgspec
import psycopg

from groundswell.codec import encode
from groundswell.names import TICK_MS
from groundswell.records import Document, Mention, Score
from groundswell.store.search import place_of
from groundswell.terms import Indexed
from tests import builders as b

NAME = "临澜"
DIFFERENT = 4_200
"""Texts that differ; then they come again, as other documents. One of them has the name."""

CHUNK = 20_000
_COLUMNS = {
    "documents": "document_id, content_hash, source, owner, owner_known, kind, language, title, text, url, published_ms, "
    "published_precision, published_flag, known_ms, known_basis, fetched_ms",
    "scores": "document_id, content_hash, model_id, topic, sentiment, negative_ppm, body",
    "search": "document_id, content_hash, place, terms",
    "admissions": "run, part, position, place, known_ms, tick, source, language, outcome, document_id, content_hash, model_id",
}


def load(link: "psycopg.Connection[Any]", run: str, *, documents: int, every_ms: int = 60_000) -> None:
    """Write documents, scores, admissions and what they are found by, `every_ms` apart, then analyse."""
    link.execute("DROP INDEX search_terms")
    numbers = iter(range(documents))
    while chunk := list(islice(numbers, CHUNK)):
        for table, columns in _COLUMNS.items():
            with link.cursor() as cursor, cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                for number in chunk:
                    copy.write_row(_row(table, run, number, published_ms(number, documents, every_ms)))
    link.execute("CREATE INDEX search_terms ON search USING gin (terms)")
    link.execute("ANALYZE")


def published_ms(number: int, documents: int, every_ms: int) -> int:
    """When a document was published: half of them before T0_MS."""
    return b.T0_MS + (number - documents // 2) * every_ms


@cache
def different() -> list[tuple[Document, Score, str]]:
    """The texts, what is said of each, and its terms as PostgreSQL reads them."""
    return list(_invented())


def _invented() -> Iterator[tuple[Document, Score, str]]:
    chance = random.Random(7)
    for number in range(DIFFERENT):
        words = [f"w{int(chance.paretovariate(0.6)) - 1}" for _ in range(14)]
        text = "".join(chance.choices("银行债券市场股价利率公司业绩下跌上涨风险", k=10)) if number % 3 == 0 else ""
        if number == 17:
            text += f"，{NAME}"
        document = b.a_document(
            title=" ".join(words), text=text, source=f"source {number % 40}", kind=("news", "comment", "report")[number % 3]
        )
        mentions = [Mention("LinlanBank" if number == 17 else f"C{number % 900}", 0, 1)]
        score = b.a_score(sentiment=("negative", "neutral", "positive")[number % 7 % 3], mentions=mentions, digest=b"")
        indexed = Indexed(document, score)
        places = [f"'{term}':{','.join(map(str, found))}" for term, found in indexed.places.items()]
        yield document, score, " ".join([*places, *(f"'{each}'" for each in sorted(indexed.facets))])


def _row(table: str, run: str, number: int, published_ms: int) -> tuple[object, ...]:
    d, s, terms = different()[number % DIFFERENT]
    name, known_ms = f"{number:016x}", published_ms + 30_000
    match table:
        case "documents":
            what = (d.source, d.owner, True, d.kind, d.language, d.title, d.text, d.url)
            return (name, name, *what, published_ms, "second", "", known_ms, "recorded", 0)
        case "scores":
            body = encode(msgspec.structs.replace(s, document_id=name, content_hash=name))
            return (name, name, s.model_id, s.topic, s.sentiment, s.negative_ppm, body)
        case "search":
            return (name, name, place_of(name, name, published_ms), terms)
        case _:
            return (run, number % 16, number, 0, known_ms, known_ms // TICK_MS, d.source, d.language, "scored", name, name, None)
