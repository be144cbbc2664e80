"""Why a text is linked to the companies that it is linked to, and which names of the catalogue were seen and set aside.

The same steps as `Catalogue.find`, name by name, with a reason where a name is not counted. A name inside a longer word (`Ford`
in `Fordham`) is no name of the text at all and is left out. For people who tend a catalogue; a worker only needs `find`.

>>> from models.entities import Catalogue
>>> for row in trace(Catalogue.load(), "Apple pie beside tesla; Target at noon; my visa"):
...     print(row.text, row.rule, row.rejected or "found", sep=": ")
Apple: exact: part of 'Apple pie', which is no company
tesla: plain: found
Target: context: needs a business word beside it, or the company's surer name in the text
visa: context: in another case than the catalogue's Visa
"""

from typing import Final

import msgspec

from models.entities import Catalogue, Hit, fold, without_overlaps

NEEDS_CONTEXT: Final = "needs a business word beside it, or the company's surer name in the text"
NOT_ALONE: Final = "within a web address, or straight after a currency sign"


class Traced(msgspec.Struct, frozen=True, kw_only=True):
    """A name or ticker of the catalogue in a text, counted or not."""

    text: str  # as it is spelt there
    start: int  # offset in characters, [start, end)
    end: int
    entity_id: str
    name: str  # how the company is shown in English
    rule: str  # plain, exact, context or ticker
    rejected: str = ""  # why it is no mention; empty for a mention


def trace(catalogue: Catalogue, text: str) -> list[Traced]:
    """Mentions and rejected names in the order of the text; those with an empty `rejected` are what `find` returns."""
    folded = fold(text)
    named = catalogue.seen(text, folded)
    met = [hit for hit, refusal in named if not refusal] + catalogue.tickers_in(text)
    kept = without_overlaps(met)
    found = {(mention.start, mention.end, mention.entity_id) for mention in catalogue.find(text)}
    refused = [(hit, refusal) for hit, refusal in named if refusal and hit.rule != "never"]
    rows = [_row(catalogue, text, hit, _refused(catalogue, text, hit, refusal)) for hit, refusal in refused]
    for hit in met:
        if hit.rule == "never":
            continue
        if hit not in kept:
            rows.append(_row(catalogue, text, hit, _covered(text, hit, kept)))
        else:
            rows.append(_row(catalogue, text, hit, "" if hit[:3] in found else NEEDS_CONTEXT))
    return sorted(rows, key=lambda row: (row.start, row.end, row.entity_id))


def _row(catalogue: Catalogue, text: str, hit: Hit, rejected: str) -> Traced:
    return Traced(
        text=text[hit.start : hit.end],
        start=hit.start,
        end=hit.end,
        entity_id=hit.entity_id,
        name=catalogue.name(hit.entity_id),
        rule=hit.rule,
        rejected=rejected,
    )


def _refused(catalogue: Catalogue, text: str, hit: Hit, refusal: str) -> str:
    """What kept a name from being looked at further."""
    if refusal == "address":
        return NOT_ALONE
    key = fold(text[hit.start : hit.end])
    spellings = [name for name, _ in catalogue.entities[hit.entity_id].rules() if fold(name) == key]
    return f"in another case than the catalogue's {' or '.join(spellings)}"


def _covered(text: str, hit: Hit, kept: list[Hit]) -> str:
    """Which kept name or phrase overlaps this one."""
    other = next(one for one in kept if one.start < hit.end and hit.start < one.end)
    longer = repr(text[other.start : other.end])
    return f"part of {longer}, which is no company" if other.rule == "never" else f"part of {longer}, which is {other.entity_id}"
