"""Bytes <-> records: what is refused, what is tolerated, and that nothing but a RecordError comes out."""

import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.codec import canonical, check_digest, decode, decode_raw, encode, envelopes_of, records_of
from groundswell.errors import RecordError
from groundswell.names import DIGEST_WORDS, ENVELOPE_BYTES_MAX, ENVELOPE_RECORDS_MAX
from groundswell.records import Envelope, Heartbeat, Score
from tests import builders as b

NESTED = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize("record", [b.a_raw(), b.a_raw(url=None, published_ms=None), Heartbeat(source="s", fetched_ms=1, ok=False)])
def test_a_raw_record_comes_back_as_it_was(record: object) -> None:
    assert decode_raw(encode(record)) == record


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", r"raw record: Input data was truncated"),
        (b"\xff\xfe", r"raw record: JSON is malformed"),
        (b"[]", r"raw record: Expected `object`, got `array`"),
        (b'{"type":"document","title":"t"}', r"raw record: Object missing required field `source`"),
        (b'{"type":"document","source":"s","title":5}', r"raw record: Expected `str`, got `int` - at `\$\.title`"),
        (b'{"type":"document","source":"s","title":"\xed\xa0\x80"}', r"raw record: 'utf-8' codec"),
        (b'{"type":"document","source":"s","title":"t","kind":"rumour"}', r"raw record: Invalid enum value 'rumour' - at `\$\.kind`"),
        (b'{"type":"telegram","source":"s"}', r"raw record: Invalid value 'telegram' - at `\$\.type`"),
        (b'{"type":"document","source":"s","title":"t","x":' + NESTED + b"}", r"raw record: maximum recursion depth"),
    ],
)
def test_what_is_no_raw_record_is_refused_with_the_place(body: bytes, reason: str) -> None:
    with pytest.raises(RecordError, match=f"^{reason}"):
        decode_raw(body)


@given(st.binary())
def test_any_bytes_give_a_record_or_a_record_error(body: bytes) -> None:
    for read in (decode_raw, records_of, lambda given: decode(given, Score)):
        try:
            read(body)
        except RecordError:
            continue


def test_a_damaged_record_gives_a_record_or_a_record_error() -> None:
    chance = random.Random(1)
    whole = encode(b.a_raw())
    for _ in range(500):
        body = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        try:
            decode_raw(bytes(body))
        except RecordError:
            continue


def test_a_field_of_a_later_release_is_passed_over() -> None:
    body = json.loads(encode(b.a_raw())) | {"mood": {"of": ["tomorrow"]}}

    assert decode_raw(json.dumps(body).encode()) == b.a_raw()


def test_envelopes_hold_as_many_records_as_fit_in_order() -> None:
    bodies = [b'{"n":%d}' % n for n in range(2 * ENVELOPE_RECORDS_MAX + 1)]
    packed = envelopes_of(bodies)

    assert [len(records_of(envelope)) for envelope in packed] == [ENVELOPE_RECORDS_MAX, ENVELOPE_RECORDS_MAX, 1]
    assert [record for envelope in packed for record in records_of(envelope)] == bodies


def test_envelopes_stay_below_their_size_unless_one_record_is_larger() -> None:
    sizes = [1_000, 300_000, 300_000, 2 * ENVELOPE_BYTES_MAX, 10]
    bodies = [b'"%s"' % (b"x" * size) for size in sizes]
    packed = envelopes_of(bodies)

    assert [record for envelope in packed for record in records_of(envelope)] == bodies
    assert [len(records_of(envelope)) for envelope in packed] == [2, 1, 1, 1]
    assert all(len(envelope) <= ENVELOPE_BYTES_MAX + 100 for envelope in packed if len(envelope) < 2 * ENVELOPE_BYTES_MAX)


def test_no_records_make_no_envelope() -> None:
    assert envelopes_of([]) == []


def test_one_broken_record_does_not_break_its_envelope() -> None:
    good = encode(b.a_raw())
    (envelope,) = envelopes_of([good, b'{"type":"nonsense"}', good])

    assert records_of(envelope)[::2] == [good, good]


def test_an_envelope_of_a_later_schema_is_refused_with_the_next_step() -> None:
    body = encode(Envelope(v=2, records=[msgspec.Raw(b"{}")]))

    with pytest.raises(RecordError, match=r"schema version 2, this release reads up to 1; upgrade the workers before the crawlers"):
        records_of(body)


@pytest.mark.parametrize("body", [b"", b"null", b'{"records":5}', b'{"v":"x"}', b'{"records":[' + NESTED + b"]}"])
def test_a_broken_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(RecordError, match=r"^envelope: "):
        records_of(body)


@given(st.dictionaries(st.text(), st.integers(-(2**60), 2**60)), st.integers())
def test_equal_values_have_equal_canonical_bytes_whatever_order_they_were_built_in(value: dict[str, int], seed: int) -> None:
    pairs = list(value.items())
    random.Random(seed).shuffle(pairs)

    assert canonical(dict(pairs)) == canonical(value)


def test_a_digest_of_the_right_length_is_returned_as_it_is() -> None:
    assert check_digest(bytes(4 * DIGEST_WORDS)) == bytes(4 * DIGEST_WORDS)
    with pytest.raises(RecordError, match=r"story digest: 0 bytes"):
        check_digest(b"")
