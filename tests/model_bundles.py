"""Bundles for tests: an encoder bundle that passes every check of models/bundle.py (its network is no network), and linear ones."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from groundswell.names import SENTIMENTS
from models.bundle import Base, Calibration, EncoderCard, Metric, save
from models.linear import load_bundle, save_bundle
from models.scorer import LINEAR_BUNDLES
from models.taxonomy import LABEL_TO_TOPIC, NATIVE_TOPICS, taxonomy_hash

FILES: Final[Mapping[str, bytes]] = {
    "model.onnx": b"\x08\x08\x12\x04none" + bytes(256),
    "tokenizer.json": b'{"model": {"type": "WordPiece", "vocab": {"[UNK]": 0}}}',
    "recipe.toml": b"seed = 7\n",
    "CARD.md": b"# A model\n",
}
HEADS: Final[Mapping[str, dict[str, list[str]]]] = {
    "en": {"topic": list(NATIVE_TOPICS), "post": list(SENTIMENTS), "news": list(SENTIMENTS), "gate": ["news"]},
    "zh": {"labels": list(LABEL_TO_TOPIC), "post": list(SENTIMENTS), "news": list(SENTIMENTS), "gate": ["news"]},
}


def a_card(name: str = "tiny", *, language: str = "en", **overrides: Any) -> EncoderCard:
    """A card without files, complete otherwise; any field is replaced at will."""
    heads = overrides.pop("heads", HEADS[language])
    fields: dict[str, Any] = {
        "name": name,
        "language": language,
        "created": "2026-11-23",
        "base": Base("none", "none", "made by a test"),
        "recipe": "0123456789abcdef",
        "taxonomy": taxonomy_hash(),
        "heads": heads,
        "calibration": {head: Calibration("sigmoid", [1.0] * len(names), [0.0] * len(names)) for head, names in heads.items()},
        "metrics": {"TFNT accuracy": Metric(0.90, 0.89, 0.91)},
    }
    return EncoderCard(**(fields | overrides))


def an_encoder(folder: Path, *, language: str = "en", files: Mapping[str, bytes] | None = None, **overrides: Any) -> Path:
    """Write an encoder bundle that is called as its folder; further files join those that every bundle has."""
    save(folder, a_card(folder.name, language=language, **overrides), files={**FILES, **(files or {})})
    return folder


def change_card(folder: Path, change: dict[str, Any]) -> Path:
    """Replace top-level fields of a written card; None takes a field away."""
    path = folder / "bundle.json"
    card = msgspec.json.decode(path.read_bytes()) | change
    path.write_bytes(msgspec.json.encode({key: value for key, value in card.items() if value is not None}))
    return folder


def relist(folder: Path) -> Path:
    """Let the card vouch for what its files hold now."""
    card = msgspec.json.decode((folder / "bundle.json").read_bytes())
    facts = {}
    for name in card["files"]:
        data = (folder / name).read_bytes()
        facts[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return change_card(folder, {"files": facts})


def a_linear(folder: Path, *, slope: float = 1.0, metrics: Mapping[str, float] | None = None) -> Path:
    """The shipped linear bundles with their sentiment's slopes multiplied: -1 makes another model, with opposite answers."""
    for language in ("en", "zh"):
        model = load_bundle(LINEAR_BUNDLES, language)
        slopes, first = model.tensors.slopes.copy(), 0
        for head, names in model.card.heads.items():
            if head in ("post", "news"):
                slopes[first : first + len(names)] *= slope
            first += len(names)
        card = msgspec.structs.replace(model.card, metrics={**model.card.metrics, **(metrics or {})})
        save_bundle(folder, card, tensors=msgspec.structs.replace(model.tensors, slopes=slopes))
    shutil.copy(LINEAR_BUNDLES / "lexicon.json", folder / "lexicon.json")
    return folder
