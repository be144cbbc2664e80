"""A published ONNX file back to a checkpoint: the same weights under their own names, proved by running both."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

torch = pytest.importorskip("torch", reason="training needs torch: pip install groundswell[torch]")
pytest.importorskip("transformers", reason="training needs transformers: pip install groundswell[torch]")

from safetensors.numpy import load_file  # noqa: E402

from groundswell.errors import SettingsError  # noqa: E402
from models.encoder.from_onnx import convert  # noqa: E402
from models.encoder.network import load_encoder  # noqa: E402
from tests.tiny_encoder import LAYERS, WIDTH  # noqa: E402

HEADS = 2
SIZE = WIDTH // HEADS
Tensors = dict[str, NDArray[np.float32]]


class Exporter:
    """BERT as torch's exporter writes it: vectors keep their names, matrices are turned and lose theirs to the nodes that use them."""

    def __init__(self, tensors: Tensors, *, scale: float = SIZE**-0.5) -> None:
        self._tensors, self._scale = tensors, scale
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        output = f"{name}_output_0"
        self.nodes.append(helper.make_node(operator, inputs, [output], name=name, **attributes))
        return output

    def linear(self, states: str, name: str) -> str:
        place = "/" + name.replace(".", "/").replace("layer/", "layer.")
        weight = self.constant(f"onnx::MatMul_{len(self.constants)}", self._tensors[f"{name}.weight"].T)
        product = self.node("MatMul", [states, weight], f"{place}/MatMul")
        return self.node("Add", [self.constant(f"{name}.bias", self._tensors[f"{name}.bias"]), product], f"{place}/Add")

    def norm(self, states: str, name: str) -> str:
        given = [self.constant(f"{name}.{part}", self._tensors[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.node("LayerNormalization", [states, *given], f"/{name}/LayerNormalization", axis=-1, epsilon=1e-12)

    def embedded(self) -> str:
        table = "embeddings.{}_embeddings.weight"
        parts = []
        for kind, ids in (("word", "input_ids"), ("token_type", "token_type_ids")):
            name = self.constant(table.format(kind), self._tensors[table.format(kind)])
            parts.append(self.node("Gather", [name, ids], f"/embeddings/{kind}/Gather"))
        first, one = self.constant("first", np.zeros(1, np.int64)), self.constant("one", np.ones(1, np.int64))
        shape = self.node("Shape", ["input_ids"], "/Shape")
        length = self.node("Slice", [shape, one, self.constant("two", np.array([2], np.int64))], "/Slice")
        positions = self.constant(table.format("position"), self._tensors[table.format("position")])
        taken = self.node("Slice", [positions, first, length, first], "/embeddings/position/Slice")
        both = self.node("Add", parts, "/embeddings/Add")
        return self.norm(self.node("Add", [both, taken], "/embeddings/Add_1"), "embeddings.LayerNorm")

    def block(self, states: str, number: int) -> str:
        prefix, place = f"encoder.layer.{number}", f"/encoder/layer.{number}/attention/self"
        shape_parts = [self.constant(f"shape.{number}.{part}", np.array([part], np.int64)) for part in (0, 0, HEADS, SIZE)]
        shape = self.node("Concat", shape_parts, f"{place}/Concat", axis=0)
        heads = []
        for turn, part in enumerate(("query", "key", "value")):
            reshaped = self.node("Reshape", [self.linear(states, f"{prefix}.attention.self.{part}"), shape], f"{place}/Reshape_{turn}")
            perm = [0, 2, 3, 1] if part == "key" else [0, 2, 1, 3]
            heads.append(self.node("Transpose", [reshaped], f"{place}/Transpose_{turn}", perm=perm))
        scale = self.constant(f"scale.{number}", np.array(self._scale, np.float32))
        scores = self.node("Mul", [self.node("MatMul", heads[:2], f"{place}/MatMul"), scale], f"{place}/Mul")
        shares = self.node("Softmax", [scores], f"{place}/Softmax", axis=-1)
        context = self.node("MatMul", [shares, heads[2]], f"{place}/MatMul_1")
        context = self.node("Transpose", [context], f"{place}/Transpose_3", perm=[0, 2, 1, 3])
        whole = self.constant(f"whole.{number}", np.array([0, 0, WIDTH], np.int64))
        context = self.node("Reshape", [context, whole], f"{place}/Reshape_3")
        answer = self.linear(context, f"{prefix}.attention.output.dense")
        total = self.node("Add", [answer, states], f"/{prefix}/attention/output/Add")
        middle = self.norm(total, f"{prefix}.attention.output.LayerNorm")
        active = self.node("Gelu", [self.linear(middle, f"{prefix}.intermediate.dense")], f"/{prefix}/intermediate/Gelu")
        down = self.linear(active, f"{prefix}.output.dense")
        return self.norm(self.node("Add", [down, middle], f"/{prefix}/output/Add"), f"{prefix}.output.LayerNorm")

    def model(self) -> Any:
        states = self.embedded()
        for number in range(LAYERS):
            states = self.block(states, number)
        self.nodes.append(helper.make_node("Identity", [states], ["last_hidden_state"], name="/Identity"))
        given = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", "attention_mask", "token_type_ids")
        ]
        answered = [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", "t", WIDTH])]
        graph = helper.make_graph(self.nodes, "main_graph", given, answered, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def tensors_of(checkpoint: Path) -> Tensors:
    return {name: value for name, value in load_file(checkpoint / "model.safetensors").items() if not name.startswith("pooler.")}


def written(path: Path, model: Any) -> Path:
    onnx.save(model, str(path))
    return path


def test_every_weight_comes_back_under_its_own_name(checkpoint: Path, tmp_path: Path) -> None:
    source = written(tmp_path / "model.onnx", Exporter(tensors_of(checkpoint)).model())
    assert convert(source, checkpoint / "tokenizer.json", tmp_path / "out") < 1e-5
    found, expected = load_file(tmp_path / "out" / "model.safetensors"), tensors_of(checkpoint)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert (tmp_path / "out" / "tokenizer.json").read_bytes() == (checkpoint / "tokenizer.json").read_bytes()


def test_the_folder_says_what_shape_the_encoder_has_and_can_be_trained_from(checkpoint: Path, tmp_path: Path) -> None:
    source = written(tmp_path / "model.onnx", Exporter(tensors_of(checkpoint)).model())
    convert(source, checkpoint / "tokenizer.json", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "config.json").read_text(encoding="utf-8"))
    original = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    shape = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
    assert {key: found[key] for key in shape} == {key: original[key] for key in shape}
    ids = torch.tensor([[2, 60, 61, 62, 3]])
    with torch.no_grad():
        states = [load_encoder(folder).eval()(ids).last_hidden_state for folder in (checkpoint, tmp_path / "out")]
    assert torch.equal(*states)


def no_words(tensors: Tensors) -> Any:
    model = Exporter(tensors).model()
    for tensor in model.graph.initializer:
        if tensor.name == "embeddings.word_embeddings.weight":
            tensor.name = "bert.words"
    for node in model.graph.node:
        node.input[:] = ["bert.words" if name == "embeddings.word_embeddings.weight" else name for name in node.input]
    return model


def unnamed(tensors: Tensors) -> Any:
    model = Exporter(tensors).model()
    for number, node in enumerate(model.graph.node):
        node.name = f"node_{number}"
    return model


@pytest.mark.parametrize(
    ("model", "said"),
    [
        pytest.param(no_words, r"no tensor 'embeddings\.word_embeddings\.weight'; only BERT encoders", id="other names"),
        pytest.param(unnamed, r"no tensor 'encoder\.layer\.0\.intermediate\.dense\.weight'; only BERT encoders", id="nodes without names"),
        pytest.param(lambda tensors: Exporter(tensors, scale=1.0).model(), r"its states differ by .*another architecture", id="unscaled"),
    ],
)
def test_what_is_no_bert_encoder_is_refused(checkpoint: Path, tmp_path: Path, model: Callable[[Tensors], Any], said: str) -> None:
    source = written(tmp_path / "model.onnx", model(tensors_of(checkpoint)))
    with pytest.raises(SettingsError, match=said):
        convert(source, checkpoint / "tokenizer.json", tmp_path / "out")


def without_heads(tensors: Tensors) -> Any:
    model = Exporter(tensors).model()
    for node in model.graph.node:
        if node.op_type == "Reshape":
            node.name = node.name.replace("attention/self", "elsewhere")
    return model


def test_a_file_whose_number_of_heads_cannot_be_found_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    source = written(tmp_path / "model.onnx", without_heads(tensors_of(checkpoint)))
    with pytest.raises(SettingsError, match="heads"):
        convert(source, checkpoint / "tokenizer.json", tmp_path / "out")
