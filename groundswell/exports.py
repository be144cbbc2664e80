"""How records look to other programs: the command line and the board's JSON twins use the same words."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import msgspec

from groundswell.records import Alert, Document, Score
from groundswell.terms import Phrase, excerpt, marks

QUOTE_CHARACTERS: Final = 240
FORMULA: Final = tuple("=+-@＝＋－＠")  # the wide ones are the same to a spreadsheet in Chinese or Japanese
DOCUMENT_COLUMNS: Final = [
    "published_at", "source", "title", "sentiment", "p_negative", "topic", "companies", "kind", "language", "known_at", "known_basis",
    "quote", "quote_start", "quote_end", "url", "document_id", "content_hash", "outcome",
]  # fmt: skip


def iso(ms: int) -> str:
    """UTC with Z, to the second, or to the millisecond where there is one.

    >>> iso(1_700_000_000_000), iso(1_700_000_000_250)
    ('2023-11-14T22:13:20Z', '2023-11-14T22:13:20.250Z')
    """
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")


def cell(value: Any) -> Any:
    r"""A value in a CSV file.

    >>> cell(1 / 3), cell(["a"]), cell("=1+1"), cell(""), cell(None)
    ('0.333333', '["a"]', "'=1+1", '', None)
    >>> cell(" ＝1+1"), cell("a\r=1+1")
    ("' ＝1+1", 'a\n=1+1')
    """
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    if not isinstance(value, str):
        return value
    # A carriage return alone gets no quotation marks from the writer, and begins a row in a spreadsheet.
    text = value.replace("\r\n", "\n").replace("\r", "\n")
    # A spreadsheet runs a cell that begins like a formula: headlines are strangers' text.
    return f"'{text}" if text.lstrip().startswith(FORMULA) or text.startswith("\t") else text


def write_csv(out: TextIO, rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> int:
    """Write rows as CSV; returns how many."""
    writer = csv.DictWriter(out, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    return sum(1 for row in rows if writer.writerow({name: cell(row[name]) for name in columns}) is not None)


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """Rows as the text of a CSV file."""
    out = io.StringIO()
    write_csv(out, rows, columns)
    return out.getvalue()


def alert_row(alert: Alert, removed: Mapping[str, int], *, basis: Mapping[str, str]) -> dict[str, Any]:
    """An alert as other programs read it: times in UTC with Z, probabilities and shares as numbers.

    Args:
        alert: as stored; it keeps its quotes.
        removed: {document id: when its text was removed, ms}.
        basis: {document id: how its known time came about}.
    """
    gone = {document_id: iso(removed_ms) for document_id, removed_ms in removed.items()}
    return {
        "id": alert.id,
        "incident": alert.incident,
        "update": alert.update,
        "kind": alert.kind,
        "series": alert.series,
        "all_series": alert.all_series,
        "opened_at": iso(alert.opened_ms),
        "known_until": iso(alert.known_until_ms),
        "severity": alert.severity,
        "title": alert.title,
        "statistic": alert.statistic,
        "expected": alert.expected_milli / 1000,
        "limit": alert.limit,
        "p": alert.p_ppt / 1e12,
        "window_s": alert.window_s,
        "stories": alert.stories,
        "owners": alert.owners,
        "owners_known": alert.owners_known,
        "negative_share": alert.negative_share_ppm / 1e6,
        "baseline_share": alert.baseline_share_ppm / 1e6,
        "exposure": alert.exposure_ppm / 1e6,
        "without_largest": alert.without_largest,
        "without_largest_fires": alert.without_largest_fires,
        "parts": [
            {"name": p.name, "stories": p.stories, "documents": p.documents, "owners": p.owners, "excess": p.excess_milli / 1000}
            for p in alert.parts
        ],
        "doubts": alert.doubts,
        "against": [{"without": left.what, "statistic": left.statistic, "fires": left.fires} for left in alert.against],
        "peers": _peers(alert),
        "late_s": alert.late_s,
        "ended": alert.ended,
        "news": alert.news or None,
        "quiet_since": iso(alert.quiet_from_ms) if alert.quiet_from_ms else None,
        "evidence": [
            {
                "document_id": quote.document_id,
                "title": quote.title,
                "source": quote.source,
                "role": quote.role or None,
                "tier": quote.tier or None,
                "published_at": iso(quote.published_ms),
                "known_at": iso(quote.known_ms),
                "known_basis": basis.get(quote.document_id),
                "quote": quote.quote,
                "start": quote.start,
                "end": quote.end,
                "p_negative": quote.negative_ppm / 1e6,
                "story": quote.story,
                "url": quote.url,
                "text_removed_at": gone.get(quote.document_id),
            }
            for quote in alert.evidence
        ],
        "versions": alert.versions,
    }


def document_row(document: Document, score: Score | None, *, outcome: str, phrases: Sequence[Phrase] = ()) -> dict[str, Any]:
    r"""A document as other programs read it, with a verbatim quote around the first of the phrases.

    Args:
        document: with the known time of its admission.
        score: what the run's model says; None: it was not scored, and sentiment, topic and companies are None.
        outcome: what it was in the run, "scored" or "edited".
        phrases: what was looked for; `quote_start` and `quote_end` are offsets in "title\ntext".
    """
    spans = marks(document.text, phrases)
    in_title = not document.text or (not spans and bool(marks(document.title, phrases)))
    start, end = (0, len(document.title)) if in_title else excerpt(document.text, spans, characters=QUOTE_CHARACTERS)
    offset = 0 if in_title else len(document.title) + 1
    return {
        "document_id": document.document_id,
        "content_hash": document.content_hash,
        "source": document.source,
        "kind": document.kind,
        "language": document.language,
        "title": document.title,
        "published_at": iso(document.published_ms),
        "known_at": iso(document.known_ms),
        "known_basis": document.known_basis,
        "topic": None if score is None else score.topic,
        "sentiment": None if score is None else score.sentiment,
        "p_negative": None if score is None else score.negative_ppm / 1e6,
        "companies": None if score is None else list(dict.fromkeys(mention.entity_id for mention in score.mentions)),
        "quote": document.title if in_title else document.text[start:end],
        "quote_start": offset + start,
        "quote_end": offset + end,
        "url": document.url,
        "outcome": outcome,
    }


def _peers(alert: Alert) -> dict[str, Any] | None:
    peers = alert.peers
    if peers is None:
        return None
    shares = {"negative_share_before": peers.before_ppm / 1e6, "negative_share": peers.now_ppm / 1e6}
    return {"of": peers.of, "measured": peers.measured, **shares, "only_this_one": alert.alone}
