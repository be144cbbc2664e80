"""The numbers by which the dashboards colour what they show. They come from the rules and the settings, never from a panel."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Where a figure begins to need somebody.

    Args:
        board_url: `board.base_url`, where dossiers are.
        behind_s: closed time this far behind the clock is reported as a condition.
        canary_every_s: how often a canary is sent; 0: never.
        canary_late_s: one that takes longer is missed.
        budget_per_day: alerts a day that the desk may send.
        incident_quiet_s: an incident without a candidate for so long is over.
        exposure_min: share of the usual volume below which nothing is evaluated.
        fresh_s: documents older than this when they become known can lead to no alert.
    """

    board_url: str
    behind_s: float
    canary_every_s: int
    canary_late_s: float
    budget_per_day: int
    incident_quiet_s: int
    exposure_min: float
    fresh_s: int
