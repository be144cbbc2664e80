"""A bundle's weights in the library that it is compared with: every contestant computes the same."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from models.encoder.read_graph import Read
from models.encoder.weights import Floats, Product, Weights

Labels = Callable[[Sequence[str]], list[int]]


def pipeline_of(read: Read, tokenizer_json: bytes, *, head: str, threads: int, batch: int) -> Labels:
    """A `transformers.pipeline` for text classification with these weights: the column of one head that a text is given."""
    import torch
    import transformers
    from tokenizers import Tokenizer

    transformers.logging.set_verbosity_error()
    torch.set_num_threads(threads)
    model = _classifier(read, head).eval()
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(tokenizer_json.decode()), **special)
    pipeline = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, device="cpu")
    limits = {"truncation": True, "max_length": read.spec.max_tokens}

    def labels(texts: Sequence[str]) -> list[int]:
        return [int(answer["label"].removeprefix("LABEL_")) for answer in pipeline(list(texts), batch_size=batch, **limits)]

    return labels


def _classifier(read: Read, head: str) -> Any:
    """BertForSequenceClassification but for one thing: the head reads the mean of the states, as ours was trained to."""
    import torch
    from transformers import BertConfig, BertModel, BertPreTrainedModel
    from transformers.modeling_outputs import SequenceClassifierOutput

    chain = read.weights.text[read.spec.text_heads.index(head)]

    class Classifier(BertPreTrainedModel):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.bert = BertModel(config, add_pooling_layer=False)
            self.classifier = torch.nn.Linear(config.hidden_size, config.num_labels)
            self.post_init()

        def forward(self, input_ids: Any, attention_mask: Any, **_: Any) -> Any:
            states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            real = attention_mask.unsqueeze(-1).to(states.dtype)
            return SequenceClassifierOutput(logits=self.classifier((states * real).sum(1) / real.sum(1)))

    config = BertConfig(
        vocab_size=len(read.weights.words),
        hidden_size=read.weights.words.shape[1],
        num_hidden_layers=read.spec.layers,
        num_attention_heads=read.spec.heads,
        intermediate_size=read.weights.layers[0].up.weight.shape[1],
        max_position_embeddings=len(read.weights.positions),
        type_vocab_size=1,
        layer_norm_eps=read.spec.epsilon,
        num_labels=len(chain[-1].bias),
    )
    model = Classifier(config)
    model.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in _state(read, chain[-1]).items()})
    return model


def _state(read: Read, head: Product) -> dict[str, Floats]:
    """Tensors by their Hugging Face names."""
    weights = read.weights
    kinds = np.zeros((1, weights.words.shape[1]), np.float32)  # already in the positions
    state = {f"bert.embeddings.{name}_embeddings.weight": array for name, array in _tables(weights, kinds)}
    products: dict[str, Product] = {"classifier": head}
    norms = {"bert.embeddings.LayerNorm": weights.norm}
    for i, layer in enumerate(weights.layers):
        prefix = f"bert.encoder.layer.{i}"
        products |= {f"{prefix}.attention.self.{name}": getattr(layer, name) for name in ("query", "key", "value")}
        products[f"{prefix}.attention.output.dense"] = layer.output
        products[f"{prefix}.intermediate.dense"] = layer.up
        products[f"{prefix}.output.dense"] = layer.down
        norms[f"{prefix}.attention.output.LayerNorm"] = layer.middle
        norms[f"{prefix}.output.LayerNorm"] = layer.norm
    for name, product in products.items():
        state |= {f"{name}.weight": product.weight.T, f"{name}.bias": product.bias}
    for name, norm in norms.items():
        state |= {f"{name}.weight": norm.gain, f"{name}.bias": norm.bias}
    return state


def _tables(weights: Weights, kinds: Floats) -> list[tuple[str, Floats]]:
    return [("word", weights.words), ("position", weights.positions), ("token_type", kinds)]
