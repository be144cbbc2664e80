"""Contribute: what a scored document adds to each series it counts in."""

from typing import Any

import pytest

from groundswell.names import DAY_MS, HOUR_MS
from groundswell.records import Mention
from stream.operators.contribute import ENTITIES_MAX, FRESH_MS, contribute
from tests import builders as b


def test_a_document_counts_in_its_topic_and_in_the_companies_it_names_first() -> None:
    score = b.a_score(mentions=[Mention(name, n, n + 1) for n, name in enumerate(["B", "A", "B", "C", "D"])])

    assert [c.series for c in contribute(b.a_document(), score)] == ["topic:debt_credit:en", "entity:B", "entity:A", "entity:C"]
    assert ENTITIES_MAX == 3


def flag_series_of(title: str, *names: Mention) -> list[str]:
    score = b.a_score(mentions=list(names), flags=["litigation", "downgrade"])
    return [c.series for c in contribute(b.a_document(title=title), score) if c.series.startswith("flag:")]


def test_a_risk_counts_for_the_companies_of_the_title() -> None:
    found = flag_series_of("A sues B", Mention("A", 0, 1), Mention("B", 7, 8), Mention("C", 30, 31))

    assert found == ["flag:litigation:A", "flag:litigation:B", "flag:downgrade:A", "flag:downgrade:B"]


def test_an_authority_is_not_at_risk_of_what_it_does_to_others() -> None:
    assert flag_series_of("SEC sues B", Mention("SEC", 0, 3, authority=True), Mention("B", 9, 10)) == [
        "flag:litigation:B",
        "flag:downgrade:B",
    ]


def test_a_title_that_names_many_is_about_none_of_them() -> None:
    assert flag_series_of("A, B and C sued", Mention("A", 0, 1), Mention("B", 3, 4), Mention("C", 9, 10)) == []


def words_of(title: str, names: list[Mention] | None = None, **document: Any) -> list[str]:
    found = contribute(b.a_document(title=title, **document), b.a_score(mentions=names or []))
    return [c.series for c in found if c.series.startswith("word:")]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"role": "regulator"}, ["word:official:A"]),
        ({"role": "issuer"}, ["word:official:A"]),
        ({"role": "wire"}, []),
        ({"role": "statistics"}, []),
        ({"title": "A denies report"}, ["word:denial:A"]),
        ({"title": "A denies report", "role": "issuer"}, ["word:official:A", "word:denial:A"]),
        ({"title": "A denies report", "kind": "comment"}, []),
        ({"role": "regulator", "kind": "comment"}, []),
        ({}, []),
    ],
)
def test_an_official_document_and_a_denial_count_for_the_companies_of_the_title(document: dict[str, Any], words: list[str]) -> None:
    assert words_of(**({"title": "A is named"} | document)) == []
    assert words_of(**({"title": "A is named"} | document), names=[Mention("A", 0, 1)]) == words


def test_an_authority_that_is_named_and_a_list_of_names_have_no_word_on_them() -> None:
    assert words_of("A denies report", [Mention("A", 0, 1, authority=True)]) == []
    assert words_of("A, B and C deny reports", [Mention("A", 0, 1), Mention("B", 3, 4), Mention("C", 9, 10)]) == []


@pytest.mark.parametrize(("tier", "carried"), [(1, 1), (4, 4), (None, 0)])
def test_a_contribution_carries_the_tier_of_its_source(tier: int | None, carried: int) -> None:
    assert {c.tier for c in contribute(b.a_document(tier=tier), b.a_score())} == {carried}


def test_a_contribution_takes_times_and_owner_from_the_document_and_opinion_from_the_score() -> None:
    document = b.a_document(owner="Quill", owner_known=False, known_ms=9, published_ms=8, published_precision="day")
    (contribution,) = contribute(document, b.a_score(sentiment="positive", negative_ppm=7, mentions=[]))

    assert (contribution.owner, contribution.owner_known, contribution.known_ms, contribution.published_ms) == ("Quill", False, 9, 8)
    assert (contribution.daily, contribution.sentiment, contribution.negative_ppm) == (True, "positive", 7)


@pytest.mark.parametrize("kind", sorted(FRESH_MS))
def test_a_document_is_fresh_up_to_its_kinds_age_and_not_a_millisecond_more(kind: str) -> None:
    limit = {"news": 6 * HOUR_MS, "comment": 2 * HOUR_MS, "report": DAY_MS, "filing": DAY_MS}[kind]
    ages = [limit, limit + 1]
    fresh = [contribute(b.a_document(kind=kind, published_ms=b.T0_MS - age, known_ms=b.T0_MS), b.a_score())[0].fresh for age in ages]

    assert fresh == [True, False]


def test_a_document_that_says_only_its_day_is_fresh_for_a_day_and_a_half() -> None:
    def fresh(age_ms: int) -> bool:
        document = b.a_document(published_precision="day", published_ms=b.T0_MS - age_ms, known_ms=b.T0_MS)
        return contribute(document, b.a_score())[0].fresh

    assert [fresh(36 * HOUR_MS), fresh(36 * HOUR_MS + 1)] == [True, False]
