"""Texts to token ids whose offsets lie in the text as it was given, and vocabularies cut down to what a language needs.

What the encoder reads is cleaned like the linear model's text (models.features.normalise), with two differences. Tickers stay,
since `$TSLA` is often the very name that sentiment is asked for. And every cleaned character knows its place in the original,
so a span found in tokens is reported in characters of the original.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, pairwise
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer as RustTokenizer

from groundswell.errors import BundleError
from models.features import LEAD_CHARACTERS

SPECIAL: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")  # every vocabulary needs them; [MASK] is kept where there is one

_SURROGATE = re.compile("[\ud800-\udfff]")
_URL = re.compile(r"(?:https?://|www\.)\S+|\bpic\.twitter\.com/\S+", re.IGNORECASE)
_EDIT = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?|(?<![\w@])@\w{1,30}")
# Full-width letters, digits and percent signs to ASCII, one for one. Chinese punctuation stays: the vocabularies know it.
_NARROW: Final = {code: code - 0xFEE0 for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B), 0xFF05)}


class Cleaned(NamedTuple):
    """What the encoder reads. `places` [characters, 2]: span of each character in the original; None where they are the same."""

    text: str
    places: NDArray[np.int32] | None


class Encoded(NamedTuple):
    """One text of t tokens, [CLS] and [SEP] included."""

    ids: NDArray[np.int32]  # [t]
    offsets: NDArray[np.int32]  # [t, 2] characters `[start, end)` of the text as given; (0, 0) for [CLS] and [SEP]


class Encodings(Sequence[Encoded]):
    """The tokens of n texts, one after another: text i has `ids[starts[i]:starts[i + 1]]`."""

    def __init__(self, ids: NDArray[np.int32], offsets: NDArray[np.int32], starts: NDArray[np.int64]) -> None:
        self.ids, self.offsets, self.starts = ids, offsets, starts

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        part = slice(int(self.starts[i]), int(self.starts[i + 1]))
        return Encoded(self.ids[part], self.offsets[part])

    def __iter__(self) -> Iterator[Encoded]:
        for first, last in pairwise(self.starts.tolist()):
            yield Encoded(self.ids[first:last], self.offsets[first:last])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens per text [n]."""
        return np.diff(self.starts)


def clean(text: str) -> Cleaned:
    """The first LEAD_CHARACTERS characters, without urls and escapes, handles by kind.

    A url becomes as many spaces, so that nothing after it moves.

    >>> clean("R&amp;D of $TSLA: @someone https://t.co/x").text
    'R&D of $TSLA: @user               '
    >>> clean("R&amp;D").places.tolist()
    [[0, 1], [1, 6], [6, 7]]
    """
    text = text[:LEAD_CHARACTERS]
    if not text.isascii():
        text = _SURROGATE.sub("\ufffd", text).translate(_NARROW)
    text = _URL.sub(lambda url: " " * len(url[0]), text)
    if "&" not in text and "@" not in text:
        return Cleaned(text, None)
    pieces: list[str] = []
    spans: list[NDArray[np.int32]] = []
    done = 0
    for found in _EDIT.finditer(text):
        piece = "@user" if found[0][0] == "@" else html.unescape(found[0])
        if piece == found[0]:
            continue
        first, last = found.span()
        pieces += [text[done:first], piece]
        spans += [_one_for_one(done, first), np.tile(np.array([[first, last]], np.int32), (len(piece), 1))]
        done = last
    if not pieces:
        return Cleaned(text, None)
    return Cleaned("".join(pieces) + text[done:], np.concatenate([*spans, _one_for_one(done, len(text))]))


def _one_for_one(first: int, last: int) -> NDArray[np.int32]:
    places = np.arange(first, last, dtype=np.int32)
    return np.stack([places, places + 1], axis=1)


class Tokenizer:
    """A Hugging Face tokenizer.json and how it is used here. Safe to share between threads; never changes.

    A vocabulary without capital letters was made from text in lower case, so text is lowered before it is looked up, whatever
    the file says: some published files leave that to a second file, and every capital letter would be unknown.
    """

    def __init__(self, data: bytes, *, max_tokens: int, place: str = "tokenizer.json") -> None:
        """Read a tokenizer.

        Args:
            data: the bytes of tokenizer.json.
            max_tokens: longest text, [CLS] and [SEP] included; what is beyond is not read.
            place: how errors name the file.

        Raises:
            BundleError: the bytes are not a tokenizer, or lack one of SPECIAL.
        """
        try:
            parsed = json.loads(data)
            vocabulary = parsed["model"]["vocab"]
            normalizer = parsed.get("normalizer") or {}
            if normalizer.get("type") == "BertNormalizer" and not any(letter in vocabulary for letter in ascii_uppercase):
                normalizer["lowercase"] = True
            self._tokenizer: Any = RustTokenizer.from_str(json.dumps(parsed))
        except Exception as error:  # the library raises nothing narrower
            message = f"tokenizer {place}: not a tokenizer.json ({type(error).__name__}: {error}); restore the file beside the model"
            raise BundleError(message) from error
        missing = [name for name in SPECIAL if name not in vocabulary]
        if missing:
            message = f"tokenizer {place}: {missing} are missing from the vocabulary; use the file that the encoder was trained with"
            raise BundleError(message)
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_tokens)
        self.max_tokens = max_tokens
        self.size = max(vocabulary.values()) + 1

    @classmethod
    def load(cls, path: Path, *, max_tokens: int) -> "Tokenizer":
        """Read a tokenizer.json.

        Raises:
            BundleError: the file is missing or is not a tokenizer.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            message = f"tokenizer {path}: cannot be read ({error}); restore the file beside the model"
            raise BundleError(message) from error
        return cls(data, max_tokens=max_tokens, place=str(path))

    def encode(self, texts: Sequence[str]) -> Encodings:
        """Tokens of n texts, each as if it were alone. Any text will do: an empty one has two tokens, [CLS] and [SEP]."""
        cleaned = [clean(text) for text in texts]
        encodings = self._tokenizer.encode_batch([text for text, _ in cleaned])
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, encodings), np.int64, len(encodings)), out=starts[1:])
        total = int(starts[-1])
        ids = np.fromiter(chain.from_iterable(encoding.ids for encoding in encodings), np.int32, total)
        pairs = chain.from_iterable(chain.from_iterable(encoding.offsets for encoding in encodings))
        offsets = np.fromiter(pairs, np.int32, 2 * total).reshape(total, 2)
        for row, (_, places) in enumerate(cleaned):
            if places is not None:
                _to_original(offsets[starts[row] : starts[row + 1]], places)
        return Encodings(ids, offsets, starts)


def _to_original(offsets: NDArray[np.int32], places: NDArray[np.int32]) -> None:
    real = offsets[:, 1] > offsets[:, 0]
    offsets[real, 0] = places[offsets[real, 0], 0]
    offsets[real, 1] = places[offsets[real, 1] - 1, 1]


def counts(tokenizer: Tokenizer, texts: Sequence[str]) -> NDArray[np.int64]:
    """How often each token id occurs in texts [tokenizer.size]."""
    return np.bincount(tokenizer.encode(texts).ids, minlength=tokenizer.size).astype(np.int64)


class Pruned(NamedTuple):
    """A smaller tokenizer.json, and which rows of the old embedding table its ids 0, 1, 2 ... are."""

    data: bytes
    ids: NDArray[np.int64]


def prune(data: bytes, keep: Iterable[int]) -> Pruned:
    """A tokenizer that knows only some pieces; the special ones are kept in any case, ids keep their order and close up.

    A word whose piece is gone is spelt with the pieces that are left, and is [UNK] only where they cannot spell it.

    Raises:
        BundleError: the bytes are not a WordPiece tokenizer.
    """
    try:
        parsed = json.loads(data)
        vocabulary: dict[str, int] = parsed["model"]["vocab"]
        kept = set(keep) | {token["id"] for token in parsed["added_tokens"]}
        kept |= {vocabulary[name] for name in (*SPECIAL, "[MASK]") if name in vocabulary}
        pieces = sorted(((number, piece) for piece, number in vocabulary.items() if number in kept))
        new = {number: place for place, (number, _) in enumerate(pieces)}
        parsed["model"]["vocab"] = {piece: new[number] for number, piece in pieces}
        for token in parsed["added_tokens"]:
            token["id"] = new[token["id"]]
        for special in parsed["post_processor"]["special_tokens"].values():
            special["ids"] = [new[number] for number in special["ids"]]
    except (ValueError, TypeError, KeyError) as error:
        message = f"tokenizer: not a WordPiece tokenizer.json ({type(error).__name__}: {error}); prune the file of a BERT encoder"
        raise BundleError(message) from error
    ids = np.array([number for number, _ in pieces], np.int64)
    return Pruned(json.dumps(parsed, ensure_ascii=False, separators=(",", ":")).encode(), ids)
