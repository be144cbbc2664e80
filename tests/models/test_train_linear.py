"""Training: folds, calibration, and (with the labelled sets at hand) that the shipped bundles still reach their figures."""

from pathlib import Path
from typing import Final

import numpy as np
import pytest

from groundswell.names import SENTIMENTS
from models.features import FeatureSpec
from models.linear import LinearModel, load_bundle
from models.scorer import LINEAR_BUNDLES
from models.train_linear import SPECS, Head, Rows, build, counts, dev_figures, folds_of, main

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
    rng = np.random.default_rng(0)
    texts = [" ".join(f"{word:x}" for word in rng.integers(0, 2**32, 12)) for _ in range(200)]
    folds = folds_of(counts([*texts, *(text + "!" for text in texts)], SPECS["en"]))
    assert np.mean(folds[:200] == folds[200:]) > 0.95
    assert set(folds.tolist()) == {0, 1, 2}


def test_training_on_made_up_rows_learns_them_and_repeats_itself() -> None:
    words = {"negative": ["sinks", "fails", "falls"], "neutral": ["meets", "opens", "speaks"], "positive": ["soars", "wins", "gains"]}
    rows, gate = Rows(), Rows()
    rng = np.random.default_rng(0)
    for i in range(60):
        for sentiment in SENTIMENTS:
            text = f"{rng.bytes(12).hex()} {words[sentiment][i % 3]} {rng.bytes(12).hex()}"
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
    said = LinearModel(card, tensors).predict(["Bank 7 sinks", "Bank 8 opens", "Bank 9 wins"]).sentiment
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
