"""Alerts for tests: a realistic one of a bank that does not exist, any field replaced at will."""

from typing import Any

from groundswell.records import Alert, Part, Quote

OPENED_MS = 1_794_893_160_000  # 2026-11-17 05:26:00 UTC, 13:26 in Shanghai
MINUTE_MS = 60_000


def a_quote(**overrides: Any) -> Quote:
    """A quote of the alert's evidence."""
    fields: dict[str, Any] = {
        "document_id": "d1",
        "title": "Linlan Bank delays redemption of Lanjin-7",
        "source": "Harbour Wire",
        "published_ms": OPENED_MS - 34 * MINUTE_MS,
        "known_ms": OPENED_MS - 32 * MINUTE_MS,
        "quote": "Linlan Bank said holders of Lanjin-7 may wait up to 90 days",
        "start": 112,
        "end": 171,
        "negative_ppm": 970_000,
        "story": "d1",
        "url": "https://harbour.example/lanjin-7",
    }
    return Quote(**(fields | overrides))


def an_alert(**overrides: Any) -> Alert:
    """A surge of 14 negative stories in an hour where 1.7 were expected."""
    fields: dict[str, Any] = {
        "id": "a1b2c3d4e5f60718",
        "incident": "0f1e2d3c4b5a6978",
        "update": 0,
        "kind": "surge",
        "series": "entity:LINLAN",
        "all_series": ["entity:LINLAN", "topic:debt_credit:zh"],
        "opened_ms": OPENED_MS,
        "known_until_ms": OPENED_MS,
        "severity": "high",
        "title": "Linlan Bank delays redemption of Lanjin-7",
        "statistic": 14,
        "expected_milli": 1_700,
        "limit": 12,
        "p_ppt": 9_000_000,
        "by": "count",
        "window_s": 3_600,
        "stories": 22,
        "owners": 12,
        "owners_known": True,
        "negative_share_ppm": 670_000,
        "baseline_share_ppm": 120_000,
        "exposure_ppm": 950_000,
        "without_largest": 13,
        "without_largest_fires": True,
        "parts": [
            Part(name="Linlan Bank delays redemption of Lanjin-7", stories=8, documents=46, owners=7, excess_milli=8_000),
            Part(name="Outlook on Linlan revised to negative", stories=3, documents=11, owners=3, excess_milli=3_000),
            Part(name="临澜银行网点出现排队", stories=2, documents=6, owners=2, excess_milli=2_000),
            Part(name="other", stories=1, documents=2, owners=1, excess_milli=1_000),
            Part(name="expected", stories=0, documents=0, owners=0, excess_milli=-1_700),
        ],
        "evidence": [
            a_quote(),
            a_quote(
                document_id="d2",
                source="Vale Ratings",
                quote="outlook revised to negative from stable",
                story="d2",
                published_ms=OPENED_MS - 19 * MINUTE_MS,
            ),
            a_quote(
                document_id="d3",
                source="Market Square",
                quote="临澜银行网点下午仍在排队",
                story="d3",
                published_ms=OPENED_MS - 2 * MINUTE_MS,
            ),
            a_quote(document_id="d4", source="Quay Forum", quote="nobody picks up the phone", story="d4"),
        ],
        "doubts": ["9 documents repeat one post", "Quay Forum has not reported since 13:12"],
        "versions": {"model": "b41c", "catalogue": "77aa", "rules": "9e0d"},
    }
    return Alert(**(fields | overrides))
