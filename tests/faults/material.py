"""What a trial publishes, share by share, beside the log of the same records for the embedded shell; every word is invented."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from groundswell.codec import decode_raw, records_of
from groundswell.errors import RecordError
from groundswell.local_log import LocalLog, StagedRecord
from groundswell.names import DAY_MS, HOUR_MS, RAW_PARTITIONS, TICK_MS
from groundswell.records import RawDocument, Stamped
from stream.shells.publish import raw_partition, send_archive
from stream.shells.wire import punctuation
from tests.peers import REPOSITORY
from tests.synthetic_news import documents, staged_records

ENVELOPE_RECORDS: Final = 5
GOLDEN: Final = REPOSITORY / "tests" / "golden"
POISON: Final = (b"\x00\xff\xfe neither an envelope nor text", b"{", b"null", b"{}")
BEHIND_MS: Final = 2 * TICK_MS  # how far the punctuation at the end of a share is behind its last record

Message = tuple[int, bytes]
"""Raw partition and bytes."""


@dataclass
class Material:
    """One trial's input.

    Args:
        log: every record with the time that the pipeline must give it.
        shares: what is published, in order; after each, every partition's time has passed all that was in it.
        poison: messages in front of everything else that are no envelopes; they are in no log.
    """

    log: LocalLog
    shares: list[list[Message]]
    ends_ms: list[int]  # through when each share brings every partition
    poison: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Twists:
    """What is done to the records on their way in.

    Args:
        duplicates: one envelope in ten is delivered again, after others.
        clocks: one crawler's clock is an hour behind, another's a day ahead.
        old: envelopes as the first release wrote them, and one from before there were versions.
        poison: the first message of some partitions is no envelope.
        readable: without the archive's records that nobody can read, which a crawler never has.
    """

    duplicates: bool = False
    clocks: bool = False
    old: bool = False
    poison: bool = False
    readable: bool = False


def make_material(folder: Path, *, shares: int, twists: Twists) -> Material:
    """The synthetic archive, cut into about so many shares."""
    folder.mkdir(parents=True, exist_ok=True)
    staged = staged_records(with_clocks(documents()) if twists.clocks else documents())
    if twists.readable:
        staged = [record for record in staged if record.source != "?"]
    rng = random.Random(29)
    messages: list[list[Message]] = []
    ends_ms: list[int] = []
    for number, share in enumerate(cut(sealed(folder / "plain.db", staged), shares)):
        sent = _sent(folder / f"share-{number}.db", share)
        end_ms = share[-1].known_ms + BEHIND_MS
        if twists.duplicates:
            again = [message for message in sent if _is_envelope(message[1]) and rng.random() < 0.1]
            # By then every partition's time is at the end of the share.
            staged += [_staged(record, known_ms=end_ms) for _, body in again for record in records_of(body)]
            sent += again
        messages.append(sent)
        ends_ms.append(end_ms)
    if twists.old:
        old, more = old_envelopes(ends_ms[-1])
        messages.append(old)
        ends_ms.append(ends_ms[-1] + HOUR_MS)
        staged += more
    poison = list(POISON) if twists.poison else []
    for partition, body in enumerate(poison):
        messages[0].insert(0, (3 * partition, body))
    return Material(sealed(folder / "all.db", staged), messages, ends_ms, poison)


def with_clocks(found: Iterable[RawDocument]) -> Iterator[RawDocument]:
    """Documents as three crawlers have fetched them, one of whom is an hour behind and one a day ahead."""
    for place, document in enumerate(found):
        wrong_ms = (0, -HOUR_MS, DAY_MS)[place % 3]
        yield msgspec.structs.replace(document, fetched_ms=(document.known_ms or 0) + wrong_ms)


def sealed(path: Path, staged: list[StagedRecord]) -> LocalLog:
    """A sorted log of records."""
    log = LocalLog(path)
    log.stage("trial", staged, lines=len(staged), done=True)
    log.seal()
    return log


def cut(log: LocalLog, shares: int) -> list[list[Stamped]]:
    """The log's records in about so many pieces, each of which ends well before the next one begins."""
    with log:
        records = log.read(0, limit=10**6)
    borders = [place + 1 for place, (a, b) in enumerate(pairwise(records)) if b.known_ms - a.known_ms > 2 * BEHIND_MS]
    wanted = [len(records) * number // shares for number in range(1, shares)]
    chosen = sorted({min(borders, key=lambda border: abs(border - place)) for place in wanted})
    return [records[a:b] for a, b in pairwise([0, *chosen, len(records)])]


def _sent(path: Path, share: list[Stamped]) -> list[Message]:
    """The messages that publish a piece of the archive."""
    sent: list[Message] = []
    with sealed(path, [_staged(record.body, known_ms=record.known_ms) for record in share]) as log:
        send_archive(log, lambda partition, body: sent.append((partition, body)), envelope_records=ENVELOPE_RECORDS)
    return sent


def _staged(body: bytes, *, known_ms: int) -> StagedRecord:
    """A record for a log, sorted there as tests/synthetic_news.py has it sorted."""
    try:
        raw = decode_raw(body)
    except RecordError:
        return StagedRecord(known_ms, "broken", "?", body)
    return StagedRecord(known_ms, f"{raw.source}:{raw.id}" if isinstance(raw, RawDocument) else "", raw.source, body)


def _is_envelope(body: bytes) -> bool:
    try:
        return len(records_of(body)) > 0
    except RecordError:
        return False


def old_envelopes(after_ms: int) -> tuple[list[Message], list[StagedRecord]]:
    """Messages in the bytes of the first release, moved behind a time, and the same records for the log."""
    golden, least = (GOLDEN / "envelope.json").read_bytes(), (GOLDEN / "raw_document_least.json").read_bytes()
    for place, known_ms in enumerate((1_789_948_800_000, 1_789_948_801_000, 1_789_948_802_000)):
        golden = golden.replace(str(known_ms).encode(), str(after_ms + 60_000 + 1_000 * place).encode())
    (document, _heartbeat), known_ms = records_of(golden), after_ms + 62_000
    raw = decode_raw(document)
    assert isinstance(raw, RawDocument)
    versionless = b'{"records":[' + least + b'],"time_ms":' + str(known_ms).encode() + b"}"
    sent = [(raw_partition(raw, known_ms=known_ms), golden), (0, versionless)]
    sent += [(partition, punctuation(after_ms + HOUR_MS)) for partition in range(RAW_PARTITIONS)]
    return sent, [StagedRecord(known_ms, "golden", raw.source, document), StagedRecord(known_ms, "least", "s", least)]
