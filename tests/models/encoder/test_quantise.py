"""Rounding to int8: fixed ranges, weights that no processor can overflow, and answers that stay near those of float32."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.encoder import graph
from models.encoder.quantise import (
    PAIR_STEPS,
    STEPS,
    WEIGHT_STEPS,
    Observed,
    arrived,
    compensated,
    observe,
    quantise,
    site_of,
    words_of,
)
from models.encoder.weights import read_weights
from tests import tiny_graph as tiny

SIXTEEN_BITS = 2**15 - 1


def channels(*, count: int = 64, seed: int = 0) -> Observed:
    """What arrives at a site of 32 channels, two of which reach ten times as far as the rest, one of them downwards only."""
    chance = np.random.default_rng(seed)
    rows = chance.standard_normal((count, 32)).astype(np.float32)
    rows[:, 3] *= 10
    rows[:, 17] = -np.abs(rows[:, 17]) * 10
    return Observed(rows.min(0), rows.max(0), rows)


def pairs(weight: NDArray[np.int8]) -> NDArray[np.int64]:
    """Neighbouring rows, two by two [pairs, 2, N]: those whose products are added up in 16 bits where there is no VNNI."""
    whole = weight.astype(np.int64)
    return np.concatenate([whole, np.zeros((len(whole) % 2, whole.shape[1]), np.int64)]).reshape(-1, 2, whole.shape[1])


def exactly(inputs: NDArray[np.uint8], weight: NDArray[np.int8]) -> NDArray[np.int64]:
    return inputs.astype(np.int64) @ weight.astype(np.int64)


def by_the_processor(inputs: NDArray[np.uint8], weight: NDArray[np.int8]) -> NDArray[np.int64]:
    """The same product as the graph's kernel takes it: `MatMulIntegerToFloat` with scales of one."""
    one, zero = np.array(1, np.float32), np.array(0, np.uint8)
    constants = [numpy_helper.from_array(value, name) for name, value in (("w", weight), ("s", one), ("z", zero))]
    node = helper.make_node("MatMulIntegerToFloat", ["x", "w", "s", "s", "z"], ["y"], domain=graph.CONTRIBUTED)
    given = helper.make_tensor_value_info("x", TensorProto.UINT8, list(inputs.shape))
    answered = helper.make_tensor_value_info("y", TensorProto.FLOAT, [len(inputs), weight.shape[1]])
    opsets = [helper.make_opsetid("", graph.OPSET), helper.make_opsetid(graph.CONTRIBUTED, 1)]
    whole: Any = helper.make_graph([node], "product", [given], [answered], constants)
    model: Any = helper.make_model(whole, opset_imports=opsets, ir_version=graph.IR_VERSION)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: NDArray[np.float32] = session.run(["y"], {"x": inputs})[0]
    return found.astype(np.int64)


# --- inputs --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("slots", [0, 4, 16, 64])
def test_every_input_arrives_within_half_a_step(slots: int) -> None:
    seen = channels()
    site = site_of(seen, slots=slots)
    _, inputs = arrived(seen.rows, site)
    assert np.abs(inputs - seen.rows).max() <= 0.5001 * site.scale


@pytest.mark.parametrize("slots", [0, 4, 16, 64])
def test_a_site_has_no_more_slots_than_it_may(slots: int) -> None:
    assert len(site_of(channels(), slots=slots).slots) <= slots


def test_more_slots_give_finer_steps() -> None:
    scales = [site_of(channels(), slots=slots).scale for slots in (0, 4, 16, 64)]
    assert scales == sorted(scales, reverse=True)
    assert scales[-1] < scales[0] / 4


def test_only_channels_that_reach_far_have_slots_and_neighbours_are_of_different_channels() -> None:
    site = site_of(channels(), slots=5)
    assert set(site.slots.tolist()) <= {3, 17}
    assert len(site.shifts) == len(site.slots)
    first, second = site.slots[0:4:2], site.slots[1:4:2]
    assert (first != second).any()


def test_a_channel_that_never_varies_is_no_division_by_zero() -> None:
    nothing = np.zeros((4, 8), np.float32)
    site = site_of(Observed(nothing.min(0), nothing.max(0), nothing), slots=4)
    assert site.scale > 0
    assert np.isfinite(arrived(nothing, site)[1]).all()


def test_what_calibration_texts_do_is_seen_as_the_float_network_does_it() -> None:
    seen = observe(tiny.weights(), tiny.SPEC, tiny.tokenizer(), tiny.TEXTS)
    assert list(seen) == list(graph.sites_of(tiny.SPEC))
    tokens = int(tiny.tokenizer().encode(tiny.TEXTS).starts[-1])
    for site, one in seen.items():
        assert len(one.rows) == tokens, site
        np.testing.assert_array_equal(one.low, one.rows.min(0))
        np.testing.assert_array_equal(one.high, one.rows.max(0))


# --- weights -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", range(3))
def test_a_weight_and_a_pair_of_neighbours_keep_to_their_bounds(seed: int) -> None:
    found = quantise(read_weights(tiny.state(seed), tiny.SPEC), tiny.SPEC, tiny.tokenizer(), tiny.TEXTS)
    for site, products in graph.sites_of(tiny.SPEC).items():
        for product in products:
            weight = found.products[product].weight
            own = weight[: len(weight) - len(found.sites[site].slots)]
            assert np.abs(weight.astype(int)).max() <= WEIGHT_STEPS, product
            assert np.abs(pairs(own).sum(1)).max() <= PAIR_STEPS, product


@pytest.mark.parametrize("seed", range(3))
def test_pairs_of_slots_keep_to_their_bound_too(seed: int) -> None:
    found = quantise(read_weights(tiny.state(seed), tiny.SPEC), tiny.SPEC, tiny.tokenizer(), tiny.TEXTS)
    for product, rounded in found.products.items():
        assert np.abs(pairs(rounded.weight).sum(1)).max() <= PAIR_STEPS, product


def test_no_pair_overflows_sixteen_bits_whatever_the_inputs_are() -> None:
    for product, rounded in tiny.rounded().products.items():
        both = pairs(rounded.weight)
        highest = STEPS * np.maximum(both, 0).sum(1).max()
        lowest = STEPS * np.minimum(both, 0).sum(1).min()
        assert highest <= SIXTEEN_BITS, product
        assert lowest >= -SIXTEEN_BITS - 1, product


def test_this_processor_adds_weights_within_bounds_up_exactly() -> None:
    """The most that a column can come to, the least, and noise: integers, as they are on any other processor."""
    weight = np.random.default_rng(1).integers(-64, 65, (96, 40)).astype(np.int8)
    weight[0::2, :8], weight[1::2, :8] = WEIGHT_STEPS, PAIR_STEPS - WEIGHT_STEPS
    weight[0::2, 8:16], weight[1::2, 8:16] = -WEIGHT_STEPS, WEIGHT_STEPS
    noise = np.random.default_rng(2).integers(0, STEPS + 1, (5, 96)).astype(np.uint8)
    inputs = np.concatenate([noise, STEPS * (weight.T[::4] > 0).astype(np.uint8), STEPS * (weight.T[::4] < 0).astype(np.uint8)])
    np.testing.assert_array_equal(by_the_processor(inputs, weight), exactly(inputs, weight))


def test_making_up_for_rounding_leaves_less_of_it_than_rounding_alone() -> None:
    seen = channels(count=400)
    site = site_of(seen, slots=16)
    _, inputs = arrived(seen.rows, site)
    weight = np.random.default_rng(5).standard_normal((32, 24)).astype(np.float32)
    steps, scale = compensated(weight, site, inputs.T.astype(np.float64) @ inputs / len(inputs), coarseness=0.0)
    nearest = np.rint(weight / scale) * scale
    wanted = inputs @ weight
    assert np.square(inputs @ (steps * scale) - wanted).mean() < np.square(inputs @ nearest - wanted).mean()


def test_word_vectors_are_rounded_row_by_row() -> None:
    words = tiny.weights().words.copy()
    words[7] = 0
    steps, scales = words_of(words)
    assert np.abs(steps * scales - words).max() <= 0.5001 * scales.max()
    assert (np.abs(steps * scales - words) <= 0.5001 * scales).all()
    assert not steps[7].any()


# --- the whole network ---------------------------------------------------------------------------------------------
def test_int8_answers_stay_near_those_of_float32() -> None:
    """Within 2 % of how far logits lie apart, on texts that the rounding was not fitted to; the highest column hardly ever changes."""
    texts = tiny.some_texts(200, seed=3)
    exact, rounded = tiny.engine("fp32").run(texts), tiny.engine("int8").run(texts)
    for one, other in ((exact.text, rounded.text), (exact.tokens, rounded.tokens)):
        assert np.sqrt(np.square(one - other).mean()) < 0.02 * one.std()
    assert (exact.text[:, :5].argmax(1) == rounded.text[:, :5].argmax(1)).mean() >= 0.97


def test_rounding_the_same_network_twice_gives_the_same_bytes() -> None:
    again = quantise(tiny.weights(), tiny.SPEC, tiny.tokenizer(), tiny.TEXTS)
    assert graph.build(tiny.weights(), tiny.SPEC, quantised=again).SerializeToString() == tiny.model("int8")


def test_ranges_come_from_the_calibration_texts_and_from_nothing_else() -> None:
    other = quantise(tiny.weights(), tiny.SPEC, tiny.tokenizer(), tiny.some_texts(20, seed=9))
    reordered = quantise(tiny.weights(), tiny.SPEC, tiny.tokenizer(), tiny.TEXTS[::-1])
    scales = [{name: site.scale for name, site in one.sites.items()} for one in (tiny.rounded(), reordered, other)]
    assert scales[0] == scales[1]
    assert all(scales[0][name] != scales[2][name] for name in scales[0])


def test_every_product_beside_the_heads_is_int8_and_every_other_constant_is_small() -> None:
    model = onnx.load_from_string(tiny.model("int8"))
    sizes = {tensor.name: (tensor.data_type, len(tensor.raw_data)) for tensor in model.graph.initializer}
    for products in graph.sites_of(tiny.SPEC).values():
        assert all(sizes[f"{product}.weight"][0] == TensorProto.INT8 for product in products)
    assert sizes["words"] == (TensorProto.INT8, tiny.weights().words.size)
