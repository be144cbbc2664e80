"""Bundles of every format: which one a folder holds, whether it can be trusted, and a copy of exactly its files.

format                  card                checked by
groundswell-encoder-1   bundle.json         models/bundle.py
groundswell-linear-1    en.json, zh.json    models/linear.py

A new format joins by a branch of `open_bundle` and one of `registry.load_scorer`.
"""

import shutil
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from groundswell.errors import BundleError
from groundswell.names import LANGUAGES
from models import bundle, linear
from models.bundle import EncoderBundle, Metric
from models.linear import LinearModel

LEXICON_FILE: Final = "lexicon.json"


@dataclass(frozen=True)
class Found:
    """A bundle that has passed every check of its format; either `encoder` or `linear` is filled."""

    name: str  # of its folder
    directory: Path
    format: str
    languages: tuple[str, ...]
    bytes: int
    created: str | None  # YYYY-MM-DD; linear cards have no date
    figures: Mapping[str, Mapping[str, Metric]]  # language -> name -> figure on dev data
    encoder: EncoderBundle | None = field(default=None, repr=False)
    linear: Mapping[str, LinearModel] = field(default_factory=dict, repr=False)

    @property
    def files(self) -> list[str]:
        """The files that it consists of; whatever else lies beside them does not belong to it."""
        if self.encoder is not None:
            return [bundle.CARD_FILE, *self.encoder.card.files]
        cards = [name for language, model in self.linear.items() for name in (f"{language}.json", model.card.tensors)]
        return cards + ([LEXICON_FILE] if (self.directory / LEXICON_FILE).is_file() else [])


def open_bundle(directory: Path, *, languages: Collection[str] = LANGUAGES) -> Found:
    """Read and check a bundle of any known format.

    Args:
        directory: its folder.
        languages: of a bundle with several, only these are read.

    Raises:
        BundleError: no card, a card of an unknown format, or a bundle that cannot be trusted.
    """
    if (directory / bundle.CARD_FILE).exists():
        return _encoder_bundle(directory)
    cards = {language: directory / f"{language}.json" for language in LANGUAGES}
    models = {
        language: linear.load_bundle(directory, language) for language, card in cards.items() if language in languages and card.exists()
    }
    if not models:
        wanted = ", ".join([bundle.CARD_FILE, *(cards[language].name for language in LANGUAGES if language in languages)])
        message = f"bundle {directory}: a bundle has a card; got none of {wanted}; give the folder of a bundle"
        raise BundleError(message)
    figures = {language: {name: Metric(value) for name, value in model.card.metrics.items()} for language, model in models.items()}
    size = sum((directory / model.card.tensors).stat().st_size for model in models.values())
    return Found(directory.name, directory, linear.FORMAT, tuple(models), size, None, figures, linear=models)


def _encoder_bundle(directory: Path) -> Found:
    found = bundle.load(directory)
    card = found.card
    figures = {card.language: card.metrics}
    return Found(directory.name, directory, card.format, (card.language,), found.bytes, card.created, figures, encoder=found)


def has_same_files(found: Found, other: Path) -> bool:
    """Whether a folder holds every file of a bundle, byte for byte."""
    return all((other / name).is_file() and (found.directory / name).read_bytes() == (other / name).read_bytes() for name in found.files)


def copy_bundle(found: Found, target: Path) -> None:
    """Copy a bundle into a folder that does not exist yet, all of it or nothing, and check the copy.

    Raises:
        BundleError: the source has changed meanwhile.
    """
    made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        for name in found.files:
            bundle.write_synced(made / name, (found.directory / name).read_bytes())
        open_bundle(made)
        made.chmod(0o755)
        made.rename(target)
    except BaseException:
        shutil.rmtree(made, ignore_errors=True)
        raise
    bundle.sync_folder(target.parent)


def names_in(folder: Path) -> list[str]:
    """Folders that may be bundles, sorted; those in the making begin with a dot."""
    if not folder.is_dir():
        return []
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "_")))
