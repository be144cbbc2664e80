"""What the score stage stores, facts first: admissions, documents with what they are found by, scores, drops, heartbeats."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    exists,
    func,
    literal_column,
    not_,
    or_,
    select,
    true,
)

from groundswell.codec import decode, encode
from groundswell.names import CANARY_SOURCE, HEARD_OUTCOMES, TICK_MS
from groundswell.records import Admission, Arrival, Document, Drop, Heartbeat, Position, Score
from groundswell.store import schema as t
from groundswell.store.bulk import RowsOf
from groundswell.store.chunks import in_chunks
from groundswell.store.history import history_of
from groundswell.store.search import index_texts
from groundswell.store.store import Store
from groundswell.terms import kept_text


def write_intake(
    store: Store,
    connection: Connection,
    run: str,
    *,
    admissions: Iterable[Admission] = (),
    documents: Iterable[Document] = (),
    scores: Iterable[Score] = (),
    drops: Iterable[Drop] = (),
) -> int:
    """Insert what a batch brought; rows that are there already are kept as they are.

    Returns:
        How many scores were new.
    """
    # One order, so that two runs that store the same documents do not lock each other.
    documents = sorted(documents, key=lambda document: (document.document_id, document.content_hash))
    scores = sorted(scores, key=lambda score: (score.document_id, score.content_hash))
    index_texts(connection, documents, scores)
    store.insert(connection, t.documents, RowsOf(documents, _document_row))
    scored = store.insert(connection, t.scores, RowsOf(scores, _score_row))
    store.insert(connection, t.admissions, RowsOf(list(admissions), partial(_admission_row, run)))
    store.insert(
        connection,
        t.drops,
        [
            place_row(run, drop.position)
            | {"known_ms": drop.known_ms, "source": _storable(drop.source), "reason": _storable(drop.reason), "body": drop.body}
            for drop in drops
        ],
    )
    return scored


def count_taken(store: Store, connection: Connection, run: str, read: Iterable[tuple[Position, Document] | Drop]) -> None:
    """Count what was read for the first time, by partition and source, in the transaction that moves the offset behind it."""
    counts: Counter[tuple[int, str]] = Counter()
    for each in read:
        position, source = (each.position, each.source) if isinstance(each, Drop) else (each[0], each[1].source)
        counts[position.partition, _storable(source)] += 1
    rows = [{"run": run, "part": part, "source": source, "documents": n} for (part, source), n in sorted(counts.items())]
    store.add(connection, t.taken, rows, column="documents")


def _storable(text: str) -> str:
    """Text of strangers as PostgreSQL takes it: without NUL and lone surrogates, at most 1,000 characters."""
    return text[:1_000].replace("\x00", "").encode("utf-8", "replace").decode()


def _bounded(number: int) -> int:
    """A stranger's number as a 64-bit column takes it."""
    return min(max(number, 0), 2**62)


def place_row(run: str, position: Position) -> dict[str, Any]:
    """The key of a row that stands for one raw record of one run."""
    return {"run": run, "part": position.partition, "position": position.offset, "place": position.index}


def in_span(table: Table, run: str, part: int, first: int, last: int) -> ColumnElement[bool]:
    """Rows of such a table between two offsets of one raw partition, both inclusive."""
    c = table.c
    return and_(c.run == run, c.part == part, c.position.between(first, last))


def _document_row(document: Document) -> dict[str, Any]:
    """A document as it may be stored. One place, so that no shell can store what another one does not."""
    row = msgspec.structs.asdict(document)
    row["title"], row["text"] = kept_text(document)
    del row["store_text"]
    return row


def _admission_row(run: str, admission: Admission) -> dict[str, Any]:
    return place_row(run, admission.position) | {
        "known_ms": admission.known_ms,
        "tick": admission.known_ms // TICK_MS,
        "source": admission.source,
        "language": admission.language,
        "outcome": admission.outcome,
        "document_id": admission.document_id,
        "content_hash": admission.content_hash,
        "model_id": admission.model_id,
    }


def _score_row(score: Score) -> dict[str, Any]:
    return {
        "document_id": score.document_id,
        "content_hash": score.content_hash,
        "model_id": score.model_id,
        "topic": score.topic,
        "sentiment": score.sentiment,
        "negative_ppm": score.negative_ppm,
        "body": encode(score),
    }


def write_heartbeats(store: Store, connection: Connection, heartbeats: Iterable[Heartbeat]) -> None:
    """Keep the last poll of each source; `ok_ms` stays at the last successful one."""
    for beat in sorted(heartbeats, key=lambda beat: beat.source):  # one order, so that two writers cannot lock each other
        source, polled_ms = _storable(beat.source), _bounded(beat.fetched_ms)
        before = connection.execute(select(t.heartbeats.c.ok_ms).where(t.heartbeats.c.source == source)).scalar_one_or_none()
        row = {
            "source": source,
            "polled_ms": polled_ms,
            "ok_ms": polled_ms if beat.ok else before,
            "fetched": _bounded(beat.fetched),
            "new": _bounded(beat.new),
            "reason": None if beat.reason is None else _storable(beat.reason),
        }
        store.upsert(connection, t.heartbeats, [row])


def known_contents(connection: Connection, run: str, document_ids: Sequence[str]) -> dict[str, dict[str, Position]]:
    """{document id: {content hash: first position}} of the run, for these documents."""
    known: dict[str, dict[str, Position]] = {}
    statement = _contents_by_document(connection.dialect.name)
    for chunk in in_chunks(document_ids):
        rows = connection.execute(statement, {"keys": chunk, "run": run})
        for document_id, content_hash, part, position, place in rows:
            contents = known.setdefault(document_id, {})
            here = Position(part, position, place)
            contents[content_hash] = min(here, contents.get(content_hash, here))
    return known


def models_of(connection: Connection, run: str, part: int, first: int, last: int) -> dict[Position, str]:
    """{position: whose score counted} of a span of one raw partition, where it was not the model that the run began with."""
    a = t.admissions.c
    rows = connection.execute(
        select(a.part, a.position, a.place, a.model_id).where(in_span(t.admissions, run, part, first, last), a.model_id.is_not(None))
    )
    return {Position(part, position, place): model_id for part, position, place, model_id in rows}


def stored_scores(connection: Connection, keys: Iterable[tuple[str, str]], *, model_id: str) -> dict[tuple[str, str], Score]:
    """{(document id, content hash): score} for what this model has scored already."""
    wanted = set(keys)
    found: dict[tuple[str, str], Score] = {}
    statement = _scores_by_document(connection.dialect.name)
    for chunk in in_chunks(document_id for document_id, _ in wanted):
        rows = connection.execute(statement, {"keys": chunk, "model_id": model_id})
        for document_id, content_hash, body in rows:
            if (document_id, content_hash) in wanted:
                found[document_id, content_hash] = decode(body, Score)
    return found


def counted_documents(connection: Connection, run: str, document_ids: Iterable[str], *, removed: bool = False) -> dict[str, Document]:
    """{document id: document} in the content that counted in this run, with the known time of its admission there.

    Args:
        connection: a reading transaction.
        run: whose.
        document_ids: which.
        removed: also those whose text was removed, with empty title and text.
    """
    found: dict[str, Document] = {}
    a, r = t.admissions.c, t.removals.c
    is_whole = not_(exists().where(r.document_id == a.document_id, r.content_hash == a.content_hash))
    for chunk in in_chunks(document_ids):
        wanted = [a.run == run, a.document_id.in_(chunk), *([] if removed else [is_whole])]
        for _, document in _counted(connection, *wanted):
            found[document.document_id] = document
    return found


def documents_of(connection: Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Document]:
    """{(document id, content hash): document} of contents whose text is there, with the known time that each was first stored with."""
    wanted, d, r = set(keys), t.documents.c, t.removals.c
    is_whole = not_(exists().where(r.document_id == d.document_id, r.content_hash == d.content_hash))
    found = {}
    for chunk in in_chunks(document_id for document_id, _ in wanted):
        for row in connection.execute(select(t.documents).where(d.document_id.in_(chunk), is_whole)).mappings():
            if (row["document_id"], row["content_hash"]) in wanted:
                found[row["document_id"], row["content_hash"]] = Document(**dict(row))
    return found


def counted_between(connection: Connection, run: str, *, since_tick: int, through_tick: int) -> list[tuple[Admission, Document]]:
    """What a run itself counted in a span of ticks (both inclusive); removed texts are empty."""
    return _counted(connection, t.admissions.c.run == run, t.admissions.c.tick.between(since_tick, through_tick))


def _counted(connection: Connection, *wanted: ColumnElement[bool]) -> list[tuple[Admission, Document]]:
    """Scored admissions with their documents, latest positions first: of two, the first one is the one that stays in a dictionary."""
    a, d = t.admissions.c, t.documents.c
    columns = [column for column in t.documents.columns if column.name != "known_ms"]
    joined = t.admissions.join(t.documents, and_(a.document_id == d.document_id, a.content_hash == d.content_hash))
    rows = connection.execute(
        select(a.part, a.position, a.place, a.known_ms, a.model_id, *columns)
        .select_from(joined)
        .where(*wanted, a.outcome == "scored")
        .order_by(a.position.desc(), a.place.desc())
    )
    found = []
    for row in rows.mappings():
        values = dict(row)
        position = Position(values.pop("part"), values.pop("position"), values.pop("place"))
        model_id = values.pop("model_id")
        document = Document(**values)
        admission = Admission(
            position=position,
            known_ms=document.known_ms,
            source=document.source,
            language=document.language,
            outcome="scored",
            document_id=document.document_id,
            content_hash=document.content_hash,
            model_id=model_id,
        )
        found.append((admission, document))
    return found


# --- who was heard ------------------------------------------------------------------------------------------------------------
def heard_of(connection: Connection, run: str, *, history: bool = True) -> ColumnElement[bool]:
    """The admissions that a run has heard: its own, and those of its history."""
    a = t.admissions.c
    mine: ColumnElement[bool] = and_(a.run == run, a.source != CANARY_SOURCE)
    before = history_of(connection, run) if history else None
    return mine if before is None else or_(mine, and_(a.run == before.run, a.tick < before.before_tick))


def arrival_ticks(connection: Connection, run: str, *, since_tick: int, through_tick: int, history: bool = True) -> list[tuple[str, int]]:
    """Distinct (source, tick) of what was heard, ascending."""
    a = t.admissions.c
    rows = connection.execute(
        select(a.source, a.tick)
        .where(heard_of(connection, run, history=history), a.tick.between(since_tick, through_tick), a.outcome.in_(HEARD_OUTCOMES))
        .distinct()
        .order_by(a.source, a.tick)
    )
    return [(source, tick) for source, tick in rows]


def arrivals_between(
    connection: Connection, run: str, *, since_tick: int, through_tick: int, history: bool = True
) -> list[tuple[str, str, int]]:
    """(source, language, documents) of what was heard in a span of ticks."""
    a = t.admissions.c
    rows = connection.execute(
        select(a.source, a.language, func.count())
        .where(heard_of(connection, run, history=history), a.tick.between(since_tick, through_tick), a.outcome.in_(HEARD_OUTCOMES))
        .group_by(a.source, a.language)
    )
    return sorted((source, language or "", documents) for source, language, documents in rows)


def arrivals_by_tick(connection: Connection, run: str, *, since_tick: int, through_tick: int) -> dict[int, list[Arrival]]:
    """What was heard in each tick of a span (both inclusive), as fold was told of it."""
    a = t.admissions.c
    rows = connection.execute(
        select(a.tick, a.source, a.language, func.count())
        .where(heard_of(connection, run), a.tick.between(since_tick, through_tick), a.outcome.in_(HEARD_OUTCOMES))
        .group_by(a.tick, a.source, a.language)
    )
    heard: dict[int, list[Arrival]] = defaultdict(list)
    for tick, source, language, documents in rows:
        heard[tick].append(Arrival(source, language or "", tick * TICK_MS, documents))
    return heard


def first_tick(connection: Connection, run: str, *, history: bool = True) -> int | None:
    """The run's first tick with an arrival; with `history`, that of its history."""
    a = t.admissions.c
    heard = heard_of(connection, run, history=history)
    return connection.execute(select(func.min(a.tick)).where(heard, a.outcome.in_(HEARD_OUTCOMES))).scalar_one_or_none()


def tick_before(connection: Connection, run: str, tick: int, *, history: bool = True) -> int | None:
    """The last tick with an arrival before a tick."""
    a = t.admissions.c
    heard = heard_of(connection, run, history=history)
    return connection.execute(select(func.max(a.tick)).where(heard, a.tick < tick, a.outcome.in_(HEARD_OUTCOMES))).scalar_one_or_none()


@cache
def _contents_by_document(dialect: str) -> Select[Any]:
    a = t.admissions.c
    columns = a.document_id, a.content_hash, a.part, a.position, a.place
    return _lookup(dialect, a.document_id, *columns, where=a.run == bindparam("run"))


@cache
def _scores_by_document(dialect: str) -> Select[Any]:
    s = t.scores.c
    return _lookup(dialect, s.document_id, s.document_id, s.content_hash, s.body, where=s.model_id == bindparam("model_id"))


def _lookup(dialect: str, key: ColumnElement[str], *columns: ColumnElement[Any], where: ColumnElement[bool]) -> Select[Any]:
    """A statement for the rows of many `keys`, in no order; made once, since a small batch costs less than making it.

    PostgreSQL is told to look each key up. From a list it makes a plan of its own, which psycopg prepares while the table is small: it
    compares every row of the run with every key, and stays until the table is analysed.
    """
    if dialect != "postgresql":
        return select(*columns).where(key.in_(bindparam("keys", expanding=True)), where)
    wanted = func.unnest(bindparam("keys", type_=ARRAY(Text))).table_valued("key", name="wanted").render_derived()
    found = select(*columns).where(key == wanted.c.key, where).offset(literal_column("0")).lateral("found")  # the offset keeps it apart
    return select(found).select_from(wanted).join(found, true())
