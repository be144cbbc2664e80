"""What the kinds of alert share and where they differ: which go into one incident, how loud each is, and what it is called.

surge, sighting, amplification    one event: one incident, one thread, pings within the day's budget
late, slow_burn                   an incident of their own for each; a limit a day of their own
blind, model_shift                about the instrument, not the world: told once, never counted
"""

from collections.abc import Callable
from typing import Final

from alerts.detectors.surge import DAY_S
from groundswell.moments import spoken
from groundswell.names import OFFICIAL_ROLES, entity_series, series_kind, word_of
from groundswell.records import EVENT_KINDS, AlertKind, Candidate, Document, Severity

HELD_BY_SHIFT: Final[frozenset[AlertKind]] = frozenset({"surge", "slow_burn", "late"})
"""What rests on shares and counts of negatives. A listed risk or a copied story does not become one because a model reads otherwise."""

MILLI: Final = 1_000


def family_of(kind: AlertKind) -> str:
    """Candidates of one family may become one incident."""
    return "event" if kind in EVENT_KINDS else kind


def severity_of(main: Candidate) -> Severity:
    """How loud an alert is."""
    if main.kind in ("slow_burn", "model_shift"):
        return "low"
    if main.kind == "blind":
        return "low" if main.ended else "medium"
    if main.kind == "amplification":
        return "medium" if main.statistic >= 2 * main.limit else "low"
    if main.kind == "late":
        return "medium" if main.owners >= 5 and main.statistic >= 2 * main.limit else "low"
    if word_of(main.series):
        return "medium"
    if main.kind == "sighting":
        return "high" if main.owners >= 4 or main.statistic >= 2 * main.limit else "medium"
    factor = main.statistic * MILLI / max(main.expected_milli, 1)
    if main.statistic >= 2 * main.limit or (factor >= 10 and main.owners >= 5):
        return "high"
    return "medium" if main.owners >= 4 or main.statistic > main.limit else "low"


def title_of(main: Candidate, display: Callable[[str], str], *, said_by: Document | None = None) -> str:
    """An alert in one line.

    Args:
        main: what it tells.
        display: a series key in the reader's words.
        said_by: of an official word or a denial, the document that says so.
    """
    word = word_of(main.series)
    if word:
        who, source = display(entity_series(main.series.rsplit(":", 1)[1])), said_by.source if said_by else "a source whose text is gone"
        if word == "official":
            return f"{who}: official word, {source}"
        return f"{who}: denied {'by' if said_by and said_by.role in OFFICIAL_ROLES else 'according to'} {source}"
    return f"{display(main.series)}: {_TITLES.get(main.kind, _surge)(main)}"


def _span(main: Candidate) -> str:
    days = main.window_s // DAY_S
    return "an hour" if not days else "a day" if days == 1 else f"{days} days"


def _surge(main: Candidate) -> str:
    if main.by == "share":
        share = 100 * main.statistic / max(1, main.stories)
        normally = f"normally {main.baseline_share_ppm / 1e4:.0f} %"
        return f"{share:.0f} % of {main.stories} stories in {_span(main)} are negative, {normally}"
    factor = main.statistic * MILLI / max(main.expected_milli, 1)
    what = "stories" if series_kind(main.series) == "watch" else "negative stories"
    return f"{main.statistic} {what} in {_span(main)}, {factor:.0f}x normal"


def _sighting(main: Candidate) -> str:
    stories = "1 story" if main.statistic == 1 else f"{main.statistic} stories"
    return f"{stories} in {_span(main)}, the first in {main.quiet_days} days"


def _amplification(main: Candidate) -> str:
    return f"one origin, {main.statistic} copies in {_span(main)}"


def _late(main: Candidate) -> str:
    return f"{main.statistic} negative stories of one day, known {spoken(main.late_s * 1_000)} late"


def _slow_burn(main: Candidate) -> str:
    factor = main.statistic * MILLI / max(main.expected_milli, 1)
    return f"{main.statistic} negative stories in {_span(main)}, {factor:.1f}x the usual week"


def _blind(main: Candidate) -> str:
    if main.ended:
        return f"seeing again after {main.statistic} h, {main.exposure_ppm / 1e4:.0f} % of the usual volume"
    return f"only {main.exposure_ppm / 1e4:.0f} % of the usual volume is seen, for {main.statistic} h; this is not calm"


def _model_shift(main: Candidate) -> str:
    share = 100 * main.statistic / max(1, main.stories)
    return f"the figures moved with the model: {share:.0f} % negative, before {main.baseline_share_ppm / 1e4:.0f} %"


_TITLES: Final[dict[AlertKind, Callable[[Candidate], str]]] = {
    "sighting": _sighting,
    "amplification": _amplification,
    "late": _late,
    "slow_burn": _slow_burn,
    "blind": _blind,
    "model_shift": _model_shift,
}
