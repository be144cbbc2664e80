"""The linear bundle: what is refused on loading, and that probabilities are exact and independent of the batch."""

import hashlib
import pickle
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.errors import BundleError
from groundswell.names import SENTIMENTS
from models import features, linear
from models.features import FeatureSpec
from models.linear import Card, LinearModel, Source, Tensors, load_bundle, model_id, save_bundle
from models.taxonomy import NATIVE_TOPICS, PPM, taxonomy_hash

SPEC: Final = FeatureSpec(style="latin", words=(1, 2), characters=(2, 4), buckets_log2=10)
HEADS: Final = {"topic": list(NATIVE_TOPICS), "post": list(SENTIMENTS), "news": list(SENTIMENTS), "gate": ["news"]}
COLUMNS: Final = 27


def small_card(**changes: Any) -> Card:
    card = Card(
        format=linear.FORMAT,
        language="en",
        features=SPEC,
        features_revision=features.REVISION,
        taxonomy=taxonomy_hash(),
        heads=HEADS,
        links={"topic": "sigmoid", "post": "softmax", "news": "softmax", "gate": "sigmoid"},
        label_threshold_ppm=0,
        tensors="",
        sha256="",
        calibration="none",
        sources=[Source("made up", 0, "none")],
        metrics={},
    )
    return msgspec.structs.replace(card, **changes)


def small_tensors(seed: int = 0) -> Tensors:
    rng = np.random.default_rng(seed)
    return Tensors(
        weights=rng.integers(-127, 128, (1 << SPEC.buckets_log2, COLUMNS)).astype(np.int8),
        norms=rng.integers(1, 65535, 1 << SPEC.buckets_log2).astype(np.uint16),
        scales=rng.uniform(0.01, 0.5, COLUMNS),
        biases=rng.normal(size=COLUMNS),
        slopes=np.ones(COLUMNS),
        intercepts=np.zeros(COLUMNS),
        powers=np.ones(COLUMNS),
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    save_bundle(tmp_path, small_card(), tensors=small_tensors())
    return tmp_path


def rewrite_card(bundle: Path, **changes: Any) -> None:
    path = bundle / "en.json"
    card = msgspec.json.decode(path.read_bytes(), type=Card)
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(card, **changes)))


def rewrite_tensors(bundle: Path, arrays: dict[str, Any]) -> None:
    save_bundle(bundle, small_card(), tensors=small_tensors())
    data = safetensors.numpy.save(arrays)
    (bundle / "en.safetensors").write_bytes(data)
    rewrite_card(bundle, sha256=hashlib.sha256(data).hexdigest())


def arrays_of(tensors: Tensors) -> dict[str, Any]:
    return {name: getattr(tensors, name) for name in Tensors.__struct_fields__}


def test_a_saved_bundle_answers_as_before(bundle: Path) -> None:
    texts = ["Shares fall", "Profit rises", ""]
    fresh, loaded = LinearModel(small_card(), small_tensors()), load_bundle(bundle, "en")
    assert loaded.predict(texts).sentiment.tolist() == fresh.predict(texts).sentiment.tolist()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"format": "something-2"}, "format"),
        ({"language": "zh"}, "language"),
        ({"taxonomy": "0" * 16}, "taxonomy"),
        ({"features_revision": "0"}, "features_revision"),
        ({"heads": HEADS | {"topic": list(NATIVE_TOPICS)[:5]}}, "heads.topic"),
        ({"heads": {"topic": list(NATIVE_TOPICS)}}, "post, news and gate"),
        ({"heads": HEADS | {"mood": ["calm"]}}, "heads.mood"),
        ({"links": {"topic": "sigmoid"}}, "links"),
        ({"tensors": "weights.pkl"}, "safetensors"),
        ({"tensors": "../en.safetensors"}, "beside the card"),
        ({"sha256": "0" * 64}, "sha256"),
    ],
)
def test_a_card_of_another_kind_is_refused_by_rule(bundle: Path, change: dict[str, Any], rule: str) -> None:
    rewrite_card(bundle, **change)
    with pytest.raises(BundleError, match=rule):
        load_bundle(bundle, "en")


def test_a_truncated_file_is_refused(bundle: Path) -> None:
    path = bundle / "en.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BundleError, match="sha256"):
        load_bundle(bundle, "en")


@pytest.mark.parametrize("missing", ["en.json", "en.safetensors"])
def test_a_missing_file_is_named(bundle: Path, missing: str) -> None:
    (bundle / missing).unlink()
    with pytest.raises(BundleError, match=missing):
        load_bundle(bundle, "en")


def test_a_card_that_is_not_json_is_refused(bundle: Path) -> None:
    (bundle / "en.json").write_bytes(b"{")
    with pytest.raises(BundleError, match=r"en\.json"):
        load_bundle(bundle, "en")


def test_a_missing_tensor_is_named(bundle: Path) -> None:
    arrays = arrays_of(small_tensors())
    del arrays["norms"]
    rewrite_tensors(bundle, arrays)
    with pytest.raises(BundleError, match="'norms' is missing"):
        load_bundle(bundle, "en")


def test_a_tensor_of_another_shape_is_refused(bundle: Path) -> None:
    rewrite_tensors(bundle, arrays_of(small_tensors()) | {"scales": np.ones(3)})
    with pytest.raises(BundleError, match=r"'scales' is float64\(3,\)"):
        load_bundle(bundle, "en")


def test_a_tensor_with_a_hole_is_refused(bundle: Path) -> None:
    rewrite_tensors(bundle, arrays_of(small_tensors()) | {"biases": np.full(COLUMNS, np.nan)})
    with pytest.raises(BundleError, match="not finite"):
        load_bundle(bundle, "en")


def test_pickle_is_refused_even_with_the_right_hash(bundle: Path) -> None:
    data = pickle.dumps({"weights": 1})
    (bundle / "en.safetensors").write_bytes(data)
    rewrite_card(bundle, sha256=hashlib.sha256(data).hexdigest())
    with pytest.raises(BundleError, match="pickle"):
        load_bundle(bundle, "en")


@given(st.lists(st.text(max_size=50), min_size=1, max_size=12), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_answers_do_not_depend_on_the_batch(texts: list[str], order: Any) -> None:
    model = LinearModel(small_card(), small_tensors())
    together = model.predict(texts)
    shuffled = list(range(len(texts)))
    order.shuffle(shuffled)
    again = model.predict([texts[i] for i in shuffled])
    assert again.sentiment.tolist() == [together.sentiment[i].tolist() for i in shuffled]
    assert again.topic is not None
    assert together.topic is not None
    assert again.topic.tolist() == [together.topic[i].tolist() for i in shuffled]
    for row, text in enumerate(texts):
        alone = model.margins([text])
        assert alone[0].tolist() == model.margins(texts)[row].tolist()


@given(st.lists(st.text(max_size=50), min_size=1, max_size=12), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_shares_sum_to_exactly_one_million(texts: list[str], seed: int) -> None:
    outputs = LinearModel(small_card(), small_tensors(seed)).predict(texts)
    assert outputs.topic is not None
    assert set(outputs.sentiment.sum(axis=1).tolist()) == {PPM}
    assert set(outputs.topic.sum(axis=1).tolist()) == {PPM}
    assert outputs.topic.min() >= 0


def test_the_model_id_follows_what_answers_rest_on_and_nothing_else(bundle: Path) -> None:
    model = load_bundle(bundle, "en")
    other = LinearModel(msgspec.structs.replace(model.card, metrics={"accuracy": 1.0}), model.tensors)
    changed = LinearModel(msgspec.structs.replace(model.card, label_threshold_ppm=1), model.tensors)
    assert model_id([model], lexicon=b"a") == model_id([other], lexicon=b"a")
    assert len({model_id([m], lexicon=lexicon) for m in (model, changed) for lexicon in (b"a", b"b")}) == 4
