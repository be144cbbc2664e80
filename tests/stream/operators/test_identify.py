"""Identify: new, replay, duplicate or edit."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from groundswell.records import Admission, Document, Position
from stream.operators.identify import Known, identify
from tests import builders as b

Placed = tuple[Position, Document]


def placed(letters: str) -> list[Placed]:
    """One record for each letter: a capital or small letter is a document, its case and number the content."""
    return [(Position(0, n), b.a_document(document_id=char.lower(), content_hash=char)) for n, char in enumerate(letters)]


def outcomes(letters: str) -> list[str]:
    return [admission.outcome for admission in identify(placed(letters), {})]


def test_the_first_content_counts_the_second_is_an_edit_and_copies_are_duplicates() -> None:
    assert outcomes("aabBbB") == ["scored", "duplicate", "scored", "edited", "duplicate", "duplicate"]


def test_an_edit_back_to_old_content_is_a_duplicate_of_it() -> None:
    assert outcomes("aAa") == ["scored", "edited", "duplicate"]


def test_a_third_content_is_an_edit_too() -> None:
    known: Known = {"a": {"a": Position(0, 0), "A": Position(0, 1)}}
    (admission,) = identify([(Position(0, 9), b.a_document(document_id="a", content_hash="other"))], known)

    assert admission.outcome == "edited"


@given(st.text("aAbBcC", max_size=12))
def test_a_replay_of_stored_positions_gets_the_outcomes_that_they_had(letters: str) -> None:
    known: Known = {}
    first = identify(placed(letters), known)

    assert identify(placed(letters), known) == first


@given(st.text("aAbBcC", max_size=12), st.data())
def test_a_replay_that_begins_anywhere_gets_them_too(letters: str, data: st.DataObject) -> None:
    known: Known = {}
    first = identify(placed(letters), known)
    start = data.draw(st.integers(0, len(letters)))

    assert identify(placed(letters)[start:], known) == first[start:]


@given(st.text("aAbBcC", max_size=12), st.lists(st.integers(0, 12)))
def test_where_batches_end_does_not_matter(letters: str, cuts: list[int]) -> None:
    known: Known = {}
    split: list[Admission] = []
    borders = sorted({0, len(letters), *(cut for cut in cuts if cut <= len(letters))})
    for start, end in pairwise(borders):
        split += identify(placed(letters)[start:end], known)

    assert split == identify(placed(letters), {})


def test_an_admission_carries_what_the_balance_and_the_windows_need() -> None:
    document = b.a_document(language="zh", source="Quay", known_ms=77)
    (admission,) = identify([(Position(3, 4, 5), document)], {})

    assert admission == Admission(
        position=Position(3, 4, 5),
        known_ms=77,
        source="Quay",
        language="zh",
        outcome="scored",
        document_id=document.document_id,
        content_hash=document.content_hash,
    )
