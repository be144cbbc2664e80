"""How good a month's alerts were: pure counting of what was told, done and said.

Every figure has its number of cases, and an interval or percentiles where it is made of enough of them; of fewer than ENOUGH it says
so and no more. A day is one of UTC, in known time.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb
from typing import Final, NamedTuple

from groundswell.judged import ENOUGH, NOT_ENOUGH, Record, record_of, records_by, rule_of
from groundswell.names import DAY_MS
from groundswell.records import EVENT_KINDS, Alert, Miss, VerdictWord
from groundswell.windows import wilson

NOT_LIVE: Final = "only of a live run: there people answer in the time in which things are known"
NO_LIST: Final = "nobody says when events were public: give --incidents FILE"
PERCENTILES: Final = (50, 95, 99)
PROMPT_S: Final = 60
"""Seconds from evidence to ping."""

SOON_MIN: Final = 15
"""Minutes in which an alert should be acknowledged: after that, whoever is next may be called."""


class Figure(NamedTuple):
    """One line of the report."""

    name: str
    group: str  # what it is of: "all", a kind, a rule, a target, a company
    value: float | None  # None: there are too few cases
    low: float | None = None  # 90 % interval of a share
    high: float | None = None
    cases: int = 0  # how many it is made of
    note: str = ""


@dataclass(frozen=True)
class Told:
    """One incident of the month: when it was told, and when anybody answered."""

    opened_ms: int
    acknowledged_ms: int | None = None  # by a person, wall time
    judged_ms: int | None = None
    touched: bool = False  # somebody did or said anything about it


@dataclass(frozen=True)
class MonthFacts:
    """What a report is made of."""

    days: int  # that the run covers of it
    alerts: Sequence[Alert]
    words: Mapping[str, VerdictWord]
    incidents: Sequence[Told]
    is_live: bool
    sent: Mapping[str, Sequence[int]] = field(default_factory=dict)  # {target: opened_ms of the alerts that it was sent}
    budget_per_day: int | None = None
    misses: Sequence[Miss] = ()
    listed: int | None = None  # events of the house's list that began in the month; None: there is no list
    leads_ms: Sequence[int] = ()  # of those that were told: first ping less the public moment; below zero: before it
    corrections: Mapping[str, int] = field(default_factory=dict)  # {what: how many documents} that an alert of the month quotes
    lags_ms: Sequence[int] = ()  # published to known, of every quoted document
    told_ms: Sequence[int] = ()  # from the beginning of the tick that decided to a target's taking it, of what was to go at once
    blind_ms: Mapping[str, int] = field(default_factory=dict)  # {source: how long}
    canaries: int = 0
    unbalanced: Sequence[str] | None = None  # sources whose balance is not zero now; None: it cannot be counted here


def figures_of(month: MonthFacts) -> list[Figure]:
    """The report, in the order in which it is printed."""
    return [
        *_told(month), *_precision(month), *_pings(month), *_answers(month), *_missed(month), *_leads(month), *_lags(month),
        *_readings(month), *_trust(month),
    ]  # fmt: skip


def _told(month: MonthFacts) -> Iterator[Figure]:
    firsts = sum(alert.update == 0 for alert in month.alerts)
    yield Figure("alerts", "all", len(month.alerts), cases=month.days, note="first alerts and updates; cases: days")
    for kind, number in sorted(Counter(alert.kind for alert in month.alerts).items()):
        yield Figure("alerts", kind, number, cases=month.days)
    yield Figure("incidents", "all", firsts, cases=month.days)
    yield Figure("updates per incident", "all", (len(month.alerts) - firsts) / firsts if firsts else None, cases=firsts)


def _precision(month: MonthFacts) -> Iterator[Figure]:
    judged = sum(alert.id in month.words for alert in month.alerts)
    yield _share("judged", "all", judged, len(month.alerts), note="of alerts; what nobody judged is not true")
    for name, number in sorted(Counter(month.words[alert.id] for alert in month.alerts if alert.id in month.words).items()):
        yield Figure("verdicts", name, number, cases=judged)
    yield _of_record("precision", "all", record_of(month.alerts, month.words))
    for kind, record in records_by(month.alerts, month.words, lambda alert: alert.kind).items():
        yield _of_record("precision", kind, record)
    for rule, record in records_by(month.alerts, month.words, rule_of).items():
        yield _of_record("precision of rule", rule, record)


def _of_record(name: str, group: str, record: Record) -> Figure:
    return _share(name, group, record.true, record.judged)


def _pings(month: MonthFacts) -> Iterator[Figure]:
    """How many messages a reader had a day; where nothing is sent, as if one reader had every alert."""
    readers = dict(month.sent) or {"one reader of all": [alert.opened_ms for alert in month.alerts]}
    for target, opened in sorted(readers.items()):
        counts = _a_day(opened, month.days)
        if counts:
            for name, value in (("median", _percentile(counts, 50)), ("p95", _percentile(counts, 95)), ("worst day", counts[-1])):
                yield Figure(f"pings a day, {name}", target, value, cases=len(counts))
    firsts = _a_day([alert.opened_ms for alert in month.alerts if alert.update == 0 and alert.kind in EVENT_KINDS], month.days)
    if month.budget_per_day is not None and firsts:
        kept = sum(count <= month.budget_per_day for count in firsts)
        yield Figure(
            "days within budget", "all", kept, cases=len(firsts), note=f"{month.budget_per_day} first alerts of events a day are allowed"
        )


def _a_day(opened_ms: Iterable[int], days: int) -> list[int]:
    """How many on each of so many days, ascending; days without any are zeros."""
    counts = Counter(ms // DAY_MS for ms in opened_ms)
    return sorted([0] * (days - len(counts)) + list(counts.values()))


def _answers(month: MonthFacts) -> Iterator[Figure]:
    if not month.is_live:
        yield Figure("minutes to acknowledge, median", "all", None, note=NOT_LIVE)
        return
    acknowledged = [(one.acknowledged_ms - one.opened_ms) / 60_000 for one in month.incidents if one.acknowledged_ms is not None]
    judged = [(one.judged_ms - one.opened_ms) / 60_000 for one in month.incidents if one.judged_ms is not None]
    yield _share("acknowledged", "all", len(acknowledged), len(month.incidents), note="of incidents, by a person")
    soon = sum(minutes <= SOON_MIN for minutes in acknowledged)
    yield _share(f"acknowledged within {SOON_MIN} min", "all", soon, len(month.incidents))
    for name, minutes in (("acknowledge", acknowledged), ("verdict", judged)):
        yield from _spread(f"minutes to {name}", "all", minutes, (50, 95))
    untouched = sum(not one.touched for one in month.incidents)
    yield _share("untouched", "all", untouched, len(month.incidents), note="nobody did or said anything about it")


def _missed(month: MonthFacts) -> Iterator[Figure]:
    yield Figure("missed", "all", len(month.misses), note="said to have been expected")
    by_name: dict[str, list[Miss]] = defaultdict(list)
    for miss in month.misses:
        by_name[miss.name].append(miss)
    for name, found in sorted(by_name.items()):
        gates = "; ".join(dict.fromkeys(miss.gate or "not asked why" for miss in found))
        yield Figure("missed", name, len(found), cases=len(month.misses), note=gates)


def _leads(month: MonthFacts) -> Iterator[Figure]:
    """How many of the events that the house lists were told, and how long after they were public."""
    if month.listed is None:
        yield Figure("minutes from public to first ping, median", "all", None, note=NO_LIST)
        return
    minutes = sorted(ms / 60_000 for ms in month.leads_ms)
    yield _share("listed events told", "all", len(minutes), month.listed)
    if len(minutes) >= ENOUGH:
        low, high = median_interval(minutes)
        note = "below zero: before it was public"
        yield Figure("minutes from public to first ping, median", "all", _percentile(minutes, 50), low, high, len(minutes), note)
        yield Figure("minutes from public to first ping, p10", "all", _percentile(minutes, 10), cases=len(minutes))
    else:
        yield from _spread("minutes from public to first ping", "all", minutes, ())
    yield _share("told after it was public", "all", sum(one > 0 for one in minutes), len(minutes), note="of those that were told")


def median_interval(ranked: Sequence[float]) -> tuple[float, float]:
    """A 90 % interval of the median that assumes nothing of the values: each is above it with one half (the sign test, turned round).

    >>> median_interval([float(n) for n in range(1, 12)])
    (3.0, 9.0)

    Args:
        ranked: ascending, at least five.
    """
    below, left_out = 1 / 2 ** len(ranked), 0
    while below <= 0.05:
        left_out += 1
        below += comb(len(ranked), left_out) / 2 ** len(ranked)
    return ranked[max(0, left_out - 1)], ranked[-max(1, left_out)]


def _lags(month: MonthFacts) -> Iterator[Figure]:
    yield from _spread("seconds from published to known", "all", [ms / 1_000 for ms in month.lags_ms], PERCENTILES)
    if not month.is_live:
        yield Figure("seconds from known to sent, median", "all", None, note=NOT_LIVE)
        return
    seconds = [ms / 1_000 for ms in month.told_ms]
    yield from _spread("seconds from known to sent", "all", seconds, PERCENTILES)
    yield _share(f"sent after {PROMPT_S} s", "all", sum(s > PROMPT_S for s in seconds), len(seconds), note="of messages that went at once")


def _readings(month: MonthFacts) -> Iterator[Figure]:
    quoted = len(month.lags_ms)
    for what in ("sentiment", "company", "topic"):
        yield _share(f"wrong {what}", "all", month.corrections.get(what, 0), quoted, note="of quoted documents, as readers said")


def _trust(month: MonthFacts) -> Iterator[Figure]:
    yield Figure("blind hours", "all", sum(month.blind_ms.values()) / 3_600_000, cases=len(month.blind_ms), note="cases: sources")
    for source, blind_ms in sorted(month.blind_ms.items()):
        yield Figure("blind hours", source, blind_ms / 3_600_000, cases=1)
    if month.is_live:
        yield Figure("canaries that arrived", "all", month.canaries, cases=24 * month.days, note="cases: hours")
    if month.unbalanced is None:
        yield Figure("sources out of balance", "all", None, note="the run's log is not on this machine")
    else:
        yield Figure("sources out of balance", "all", len(month.unbalanced), note=", ".join(month.unbalanced) or "balance 0 now")


def _share(name: str, group: str, hits: int, trials: int, *, note: str = "") -> Figure:
    if trials < ENOUGH:
        return Figure(name, group, None, cases=trials, note=f"{NOT_ENOUGH}: {hits} of {trials}, {ENOUGH} are needed")
    return Figure(name, group, hits / trials, *wilson(hits, trials), cases=trials, note=note or f"{hits} of {trials}")


def _spread(name: str, group: str, values: Sequence[float], percentiles: Sequence[int]) -> Iterator[Figure]:
    if len(values) < ENOUGH:
        yield Figure(f"{name}, median", group, None, cases=len(values), note=f"{NOT_ENOUGH}: {len(values)}, {ENOUGH} are needed")
        return
    ranked = sorted(values)
    for percent in percentiles:
        word = "median" if percent == 50 else f"p{percent}"
        yield Figure(f"{name}, {word}", group, _percentile(ranked, percent), cases=len(ranked))


def _percentile(ranked: Sequence[float], percent: int) -> float:
    """The smallest value that so many per cent are not above.

    >>> _percentile([1, 2, 3, 4], 50), _percentile([1, 2, 3, 4], 95), _percentile([7], 50)
    (2, 4, 7)
    """
    return ranked[max(0, -(-len(ranked) * percent // 100) - 1)]
