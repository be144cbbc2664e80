"""The network as a graph: what numpy computes, whether texts are padded or not, and alone as among others."""

import random
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from models.encoder import graph
from models.encoder.weights import GraphSpec
from tests import tiny_graph as tiny

CLOSE = 1e-5  # float32 against float64, of logits up to 6


def run(model: Any, outputs: list[str], fed: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """One pass over a graph as it is written."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(outputs, fed)
    return found


def ids_of(text: str) -> NDArray[np.int32]:
    found: NDArray[np.int32] = tiny.tokenizer().encode([text])[0].ids
    return found


def padded_batch(texts: tuple[str, ...]) -> dict[str, NDArray[Any]]:
    """Texts side by side, filled up with a token that means something: only the mask keeps it out."""
    encoded = [ids_of(text) for text in texts]
    ids = np.full((len(texts), max(map(len, encoded))), 7, np.int32)
    for row, one in enumerate(encoded):
        ids[row, : len(one)] = one
    return {"input_ids": ids, "lengths": np.array([len(one) for one in encoded], np.int32)}


@pytest.mark.parametrize("text", tiny.TEXTS)
def test_the_float_graph_answers_what_numpy_computes(text: str) -> None:
    ids = ids_of(text)
    expected_text, expected_tokens = tiny.answers(tiny.state(), ids)
    found_text, found_tokens = run(graph.build(tiny.weights(), tiny.SPEC), ["text", "tokens"], {"input_ids": ids[None]})
    np.testing.assert_allclose(found_text[0], expected_text, rtol=0, atol=CLOSE)
    np.testing.assert_allclose(found_tokens[0], expected_tokens, rtol=0, atol=CLOSE)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_padded_graph_answers_what_the_graph_without_padding_does(precision: str) -> None:
    quantised = tiny.rounded() if precision == "int8" else None
    padded = graph.build(tiny.weights(), tiny.SPEC, quantised=quantised, padded=True)
    plain = graph.build(tiny.weights(), tiny.SPEC, quantised=quantised)
    text, tokens = run(padded, ["text", "tokens"], padded_batch(tiny.TEXTS))
    # An int8 step may fall the other way where a masked sum ends in another last bit.
    close = CLOSE if quantised is None else 0.05
    for row, one in enumerate(tiny.TEXTS):
        ids = ids_of(one)
        alone_text, alone_tokens = run(plain, ["text", "tokens"], {"input_ids": ids[None]})
        np.testing.assert_allclose(text[row], alone_text[0], rtol=0, atol=close)
        np.testing.assert_allclose(tokens[row, : len(ids)], alone_tokens[0], rtol=0, atol=close)


@pytest.mark.parametrize("seed", range(3))
def test_an_int8_answer_is_the_same_to_the_bit_alone_and_among_any_others(seed: int) -> None:
    chance = random.Random(seed)
    length = chance.randint(3, tiny.MAX_TOKENS)
    ids = np.array([chance.choices(range(len(tiny.VOCABULARY)), k=length) for _ in range(33)], np.int32)
    model = graph.build(tiny.weights(), tiny.SPEC, quantised=tiny.rounded())
    text, tokens = run(model, ["text", "tokens"], {"input_ids": ids})
    for rows in ([0], [32], [5, 0], list(range(32, -1, -1)), [4] * 9):
        found_text, found_tokens = run(model, ["text", "tokens"], {"input_ids": ids[rows]})
        assert found_text.tobytes() == text[rows].tobytes()
        assert found_tokens.tobytes() == tokens[rows].tobytes()


def test_a_graph_says_itself_what_it_is() -> None:
    for quantised, precision in ((None, "fp32"), (tiny.rounded(), "int8")):
        model = graph.build(tiny.weights(), tiny.SPEC, quantised=quantised)
        described = {entry.key: entry.value for entry in model.metadata_props}
        assert msgspec.json.decode(described["specification"], type=GraphSpec) == tiny.SPEC
        assert described["precision"] == precision
        assert described["vocabulary"] == str(len(tiny.VOCABULARY))


def test_a_network_without_token_heads_has_no_output_for_tokens() -> None:
    spec = msgspec.structs.replace(tiny.SPEC, token_heads=())
    weights = msgspec.structs.replace(tiny.weights(), token=None)
    model = graph.build(weights, spec)
    assert [output.name for output in model.graph.output] == ["text"]
    ids = ids_of(tiny.TEXTS[0])
    expected, _ = tiny.answers(tiny.state(), ids)
    np.testing.assert_allclose(run(model, ["text"], {"input_ids": ids[None]})[0][0], expected, rtol=0, atol=CLOSE)
    assert f"{spec.layers}.states" not in graph.sites_of(spec)  # nothing reads the last states in int8


def test_every_site_can_be_looked_at_and_has_a_row_for_each_token() -> None:
    sites = graph.sites_of(tiny.SPEC)
    ids = ids_of(tiny.TEXTS[0])
    model = graph.build(tiny.weights(), tiny.SPEC, taps=list(sites))
    for (site, products), states in zip(sites.items(), run(model, list(sites), {"input_ids": ids[None]}), strict=True):
        for product in products:
            assert states.shape == (1, len(ids), len(graph.product_of(tiny.weights(), product).weight)), site


def test_a_network_can_be_rounded_site_by_site() -> None:
    """What has no site stays float32, and the more is rounded, the further answers move, within bounds."""
    whole = tiny.rounded()
    ids = ids_of(tiny.TEXTS[0])[None]
    exact, _ = run(graph.build(tiny.weights(), tiny.SPEC), ["text", "tokens"], {"input_ids": ids})
    some = graph.Quantised(sites={"0.active": whole.sites["0.active"]}, products={"0.down": whole.products["0.down"]})
    model = graph.build(tiny.weights(), tiny.SPEC, quantised=some)
    assert [node.name for node in model.graph.node if node.op_type == "MatMulIntegerToFloat"] == ["0.down"]
    text, _ = run(model, ["text", "tokens"], {"input_ids": ids})
    assert 0 < np.abs(text - exact).max() < 0.02


def test_the_int8_graph_measures_nothing_while_it_runs() -> None:
    """Every scale is a constant: a range that is taken from a batch would make answers depend on the batch."""
    model = graph.build(tiny.weights(), tiny.SPEC, quantised=tiny.rounded())
    constants = {tensor.name for tensor in model.graph.initializer}
    assert not [node for node in model.graph.node if node.op_type.startswith("Dynamic")]
    roundings = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "MatMulIntegerToFloat")]
    assert len(roundings) > 2 * len(graph.sites_of(tiny.SPEC))
    for node in roundings:
        given = node.input[1:] if node.op_type == "QuantizeLinear" else [node.input[1], *node.input[2:5], node.input[6]]
        assert set(given) <= constants, node.name
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    assert {node.name for node in products} == {"mean", "text.0.product", "text.1.product", "text.1.second.product", "tokens.product"}
