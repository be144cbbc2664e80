"""A published ONNX file of a BERT encoder as a folder to train from: `python -m models.encoder.from_onnx ONNX TOKENIZER OUT`.

Some encoders can be had as ONNX only, where they were packed for other languages' libraries. Their matrices are still there, under
names of graph nodes; this gives them back their names, and proves by running both that nothing was lost.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from safetensors.numpy import save_file
from transformers import AutoModel

from groundswell.errors import SettingsError

DIFFERENCE_MAX: Final = 1e-4  # of a state between the two: rounding of float32, no more
PROBE: Final = ((2, 3, 4, 5), (7, 6, 5, 4))  # token ids; any will do


def convert(source: Path, tokenizer: Path, out: Path) -> float:
    """Write config.json, tokenizer.json and model.safetensors; the largest difference between the two encoders' states.

    Raises:
        SettingsError: the file is not a BERT encoder, or the folder does not answer as the file does.
    """
    graph = onnx.load(str(source)).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    tensors = {name: value for name, value in constants.items() if name.startswith(("embeddings.", "encoder."))}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants:
            name = node.name.strip("/").removesuffix("/MatMul").replace("/", ".")
            tensors[f"{name}.weight"] = constants[node.input[1]].T
    config = _config(source, tensors, _attention_heads(graph, constants))
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ascontiguousarray(value) for name, value in tensors.items()}, out / "model.safetensors", metadata={"format": "pt"})
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    shutil.copyfile(tokenizer, out / "tokenizer.json")
    difference = _difference(source, out)
    if not difference <= DIFFERENCE_MAX:
        message = (
            f"encoder {out}: its states differ by {difference:.2g} from those of {source}; the file is of another architecture than BERT"
        )
        raise SettingsError(message)
    return difference


def _config(source: Path, tensors: dict[str, Any], heads: int) -> dict[str, Any]:
    try:
        words, middle = tensors["embeddings.word_embeddings.weight"], tensors["encoder.layer.0.intermediate.dense.weight"]
    except KeyError as error:
        message = f"encoder {source}: no tensor {error}; only BERT encoders with their tensors' names can be converted"
        raise SettingsError(message) from error
    if not heads:
        message = (
            f"encoder {source}: no shape in the graph tells the number of attention heads; "
            "only BERT encoders as PyTorch's tracing exporter writes them can be converted"
        )
        raise SettingsError(message)
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "vocab_size": words.shape[0],
        "hidden_size": words.shape[1],
        "num_hidden_layers": len({name.split(".")[2] for name in tensors if name.startswith("encoder.layer.")}),
        "num_attention_heads": heads,
        "intermediate_size": middle.shape[0],
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": tensors["embeddings.position_embeddings.weight"].shape[0],
        "type_vocab_size": tensors["embeddings.token_type_embeddings.weight"].shape[0],
        "pad_token_id": 0,
    }


def _attention_heads(graph: Any, constants: dict[str, Any]) -> int:
    """The third number of the shape [n, t, heads, width] that queries are brought into; 0 where none is found."""
    parts = {output: node for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type == "Reshape" and "attention/self" in node.name:
            shape = parts.get(node.input[1])
            values = [_number(parts, constants, name) for name in shape.input] if shape is not None and shape.op_type == "Concat" else []
            if len(values) == 4 and values[2]:
                return values[2]
    return 0


def _number(parts: dict[str, Any], constants: dict[str, Any], name: str) -> int:
    if name in constants:
        return int(constants[name].ravel()[0])
    node = parts.get(name)
    if node is not None and node.op_type == "Constant":
        return int(numpy_helper.to_array(node.attribute[0].t).ravel()[0])
    return 0


def _difference(source: Path, out: Path) -> float:
    ids = np.array(PROBE, np.int64)
    fed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    expected = onnxruntime.InferenceSession(str(source), providers=["CPUExecutionProvider"]).run(None, fed)[0]
    encoder = AutoModel.from_pretrained(out, use_safetensors=True, trust_remote_code=False).eval()
    with torch.no_grad():
        found = encoder(torch.from_numpy(ids)).last_hidden_state.numpy()
    return float(np.abs(found - expected).max())


def main() -> int:
    """Convert what the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("onnx", type=Path)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    sys.stdout.write(f"{given.out}: states differ by at most {convert(given.onnx, given.tokenizer, given.out):.2g}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
