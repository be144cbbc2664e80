"""Texts in, logits out: what the bundles are run with. ONNX Runtime, tokenizers and numpy; neither torch nor onnx.

Texts of one length share a run, so nothing is padded (models/encoder/graph.py). Cores work on runs of their own rather than on shares
of one product: products of this size are over before a second thread has woken up.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NamedTuple, Protocol

import msgspec
import numpy as np
import onnxruntime
from numpy.typing import NDArray

from groundswell.errors import BundleError
from models.encoder.tokens import Encodings, Tokenizer
from models.encoder.weights import FORMAT, GraphSpec

TOKENS_PER_RUN: Final = 512  # more falls out of a core's second-level cache, fewer waste time between the nodes of the graph
ENGINE: Final = "onnxruntime"


class Readout(NamedTuple):
    """Logits of n texts of T tokens together; text i has the rows `starts[i]` to `starts[i + 1]` of `tokens` and `offsets`."""

    text: NDArray[np.float32]  # [n, C] the text heads' columns side by side
    starts: NDArray[np.int64]  # [n + 1]
    tokens: NDArray[np.float32]  # [T, 3 * token heads]; [CLS] and [SEP] included
    offsets: NDArray[np.int32]  # [T, 2] characters `[start, end)` of the text as given; (0, 0) for [CLS] and [SEP]


class Engine(Protocol):
    """Something that runs the network of a bundle.

    `run` is called once per batch of any size, from any thread. What must not change: any text is answered; the numbers of a text
    depend on that text alone, to the last bit, not on the rest of the batch, its order or the number of threads.
    """

    @property
    def spec(self) -> GraphSpec:
        """Which heads the columns of a readout belong to, in their order."""
        ...

    @property
    def engine_id(self) -> str:
        """Library and number format, as they end a scorer's `model_id`."""
        ...

    def run(self, texts: Sequence[str]) -> Readout:
        """Logits of texts, in order."""
        ...


class OnnxEngine:
    """A graph of models.encoder.graph on the CPU. Safe to share between threads."""

    def __init__(self, model: bytes, tokenizer: Tokenizer, *, threads: int = 0, tokens_per_run: int = TOKENS_PER_RUN) -> None:
        """Load a network.

        Args:
            model: the bytes of model.onnx.
            tokenizer: the tokenizer that belongs to it.
            threads: runs at the same time; 0 = one per core that this process may use.
            tokens_per_run: most tokens that share a run; a longer text has a run of its own.

        Raises:
            BundleError: the bytes are not such a graph, or the tokenizer belongs to another one.
        """
        self._session = _session(model)
        described = self._session.get_modelmeta().custom_metadata_map
        try:
            self._spec: GraphSpec = msgspec.json.decode(described["specification"], type=GraphSpec)
            self._precision, vocabulary = described["precision"], int(described["vocabulary"])
        except (KeyError, ValueError) as error:
            message = f"model.onnx: its description is not of format {FORMAT!r} ({error!r}); export it with this version"
            raise BundleError(message) from error
        if described.get("format") != FORMAT:
            message = f"model.onnx: its format is {described.get('format')!r}, this version needs {FORMAT!r}; export it with this version"
            raise BundleError(message)
        if tokenizer.size != vocabulary or tokenizer.max_tokens > self._spec.max_tokens:
            message = (
                f"model.onnx: made for {vocabulary} pieces and up to {self._spec.max_tokens} tokens, the tokenizer has {tokenizer.size} "
                f"and {tokenizer.max_tokens}; restore the tokenizer.json that was exported with it"
            )
            raise BundleError(message)
        self._tokenizer, self._budget = tokenizer, tokens_per_run
        self._threads = threads or len(os.sched_getaffinity(0))
        shapes = {output.name: output.shape[-1] for output in self._session.get_outputs()}
        self._outputs = [name for name in ("text", "tokens") if name in shapes]
        self._columns = tuple(int(shapes.get(name, 0)) for name in ("text", "tokens"))
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None

    @property
    def spec(self) -> GraphSpec:
        """As the graph itself says."""
        return self._spec

    @property
    def engine_id(self) -> str:
        """`onnxruntime-int8` or `onnxruntime-fp32`."""
        return f"{ENGINE}-{self._precision}"

    def run(self, texts: Sequence[str]) -> Readout:
        """Logits of texts, in order; see Engine. A text that occurs twice is read once."""
        places: dict[str, int] = {}
        rows = np.fromiter((places.setdefault(text, len(places)) for text in texts), np.int64, len(texts))
        encodings = self._tokenizer.encode(list(places))
        text, tokens = self._logits(encodings)
        lengths = encodings.lengths[rows]
        starts = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(lengths, out=starts[1:])
        taken = np.repeat(encodings.starts[:-1][rows] - starts[:-1], lengths) + np.arange(starts[-1])
        return Readout(text[rows], starts, tokens[taken], encodings.offsets[taken])

    def _logits(self, encodings: Encodings) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        text = np.zeros((len(encodings), self._columns[0]), np.float32)
        tokens = np.zeros((len(encodings.ids), self._columns[1]), np.float32)
        answers = dict(zip(("text", "tokens"), (text, tokens), strict=True))

        def one(rows: NDArray[np.int64]) -> None:
            first = encodings.starts[rows]
            taken = first[:, None] + np.arange(encodings.starts[rows[0] + 1] - first[0])
            found = self._session.run(self._outputs, {"input_ids": encodings.ids[taken]})
            for name, logits in zip(self._outputs, found, strict=True):
                answers[name][rows if name == "text" else taken] = logits

        runs = list(runs_of(encodings.lengths, self._budget))
        if self._pool is None or len(runs) < 2:
            for rows in runs:
                one(rows)
        else:
            for done in [self._pool.submit(one, rows) for rows in runs]:
                done.result()
        return text, tokens


def runs_of(lengths: NDArray[np.int64], tokens: int) -> Iterator[NDArray[np.int64]]:
    """Numbers of the texts that share a run: all of one length, at most `tokens` together, the longest first.

    >>> [rows.tolist() for rows in runs_of(np.array([3, 4, 3, 3]), 6)]
    [[1], [0, 2], [3]]
    """
    order = np.argsort(-lengths, kind="stable")
    bounds = np.flatnonzero(np.diff(lengths[order], prepend=-1, append=-1))
    for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        most = max(1, tokens // max(1, int(lengths[order[first]])))
        for start in range(first, last, most):
            yield order[start : min(start + most, last)]


def _session(model: bytes) -> Any:
    """A session that runs the graph as it is written: the library's own rewriting only makes it slower here."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's errors share no narrower class
        message = f"model.onnx: cannot be loaded ({str(error).splitlines()[0][:200] if str(error) else error!r}); restore the file"
        raise BundleError(message) from error
