"""Windows: what one closed tick adds to the panes of one series. The counts and their merge: groundswell/windows.py."""

from collections import defaultdict
from collections.abc import Iterable

from groundswell.names import ANY_TONE, PANE_MS, SENTIMENTS, series_kind
from groundswell.records import Contribution, Increment
from groundswell.windows import COUNTS, DOCUMENTS, FRESH, FRESH_NEGATIVE, NEGATIVE_PPM, Members


def increments_of(tick: int, placed: Iterable[tuple[Contribution, str]]) -> list[Increment]:
    """The rows that one closed tick adds to one series: one for each pane and precision.

    Args:
        tick: the closed tick.
        placed: its contributions to the series, each with its story.
    """
    panes: dict[tuple[str, int, bool], tuple[Members, list[list[str | int]], list[list[str | int]]]] = defaultdict(lambda: ({}, [], []))
    for contribution, story in placed:
        members, negatives, stale = panes[contribution.series, contribution.published_ms // PANE_MS, contribution.daily]
        counts = members.setdefault(story, {}).setdefault(contribution.owner, [0] * len(COUNTS))
        is_negative = contribution.sentiment == "negative"
        kind = series_kind(contribution.series)
        against = is_negative or kind == "word" or (kind in ANY_TONE and contribution.sentiment != "positive")
        counts[DOCUMENTS] += 1
        counts[1 + SENTIMENTS.index(contribution.sentiment)] += 1
        counts[NEGATIVE_PPM] += contribution.negative_ppm
        counts[FRESH] += contribution.fresh
        counts[FRESH_NEGATIVE] += contribution.fresh and is_negative
        if contribution.fresh and against:
            known, ppm = int(contribution.owner_known), contribution.negative_ppm
            row: list[str | int] = [contribution.document_id, story, contribution.owner, known, ppm]
            negatives.append([*row, contribution.tier] if contribution.tier else row)  # most archives know none: their rows stay short
        elif not contribution.fresh and contribution.document_id == story:
            known, ppm = int(contribution.owner_known), contribution.negative_ppm
            stale.append([contribution.document_id, story, contribution.owner, known, ppm, int(is_negative)])
    return [
        Increment(series=series, tick=tick, pane=pane, daily=daily, members=members, negatives=negatives, stale=stale)
        for (series, pane, daily), (members, negatives, stale) in sorted(panes.items(), key=lambda kv: kv[0])
    ]
