"""What people say of documents and alerts, as labelled texts that training reads (models/user_files.py).

    corrections   the sentiment or topic that somebody says is right; where people disagree, none
    verdicts      documents that an alert called true rests on, as negative: weak, and in files of their own

A file holds one language and one kind of text, so there are up to eight, and one recipe that names them. A text is written only where
it is stored: one that was removed, or never could be kept, is counted and left out; of one whose lead could not be kept, the title.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from sqlalchemy import Connection

from groundswell.judged import agreed, words_of
from groundswell.names import LANGUAGES
from groundswell.records import Corrected, Correction, Document
from groundswell.store.actions import corrections_of, verdicts_of
from groundswell.store.facts import counted_documents, documents_of
from groundswell.store.query import alerts_of
from models.scorer import scored_text
from models.taxonomy import NATIVE_TO_TOPIC, NATIVE_TOPICS
from models.user_files import UserFile

RECIPE: Final = "labels.toml"
GONE: Final = "its text was removed, or may not be kept"
Group = Literal["corrections", "verdicts"]
Row = dict[str, str]

ONE_NATIVE: Final[Mapping[str, str]] = {
    topic: NATIVE_TOPICS[NATIVE_TO_TOPIC.index(topic)] for topic in NATIVE_TO_TOPIC if NATIVE_TO_TOPIC.count(topic) == 1
}
"""The reported topics that are one of the topics that an English model is trained on; of the others nobody said which one is meant."""


@dataclass(frozen=True)
class Exported:
    """What was written, and what was not and why."""

    files: Mapping[str, int]  # {name: lines}
    recipe: str  # TOML that names them, as a training recipe does
    left_out: Mapping[str, int]  # {reason: documents}


def export_labels(connection: Connection, run: str, folder: Path, *, verdicts: bool) -> Exported:
    """Write what people said as files that a training recipe can name.

    Args:
        connection: a reading transaction.
        run: whose alerts; corrections are of documents, which every run shares.
        folder: where to; made if missing, files of the same names are replaced.
        verdicts: the documents of alerts that were judged true as well.
    """
    left_out: Counter[str] = Counter()
    corrections = corrections_of(connection)
    rows = _corrected(connection, corrections, left_out)
    if verdicts:
        said = {one.document_id for one in corrections}
        for key, found in _confirmed(connection, run, said, left_out).items():
            rows[key] = found
    files = {f"{group}_{language}_{kind}.jsonl": (language, kind, found) for (group, language, kind), found in sorted(rows.items())}
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, (language, kind, found) in files.items():
        (folder / name).write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in found))
        entries.append(_entry(name, language, kind, found))
    recipe = "\n".join(entries)
    (folder / RECIPE).write_text(recipe, encoding="utf-8")
    return Exported({name: len(found) for name, (_, _, found) in files.items()}, recipe, dict(sorted(left_out.items())))


Rows = dict[tuple[Group, str, str], list[Row]]


def _corrected(connection: Connection, corrections: Sequence[Correction], left_out: Counter[str]) -> Rows:
    """A line for each corrected text, with the labels that people agree on."""
    values: dict[tuple[str, str], dict[Corrected, str]] = defaultdict(dict)
    for (document_id, content_hash, what), value in agreed(corrections).items():
        if value is None:
            left_out["people disagree"] += 1
        elif what == "company":
            left_out["not about a company: no label of a text"] += 1
        else:
            values[document_id, content_hash][what] = value
    documents = documents_of(connection, values)
    rows: Rows = defaultdict(list)
    for key in sorted(values):
        document = documents.get(key)
        if document is None:
            left_out[GONE] += 1
        elif labels := _labels(values[key], document, left_out):
            rows["corrections", str(document.language), _kind(document)].append(_line(document) | labels)
    return rows


def _labels(said: Mapping[Corrected, str], document: Document, left_out: Counter[str]) -> Row:
    """The columns of a line; none where the text or the label cannot be used."""
    if not _is_usable(document, left_out):
        return {}
    labels: Row = {}
    if "sentiment" in said:
        labels["sentiment"] = said["sentiment"]
    if "topic" in said:
        if document.language == "en" and said["topic"] in ONE_NATIVE:
            labels["topic"] = ONE_NATIVE[said["topic"]]
        else:
            left_out[f"topic {said['topic']}: no one label of the {document.language} model's"] += 1
    return labels


def _confirmed(connection: Connection, run: str, corrected: set[str], left_out: Counter[str]) -> Rows:
    """A line for each document that an alert called true quotes, unless somebody corrected it."""
    words = words_of(verdicts_of(connection, run))
    quoted = {q.document_id for alert in alerts_of(connection, run) if words.get(alert.id) == "true" for q in alert.evidence}
    documents = counted_documents(connection, run, sorted(quoted - corrected), removed=True)
    rows: Rows = defaultdict(list)
    for _, document in sorted(documents.items()):
        if _is_usable(document, left_out):
            rows["verdicts", str(document.language), _kind(document)].append(_line(document) | {"sentiment": "negative"})
    return rows


def _is_usable(document: Document, left_out: Counter[str]) -> bool:
    if not scored_text(document).strip():
        left_out[GONE] += 1
        return False
    if document.language not in LANGUAGES:
        left_out[f"language {document.language or 'unknown'}"] += 1
        return False
    return True


def _kind(document: Document) -> str:
    return "post" if document.kind == "comment" else "news"


def _line(document: Document) -> Row:
    day = datetime.fromtimestamp(document.published_ms / 1000, UTC).date().isoformat()
    return {"text": scored_text(document), "date": day, "document_id": document.document_id}


def _entry(name: str, language: str, kind: str, rows: Iterable[Row]) -> str:
    """The lines of a recipe that read a file: only columns that it has."""
    there = {column for row in rows for column in row}
    columns = [column for column in ("sentiment", "topic", "date") if column in there]
    entry = msgspec.convert({"path": name, "language": language, "kind": kind, "text": "text"} | {c: c for c in columns}, UserFile)
    given = {"path": entry.path, "language": entry.language, "kind": entry.kind, "text": entry.text} | dict(entry.columns())
    return "\n".join(["[[data.user]]", *(f'{key} = "{value}"' for key, value in given.items()), ""])
