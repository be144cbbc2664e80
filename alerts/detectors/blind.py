"""Blind: of a language too little of the usual volume is seen, for hours. Nothing is known then, and calm is not meant.

Read from the exposure of closed hours (stream/operators/exposure.py), which every partition knows alike. A machine that stopped, or a
crawler that does not poll, is told to operators as a condition (stream/shells/lookout.py): there the clock of the run stands still, or
nobody asks. Here the run goes on and some of its sources are silent: it is analysts who have to know what their charts do not show.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from alerts.detectors.surge import FULL_PPM, HOUR_S
from alerts.rules import BlindRules
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS, content_id, language_series
from groundswell.records import Candidate

HOURS_MAX: Final = 999
"""Hours that are counted: fewer than the horizon, so that a restart counts the same."""


@dataclass
class BlindWatch:
    """One language. All that it remembers follows from the exposures of closed hours."""

    language: str
    hours: int = 0  # closed hours on end with too little seen, or since it was told
    told: bool = False

    def hour(self, exposure_ppm: int, rules: BlindRules, *, formed: bool) -> None:
        """Take a closed hour; hours come in order."""
        blind = exposure_ppm < (rules.seeing_ppm if self.told else rules.exposure_min_ppm)
        self.hours = min(self.hours + 1, HOURS_MAX) if blind and formed else 0
        self.told = self.hours >= (1 if self.told else rules.hours)

    def step(self, tick: int, closed: Iterable[tuple[int, BlindRules, bool]]) -> Candidate | None:
        """Take the hours that ended by a tick, and say what has changed; while it stays blind, once an hour that it does.

        What went blind and sees again within these hours is past: nobody could have been told in time.

        Args:
            tick: the first of a new hour.
            closed: the hours that have ended since the last call: exposure (ppm), the rules in force, and whether it was known by
                then what is usual.
        """
        before, hours, limit, exposure_ppm = self.told, self.hours, 0, 0
        for exposure_ppm, rules, formed in closed:
            self.hour(exposure_ppm, rules, formed=formed)
            hours, limit = self.hours or hours, rules.hours
        if not (before or self.told):
            return None
        return self._candidate(tick, hours=hours, limit=limit, seeing_ppm=exposure_ppm, opens=not before)

    def _candidate(self, tick: int, *, hours: int, limit: int, seeing_ppm: int, opens: bool) -> Candidate:
        series = language_series(self.language)
        return Candidate(
            candidate_id=content_id("blind", series, str(tick)),
            series=series,
            window_s=hours * HOUR_S,
            tick=tick,
            known_until_ms=(tick + 1) * TICK_MS,
            statistic=hours,
            expected_milli=0,
            limit=limit,
            p_ppt=FULL_PPM * FULL_PPM,
            share_p_ppt=FULL_PPM * FULL_PPM,
            by="count",
            stories=0,
            owners=0,
            owners_known=True,
            baseline_share_ppm=0,
            exposure_ppm=seeing_ppm,
            level="open" if opens or not self.told else "hold",
            evidence=[],
            kind="blind",
            ended=not self.told,
        )


def formed_by(hour: int, first_hour: int | None, rules: BlindRules) -> bool:
    """Whether a run has heard for long enough by an hour to know what is usual."""
    return first_hour is not None and (hour - first_hour) * HOUR_MS >= rules.forming_days * DAY_MS
