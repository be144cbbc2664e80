"""The network of a bundle in torch: bf16 on a GPU, or float32 anywhere, to compare with. Needs the extra `torch`.

The products of a bundle are the int8 ones, read back as floats: what calibration was fitted to is nearly what is computed here. Texts of
one length share a run, as in models/encoder/engine.py; a run is as large as a GPU likes it. Its kernels are chosen by the shape of a run,
so a text's last bits may depend on how many others are of its length; by how much is tested.
"""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from groundswell.errors import BundleError
from models.encoder.engine import Readout, runs_of
from models.encoder.read_graph import Read, read_graph
from models.encoder.tokens import Tokenizer
from models.encoder.weights import GraphSpec, Layer, Norm, Product

TOKENS_PER_RUN: Final = 32_768  # enough rows to fill a large GPU with one product

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
        tokens_per_run: int = TOKENS_PER_RUN,
    ) -> None:
        """Load a network.

        Args:
            model: the bytes of model.onnx.
            tokenizer: the tokenizer that belongs to it.
            device: of torch: "cuda", "cuda:1", "cpu".
            precision: of the blocks; norms, means and heads are float32 always.
            tokens_per_run: most tokens that share a run; a longer text has a run of its own.

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
            self._network = _Network(read, device=torch.device(device), precision=_TYPES[precision])
        except (RuntimeError, AssertionError) as error:  # torch has no narrower class for a device that is not there
            message = f"device {device}: cannot hold the network ({str(error).splitlines()[0][:200]}); set models.device to cpu"
            raise BundleError(message) from error
        self._tokenizer, self._budget, self._precision, self._spec = tokenizer, tokens_per_run, precision, read.spec

    @property
    def spec(self) -> GraphSpec:
        """As the graph itself says."""
        return self._spec

    @property
    def engine_id(self) -> str:
        """`torch-bf16` or `torch-fp32`."""
        return f"torch-{self._precision}"

    @torch.inference_mode()
    def run(self, texts: Sequence[str]) -> Readout:
        """Logits of texts, in order; see Engine."""
        encodings = self._tokenizer.encode(list(texts))
        text = np.zeros((len(texts), self._network.columns), np.float32)
        tokens = np.zeros((len(encodings.ids), 3 * len(self._spec.token_heads)), np.float32)
        pending = []  # answers stay on the device until every run has been sent there
        for rows in runs_of(encodings.lengths, self._budget):
            first = encodings.starts[rows]
            taken = first[:, None] + np.arange(encodings.lengths[rows[0]])
            pending.append((rows, taken, self._network.answer(encodings.ids[taken])))
        for rows, taken, (said, marked) in pending:
            text[rows] = said.cpu().numpy()
            if marked is not None:
                tokens[taken] = marked.cpu().numpy()
        return Readout(text, encodings.starts, tokens, encodings.offsets)


class _Network:
    """The tensors of a network where they are used."""

    def __init__(self, read: Read, *, device: torch.device, precision: torch.dtype) -> None:
        self._device, self._precision, self._heads, self._epsilon = device, precision, read.spec.heads, read.spec.epsilon
        weights = read.weights
        self._words, self._positions = self._put(weights.words), self._put(weights.positions)
        self._first = self.norm(weights.norm)
        self._layers = [_Block(self, layer) for layer in weights.layers]
        self._text = [[self.product(product, torch.float32) for product in chain] for chain in weights.text]
        self._token = [self.product(product, torch.float32) for product in weights.token or ()]
        self.columns = sum(len(chain[-1].bias) for chain in weights.text)

    def answer(self, ids: NDArray[np.int32]) -> tuple[Tensor, Tensor | None]:
        """Text logits [n, C] and token logits [n, t, 3 per token head] of texts of one length [n, t], still on the device."""
        sent = torch.from_numpy(ids)
        if self._device.type == "cuda":
            sent = sent.pin_memory().to(self._device, non_blocking=True)
        states = self.normed(self._words[sent] + self._positions[: ids.shape[1]], self._first)
        for block in self._layers:
            states = block(states)
        floats = states.float()
        mean = floats.mean(1)
        text = torch.cat([_chain(mean, chain) for chain in self._text], dim=1) if self._text else mean[:, :0]
        return text, _chain(floats, self._token) if self._token else None

    def attention(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Of each token to all tokens of its text [n, t, H]."""
        parts = [part.unflatten(-1, (self._heads, -1)).transpose(1, 2) for part in (query, key, value)]
        return functional.scaled_dot_product_attention(*parts).transpose(1, 2).flatten(2)

    def normed(self, states: Tensor, norm: tuple[Tensor, Tensor]) -> Tensor:
        """Layer norm; its sums are float32 whatever the states are."""
        return functional.layer_norm(states, states.shape[-1:], *norm, self._epsilon)

    def _put(self, array: NDArray[np.float32], precision: torch.dtype | None = None) -> Tensor:
        return torch.from_numpy(np.array(array)).to(self._device, precision or self._precision)

    def norm(self, norm: Norm) -> tuple[Tensor, Tensor]:
        """Gain and bias on the device."""
        return self._put(norm.gain), self._put(norm.bias)

    def product(self, product: Product, precision: torch.dtype | None = None) -> tuple[Tensor, Tensor]:
        """Weight, as torch has it [N, K], and bias on the device."""
        return self._put(product.weight.T, precision), self._put(product.bias, precision)


class _Block:
    """One transformer block; query, key and value are one product."""

    def __init__(self, network: _Network, layer: Layer) -> None:
        together = [np.concatenate([getattr(part, name) for part in layer[:3]], axis=-1) for name in ("weight", "bias")]
        self._network = network
        self._given = network.product(Product(*together))
        self._output, self._up, self._down = (network.product(part) for part in (layer.output, layer.up, layer.down))
        self._middle, self._norm = network.norm(layer.middle), network.norm(layer.norm)

    def __call__(self, states: Tensor) -> Tensor:
        context = self._network.attention(*functional.linear(states, *self._given).chunk(3, dim=-1))
        middle = self._network.normed(functional.linear(context, *self._output) + states, self._middle)
        active = functional.gelu(functional.linear(middle, *self._up))
        return self._network.normed(functional.linear(active, *self._down) + middle, self._norm)


def _chain(states: Tensor, products: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Products with GELU between them."""
    for number, (weight, bias) in enumerate(products):
        states = functional.linear(functional.gelu(states) if number else states, weight, bias)
    return states
