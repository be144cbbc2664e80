"""Old bytes decode for ever: records as the first release wrote them, each in a file that is never written again.

A new field gets a default and a new file beside the old ones; a test that fails here means that stored data or a Kafka
topic could no longer be read. `python -m tests.golden.write` writes files that are missing, and only those.
"""

from pathlib import Path

import msgspec
import pytest

from groundswell.codec import canonical, decode, decode_raw, encode, records_of
from groundswell.records import Alert, Arrival, Candidate, Contribution, Heartbeat, Increment, RawDocument, Score
from tests.golden.write import GOLDEN, RECORDS

HERE = Path(__file__).parent

GROWN = {"contribution": b",0"}
"""Arrays that are longer now: what an unknown tier adds."""


def stored(name: str) -> bytes:
    return (HERE / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_bytes_of_the_first_release_decode_to_the_same_record(name: str) -> None:
    record = RECORDS[name]
    read = decode_raw(stored(name)) if isinstance(record, RawDocument | Heartbeat) else decode(stored(name), type(record))

    assert canonical(read) == canonical(record)


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_this_release_still_writes_the_bytes_of_the_first(name: str) -> None:
    written = encode(RECORDS[name])
    if name in GROWN:  # an array has no names: what a later release adds stands behind what the first one wrote
        assert written == stored(name)[:-1] + GROWN[name] + b"]"
    else:
        assert written == stored(name)


def test_the_envelope_of_the_first_release_still_holds_its_two_records() -> None:
    assert [type(decode_raw(record)) for record in records_of(stored("envelope"))] == [RawDocument, Heartbeat]


@pytest.mark.parametrize("kind", [Score, Candidate, Increment, Alert])
def test_records_that_are_objects_tolerate_a_field_of_a_later_release(kind: type[msgspec.Struct]) -> None:
    name = next(name for name, record in RECORDS.items() if type(record) is kind)
    later = stored(name)[:-1] + b',"of_tomorrow":{"x":[1]}}'

    assert canonical(decode(later, kind)) == canonical(RECORDS[name])


@pytest.mark.parametrize(("kind", "name"), [(Contribution, "contribution_tier"), (Arrival, "arrival")])
def test_records_that_are_arrays_tolerate_one_at_their_end(kind: type[msgspec.Struct], name: str) -> None:
    later = stored(name)[:-1] + b',"of tomorrow"]'

    assert decode(later, kind) == RECORDS[name]


def test_every_file_belongs_to_a_record_and_every_record_to_a_file() -> None:
    assert {path.stem for path in HERE.glob("*.json")} == {*GOLDEN}
