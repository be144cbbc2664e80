"""Texts to tokens in processes of their own: one process reads fewer texts a second than a large GPU answers.

Nothing here needs torch, which every process would have to load.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Final

import numpy as np

from models.encoder.tokens import Encodings, Tokenizer

TEXTS_AT_ONCE: Final = 16_384  # that are sorted by length together: some thousand tokens of each length
TEXTS_PER_TASK: Final = 512  # of a reading process


class Readers:
    """A pool of reading processes; each begins when there is work for it."""

    def __init__(self, tokenizer: Tokenizer, processes: int) -> None:
        """Prepare as many processes as are given."""
        self._pool = ProcessPoolExecutor(processes, mp_context=get_context("spawn"), initializer=_begin, initargs=(tokenizer,))

    def encode(self, texts: Sequence[str]) -> Iterator[Encodings]:
        """TEXTS_AT_ONCE texts at a time, in order."""
        parts = [list(texts[first : first + TEXTS_PER_TASK]) for first in range(0, len(texts), TEXTS_PER_TASK)]
        coming = self._pool.map(_read, parts)
        while found := list(islice(coming, TEXTS_AT_ONCE // TEXTS_PER_TASK)):
            lengths = np.concatenate([encodings.lengths for encodings in found])
            starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
            yield Encodings(np.concatenate([one.ids for one in found]), np.concatenate([one.offsets for one in found]), starts)

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


_reader: list[Tokenizer] = []  # of a reading process; empty in all others


def _begin(tokenizer: Tokenizer) -> None:
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # one core each: there are as many processes as cores
    _reader.append(tokenizer)


def _read(texts: list[str]) -> Encodings:
    return _reader[0].encode(texts)
