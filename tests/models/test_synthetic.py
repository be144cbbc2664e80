"""Synthetic company news: labels that follow from the numbers, true spans, diversity, and nothing but content that tells the label."""

import itertools
import re
from collections import Counter
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from groundswell.errors import SettingsError, UsageError
from groundswell.names import SENTIMENTS
from models import synthetic, synthetic_grammar
from models.entities import Catalogue
from models.synthetic import Draft, draft_of, drafts, sentences
from models.synthetic_figures import Comparison, Value
from models.synthetic_grammar import NEGATIVE, NEUTRAL, PART, POSITIVE, SIDE, Frame, Region, items, load_grammar
from models.synthetic_scene import BANK_TAILS, MARK

GRAMMAR = load_grammar()
EVERY_FRAME = [(sentiment, frame) for sentiment, groups in GRAMMAR.frames.items() for frames in groups.values() for frame in frames]
LEFT_OVER = re.compile(r"[\[\]{}<>|\n]|  |//|,,|\.\.")
_FUNCTION_WORDS = (
    "a about after all an and are as at be been before between both but by for from had has have in into is it its no not of on or "
    "over than that the their this to under was were which while who will with would"
)
_UNITS = "eur euros usd sek gbp mn m mln million bn billion percent pct cent"
FORM = frozenset(f"{_FUNCTION_WORDS} {_UNITS}".split())
RISING = re.compile(r"\b(?:r[io]s(?:e|es|en|ing)|grow(?:s|n|ing)?|grew|grow|increas\w+|climb\w*|up|jump\w*|surg\w+|soar\w*|leap\w*)\b")
FALLING = re.compile(r"\b(?:f[ae]ll(?:s|en|ing)?|declin\w+|decreas\w+|drop\w*|down|plung\w+|tumbl\w+|slump\w*|s[aiu]nk\w*|slip\w*)\b")


@cache
def drawn() -> list[Draft]:
    return list(itertools.islice(drafts(7), 5_000))


def number_of(value: Value) -> float:
    """The number that a value's text shows, read back without the code that wrote it."""
    (text,) = re.findall(r"-?[\d,]*\.?\d+", value.text.split(" (USD")[0])
    number = float(text.replace(",", ""))
    return -number if "loss of" in value.text else number


def scale_of(comparison: Comparison) -> list[str]:
    return next(items(scale) for scale in GRAMMAR.words.grades.values() if comparison.now.text in items(scale))


def read_back(comparison: Comparison) -> tuple[float, float]:
    """(before, now) as a reader sees them."""
    if comparison.quantity.form == "grade":
        scale = scale_of(comparison)
        return scale.index(comparison.before.text), scale.index(comparison.now.text)
    return number_of(comparison.before), number_of(comparison.now)


# --- what is asked for ---------------------------------------------------------------------------------------------------------
def test_the_same_seed_gives_the_same_sentences_and_fewer_are_the_beginning_of_more() -> None:
    assert sentences(40, 3) == sentences(200, 3)[:40]
    assert sentences(0, 3) == []


def test_another_seed_gives_other_sentences() -> None:
    ours = {example.text for example in sentences(1_000, 1)}
    assert len(ours & {example.text for example in sentences(1_000, 2)}) < 20  # plain facts without a figure do recur


def test_an_example_says_what_it_is() -> None:
    for example in sentences(300, 5):
        assert (example.corpus, example.language, example.kind) == ("synthetic", "en", "news")
        assert example.sentiment in (NEGATIVE, NEUTRAL, POSITIVE)
        assert (example.topic, example.labels, example.flags, example.negative, example.date) == (None,) * 5


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(UsageError, match="got -1; pass 0"):
        sentences(-1, 0)


def test_no_sentence_comes_twice_in_five_thousand() -> None:
    assert len({draft.text for draft in drawn()}) == 5_000


def test_five_thousand_sentences_differ_in_more_than_their_names_and_figures() -> None:
    skeletons = Counter((draft.frame, re.sub(r"[\d,.]+", "0", draft.text.lower())) for draft in drawn())
    assert len(skeletons) > 4_800
    assert len({draft.frame for draft in drawn()}) > 500


def test_more_than_half_are_neutral_and_more_of_the_others_are_positive() -> None:
    shares = np.bincount([draft.sentiment for draft in drawn()]) / 5_000
    np.testing.assert_allclose(shares, [0.18, 0.55, 0.27], atol=0.02)


def test_the_module_prints_its_samples(capsys: pytest.CaptureFixture[str]) -> None:
    assert synthetic.main(["5", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [SENTIMENTS[example.sentiment or 0] for example in sentences(5, 1)]


# --- labels ----------------------------------------------------------------------------------------------------------------------
def test_the_label_of_a_comparison_follows_from_the_numbers_that_a_reader_sees() -> None:
    compared = [draft for draft in drawn() if draft.comparisons]
    assert Counter(draft.sentiment for draft in compared).keys() == {NEGATIVE, NEUTRAL, POSITIVE}
    for draft in compared:
        first = draft.comparisons[0]
        before, now = read_back(first)
        assert (now > before) - (now < before) == first.direction, draft
        assert 1 + first.direction * first.quantity.good == draft.sentiment, draft


def test_lines_without_a_verb_show_both_numbers() -> None:
    seen = 0
    for draft in drawn():
        if draft.frame.group.startswith("numbers") or draft.frame.group in ("dividend", "results"):
            text = draft.text.lower().replace(" %", "%")
            for value in (draft.comparisons[0].before, draft.comparisons[0].now):
                (digits,) = re.findall(r"-?[\d,]*\.?\d+", value.text.split(" (USD")[0])
                assert digits in text, draft
            seen += 1
    assert seen > 500


def test_a_stated_change_is_the_change_between_the_numbers() -> None:
    seen = 0
    for comparison in (comparison for draft in drawn() for comparison in draft.comparisons if comparison.by):
        before, now = read_back(comparison)
        shown = re.match(r"[\d,.]+", comparison.by)
        assert shown is not None
        decimals = len(shown[0].partition(".")[2])
        wanted = abs(now - before) * (1 if comparison.quantity.form == "percent" else 100 / before)
        assert float(shown[0].replace(",", "")) == pytest.approx(wanted, abs=0.501 * 10**-decimals), comparison
        seen += 1
    assert seen > 500


def test_verbs_move_the_way_that_the_numbers_move() -> None:
    seen = 0
    for draft in drawn():
        if draft.frame.group in ("moves", "moves_by", "moves_stock", "moves_units", "moves_headline", "share_moves"):
            text = draft.text.lower()
            assert not (FALLING if draft.comparisons[0].direction > 0 else RISING).search(text), draft
            seen += 1
    assert seen > 500


def test_a_second_comparison_agrees_and_in_mixed_ones_profit_decides() -> None:
    groups = Counter()  # type: Counter[str]
    for draft in drawn():
        if len(draft.comparisons) == 2:
            first, second = draft.comparisons
            assert first.sentiment == draft.sentiment
            assert second.sentiment == (2 - draft.sentiment if draft.frame.group == "mixed" else draft.sentiment), draft
            groups[draft.frame.group] += 1
    assert groups["pairs"] > 50
    assert groups["mixed"] > 20


def test_a_swing_has_a_profit_on_one_side_and_a_loss_on_the_other() -> None:
    swings = [read_back(draft.comparisons[0]) for draft in drawn() if draft.frame.group == "swings"]
    assert len(swings) > 20
    assert all(before * now < 0 for before, now in swings)


def test_less_of_a_bad_thing_is_good() -> None:
    narrowed = [
        draft for draft in drawn() if draft.comparisons and draft.comparisons[0].name == "net loss" and draft.comparisons[0].direction < 0
    ]
    assert narrowed
    assert {draft.sentiment for draft in narrowed} == {POSITIVE}


# --- companies ---------------------------------------------------------------------------------------------------------------------
def test_targets_are_the_mentions_that_the_text_has() -> None:
    for draft in drawn():
        ends = [0]
        for target in draft.targets:
            assert target.start is not None
            assert target.end is not None
            assert target.start >= ends[-1], draft
            assert draft.text[target.start : target.end] == target.name
            ends.append(target.end)
        short = min((target.name for target in draft.targets), key=len, default="\0")
        assert draft.text.count(short) <= len(draft.targets), draft


def test_the_first_company_of_two_has_the_sentiment_of_the_sentence_and_its_rival_the_opposite() -> None:
    seen = 0
    for draft in drawn():
        if draft.frame.group == "contrast":
            sides = [target.sentiment for target in draft.targets if target.sentiment != NEUTRAL]  # a broker is named without a judgement
            assert sides == [draft.sentiment, 2 - draft.sentiment], draft
            seen += 1
    assert seen > 40


def test_a_target_is_neutral_or_as_the_sentence_unless_two_companies_are_contrasted() -> None:
    for draft in drawn():
        if draft.frame.group != "contrast":
            assert {target.sentiment for target in draft.targets} <= {NEUTRAL, draft.sentiment}, draft


def roots(region: Region) -> list[str]:
    return [first + second for first in items(region.first) for second in items(region.second)]


def test_no_invented_company_is_in_the_catalogue() -> None:
    known = {name.casefold() for entity in Catalogue.load().entities.values() for name in (entity.name_en, *entity.aliases)}
    words = {word for name in known for word in re.findall(r"\w+", name)}
    invented = {root.casefold() for region in GRAMMAR.words.regions.values() for root in roots(region)}
    assert len(invented) > 1_200
    assert not invented & (known | words)
    assert not set(BANK_TAILS) & {root.title() for root in invented}


# --- frames ------------------------------------------------------------------------------------------------------------------------
def test_there_are_many_frames_and_none_twice() -> None:
    lines = [(name, line) for name, group in GRAMMAR.groups.items() for line in group.lines.split("\n") if line.strip()]
    assert len(lines) >= 600
    assert [line for line, count in Counter(lines).items() if count > 1] == []


def test_every_frame_can_be_filled_for_every_sentiment_that_it_has() -> None:
    chance = Random(0)
    for sentiment, frame in EVERY_FRAME:
        for _ in range(3):
            draft = draft_of(GRAMMAR, frame, sentiment=sentiment, chance=chance)
            assert draft.sentiment == sentiment
            assert not LEFT_OVER.search(draft.text.replace("Co., Ltd..", "Co., Ltd.").replace("Inc..", "Inc.").replace("S.A..", "S.A.")), (
                draft
            )
            assert not MARK.search(draft.text), draft


def test_every_line_is_drawn_for_some_sentiment() -> None:
    lines = {line.strip() for group in GRAMMAR.groups.values() for line in group.lines.splitlines() if line.strip()}
    assert lines == {frame.line for _, frame in EVERY_FRAME}


def test_every_choice_of_a_mirrored_line_has_a_part_for_its_sentiments() -> None:
    for sentiment, frame in EVERY_FRAME:
        if GRAMMAR.groups[frame.group].label in ("mirror", "compare"):
            assert all(len(side.split("//")) > PART[sentiment] for side in SIDE.findall(frame.line)), frame


def test_a_slot_that_nothing_fills_is_an_error() -> None:
    with pytest.raises(KeyError):
        draft_of(GRAMMAR, Frame("neutral_deals", "{A} has no {such_slot}"), sentiment=NEUTRAL, chance=Random(0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[groups.x]\nlabel = 'compare'\nweight = 1\nlines = ''\nkinds = 'luck'", r"groups\.x\.kinds: \['luck'\] are not quantities"),
        ("[groups.x]\nlabel = 'good'\nweight = 1\nlines = ''", "restore the file"),
        ("[groups", "restore the file"),
    ],
)
def test_a_broken_frame_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "frames.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        synthetic_grammar.read_grammar(frames_path=path)


# --- no artefacts --------------------------------------------------------------------------------------------------------------------
def held_out_accuracy(features: list[list[str]]) -> float:
    """Balanced accuracy of a linear classifier on frames that it has not seen; 1/3 is chance."""
    frames = sorted({draft.frame for draft in drawn()})
    Random(0).shuffle(frames)
    held = set(frames[: len(frames) // 3])
    train = np.array([draft.frame not in held for draft in drawn()])
    wanted: NDArray[np.int64] = np.array([draft.sentiment for draft in drawn()])
    rows = CountVectorizer(analyzer=list, binary=True, min_df=3).fit_transform(features)
    model = LogisticRegression(max_iter=300, class_weight="balanced", C=0.5).fit(rows[train], wanted[train])
    return float(balanced_accuracy_score(wanted[~train], model.predict(rows[~train])))


def shape(text: str) -> list[str]:
    """Function words, punctuation, units, lengths of numbers and of the sentence: everything but the content."""
    found = [f"length {len(text.split()) // 4}"]
    for word in re.findall(r"[a-z]+|\d[\d.,]*|[^\w\s]", text.lower()):
        if word[0].isdigit():
            found.append(f"digits {min(len(word), 5)}")
        elif not word[0].isalpha() or word in FORM:
            found.append(word)
    return found


def test_lead_ins_and_endings_tell_nothing_of_the_sentiment() -> None:
    assert sum(bool(draft.shared) for draft in drawn()) > 1_500
    assert held_out_accuracy([re.findall(r"\w+|[^\w\s]", draft.shared.lower()) for draft in drawn()]) < 0.37


def test_function_words_and_format_tell_little_of_it_and_content_much_more() -> None:
    form = held_out_accuracy([shape(draft.text) for draft in drawn()])
    words = [re.findall(r"[a-z]+", draft.text.lower()) for draft in drawn()]
    content = held_out_accuracy([found + [f"{a} {b}" for a, b in itertools.pairwise(found)] for found in words])
    assert form < 0.46
    assert content > form + 0.1


SIGNS = (
    *(r"\d", r"%|percent|per cent|pct", r"\b(?:19|20)\d\d\b", r"\(", '"'),
    *(rf"\b(?:{word})\b" for word in ("from", "profits?", "loss(?:es)?", "costs?", "sales", "orders?", "rose|fell", "dividend")),
)


@pytest.mark.parametrize("sign", SIGNS)
def test_no_sign_belongs_to_one_sentiment(sign: str) -> None:
    texts = [[draft.text.lower() for draft in drawn() if draft.sentiment == wanted] for wanted in range(3)]
    shares = [np.mean([bool(re.search(sign, text)) for text in alike]) for alike in texts]
    assert min(shares) > 0.25 * max(shares), shares
