"""The network of a bundle in torch: bf16 on a GPU, or float32 anywhere, to compare with. Needs the extra `torch`.

The products of a bundle are the int8 ones, read back as floats: what calibration was fitted to is nearly what is computed here. Texts of
one length share a run, as in models/encoder/engine.py; a run is as large as a GPU likes it. Its kernels are chosen by the shape of a run,
so a text's last bits may depend on how many others are of its length; by how much is tested.
"""

import os
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from groundswell.errors import BundleError
from models.encoder.engine import Readout, runs_of
from models.encoder.read_graph import Read, read_graph
from models.encoder.readers import Readers
from models.encoder.tokens import Encodings, Tokenizer
from models.encoder.weights import GraphSpec, Layer, Norm, Product

TOKENS_PER_RUN: Final = 32_768  # most that share a run: enough rows to fill a large GPU with one product; a longer text runs alone
READERS_FROM: Final = 4_096  # texts of a call; fewer are read sooner than they are sent to another process

Precision = Literal["bf16", "fp32"]
_TYPES: Final = {"bf16": torch.bfloat16, "fp32": torch.float32}


class TorchEngine:
    """An Engine on a device of torch. Safe to share between threads."""

    def __init__(
        self,
        model: bytes,
        tokenizer: Tokenizer,
        *,
        device: str = "cuda",
        precision: Precision = "bf16",
        compiled: bool = False,
        readers: int | None = None,
    ) -> None:
        """Load a network.

        Args:
            model: the bytes of model.onnx.
            tokenizer: the tokenizer that belongs to it.
            device: of torch: "cuda", "cuda:1", "cpu".
            precision: of the blocks; norms, means and heads are float32 always.
            compiled: whether torch's compiler makes one kernel of steps that follow each other; it takes a while at the first call.
            readers: processes that turn the texts of large calls into tokens; None = one per core on a GPU, none elsewhere; 0 = none.

        Raises:
            BundleError: the tokenizer belongs to another network, or there is no such device.
        """
        read = read_graph(model)
        if tokenizer.size != len(read.weights.words) or tokenizer.max_tokens > read.spec.max_tokens:
            message = (
                f"model.onnx: made for {len(read.weights.words)} pieces and up to {read.spec.max_tokens} tokens, the tokenizer has "
                f"{tokenizer.size} and {tokenizer.max_tokens}; restore the tokenizer.json that was exported with it"
            )
            raise BundleError(message)
        try:
            self._network = _Network(read, device=torch.device(device), precision=_TYPES[precision], compiled=compiled)
        except (RuntimeError, AssertionError) as error:  # torch has no narrower class for a device that is not there
            message = f"device {device}: cannot hold the network ({str(error).splitlines()[0][:200]}); set models.device to cpu"
            raise BundleError(message) from error
        self._tokenizer, self._precision, self._spec = tokenizer, precision, read.spec
        processes = readers if readers is not None else len(os.sched_getaffinity(0)) * device.startswith("cuda")
        self._readers = Readers(tokenizer, processes) if processes else None

    @property
    def spec(self) -> GraphSpec:
        """As the graph itself says."""
        return self._spec

    @property
    def engine_id(self) -> str:
        """`torch-bf16` or `torch-fp32`."""
        return f"torch-{self._precision}"

    def run(self, texts: Sequence[str]) -> Readout:
        """Logits of texts, in order; see Engine."""
        parts = [(encodings, *self.answer(encodings)) for encodings in self._encoded(texts)]
        parts = [(encodings, text.cpu(), tokens.cpu()) for encodings, text, tokens in parts]
        lengths = np.concatenate([encodings.lengths for encodings, _, _ in parts])
        return Readout(
            torch.cat([text for _, text, _ in parts]).numpy(),
            np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]),
            torch.cat([tokens for _, _, tokens in parts]).numpy(),
            np.concatenate([encodings.offsets for encodings, _, _ in parts]),
        )

    def _encoded(self, texts: Sequence[str]) -> Iterator[Encodings]:
        """The texts as tokens, TEXTS_AT_ONCE at a time; of many texts the next ones are read while the device works."""
        if self._readers is None or len(texts) < READERS_FROM:
            yield self._tokenizer.encode(list(texts))
        else:
            yield from self._readers.encode(texts)

    @torch.inference_mode()
    def answer(self, encodings: Encodings) -> tuple[Tensor, Tensor]:
        """Text and token logits of texts, on the device; it may still be at work on them."""
        text = self._network.empty(len(encodings), self._network.columns)
        tokens = self._network.empty(len(encodings.ids), 3 * len(self._spec.token_heads))
        for rows in runs_of(encodings.lengths, TOKENS_PER_RUN):
            taken = encodings.starts[rows][:, None] + np.arange(encodings.lengths[rows[0]])
            said, marked = self._network.answer(encodings.ids[taken])
            text[self._network.send(rows)] = said
            if marked is not None:
                tokens[self._network.send(taken)] = marked
        return text, tokens


class _Network:
    """The tensors of a network where they are used."""

    def __init__(self, read: Read, *, device: torch.device, precision: torch.dtype, compiled: bool) -> None:
        self._device, self._precision, self._heads, self._epsilon = device, precision, read.spec.heads, read.spec.epsilon
        weights = read.weights
        self._words, self._positions = self._put(weights.words), self._put(weights.positions)
        self._first = self.norm(weights.norm)
        self._layers = [self._tensors_of(layer) for layer in weights.layers]
        self._block = torch.compile(_block, dynamic=True) if compiled else _block
        self._text = [[self.product(product, torch.float32) for product in parts] for parts in weights.text]
        self._token = [self.product(product, torch.float32) for product in weights.token or ()]
        self.columns = sum(len(parts[-1].bias) for parts in weights.text)

    def answer(self, ids: NDArray[np.int32]) -> tuple[Tensor, Tensor | None]:
        """Text logits [n, C] and token logits [n, t, 3 per token head] of texts of one length [n, t], still on the device."""
        states = self._words[self.send(ids)] + self._positions[: ids.shape[1]]
        states = functional.layer_norm(states, states.shape[-1:], *self._first, self._epsilon)
        for tensors in self._layers:
            states = self._block(states, tensors, self._heads, self._epsilon)
        floats = states.float()
        mean = floats.mean(1)
        text = torch.cat([_chain(mean, products) for products in self._text], dim=1) if self._text else mean[:, :0]
        return text, _chain(floats, self._token) if self._token else None

    def send(self, array: NDArray[Any]) -> Tensor:
        """Numbers on their way to the device; from pinned memory, so that nobody waits for them."""
        found = torch.from_numpy(array)
        return found.pin_memory().to(self._device, non_blocking=True) if self._device.type == "cuda" else found

    def empty(self, rows: int, columns: int) -> Tensor:
        """Room for logits on the device."""
        return torch.empty(rows, columns, device=self._device)

    def _put(self, array: NDArray[np.float32], precision: torch.dtype | None = None) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self._device, precision or self._precision)

    def norm(self, norm: Norm) -> tuple[Tensor, Tensor]:
        """Gain and bias on the device."""
        return self._put(norm.gain), self._put(norm.bias)

    def product(self, product: Product, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Weight, as torch has it [N, K], and bias on the device."""
        return self._put(product.weight.T, precision), self._put(product.bias, precision)

    def _tensors_of(self, layer: Layer) -> tuple[Tensor, ...]:
        """As `_block` takes them."""
        together = Product(*(np.concatenate([getattr(part, name) for part in layer[:3]], axis=-1) for name in ("weight", "bias")))
        lower = (self.product(together), self.product(layer.output), self.norm(layer.middle))
        upper = (self.product(layer.up), self.product(layer.down), self.norm(layer.norm))
        return tuple(chain.from_iterable(lower + upper))


def _block(states: Tensor, tensors: Sequence[Tensor], heads: int, epsilon: float) -> Tensor:
    """One transformer block; query, key and value are one product, and norms sum in float32 whatever the states are."""
    given, given_bias, output, output_bias, gain, shift, up, up_bias, down, down_bias, last_gain, last_shift = tensors
    parts = functional.linear(states, given, given_bias).unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    context = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).flatten(2)
    width = states.shape[-1:]
    middle = functional.layer_norm(functional.linear(context, output, output_bias) + states, width, gain, shift, epsilon)
    active = functional.gelu(functional.linear(middle, up, up_bias))
    return functional.layer_norm(functional.linear(active, down, down_bias) + middle, width, last_gain, last_shift, epsilon)


def _chain(states: Tensor, products: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Products with GELU between them."""
    for number, (weight, bias) in enumerate(products):
        states = functional.linear(functional.gelu(states) if number else states, weight, bias)
    return states
