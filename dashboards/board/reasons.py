"""Reasons that programs store in English, in the reader's words: why a finding was held, why a source is silent.

What is stored is found again by its pattern; a reason that has none stays as it was written.
"""

import re
from functools import lru_cache
from typing import Final

from markupsafe import Markup, escape

from dashboards.board.words import CHINESE, visible
from groundswell.moments import spoken_again

REASONS: Final = (
    # the desk (alerts/desk.py)
    "opened", "same incident", "hold: not improbable enough to open", "hold: nothing open to keep alive", "word: told with it",
    "word: nothing was told of this company that is still remembered", "word: the first of its kind was told",
    "word: {number} updates today, {limit} allowed", "cooldown: {series} alerted in incident {incident}",
    "budget: {number} alerts today, {limit} allowed", "budget: {number} alerts of kind {kind} today, {limit} allowed",
    "chance: {chance} of the p-value that opens, {level} needed now: at most {share} of what is told is to be chance",
    "echo: {number} copies, passed on by readers alone", "told: incident {incident} was told in its own time",
    "over: its beginning was not told, or too long ago", "model_shift: the figures of {series} have moved with the model",
    "update: {number} stories, {told} were told", "update: {number} copies, {told} were told", "update: {number} owners, {told} were told",
    "update: tier {tier}, tier {told} was told", "update: it sees again",
    "update: blind again",
    "update: more than one origin, {number} stories", "update: another risk, {series}", "update: official word, {number} story",
    "update: official word, {number} stories", "update: denied, {number} story", "update: denied, {number} stories",
    # sources (groundswell/store/health.py)
    "not polled for {span}: its crawler is silent",
    "nothing new for {span}, {usual} is the most that is usual from that hour of the week on",
    "polls succeed, but nothing new for {span}, {usual} is the most that is usual from that hour of the week on",
    "polls never succeeded: {text}", "polls fail for {span}: {text}", "heard for {span}: after {usual} its rhythm is known",
    "nobody misses it any more", "its publisher has said that it is gone for good ({text})",
    # whose a figure of the monthly report is
    "all", "one reader of all",
)  # fmt: skip
"""Each with places for what differs; a test finds every reason of those files here."""

_PLACE: Final = re.compile(r"\\{(\w+)\\}")
_SPANS: Final = ("span", "usual")


def _pattern(reason: str) -> re.Pattern[str]:
    return re.compile(_PLACE.sub(r"(?P<\1>.+?)", re.escape(reason)), re.DOTALL)


_PATTERNS: Final = [(reason, _pattern(reason)) for reason in REASONS]


@lru_cache(maxsize=4096)
def known(text: str) -> tuple[str, dict[str, str]] | None:
    """The one of REASONS that a stored text is, and what stands in its places; None where it is none of them.

    >>> known("budget: 3 alerts today, 3 allowed")
    ('budget: {number} alerts today, {limit} allowed', {'number': '3', 'limit': '3'})
    >>> known("something else") is None
    True
    """
    for reason, pattern in _PATTERNS:
        found = pattern.fullmatch(text)
        if found:
            return reason, found.groupdict()
    return None


def said(text: str, language: str) -> Markup:
    """A stored reason as it is shown; what stands in its places is data and stays, but for spans of time."""
    found = known(text) if language != "en" else None
    if found is None:
        return Markup('<span translate="no">{}</span>').format(visible(text))
    reason, places = found
    shown = {
        name: Markup("<bdi>{}</bdi>").format(spoken_again(value, language=language) if name in _SPANS else visible(value))
        for name, value in places.items()
    }
    return Markup(escape(CHINESE.get(reason, reason))).format(**shown)
