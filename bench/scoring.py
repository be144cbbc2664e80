"""How fast the English encoder scores: against the libraries that people would use, and against what the machine can do at most.

Every contestant has the same weights (bench/same_weights.py), the same cleaned texts and the same cores, and takes its turn in every
round. Peak: the best rate of ONNX Runtime's own product on one large matrix, in the same number format.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from bench.pipeline import ROUNDS, Ratio
from bench.replays import ROOT, SHARED
from bench.same_weights import Labels, pipeline_of
from models import bundle, datasets, encoder_scorer, linear, synthetic
from models.bundle import EncoderBundle
from models.encoder import graph
from models.encoder.engine import TOKENS_PER_RUN, OnnxEngine, runs_of
from models.encoder.read_graph import Read, read_graph
from models.encoder.tokens import Encodings, Tokenizer, clean
from models.encoder.weights import GraphSpec
from models.registry import PREFERRED, SHIPPED
from models.score_file import plain_document
from models.scorer import LINEAR_BUNDLES

TEXTS = 1_024
TEXTS_ONE_BY_ONE = 128  # of those: it would take most of the time otherwise
CALL = 256  # texts of one call of the engine: a full batch of the score stage
BATCH = 32
HEAD = "topic"
PEAK_SHAPES = ((1024, 1024, 1024), (2048, 2048, 2048), (4096, 1024, 1024), (1024, 384, 1536))  # rows, inner, columns
FIRST_SCORE_S = 2.0
OURS = "int8 and companion"  # what a document is scored by
SPEEDUP, PRODUCTS_SHARE, WHOLE_SHARE = 8, 0.7, 0.45
PIPELINE = "transformers.pipeline"


class Rates(NamedTuple):
    """Texts per second of each contestant, the median of its rounds, and what each said."""

    per_second: dict[str, float]
    labels: dict[str, list[int]]


def scoring(folder: Path) -> list[Ratio]:
    """Everything about the speed of scoring; on an idle machine, since a neighbour takes from all, but not evenly."""
    folder.mkdir(parents=True)
    name = PREFERRED["en"]
    encoder = SHIPPED.open(name).encoder
    assert encoder is not None  # PREFERRED names encoders
    model, tokenizer_json = encoder.data[bundle.MODEL_FILE], encoder.data[bundle.TOKENIZER_FILE]
    read, threads = read_graph(model), len(os.sched_getaffinity(0))
    tokenizer = Tokenizer(tokenizer_json, max_tokens=read.spec.max_tokens)
    where, texts = chosen_texts()
    encodings = tokenizer.encode(texts)
    fp32 = graph.build(read.weights, read.spec).SerializeToString()
    ours = {"int8": OnnxEngine(model, tokenizer, threads=threads), "fp32": OnnxEngine(fp32, tokenizer, threads=threads)}
    contestants = _contestants(encoder, ours, read, tokenizer=tokenizer, threads=threads)
    rates = _measure(contestants, texts)
    said = f"{len(texts):,} {where}, {len(encodings.ids) / len(texts):.0f} tokens a text, {threads} threads"
    lines = [_beside(rates, other, said, ours=mine) for mine in (OURS, "int8") for other in rates.per_second if other not in (OURS, "int8")]
    peaks = {precision: peak(precision, threads) for precision in ("int8", "fp32")}
    for precision, data in (("int8", model), ("fp32", fp32)):
        speed = rates.per_second[precision] * len(encodings.ids) / len(texts)
        lines += shares_of_peak(
            precision, data, read.spec, encodings, peak_rate=peaks[precision], tokens_per_second=speed, threads=threads, folder=folder
        )
    return [*lines, first_score(folder, texts[0])]


def chosen_texts() -> tuple[str, list[str]]:
    """(what they are, distinct texts as the encoder reads them): dev tweets and headlines where they lie beside the project."""
    try:
        data = SHARED / "data"
        texts = [example.text for corpus in ("tfnt", "sentfin") for example in datasets.read_corpus(data, corpus, "dev")]
        where = "tweets and headlines (TFNT and SEntFiN, dev)"
    except Exception:  # another machine, or another state of the folder: anything that reads is good enough for speed
        texts, where = [example.text for example in synthetic.sentences(2 * TEXTS, 0)], "synthetic sentences"
    texts = list(dict.fromkeys(clean(text).text for text in texts))
    random.Random(0).shuffle(texts)
    return where, texts[:TEXTS]


# --- contestants -----------------------------------------------------------------------------------------------------------
def _contestants(
    encoder: EncoderBundle, ours: dict[str, OnnxEngine], read: Read, *, tokenizer: Tokenizer, threads: int
) -> dict[str, Labels]:
    columns, tokenizer_json = _columns(read), encoder.data[bundle.TOKENIZER_FILE]
    scorer = encoder_scorer.load(encoder, finder=lambda _: [], digest=lambda _: b"", threads=threads)
    control = linear.load_bundle(LINEAR_BUNDLES, "en")

    def engine(precision: str) -> Labels:
        def labels(texts: Sequence[str]) -> list[int]:
            found: list[int] = []
            for first in range(0, len(texts), CALL):
                found += ours[precision].run(texts[first : first + CALL]).text[:, columns].argmax(axis=1).tolist()
            return found

        return labels

    def scored(texts: Sequence[str]) -> list[int]:
        found: list[int] = []
        for first in range(0, len(texts), CALL):
            batch = enumerate(texts[first : first + CALL])
            scores = scorer.score([plain_document(i, title=text, text="", kind="comment", language="en") for i, text in batch])
            found += [score.native_topic or 0 for score in scores if score]
        return found

    def by_hand(texts: Sequence[str]) -> list[int]:
        answers = control.predict(texts).topic
        return [] if answers is None else answers.argmax(axis=1).tolist()

    found = {OURS: scored, "int8": engine("int8"), "fp32": engine("fp32"), "plain ONNX Runtime": _plain(read, tokenizer, columns, threads)}
    if find_spec("torch") and find_spec("transformers"):
        found[f"{PIPELINE}, batch {BATCH}"] = pipeline_of(read, tokenizer_json, head=HEAD, threads=threads, batch=BATCH)
        found[f"{PIPELINE}, one by one"] = pipeline_of(read, tokenizer_json, head=HEAD, threads=threads, batch=1)
    else:
        print(f"bench: torch and transformers are not installed, so {PIPELINE} is not measured; pip install 'groundswell[torch]'")
    found["the linear model"] = by_hand
    return found


def _columns(read: Read) -> slice:
    sizes = [len(chain[-1].bias) for chain in read.weights.text]
    place = read.spec.text_heads.index(HEAD)
    return slice(sum(sizes[:place]), sum(sizes[: place + 1]))


def _plain(read: Read, tokenizer: Tokenizer, columns: slice, threads: int) -> Labels:
    """The library as it comes: float32, its own options, texts as they arrive, padded to the longest of their batch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    model = graph.build(read.weights, read.spec, padded=True).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def labels(texts: Sequence[str]) -> list[int]:
        found: list[int] = []
        for first in range(0, len(texts), BATCH):
            encodings = tokenizer.encode(texts[first : first + BATCH])
            lengths = encodings.lengths.astype(np.int32)
            ids = np.zeros((len(lengths), lengths.max()), np.int32)
            ids[np.arange(lengths.max()) < lengths[:, None]] = encodings.ids
            (text,) = session.run(["text"], {"input_ids": ids, "lengths": lengths})
            found += text[:, columns].argmax(axis=1).tolist()
        return found

    return labels


def _measure(contestants: dict[str, Labels], texts: Sequence[str]) -> Rates:
    """Everyone in turn, the order reversed every other round; a first turn that is not counted warms caches up."""
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    labels: dict[str, list[int]] = {}
    shares = {name: texts[:TEXTS_ONE_BY_ONE] if name.endswith("one by one") else texts for name in contestants}
    for name, job in contestants.items():
        job(shares[name][:BATCH])
    for number in range(ROUNDS):
        for name in contestants if number % 2 == 0 else reversed(contestants):
            began = time.perf_counter()
            labels[name] = contestants[name](shares[name])
            seconds[name].append(time.perf_counter() - began)
    return Rates({name: len(shares[name]) / median(seconds[name]) for name in contestants}, labels)


def _beside(rates: Rates, other: str, said: str, *, ours: str) -> Ratio:
    what, mine, theirs = ours, rates.per_second[ours], rates.per_second[other]
    same = [a == b for a, b in zip(rates.labels[ours], rates.labels[other], strict=False)]
    bound = f"at least {SPEEDUP}" if (ours, other) == (OURS, f"{PIPELINE}, batch {BATCH}") else "-"
    against = "the same engine in fp32" if other == "fp32" else f"{other}, fp32" if "linear" not in other else other
    detail = f"{mine:,.0f} against {theirs:,.0f} documents/s; the same topic for {100 * sum(same) / len(same):.1f} %; {said}"
    return Ratio(f"English encoder, {what}: documents per second", against, mine / theirs, bound, detail)


# --- share of the peak ------------------------------------------------------------------------------------------------------
def peak(precision: str, threads: int) -> float:
    """Operations per second of one large product: the best of PEAK_SHAPES, with all threads in one product or each in its own."""
    best = 0.0
    for shape in PEAK_SHAPES:
        work = 2.0 * shape[0] * shape[1] * shape[2]
        for together in (True, False):
            jobs = 1 if together else threads
            runs = [_product(precision, shape, threads if together else 1) for _ in range(jobs)]
            with ThreadPoolExecutor(jobs) as pool:
                for _ in range(12):
                    began = time.perf_counter()
                    list(pool.map(lambda run: [run() for _ in range(4)], runs))
                    best = max(best, 4 * jobs * work / (time.perf_counter() - began))
    return best


def _product(precision: str, shape: tuple[int, int, int], threads: int) -> Callable[[], Any]:
    """One product as the graph has it, its output kept in place."""
    rows, inner, columns = shape
    chance = np.random.default_rng(0)
    if precision == "int8":
        given: NDArray[Any] = chance.integers(0, 256, (rows, inner)).astype(np.uint8)
        constants = {
            "w": chance.integers(-63, 64, (inner, columns)).astype(np.int8),
            "a": np.array(0.01, np.float32),
            "s": np.full(columns, 0.01, np.float32),
            "z": np.array(128, np.uint8),
            "b": np.zeros(columns, np.float32),
        }
        node = helper.make_node("MatMulIntegerToFloat", ["x", "w", "a", "s", "z", "", "b"], ["y"], domain=graph.CONTRIBUTED)
        kind = TensorProto.UINT8
    else:
        given = chance.standard_normal((rows, inner), np.float32)
        constants = {"w": chance.standard_normal((inner, columns), np.float32)}
        node, kind = helper.make_node("MatMul", ["x", "w"], ["y"]), TensorProto.FLOAT
    built = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("x", kind, [rows, inner])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [rows, columns])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", graph.OPSET), helper.make_opsetid(graph.CONTRIBUTED, 1)]
    session = _session(helper.make_model(built, opset_imports=opsets, ir_version=graph.IR_VERSION).SerializeToString(), threads)
    binding = session.io_binding()
    binding.bind_cpu_input("x", given)
    binding.bind_output("y")
    return lambda: session.run_with_iobinding(binding)


def _session(model: bytes, threads: int, *, profile: Path | None = None) -> Any:
    """A session with the engine's options (models/encoder/engine.py)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def work_per_token(spec: GraphSpec, model: bytes) -> float:
    """Operations of the network's large products per token: a multiplication and an addition for every weight that a text needs."""
    weights = read_graph(model).weights
    products = [graph.product_of(weights, name) for names in graph.sites_of(spec).values() for name in names]
    return 2.0 * sum(product.weight.size for product in products)


def shares_of_peak(
    precision: str,
    model: bytes,
    spec: GraphSpec,
    encodings: Encodings,
    *,
    peak_rate: float,
    tokens_per_second: float,
    threads: int,
    folder: Path,
) -> list[Ratio]:
    """What reaches real tokens: over the time inside the products alone, and over all time with tokenisation."""
    work = work_per_token(spec, model)
    products, everything = _profiled(model, spec, encodings, threads=threads, folder=folder)
    inside = work * len(encodings.ids) / (products / threads)
    whole = work * tokens_per_second
    peak_said = f"the best {precision} product of the library, {peak_rate / 1e9:,.0f} G operations/s"
    detail = f"{inside / 1e9:,.0f} G operations/s on real tokens; products take {100 * products / everything:.0f} % of the graph's time"
    wanted = [f"at least {bound}" if precision == "int8" else "-" for bound in (PRODUCTS_SHARE, WHOLE_SHARE)]
    ends = f"{whole / 1e9:,.0f} G operations/s, {tokens_per_second:,.0f} tokens/s, tokenisation and copies included; nothing is padded"
    return [
        Ratio(f"English encoder, {precision}: rate within its large products", peak_said, inside / peak_rate, wanted[0], detail),
        Ratio(f"English encoder, {precision}: rate of the whole", peak_said, whole / peak_rate, wanted[1], ends),
    ]


def _profiled(model: bytes, spec: GraphSpec, encodings: Encodings, *, threads: int, folder: Path) -> tuple[float, float]:
    """Seconds of all threads (inside the large products, inside all nodes) for texts once over, from the library's own profile."""
    names = {name for products in graph.sites_of(spec).values() for name in products}
    kernels = {f"{name}{end}_kernel_time" for name in names for end in ("", ".product")}
    runs = [
        encodings.ids[encodings.starts[rows][:, None] + np.arange(encodings.lengths[rows[0]])]
        for rows in runs_of(encodings.lengths, TOKENS_PER_RUN)
    ]
    found = []
    for _ in range(ROUNDS):
        session = _session(model, 1, profile=folder / "profile")
        run = partial(session.run, None)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, [{"input_ids": ids} for ids in runs]))
        events = json.loads(Path(session.end_profiling()).read_bytes())
        times = [(event["name"], event["dur"] / 1e6) for event in events if event.get("name", "").endswith("_kernel_time")]
        found.append((sum(seconds for _, seconds in times), sum(seconds for name, seconds in times if name in kernels)))
    everything, products = sorted(found)[len(found) // 2]
    return products, everything


# --- the first score ----------------------------------------------------------------------------------------------------------
def first_score(folder: Path, text: str) -> Ratio:
    """Seconds from the start of `groundswell score` to its first score: models, catalogue and all; the median of a few starts."""
    file = folder / "first.jsonl"
    file.write_text(json.dumps({"id": "1", "title": text}) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "groundswell", "score", str(file)]
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        done = subprocess.run(command, capture_output=True, cwd=folder, env=_environment(), check=True)
        seconds.append(time.perf_counter() - began)
        if json.loads(done.stdout)["topic"] is None:
            sys.exit(f"bench: the first score came back empty: {done.stdout!r}")
    detail = f"{median(seconds):.2f} s; both languages' models and the catalogue are loaded; the process's end is included"
    return Ratio(
        "seconds from the start of a process to its first score",
        f"{FIRST_SCORE_S:.0f} s",
        median(seconds) / FIRST_SCORE_S,
        "at most 1",
        detail,
    )


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
