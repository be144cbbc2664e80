"""Near duplicates: what counts as one, and that sketches lose next to none of those that a full comparison finds."""

import random
from itertools import combinations, product

import pytest

from models.near_duplicates import MATES_MAX, SIMILARITY_MIN, groups, jaccard, near_pairs, plain, shingles


def texts_with_copies(count: int, *, seed: int) -> list[str]:
    """Random texts of 8 to 14 words, every other one a copy of the one before with one or two words changed."""
    rng = random.Random(seed)
    words = [f"word{i}" for i in range(300)]
    texts: list[list[str]] = []
    for i in range(count):
        if i % 2:
            copy = list(texts[-1])
            for _ in range(rng.randint(1, 2)):
                copy[rng.randrange(len(copy))] = rng.choice(words)
            texts.append(copy)
        else:
            texts.append(rng.choices(words, k=rng.randint(8, 14)))
    return [" ".join(text) for text in texts]


def test_copies_differ_in_address_case_width_and_spaces_only() -> None:
    assert plain("Ａcme &amp; Zeta\nFALL www.example.org/a?b=1 today") == "acme & zeta fall today"
    assert plain("见https://example.org/a1泽塔下跌") == "见 泽塔下跌"
    assert plain(" https://example.org ") == ""


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("acme falls", {"acme falls"}),
        ("acme, falls -- again", {"acme falls", "falls again"}),
        ("acme", {"acme"}),
        ("泽塔下跌", {"泽塔下", "塔下跌"}),
        ("泽塔！", {"泽塔"}),
        ("\U0001f680 ...", set()),
        ("", set()),
    ],
)
def test_shingles_are_pairs_of_words_or_three_characters(text: str, pieces: set[str]) -> None:
    assert shingles(text) == pieces


def test_texts_without_letters_resemble_nothing() -> None:
    assert jaccard("\U0001f680", "\U0001f680") == 0
    assert list(near_pairs(["\U0001f680", "..."], ["\U0001f680", "..."])) == []
    assert list(near_pairs([], ["a"])) == list(near_pairs(["a"], [])) == list(near_pairs([])) == []


def test_what_is_found_is_exact_and_next_to_nothing_is_missed() -> None:
    left, right = texts_with_copies(300, seed=1), texts_with_copies(300, seed=2)
    right[::3] = left[: len(right[::3])]
    wanted = {(i, j): jaccard(left[i], right[j]) for i, j in product(range(len(left)), range(len(right)))}
    wanted = {pair: similarity for pair, similarity in wanted.items() if similarity >= SIMILARITY_MIN}
    found = {(pair.left, pair.right): pair.similarity for pair in near_pairs(left, right)}
    assert len(wanted) > 150
    assert found.items() <= wanted.items()
    assert len(found) >= 0.98 * len(wanted)


def test_a_collection_beside_itself_gives_each_pair_once() -> None:
    texts = texts_with_copies(200, seed=3)
    wanted = {(j, i) for i, j in combinations(range(len(texts)), 2) if jaccard(texts[i], texts[j]) >= SIMILARITY_MIN}
    pairs = [(pair.left, pair.right) for pair in near_pairs(texts)]
    assert len(pairs) == len(set(pairs))
    assert set(pairs) <= wanted
    assert len(pairs) >= 0.95 * len(wanted) > 20


def test_every_copy_of_a_crowded_template_is_still_found() -> None:
    texts = ["acme reports its results for the second quarter"] * (3 * MATES_MAX)
    assert groups(texts) == [0] * len(texts)
    assert {pair.left for pair in near_pairs(texts, texts)} == set(range(len(texts)))


def test_a_chain_of_near_duplicates_is_one_group() -> None:
    words = [f"word{i}" for i in range(14)]
    chain = [" ".join(words[start : start + 10]) for start in (0, 2, 4)]
    assert jaccard(chain[0], chain[1]) >= SIMILARITY_MIN > jaccard(chain[0], chain[2])
    assert groups([chain[2], "something else altogether", chain[0], chain[1]]) == [0, 1, 0, 0]
