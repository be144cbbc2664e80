"""The share of negative documents behind the share that a classifier calls negative: corrected for its measured errors.

    labelled texts        called negative     not             a window of documents
      negative             hits                 .              called negative / documents
      other                alarms               .          -> share of documents that are negative, with its 90 % interval

A classifier that misses one negative in five and calls one other in ten negative shows neither 0 % nor 60 % as what they are.
Detectors compare what was called negative with what was called negative before, so they need none of this; people and
charts that state a share do.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Final

import msgspec

from groundswell.errors import RecordError
from groundswell.windows import Z_90

PRIOR_TEXTS: Final = 20
"""How many labelled texts of each class the whole language counts for, where a topic's own are few."""

SURE_DOCUMENTS: Final = 3
SURE_SHARE: Final = 0.25
"""What a window is taken to hold beside its own documents: three of which the truth is known, a quarter of them negative.

Three is what Agresti and Coull (1998) add to a share at 90 % (1.645 squared), as the interval does; a quarter is about the share of
negatives among all labelled texts of both languages (573 of 2,532). `bench shares` measures it on seeds that had no part in that.
"""

HALVINGS: Final = 30  # of [0, 1]: the estimate is exact to 1e-9

GAP_MIN: Final = 0.2
"""Hits' share less alarms' share: below it the answers say too little of the truth to be corrected."""


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """What a classifier made of labelled texts of one topic or language; counts."""

    hits: float  # negative, and called so
    negatives: float  # negative
    alarms: float  # not negative, and called so
    others: float  # not negative


class ErrorMatrix(msgspec.Struct, frozen=True, kw_only=True):
    """The measured errors of one model in one language."""

    model: str  # of this language: a part of Score.model_id
    language: str
    corpora: list[str]  # whose labelled texts
    whole: Errors
    topics: dict[str, Errors]  # by the topic that the model gives: what a window knows of its documents

    def of_topic(self, topic: str) -> Errors:
        """The errors within a topic: its own, with the whole language's for as much as PRIOR_TEXTS texts of each class.

        >>> few = Errors(hits=1, negatives=2, alarms=0, others=10)
        >>> whole = Errors(hits=80, negatives=100, alarms=40, others=1000)
        >>> ErrorMatrix(model="m", language="en", corpora=["c"], whole=whole, topics={"earnings": few}).of_topic("earnings")
        Errors(hits=17.0, negatives=22, alarms=0.8, others=30)
        """
        own = self.topics.get(topic, Errors(hits=0, negatives=0, alarms=0, others=0))
        return Errors(
            hits=own.hits + PRIOR_TEXTS * self.whole.hits / max(1, self.whole.negatives),
            negatives=own.negatives + PRIOR_TEXTS,
            alarms=own.alarms + PRIOR_TEXTS * self.whole.alarms / max(1, self.whole.others),
            others=own.others + PRIOR_TEXTS,
        )


@dataclass(frozen=True)
class CorrectedShare:
    """Share of documents that are negative, in [0, 1], with its 90 % interval."""

    share: float
    low: float
    high: float


def corrected_share(negative: int, documents: int, errors: Errors) -> CorrectedShare | None:
    """Correct the share of documents that were called negative.

    Each document counts as negative by the chance that it is, given what it was called; three more count whose truth is known
    (SURE_DOCUMENTS). So the correction of Rogan and Gladen (1978), which a long window comes to, does not stretch the chance of a
    short one. The interval is that of Lang and Reiczigel (2014), which counts the doubt in the window and in both rates of the
    errors. Both take the errors within negatives and within others to be what they were on the labelled texts, whatever the share.

    Args:
        negative: documents that were called negative.
        documents: all documents.
        errors: of the classifier that called them.

    Returns:
        None for no documents, no labelled texts, or a classifier whose answers hardly depend on the truth (GAP_MIN).

    >>> errors = Errors(hits=80, negatives=100, alarms=100, others=1000)
    >>> found = corrected_share(38, 100, errors)
    >>> round(found.share, 3), round(found.low, 3), round(found.high, 3)
    (0.391, 0.29, 0.531)
    """
    if documents < 1 or errors.negatives <= 0 or errors.others <= 0:
        return None
    hit, alarm = errors.hits / errors.negatives, errors.alarms / errors.others
    if hit - alarm < GAP_MIN:
        return None
    share = _likeliest(negative, documents, hit=hit, alarm=alarm)
    low, high = _interval(negative, documents, errors)
    return CorrectedShare(share, min(low, share), max(high, share))


def _likeliest(negative: int, documents: int, *, hit: float, alarm: float) -> float:
    """The one share of negatives that is what it leads to: negatives expected among these documents, and the sure ones, by all of them.

    It is where EM for a share (Saerens, Latinne and Decaestecker, 2002) comes to rest: the mode under a Beta prior, which is unique,
    and greater the more is called negative. Halving uses the four basic operations alone, so every machine gets the same bits.
    """
    gap, hits, misses = hit - alarm, negative * hit, (documents - negative) * (1 - hit)
    sure, total = SURE_SHARE * SURE_DOCUMENTS, documents + SURE_DOCUMENTS
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        share = (low + high) / 2
        called = alarm + gap * share
        if share * (hits / called + misses / (1 - called)) + sure > share * total:
            low = share
        else:
            high = share
    return (low + high) / 2


def _interval(negative: int, documents: int, errors: Errors) -> tuple[float, float]:
    """Lang and Reiczigel (2014), section 2: each of the three rates drawn towards one half, as Agresti and Coull do."""
    squared = Z_90 * Z_90
    called, called_n = (negative + squared / 2) / (documents + squared), documents + squared
    hit, hit_n = (errors.hits + 1) / (errors.negatives + 2), errors.negatives + 2
    alarm, alarm_n = (errors.alarms + 1) / (errors.others + 2), errors.others + 2
    gap = hit - alarm
    middle = (called - alarm) / gap
    of_hits, of_alarms = hit * (1 - hit) / hit_n, alarm * (1 - alarm) / alarm_n
    shift = 2 * squared * (middle * of_hits - (1 - middle) * of_alarms)
    half = Z_90 / gap * sqrt(called * (1 - called) / called_n + middle**2 * of_hits + (1 - middle) ** 2 * of_alarms)
    low, high = (min(1.0, max(0.0, bound)) for bound in (middle + shift - half, middle + shift + half))
    return low, high


def matrices_in(content: bytes) -> tuple[ErrorMatrix, ...]:
    """What a version of the error matrices holds.

    Raises:
        RecordError: it is no such thing.
    """
    try:
        return msgspec.json.decode(content, type=tuple[ErrorMatrix, ...])
    except msgspec.MsgspecError as error:
        message = f"error matrices: a list of what `groundswell models errors` writes; got {error}; write the file anew with that command"
        raise RecordError(message) from error


def matrix_of(matrices: Iterable[ErrorMatrix], model_id: str, language: str) -> ErrorMatrix | None:
    """The matrix of a model in a language; a scorer of several languages has joined the names of its models with "+"."""
    parts = model_id.split("+")
    return next((one for one in matrices if one.language == language and one.model in parts), None)
