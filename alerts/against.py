"""Against: what would be left of an alert without a part of what it rests on. Integers, made from its own evidence."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from alerts.detectors.sighting import corroborated
from alerts.detectors.tails import beta_binomial_tail, negative_binomial_tail
from alerts.kinds import MILLI
from alerts.rules import Rules
from groundswell.names import word_of
from groundswell.records import Candidate, Document, LeftOut
from groundswell.windows import best_tier

Row = Sequence[str | int]
"""Of a candidate's evidence: document id, story, owner, whether the owner is known, negative ppm, and the tier where it is known."""


class Left(NamedTuple):
    """What is left, and whether it would still have opened."""

    statistic: int
    fires: bool


def without_largest(main: Candidate, rules: Rules) -> Left:
    """The statistic without its largest story. What is told of the instrument rests on no story."""
    if main.kind in ("blind", "model_shift") or word_of(main.series):  # these are told whatever their number
        return Left(main.statistic, fires=True)
    if main.kind == "amplification":
        return Left(0, fires=False)
    rest = [row for _, rows in largest_stories(main)[1:] for row in rows]
    return Left(main.statistic - 1, fires=_fires(main, main.statistic - 1, rest, rules))


def against_of(main: Candidate, documents: Mapping[str, Document], rules: Rules) -> list[LeftOut]:
    """What is left without the readers' comments, and without the owner that has the most of it; each only where it takes something away.

    A slow burn's evidence is its last day's, and nothing is left out of it.
    """
    if main.kind not in ("surge", "sighting", "late", "amplification") or word_of(main.series):
        return []
    comments = {name for name, document in documents.items() if document.kind == "comment"}
    found = [LeftOut("comments", *_left(main, lambda row: row[0] not in comments, rules))]
    if main.kind != "amplification":
        owner = _largest_owner(main)
        found.append(LeftOut("owner", *_left(main, lambda row: row[2] != owner, rules)))
    return [left for left in found if left.statistic < main.statistic]


def _left(main: Candidate, keep: Callable[[Row], bool], rules: Rules) -> Left:
    rows: list[Row] = [row for row in main.evidence if keep(row)]
    if main.kind == "amplification":
        gone = len(main.evidence) - len(rows)
    else:
        gone = len({row[1] for row in main.evidence}) - len({row[1] for row in rows})
    left = main.statistic - gone
    return Left(left, fires=_fires(main, left, rows, rules))


def _largest_owner(main: Candidate) -> str | int:
    """The owner without which the most stories go; of equals the first by name."""
    owners: dict[str | int, set[str | int]] = {}
    by_story: dict[str | int, set[str | int]] = {}
    for _, story, owner, *_ in main.evidence:
        by_story.setdefault(story, set()).add(owner)
    for story, speakers in by_story.items():
        if len(speakers) == 1:
            owners.setdefault(next(iter(speakers)), set()).add(story)
    return min(owners, key=lambda owner: (-len(owners[owner]), str(owner)), default="")


def _fires(main: Candidate, statistic: int, rows: Sequence[Row], rules: Rules) -> bool:
    """Whether the alert would have opened with so many, of those rows."""
    expected = main.expected_milli / MILLI
    if main.kind == "sighting":
        owners = {row[2] for row in rows if row[3]}
        watched = main.series.rsplit(":", 1)[1] in rules.sighting.watched
        p = negative_binomial_tail(statistic, mean=expected, dispersion=rules.surge.dispersion)
        if 0 < best_tier(rows) <= main.believed_tier:
            return True
        believed = corroborated(statistic, owners=len(owners), watched=watched, rules=rules.sighting)
        return (p <= rules.sighting.p_open or watched) and believed
    if main.kind != "surge":
        return statistic >= main.limit
    if main.by == "share":
        trials = max(statistic, main.stories - (main.statistic - statistic))
        share, dispersion = main.baseline_share_ppm / 1_000_000, main.share_dispersion_ppm / 1_000_000
        return beta_binomial_tail(statistic, trials=trials, share=share, dispersion=dispersion) <= rules.surge.p_share_alone
    p = negative_binomial_tail(statistic, mean=max(expected, 1e-3), dispersion=rules.surge.dispersion)
    return p <= rules.surge.p_open(main.window_s, main.series)


def largest_stories(main: Candidate) -> list[tuple[str, list[Row]]]:
    """The stories of a candidate with the rows of their documents, in the order in which an alert's parts name them."""
    by_story: dict[str, list[Row]] = {}
    for row in main.evidence:
        by_story.setdefault(str(row[1]), []).append(row)
    return sorted(by_story.items(), key=lambda item: (-len(item[1]), item[0]))
