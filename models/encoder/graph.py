"""The network as an ONNX graph, written node by node: in float32, or with int8 products whose scales are fixed beforehand.

Pure functions from arrays to a graph: no torch, no tracing. Node for node the graph is what ONNX Runtime's CPU kernels are fastest at
(docs/models.md has the measurements): MatMulIntegerToFloat adds the bias and returns floats at once, `Attention` reads its three inputs
where they lie, and the residual sum stays apart from LayerNormalization, whose fused form is eight times slower.

A batch holds texts of one length, so nothing is padded and nothing masked. Then every number that a text gives depends on that
text alone: integer products are exact in any order, and everything else works row by row. `padded=True` builds the usual graph
with `lengths`, for comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.encoder.weights import FORMAT, Floats, GraphSpec, Layer, Norm, Product, Weights

OPSET: Final = 23  # the first with `Attention`
IR_VERSION: Final = 11
CONTRIBUTED: Final = "com.microsoft"


class Site(NamedTuple):
    """How the input of a product is rounded: `round(x / scale) + zero_point`, kept within 0..255.

    A few channels reach far beyond that range. Each has further columns ("slots") that hold what is left of it one range further on:
    all of them together give the channel in full, and every other channel keeps fine steps.
    """

    scale: float
    zero_point: int
    slots: NDArray[np.int64]  # [m] the channel of each slot
    shifts: Floats  # [m] added to the channel before it is rounded; a multiple of 255 steps


class Rounded(NamedTuple):
    """A product in int8: one scale per column."""

    weight: NDArray[np.int8]  # [K + m, N]
    scale: Floats  # [N]
    bias: Floats  # [N]


@dataclass
class Quantised:
    """What of a network is int8. A product whose site is missing stays float32, so a network can be quantised step by step."""

    words: NDArray[np.int8] | None = None  # [vocabulary, H]
    word_scales: Floats | None = None  # [vocabulary, 1]
    sites: dict[str, Site] = field(default_factory=dict)  # by the name that `sites_of` gives
    products: dict[str, Rounded] = field(default_factory=dict)


def sites_of(spec: GraphSpec) -> dict[str, tuple[str, ...]]:
    """Every place where a product reads its input, in order of execution, with the products that read it.

    >>> list(sites_of(GraphSpec(layers=1, heads=1, text_heads=(), token_heads=("spans",))))
    ['0.states', '0.context', '0.middle', '0.active', '1.states']
    """
    sites: dict[str, tuple[str, ...]] = {}
    for i in range(spec.layers):
        sites[f"{i}.states"] = (f"{i}.query", f"{i}.key", f"{i}.value")
        sites[f"{i}.context"] = (f"{i}.output",)
        sites[f"{i}.middle"] = (f"{i}.up",)
        sites[f"{i}.active"] = (f"{i}.down",)
    if spec.token_heads:
        sites[f"{spec.layers}.states"] = ("token",)
    return sites


def product_of(weights: Weights, name: str) -> Product:
    """The float32 product of a name that `sites_of` gives."""
    if name == "token":
        assert weights.token is not None  # only named where there are token heads
        return weights.token[0]
    layer, part = name.split(".")
    found: Product = getattr(weights.layers[int(layer)], part)
    return found


def build(
    weights: Weights,
    spec: GraphSpec,
    *,
    quantised: Quantised | None = None,
    padded: bool = False,
    taps: Sequence[str] = (),
) -> onnx.ModelProto:
    """Write the graph.

    Inputs: `input_ids` int32 [n, t]; with `padded` also `lengths` int32 [n], tokens of each text. Outputs: `text` float32 [n, C], the
    text heads' logits side by side; `tokens` float32 [n, t, 3 per token head], where there are token heads.

    Args:
        weights: the network.
        spec: its shape.
        quantised: what of it is int8; None = float32 throughout.
        padded: whether texts of several lengths share a batch.
        taps: sites of `sites_of` whose input is returned as well, as float32 [n, t, K] under the site's name.
    """
    writer = _Writer(quantised or Quantised())
    states = _embedded(writer, weights, spec)
    mask = _mask(writer) if padded else ""
    for i, layer in enumerate(weights.layers):
        states = _block(writer, i, layer, states=states, mask=mask, spec=spec)
    inputs = [helper.make_tensor_value_info("input_ids", TensorProto.INT32, ["n", "t"])]
    outputs = []
    if padded:
        inputs.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["n"]))
    if spec.text_heads:
        columns = _text(writer, weights, states=states, padded=padded)
        outputs.append(helper.make_tensor_value_info("text", TensorProto.FLOAT, ["n", columns]))
    if weights.token is not None:
        _tokens(writer, weights.token, states=states, name=f"{spec.layers}.states")
        outputs.append(helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", "t", len(weights.token[1].bias)]))
    for site in taps:
        writer.node("Identity", [writer.taps[site]], site)
        outputs.append(helper.make_tensor_value_info(site, TensorProto.FLOAT, ["n", "t", None]))
    graph = helper.make_graph(writer.nodes, FORMAT, inputs, outputs, writer.initializers)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIBUTED, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="groundswell")
    precision = "int8" if quantised is not None and quantised.sites else "fp32"
    shape = msgspec.json.encode(spec).decode()
    helper.set_model_props(model, {"format": FORMAT, "precision": precision, "vocabulary": str(len(weights.words)), "specification": shape})
    return model


class _Writer:
    """Nodes and constants of a graph in the making; every method returns the name of what it made."""

    def __init__(self, quantised: Quantised) -> None:
        self.quantised = quantised
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.taps: dict[str, str] = {}  # site -> its float32 input

    def constant(self, name: str, value: NDArray[Any]) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def node(self, operator: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def norm(self, states: str, norm: Norm, output: str, *, epsilon: float) -> str:
        gain, bias = self.constant(f"{output}.gain", norm.gain), self.constant(f"{output}.bias", norm.bias)
        return self.node("LayerNormalization", [states, gain, bias], output, axis=-1, epsilon=epsilon)

    def plain(self, states: str, product: Product, output: str) -> str:
        weight, bias = self.constant(f"{output}.weight", product.weight), self.constant(f"{output}.bias", product.bias)
        return self.node("Add", [self.node("MatMul", [states, weight], f"{output}.product"), bias], output)

    def rounded(self, states: str, name: str) -> str:
        """Round what arrives at a site, once for all the products that read it; floats where the site stays float32."""
        self.taps[name] = states
        site = self.quantised.sites.get(name)
        if site is None:
            return states
        scale = self.constant(f"{name}.scale", np.array(site.scale, np.float32))
        zero = self.constant(f"{name}.zero", np.array(site.zero_point, np.uint8))
        rounded = self.node("QuantizeLinear", [states, scale, zero], f"{name}.rounded")
        if not len(site.slots):
            return rounded
        far = self.node("Gather", [states, self.constant(f"{name}.slots", site.slots)], f"{name}.far", axis=2)
        shifted = self.node("Add", [far, self.constant(f"{name}.shifts", site.shifts)], f"{name}.shifted")
        rest = self.node("QuantizeLinear", [shifted, scale, zero], f"{name}.rest")
        return self.node("Concat", [rounded, rest], f"{name}.whole", axis=2)

    def product(self, states: str, name: str, product: Product, *, site: str) -> str:
        """A product of what `rounded` returned for its site."""
        if site not in self.quantised.sites:
            return self.plain(states, product, name)
        rounded = self.quantised.products[name]
        weight, scale = self.constant(f"{name}.weight", rounded.weight), self.constant(f"{name}.scale", rounded.scale)
        bias = self.constant(f"{name}.bias", rounded.bias)
        inputs = [states, weight, f"{site}.scale", scale, f"{site}.zero", "", bias]
        return self.node("MatMulIntegerToFloat", inputs, name, domain=CONTRIBUTED)


def _embedded(writer: _Writer, weights: Weights, spec: GraphSpec) -> str:
    quantised = writer.quantised
    if quantised.words is None or quantised.word_scales is None:
        words = writer.node("Gather", [writer.constant("words", weights.words), "input_ids"], "words.taken")
    else:
        steps = writer.node("Gather", [writer.constant("words", quantised.words), "input_ids"], "words.steps")
        scales = writer.node("Gather", [writer.constant("words.scales", quantised.word_scales), "input_ids"], "words.step")
        floats = writer.node("Cast", [steps], "words.floats", to=TensorProto.FLOAT)
        words = writer.node("Mul", [floats, scales], "words.taken")
    first, length = writer.constant("first", np.zeros(1, np.int64)), writer.node("Shape", ["input_ids"], "length", start=1, end=2)
    positions = writer.node("Slice", [writer.constant("positions", weights.positions), first, length], "positions.taken")
    return writer.norm(writer.node("Add", [words, positions], "embedded"), weights.norm, "states.0", epsilon=spec.epsilon)


def _mask(writer: _Writer) -> str:
    """True where a token is real: [n, 1, t, t], one row for each token that attends."""
    one, axes = writer.constant("one", np.ones((), np.int32)), writer.constant("axes", np.array([1, 2, 3], np.int64))
    length = writer.node("Shape", ["input_ids"], "padded.length", start=1, end=2)
    count = writer.node("Cast", [writer.node("Squeeze", [length], "padded.scalar")], "padded.count", to=TensorProto.INT32)
    places = writer.node("Range", [writer.constant("none", np.zeros((), np.int32)), count, one], "places")
    real = writer.node("Less", [places, writer.node("Unsqueeze", ["lengths", axes], "lengths.column")], "mask.keys")
    ones = writer.constant("ones", np.ones(1, np.int64))
    return writer.node("Expand", [real, writer.node("Concat", [length, ones], "mask.shape", axis=0)], "mask")


def _block(writer: _Writer, number: int, layer: Layer, *, states: str, mask: str, spec: GraphSpec) -> str:
    def product(name: str, given: str, site: str) -> str:
        return writer.product(given, f"{number}.{name}", getattr(layer, name), site=f"{number}.{site}")

    given = writer.rounded(states, f"{number}.states")
    parts = [product(name, given, "states") for name in ("query", "key", "value")]
    parts += [mask] if mask else []
    context = writer.node("Attention", parts, f"context.{number}", q_num_heads=spec.heads, kv_num_heads=spec.heads)
    answer = product("output", writer.rounded(context, f"{number}.context"), "context")
    middle = writer.norm(writer.node("Add", [answer, states], f"sum.{number}"), layer.middle, f"middle.{number}", epsilon=spec.epsilon)
    up = product("up", writer.rounded(middle, f"{number}.middle"), "middle")
    active = writer.node("Gelu", [up], f"active.{number}")
    down = product("down", writer.rounded(active, f"{number}.active"), "active")
    total = writer.node("Add", [down, middle], f"total.{number}")
    return writer.norm(total, layer.norm, f"states.{number + 1}", epsilon=spec.epsilon)


def _text(writer: _Writer, weights: Weights, *, states: str, padded: bool) -> int:
    """Heads on the mean of a text's real states; returns the number of columns.

    The mean is a product with a row of shares: ReduceMean adds up a lone text in another order than a text among others.
    """
    if padded:
        floats = writer.node("Cast", ["mask.keys"], "mask.floats", to=TensorProto.FLOAT)
        real = writer.node("Squeeze", [floats, writer.constant("heads.axis", np.array([1], np.int64))], "mask.rows")
        count = writer.node("Cast", ["lengths.column"], "lengths.floats", to=TensorProto.FLOAT)
        count = writer.node("Squeeze", [count, "heads.axis"], "lengths.rows")
        shares = writer.node("Div", [real, count], "shares")
    else:
        count = writer.node("Cast", ["length"], "length.float", to=TensorProto.FLOAT)
        shape = writer.node("Concat", [writer.constant("single", np.ones(1, np.int64)), "length"], "shares.shape", axis=0)
        shares = writer.node("Expand", [writer.node("Reciprocal", [count], "share"), shape], "shares")
    mean = writer.node("MatMul", [shares, states], "mean")
    answers = []
    for number, chain in enumerate(weights.text):
        answer = writer.plain(mean, chain[0], f"text.{number}")
        for product in chain[1:]:
            answer = writer.plain(writer.node("Gelu", [answer], f"text.{number}.active"), product, f"text.{number}.second")
        answers.append(answer)
    columns = writer.node("Concat", answers, "text.columns", axis=2)
    writer.node("Squeeze", [columns, writer.constant("text.axis", np.array([1], np.int64))], "text")
    return sum(len(chain[-1].bias) for chain in weights.text)


def _tokens(writer: _Writer, heads: tuple[Product, Product], *, states: str, name: str) -> None:
    hidden = writer.product(writer.rounded(states, name), "token", heads[0], site=name)
    writer.plain(writer.node("Gelu", [hidden], "token.active"), heads[1], "tokens")
