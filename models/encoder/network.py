"""The network that is trained: a pretrained encoder, low-rank adapters in its products, and small heads on its states.

One pass of the encoder serves every head. Text heads read the mean of a text's states; token heads read each token's state,
and an answer about a name is the mean of that head's logits over the name's tokens.

Low-rank adapters: Hu et al. 2021, "LoRA: Low-Rank Adaptation of Large Language Models". Layer-wise rates: Howard and Ruder
2018, "Universal Language Model Fine-tuning for Text Classification" (discriminative fine-tuning).
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from groundswell.errors import SettingsError

TOKEN_HIDDEN: Final = 128
READABLE: Final = ("bert", "roberta", "xlm-roberta")  # architectures whose blocks are called with states and a mask alone
ADAPTED: Final = ("query", "key", "value", "dense")  # linear layers of a Hugging Face BERT block that adapters go into


class Answers(NamedTuple):
    """Logits of one batch of n texts of up to t tokens."""

    text: dict[str, Tensor]  # head -> [n, columns]
    token: dict[str, Tensor]  # head -> [n, t, 3]


class LowRank(nn.Module):
    """A linear layer with a trainable product of two thin matrices beside it; starts as the layer alone."""

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down = nn.Linear(base.in_features, rank, bias=False)
        self.up = nn.Linear(rank, base.out_features, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.scale = alpha / rank
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.up.weight)

    def forward(self, states: Tensor) -> Tensor:
        """The layer's answer plus the adapter's."""
        adapted: Tensor = self.base(states) + self.scale * self.up(self.down(self.dropout(states)))
        return adapted

    def merged(self) -> nn.Linear:
        """One plain layer that answers the same."""
        with torch.no_grad():
            self.base.weight += self.scale * self.up.weight @ self.down.weight
        return self.base


class Network(nn.Module):
    """Encoder and heads; `text_heads` and `token_heads` map a head's name to its number of columns."""

    def __init__(self, encoder: nn.Module, *, text_heads: Mapping[str, int], token_heads: Mapping[str, int], dropout: float) -> None:
        super().__init__()
        width = int(encoder.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.text = nn.ModuleDict({name: nn.Linear(width, columns) for name, columns in text_heads.items()})
        self.token = nn.ModuleDict(
            {
                name: nn.Sequential(nn.Linear(width, TOKEN_HIDDEN), nn.GELU(), nn.Linear(TOKEN_HIDDEN, columns))
                for name, columns in token_heads.items()
            }
        )
        self.frozen_blocks = 0  # blocks from below, word vectors included, that training leaves as they are

    def forward(self, ids: Tensor, mask: Tensor | None, *, states: Tensor | None = None) -> Answers:
        """Logits for token ids [n, t] and their mask [n, t] of zeros and ones (None: no padding).

        `states` [n, t, width], where given, are what the frozen blocks say of `ids`: they are not run again.
        """
        if states is None:
            states = self.lower(ids, mask)
        return self.read(self._run(states, mask, self.frozen_blocks, None), mask)

    def lower(self, ids: Tensor, mask: Tensor | None) -> Tensor:
        """States [n, t, width] after the frozen blocks; the word vectors where no block is frozen."""
        return self._run(self.encoder.embeddings(input_ids=ids), mask, 0, self.frozen_blocks)  # type: ignore[operator, union-attr]

    def _run(self, states: Tensor, mask: Tensor | None, first: int, last: int | None) -> Tensor:
        hidden = None if mask is None else (1.0 - mask[:, None, None, :].to(states.dtype)) * torch.finfo(states.dtype).min
        for block in blocks_of(self.encoder)[first:last]:
            states = block(states, hidden)
        return states

    def read(self, states: Tensor, mask: Tensor | None) -> Answers:
        """What the heads say of last states [n, t, width]."""
        if mask is None:
            mean = states.mean(1)
        else:
            weights = mask.unsqueeze(-1).to(states.dtype)
            mean = (states * weights).sum(1) / weights.sum(1)
        mean, states = self.dropout(mean), self.dropout(states)
        text = {name: head(mean) for name, head in self.text.items()}
        return Answers(text, {name: head(states) for name, head in self.token.items()})

    def train(self, mode: bool = True) -> "Network":
        """As torch's, but frozen parts answer alike in training: their states may have been kept from earlier."""
        super().train(mode)
        if self.frozen_blocks:
            self.encoder.embeddings.eval()  # type: ignore[union-attr, operator]
            for block in blocks_of(self.encoder)[: self.frozen_blocks]:
                block.eval()
        return self


def load_encoder(source: str | Path, *, layers: tuple[int, ...] = (), dropout: float = 0.1, attention_dropout: float = 0.0) -> nn.Module:
    """A pretrained encoder from a folder or a Hugging Face id: weights from safetensors only, never code from the checkpoint.

    Args:
        source: folder or id.
        layers: which layers to keep, in order; () = all.
        dropout: share of states dropped in training.
        attention_dropout: share of attention weights dropped in training.

    Raises:
        SettingsError: there is no such checkpoint, it holds no safetensors, or it has no such layer.
    """
    try:
        config = AutoConfig.from_pretrained(source, trust_remote_code=False)
        config.hidden_dropout_prob, config.attention_probs_dropout_prob = dropout, attention_dropout
        encoder: nn.Module = AutoModel.from_pretrained(source, config=config, use_safetensors=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        message = f"encoder {source}: cannot be loaded ({error}); name a folder with config.json, tokenizer.json and model.safetensors"
        raise SettingsError(message) from error
    if config.model_type not in READABLE:
        message = f"encoder {source}: architecture {config.model_type!r} is not supported; use one of {', '.join(READABLE)}"
        raise SettingsError(message)
    if hasattr(encoder, "pooler"):
        encoder.pooler = None  # sentence-pair pretraining's head: nothing here reads it
    blocks = encoder.encoder.layer  # type: ignore[union-attr]
    if layers:
        if not set(layers) <= set(range(len(blocks))):  # type: ignore[arg-type]
            message = f"encoder {source}: layers {list(layers)} are asked for, it has {len(blocks)}; name layers from 0"  # type: ignore[arg-type]
            raise SettingsError(message)
        encoder.encoder.layer = nn.ModuleList(blocks[i] for i in layers)  # type: ignore[index, union-attr]
        encoder.config.num_hidden_layers = len(layers)  # type: ignore[union-attr]  # the encoder has a copy of what was read
    return encoder


def blocks_of(encoder: nn.Module) -> nn.ModuleList:
    """The transformer blocks, from the text upwards."""
    blocks = encoder.encoder.layer  # type: ignore[union-attr]
    assert isinstance(blocks, nn.ModuleList)
    return blocks


def add_adapters(encoder: nn.Module, *, rank: int, alpha: float, dropout: float, top: int | None = None) -> int:
    """Put a LowRank beside every product of the top blocks (None = all); returns how many."""
    count = 0
    blocks = blocks_of(encoder)
    for block in blocks[len(blocks) - top if top is not None else 0 :]:
        for parent, name in list(_linears(block)):
            setattr(parent, name, LowRank(getattr(parent, name), rank=rank, alpha=alpha, dropout=dropout))
            count += 1
    return count


def merge_adapters(encoder: nn.Module) -> None:
    """Fold every adapter into its layer: what is shipped has no adapters."""
    for module in list(encoder.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, LowRank):
                setattr(module, name, child.merged())


def _linears(block: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    for module in block.modules():
        for name, child in module.named_children():
            if name in ADAPTED and isinstance(child, nn.Linear):
                yield module, name
