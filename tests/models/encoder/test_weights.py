"""Tensors by name: found where they should be, and named where they are missing or of another shape."""

import msgspec
import numpy as np
import pytest

from groundswell.errors import BundleError
from models.encoder.weights import GraphSpec, read_weights
from tests import tiny_graph as tiny

WORDS = "encoder.embeddings.word_embeddings.weight"
POSITIONS = "encoder.embeddings.position_embeddings.weight"
KINDS = "encoder.embeddings.token_type_embeddings.weight"
NAMES = sorted(tiny.state())


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_tensor_is_named(name: str) -> None:
    tensors = tiny.state()
    del tensors[name]
    # A head of one product has no number in its name, so what is missed of it is the first of two.
    missed = name.replace("text.topic.weight", "text.topic.0.weight")
    with pytest.raises(BundleError, match=f"tensor '{missed}' is missing; export"):
        read_weights(tensors, tiny.SPEC)


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("encoder.embeddings") or "LayerNorm" in name])
def test_a_tensor_of_another_shape_is_named_with_its_shape(name: str) -> None:
    tensors = tiny.state()
    part = name.removesuffix(".weight").removesuffix(".bias")
    tensors[name] = np.zeros((5, 7), np.float32)
    with pytest.raises(BundleError, match=rf"encoder: {part} is .*\(5, 7\).*; needed is .*; export"):
        read_weights(tensors, tiny.SPEC)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (WORDS, (70,)),
        (WORDS, (70, 31)),
        (WORDS, (70, 4, 8)),
        (POSITIONS, (tiny.MAX_TOKENS - 1, 32)),
        (POSITIONS, (64, 16)),
        (POSITIONS, (64,)),
    ],
)
def test_embeddings_that_do_not_fit_each_other_are_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(BundleError, match=r"words .* and positions .* do not fit 4 heads and 24 tokens; use the specification"):
        read_weights(tiny.state() | {name: np.zeros(shape, np.float32)}, tiny.SPEC)


def test_an_embedding_of_token_types_of_another_width_is_refused() -> None:
    with pytest.raises(BundleError, match="token_type_embeddings"):
        read_weights(tiny.state() | {KINDS: np.zeros((2, 16), np.float32)}, tiny.SPEC)


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        ({"layers": 3}, "encoder.encoder.layer.2.intermediate.dense.weight"),
        ({"text_heads": ("topic", "gate")}, "text.gate.0.weight"),
        ({"token_heads": ("target", "flags")}, "token.flags.0.weight"),
    ],
)
def test_a_specification_of_more_than_there_is_names_what_it_misses(change: dict[str, object], missed: str) -> None:
    with pytest.raises(BundleError, match=f"tensor '{missed}' is missing"):
        read_weights(tiny.state(), msgspec.structs.replace(tiny.SPEC, **change))


def test_a_product_is_turned_so_that_inputs_are_its_rows() -> None:
    weights, tensors = tiny.weights(), tiny.state()
    up = weights.layers[1].up
    assert up.weight.shape == (tiny.WIDTH, tiny.MIDDLE)
    np.testing.assert_array_equal(up.weight, tensors["encoder.encoder.layer.1.intermediate.dense.weight"].T)
    assert up.weight.flags.c_contiguous


def test_positions_hold_the_token_type_and_end_with_the_longest_text() -> None:
    tensors = tiny.state()
    np.testing.assert_array_equal(tiny.weights().positions, tensors[POSITIONS][: tiny.MAX_TOKENS] + tensors[KINDS][0])


def test_token_heads_stand_side_by_side_and_do_not_mix() -> None:
    heads = tiny.weights().token
    assert heads is not None
    first, second = heads
    assert first.weight.shape == (tiny.WIDTH, 32)
    assert second.weight.shape == (32, 6)
    assert not second.weight[:16, 3:].any()
    assert not second.weight[16:, :3].any()
    np.testing.assert_array_equal(second.weight[16:, 3:], tiny.state()["token.spans.2.weight"].T)


def test_the_order_of_heads_is_that_of_the_specification() -> None:
    turned = msgspec.structs.replace(tiny.SPEC, text_heads=("news", "topic"), token_heads=("spans", "target"))
    found, expected = read_weights(tiny.state(), turned), tiny.weights()
    assert [len(chain) for chain in found.text] == [2, 1]
    np.testing.assert_array_equal(found.text[1][0].weight, expected.text[0][0].weight)
    assert found.token is not None
    assert expected.token is not None
    np.testing.assert_array_equal(found.token[0].bias, np.roll(expected.token[0].bias, 16))


def test_half_precision_is_read_as_float32() -> None:
    halves = {name: tensor.astype(np.float16) for name, tensor in tiny.state().items()}
    assert read_weights(halves, tiny.SPEC).words.dtype == np.float32


def test_a_specification_survives_json_and_takes_no_field_that_it_does_not_know() -> None:
    encoded = msgspec.json.encode(tiny.SPEC)
    assert msgspec.json.decode(encoded, type=GraphSpec) == tiny.SPEC
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(encoded[:-1] + b',"code":"import os"}', type=GraphSpec)
