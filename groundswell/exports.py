"""How records look to other programs: the command line and the board's JSON twins use the same words."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from groundswell.records import Alert


def iso(ms: int) -> str:
    """UTC with Z, to the second, or to the millisecond where there is one.

    >>> iso(1_700_000_000_000), iso(1_700_000_000_250)
    ('2023-11-14T22:13:20Z', '2023-11-14T22:13:20.250Z')
    """
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds" if ms % 1000 else "seconds").replace("+00:00", "Z")


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
        "evidence": [
            {
                "document_id": quote.document_id,
                "title": quote.title,
                "source": quote.source,
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


def _peers(alert: Alert) -> dict[str, Any] | None:
    peers = alert.peers
    if peers is None:
        return None
    shares = {"negative_share_before": peers.before_ppm / 1e6, "negative_share": peers.now_ppm / 1e6}
    return {"of": peers.of, "measured": peers.measured, **shares, "only_this_one": alert.alone}
