"""Which past incidents an alert is like: the same company, the same risk, or headlines that share their words. Pure ranking."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from groundswell.names import series_kind
from groundswell.records import Alert

SIMILAR_MAX: Final = 3
WORDS_SHARED_MIN: Final = 2
OVERLAP_MIN: Final = 0.5
"""Of the smaller set of words (Szymkiewicz and Simpson's overlap): a short headline is in a long one, or it is another matter."""

_LATIN: Final = re.compile(r"[^\W\d_]{4,}")
_HAN: Final = re.compile(r"[\u3400-\u9fff]+")


class Similar(NamedTuple):
    """A past incident, by its first alert, and what makes it like the one that is looked at."""

    alert: Alert
    because: tuple[str, ...]  # of "company", "risk", "words"; never empty


def similar_to(alert: Alert, past: Iterable[Alert]) -> list[Similar]:
    """The incidents that were opened before an alert and are most like it, most alike first, the later one of two.

    Args:
        alert: the one that is looked at.
        past: alerts, in any order; of each incident the first one given counts, and those of the alert's own incident do not.
    """
    mine = _Traits(alert)
    firsts: dict[str, Alert] = {}
    for other in sorted(past, key=lambda one: (one.update, one.opened_ms, one.id)):
        if other.opened_ms < alert.opened_ms and other.incident != alert.incident:
            firsts.setdefault(other.incident, other)
    found = [Similar(other, because) for other in firsts.values() if (because := mine.shared_with(_Traits(other)))]
    return sorted(found, key=lambda one: (-len(one.because), "company" not in one.because, -one.alert.opened_ms, one.alert.id))[
        :SIMILAR_MAX
    ]


class _Traits:
    """What an alert is about."""

    def __init__(self, alert: Alert) -> None:
        keys = [key.split(":") for key in alert.all_series if series_kind(key) in ("entity", "flag")]
        self.companies = {parts[-1] for parts in keys}
        self.risks = {parts[1] for parts in keys if parts[0] == "flag"}
        titles = [part.name for part in alert.parts if part.name not in ("other", "expected")] or [quote.title for quote in alert.evidence]
        self.words = {word for title in titles for word in words_in(title)}

    def shared_with(self, other: "_Traits") -> tuple[str, ...]:
        shared = len(self.words & other.words)
        overlap = shared / max(1, min(len(self.words), len(other.words)))
        found = {
            "company": bool(self.companies & other.companies),
            "risk": bool(self.risks & other.risks),
            "words": shared >= WORDS_SHARED_MIN and overlap >= OVERLAP_MIN,
        }
        return tuple(name for name, holds in found.items() if holds)


def words_in(title: str) -> set[str]:
    """What a headline's words are compared by: words of four letters or more, and pairs of Chinese characters.

    >>> sorted(words_in("Linlan Bank: run on it")), sorted(words_in("临澜银行"))
    (['bank', 'linlan'], ['临澜', '澜银', '银行'])
    """
    pairs = {run[i : i + 2] for run in _HAN.findall(title) for i in range(len(run) - 1)}
    return {word for word in _LATIN.findall(title.casefold()) if not _HAN.search(word)} | pairs
