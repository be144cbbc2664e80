"""The dossier: an argument that can be made again to the same byte, and says nothing that no document says."""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.desk import Incident, Opening
from alerts.dossier import EVIDENCE_MAX, PARTS_MAX, QUOTE_CHARACTERS, compose
from groundswell.codec import canonical
from groundswell.records import Alert, Candidate, Document
from tests import builders as b

RULES = b.rules()
INCIDENT = Incident(incident="i1", series=["entity:aldora"], documents=[], opened_tick=b.T0_TICK, last_tick=b.T0_TICK)


def document(name: str, **overrides: Any) -> Document:
    return b.a_document(
        **({"document_id": name, "title": f"Aldora misses {name}. The rest follows.", "text": "Nobody was told."} | overrides)
    )


def told(*candidates: Candidate, documents: Mapping[str, Document] | None = None) -> Alert:
    main = candidates[0]
    known = {str(row[0]): document(str(row[0])) for row in main.evidence} if documents is None else documents
    return compose(Opening(INCIDENT, list(candidates)), known, rules=RULES, display=lambda key: key.upper(), versions={"rules": "r"})


def test_the_alert_says_what_the_candidate_found() -> None:
    main = b.a_candidate(expected_milli=500, documents=[f"d{n}" for n in range(6)])
    alert = told(main, b.a_candidate(series="topic:debt_credit:en"))

    assert (alert.series, alert.all_series) == ("entity:aldora", ["entity:aldora", "topic:debt_credit:en"])
    assert (alert.statistic, alert.expected_milli, alert.limit, alert.p_ppt) == (6, 500, 5, main.p_ppt)
    assert alert.opened_ms == alert.known_until_ms == main.known_until_ms
    assert alert.title == "ENTITY:ALDORA: 6 negative stories in an hour, 12x normal"
    assert alert.negative_share_ppm == 857_142
    assert (alert.kind, alert.update, alert.incident, alert.versions) == ("surge", 0, "i1", {"rules": "r"})


def test_a_turn_of_the_share_is_told_as_one() -> None:
    alert = told(b.a_candidate(by="share", window_s=86_400, share_p_ppt=77))

    assert alert.p_ppt == 77
    assert alert.title == "ENTITY:ALDORA: 86 % of 7 stories in a day are negative, normally 30 %"


def test_a_quote_says_tier_and_role_of_its_source_and_nothing_where_they_are_unknown() -> None:
    documents = {"a": document("a", tier=1, role="regulator"), "b": document("b")}
    alert = told(b.a_candidate(documents=["a", "b"]), documents=documents)

    assert [(quote.tier or 0, quote.role or "") for quote in alert.evidence] == [(1, "regulator"), (0, "")]
    assert canonical(alert).count(b'"role"') == canonical(alert).count(b'"tier"') == 1


def some_candidate(seed: int) -> Candidate:
    chance = random.Random(seed)
    stories = chance.randrange(1, 12)
    rows: list[list[str | int]] = [
        [f"d{n}", f"s{n if n < stories else chance.randrange(stories)}", f"o{chance.randrange(4)}", 1, chance.randrange(1_000_000)]
        for n in range(stories + chance.randrange(30))
    ]
    return b.a_candidate(evidence=rows, statistic=stories, stories=stories + 2, expected_milli=chance.randrange(9_000))


@settings(max_examples=60, deadline=None)
@given(st.integers(), st.sets(st.integers(0, 40)))
def test_the_parts_sum_to_the_excess_exactly_whatever_documents_are_missing(seed: int, missing: set[int]) -> None:
    main = some_candidate(seed)
    documents = {str(row[0]): document(str(row[0])) for n, row in enumerate(main.evidence) if n not in missing}
    alert = told(main, documents=documents)

    assert sum(part.excess_milli for part in alert.parts) == 1_000 * main.statistic - main.expected_milli
    assert sum(part.stories for part in alert.parts) == main.statistic
    assert sum(part.documents for part in alert.parts) == len(main.evidence)
    assert len([part for part in alert.parts if part.name not in ("other", "expected")]) <= PARTS_MAX
    assert {quote.document_id for quote in alert.evidence} <= documents.keys()


def test_at_most_twenty_documents_are_shown_in_the_candidates_order() -> None:
    main = b.a_candidate(documents=[f"d{n:02}" for n in range(50)])

    assert [quote.document_id for quote in told(main).evidence] == [f"d{n:02}" for n in range(EVIDENCE_MAX)]


def test_an_alert_without_any_document_left_is_still_an_alert() -> None:
    alert = told(b.a_candidate(), documents={})

    assert alert.evidence == []
    assert [part.name for part in alert.parts] == ["other", "expected"]


@pytest.mark.parametrize(
    ("title", "text", "quote"),
    [
        ("Aldora falls. Brennick rises.", "More.", "Aldora falls."),
        ("Aldora falls", "More.", "Aldora falls"),
        ("", "The bank said no. It will not pay.", "The bank said no."),
        ("临澜银行推迟兑付。储户排队。", "", "临澜银行推迟兑付。"),
        ("word " * 60, "", ("word " * 30).strip()),
        ("x" * 400, "", "x" * QUOTE_CHARACTERS),
        ("𝔘" * 400, "", "𝔘" * QUOTE_CHARACTERS),
        ("Up 5.5% to 3.2bn! Really?", "", "Up 5.5% to 3.2bn!"),
    ],
)
def test_a_quote_is_the_first_sentence_or_as_much_of_it_as_fits(title: str, text: str, quote: str) -> None:
    (shown,) = told(b.a_candidate(documents=["d"]), documents={"d": document("d", title=title.strip(), text=text)}).evidence

    assert shown.quote == quote


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400).filter(lambda s: "\n" not in s), st.text(min_size=1, max_size=400).filter(lambda s: "\n" not in s))
def test_a_quote_stands_in_its_document_at_its_offsets(title: str, text: str) -> None:
    (quote,) = told(b.a_candidate(documents=["d"]), documents={"d": document("d", title=title, text=text)}).evidence

    assert f"{title}\n{text}"[quote.start : quote.end] == quote.quote
    assert len(quote.quote) <= QUOTE_CHARACTERS
    assert quote.title == (title or text)[:300]


def test_the_id_depends_on_the_incident_and_its_documents_alone() -> None:
    one = told(b.a_candidate(documents=["a", "b"], p_ppt=1))
    again = told(b.a_candidate(documents=["b", "a"], p_ppt=9), documents={})
    other = told(b.a_candidate(documents=["a", "c"]))

    assert one.id == again.id != other.id


def test_doubts_are_said() -> None:
    weak = b.a_candidate(documents=["a", "b"], expected_milli=1_000, exposure_ppm=640_000, owners_known=False)

    assert told(weak).doubts == [
        "one platform, authors unknown",
        "without the largest story it would not have fired",
        "only 64 % of the usual volume was seeing",
    ]
    assert told(b.a_candidate(documents=[f"d{n}" for n in range(30)])).doubts == []


def test_a_week_whose_last_day_brought_nothing_is_not_said_to_rest_on_unknown_authors() -> None:
    burning = b.a_candidate(kind="slow_burn", documents=[], statistic=60, limit=41, owners=0, owners_known=False)

    assert told(burning).doubts == []


def test_without_its_largest_story_it_is_tested_again() -> None:
    strong, weak = told(b.a_candidate(documents=[f"d{n}" for n in range(20)])), told(b.a_candidate(documents=["a"]))

    assert (strong.without_largest, strong.without_largest_fires) == (19, True)
    assert (weak.without_largest, weak.without_largest_fires) == (0, False)


@pytest.mark.parametrize(
    ("fields", "severity"),
    [
        ({"limit": 3}, "high"),
        ({"limit": 9, "owners": 5, "expected_milli": 500}, "high"),
        ({"limit": 6, "owners": 4, "expected_milli": 5_000}, "medium"),
        ({"limit": 6, "owners": 3, "expected_milli": 5_000}, "low"),
    ],
)
def test_severity_grows_with_the_count_and_the_number_of_owners(fields: dict[str, Any], severity: str) -> None:
    assert told(b.a_candidate(**fields)).severity == severity


def test_the_same_opening_makes_the_same_bytes_whatever_order_documents_are_loaded_in() -> None:
    main = some_candidate(5)
    documents = {str(row[0]): document(str(row[0])) for row in main.evidence}

    assert canonical(told(main, documents=documents)) == canonical(told(main, documents=dict(reversed(documents.items()))))
