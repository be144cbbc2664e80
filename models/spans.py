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


def whole_words(tags: NDArray[Any], offsets: NDArray[Any], text: str) -> NDArray[Any]:
    """Tags by which a name holds whole words: the later pieces of a word go where its first piece goes.

    Args:
        tags: of tokens [t].
        offsets: characters `[start, end)` of each token in the text [t, 2].
        text: that they are the tokens of. Words are runs of ASCII letters and digits; Chinese characters stand alone.

    >>> import numpy as np
    >>> pieces = np.array([[0, 2], [2, 7], [8, 13]])  # Ho ##siery maker
    >>> whole_words(np.array([1, 0, 0]), pieces, "Hosiery maker").tolist()
    [1, 2, 0]
    """
    whole = tags.copy()
    for place in range(1, len(tags)):
        start = int(offsets[place, 0])
        if 0 < start == offsets[place - 1, 1] and _is_letter(text[start - 1]) and _is_letter(text[start]):
            whole[place] = OUTSIDE if whole[place - 1] == OUTSIDE else INSIDE
    return whole


def _is_letter(character: str) -> bool:
    return character.isascii() and character.isalnum()
