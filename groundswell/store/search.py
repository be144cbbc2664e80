"""Full text on both databases, by index: PostgreSQL's GIN over a tsvector, SQLite's FTS5, each over the terms of groundswell/terms.py.

    search   place = second of publication, then a hash: newest first is an index's own order, and a page goes on below a place

One row for each content, written with the document in one transaction; a text that is removed is blanked here in the same one. The
facets of a document are those of the score that it was first stored with.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import OperationalError

from groundswell.codec import decode
from groundswell.errors import UsageError
from groundswell.names import content_id
from groundswell.records import Document, Score
from groundswell.search import And, Field, Node, Not, Or, Query, Words
from groundswell.store import schema as t
from groundswell.store.bulk import Row, RowsOf, insert_rows
from groundswell.store.chunks import in_chunks
from groundswell.terms import ALL, TERMS_MAX, Indexed, Phrase

Key = tuple[str, str]
"""Document id and content hash."""

HASH_BITS: Final = 31
FEW_MAX: Final = 5_000
"""As many matches are fetched and sorted; of more, the newest are met soon on the way down from the newest document."""

WITHIN_S: Final = 5.0
CHUNK: Final = 500
NEIGHBOURS_MAX: Final = 64
"""Two texts of one second with one hash (odds of 1 in 2,000,000,000) take neighbouring places on SQLite."""

_FTS5: Final = (
    "CREATE VIRTUAL TABLE search USING fts5("
    "terms, document_id UNINDEXED, content_hash UNINDEXED, place UNINDEXED, tokenize = 'ascii', detail = full)"
)
# OFFSET 0 keeps the run's rows a look-up for each hit, newest first and no more than are wanted: as a join they would be read through.
_OF_RUN: Final = """EXISTS (
            SELECT 1 FROM admissions AS a WHERE a.run = :run AND a.document_id = s.document_id AND a.content_hash = s.content_hash
            AND a.outcome IN ('scored', 'edited') LIMIT 1 OFFSET 0)"""
_FEW: Final = f"""
    WITH few AS MATERIALIZED (
        SELECT place, document_id, content_hash FROM search
        WHERE terms @@ CAST(:terms AS tsquery) AND place >= :low AND place < :high LIMIT :few)
    SELECT counted.matches, found.* FROM (SELECT count(*) AS matches FROM few) AS counted LEFT JOIN LATERAL (
        SELECT s.* FROM (SELECT * FROM few WHERE counted.matches < :few ORDER BY place DESC OFFSET 0) AS s
        WHERE {_OF_RUN} LIMIT :limit) AS found ON true"""
_PLACED: Final = tuple(f"':{place} '" for place in range(1, TERMS_MAX + 1))
"""What stands between a term and the next one in PostgreSQL's own spelling: `'linlan':1 'bank':2 '·all'`."""

_CANCELED: Final = "57014"  # PostgreSQL: the statement's time is up


# --- writing ------------------------------------------------------------------------------------------------------------------
def create_index(connection: Connection) -> None:
    """Make the table and its indexes."""
    if _is_sqlite(connection):
        connection.exec_driver_sql(_FTS5)
    else:
        t.metadata.create_all(connection, tables=[t.search])


def index_texts(connection: Connection, documents: Sequence[Document], scores: Iterable[Score]) -> None:
    """Index documents, in the transaction that stores them and before it does.

    Those that are stored already stay as they are, the removed ones too.

    Args:
        connection: a writing transaction.
        documents: as they were taken.
        scores: what is said of those that were scored.
    """
    # PostgreSQL keeps the row that is there by its key; FTS5 has none but the place, and a content may come again with another time.
    stored = _stored(connection, documents) if _is_sqlite(connection) else set()
    _index(connection, [one for one in documents if _key(one) not in stored], scores)


def _stored(connection: Connection, documents: Sequence[Document]) -> set[Key]:
    d = t.documents.c
    found: set[Key] = set()
    for names in in_chunks(one.document_id for one in documents):
        found |= {(row[0], row[1]) for row in connection.execute(select(d.document_id, d.content_hash).where(d.document_id.in_(names)))}
    return found


def _index(connection: Connection, documents: Sequence[Document], scores: Iterable[Score]) -> None:
    scored = {(score.document_id, score.content_hash): score for score in scores}
    _insert(connection, RowsOf(documents, lambda one: _row(one, _written(connection, Indexed(one, scored.get(_key(one)))))))


def _row(document: Document, terms: str) -> dict[str, Any]:
    place = place_of(*_key(document), document.published_ms)
    return {"place": place, "document_id": document.document_id, "content_hash": document.content_hash, "terms": terms}


def index_all(connection: Connection) -> None:
    """Index every stored document: for a store from before there was an index."""
    d, s, r = t.documents.c, t.scores.c, t.removals.c
    removed = {tuple(row) for row in connection.execute(select(r.document_id, r.content_hash))}
    columns = [column for column in d if column.name not in ("tier", "role")]  # such a store has no column that came with a later migration
    after: Key = ("", "")
    while True:
        beyond = (d.document_id > after[0]) | ((d.document_id == after[0]) & (d.content_hash > after[1]))
        found = connection.execute(select(*columns).where(beyond).order_by(d.document_id, d.content_hash).limit(CHUNK)).mappings().all()
        if not found:
            return
        documents = [Document(**dict(row)) for row in found]
        bodies = connection.execute(
            select(s.body).where(s.document_id.in_([one.document_id for one in documents])).order_by(s.document_id, s.model_id.desc())
        )
        _index(connection, [one for one in documents if _key(one) not in removed], [decode(body, Score) for (body,) in bodies])
        blank = [one for one in documents if _key(one) in removed]
        _insert(connection, [_row(one, "") for one in blank])
        after = _key(documents[-1])


def forget_texts(connection: Connection, keys: Sequence[Key]) -> None:
    """Blank what texts are found by. The rows stay: the same content, met again, must not bring it back."""
    if not _is_sqlite(connection):
        wanted = [{"document_id": name, "content_hash": content} for name, content in keys]
        connection.execute(text("UPDATE search SET terms = '' WHERE document_id = :document_id AND content_hash = :content_hash"), wanted)
        return
    d = t.documents.c
    for name, content in keys:
        published = connection.execute(select(d.published_ms).where(d.document_id == name, d.content_hash == content)).scalar_one()
        place = place_of(name, content, published)
        connection.exec_driver_sql(
            "UPDATE search SET terms = '' WHERE rowid BETWEEN ? AND ? AND document_id = ? AND content_hash = ?",
            (place, place + NEIGHBOURS_MAX, name, content),
        )


def drop_texts(connection: Connection, keys: Sequence[Key]) -> None:
    """Delete rows before their documents go, which may come again."""
    if keys and not _is_sqlite(connection):
        wanted = [{"document_id": name, "content_hash": content} for name, content in keys]
        connection.execute(text("DELETE FROM search WHERE document_id = :document_id AND content_hash = :content_hash"), wanted)
        return
    d = t.documents.c
    for name, content in keys:
        published = connection.execute(select(d.published_ms).where(d.document_id == name, d.content_hash == content)).scalar_one_or_none()
        if published is not None:
            place = place_of(name, content, published)
            connection.exec_driver_sql(
                "DELETE FROM search WHERE rowid BETWEEN ? AND ? AND document_id = ? AND content_hash = ?",
                (place, place + NEIGHBOURS_MAX, name, content),
            )


def place_of(document_id: str, content_hash: str, published_ms: int) -> int:
    """Where a text stands among all results: by its second of publication, and by chance within it."""
    return _first_place(published_ms) | int(content_id(document_id, content_hash)[:8], 16) >> 32 - HASH_BITS


def _first_place(published_ms: int) -> int:
    return min(max(published_ms // 1000, 0), 2**32 - 1) << HASH_BITS


def _insert(connection: Connection, rows: Sequence[Row]) -> None:
    if not _is_sqlite(connection):
        insert_rows(connection, t.search, rows, keep=True)
    elif new := list(_new_places(connection, [tuple(row.values()) for row in rows])):
        columns = "rowid, document_id, content_hash, terms, place"
        connection.exec_driver_sql(f"INSERT INTO search ({columns}) VALUES (?1, ?2, ?3, ?4, ?1)", new)


def _new_places(connection: Connection, rows: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    """Those that are not there yet, each with a place of its own: FTS5 has no other key."""
    taken: dict[int, Key] = {}
    for places in in_chunks(row[0] for row in rows):
        marks = ", ".join("?" * len(places))
        found = connection.exec_driver_sql(f"SELECT rowid, document_id, content_hash FROM search WHERE rowid IN ({marks})", tuple(places))
        taken |= {row[0]: (row[1], row[2]) for row in found}
    for place, name, content, terms in rows:
        own = place
        while taken.get(own, (name, content)) != (name, content):
            own += 1
            beside = connection.exec_driver_sql("SELECT document_id, content_hash FROM search WHERE rowid = ?", (own,)).one_or_none()
            if beside is not None:
                taken.setdefault(own, (beside[0], beside[1]))
        if own not in taken:
            taken[own] = name, content
            yield own, name, content, terms


def _written(connection: Connection, indexed: Indexed) -> str:
    """The terms as the database reads them. They hold letters, digits and MARK only, so nothing has to be escaped."""
    facets = sorted(indexed.facets)
    if _is_sqlite(connection):
        return " ".join([*indexed.terms, *facets])
    # A term once for each of its places: PostgreSQL puts them together, in less time than it takes here.
    placed = "".join(chain.from_iterable(zip(indexed.terms, _PLACED, strict=False)))
    return "'" + placed + "' '".join(facets) + "'"


def _is_sqlite(connection: Connection) -> bool:
    return connection.dialect.name == "sqlite"


def _key(document: Document) -> Key:
    return document.document_id, document.content_hash


# --- looking ------------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Hit:
    """A text that was found."""

    place: int
    document_id: str
    content_hash: str


def find(connection: Connection, run: str, query: Query, *, limit: int, below: int | None = None, within_s: float = WITHIN_S) -> list[Hit]:
    """The newest texts of a run that a query means, by their time of publication.

    Args:
        connection: a reading transaction.
        run: whose admissions: what it counted, and the edits that it met.
        query: what is looked for.
        limit: at most so many.
        below: the place of the last hit of the page before.
        within_s: how long the database may look.

    Raises:
        UsageError: it takes longer; the text says how to narrow the query.
    """
    low = 0 if query.from_ms is None else _first_place(query.from_ms + 999)
    high = 2**63 - 1 if query.to_ms is None else _first_place(query.to_ms + 999)
    bounds = {"low": low, "high": high if below is None else min(high, below)}
    with _bounded(connection, within_s):
        if _is_sqlite(connection):
            return _walk(connection, run, _fts5(query.node), "search MATCH :terms", bounds, limit, order="rowid")
        terms, condition = _tsquery(query.node), "terms @@ CAST(:terms AS tsquery)"
        if _is_narrow(query.node):
            few = _few(connection, run, terms, bounds, limit)
            if few is not None:
                return few
        return _walk(connection, run, terms, condition, bounds, limit, order="place")


def _walk(connection: Connection, run: str, terms: str, condition: str, bounds: dict[str, int], limit: int, *, order: str) -> list[Hit]:
    """Down from the newest."""
    statement = f"""
        SELECT {order} AS place, document_id, content_hash FROM search AS s
        WHERE {condition} AND {order} >= :low AND {order} < :high AND {_OF_RUN}
        ORDER BY {order} DESC LIMIT :limit"""
    rows = connection.execute(text(statement), {"terms": terms, "run": run, "limit": limit, **bounds})
    return [Hit(*row) for row in rows]


def _few(connection: Connection, run: str, terms: str, bounds: dict[str, int], limit: int) -> list[Hit] | None:
    """Every match by the index of terms and nothing else, sorted; None where there are more than FEW_MAX.

    The planner guesses how frequent a word is, and a word that it takes for frequent and that is nowhere costs a walk through all.
    """
    connection.exec_driver_sql("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
    given = {"terms": terms, "run": run, "limit": limit, "few": FEW_MAX + 1, **bounds}
    rows = connection.execute(text(_FEW), given).all()
    connection.exec_driver_sql("SET LOCAL enable_seqscan TO DEFAULT; SET LOCAL enable_indexscan TO DEFAULT")
    many = bool(rows) and rows[0].matches > FEW_MAX
    return None if many else [Hit(row.place, row.document_id, row.content_hash) for row in rows if row.document_id is not None]


@contextmanager
def _bounded(connection: Connection, within_s: float) -> Iterator[None]:
    """Let the database look for so long."""
    try:
        if _is_sqlite(connection):
            deadline, driver = time.monotonic() + within_s, connection.connection.dbapi_connection
            driver.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)  # type: ignore[union-attr]
            try:
                yield
            finally:
                driver.set_progress_handler(None, 0)  # type: ignore[union-attr]
        else:
            # A plan is made for each query: one for any query would not know whether its words are rare.
            timeout = f"SET LOCAL statement_timeout = {round(within_s * 1000)}; SET LOCAL plan_cache_mode = force_custom_plan"
            connection.exec_driver_sql(timeout)
            yield
            connection.exec_driver_sql("SET LOCAL statement_timeout TO DEFAULT; SET LOCAL plan_cache_mode TO DEFAULT")
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELED and "interrupted" not in str(error.orig):
            raise
        reason = f"query: the database looked for {within_s:g} s and was stopped; narrow it with from:, to:, company: or a rarer word"
        raise UsageError(reason) from error


# --- what each database is asked ------------------------------------------------------------------------------------------------
def _is_narrow(node: Node | None) -> bool:
    """Whether there is something that every match must have."""
    match node:
        case Words() | Field():
            return True
        case And(of):
            return any(map(_is_narrow, of))
        case Or(of):
            return all(map(_is_narrow, of))
        case _:
            return False


def _tsquery(node: Node | None) -> str:
    match node:
        case None:
            return f"'{ALL}'"
        case Words():
            return _ts_phrase(node.phrase)
        case Field():
            return f"'{node.facet}'"
        case Not(of):
            return f"'{ALL}' & !({_tsquery(of)})"
        case And(of):
            return " & ".join(f"({_tsquery(each)})" for each in of)
        case Or(of):
            return " | ".join(f"({_tsquery(each)})" for each in of)


def _ts_phrase(phrase: Phrase) -> str:
    return " <-> ".join(f"'{term}'" for term in phrase.terms) + (":*" if phrase.open_end else "")


def _fts5(node: Node | None) -> str:
    match node:
        case None:
            return f'"{ALL}"'
        case Words():
            return '"' + " ".join(node.phrase.terms) + '"' + (" *" if node.phrase.open_end else "")
        case Field():
            return f'"{node.facet}"'
        case Not(of):
            return f'"{ALL}" NOT ({_fts5(of)})'
        case And(of):
            return " AND ".join(f"({_fts5(each)})" for each in of)
        case Or(of):
            return " OR ".join(f"({_fts5(each)})" for each in of)
