"""The tensors of a trained network as plain arrays, in the order in which they are used: no torch, no onnx."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from groundswell.errors import BundleError

FORMAT: Final = "groundswell-encoder-1"
TOKEN_COLUMNS: Final = 3  # per token head

Floats = NDArray[np.float32]


class GraphSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The shape of a network, as far as its tensors do not tell it. The order of heads is the order of output columns."""

    layers: int
    heads: int  # attention heads; they divide the hidden size
    text_heads: tuple[str, ...]
    token_heads: tuple[str, ...] = ()
    max_tokens: int = 96
    epsilon: float = 1e-12  # of the layer norms


class Product(NamedTuple):
    """`x @ weight + bias`."""

    weight: Floats  # [K, N]
    bias: Floats  # [N]


class Norm(NamedTuple):
    """Gain and bias of a layer norm [H]."""

    gain: Floats
    bias: Floats


class Layer(NamedTuple):
    """One transformer block with its norms after the sums (Devlin et al. 2019, "BERT")."""

    query: Product
    key: Product
    value: Product
    output: Product
    middle: Norm
    up: Product
    down: Product
    norm: Norm


class Weights(msgspec.Struct, frozen=True):
    """The tensors of a network in the order in which they are used."""

    words: Floats  # [vocabulary, H]
    positions: Floats  # [max_tokens, H], the embedding of token type 0 added
    norm: Norm
    layers: tuple[Layer, ...]
    text: tuple[tuple[Product, ...], ...]  # per head one product, or two with GELU between them
    token: tuple[Product, Product] | None  # all token heads side by side, GELU between the two; None where there are none


def read_weights(tensors: Mapping[str, NDArray[Any]], spec: GraphSpec) -> Weights:
    """Find a network's tensors by their Hugging Face names (`encoder.*`) and the heads' (`text.*`, `token.*`).

    Raises:
        BundleError: a tensor is missing or has another shape than its neighbours ask for.
    """
    reader = _Reader(tensors)
    words = reader.array("encoder.embeddings.word_embeddings.weight")
    width = words.shape[-1]
    positions = reader.array("encoder.embeddings.position_embeddings.weight")[: spec.max_tokens]
    kinds = reader.array("encoder.embeddings.token_type_embeddings.weight")
    if words.ndim != 2 or width % spec.heads or positions.shape != (spec.max_tokens, width):
        message = (
            f"encoder: words {words.shape} and positions {positions.shape} do not fit {spec.heads} heads and {spec.max_tokens} tokens; "
            "use the specification that belongs to these tensors"
        )
        raise BundleError(message)
    if kinds.ndim != 2 or kinds.shape[1] != width:
        message = f"encoder: token_type_embeddings are {kinds.shape}, words are {width} wide; export the two from one network"
        raise BundleError(message)
    return Weights(
        words=words,
        positions=positions + kinds[0],
        norm=reader.norm("encoder.embeddings.LayerNorm", width),
        layers=tuple(_layer(reader, i, width) for i in range(spec.layers)),
        text=tuple(reader.chain(f"text.{head}", width) for head in spec.text_heads),
        token=_token(reader, spec, width) if spec.token_heads else None,
    )


def _layer(reader: "_Reader", number: int, width: int) -> Layer:
    prefix = f"encoder.encoder.layer.{number}"
    up = reader.product(f"{prefix}.intermediate.dense", width)
    return Layer(
        query=reader.product(f"{prefix}.attention.self.query", width, width),
        key=reader.product(f"{prefix}.attention.self.key", width, width),
        value=reader.product(f"{prefix}.attention.self.value", width, width),
        output=reader.product(f"{prefix}.attention.output.dense", width, width),
        middle=reader.norm(f"{prefix}.attention.output.LayerNorm", width),
        up=up,
        down=reader.product(f"{prefix}.output.dense", up.weight.shape[1], width),
        norm=reader.norm(f"{prefix}.output.LayerNorm", width),
    )


def _token(reader: "_Reader", spec: GraphSpec, width: int) -> tuple[Product, Product]:
    """Token heads side by side: their first products share an input, their second ones are blocks of one matrix."""
    first = [reader.product(f"token.{head}.0", width) for head in spec.token_heads]
    hidden = [product.weight.shape[1] for product in first]
    second = [reader.product(f"token.{head}.2", size, TOKEN_COLUMNS) for head, size in zip(spec.token_heads, hidden, strict=True)]
    blocks = np.zeros((sum(hidden), TOKEN_COLUMNS * len(second)), np.float32)
    row = 0
    for column, product in enumerate(second):
        blocks[row : row + len(product.weight), TOKEN_COLUMNS * column : TOKEN_COLUMNS * (column + 1)] = product.weight
        row += len(product.weight)
    return (
        Product(np.concatenate([product.weight for product in first], axis=1), np.concatenate([product.bias for product in first])),
        Product(blocks, np.concatenate([product.bias for product in second])),
    )


class _Reader:
    """Tensors by name, with errors that say what is wrong."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        self._tensors = tensors

    def array(self, name: str) -> Floats:
        if name not in self._tensors:
            message = f"encoder: tensor {name!r} is missing; export the state of a models.encoder.network.Network with merged adapters"
            raise BundleError(message)
        return np.ascontiguousarray(self._tensors[name], np.float32)

    def product(self, name: str, inputs: int, outputs: int | None = None) -> Product:
        weight, bias = self.array(f"{name}.weight"), self.array(f"{name}.bias")
        if weight.ndim != 2 or weight.shape[1] != inputs or bias.shape != (weight.shape[0],) or outputs not in (None, weight.shape[0]):
            message = f"encoder: {name} is {weight.shape} with bias {bias.shape}; needed is [{outputs or 'any'}, {inputs}]; export again"
            raise BundleError(message)
        return Product(np.ascontiguousarray(weight.T), bias)

    def norm(self, name: str, width: int) -> Norm:
        norm = Norm(self.array(f"{name}.weight"), self.array(f"{name}.bias"))
        if {norm.gain.shape, norm.bias.shape} != {(width,)}:
            message = f"encoder: {name} is {norm.gain.shape} and {norm.bias.shape}; needed is ({width},); export it again"
            raise BundleError(message)
        return norm

    def chain(self, name: str, inputs: int) -> tuple[Product, ...]:
        if f"{name}.weight" in self._tensors:
            return (self.product(name, inputs),)
        hidden = self.product(f"{name}.0", inputs)
        return hidden, self.product(f"{name}.2", hidden.weight.shape[1])
