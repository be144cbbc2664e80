"""Text to hashed n-grams: rolling hashes over code points, a whole batch at a time, in plain numpy.

Every document's feature set depends on its own text alone: hashes are exact integer arithmetic modulo 2**64, and n-grams
never cross from one document into the next. So a result cannot depend on what else happened to be in the batch.
"""

import html
import re
import unicodedata
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

LEAD_CHARACTERS: Final = 400  # what is scored of "title\ntext": a headline and its lead carry the opinion, a long body dilutes it
REVISION: Final = "1"  # raised whenever normalisation or hashing changes: weights of another revision are refused

_URL = re.compile(r"(?:https?://|www\.)\S+|\bpic\.twitter\.com/\S+", re.IGNORECASE)
_CASHTAG = re.compile(r"(?<![\w$])\$[A-Za-z][A-Za-z0-9._]{0,9}\b")
_HANDLE = re.compile(r"(?<![\w@])@\w{1,30}")
_LATIN_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W\d_]+)?|[^\w\s]")
_SPACES = re.compile(r"\s+")

_MASK: Final = (1 << 64) - 1
_BASE: Final = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_BASE_INVERSE: Final = pow(_BASE, -1, 1 << 64)
_SPREAD: Final = 0xD6E8FEB86659FD93
_SPACE: Final = 0x20


class FeatureSpec(msgspec.Struct, frozen=True):
    """Which n-grams are taken; part of a bundle, since weights mean nothing without it."""

    style: str  # "latin": words and characters, case folded; "han": characters only, spaces dropped
    words: tuple[int, int]  # least and most words of a word n-gram; (0, 0) = none
    characters: tuple[int, int]
    buckets_log2: int


class Features(msgspec.Struct, frozen=True):
    """The n-grams of a batch: document i holds the sorted, distinct `buckets[starts[i]:starts[i + 1]]`."""

    starts: NDArray[np.int64]  # documents + 1
    buckets: NDArray[np.int64]


def normalise(text: str, style: str) -> str:
    """The text that is hashed: no url, one form per character, tickers and handles by kind rather than by name.

    >>> normalise("Ｓｈａｒｅｓ of $TSLA &amp; @elon fell 5% https://t.co/x", "latin")
    'shares of $ tick & @ user fell 5 %'
    >>> normalise("硅谷银行 宣布 破产！１００", "han")
    '硅谷银行宣布破产!100'
    """
    if "&" in text:
        text = html.unescape(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = _URL.sub(" ", text)
    if style == "han":
        return _SPACES.sub("", _HANDLE.sub("@user", text)).lower()
    text = _HANDLE.sub("@user", _CASHTAG.sub("$tick", text))
    return " ".join(_LATIN_TOKEN.findall(text.lower()))


def extract(texts: Sequence[str], spec: FeatureSpec) -> Features:
    """Hash the first LEAD_CHARACTERS characters of every text of a batch.

    A text without any n-gram (empty, only urls) yields no feature.

    >>> spec = FeatureSpec(style="latin", words=(1, 2), characters=(2, 3), buckets_log2=17)
    >>> both, alone = extract(["up", "bank fails"], spec), extract(["bank fails"], spec)
    >>> both.buckets[both.starts[1]:].tolist() == alone.buckets.tolist()
    True
    """
    padded = [f" {normalised} " if normalised else "" for normalised in (normalise(text[:LEAD_CHARACTERS], spec.style) for text in texts)]
    lengths = np.fromiter(map(len, padded), dtype=np.int64, count=len(padded))
    points = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    document = np.repeat(np.arange(len(padded), dtype=np.int64), lengths)
    keys = _character_keys(points, document, spec)
    if spec.words[1]:
        keys.extend(_word_keys(points, document, spec))
    distinct = np.sort(np.concatenate(keys)) if keys else np.zeros(0, np.int64)  # np.unique is three times slower here
    distinct = distinct[np.diff(distinct, prepend=-1) != 0]
    starts = np.searchsorted(distinct, np.arange(len(padded) + 1, dtype=np.int64) << spec.buckets_log2)
    return Features(starts=starts.astype(np.int64), buckets=distinct & ((1 << spec.buckets_log2) - 1))


def _keys(hashes: NDArray[np.uint64], document: NDArray[np.int64], kind: int, spec: FeatureSpec) -> NDArray[np.int64]:
    """Document and bucket in one integer, so that a single sort groups by document and removes repeats."""
    mixed = hashes + np.uint64((kind * _SPREAD) & _MASK)
    mixed ^= mixed >> np.uint64(32)
    mixed *= np.uint64(_SPREAD)
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(_BASE)
    buckets = (mixed >> np.uint64(64 - spec.buckets_log2)).astype(np.int64)
    return (document << spec.buckets_log2) | buckets


def _character_keys(points: NDArray[np.uint64], document: NDArray[np.int64], spec: FeatureSpec) -> list[NDArray[np.int64]]:
    """N-grams of characters within a document; those that are blank at both ends say nothing that shorter ones do not."""
    keys: list[NDArray[np.int64]] = []
    spread = (points + np.uint64(1)) * np.uint64(_SPREAD)
    rolling = np.zeros_like(spread)
    least, most = spec.characters
    for size in range(1, most + 1):
        count = len(points) - size + 1
        if count <= 0:
            break
        rolling = rolling[:count] * np.uint64(_BASE) + spread[size - 1 :]
        if size < least:
            continue
        valid = document[:count] == document[size - 1 :]
        if size == 1:
            valid &= points != _SPACE
        keys.append(_keys(rolling[valid], document[:count][valid], size, spec))
    return keys


def _word_keys(points: NDArray[np.uint64], document: NDArray[np.int64], spec: FeatureSpec) -> list[NDArray[np.int64]]:
    """N-grams of words, a word being a run between spaces, from differences of one running polynomial sum."""
    if not len(points):
        return []
    blank = points == _SPACE
    starts = np.flatnonzero(blank[:-1] & ~blank[1:]) + 1  # every document begins and ends with a space
    ends = np.flatnonzero(~blank[:-1] & blank[1:]) + 1
    powers = np.full(len(points), _BASE, np.uint64)
    inverse = np.full(len(points), _BASE_INVERSE, np.uint64)
    powers[0] = inverse[0] = 1
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum((points + np.uint64(1)) * np.uint64(_SPREAD) * np.cumprod(powers))])
    inverse = np.cumprod(inverse)
    keys: list[NDArray[np.int64]] = []
    for size in range(spec.words[0], spec.words[1] + 1):
        first, last = starts[: len(starts) - size + 1], ends[size - 1 :]
        valid = document[first] == document[last]
        first, last = first[valid], last[valid]
        hashes = (total[last] - total[first]) * inverse[first]
        keys.append(_keys(hashes, document[first], 64 + size, spec))
    return keys
