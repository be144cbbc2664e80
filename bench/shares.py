"""Corrected shares beside raw ones, on real labelled texts: how far each is from a planted share, and how often the interval holds it.

Texts of one language are drawn so that a planted part of them is negative; the model's own answers to them are the window. The matrix
is counted on a second draw of as many labelled texts as there are.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.pipeline import Ratio
from bench.replays import ROOT
from groundswell.prevalence import Errors, corrected_share

DATA: Final = ROOT.parent / "shared" / "data"
PLANTED: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
DOCUMENTS: Final = (20, 50, 200, 1_000)
WORLDS: Final = 3_000
Called = NDArray[np.bool_]


def shares(_folder: Path) -> list[Ratio]:
    """A row for each language and number of documents; none where the labelled texts are absent."""
    if not DATA.is_dir():
        print(f"shares: {DATA} is not there: nothing to draw from")
        return []
    rows = []
    for language, (negatives, others) in _called().items():
        for documents in DOCUMENTS:
            raw, corrected, held = planted(negatives, others, documents, np.random.default_rng(documents))
            detail = f"mean absolute error {corrected:.3f} and {raw:.3f}; the 90 % interval holds the planted share {held:.1%} of times"
            rows.append(Ratio(f"corrected share, {language}, {documents} documents", "raw share", corrected / raw, "below 1", detail))
    return rows


def _called() -> dict[str, tuple[Called, Called]]:
    """Language -> what the shipped model calls negative: of the negative texts, and of the others."""
    from groundswell.cli.evaluate import examples_of
    from models.answers import answers_of
    from stream.operators.normalise import detect_language
    from stream.shells.instruments import load_instruments

    scorer = load_instruments().scorer
    examples = [one for one in examples_of(DATA) if one.sentiment is not None or one.negative is not None]
    found: dict[str, tuple[list[bool], list[bool]]] = {language: ([], []) for language in sorted(scorer.languages)}
    for example, answer in zip(examples, answers_of(scorer, examples, detect=detect_language).plain, strict=True):  # type: ignore[arg-type]
        if answer["sentiment"] is not None:
            negative = example.sentiment == 0 if example.sentiment is not None else bool(example.negative)
            found[example.language][0 if negative else 1].append(answer["sentiment"] == "negative")
    return {language: (np.array(negatives), np.array(others)) for language, (negatives, others) in found.items()}


def planted(negatives: Called, others: Called, documents: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Mean absolute error of the raw share, of the corrected one, and how often the interval holds the planted share."""
    raw, corrected, held = [], [], 0
    for _ in range(WORLDS):
        share = rng.choice(PLANTED)
        labelled = [rng.choice(called, len(called)) for called in (negatives, others)]
        errors = Errors(hits=float(labelled[0].sum()), negatives=len(negatives), alarms=float(labelled[1].sum()), others=len(others))
        bad = rng.binomial(documents, share)
        negative = int(rng.choice(negatives, bad).sum() + rng.choice(others, documents - bad).sum())
        found = corrected_share(negative, documents, errors)
        if found is None:
            continue
        raw.append(abs(negative / documents - share))
        corrected.append(abs(found.share - share))
        held += found.low <= share <= found.high
    return float(np.mean(raw)), float(np.mean(corrected)), held / len(raw)
