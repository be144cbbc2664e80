"""A raw envelope, and where the scripts are told what to do: what both of them share. msgspec, as this project decodes."""

import os
import time
from pathlib import Path

import msgspec
import psycopg2
from plain import said, series_of
from psycopg2.extras import execute_values

BROKER, TOPIC, GROUP = os.environ["RIVAL_BROKER"], os.environ["RIVAL_TOPIC"], os.environ["RIVAL_GROUP"]
DATABASE = os.environ["RIVAL_DATABASE"]
FOLDER = Path(os.environ["RIVAL_FOLDER"])
WITH_FACTS = os.environ["RIVAL_FACTS"] == "yes"
WINDOWS = (
    "INSERT INTO windows (series, start, documents, negative) VALUES %s "
    "ON CONFLICT (series, start) DO UPDATE SET documents = EXCLUDED.documents, negative = EXCLUDED.negative"
)
FACTS = "INSERT INTO facts (document_id, source, title, text, known_ms, published_ms, topic, negative_ppm) VALUES %s ON CONFLICT DO NOTHING"


class Record(msgspec.Struct):
    """The fields of a raw document that a pipeline needs."""

    id: str = ""
    source: str = ""
    title: str = ""
    text: str = ""
    known_ms: int = 0
    published_ms: int = 0


class Envelope(msgspec.Struct):
    """Many records of one message."""

    records: list[msgspec.Raw] = []


_envelope, _record = msgspec.json.Decoder(Envelope), msgspec.json.Decoder(Record)
_begun = False


def opened(body: bytes) -> list[Record]:
    """A message's documents, one by one as this project decodes them; the first call notes the time."""
    global _begun
    if not _begun:
        _begun = True
        (FOLDER / f"began-{os.getpid()}").write_text(repr(time.time()))
    return [_record.decode(each) for each in _envelope.decode(body).records]


def fact(record: Record) -> dict[str, str | int]:
    """A document with its score, as a row."""
    score = said(record.title)
    return {
        "document_id": record.id, "source": record.source, "title": record.title, "text": record.text,
        "known_ms": record.known_ms, "published_ms": record.published_ms, "topic": score.topic, "negative_ppm": score.negative_ppm,
    }  # fmt: skip


def contributions(record: Record) -> list[tuple[str, int, int]]:
    """(series, published time, 1 if negative) for each series."""
    score = said(record.title)
    return [(series, record.published_ms, int(score.is_negative)) for series in series_of(score)]


class Writer:
    """One connection, one transaction for each batch of rows."""

    def __init__(self) -> None:
        self._link = psycopg2.connect(DATABASE)

    def write(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        """Insert rows and commit."""
        with self._link, self._link.cursor() as cursor:
            execute_values(cursor, statement, rows, page_size=1_000)
