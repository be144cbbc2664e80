"""Places of names as tags of tokens: outside, the beginning of a name, inside one (Ramshaw and Marcus 1995)."""

from typing import Any, Final

from numpy.typing import NDArray

TAGS: Final = ("outside", "begin", "inside")
OUTSIDE, BEGIN, INSIDE = range(len(TAGS))


def spans_of(tags: NDArray[Any]) -> set[tuple[int, int]]:
    """Spans `[first, last)` of a sequence of tags; an inside without a begin before it begins none.

    >>> import numpy as np
    >>> sorted(spans_of(np.array([0, 1, 2, 0, 1, 1, 2, 2])))
    [(1, 3), (4, 5), (5, 8)]
    """
    spans = set()
    first = None
    for place, tag in enumerate([*tags.tolist(), 0]):
        if first is not None and tag != INSIDE:
            spans.add((first, place))
            first = None
        if tag == BEGIN:
            first = place
    return spans
