"""How good a rule's alerts were, by what people said of them: pure counting.

A rule is what made an alert: its kind, its window, and what turned (count or share). An alert has one word: that of most people, each
with the last thing they said; where as many say one thing as another, what was said last. An alert that nobody judged is not true and
not false: it is counted apart.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from groundswell.codec import canonical
from groundswell.records import Alert, AlertKind, Corrected, Correction, Verdict, VerdictWord
from groundswell.windows import wilson

ENOUGH: Final = 10
"""Alerts that have to be judged before a share is said: of fewer, the interval is wider than any answer is worth."""

NOT_ENOUGH: Final = "not enough data"


class Rule(NamedTuple):
    """What made an alert."""

    kind: AlertKind
    window_s: int
    by: str  # count or share

    def __str__(self) -> str:
        """As it is printed.

        >>> str(Rule("surge", 3600, "count"))
        'surge 1h count'
        """
        span = f"{self.window_s // 86_400}d" if self.window_s % 86_400 == 0 else f"{self.window_s // 3_600}h"
        return f"{self.kind} {span} {self.by}"


def rule_of(alert: Alert) -> Rule:
    """The rule that made an alert."""
    return Rule(alert.kind, alert.window_s, alert.by)


@dataclass(frozen=True)
class Record:
    """Alerts of one rule, or of all, and what they were judged to be."""

    alerts: int
    judged: int  # of these, how many have a word
    true: int  # of these, how many were true

    @property
    def precision(self) -> float | None:
        """True by judged; None where too few were judged."""
        return self.true / self.judged if self.judged >= ENOUGH else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """90 % interval of the precision (Wilson 1927, which keeps its promise for few trials: Brown, Cai and DasGupta 2001)."""
        return wilson(self.true, self.judged) if self.judged >= ENOUGH else None

    def __str__(self) -> str:
        """In words.

        >>> str(Record(14, 12, 9)), str(Record(14, 3, 2)), str(Record(0, 0, 0))
        ('9 of 12 judged were true, 75 % (90 %: 51 % to 90 %); 14 alerts', 'not enough data: 3 of 14 alerts were judged, 10 are needed', \
'not enough data: 0 of 0 alerts were judged, 10 are needed')
        """
        if self.precision is None or self.interval is None:
            return f"{NOT_ENOUGH}: {self.judged} of {self.alerts} alerts were judged, {ENOUGH} are needed"
        low, high = self.interval
        share = f"{_percent(self.precision)} (90 %: {_percent(low)} to {_percent(high)})"
        return f"{self.true} of {self.judged} judged were true, {share}; {self.alerts} alerts"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def counted(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The verdicts that count: of each person the last of each alert, oldest first. The order in which they come does not matter."""
    last: dict[tuple[str, str], Verdict] = {}
    for verdict in sorted(verdicts, key=lambda one: (one.at_ms, canonical(one))):
        last[verdict.alert, verdict.who] = verdict
    return sorted(last.values(), key=lambda one: (one.at_ms, canonical(one)))


def words_of(verdicts: Iterable[Verdict]) -> dict[str, VerdictWord]:
    """{alert: its word}, of those that have one."""
    by_alert: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in counted(verdicts):
        by_alert[verdict.alert].append(verdict)
    return {alert: _word(said) for alert, said in by_alert.items()}


def _word(said: list[Verdict]) -> VerdictWord:
    votes = Counter(verdict.word for verdict in said)
    most = max(votes.values())
    return next(verdict.word for verdict in reversed(said) if votes[verdict.word] == most)


def agreed(corrections: Iterable[Correction]) -> dict[tuple[str, str, Corrected], str | None]:
    """{(document, content, what): what most people say is right}, each with the last thing they said; None where they disagree."""
    last: dict[tuple[str, str, Corrected, str], str] = {}
    for one in sorted(corrections, key=lambda one: (one.at_ms, canonical(one))):
        # Companies that a text is not about are several facts, not several answers to one question.
        content = f"{one.content_hash} {one.value}" if one.what == "company" else one.content_hash
        last[one.document_id, content, one.what, one.who] = one.value
    votes: dict[tuple[str, str, Corrected], Counter[str]] = defaultdict(Counter)
    for (document_id, content, what, _), value in last.items():
        votes[document_id, content, what][value] += 1
    return {key: _only(found) for key, found in votes.items()}


def _only(votes: Counter[str]) -> str | None:
    most = [value for value, number in votes.items() if number == max(votes.values())]
    return most[0] if len(most) == 1 else None


def record_of(alerts: Iterable[Alert], words: Mapping[str, VerdictWord]) -> Record:
    """The record of some alerts."""
    there = [alert.id for alert in alerts]
    judged = [words[name] for name in there if name in words]
    return Record(len(there), len(judged), judged.count("true"))


def records_by(alerts: Iterable[Alert], words: Mapping[str, VerdictWord], key: Callable[[Alert], object]) -> dict[str, Record]:
    """{group: record}, sorted by group."""
    groups: dict[str, list[Alert]] = defaultdict(list)
    for alert in alerts:
        groups[str(key(alert))].append(alert)
    return {name: record_of(found, words) for name, found in sorted(groups.items())}
