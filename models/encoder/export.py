"""A trained network as the files of a bundle: vocabulary pruned, weights and inputs in int8, graph written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.encoder import graph, tokens
from models.encoder.quantise import quantise
from models.encoder.tokens import Tokenizer
from models.encoder.weights import GraphSpec, read_weights

WORDS = "encoder.embeddings.word_embeddings.weight"


def export(
    state: Mapping[str, NDArray[Any]],
    spec: GraphSpec,
    tokenizer_json: bytes,
    texts: Sequence[str],
    *,
    keep: Iterable[int] | None = None,
    precision: str = "int8",
    coarseness: float = 0.0,
) -> tuple[bytes, bytes]:
    """(model.onnx, tokenizer.json) of a network.

    Args:
        state: tensors of a models.encoder.network.Network with merged adapters.
        spec: its shape.
        tokenizer_json: of the encoder that training began with.
        texts: that the ranges of int8 are fitted to.
        keep: token ids that stay in the vocabulary; None = all.
        precision: "int8" or "fp32".
        coarseness: of int8, as in models.encoder.quantise.quantise.
    """
    pruned = tokens.prune(tokenizer_json, keep) if keep is not None else None
    data = pruned.data if pruned else tokenizer_json
    tensors = dict(state)
    if pruned:
        tensors[WORDS] = np.asarray(state[WORDS])[pruned.ids]
    weights = read_weights(tensors, spec)
    quantised = None
    if precision == "int8":
        quantised = quantise(weights, spec, Tokenizer(data, max_tokens=spec.max_tokens), texts, coarseness=coarseness)
    return graph.build(weights, spec, quantised=quantised).SerializeToString(), data
