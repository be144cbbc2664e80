"""The records behind the golden files. Never change one: add another beside it, and run `python -m tests.golden.write`."""

import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from groundswell.codec import encode
from groundswell.records import (
    Alert,
    Arrival,
    Candidate,
    Contribution,
    Envelope,
    Heartbeat,
    Increment,
    LeftOut,
    Mention,
    Part,
    Peers,
    Quote,
    RawDocument,
    Score,
)

DIGEST: Final = bytes(range(256))

RECORDS: Final[dict[str, msgspec.Struct]] = {
    "raw_document": RawDocument(
        source="Harbour Wire",
        title="Linlan Bank delays redemption 临澜银行 𝔘",
        kind="comment",
        text="Holders may wait.",
        url="https://harbour.example/lanjin-7",
        id="hw-1",
        author_hash="ab12",
        owner="Harbour Group",
        language="en",
        published_ms=1_789_948_800_000,
        published_precision="minute",
        fetched_ms=1_789_948_801_000,
        known_ms=1_789_948_802_000,
        known_basis="claimed",
    ),
    "raw_document_least": RawDocument(source="s", title=""),
    "raw_document_thread": RawDocument(
        source="Harbour Forum",
        title="",
        kind="comment",
        text="Nor can I, $LLB is gone.",
        url="https://forum.harbour.example/t/7#p2",
        id="p2",
        updated_ms=1_789_948_800_000,
        tickers=["LLB", "600519.SH"],
        parent_id="p1",
        thread_position=2,
        asked_url="https://forum.harbour.example/t/7",
    ),
    "heartbeat": Heartbeat(source="Harbour Wire", fetched_ms=1_789_948_801_000, ok=False, fetched=3, new=1, reason="HTTP 503"),
    "score": Score(
        document_id="00000000000000d1",
        content_hash="00000000000000c1",
        model_id="linear@9f",
        language="en",
        topic="debt_credit",
        topic_ppm={"debt_credit": 900_000, "general_other": 100_000},
        sentiment="negative",
        negative_ppm=900_000,
        neutral_ppm=60_000,
        positive_ppm=40_000,
        native_topic=3,
        native_topic_ppm=[50_000] * 20,
        labels=["风险"],
        mentions=[Mention("LINLAN", 0, 11)],
        flags=["default_bankruptcy"],
        digest=DIGEST,
    ),
    "contribution": Contribution(
        series="entity:LINLAN",
        document_id="00000000000000d1",
        known_ms=1_789_948_802_000,
        published_ms=1_789_948_800_000,
        daily=False,
        fresh=True,
        owner="ab12",
        owner_known=True,
        sentiment="negative",
        negative_ppm=900_000,
        digest=DIGEST,
    ),
    "arrival": Arrival(source="Harbour Wire", language="en", known_ms=1_789_948_802_000, documents=2),
    "increment": Increment(
        series="entity:LINLAN",
        tick=119_329_920,
        pane=5_966_496,
        daily=False,
        members={"00000000000000d1": {"ab12": [1, 1, 0, 0, 900_000, 1, 1]}},
        negatives=[["00000000000000d1", "00000000000000d1", "ab12", 1, 900_000]],
    ),
    "candidate": Candidate(
        candidate_id="00000000000000f1",
        series="entity:LINLAN",
        window_s=3_600,
        tick=119_329_920,
        known_until_ms=1_789_948_815_000,
        statistic=6,
        expected_milli=500,
        limit=5,
        p_ppt=12_345,
        share_p_ppt=678,
        by="count",
        stories=7,
        owners=4,
        owners_known=True,
        baseline_share_ppm=300_000,
        exposure_ppm=950_000,
        level="open",
        evidence=[["00000000000000d1", "00000000000000d1", "ab12", 1, 900_000]],
    ),
    "alert": Alert(
        id="00000000000000a1",
        incident="00000000000000e1",
        update=0,
        kind="surge",
        series="entity:LINLAN",
        all_series=["entity:LINLAN"],
        opened_ms=1_789_948_815_000,
        known_until_ms=1_789_948_815_000,
        severity="high",
        title="Linlan Bank: 6 negative stories in an hour, 12x normal",
        statistic=6,
        expected_milli=500,
        limit=5,
        p_ppt=12_345,
        by="count",
        window_s=3_600,
        stories=7,
        owners=4,
        owners_known=True,
        negative_share_ppm=857_142,
        baseline_share_ppm=300_000,
        exposure_ppm=950_000,
        without_largest=5,
        without_largest_fires=True,
        parts=[Part(name="expected", stories=0, documents=0, owners=0, excess_milli=-500)],
        evidence=[
            Quote(
                document_id="00000000000000d1",
                title="Linlan Bank delays redemption",
                source="Harbour Wire",
                published_ms=1_789_948_800_000,
                known_ms=1_789_948_802_000,
                quote="Linlan Bank delays redemption",
                start=0,
                end=29,
                negative_ppm=900_000,
                story="00000000000000d1",
                url="https://harbour.example/lanjin-7",
            )
        ],
        doubts=["one platform, authors unknown"],
        versions={"model": "b41c", "catalogue": "77aa", "rules": "9e0d"},
    ),
}

LATER: Final[dict[str, msgspec.Struct]] = {
    "increment_stale": msgspec.structs.replace(
        RECORDS["increment"], negatives=[], stale=[["00000000000000d1", "00000000000000d1", "ab12", 1, 900_000, 1]]
    ),
    "candidate_late": msgspec.structs.replace(RECORDS["candidate"], kind="late", window_s=86_400, late_s=17_520),
    "candidate_blind": msgspec.structs.replace(RECORDS["candidate"], kind="blind", series="language:zh", evidence=[], ended=True),
    "alert_against": msgspec.structs.replace(
        RECORDS["alert"],
        kind="late",
        late_s=17_520,
        against=[LeftOut("comments", 5, fires=True), LeftOut("owner", 3, fires=False)],
        peers=Peers("sector", 9, 150_000, 170_000),
    ),
    "raw_document_standing": msgspec.structs.replace(RECORDS["raw_document"], kind="news", author_hash=None, tier=1, role="regulator"),
    "contribution_tier": msgspec.structs.replace(RECORDS["contribution"], tier=2),
    "increment_tier": msgspec.structs.replace(
        RECORDS["increment"], negatives=[["00000000000000d1", "00000000000000d1", "ab12", 1, 900_000, 1]]
    ),
    "candidate_sighting": msgspec.structs.replace(
        RECORDS["candidate"],
        kind="sighting",
        series="flag:sanction_penalty:LINLAN",
        window_s=86_400,
        evidence=[["00000000000000d1", "00000000000000d1", "Harbour Authority", 1, 100_000, 1]],
        quiet_days=30,
        believed_tier=1,
    ),
    "alert_word": msgspec.structs.replace(
        RECORDS["alert"],
        update=1,
        kind="sighting",
        series="word:denial:LINLAN",
        evidence=[
            Quote(
                document_id="00000000000000d2",
                title="Linlan Bank denies delay",
                source="Linlan Bank",
                published_ms=1_789_948_800_000,
                known_ms=1_789_948_802_000,
                quote="Linlan Bank denies delay",
                start=0,
                end=24,
                negative_ppm=100_000,
                story="00000000000000d2",
                role="issuer",
                tier=1,
            )
        ],
        news="denial",
        quiet_from_ms=1_789_900_000_000,
    ),
}

RECORDS.update(LATER)
GOLDEN: Final[dict[str, Any]] = {
    **RECORDS,
    "envelope": Envelope(records=[msgspec.Raw(encode(RECORDS["raw_document"])), msgspec.Raw(encode(RECORDS["heartbeat"]))]),
}


def main() -> None:
    """Write the files that are missing."""
    for name, record in GOLDEN.items():
        path = Path(__file__).parent / f"{name}.json"
        if not path.exists():
            path.write_bytes(encode(record))
            sys.stdout.write(f"written: {path.name}\n")


if __name__ == "__main__":
    main()
