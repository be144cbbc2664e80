"""Against: what an alert rests on is left out piece by piece, and each says whether it would still have fired."""

from typing import Any

import pytest

from alerts.against import against_of, without_largest
from alerts.rules import load_rules
from groundswell.records import LeftOut, Peers
from tests import builders as b
from tests.alerts.alert_factory import an_alert

RULES = load_rules()


def rows(*named: tuple[str, str, str]) -> list[list[str | int]]:
    """Rows of evidence: (document, story, owner)."""
    return [[document, story, owner, 1, 900_000 - n] for n, (document, story, owner) in enumerate(named)]


def documents(*comments: str, of: list[list[str | int]]) -> dict[str, Any]:
    return {str(row[0]): b.a_document(document_id=str(row[0]), kind="comment" if str(row[0]) in comments else "news") for row in of}


def test_without_comments_a_story_goes_whose_every_document_is_one() -> None:
    found = rows(*((f"d{n}", f"s{n}", f"o{n}") for n in range(12)), ("d12", "s0", "o12"))
    main = b.a_candidate(evidence=found, statistic=12, expected_milli=300, stories=20)

    left = against_of(main, documents("d0", "d1", "d2", of=found), RULES)
    assert left[0] == LeftOut("comments", 10, fires=True)  # story 0 has another document
    few = against_of(main, documents(*(f"d{n}" for n in range(9)), of=found), RULES)
    assert few[0] == LeftOut("comments", 4, fires=False)


def test_without_comments_nothing_is_said_where_there_are_none() -> None:
    found = rows(*((f"d{n}", f"s{n}", "o") for n in range(3)), ("x", "s0", "p"))
    main = b.a_candidate(evidence=found, statistic=3)

    assert [left.what for left in against_of(main, documents(of=found), RULES)] == ["owner"]


def test_without_its_largest_owner_the_stories_go_that_nobody_else_tells() -> None:
    found = rows(("a", "s1", "Quill"), ("b", "s2", "Quill"), ("c", "s3", "Quill"), ("d", "s3", "Tarn"), ("e", "s4", "Moss"))
    main = b.a_candidate(evidence=found, statistic=4, expected_milli=100, stories=6)

    assert against_of(main, documents(of=found), RULES) == [LeftOut("owner", 2, fires=False)]


def test_of_an_amplification_the_copies_of_publishers_are_what_is_left() -> None:
    found = rows(*((f"d{n}", "s", f"o{n}") for n in range(30)))
    main = b.a_candidate(kind="amplification", evidence=found, statistic=30, limit=20)

    assert against_of(main, documents(*(f"d{n}" for n in range(5)), of=found), RULES) == [LeftOut("comments", 25, fires=True)]
    assert against_of(main, documents(*(f"d{n}" for n in range(15)), of=found), RULES) == [LeftOut("comments", 15, fires=False)]
    assert tuple(without_largest(main, RULES)) == (0, False)  # all of it is one story


def test_a_sighting_has_to_be_corroborated_by_those_who_are_left() -> None:
    found = rows(("a", "s1", "Quill"), ("b", "s2", "Quill"), ("c", "s3", "Tarn"), ("d", "s4", "Tarn"), ("e", "s5", "Moss"))
    main = b.a_candidate(kind="sighting", series="flag:litigation:a", evidence=found, statistic=5, expected_milli=10, p_ppt=1)

    assert against_of(main, documents(of=found), RULES) == [LeftOut("owner", 3, fires=True)]
    assert against_of(main, documents("c", "d", "e", of=found), RULES)[0] == LeftOut("comments", 2, fires=False)


@pytest.mark.parametrize("kind", ["blind", "model_shift", "slow_burn"])
def test_of_what_rests_on_no_documents_of_its_own_nothing_is_left_out(kind: Any) -> None:
    assert against_of(b.a_candidate(kind=kind), {}, RULES) == []


@pytest.mark.parametrize(
    ("now_ppm", "only_this_one"),
    [(170_000, True), (424_000, True), (426_000, False), (700_000, False)],
    ids=["calm", "half", "more", "all"],
)
def test_it_is_alone_while_its_peers_have_not_moved_half_as_far(now_ppm: int, only_this_one: bool) -> None:
    """Its own share went from 12 % to 67 %, so half as far is 27.5 points."""
    assert an_alert(peers=Peers("sector", 9, 150_000, now_ppm)).alone is only_this_one


def test_without_peers_nobody_knows() -> None:
    assert not an_alert().alone
