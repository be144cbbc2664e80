"""Blind: of a language too little of the usual volume is seen, for hours. Nothing is known then, and calm is not meant.

Read from the exposure of closed hours (stream/operators/exposure.py), which every partition knows alike. A machine that stopped, or a
crawler that does not poll, is told to operators as a condition (stream/shells/lookout.py): there the clock of the run stands still, or
nobody asks. Here the run goes on and some of its sources are silent: it is analysts who have to know what their charts do not show.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from alerts.detectors.surge import FULL_PPM, HOUR_S
from alerts.rules import BlindRules
from groundswell.names import DAY_MS, HOUR_MS, TICK_MS, content_id, language_series
from groundswell.records import Candidate

HOURS_MAX: Final = 999
"""Hours that are counted: fewer than the horizon, so that a restart counts the same."""


class ClosedHour(NamedTuple):
    """An hour that has ended, as a language's watch is shown it."""

    exposure_ppm: int  # of the language
    heard: bool  # whether anything at all was heard in it, of any language
    rules: BlindRules  # in force by then
    formed: bool  # whether it was known by then what is usual


@dataclass
class BlindWatch:
    """One language. All that it remembers follows from the exposures of closed hours."""

    language: str
    hours: int = 0  # closed hours on end with too little seen, or since it was told
    told: bool = False
    seen: bool = False  # since the last gap of the whole installation
    unheard: int = 0  # closed hours on end in which nothing was heard

    def hour(self, closed: ClosedHour) -> None:
        """Take a closed hour; hours come in order.

        One in which nothing at all is heard tells of no language. After as many of them on end as make a language blind, who has not
        spoken again yet is missed by all sources alike, until the language has been seen once more: that gap was the installation's.
        """
        rules = closed.rules
        self.unheard = 0 if closed.heard else min(self.unheard + 1, HOURS_MAX)
        if self.unheard:
            if self.unheard >= rules.hours:
                self.seen, self.hours, self.told = False, 0, False
            return
        self.seen |= closed.exposure_ppm >= rules.seeing_ppm
        blind = closed.exposure_ppm < (rules.seeing_ppm if self.told else rules.exposure_min_ppm)
        self.hours = min(self.hours + 1, HOURS_MAX) if blind and closed.formed and self.seen else 0
        self.told = self.hours >= (1 if self.told else rules.hours)

    def step(self, tick: int, closed: Iterable[ClosedHour]) -> Candidate | None:
        """Take the hours that ended by a tick, and say what has changed; while it stays blind, once an hour that it does.

        What went blind and sees again within these hours is past: nobody could have been told in time.

        Args:
            tick: the first of a new hour.
            closed: the hours that have ended since the last call.
        """
        before, hours, last = self.told, self.hours, None
        for each in closed:
            self.hour(each)
            last, hours = each, self.hours or hours
        if last is None or not (self.told or (before and self.seen)):
            return None
        return self._candidate(tick, hours=hours, last=last, opens=not before)

    def _candidate(self, tick: int, *, hours: int, last: ClosedHour, opens: bool) -> Candidate:
        series = language_series(self.language)
        return Candidate(
            candidate_id=content_id("blind", series, str(tick)),
            series=series,
            window_s=hours * HOUR_S,
            tick=tick,
            known_until_ms=(tick + 1) * TICK_MS,
            statistic=hours,
            expected_milli=0,
            limit=last.rules.hours,
            p_ppt=FULL_PPM * FULL_PPM,
            share_p_ppt=FULL_PPM * FULL_PPM,
            by="count",
            stories=0,
            owners=0,
            owners_known=True,
            baseline_share_ppm=0,
            exposure_ppm=last.exposure_ppm,
            level="open" if opens or not self.told else "hold",
            evidence=[],
            kind="blind",
            ended=not self.told,
        )


def formed_by(hour: int, first_hour: int | None, rules: BlindRules) -> bool:
    """Whether a run has heard for long enough by an hour to know what is usual."""
    return first_hour is not None and (hour - first_hour) * HOUR_MS >= rules.forming_days * DAY_MS
