"""Word: an official document on a company, or a denial told by a source that is believed; nothing is remembered."""

from typing import Any

import msgspec
import pytest

from alerts.detectors.surge import SurgeDetector
from alerts.detectors.watch import FlagWatch, watch_of
from alerts.detectors.word import WordDetector
from alerts.rules import Rules, load_rules
from groundswell.records import Candidate
from stream.operators.windows import increments_of
from tests import builders as b
from tests.alerts.detectors.test_sighting import Sky

SHIPPED = load_rules()
OFF = msgspec.structs.replace(SHIPPED, desk=msgspec.structs.replace(SHIPPED.desk, word_tier=0))


def heard(word: str, *tiers: int, rules: Rules = SHIPPED, **given: Any) -> list[Candidate]:
    """What documents of sources of these tiers lead to in one tick."""
    series = f"word:{word}:Voyager"
    fields = {"series": series, "sentiment": "positive"} | given
    documents = [{"document_id": f"d{n}", "owner": f"o{n}", "tier": tier} | fields for n, tier in enumerate(tiers)]
    placed = [(b.a_contribution(**each), str(each["document_id"])) for each in documents]
    return list(WordDetector(series, rules).step(b.T0_TICK, increments_of(b.T0_TICK, placed), Sky()))


def test_an_official_word_counts_whatever_its_tone_and_tier() -> None:
    (found,) = heard("official", 0)

    assert (found.level, found.kind, found.statistic, found.limit) == ("hold", "sighting", 1, 1)
    assert (found.series, [row[0] for row in found.evidence]) == ("word:official:Voyager", ["d0"])


@pytest.mark.parametrize(("tiers", "documents"), [((1,), ["d0"]), ((2,), ["d0"]), ((4, 2, 1), ["d2", "d1"]), ((3,), []), ((0,), [])])
def test_a_denial_counts_where_a_believed_source_tells_it_the_best_first(tiers: tuple[int, ...], documents: list[str]) -> None:
    assert [row[0] for found in heard("denial", *tiers) for row in found.evidence] == documents


@pytest.mark.parametrize("given", [{"owner_known": False}, {"fresh": False}])
def test_what_nobody_stands_behind_and_what_is_stale_is_no_word(given: dict[str, Any]) -> None:
    assert heard("denial", 1, **given) == heard("official", 1, **given) == []


def test_rules_that_know_no_words_find_none() -> None:
    assert heard("denial", 1, rules=OFF) == heard("official", 1, rules=OFF) == []


def test_a_word_series_is_watched_for_words_and_closes_no_day() -> None:
    watch = watch_of("word:denial:Voyager", SHIPPED, SurgeDetector)

    assert isinstance(watch, FlagWatch)
    assert isinstance(watch.sighting, WordDetector)
    assert watch.close_period(86_400, 5, Sky(), tick=b.T0_TICK).baselines == ()
    (asked,) = watch.gates(b.T0_TICK, Sky())
    assert [(gate.name, gate.holds) for gate in asked.gates] == [("listed", True)]
