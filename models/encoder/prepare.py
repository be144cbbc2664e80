"""From a recipe and a data folder to what a run learns from: lessons, what is held out, and the network to begin with."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from transformers.utils import cached_file

from groundswell.errors import SettingsError, UsageError
from models import datasets, synthetic
from models.datasets import CORPORA
from models.encoder.lessons import Heads, Lesson, heads_of, lessons_of
from models.encoder.network import Network, load_encoder
from models.encoder.recipe import Recipe
from models.encoder.tokens import Tokenizer, counts
from models.examples import Example
from models.linear import Source
from models.near_duplicates import groups
from models.unlabelled import read_unlabelled
from models.user_files import UserFile

OWN: Final = "this project's"


class Prepared(NamedTuple):
    """Everything that a run needs beside its recipe."""

    heads: Heads
    tokenizer: Tokenizer
    tokenizer_json: bytes
    kept: tuple[int, ...] | None  # pieces of the vocabulary that the bundle keeps; None = all
    learned: list[Lesson]
    unlabelled: list[Lesson]  # that teachers answer for; empty without teachers
    held_out: list[Example]  # for early stopping and calibration, never learned
    looks: dict[str, list[Lesson]]  # "held_out" and each corpus' dev part
    sources: list[Source]  # what the weights rest on


def prepare(recipe: Recipe, data: Path) -> Prepared:
    """Read, hold out, tokenise.

    Raises:
        UsageError: a corpus is unknown, of another language or may not be shipped, or its file is missing.
    """
    examples = training_examples(recipe, data)
    held, learned = hold_out(examples, recipe.data.held_out, recipe.seed)
    heads = heads_of(recipe.language, examples)
    tokenizer_json = tokenizer_of(recipe.encoder.source)
    tokenizer = Tokenizer(tokenizer_json, max_tokens=recipe.encoder.max_tokens, place=recipe.encoder.source)
    kept = seen_pieces(tokenizer, tokenizer_json, examples) if recipe.encoder.vocabulary == "seen" else None
    looks = {"held_out": lessons_of(held, heads=heads, tokenizer=tokenizer)}
    for key in recipe.data.corpora:
        if "dev" in CORPORA[key].parts:
            looks[key] = lessons_of(datasets.read_corpus(data, key, "dev"), heads=heads, tokenizer=tokenizer)
    return Prepared(
        heads,
        tokenizer,
        tokenizer_json,
        kept,
        lessons_of(learned, heads=heads, tokenizer=tokenizer),
        lessons_of(unlabelled_examples(recipe, data), heads=heads, tokenizer=tokenizer),
        held,
        looks,
        sources_of(examples, recipe.data.user),
    )


def tokenizer_of(source: str) -> bytes:
    """The tokenizer.json of a folder or a Hugging Face id.

    Raises:
        SettingsError: there is none.
    """
    try:
        found = Path(source) / "tokenizer.json" if Path(source).is_dir() else Path(cached_file(source, "tokenizer.json"))
        return found.read_bytes()
    except (OSError, TypeError) as error:
        message = f"encoder {source}: its tokenizer.json cannot be read ({error}); name a folder that holds one, or a Hugging Face id"
        raise SettingsError(message) from error


def seen_pieces(tokenizer: Tokenizer, tokenizer_json: bytes, examples: Sequence[Example]) -> tuple[int, ...]:
    """Pieces that training texts are made of, and every single character: what is left out is spelt or unknown, never misread."""
    seen = set(np.flatnonzero(counts(tokenizer, [example.text for example in examples])).tolist())
    vocabulary: dict[str, int] = json.loads(tokenizer_json)["model"]["vocab"]
    seen |= {number for piece, number in vocabulary.items() if len(piece.removeprefix("##")) == 1 and (piece.isascii() or len(piece) == 1)}
    return tuple(sorted(seen))


def training_examples(recipe: Recipe, data: Path) -> list[Example]:
    """The training parts of the recipe's corpora, the user's files and synthetic sentences, in that order."""
    examples: list[Example] = []
    for key in recipe.data.corpora:
        corpus = CORPORA.get(key)
        if corpus is None or corpus.language != recipe.language:
            known = ", ".join(key for key, corpus in CORPORA.items() if corpus.language == recipe.language)
            message = f"recipe {recipe.name}: data.corpora: {key!r} is no {recipe.language} corpus; use some of {known}"
            raise UsageError(message)
        rows = datasets.read_corpus(data, key, "train")
        if key == "wwwxmu":
            rows = datasets.holdout(rows)[0]  # it has no dev part: what is measured must not be learned
        most = recipe.data.most.get(key, len(rows))
        examples += rows if most >= len(rows) else random.Random(f"{recipe.seed}/{key}").sample(rows, most)
    examples += [example for example in datasets.read_user_files(recipe.data.user, "train") if example.language == recipe.language]
    return examples + synthetic.sentences(recipe.data.synthetic, recipe.seed)


def unlabelled_examples(recipe: Recipe, data: Path) -> list[Example]:
    """What the recipe's teachers answer for: texts of replay archives, drawn by the seed."""
    examples: list[Example] = []
    for archive, most in recipe.distillation.unlabelled.items() if recipe.distillation.teachers else ():
        rows = read_unlabelled(data, archive, recipe.language)
        examples += random.Random(f"{recipe.seed}/{archive}").sample(rows, min(most, len(rows)))
    return examples


def hold_out(examples: Sequence[Example], share: float, seed: int) -> tuple[list[Example], list[Example]]:
    """(held out, learned): about `share` of the texts, near-duplicates on one side, synthetic sentences all learned."""
    real = [example for example in examples if example.corpus != synthetic.CORPUS]
    leaders = groups([example.text for example in real])
    chance = random.Random(f"{seed}/held out")
    drawn = {leader: chance.random() < share for leader in sorted(set(leaders))}
    held = [example for example, leader in zip(real, leaders, strict=True) if drawn[leader]]
    learned = [example for example, leader in zip(real, leaders, strict=True) if not drawn[leader]]
    return held, learned + [example for example in examples if example.corpus == synthetic.CORPUS]


def sources_of(examples: Sequence[Example], user: Sequence[UserFile]) -> list[Source]:
    """Data sets with rows and licence, as the card states them."""
    licences = {synthetic.CORPUS: OWN} | {entry.key: entry.licence for entry in user}
    rows: dict[str, int] = {}
    for example in examples:
        rows[example.corpus] = rows.get(example.corpus, 0) + 1
    sources = []
    for key, count in rows.items():
        corpus = CORPORA.get(key)
        sources.append(Source(f"{corpus.stem}: {corpus.title}", count, corpus.licence) if corpus else Source(key, count, licences[key]))
    return sources


def network_of(recipe: Recipe, heads: Heads) -> Network:
    """The pretrained encoder with fresh heads, which are drawn by the recipe's seed."""
    tuning = recipe.tuning
    torch.manual_seed(recipe.seed)
    encoder = load_encoder(
        recipe.encoder.source, layers=recipe.encoder.layers, dropout=tuning.dropout, attention_dropout=tuning.attention_dropout
    )
    text = {head: len(columns) for head, columns in heads.text.items()}
    return Network(encoder, text_heads=text, token_heads=dict.fromkeys(heads.token, 3), dropout=tuning.dropout)
