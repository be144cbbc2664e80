"""Word: an authority, an exchange or the company itself speaks of a company, or somebody denies what was said of it.

The series is `word:official:SVB` or `word:denial:SVB`. What it finds opens nothing: the desk tells an incident of that company again on
it, if there is one (alerts/desk.py). It remembers nothing, so there is nothing to restore.

    an official document, whoever may speak so      -> candidate "hold"
    a denial, told by a source that is believed     -> candidate "hold"
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from alerts.detectors.baseline import BaselineRow
from alerts.detectors.gates import Gate
from alerts.detectors.surge import DAY_S, FULL_PPM, Seeing
from alerts.detectors.window import EVIDENCE_MAX
from alerts.rules import Rules
from groundswell.names import TICK_MS, content_id, word_of
from groundswell.records import Candidate, Increment
from groundswell.windows import tier_of


@dataclass
class WordDetector:
    """What is said of one company in one of the two ways. It stands in the place of a sighting's detector (alerts/detectors/watch.py)."""

    series: str
    rules: Rules

    def step(self, tick: int, rows: Iterable[Increment], seeing: Seeing) -> Iterator[Candidate]:  # noqa: ARG002
        """Take a closed tick's rows of this series, and yield what they lead to."""
        said = [document for row in rows for document in row.negatives if self._believed(document)]
        if said:
            yield self._candidate(tick, sorted(said, key=lambda row: (tier_of(row) or FULL_PPM, str(row[0])))[:EVIDENCE_MAX])

    def use(self, readers: frozenset[str] | None) -> None:
        """Another model changes nothing: no model reads this."""

    def obey(self, rules: Rules) -> None:
        """Other rules are in force."""
        self.rules = rules

    def follow(self, companies: frozenset[str]) -> None:
        """What is watched changes nothing."""

    def close_period(self, period_s: int, index: int, seeing: Seeing, *, reader: str = "") -> BaselineRow | None:
        """There is no usual number of such words."""

    def restore(self, *, baseline: Iterable[BaselineRow], rows: Iterable[Increment], last: Iterable[Candidate], tick: int) -> None:
        """There is nothing to restore."""

    def gates(self, period_s: int, tick: int, seeing: Seeing) -> list[Gate]:  # noqa: ARG002
        """Whether it is asked for at all: what was said before is not remembered, and the desk names what stopped it."""
        tier = self.rules.desk.word_tier
        whom = "any" if word_of(self.series) == "official" else f"tier {tier} or better"
        said = f"updates on a word are {'on' if tier else 'off'}; of sources: {whom}"
        return [Gate("listed", tier > 0, said)] if period_s == DAY_S else []

    def _believed(self, row: Sequence[str | int]) -> bool:
        """An official word is one whatever the tier; that something was denied has to be told by somebody who is believed."""
        tier = self.rules.desk.word_tier
        return bool(tier and row[3]) and (word_of(self.series) == "official" or 0 < tier_of(row) <= tier)

    def _candidate(self, tick: int, said: list[list[str | int]]) -> Candidate:
        stories = len({row[1] for row in said})
        return Candidate(
            candidate_id=content_id(self.series, str(DAY_S), str(tick)),
            series=self.series,
            window_s=DAY_S,
            tick=tick,
            known_until_ms=(tick + 1) * TICK_MS,
            statistic=stories,
            expected_milli=0,
            limit=1,
            p_ppt=FULL_PPM * FULL_PPM,
            share_p_ppt=FULL_PPM * FULL_PPM,
            by="count",
            stories=stories,
            owners=len({row[2] for row in said}),
            owners_known=True,
            baseline_share_ppm=0,
            exposure_ppm=FULL_PPM,
            level="hold",
            evidence=said,
            kind="sighting",
        )
