"""Synthetic English company news with known sentiment: `python -m models.synthetic 30` prints thirty sentences.

Why: the sets that may be trained on are tweets and Indian headlines, so a model never sees how companies and news agencies
announce things. A sentence is a frame (synthetic_frames.toml) whose slots are filled from word lists (synthetic_words.toml)
and figures (synthetic_figures.py). All of it is written for this project from general knowledge of how companies announce;
company names are invented, and no sentence is taken from a data set.

The label is an investor's view of the first-named company: does the sentence speak for a higher share price, for a lower one,
or for neither? Where two values are compared, it is computed from them and from what more of the quantity means.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from groundswell.errors import UsageError
from groundswell.names import SENTIMENTS
from models.examples import Example, Target
from models.synthetic_figures import Comparison
from models.synthetic_grammar import NEUTRAL, Frame, Grammar, load_grammar
from models.synthetic_scene import MARK, MARKS, Scene

CORPUS: Final = "synthetic"
SHARES: Final = (0.18, 0.55, 0.27)  # of negative, neutral, positive
NEUTRAL_WEIGHTS: Final = {"mirror": 0.6, "compare": 0.33}  # of such groups among neutral ones: plain facts are the larger part

# Dress, drawn for every sentence alike, so that it says nothing of the sentiment.
LEAD: Final = 0.2  # share with a lead-in
END: Final = 0.3  # share with an ending such as ", the company said"; no sentence has both
LOOSE: Final = 0.35  # punctuation between spaces, as tokenised news has it
LOWER: Final = 0.04  # no capitals at all
TITLED: Final = 0.15  # of headlines: Words Begin Like This
SHOUTED: Final = 0.03  # of headlines: capitals throughout
LONG_NAME: Final = 0.45  # of first mentions: with the legal form
DESCRIBED: Final = 0.1  # of first mentions: "Finnish paper maker ..."
UNDOTTED: Final = 0.07  # of sentences: without their full stop

_ARTICLE: Final = re.compile(
    r"\b([Aa]) (?=(?!eu|one\b)[aeio]|u(?!n[ai]|s|ti)|(?!Eu)[AEIO][a-z]|EBIT|EPS|MSc|MBA|8|1[18](?!\d))"  # an hour, but a unit and a one-off
)
# Words of Draft.text that take "the" in a sentence and none in a headline.
_COUNTED: Final = re.compile(r"(^|, |\b(?:in|of|saw|at) )(?=(?:average |total )?(?:number|share|trading volume) of\b)")


@dataclass(frozen=True, slots=True)
class Draft:
    """A sentence with all that is known of how it came about."""

    text: str
    sentiment: int  # index in names.SENTIMENTS
    targets: tuple[Target, ...]  # every mention of a company, in order
    frame: Frame
    comparisons: tuple[Comparison, ...]  # the first one decides
    shared: str  # lead-in and ending as they were drawn, before the sentence was dressed


def sentences(count: int, seed: int) -> list[Example]:
    """Distinct sentences, the same ones for the same seed; fewer of them are the beginning of more.

    About 18 % are negative, 55 % neutral, 27 % positive. Sentences of one frame are alike: a part of them held out of training
    measures memory, not skill. Targets are all mentions of invented companies; newspapers and news agencies are none.

    Raises:
        UsageError: a negative count.
        SettingsError: the word or frame file cannot be read.
    """
    if count < 0:
        message = f"synthetic: a number of sentences is not negative; got {count}; pass 0 for none"
        raise UsageError(message)
    drawn = drafts(seed)
    return [example_of(next(drawn)) for _ in range(count)]


def example_of(draft: Draft) -> Example:
    """A draft as it is learned from."""
    return Example(text=draft.text, corpus=CORPUS, language="en", kind="news", sentiment=draft.sentiment, targets=draft.targets)


def drafts(seed: int) -> Iterator[Draft]:
    """Distinct sentences without end."""
    grammar, chance = load_grammar(), Random(seed)
    seen: set[str] = set()
    while True:
        (sentiment,) = chance.choices(range(len(SENTIMENTS)), SHARES)
        while (draft := _draft(grammar, chance, sentiment)).text in seen:
            pass
        seen.add(draft.text)
        yield draft


def _draft(grammar: Grammar, chance: Random, sentiment: int) -> Draft:
    frames = grammar.frames[sentiment]
    factors = NEUTRAL_WEIGHTS if sentiment == NEUTRAL else {}
    weights = [grammar.groups[name].weight * factors.get(grammar.groups[name].label, 1.0) for name in frames]
    return draft_of(grammar, chance.choice(frames[chance.choices(list(frames), weights)[0]]), sentiment=sentiment, chance=chance)


def draft_of(grammar: Grammar, frame: Frame, *, sentiment: int, chance: Random) -> Draft:
    """A sentence of one frame.

    Raises:
        KeyError: the frame has a slot that nothing fills.
    """
    group = grammar.groups[frame.group]
    scene = Scene(grammar.words, chance, sentiment, group)
    text = scene.expand(frame.line)
    text = _COUNTED.sub(r"\1the ", text) if not group.headline else text
    lead, end = ("", "") if group.headline else _shared(grammar, scene)
    text = _ARTICLE.sub(r"\1n ", _tight(f"{lead} {text}{end}"))
    text = _headline(text, chance) if group.headline else text if chance.random() < UNDOTTED else text + "."
    text = text[0].upper() + text[1:]
    if chance.random() < LOOSE:
        text = _loose(text)
    others = {"neutral": NEUTRAL, "same": sentiment, "opposite": len(SENTIMENTS) - 1 - sentiment}
    sentiments = {"A": sentiment, "B": others[group.other], "bank": NEUTRAL}
    text, targets = _named(text, scene, sentiments)
    if chance.random() < LOWER:
        text = text.lower()
        targets = [Target(target.name.lower(), target.start, target.end, target.sentiment) for target in targets]
    return Draft(text, sentiment, tuple(targets), frame, tuple(scene.comparisons), f"{lead} {end}".strip())


def _shared(grammar: Grammar, scene: Scene) -> tuple[str, str]:
    """Lead-in and ending, at most one of them."""
    drawn = scene.chance.random()
    leads, ends = (grammar.words.shared[key].strip().splitlines() for key in ("leads", "ends"))
    if drawn < LEAD:
        return scene.expand(scene.chance.choice(leads)), ""
    return "", scene.expand(scene.chance.choice(ends)) if drawn < LEAD + END else ""


def _tight(text: str) -> str:
    """One space between words, none before punctuation or inside brackets.

    >>> _tight(" sales :  EUR 5 mn ( 4 ) , up ")
    'sales: EUR 5 mn (4), up'
    """
    text = re.sub(r"\s+([,.;:)])", r"\1", re.sub(r"\s+", " ", text))
    return re.sub(r"\(\s+", "(", text).replace(",,", ",").strip(" ,")


def _loose(text: str) -> str:
    """Punctuation as words of their own.

    >>> _loose("Kelo's sales rose 5%, to EUR 1,250 (1,190).")
    "Kelo 's sales rose 5 % , to EUR 1,250 ( 1,190 ) ."
    """
    text = re.sub(r"(?<=\S)([,;:)])(?=[\s.,;]|$)", r" \1", text)
    text = re.sub(r"(?<=\d)%", " %", re.sub(r"\((?=\S)", "( ", text))
    return re.sub(r"(?<=\S)\.$", " .", text.replace("'s ", " 's "))


def _headline(text: str, chance: Random) -> str:
    """Capitals as headlines have them; companies are marks yet and keep their spelling."""
    drawn = chance.random()
    if drawn < TITLED:
        return re.sub(r"(?<![\w'])[a-z](?=[a-z]{3})", lambda letter: letter[0].upper(), text)
    return text.upper() if drawn < TITLED + SHOUTED else text


def _named(text: str, scene: Scene, sentiments: dict[str, int]) -> tuple[str, list[Target]]:
    """Put the companies' names in: the first mention at times with legal form or description, later ones short."""
    key_of = {mark: key for key, mark in MARKS.items()}
    parts: list[str] = []
    targets: list[Target] = []
    met: set[str] = set()
    last = at = 0
    for mark in MARK.finditer(text):
        key = key_of[mark[0]]
        company = scene.companies[key]
        name = company.long if key not in met and scene.chance.random() < LONG_NAME else company.short
        described = key not in met and scene.chance.random() < DESCRIBED
        met.add(key)
        before = text[last : mark.start()] + (f"{company.described} " if described else "")
        start = at + len(before)
        parts += [before, name]
        targets.append(Target(name, start, start + len(name), sentiments[key]))
        last, at = mark.end(), start + len(name)
    return re.sub(r"\.\.$", ".", "".join([*parts, text[last:]])), targets  # "Inc." needs no second full stop


def main(arguments: Sequence[str]) -> int:
    """Print sentences with their sentiment and the companies: `[count [seed]]`."""
    count, seed = [*map(int, arguments), *(30, 0)[len(arguments) :]]
    for example in sentences(count, seed):
        names = ", ".join(f"{target.name} {SENTIMENTS[target.sentiment or 0]}" for target in example.targets or ())
        sys.stdout.write(f"{SENTIMENTS[example.sentiment or 0]:8}  {example.text}  [{names}]\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
