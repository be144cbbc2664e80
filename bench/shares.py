"""Corrected shares beside raw ones: how far each is from a planted share, and how often the 90 % interval holds it.

On real labelled texts: those of one language are drawn so that a planted part of them is negative, and the model's own answers to them
are the window. The matrix is counted on a second draw of as many labelled texts as there are.

On planted errors (bench/planted_shares.py): a table by documents and by planted share, printed and not written to the page.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.pipeline import Ratio
from bench.planted_shares import DOCUMENTS, Figures, pessimistic_worlds, rogan_gladen, shipped_worlds, table
from bench.replays import ROOT
from groundswell.prevalence import Errors, corrected_share

DATA: Final = ROOT.parent / "shared" / "data"
PLANTED: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)
WORLDS: Final = 3_000
SEED: Final = 2_026  # the method was chosen on others
Called = NDArray[np.bool_]


def shares(_folder: Path) -> list[Ratio]:
    """A row for each number of documents; none where the labelled texts are absent."""
    rng = np.random.default_rng(SEED)
    print(table("errors of the models that ship, by topic", shipped_worlds(rng)))
    print(table("worse errors", pessimistic_worlds(rng)))
    if not DATA.is_dir():
        print(f"shares: {DATA} is not there: no real texts to draw from")
        return []
    called = _called()
    return [_row(documents, {name: planted(*of, documents, rng) for name, of in called.items()}) for documents in DOCUMENTS]


def _row(documents: int, found: dict[str, Figures]) -> Ratio:
    detail = "; ".join(
        f"{language}: mean absolute error {one.now:.3f}, raw {one.raw:.3f}, Rogan-Gladen {one.before:.3f}; "
        f"the 90 % interval holds the planted share {one.held:.1%} of times"
        for language, one in found.items()
    )
    ratio = sum(one.now for one in found.values()) / sum(one.raw for one in found.values())
    return Ratio(f"corrected share, {documents} documents", "raw share", ratio, "below 1", detail)


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


def planted(negatives: Called, others: Called, documents: int, rng: np.random.Generator) -> Figures:
    """Figures of windows of so many texts, over the planted shares."""
    rows = []
    for _ in range(WORLDS):
        share = rng.choice(PLANTED)
        labelled = [rng.choice(called, len(called)) for called in (negatives, others)]
        errors = Errors(hits=float(labelled[0].sum()), negatives=len(negatives), alarms=float(labelled[1].sum()), others=len(others))
        bad = rng.binomial(documents, share)
        negative = int(rng.choice(negatives, bad).sum() + rng.choice(others, documents - bad).sum())
        found = corrected_share(negative, documents, errors)
        if found is not None:
            said = (negative / documents, rogan_gladen(negative, documents, errors), found.share)
            rows.append([*(abs(each - share) for each in said), found.low <= share <= found.high])
    raw, before, now, held = np.mean(rows, axis=0).tolist()
    return Figures(raw=raw, before=before, now=now, held=held)
