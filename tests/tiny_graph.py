"""A random network of two small blocks as plain arrays, its tokenizer, and what it answers, computed with numpy alone."""

import json
import math
import random
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from models.encoder import graph
from models.encoder.engine import OnnxEngine
from models.encoder.graph import Quantised
from models.encoder.quantise import quantise
from models.encoder.tokens import Tokenizer
from models.encoder.weights import GraphSpec, Weights, read_weights

Precision = Literal["fp32", "int8"]

WIDTH: Final = 32
MIDDLE: Final = 64
MAX_TOKENS: Final = 24
SPEC: Final = GraphSpec(layers=2, heads=4, text_heads=("topic", "news"), token_heads=("target", "spans"), max_tokens=MAX_TOKENS)
COLUMNS: Final = {"topic": 5, "news": 3}
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
PIECES: Final = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "@", "$", "%", "."),
    *LETTERS,
    *(f"##{letter}" for letter in LETTERS),
    *("bank", "fall", "##s", "rise", "user", "profit", "跌", "涨", "行"),
)
VOCABULARY: Final = tuple(dict.fromkeys(PIECES))
TEXTS: Final = (
    "profit of the bank falls",
    "bank rises",
    "the bank of spain falls",
    "a 5% rise",
    "跌涨行",
    "$abc falls as profits fall and the bank of england does not rise at all in the end, they say",
    "",
    "bank falls",
)


def tokenizer_json(vocabulary: tuple[str, ...] = VOCABULARY) -> bytes:
    """A WordPiece tokenizer as BERT checkpoints carry it; its file does not say that text is lowered."""
    number = {piece: place for place, piece in enumerate(vocabulary)}
    special = [name for name in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]") if name in number]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    template = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    data: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number[name], "content": name, **flags} for name in special],
        "normalizer": {
            "type": "BertNormalizer",
            "lowercase": False,
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [*template, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
            "pair": [*template, {"SpecialToken": {"id": "[SEP]", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {name: {"id": name, "ids": [number[name]], "tokens": [name]} for name in ("[CLS]", "[SEP]")},
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": number,
        },
    }
    return json.dumps(data).encode()


def tokenizer() -> Tokenizer:
    """The tokenizer that belongs to `state`."""
    return Tokenizer(tokenizer_json(), max_tokens=MAX_TOKENS)


def some_texts(count: int, *, seed: int = 0) -> list[str]:
    """Texts of one to fourteen words, some of them alike in length, some the same."""
    chance = random.Random(seed)
    words = ("bank", "falls", "rises", "profit", "of", "the", "a", "5%", "spain", "$abc", "跌", "涨行", "x.")
    return [" ".join(chance.choices(words, k=chance.randint(1, 14))) for _ in range(count)]


def state(seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Tensors under the names that weights.read_weights looks for: one text head is a product, one is two.

    Two channels reach far beyond the rest, as in real networks.
    """
    chance = np.random.default_rng(seed)
    found: dict[str, NDArray[np.float32]] = {}

    def linear(name: str, inputs: int, outputs: int) -> None:
        found[f"{name}.weight"] = (chance.standard_normal((outputs, inputs)) / math.sqrt(inputs)).astype(np.float32)
        found[f"{name}.bias"] = (chance.standard_normal(outputs) * 0.1).astype(np.float32)

    def norm(name: str) -> None:
        gain = 1 + 0.2 * chance.standard_normal(WIDTH)
        gain[[3, 17]] *= 6
        found[f"{name}.weight"], found[f"{name}.bias"] = gain.astype(np.float32), (0.1 * chance.standard_normal(WIDTH)).astype(np.float32)

    for name, rows in (("word", len(VOCABULARY)), ("position", MAX_TOKENS + 8), ("token_type", 2)):
        found[f"encoder.embeddings.{name}_embeddings.weight"] = chance.standard_normal((rows, WIDTH)).astype(np.float32)
    norm("encoder.embeddings.LayerNorm")
    for layer in range(SPEC.layers):
        prefix = f"encoder.encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            linear(f"{prefix}.attention.self.{part}", WIDTH, WIDTH)
        linear(f"{prefix}.attention.output.dense", WIDTH, WIDTH)
        norm(f"{prefix}.attention.output.LayerNorm")
        linear(f"{prefix}.intermediate.dense", WIDTH, MIDDLE)
        linear(f"{prefix}.output.dense", MIDDLE, WIDTH)
        norm(f"{prefix}.output.LayerNorm")
    linear("text.topic", WIDTH, COLUMNS["topic"])
    linear("text.news.0", WIDTH, 16)
    linear("text.news.2", 16, COLUMNS["news"])
    for head in SPEC.token_heads:
        linear(f"token.{head}.0", WIDTH, 16)
        linear(f"token.{head}.2", 16, 3)
    return found


_ERF: Final = np.vectorize(math.erf, otypes=[np.float64])


def answers(tensors: Mapping[str, NDArray[np.float32]], ids: NDArray[np.int32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(text logits [8], token logits [t, 6]) of one text of t tokens, in float64, straight from Devlin et al. 2019."""
    value = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}

    def linear(name: str, given: NDArray[np.float64]) -> NDArray[np.float64]:
        product: NDArray[np.float64] = given @ value[f"{name}.weight"].T + value[f"{name}.bias"]
        return product

    def norm(name: str, given: NDArray[np.float64]) -> NDArray[np.float64]:
        even = (given - given.mean(-1, keepdims=True)) / np.sqrt(given.var(-1, keepdims=True) + SPEC.epsilon)
        scaled: NDArray[np.float64] = even * value[f"{name}.weight"] + value[f"{name}.bias"]
        return scaled

    def gelu(given: NDArray[np.float64]) -> NDArray[np.float64]:
        active: NDArray[np.float64] = given * 0.5 * (1 + _ERF(given / math.sqrt(2)))
        return active

    table = "encoder.embeddings.{}_embeddings.weight"
    states = value[table.format("word")][ids] + value[table.format("position")][: len(ids)] + value[table.format("token_type")][0]
    states = norm("encoder.embeddings.LayerNorm", states)
    size = WIDTH // SPEC.heads
    for layer in range(SPEC.layers):
        prefix = f"encoder.encoder.layer.{layer}"
        query, key, content = (linear(f"{prefix}.attention.self.{part}", states) for part in ("query", "key", "value"))
        context = np.zeros_like(states)
        for first in range(0, WIDTH, size):
            part = slice(first, first + size)
            scores = np.exp(query[:, part] @ key[:, part].T / math.sqrt(size))
            context[:, part] = scores / scores.sum(-1, keepdims=True) @ content[:, part]
        middle = norm(f"{prefix}.attention.output.LayerNorm", linear(f"{prefix}.attention.output.dense", context) + states)
        active = gelu(linear(f"{prefix}.intermediate.dense", middle))
        states = norm(f"{prefix}.output.LayerNorm", linear(f"{prefix}.output.dense", active) + middle)
    mean = states.mean(0)
    text = np.concatenate([linear("text.topic", mean), linear("text.news.2", gelu(linear("text.news.0", mean)))])
    token = [linear(f"token.{head}.2", gelu(linear(f"token.{head}.0", states))) for head in SPEC.token_heads]
    return text, np.concatenate(token, axis=-1)


@cache
def weights() -> Weights:
    """The network of seed 0."""
    return read_weights(state(), SPEC)


@cache
def rounded() -> Quantised:
    """The same in int8, fitted to TEXTS."""
    return quantise(weights(), SPEC, tokenizer(), TEXTS)


@cache
def model(precision: Precision) -> bytes:
    """What model.onnx holds."""
    quantised = rounded() if precision == "int8" else None
    found: bytes = graph.build(weights(), SPEC, quantised=quantised).SerializeToString()
    return found


def engine(precision: Precision = "int8", **options: Any) -> OnnxEngine:
    """The network as it is run; one thread, unless told otherwise."""
    return OnnxEngine(model(precision), tokenizer(), **({"threads": 1} | options))
