"""A Chinese BERT of two small blocks, written to a folder as a published checkpoint is, and a task that it can learn in seconds."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch
from tokenizers import Tokenizer as RustTokenizer
from tokenizers import models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel

from models.encoder.lessons import Heads, Lesson, heads_of, lessons_of
from models.encoder.prepare import network_of, tokenizer_of
from models.encoder.recipe import Data, Encoder, Optimiser, Recipe, Stopping, Tuning
from models.encoder.tokens import Tokenizer
from models.encoder.train import Progress, Run
from models.examples import Example, Target

WIDTH: Final = 32
LAYERS: Final = 2
RISING, FALLING = "涨升增盈", "跌降减亏"
FILLER: Final = "今日公司股价市场银行钢铁汽车能源季度报告宣布预计投资者分析师集团有限科技年度业绩同比订单产品"
NAMES: Final = ("北谷", "阿克")
WORDS: Final = ("bank", "share", "##s", "rise", "fall", "profit", "loss", "##ing", "##ed", "of", "the")


def pieces() -> list[str]:
    """About two hundred pieces: special ones, ASCII characters alone and inside a word, a few words, Chinese characters."""
    ascii_alone = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    chinese = dict.fromkeys(RISING + FALLING + FILLER + "".join(NAMES))
    inside = [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"]
    return list(dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *ascii_alone, *inside, *WORDS, *chinese]))


def write_checkpoint(folder: Path, *, layers: int = LAYERS) -> Path:
    """Write config.json, tokenizer.json and model.safetensors, as transformers and tokenizers write them."""
    vocabulary = {piece: number for number, piece in enumerate(pieces())}
    tokenizer: Any = RustTokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    with torch.random.fork_rng():
        torch.manual_seed(7)
        shape = {"hidden_size": WIDTH, "intermediate_size": 64, "num_attention_heads": 2, "max_position_embeddings": 64}
        encoder: Any = BertModel(BertConfig(vocab_size=len(vocabulary), num_hidden_layers=layers, **shape))
    encoder.save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def an_example(text: str, **known: Any) -> Example:
    """A Chinese news text of a user's file."""
    return Example(text=text, corpus="mine", language="zh", kind="news", **known)


def toy_examples(count: int, *, seed: int = 0) -> list[Example]:
    """Texts of a name, filler and one character that says whether things go well; the sentiment follows from it alone."""
    chance = random.Random(seed)
    examples = []
    for number in range(count):
        sentiment = 2 * (number % 2)
        filler = chance.choices(FILLER, k=chance.randint(4, 10))
        filler.insert(chance.randint(0, len(filler)), chance.choice(RISING if sentiment else FALLING))
        name = chance.choice(NAMES)
        targets = (Target(name, 0, len(name), sentiment),)
        examples.append(an_example(name + "".join(filler), sentiment=sentiment, targets=targets))
    return examples


def a_recipe(checkpoint: Path, **parts: Any) -> Recipe:
    """A recipe for the toy task; `parts` replace its tables."""
    encoder = Encoder(source=str(checkpoint), title="tiny", licence="none", origin="made by a test", max_tokens=32)
    fields: dict[str, Any] = {
        "name": "toy",
        "language": "zh",
        "encoder": encoder,
        "data": Data(corpora=()),
        "tuning": Tuning(cached=False),
        "optimiser": an_optimiser(),
        "stopping": Stopping(),
    }
    return Recipe(**(fields | parts))


def an_optimiser(**values: Any) -> Optimiser:
    """Rates at which the toy task is learned from fresh weights."""
    return Optimiser(**({"epochs": 4, "tokens_per_batch": 160, "encoder_rate": 3e-3, "head_rate": 1e-2, "token_head_rate": 5e-3} | values))


def toy_lessons(recipe: Recipe, examples: Sequence[Example]) -> tuple[Heads, list[Lesson]]:
    """Heads and lessons as the recipe's checkpoint reads them."""
    tokenizer = Tokenizer(tokenizer_of(recipe.encoder.source), max_tokens=recipe.encoder.max_tokens)
    heads = heads_of(recipe.language, examples)
    return heads, lessons_of(examples, heads=heads, tokenizer=tokenizer)


def a_run(folder: Path, recipe: Recipe, *, count: int = 80, progress: Progress | None = None) -> Run:
    """A run over toy texts; thirty others are looked at."""
    heads, lessons = toy_lessons(recipe, toy_examples(count))
    _, held_out = toy_lessons(recipe, toy_examples(30, seed=1))
    return Run(folder, recipe=recipe, network=network_of(recipe, heads), lessons=lessons, looks={"held_out": held_out}, progress=progress)
