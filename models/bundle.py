"""An encoder bundle on disk: one folder, one language, nothing in it that can run code.

    bundle.json      the card: what it is, what it was trained on, what it reached, and the hash of every other file
    model.onnx.gz    the network; packed or not, as every listed file may be
    tokenizer.json   text to tokens
    recipe.toml      the training recipe that makes it again
    CARD.md          the model card, for people
    ...              further files that the card lists (.json, .safetensors, .csv, ...), such as the linear features beside the encoder

Only files that the card lists are read, each once, and its bytes are those that were checked: what is handed on is what was
hashed, unpacked. `models/registry.py` says which bundle is in force; `models/linear.py` has the linear bundles, which are another format.
"""

import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
import tomllib
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal, NoReturn

import msgspec

from groundswell.errors import BundleError, reason_of
from groundswell.names import LANGUAGES, SENTIMENTS, content_id
from models.linear import Source
from models.spans import TAGS
from models.taxonomy import LABEL_TO_TOPIC, NATIVE_TOPICS, RISK_FLAGS, taxonomy_hash

FORMAT: Final = "groundswell-encoder-1"
CARD_FILE: Final = "bundle.json"
MODEL_FILE: Final = "model.onnx"
TOKENIZER_FILE: Final = "tokenizer.json"
RECIPE_FILE: Final = "recipe.toml"
ABOUT_FILE: Final = "CARD.md"
REQUIRED_FILES: Final = (MODEL_FILE, TOKENIZER_FILE, RECIPE_FILE, ABOUT_FILE)
PACKED: Final = ".gz"  # may follow a file's own suffix
SUFFIXES: Final = (".onnx", ".json", ".safetensors", ".toml", ".md", ".csv")
SILENT_SUFFIXES: Final = (".md", ".toml")  # for people and for training: they cannot change an answer

CARD_BYTES_MAX: Final = 4 << 20
FILE_BYTES_MAX: Final = 1 << 30  # a BERT-large in fp32 is 1.3 GB: larger than anything that is meant to be served here
FILES_MAX: Final = 32

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

# What each head's columns may be called; those of the second group may also be some of the names, in any order.
_COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "topic": NATIVE_TOPICS,
    "post": SENTIMENTS,
    "news": SENTIMENTS,
    "gate": ("news",),
    "target": SENTIMENTS,
    "spans": TAGS,
}
_SOME_COLUMNS: Final[Mapping[str, Sequence[str]]] = {"labels": tuple(LABEL_TO_TOPIC), "flags": RISK_FLAGS}
_REQUIRED_HEADS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("topic", "post", "news", "gate"),
    "zh": ("labels", "post", "news", "gate"),
}
_NOT_CALIBRATED: Final = ("spans",)  # a span is there or not; no probability of it is reported


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The pretrained encoder that training began with."""

    name: str
    licence: str
    source: str  # where it came from, in words or as an address


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a head's margins become probabilities: logit = slope * margin + intercept, then the link (see models/linear.py)."""

    link: Literal["softmax", "sigmoid"]
    slopes: list[float]  # one per column, as the intercepts
    intercepts: list[float]
    powers: list[float] = []  # one per column of "sigmoid" links; none means 1
    extra: dict[str, list[float]] = {}  # further numbers by name, of which no scorer of this version knows any


class CompanionCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The linear model that reads beside the encoder (models/companion.py)."""

    model: str  # models.linear.model_id of it, without a lexicon
    weights: dict[str, float] = {}  # head -> share of its opinion, from 0 to 1
    certain_ppm: int = 0  # it answers alone where its topic and its sentiment reach this probability; 0 = never


class Metric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A measured figure with its 95 % bootstrap interval."""

    value: float
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    better: Literal["higher", "lower"] = "higher"


class FileFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the card vouches for of one file."""

    sha256: str  # 64 hexadecimal digits
    bytes: int


class EncoderCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an encoder bundle says of itself. `content_hash` covers whatever can change an answer."""

    format: str = FORMAT
    name: str  # lower-case letters, digits, dots, hyphens, underscores; at most 64
    language: str
    created: str  # UTC date, YYYY-MM-DD
    engine: str = "onnx"
    precision: str = "int8"
    base: Base
    recipe: str  # models.encoder.recipe.recipe_hash of recipe.toml
    taxonomy: str  # taxonomy.taxonomy_hash() when it was trained
    heads: dict[str, list[str]]  # head -> names of its columns, in the order of the network's answers
    calibration: dict[str, Calibration]
    thresholds_ppm: dict[str, int] = {}  # label or flag -> given from this probability on
    options: dict[str, int | float | str] = {}  # numbers that the scorer needs: longest text in tokens, weights of mixtures
    companion: CompanionCard | None = None
    error_matrix: dict[str, list[list[float]]] = {}  # head -> rows: truth, columns: answer, on dev data
    metrics: dict[str, Metric] = {}  # on dev data; named as in the linear cards: "TFNT accuracy", "TFNT macro F1"
    sources: list[Source] = []  # data sets that weights were trained on
    files: dict[str, FileFact] = {}  # filled by `save`
    notes: str = ""

    @property
    def engine_name(self) -> str:
        """Engine and number format, as they stand in a model id: `onnx-int8`."""
        return f"{self.engine}-{self.precision}"


@dataclass(frozen=True)
class EncoderBundle:
    """A bundle that has passed every check; `data` holds its files by their unpacked names."""

    card: EncoderCard
    directory: Path
    data: Mapping[str, bytes]

    @property
    def bytes(self) -> int:
        """Size of all listed files together."""
        return sum(fact.bytes for fact in self.card.files.values())


# --- names ---------------------------------------------------------------------------------------------------------------
def is_name(text: str) -> bool:
    """Whether a bundle may be called so.

    >>> is_name("en-minilm-1.2"), is_name("../x"), is_name("")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None


def content_hash(card: EncoderCard) -> str:
    """Sixteen hexadecimal digits over whatever of a bundle can change an answer, and nothing else.

    Weights, tokens, further files, heads, calibration, thresholds, options, engine and number format count; the name, dates,
    figures, the model card and the recipe's comments do not.
    """
    decisive = ("format", "language", "engine", "precision", "taxonomy", "heads", "calibration", "thresholds_ppm", "options", "companion")
    files = {name: fact.sha256 for name, fact in card.files.items() if not unpacked_name(name).endswith(SILENT_SUFFIXES)}
    parts = [getattr(card, field) for field in decisive]
    return content_id(msgspec.json.encode([*parts, files], order="deterministic").decode())


def model_id(card: EncoderCard, *others: str, engine: str | None = None) -> str:
    """`encoder-<eight digits>-<engine>-<number format>`.

    Args:
        card: the bundle's.
        engine: engine and number format, where they are not the card's.
        others: hashes of what else the scorer's answers rest on: a lexicon outside the bundle, a revision of its code.
    """
    return f"encoder-{content_id(content_hash(card), *others)[:8]}-{engine or card.engine_name}"


# --- writing -------------------------------------------------------------------------------------------------------------
def save(directory: Path, card: EncoderCard, *, files: Mapping[str, bytes | Path]) -> EncoderCard:
    """Write a bundle into a folder that does not exist yet, all of it or nothing, and check what was written.

    Args:
        directory: the new folder; its parent is made if missing.
        card: `files` and `taxonomy` of it are filled in here.
        files: name -> content, or where the content lies now.

    Returns:
        The card as it was written.

    Raises:
        BundleError: the folder exists, or the bundle would not pass `load`.
    """
    if directory.exists():
        _refuse(directory, "a bundle is written once and never changed", "a folder that exists", "choose another name")
    directory.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    try:
        facts = {}
        for name, content in files.items():
            _check_file_name(directory, name)
            data = content.read_bytes() if isinstance(content, Path) else content
            write_synced(made / name, data)
            facts[name] = FileFact(hashlib.sha256(data).hexdigest(), len(data))
        card = msgspec.structs.replace(card, files=facts, taxonomy=taxonomy_hash())
        write_synced(made / CARD_FILE, msgspec.json.format(msgspec.json.encode(card, order="sorted"), indent=2) + b"\n")
        load(made)
        made.chmod(0o755)
        made.rename(directory)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    sync_folder(directory.parent)
    return card


def write_synced(path: Path, data: bytes) -> None:
    """Write a file so that it outlasts a loss of power."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename within a folder last through a loss of power."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


# --- reading -------------------------------------------------------------------------------------------------------------
def load(directory: Path) -> EncoderBundle:
    """Read and check a bundle: card, then every file that the card lists.

    Raises:
        BundleError: a file is missing, truncated, altered, too large, a link, a pickle or not what its suffix says; the card is not
            JSON, of another format or taxonomy, or lacks a head, a calibration or a file. The text names place, rule, value and next step.
    """
    card = read_card(directory)
    data = {unpacked_name(name): _checked_file(directory / name, fact) for name, fact in card.files.items()}
    return EncoderBundle(card, directory, data)


def read_card(directory: Path) -> EncoderCard:
    """Read and check a bundle's card alone; no other file is opened.

    Raises:
        BundleError: as in `load`, of the card.
    """
    path = directory / CARD_FILE
    raw = read_plain(path, bytes_max=CARD_BYTES_MAX)
    found = format_of(path, raw)
    if found != FORMAT:
        _refuse(path, f"format is {FORMAT!r} in this version", repr(found), "use a bundle made with this version")
    try:
        card = msgspec.json.decode(raw, type=EncoderCard)
    except msgspec.ValidationError as error:
        _refuse(path, "the card has the fields of models.bundle.EncoderCard", str(error), "make the bundle again")
    _check_card(path, card)
    _check_heads(path, card)
    _check_calibration(path, card)
    _check_companion(path, card)
    _check_listed(path, card)
    return card


def format_of(path: Path, raw: bytes) -> str | None:
    """The format that a card names, of whatever kind the card is; None where it names none.

    Raises:
        BundleError: not a JSON object.
    """
    try:
        decoded = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        _refuse(path, "the card is a JSON object", reason_of(error), "restore the file, or make the bundle again")
    if not isinstance(decoded, dict):
        _refuse(path, "the card is a JSON object", type(decoded).__name__, "restore the file, or make the bundle again")
    found = decoded.get("format")
    return found if isinstance(found, str) else None


def _check_card(path: Path, card: EncoderCard) -> None:
    if not is_name(card.name):
        _refuse(path, "name is 1 to 64 of a-z, 0-9, dot, hyphen, underscore", repr(card.name), "rename the bundle")
    if card.language not in LANGUAGES:
        _refuse(path, f"language is one of {', '.join(LANGUAGES)}", repr(card.language), "train for one of them")
    if card.taxonomy != taxonomy_hash():
        step = "train again with this version, or use the version that the bundle was made with"
        _refuse(path, f"the taxonomy is {taxonomy_hash()} (models/taxonomy.py)", card.taxonomy, step)
    try:
        date.fromisoformat(card.created)
    except ValueError:
        _refuse(path, "created is a date, YYYY-MM-DD", repr(card.created), "make the bundle again")


def _check_heads(path: Path, card: EncoderCard) -> None:
    missing = [head for head in _REQUIRED_HEADS[card.language] if head not in card.heads]
    if missing:
        rule = f"a bundle for {card.language!r} has the heads {', '.join(_REQUIRED_HEADS[card.language])}"
        _refuse(path, rule, f"no {', '.join(missing)}", "train with these tasks in the recipe")
    for head, names in card.heads.items():
        if head not in _COLUMNS and head not in _SOME_COLUMNS:
            known = ", ".join([*_COLUMNS, *_SOME_COLUMNS])
            _refuse(path, f"heads are among {known}", repr(head), "use the version that the bundle was made with")
        some = _SOME_COLUMNS.get(head)
        right = set(names) <= set(some) and 0 < len(names) == len(set(names)) if some else names == list(_COLUMNS[head])
        if not right:
            _refuse(
                path,
                f"columns of {head} are those of models/taxonomy.py",
                ", ".join(names)[:120] or "none",
                "train again with this version",
            )
    labels = {name for head in _SOME_COLUMNS for name in card.heads.get(head, [])}
    for label, threshold in card.thresholds_ppm.items():
        if label not in labels or not 0 <= threshold <= 1_000_000:
            rule = "thresholds_ppm are of the bundle's own labels and flags, from 0 to 1000000"
            _refuse(path, rule, f"{label}: {threshold}", "make the bundle again")


def _check_calibration(path: Path, card: EncoderCard) -> None:
    for head, names in card.heads.items():
        found = card.calibration.get(head)
        if found is None:
            if head in _NOT_CALIBRATED:
                continue
            _refuse(path, "every head has its calibration", f"none for {head}", "calibrate and make the bundle again")
        for field in ("slopes", "intercepts", "powers"):
            numbers: list[float] = getattr(found, field)
            if len(numbers) != len(names) and (numbers or field != "powers"):
                given = f"{len(numbers)} for {len(names)}"
                _refuse(path, f"calibration.{head}.{field} has one number per column", given, "make the bundle again")
        if found.extra:
            names_given = ", ".join(sorted(found.extra))
            _refuse(path, f"calibration.{head}.extra is empty in this version", names_given, "use the version that made the bundle")
    for head, rows in card.error_matrix.items():
        if len({len(row) for row in rows}) > 1 or any(number < 0 for row in rows for number in row):
            _refuse(path, f"error_matrix.{head} is a rectangle of shares or counts", "rows that are not", "make the bundle again")
        _check_finite(path, f"error_matrix.{head}", [number for row in rows for number in row])


def _check_companion(path: Path, card: EncoderCard) -> None:
    if card.companion is None:
        return
    for head, weight in card.companion.weights.items():
        if head not in ("topic", "labels", "post", "news") or head not in card.heads or not 0 <= weight <= 1:
            rule = "companion.weights are from 0 to 1, of the bundle's heads among topic, labels, post, news"
            _refuse(path, rule, f"{head}: {weight}", "make the bundle again")
    if not 0 <= card.companion.certain_ppm <= 1_000_000 or (card.companion.certain_ppm and "flags" in card.heads):
        rule = "companion.certain_ppm is from 0 to 1000000, and 0 where the network has flags, which no companion knows"
        _refuse(path, rule, str(card.companion.certain_ppm), "make the bundle again")


def _check_finite(path: Path, place: str, numbers: Sequence[float]) -> None:
    if not all(map(math.isfinite, numbers)):
        _refuse(path, f"{place} holds finite numbers", "one that is not", "make the bundle again")


def _check_listed(path: Path, card: EncoderCard) -> None:
    names = [unpacked_name(name) for name in card.files]
    missing = [name for name in REQUIRED_FILES if name not in names]
    if missing:
        _refuse(path, f"files lists {', '.join(REQUIRED_FILES)}", f"no {', '.join(missing)}", "make the bundle again")
    if len(card.files) > FILES_MAX:
        _refuse(path, f"files lists at most {FILES_MAX} files", str(len(card.files)), "make the bundle again")
    if len(set(names)) < len(names):
        _refuse(path, "a file is listed packed or unpacked, not both", ", ".join(sorted(names)), "make the bundle again")
    for name, fact in card.files.items():
        _check_file_name(path.parent, name)
        if not 0 <= fact.bytes <= FILE_BYTES_MAX:
            _refuse(path, f"a file has at most {FILE_BYTES_MAX} bytes", f"{name}: {fact.bytes}", "use a smaller network")


def _check_file_name(directory: Path, name: str) -> None:
    if Path(name).name != name or name.startswith(".") or name == CARD_FILE or "\\" in name:
        _refuse(directory, "a listed file lies in the bundle's own folder, under a plain name", repr(name), "make the bundle again")
    if Path(unpacked_name(name)).suffix not in SUFFIXES:
        rule = f"a listed file ends in {', '.join(SUFFIXES)}; other formats, pickle above all, are never loaded"
        _refuse(directory, rule, repr(name), "store weights as .onnx or .safetensors")


def read_plain(path: Path, *, bytes_max: int) -> bytes:
    """The bytes of a plain file of bounded size; links, pipes and devices are not opened.

    Raises:
        BundleError: missing, unreadable, no plain file, or too large.
    """
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            _refuse(path, "is a plain file", "a link or something else", "copy the file itself into the bundle")
        if found.st_size > bytes_max:
            _refuse(path, f"has at most {bytes_max} bytes", str(found.st_size), "this is no file of a bundle; make the bundle again")
        return path.read_bytes()
    except OSError as error:
        _refuse(path, "can be read", error.strerror or reason_of(error), "restore the file, or make the bundle again", error)


def _checked_file(path: Path, fact: FileFact) -> bytes:
    data = read_plain(path, bytes_max=FILE_BYTES_MAX)
    if len(data) != fact.bytes:
        what = "truncated" if len(data) < fact.bytes else "altered"
        _refuse(path, f"the card promises {fact.bytes} bytes", f"{len(data)} ({what})", "restore the file that belongs to the card")
    found = hashlib.sha256(data).hexdigest()
    if found != fact.sha256:
        _refuse(path, f"the card promises sha256 {fact.sha256}", found, "restore the file that belongs to the card")
    if path.name.endswith(PACKED):
        data = _unpacked(path, data)
        path = path.with_name(unpacked_name(path.name))
    _check_kind(path, data)
    return data


def unpacked_name(name: str) -> str:
    """What a file is called once it is unpacked.

    >>> unpacked_name("model.onnx.gz"), unpacked_name("model.onnx")
    ('model.onnx', 'model.onnx')
    """
    return name.removesuffix(PACKED)


def pack(data: bytes) -> bytes:
    """Bytes as a gzip file. Rounded weights repeat no sequences: Huffman codes alone are smaller, and twice as fast to unpack."""
    packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP, 9, zlib.Z_HUFFMAN_ONLY)
    return packer.compress(data) + packer.flush()


def _unpacked(path: Path, data: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        found = unpacker.decompress(data, FILE_BYTES_MAX)
    except zlib.error as error:
        _refuse(path, f"a file called {PACKED} is one gzip member", reason_of(error), "make the bundle again")
    if not unpacker.eof or unpacker.unused_data:
        rule = f"one gzip member of at most {FILE_BYTES_MAX} bytes unpacked, and nothing after it"
        _refuse(path, rule, "more, or a file that ends early", "make the bundle again")
    return found


def is_pickle(data: bytes) -> bool:
    r"""Whether bytes begin as a pickle (protocols 2 to 5) or a zip archive (torch.save, npz) does.

    >>> is_pickle(b"\x80\x04\x95"), is_pickle(b"PK\x03\x04"), is_pickle(b"\x08\x08\x12")
    (True, True, False)
    """
    return (data[:1] == b"\x80" and data[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")) or data[:4] == b"PK\x03\x04"


def _check_kind(path: Path, data: bytes) -> None:
    """Whether a file's content is what its suffix says, as far as that can be told without its library."""
    if is_pickle(data):
        rule = "pickles and zip archives of them can run code and are never loaded"
        _refuse(path, rule, f"a file that begins with {data[:4]!r}", "convert the weights to .safetensors or .onnx")
    suffix = path.suffix
    if suffix in (".json", ".toml"):
        try:
            json.loads(data) if suffix == ".json" else tomllib.loads(data.decode())
        except (ValueError, RecursionError) as error:
            _refuse(path, f"is {suffix[1:].upper()}", reason_of(error), "make the bundle again")
    elif suffix == ".safetensors":
        header = int.from_bytes(data[:8], "little")
        if len(data) < 9 or header > len(data) - 8 or data[8:9] != b"{":
            _refuse(path, "is a safetensors file", f"one that begins with {data[:9]!r}", "make the bundle again")
    elif suffix == ".onnx" and _EXTERNAL in data:
        rule = "holds its weights itself; weights in other files would be read past the card"
        _refuse(path, rule, "a reference to another file", "export the network with its weights inside")


_GZIP: Final = 31  # zlib's number for the gzip format with the largest window
_EXTERNAL: Final = b"\x0a\x08location"
"""How a tensor of an ONNX file names the file that its numbers lie in (StringStringEntryProto, key "location")."""


def _refuse(path: Path, rule: str, value: str, step: str, cause: BaseException | None = None) -> NoReturn:
    message = f"bundle {path}: {rule}; got {value}; {step}"
    raise BundleError(message) from cause
