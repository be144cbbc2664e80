"""Stories: near-duplicates join their leader, other wordings do not."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.errors import RecordError
from groundswell.names import DIGEST_WORDS
from groundswell.records import Contribution, Story
from stream.operators import stories
from stream.operators.admit import ClosedTick
from stream.operators.stories import FORGOTTEN_MIN, LEADER_LIFE_MS, LEADERS_MAX, SIMILARITY_MIN, Leaders, digest, shingles
from stream.pipeline import Fold, Folded
from tests import builders as b

TOLD = "Harbour Bank delays the redemption of its Lanjin note by ninety days after a run on deposits"


def told(text: str, number: int = 0, known_ms: int = b.T0_MS) -> Contribution:
    return b.a_contribution(document_id=f"d{number:04}", known_ms=known_ms, digest=digest(text))


def story_of(leaders: Leaders, contribution: Contribution) -> str:
    return leaders.assign(contribution, tick=0)[0]


@pytest.mark.parametrize(
    "copy",
    [
        TOLD,
        TOLD.upper(),
        f"RT @quay: {TOLD} https://short.example/x1",
        f"{TOLD} - Harbour Wire",
        TOLD.replace("ninety", "sixty"),
        f"UPDATE 1: {TOLD}",
    ],
)
def test_a_copy_with_small_changes_joins_its_story(copy: str) -> None:
    leaders = Leaders()
    story_of(leaders, told(TOLD))

    assert leaders.assign(told(copy, 1), tick=0) == ("d0000", None)


@pytest.mark.parametrize(
    "other",
    [
        "Depositors queue outside Harbour Bank branches as withdrawals are capped",
        "Harbour Bank hires a new chief risk officer from a rival",
        "Copper falls to a two-year low on weak demand",
    ],
)
def test_another_wording_founds_a_story_of_its_own(other: str) -> None:
    leaders = Leaders()
    story_of(leaders, told(TOLD))
    story, founded = leaders.assign(told(other, 1), tick=3)

    assert story == "d0001"
    assert founded == Story(series="entity:aldora", story="d0001", founded_ms=b.T0_MS, tick=3, digest=digest(other))


def test_chinese_copies_join_and_other_chinese_stories_do_not() -> None:
    leaders = Leaders()
    story_of(leaders, told("港湾银行宣布推迟兑付蓝金七号产品九十天，储户排队取款"))

    assert story_of(leaders, told("港湾银行宣布推迟兑付蓝金七号产品六十天，储户排队取款！", 1)) == "d0000"
    assert story_of(leaders, told("铜价跌至两年低点，需求疲软", 2)) == "d0002"


def test_the_most_alike_leader_wins_and_of_equals_the_earliest() -> None:
    leaders = Leaders(similarity_min=0.0)
    first = story_of(leaders, told(TOLD))
    leaders.similarity_min = 1.1
    story_of(leaders, told(f"{TOLD} and more", 1))
    story_of(leaders, told(f"{TOLD} and more", 2))
    leaders.similarity_min = 0.5

    assert story_of(leaders, told(f"{TOLD} and more", 3)) == "d0001"
    assert story_of(leaders, told(TOLD, 4)) == first


def story(number: int, founded_ms: int) -> Story:
    words = np.full(DIGEST_WORDS, number, dtype="<u4")
    return Story(series="entity:aldora", story=f"s{number}", founded_ms=founded_ms, tick=0, digest=words.tobytes())


def texts(seed: int, number: int) -> list[Contribution]:
    chance = random.Random(seed)
    words = b.WORDS.split()
    roots = [" ".join(chance.choices(words, k=12)) for _ in range(4)]
    step_ms = chance.choice((1_000, LEADER_LIFE_MS // 7))
    return [told(f"{chance.choice(roots)} {chance.choice(('', 'again', 'more of it'))}", n, b.T0_MS + n * step_ms) for n in range(number)]


@settings(max_examples=25, deadline=None)
@given(st.integers(), st.integers(0, 30))
def test_leaders_restored_from_their_rows_go_on_like_those_that_lived(seed: int, border: int) -> None:
    items = texts(seed, 30)
    alive = Leaders()
    founded = [story for _, story in (alive.assign(c, tick=0) for c in items[:border]) if story]
    restored = Leaders(founded)

    assert [restored.assign(c, tick=1) for c in items[border:]] == [alive.assign(c, tick=1) for c in items[border:]]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_the_leader_found_is_the_one_that_comparing_every_word_finds(seed: int) -> None:
    chance = np.random.default_rng(seed)
    leaders, known = Leaders(), list[Story]()
    for number in range(40):
        words = chance.integers(0, 2**32, DIGEST_WORDS, dtype=np.uint32)
        if known:  # some words of one that is there, some that only look so in their last byte
            other = np.frombuffer(known[chance.integers(len(known))].digest, dtype="<u4")
            same, near = chance.random(DIGEST_WORDS) < chance.random(), chance.random(DIGEST_WORDS) < 0.5
            words = np.where(same, other, np.where(near, other ^ np.uint32(256), words)).astype("<u4")
        told_by = b.a_contribution(document_id=f"d{number:04}", digest=words.tobytes())
        counts = [int((np.frombuffer(story.digest, dtype="<u4") == words).sum()) for story in known]
        best = max(counts, default=0)
        expected = known[counts.index(best)].story if best >= SIMILARITY_MIN * DIGEST_WORDS else told_by.document_id
        story, founded = leaders.assign(told_by, tick=0)
        assert story == expected
        known += [founded] if founded else []


def test_a_leader_is_forgotten_after_its_life() -> None:
    leaders = Leaders()
    story_of(leaders, told(TOLD))

    assert story_of(leaders, told(TOLD, 1, b.T0_MS + LEADER_LIFE_MS)) == "d0000"
    assert story_of(leaders, told(TOLD, 2, b.T0_MS + LEADER_LIFE_MS + 1)) == "d0002"


def test_what_is_forgotten_does_not_pile_up() -> None:
    leaders = Leaders(similarity_min=1.1)  # every document founds a story
    alive, most = 400, 0
    for number in range(4 * alive):
        leaders.assign(told(f"story {number}", number, b.T0_MS + number * LEADER_LIFE_MS // alive), tick=0)
        most = max(most, leaders.forgotten)
    assert len(leaders) == alive + 1
    assert 0 < most <= alive // 7 + 2 * FORGOTTEN_MIN, "an eighth of all, and a few"


def test_there_are_never_more_leaders_than_the_limit_and_the_oldest_go_first() -> None:
    leaders = Leaders(similarity_min=1.1)  # every document founds a story
    found = []
    for number in range(LEADERS_MAX + 50):
        found.append(leaders.assign(told(f"story {number}", number), tick=0)[1])
        assert len(leaders) <= LEADERS_MAX

    assert leaders.stories == found[-LEADERS_MAX:]
    restored = Leaders([story for story in found if story][-LEADERS_MAX:], similarity_min=1.1)
    late = told("one more", LEADERS_MAX + 50)
    assert restored.assign(late, tick=0) == leaders.assign(late, tick=0)
    assert restored.stories == leaders.stories


def test_a_story_that_is_crowded_out_is_counted_and_one_that_is_old_is_not() -> None:
    leaders = Leaders([story(number, b.T0_MS) for number in range(LEADERS_MAX)])
    leaders.assign(told("one more"), tick=0)
    assert leaders.crowded_out == 1

    leaders.assign(told("a life later", known_ms=b.T0_MS + LEADER_LIFE_MS + 1), tick=0)
    assert (leaders.crowded_out, len(leaders)) == (1, 1)


def test_what_fold_crowds_out_is_told_with_what_it_leads_to() -> None:
    fold, into = Fold(b.rules()), Folded()
    series = told("one more").series
    fold.memory_of(series).leaders = Leaders([story(number, b.T0_MS) for number in range(LEADERS_MAX)])
    fold.step(ClosedTick(b.T0_TICK, [told("one more")], []), into)

    assert into.leaders_crowded_out == 1


def test_a_digest_of_another_version_is_refused() -> None:
    with pytest.raises(RecordError, match=r"story digest: 8 bytes .*expected 256; score the document again"):
        Leaders().assign(b.a_contribution(digest=b"12345678"), tick=0)


def test_a_digest_has_the_stated_length_whatever_the_text() -> None:
    assert {len(digest(text)) for text in ("", "!", "a", TOLD, "港", "x" * 100_000)} == {256}


def test_digests_are_the_same_in_every_process() -> None:
    """Stored digests are compared with new ones for ever: this value may change only with a new digest version."""
    assert digest(TOLD)[:8].hex() == "25175a43622db80b"


def test_what_carries_a_text_is_no_part_of_it() -> None:
    assert shingles("RT @a RT @b: Bank fails, $BNK down! http://x.example/1?y=2") == shingles("bank fails $BNK down")
    assert shingles("") == [""]
    assert stories.DIGEST_CHARACTERS >= 300
