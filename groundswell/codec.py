"""Bytes <-> records, and nothing else.

Wire format: JSON, one tagged object per record (`"type": "document"`), many records to an envelope with the schema
version `v`. Rules of change: a new field has a default; a type never changes; a name is never used again with another
meaning; bytes written by any earlier release decode for ever (tests/golden holds some of each).
"""

import base64
from typing import Final, TypeVar

import msgspec

from groundswell.errors import RecordError, reason_of
from groundswell.names import DIGEST_WORDS, ENVELOPE_BYTES_MAX, ENVELOPE_RECORDS_MAX
from groundswell.records import Envelope, Heartbeat, RawDocument

SCHEMA_VERSION: Final = 1

RawRecord = RawDocument | Heartbeat
T = TypeVar("T")

_encoder: Final = msgspec.json.Encoder()
_canonical: Final = msgspec.json.Encoder(order="sorted")
_raw_decoder: Final[msgspec.json.Decoder[RawRecord]] = msgspec.json.Decoder(RawRecord)
_envelope_decoder: Final = msgspec.json.Decoder(Envelope)
# RecursionError: a field that nobody knows may still be nested a hundred thousand deep.
_BROKEN: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encode(record: object) -> bytes:
    """JSON bytes of any record."""
    return _encoder.encode(record)


def canonical(value: object) -> bytes:
    """JSON bytes with sorted keys: equal values give equal bytes, whatever order they were built in.

    >>> canonical({"b": 1, "a": 2})
    b'{"a":2,"b":1}'
    """
    return _canonical.encode(value)


def decode_raw(body: bytes) -> RawRecord:
    """A raw record from its bytes.

    Raises:
        RecordError: not UTF-8, not JSON, or a field of the wrong type; the text has the path of the field.
    """
    try:
        return _raw_decoder.decode(body)
    except _BROKEN as error:
        reason = f"raw record: {reason_of(error)}"
        raise RecordError(reason) from error


def decode(body: bytes, kind: type[T]) -> T:
    """Any other record that this project wrote itself.

    Raises:
        RecordError: the bytes are not such a record.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except _BROKEN as error:
        reason = f"{kind.__name__}: {reason_of(error)}"
        raise RecordError(reason) from error


def envelopes_of(bodies: list[bytes]) -> list[bytes]:
    """Pack encoded raw records into as few envelopes as their limits allow; order is kept.

    >>> len(envelopes_of([b'{}'] * 257))
    2
    """
    packed: list[bytes] = []
    batch: list[msgspec.Raw] = []
    size = 0
    for body in bodies:
        if batch and (len(batch) == ENVELOPE_RECORDS_MAX or size + len(body) > ENVELOPE_BYTES_MAX):
            packed.append(encode(Envelope(records=batch)))
            batch, size = [], 0
        batch.append(msgspec.Raw(body))
        size += len(body) + 1
    if batch:
        packed.append(encode(Envelope(records=batch)))
    return packed


def records_of(envelope: bytes) -> list[bytes]:
    """The encoded records of an envelope, still undecoded, so that one poison record is one drop.

    Raises:
        RecordError: the envelope itself is broken, or of a later schema than this release reads.
    """
    try:
        opened = _envelope_decoder.decode(envelope)
    except _BROKEN as error:
        reason = f"envelope: {reason_of(error)}"
        raise RecordError(reason) from error
    if opened.v > SCHEMA_VERSION:
        reason = f"envelope: schema version {opened.v}, this release reads up to {SCHEMA_VERSION}; upgrade the workers before the crawlers"
        raise RecordError(reason)
    return [bytes(record) for record in opened.records]


def check_digest(digest: bytes) -> bytes:
    """The digest itself, if it has the length that this release compares.

    Raises:
        RecordError: another length; it was made by another version of the story digest.
    """
    if len(digest) != 4 * DIGEST_WORDS:
        shown = base64.b64encode(digest[:12]).decode()
        reason = f"story digest: {len(digest)} bytes ({shown}...), expected {4 * DIGEST_WORDS}; score the document again"
        raise RecordError(reason)
    return digest
