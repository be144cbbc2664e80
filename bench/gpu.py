"""How fast an encoder scores on a GPU: `python -m bench gpu`, where torch sees one. Nothing here runs in CI.

The network is of BERT-base's size (Devlin et al. 2019: 12 blocks of 768), with random weights: speed does not depend on their values.
Its share of the peak counts the products of non-padding tokens, attention included, against the best rate of one large bf16 product of
the same library on the same device. The shipped English bundle is measured beside it, against the CPU of the same machine.
"""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice
from pathlib import Path
from statistics import median

import numpy as np

from bench.pipeline import ROUNDS, Ratio
from bench.scoring import chosen_texts
from models import bundle
from models.encoder import graph
from models.encoder.engine import OnnxEngine
from models.encoder.readers import Readers
from models.encoder.tokens import Tokenizer
from models.encoder.weights import Floats, GraphSpec, Layer, Norm, Product, Weights
from models.registry import PREFERRED, SHIPPED

DEVICE = "cuda"
WIDTH, MIDDLE, LAYERS, HEADS = 768, 3_072, 12, 12
TEXTS = 65_536
PEAK_SIDE = 8_192  # of the square product that the peak is taken from
SHARE = 0.4  # of the peak, wanted
TOKEN_HIDDEN = 128
TOPICS = 20  # the first columns of an English readout


def on_a_gpu(folder: Path) -> list[Ratio]:
    """Documents per second and the share of the peak; one line that says so where there is no GPU."""
    del folder
    if not find_spec("torch"):
        print("bench: gpu needs the extra `torch`, so nothing is measured")
        return []
    import torch

    if not torch.cuda.is_available():
        print("bench: torch sees no GPU here, so nothing is measured")
        return []
    return list(measured(torch.cuda.get_device_name(), TEXTS))


def measured(device_name: str, count: int) -> Iterator[Ratio]:
    """Everything, on `count` texts; each figure as soon as it is known, since time on a lent GPU may end at any moment."""
    from models.encoder.torch_engine import TorchEngine

    where, distinct = chosen_texts()
    texts = list(islice(cycle(distinct), count))
    encoder = SHIPPED.open(PREFERRED["en"]).encoder
    assert encoder is not None  # PREFERRED names encoders
    tokenizer_json, shipped = encoder.data[bundle.TOKENIZER_FILE], encoder.data[bundle.MODEL_FILE]
    tokenizer = Tokenizer(tokenizer_json, max_tokens=96)
    weights, spec = base_sized(tokenizer.size)
    model = graph.build(weights, spec).SerializeToString()
    encodings = tokenizer.encode(texts)
    tokens = len(encodings.ids) / count
    work = operations(encodings.lengths, LAYERS)
    peak = peak_of()
    said = f"{count:,} {where}, {tokens:.0f} tokens a text, {device_name}"
    ours, theirs = TorchEngine(shipped, tokenizer, device=DEVICE), OnnxEngine(shipped, tokenizer)
    fast, slow = seconds_of(partial(ours.run, texts)), seconds_of(partial(theirs.run, distinct), rounds=1)
    same = (ours.run(distinct).text[:, :TOPICS].argmax(1) == theirs.run(distinct).text[:, :TOPICS].argmax(1)).mean()
    detail = f"{count / fast:,.0f} against {len(distinct) / slow:,.0f} documents/s; the same topic for {100 * same:.1f} %; {said}"
    on_a_cpu = "the same machine's CPU, int8"
    yield Ratio("the shipped English encoder on a GPU: documents per second", on_a_cpu, slow / len(distinct) * count / fast, "-", detail)
    for compiled in (False, True):
        engine, way = TorchEngine(model, tokenizer, device=DEVICE, compiled=compiled), "compiled" if compiled else "kernel by kernel"
        whole, alone = seconds_of(partial(engine.run, texts)), seconds_of(partial(engine.answer, encodings))
        detail = f"{count / whole:,.0f} documents/s with reading and sorting, {count / alone:,.0f} without; peak {peak / 1e12:,.0f} TFLOP/s"
        wanted = f"at least {SHARE}" if compiled else "-"
        what = f"BERT-base in bf16 on a GPU, {way}: share of the peak"
        yield Ratio(what, "one large product", work / whole / peak, wanted, f"{detail}; {said}")
    with closing(Readers(tokenizer, len(os.sched_getaffinity(0)))) as readers:
        reading = seconds_of(lambda: deque(readers.encode(texts), maxlen=0))
    detail = f"{count / reading:,.0f} against {count / alone:,.0f} documents/s; {said}"
    yield Ratio("turning texts into tokens, beside that network", "the network alone, compiled", alone / reading, "at least 1", detail)


def base_sized(vocabulary: int) -> tuple[Weights, GraphSpec]:
    """Random weights of BERT-base's shape."""
    drawn = _drawn(np.random.default_rng(0))

    def product(inner: int, columns: int) -> Product:
        return Product(next(drawn)(inner, columns), np.zeros(columns, np.float32))

    def norm() -> Norm:
        return Norm(np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32))

    def layer() -> Layer:
        query, key, value, output = (product(WIDTH, WIDTH) for _ in range(4))
        return Layer(query, key, value, output, norm(), product(WIDTH, MIDDLE), product(MIDDLE, WIDTH), norm())

    heads = {"topic": 20, "post": 3, "news": 3, "gate": 1}
    spec = GraphSpec(layers=LAYERS, heads=HEADS, text_heads=tuple(heads), token_heads=("target", "spans"), max_tokens=96)
    weights = Weights(
        words=next(drawn)(vocabulary, WIDTH),
        positions=next(drawn)(96, WIDTH),
        norm=norm(),
        layers=tuple(layer() for _ in range(LAYERS)),
        text=tuple((product(WIDTH, columns),) for columns in heads.values()),
        token=(product(WIDTH, 2 * TOKEN_HIDDEN), product(2 * TOKEN_HIDDEN, 6)),
    )
    return weights, spec


def _drawn(chance: np.random.Generator) -> Iterator[Callable[[int, int], Floats]]:
    while True:
        yield lambda rows, columns: chance.standard_normal((rows, columns), np.float32) * np.float32(0.02)


def operations(lengths: np.ndarray, layers: int) -> float:
    """Multiplications and additions of the blocks' products for texts of these lengths; nothing is padded.

    >>> operations(np.array([2]), 1) == 2 * (4 * 768 * 768 + 2 * 768 * 3072) * 2 + 4 * 768 * 2 * 2
    True
    """
    tokens, pairs = float(lengths.sum()), float((lengths.astype(np.float64) ** 2).sum())
    return layers * (2 * (4 * WIDTH * WIDTH + 2 * WIDTH * MIDDLE) * tokens + 4 * WIDTH * pairs)


def peak_of() -> float:
    """Operations per second of one large bf16 product, the best of ROUNDS."""
    import torch

    left, right = (torch.randn(PEAK_SIDE, PEAK_SIDE, device=DEVICE, dtype=torch.bfloat16) for _ in range(2))

    def ten() -> None:
        for _ in range(10):
            left @ right

    return 10 * 2 * PEAK_SIDE**3 / seconds_of(ten, best=True)


def seconds_of(job: Callable[[], object], *, rounds: int = ROUNDS, best: bool = False) -> float:
    """Median seconds of a job; a turn that is not counted comes first."""
    import torch

    found = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        job()
        torch.cuda.synchronize()
        found.append(time.perf_counter() - began)
    return min(found[1:]) if best else median(found[1:])
