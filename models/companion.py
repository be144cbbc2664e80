"""The linear model that reads beside an encoder: its opinion is mixed in where that helped, and where it is certain it answers alone.

The two err differently: the encoder reads sentences, the linear model knows the vocabulary of its domain. How much of its opinion goes
into a head is fitted on held-out texts by a linear model that has not seen them (models/encoder/finish.py). A text that it is certain
of costs no encoder at all; certain means that topic and sentiment both reach the card's probability.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from groundswell.errors import BundleError
from models import linear
from models.bundle import CompanionCard, EncoderCard
from models.linear import LinearModel
from models.taxonomy import PPM

LEAST: Final = 1e-6  # of a probability, before its logarithm is taken

Heads = Mapping[str, NDArray[np.float64]]


class Opinion(NamedTuple):
    """What the linear model says of one text."""

    heads: Heads  # head -> calibrated probabilities of its columns
    certain: bool


class Companion:
    """A linear model beside one encoder. Safe to share between threads."""

    def __init__(self, model: LinearModel, card: EncoderCard, settings: CompanionCard) -> None:
        """Put the two together.

        Raises:
            BundleError: it is another linear model than the encoder was calibrated beside, or it has other columns.
        """
        found = linear.model_id([model], lexicon=b"")
        if found != settings.model:
            message = (
                f"bundle {card.name}: it was calibrated beside {settings.model}, the linear bundle of {card.language!r} is {found}; "
                "restore the linear bundle that it was made with, or make the encoder's bundle again"
            )
            raise BundleError(message)
        for head in settings.weights:
            if model.card.heads.get(head) != card.heads[head]:
                message = (
                    f"bundle {card.name}: head {head} has {len(card.heads[head])} columns, that of {found} has "
                    f"{len(model.card.heads.get(head, []))} or others; train the two on the same labels"
                )
                raise BundleError(message)
        self._model, self._settings = model, settings

    def read(self, texts: Sequence[str]) -> list[Opinion]:
        """One opinion per text, each as if it were alone."""
        by_head = self._model.probabilities(texts)
        rows = [{head: columns[row] for head, columns in by_head.items()} for row in range(len(texts))]
        return [Opinion(heads, is_certain(heads, self._settings.certain_ppm)) for heads in rows]

    def mixed(self, logits: NDArray[Any], parts: Mapping[str, slice], opinion: Opinion) -> NDArray[np.float64]:
        """An encoder's logits [C] of one text with the companion's opinion in them; `parts` says which columns are whose."""
        found = logits.astype(np.float64)
        for head, weight in self._settings.weights.items():
            found[parts[head]] = mix(found[parts[head]], opinion.heads[head], head=head, weight=weight)
        return found


def is_certain(heads: Heads, least_ppm: int) -> bool:
    """Whether the topic and the sentiment of a text [columns each] both reach a probability; with 0 nothing is certain."""
    if not least_ppm or "topic" not in heads:
        return False
    gate = heads["gate"][0]
    sentiment = (1 - gate) * heads["post"] + gate * heads["news"]
    return bool(min(heads["topic"].max(), sentiment.max()) * PPM >= least_ppm)


def mix(margins: NDArray[np.float64], shares: NDArray[np.float64], *, head: str, weight: float) -> NDArray[np.float64]:
    """Weighted mean of an encoder's margins and the logarithms of a companion's probabilities, of the same shape.

    Of labels, which stand alone, the logarithm of the odds is taken.
    """
    bounded = np.clip(shares, LEAST, 1 - LEAST)
    opinion = np.log(bounded) - np.log1p(-bounded) if head == "labels" else np.log(bounded)
    return (1 - weight) * margins + weight * opinion
