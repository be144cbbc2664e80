"""Training: folds, calibration, and (with the labelled sets at hand) that the shipped bundles still reach their figures."""

from pathlib import Path
from typing import Final

import numpy as np
import pytest

from groundswell.names import SENTIMENTS
from models import linear
from models.features import FeatureSpec
from models.linear import LinearModel, load_bundle
from models.scorer import LINEAR_BUNDLES
from models.train_linear import SPECS, Head, Rows, build, counts, dev_figures, folds_of, main, sigmoid_calibration

DATA: Final = Path(__file__).resolve().parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not (DATA / "dev").is_dir(), reason=f"the labelled sets are not at {DATA}")
# Half a point under what `python -m models.train_linear` printed when the bundles were made.
FLOORS: Final = {
    "TFNT accuracy": 0.83,
    "TFNT macro F1": 0.79,
    "TFNS accuracy": 0.84,
    "TFNS macro F1": 0.775,
    "FinFE accuracy": 0.714,
    "FinFE macro F1": 0.66,
    "FinNL micro F1": 0.86,
}


def test_near_duplicates_share_a_fold() -> None:
    texts = [f"company number {i} reports results of the quarter {i * 7919 % 1000}" for i in range(200)]
    folds = folds_of(counts([*texts, *(text + "!" for text in texts)], SPECS["en"]))
    assert np.mean(folds[:200] == folds[200:]) > 0.95
    assert set(folds.tolist()) == {0, 1, 2}


def test_platt_recovers_the_slope_of_a_known_source() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(size=(20_000, 1))
    target = rng.uniform(size=(20_000, 1)) < linear.powered_sigmoid(3 * margins - 1, 1.0)
    slopes, intercepts = sigmoid_calibration(margins, target)
    assert slopes[0] == pytest.approx(3, abs=0.15)
    assert intercepts[0] == pytest.approx(-1, abs=0.1)


def test_training_on_made_up_rows_learns_them_and_repeats_itself() -> None:
    words = {"negative": ["sinks", "fails", "falls"], "neutral": ["meets", "opens", "speaks"], "positive": ["soars", "wins", "gains"]}
    rows, gate = Rows(), Rows()
    for i in range(60):
        for sentiment in SENTIMENTS:
            text = f"Company {i * 37 % 100} {words[sentiment][i % 3]} today"
            rows.add([(text, sentiment)])
            gate.add([(text, "news" if i % 2 else "post")])
    spec = FeatureSpec(style="latin", words=(1, 1), characters=(2, 3), buckets_log2=12)
    heads = [
        Head("post", rows, c=0.5, columns=SENTIMENTS, ratio=True),
        Head("news", rows, c=0.5, columns=SENTIMENTS),
        Head("gate", gate, c=0.5, columns=["news"]),
    ]
    card, tensors = build("en", heads, sources=[], spec=spec)
    again = build("en", heads, sources=[], spec=spec)[1]
    assert (tensors.weights == again.weights).all()
    said = LinearModel(card, tensors).predict(["Bank 7 sinks today", "Bank 8 opens today", "Bank 9 wins today"]).sentiment
    assert [SENTIMENTS[best] for best in said.argmax(axis=1)] == ["negative", "neutral", "positive"]


def test_without_the_labelled_sets_the_command_says_what_to_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert main(["--data", str(tmp_path), "--out", str(tmp_path)]) == 2
    assert "--data" in caplog.text


@needs_data
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_shipped_bundle_reaches_its_floors_on_dev(language: str) -> None:
    model = load_bundle(LINEAR_BUNDLES, language)
    figures = dev_figures(model, DATA / "dev")
    assert figures == pytest.approx(model.card.metrics)
    checked = {name: figures[name] for name in FLOORS if name in figures}
    assert checked
    assert {name: value for name, value in checked.items() if value < FLOORS[name]} == {}
