"""The linear model beside an encoder: what it is certain of costs no encoder; elsewhere its opinion is mixed in."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundswell.errors import BundleError
from models import bundle as bundles
from models import linear
from models.bundle import CompanionCard, EncoderBundle, read_card
from models.companion import Companion, mix
from models.encoder.engine import Readout
from models.encoder.weights import GraphSpec
from models.encoder_scorer import EncoderScorer
from models.linear import LinearModel
from models.scorer import LINEAR_BUNDLES
from models.taxonomy import NATIVE_TOPICS, PPM
from tests.contract.test_scorer import document
from tests.model_bundles import a_card, an_encoder

TITLES = ("$TSLA price target raised to $300 at Morgan Stanley", "Something happened somewhere", "Fed holds rates steady")
LEXICON = b'{"dated":"","about":"","flags":{},"tone":{}}'
COLUMNS = len(NATIVE_TOPICS) + 3 + 3 + 1


class CountingEngine:
    """Logits that are all alike, and a note of which texts were read."""

    spec = GraphSpec(layers=1, heads=1, text_heads=("topic", "post", "news", "gate"))
    engine_id = "none"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def run(self, texts: Sequence[str]) -> Readout:
        self.asked += texts
        return Readout(
            np.zeros((len(texts), COLUMNS), np.float32),
            np.arange(len(texts) + 1) * 2,
            np.zeros((2 * len(texts), 0), np.float32),
            np.zeros((2 * len(texts), 2), np.int32),
        )


@pytest.fixture(scope="module")
def english() -> LinearModel:
    return linear.load_bundle(LINEAR_BUNDLES, "en")


def settings(model: LinearModel, *, weights: Mapping[str, float] | None = None, certain: float = 0.0) -> CompanionCard:
    return CompanionCard(linear.model_id([model], lexicon=b""), dict(weights or {}), round(certain * PPM))


def scorer_of(model: LinearModel, card: CompanionCard, engine: CountingEngine) -> EncoderScorer:
    made = a_card(companion=card)
    bundle = EncoderBundle(made, Path("none"), {})
    companion = Companion(model, made, card)
    return EncoderScorer(bundle, engine, lexicon=LEXICON, finder=lambda _: [], digest=lambda _: b"", companion=companion)


def test_what_the_companion_is_certain_of_is_answered_by_it_alone(english: LinearModel) -> None:
    engine = CountingEngine()
    scorer = scorer_of(english, settings(english, certain=0.85), engine)
    documents = [document(title, "", "en") for title in TITLES]
    answers = scorer.score(documents)
    said = english.predict(list(TITLES))
    assert said.topic is not None
    certain = [
        title
        for title, topic, sentiment in zip(TITLES, said.topic.max(axis=1), said.sentiment.max(axis=1), strict=True)
        if min(topic, sentiment) >= 850_000
    ]
    assert 0 < len(certain) < len(TITLES)
    assert engine.asked == [title for title in TITLES if title not in certain]
    for row, (title, answer) in enumerate(zip(TITLES, answers, strict=True)):
        assert answer is not None
        if title in certain:
            assert answer.native_topic_ppm == said.topic[row].tolist()
            assert [answer.negative_ppm, answer.neutral_ppm, answer.positive_ppm] == said.sentiment[row].tolist()
    assert [scorer.score([one])[0] for one in documents] == answers, "an answer does not depend on the rest of the batch"


def test_a_companion_that_may_never_answer_alone_leaves_every_text_to_the_encoder(english: LinearModel) -> None:
    engine = CountingEngine()
    scorer_of(english, settings(english), engine).score([document(title, "", "en") for title in TITLES])
    assert engine.asked == list(TITLES)


def test_where_the_encoder_knows_nothing_the_mixed_answer_is_the_companions(english: LinearModel) -> None:
    (answer,) = scorer_of(english, settings(english, weights={"topic": 0.5}), CountingEngine()).score([document(TITLES[0], "", "en")])
    said = english.predict([TITLES[0]]).topic
    assert answer is not None
    assert said is not None
    assert answer.native_topic == int(said[0].argmax())


def test_opinions_are_mixed_as_logarithms_and_those_of_labels_as_odds() -> None:
    shares = np.array([[0.7, 0.2, 0.1]])
    margins = np.array([[1.0, 2.0, 3.0]])
    assert mix(margins, shares, head="post", weight=0.0) == pytest.approx(margins)
    assert mix(margins, shares, head="post", weight=1.0) == pytest.approx(np.log(shares))
    assert mix(margins, shares, head="labels", weight=0.5) == pytest.approx((margins + np.log(shares / (1 - shares))) / 2)
    assert np.isfinite(mix(margins, np.array([[1.0, 0.0, 0.0]]), head="labels", weight=1.0)).all()


def test_another_linear_model_than_the_one_calibrated_beside_is_refused(english: LinearModel) -> None:
    with pytest.raises(BundleError, match=r"calibrated beside linear-0000.*restore the linear bundle"):
        Companion(english, a_card(), CompanionCard("linear-00000000-numpy-int8"))


def test_a_companion_of_other_columns_is_refused(english: LinearModel) -> None:
    card = a_card(heads={**a_card().heads, "topic": list(NATIVE_TOPICS)[:5]})
    with pytest.raises(BundleError, match="train the two on the same labels"):
        Companion(english, card, settings(english, weights={"topic": 0.5}))


def test_the_companion_is_part_of_what_a_bundle_answers(english: LinearModel, tmp_path: Path) -> None:
    plain = read_card(an_encoder(tmp_path / "plain"))
    beside = read_card(an_encoder(tmp_path / "beside", companion=settings(english, weights={"post": 0.3})))
    assert bundles.content_hash(plain) != bundles.content_hash(beside)


@pytest.mark.parametrize(
    ("companion", "said"),
    [
        pytest.param({"weights": {"gate": 0.1}}, "companion.weights", id="a head that is not mixed"),
        pytest.param({"weights": {"post": 1.5}}, "companion.weights", id="more than all"),
        pytest.param({"certain_ppm": 2_000_000}, "companion.certain_ppm", id="more than certain"),
    ],
)
def test_a_card_with_impossible_settings_is_refused(companion: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=said):
        an_encoder(tmp_path / "tiny", companion=CompanionCard("linear-00000000-numpy-int8", **companion))
