"""A training recipe: one commented TOML file that re-creates a run and travels in its bundle.

Every field has a default that was chosen by measurement (docs/models.md); a recipe names what differs. Unknown keys are refused,
so that a slip in a name cannot silently train something else.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from groundswell.errors import SettingsError
from models.user_files import UserFile

Share = Annotated[float, Meta(ge=0, le=1)]
Positive = Annotated[float, Meta(gt=0)]
Count = Annotated[int, Meta(ge=1)]


class Encoder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The pretrained encoder that a run begins with."""

    source: str  # a folder with config.json, tokenizer.json and model.safetensors, or a Hugging Face id
    title: str  # how the model card names it
    licence: str
    origin: str  # where it came from, in words, for the model card
    vocabulary: Literal["all", "seen"] = "all"  # "seen": pieces of the training texts and single characters, for a smaller bundle
    layers: tuple[int, ...] = ()  # blocks to keep, from 0; empty = all
    max_tokens: Annotated[int, Meta(ge=8, le=512)] = 96


class Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is learned from."""

    corpora: tuple[str, ...]  # keys of models.datasets.CORPORA
    most: dict[str, int] = {}  # corpus -> most texts taken, drawn by the seed; a large corpus would drown the others
    user: tuple[UserFile, ...] = ()  # the user's own files, one table each
    synthetic: Annotated[int, Meta(ge=0)] = 0  # sentences of models.synthetic
    held_out: Share = 0.1  # share of the training texts for early stopping and calibration, near-duplicates kept together


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How deep the encoder is changed. Frozen blocks are computed once and their states kept (`cached`)."""

    depth: Literal["heads", "adapters", "top", "full"] = "full"
    top: Count = 2  # blocks trained by "top", and given adapters by "adapters" (0 is written as depth = "heads")
    embeddings: bool = True  # whether "full" changes the word vectors too
    adapter_rank: Count = 16
    adapter_alpha: Positive = 32.0
    dropout: Share = 0.1  # of heads, adapters and states
    attention_dropout: Share = 0.0  # of attention weights: drawing them takes a tenth of a step on a CPU
    cached: bool = True


class Optimiser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """AdamW (Loshchilov and Hutter 2019) with a linear warm-up and a linear or cosine way down."""

    epochs: Annotated[int, Meta(ge=1, le=1000)] = 4
    tokens_per_batch: Count = 2048
    accumulate: Count = 1  # batches per step
    encoder_rate: Positive = 2.5e-4  # learning rate of the top block
    layer_decay: Share = 0.9  # factor per block further down
    head_rate: Positive = 2e-3
    token_head_rate: Positive = 1e-3
    weight_decay: Annotated[float, Meta(ge=0)] = 0.01  # of matrices; biases and norms have none
    betas: tuple[float, float] = (0.9, 0.999)
    warm_up: Share = 0.06  # share of all steps
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    clip: Positive = 1.0  # largest norm of a step's gradient
    average: Annotated[float, Meta(ge=0, lt=1)] = 0.0  # decay per step of a running average of the weights; 0 = none
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # auto: bf16 on a GPU, fp32 elsewhere (few CPUs have units for bf16)


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One head: how much it counts and how its loss is shaped."""

    weight: Annotated[float, Meta(ge=0)] = 1.0
    smoothing: Share = 0.05  # label smoothing
    balance: Share = 0.0  # classes count as (rows of the class) to minus this power
    even: bool = False  # calibrated as if every set held its classes in equal shares: a set's shares need not be the world's


class Stopping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """When a run is looked at, saved and ended."""

    evaluate_every: Positive = 1.0  # epochs between looks at the held-out part
    patience: Annotated[int, Meta(ge=0)] = 0  # looks without a better mean loss before the run ends; 0 = never early
    checkpoint_every: Count = 200  # steps between checkpoints that a killed run goes on from


class Rounding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How finely the bundle's weights are rounded: coarse steps take few values, and what takes few values packs into few bytes."""

    coarseness: Share = 0.0  # least step of a weight as a share of its matrix' root mean square; .25 packs into 4.1 bits a weight


class Distillation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Teachers that are trained first, each without one part of the texts, and then answer for what they have not seen (teachers.py)."""

    teachers: Annotated[int, Meta(ge=0)] = 0  # 0 = none; otherwise at least two
    epochs: Annotated[int, Meta(ge=1, le=1000)] = 3  # of each teacher
    share: Share = 0.5  # of a teacher's answer in what is wanted of a labelled text; the rest is the label
    heads: tuple[Literal["topic", "labels", "post", "news", "flags", "target", "spans"], ...] = ()  # answered on texts without such a label
    unlabelled: dict[str, int] = {}  # replay archive of the data folder -> texts taken, drawn by the seed
    begin: Literal["encoder", "teacher"] = "encoder"  # which weights the student begins with


class Companion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The linear model that reads beside the encoder (models/companion.py)."""

    heads: tuple[Literal["topic", "labels", "post", "news"], ...] = ()  # that its opinion goes into; how much is fitted
    certain: Share = 0.0  # probability of topic and sentiment from which on it answers alone; 0 = never


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything that decides what comes out of training."""

    name: str
    language: Literal["en", "zh"]
    encoder: Encoder
    data: Data
    seed: int = 0
    tuning: Tuning = Tuning()
    optimiser: Optimiser = Optimiser()
    tasks: dict[str, Task] = {}  # head -> Task; a head that is not named has the defaults
    stopping: Stopping = Stopping()
    rounding: Rounding = Rounding()
    distillation: Distillation = Distillation()
    companion: Companion = Companion()


TASKS: Final = ("topic", "labels", "post", "news", "gate", "flags", "target", "spans")


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe; the paths of the user's files are beside it.

    Raises:
        SettingsError: naming file, place, rule and value.
    """
    try:
        recipe = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Recipe)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        message = f"recipe {path}: {error}; models/recipes holds working ones with every field explained"
        raise SettingsError(message) from error
    beside = tuple(msgspec.structs.replace(entry, path=str(path.parent / entry.path)) for entry in recipe.data.user)
    recipe = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, user=beside))
    unknown = sorted(set(recipe.tasks) - set(TASKS))
    if unknown:
        message = f"recipe {path}: tasks {unknown} are not among {', '.join(TASKS)}; rename or remove them"
        raise SettingsError(message)
    if recipe.distillation.teachers == 1:
        message = f"recipe {path}: distillation.teachers is 1, and nobody would answer for the texts of others; use 0, or 2 or more"
        raise SettingsError(message)
    return recipe


def recipe_hash(recipe: Recipe) -> str:
    """Sixteen hexadecimal digits over every value that is not its default; comments, order and the folder of the user's files do not count.

    A setting that is added later, and left at its default, leaves the hashes of older recipes as they were.
    """
    names = tuple(msgspec.structs.replace(entry, path=Path(entry.path).name) for entry in recipe.data.user)
    bare = msgspec.structs.replace(recipe, data=msgspec.structs.replace(recipe.data, user=names))
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()[:16]
