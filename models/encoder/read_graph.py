"""A graph of models.encoder.graph back as arrays: int8 products become float32 products of the same values. Needs the library onnx."""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from models.encoder.weights import Floats, GraphSpec, Layer, Norm, Product, Weights


class Read(NamedTuple):
    """A network as its graph has it."""

    weights: Weights
    spec: GraphSpec


def read_graph(model: bytes) -> Read:
    """Undo models.encoder.graph.build: int8 products become float32 products of the same values."""
    proto = onnx.load_from_string(model)
    described = {entry.key: entry.value for entry in proto.metadata_props}
    spec = msgspec.json.decode(described["specification"], type=GraphSpec)
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    words = found["words"].astype(np.float32) * found.get("words.scales", np.float32(1))
    token = (_product(found, "token", f"{spec.layers}.states"), _plain(found, "tokens")) if spec.token_heads else None
    text = tuple(
        (_plain(found, f"text.{i}"), *([_plain(found, f"text.{i}.second")] if f"text.{i}.second.weight" in found else []))
        for i in range(len(spec.text_heads))
    )
    layers = tuple(_layer(found, i) for i in range(spec.layers))
    return Read(Weights(words, found["positions"], _norm(found, "states.0"), layers, text, token), spec)


def _layer(found: dict[str, NDArray[Any]], i: int) -> Layer:
    return Layer(
        query=_product(found, f"{i}.query", f"{i}.states"),
        key=_product(found, f"{i}.key", f"{i}.states"),
        value=_product(found, f"{i}.value", f"{i}.states"),
        output=_product(found, f"{i}.output", f"{i}.context"),
        middle=_norm(found, f"middle.{i}"),
        up=_product(found, f"{i}.up", f"{i}.middle"),
        down=_product(found, f"{i}.down", f"{i}.active"),
        norm=_norm(found, f"states.{i + 1}"),
    )


def _norm(found: dict[str, NDArray[Any]], name: str) -> Norm:
    return Norm(found[f"{name}.gain"], found[f"{name}.bias"])


def _plain(found: dict[str, NDArray[Any]], name: str) -> Product:
    return Product(found[f"{name}.weight"], found[f"{name}.bias"])


def _product(found: dict[str, NDArray[Any]], name: str, site: str) -> Product:
    """Slots of far channels add a constant where they are idle, which the stored bias makes up for (graph.Site): it is put back."""
    if f"{site}.scale" not in found:
        return _plain(found, name)
    weight: Floats = found[f"{name}.weight"].astype(np.float32) * found[f"{name}.scale"]
    bias: Floats = found[f"{name}.bias"]
    if f"{site}.slots" in found:
        step, zero = found[f"{site}.scale"].item(), found[f"{site}.zero"].item()
        idle = (np.clip(np.rint(found[f"{site}.shifts"] / step) + zero, 0, 255) - zero) * step
        channels = len(weight) - len(idle)
        bias = bias + idle.astype(np.float32) @ weight[channels:]
        weight = weight[:channels]
    return Product(weight, bias)
