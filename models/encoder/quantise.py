"""A network in int8, with scales that are fixed beforehand from what calibration texts do to it.

Weights have one scale per column. Processors without VNNI add the products of two neighbouring rows up in 16 bits, so such a pair of
weights is kept small enough to fit whatever the inputs are: then all processors return the same numbers. Each weight is rounded so
that it makes up for what rounding the weights before it did to calibration texts (Frantar et al. 2023, "GPTQ"). Inputs have one scale
per site; the few channels that are far larger than the rest are cut into slots (graph.Site), so that they do not set the step for all.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from models.encoder import graph
from models.encoder.graph import Quantised, Rounded, Site
from models.encoder.tokens import Tokenizer
from models.encoder.weights import Floats, GraphSpec, Weights

WEIGHT_STEPS: Final = 127
PAIR_STEPS: Final = 128  # of two weights that are added up in 16 bits: 255 * 128 < 2 ** 15
WORD_STEPS: Final = 127
STEPS: Final = 255  # of an input
HEADROOM: Final = 1.05  # other texts reach further than those of calibration
ROWS: Final = 6_000  # tokens of a site that its weights are fitted to

SLOTS: Final[Mapping[str, int]] = {"states": 16, "context": 0, "middle": 32, "active": 64}  # further columns per kind of site
DAMPING: Final = 0.01  # of the mean square of the inputs, so that channels that hardly vary do not take the rounding of all others
BLOCK: Final = 128  # weights that are rounded before what is left of them is spread over the rest at once


class Observed(NamedTuple):
    """What calibration texts put into a site of K channels."""

    low: Floats  # [K] least value of a channel
    high: Floats  # [K]
    rows: Floats  # [about ROWS, K] a sample, evenly spread


def observe(weights: Weights, spec: GraphSpec, tokenizer: Tokenizer, texts: Sequence[str]) -> dict[str, Observed]:
    """Run texts through the float32 network and keep what arrives at every site of graph.sites_of."""
    sites = list(graph.sites_of(spec))
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    model = graph.build(weights, spec, taps=sites).SerializeToString()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    encodings = tokenizer.encode(texts)
    seen: dict[str, list[Observed]] = {site: [] for site in sites}
    for encoded in encodings:
        for site, states in zip(sites, session.run(sites, {"input_ids": encoded.ids[None]}), strict=True):
            rows = states[0]
            step = max(1, len(encodings.ids) // ROWS)
            seen[site].append(Observed(rows.min(0), rows.max(0), rows[::step].copy()))
    return {site: _together(parts) for site, parts in seen.items()}


def _together(parts: Sequence[Observed]) -> Observed:
    low, high = np.min([part.low for part in parts], axis=0), np.max([part.high for part in parts], axis=0)
    return Observed(low, high, np.concatenate([part.rows for part in parts]))


def site_of(seen: Observed, *, slots: int) -> Site:
    """The finest steps with which `slots` more columns still hold every channel."""
    low, high = seen.low.astype(np.float64) * HEADROOM, seen.high.astype(np.float64) * HEADROOM
    least = float(low.min())

    def cut(width: float) -> tuple[float, NDArray[np.int64], NDArray[np.int64]]:
        """Lower end of a range of that width, and the slots that each channel needs above and below it."""
        first = max(least, -width / 2)
        above, below = np.ceil((high - first - width) / width), np.ceil((first - low) / width)
        return first, np.maximum(above, 0).astype(np.int64), np.maximum(below, 0).astype(np.int64)

    enough, short = max(float(high.max()) - least, -2 * least, 1e-6), 0.0
    for _ in range(30):
        width = (enough + short) / 2
        _, above, below = cut(width)
        if above.sum() + below.sum() <= slots:
            enough = width
        else:
            short = width
    scale = enough / STEPS
    first, above, below = cut(enough)
    channels = np.concatenate([np.repeat(np.arange(len(low)), above), np.repeat(np.arange(len(low)), below)])
    orders = [np.concatenate([np.arange(1, count + 1) for count in counts if count] or [np.zeros(0)]) for counts in (above, below)]
    shifts = np.concatenate([-orders[0], orders[1]]) * scale * STEPS
    apart = _apart(channels)
    return Site(float(np.float32(scale)), round(-first / scale), channels[apart], shifts[apart].astype(np.float32))


def _apart(channels: NDArray[np.int64]) -> NDArray[np.intp]:
    """An order in which neighbours, two by two, are slots of different channels as far as possible: their weights add up."""
    order = np.argsort(channels, kind="stable")
    half = (len(order) + 1) // 2
    return np.concatenate([np.stack([order[: len(order) - half], order[half:]], axis=1).ravel(), order[len(order) - half : half]])


def quantise(weights: Weights, spec: GraphSpec, tokenizer: Tokenizer, texts: Sequence[str], *, coarseness: float = 0.0) -> Quantised:
    """The int8 network, its ranges and its rounding fitted to texts.

    Args:
        weights: the network in float32.
        spec: its shape.
        tokenizer: that belongs to it.
        texts: some hundreds, of the kind that will be read.
        coarseness: least step of a weight as a share of the root mean square of its matrix; 0 = as fine as int8 goes. Coarser steps take
            fewer values, and what takes few values packs into few bytes (models.bundle.pack).
    """
    seen = observe(weights, spec, tokenizer, texts)
    words, word_scales = words_of(weights.words, coarseness=coarseness)
    found = Quantised(words, word_scales)
    for name, products in graph.sites_of(spec).items():
        site = site_of(seen[name], slots=SLOTS[name.split(".")[1]])
        found.sites[name] = site
        idle, inputs = arrived(seen[name].rows, site)
        squares = inputs.astype(np.float64).T @ inputs / len(inputs)
        for product in products:
            given = graph.product_of(weights, product)
            steps, scale = compensated(given.weight, site, squares, coarseness=coarseness)
            bias = (
                given.bias - idle @ (steps[site.slots] * scale) + (seen[name].rows @ given.weight - inputs @ (steps * scale)).mean(axis=0)
            )
            found.products[product] = Rounded(np.concatenate([steps, steps[site.slots]]), scale, bias.astype(np.float32))
    return found


def words_of(words: Floats, *, coarseness: float = 0.0) -> tuple[NDArray[np.int8], Floats]:
    """Word vectors in int8 with a scale per row [vocabulary, H], [vocabulary, 1]."""
    scales = np.maximum(np.abs(words).max(axis=1, keepdims=True) / WORD_STEPS, coarseness * np.sqrt(np.square(words).mean()))
    scales[scales == 0] = 1
    return np.rint(words / scales).astype(np.int8), scales.astype(np.float32)


def arrived(rows: Floats, site: Site) -> tuple[Floats, Floats]:
    """What a product gets to see of its inputs [n, K]: (value of each slot while it holds nothing [m], inputs as rounded [n, K])."""
    whole = np.concatenate([rows, rows[:, site.slots] + site.shifts], axis=1)
    steps = np.clip(np.rint(whole / np.float32(site.scale)) + site.zero_point, 0, STEPS) - site.zero_point
    idle = np.where(site.shifts < 0, -site.zero_point, STEPS - site.zero_point).astype(np.float32)
    channels = rows.shape[1]
    inputs = steps[:, :channels].copy()
    np.add.at(inputs.T, site.slots, (steps[:, channels:] - idle).T)
    return idle * np.float32(site.scale), inputs * np.float32(site.scale)


def _column_scales(weight: Floats) -> Floats:
    """The least scale per column [N] at which every weight and every pair of neighbouring rows keeps to its bounds."""
    even = weight if len(weight) % 2 == 0 else np.concatenate([weight, np.zeros_like(weight[:1])])
    pairs = np.abs(even[0::2] + even[1::2]).max(axis=0)
    scale = np.maximum(np.abs(weight).max(axis=0) / WEIGHT_STEPS, pairs / PAIR_STEPS)
    scale[scale == 0] = 1
    return scale


def compensated(weight: Floats, site: Site, squares: NDArray[np.float64], *, coarseness: float) -> tuple[NDArray[np.int8], Floats]:
    """Weights in steps [K, N] and the steps' sizes [N], rounded row by row, each row's error made up for by the rows after it (GPTQ).

    Args:
        weight: [K, N].
        site: where the product reads.
        squares: mean products of its inputs, as they are after rounding [K, K].
        coarseness: as in `quantise`.
    """
    scale = _column_scales(np.concatenate([weight, weight[site.slots]]))
    scale = np.maximum(scale, coarseness * np.sqrt(np.square(weight).mean())).astype(np.float32)
    rest = weight.astype(np.float64)
    steps = np.zeros_like(rest)
    damped = squares + DAMPING * np.diag(squares).mean() * np.eye(len(squares))
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    partners = _partners(len(rest), site.slots)
    for first in range(0, len(rest), BLOCK):
        last = min(first + BLOCK, len(rest))
        errors = np.zeros((last - first, rest.shape[1]))
        for row in range(first, last):
            low, high = _bounds(steps, row, partners[row])
            steps[row] = np.clip(np.rint(rest[row] / scale), low, high)
            errors[row - first] = (rest[row] - steps[row] * scale) / upper[row, row]
            rest[row + 1 : last] -= np.outer(upper[row, row + 1 : last], errors[row - first])
        rest[last:] -= upper[first:last, last:].T @ errors
    return steps.astype(np.int8), scale


def _partners(rows: int, slots: NDArray[np.int64]) -> list[set[int]]:
    """For each of a product's own rows, those before it, or itself, that it is added to: rows and the copies in slots go two by two."""
    found: list[set[int]] = [set() for _ in range(rows)]
    order = [*range(rows), *slots.tolist()]
    for first, second in zip(order[0::2], order[1::2], strict=False):
        found[max(first, second)].add(min(first, second))
    return found


def _bounds(steps: NDArray[np.float64], row: int, partners: Collection[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The least and the most that each weight of a row may be [N], given the rows that were rounded before it."""
    low, high = np.full(steps.shape[1], -WEIGHT_STEPS, np.float64), np.full(steps.shape[1], WEIGHT_STEPS, np.float64)
    for partner in partners:
        beside = PAIR_STEPS // 2 if partner == row else PAIR_STEPS - steps[partner]
        below = -PAIR_STEPS // 2 if partner == row else -PAIR_STEPS - steps[partner]
        low, high = np.maximum(low, below), np.minimum(high, beside)
    return low, high
