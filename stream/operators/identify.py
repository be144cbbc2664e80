"""Identify: is this document new, a replay of the same position, a duplicate, or an edit?

Decided once, where all copies of a document meet in one log in order. Same raw position = replay; another position with
known content = duplicate; another position with new content = edit: kept and shown, not counted twice.
"""

from collections.abc import Iterable

from groundswell.records import Admission, Document, Outcome, Position

Known = dict[str, dict[str, Position]]
"""{document id: {content hash: first position}} of this run, for the documents of a batch."""


def identify(documents: Iterable[tuple[Position, Document]], known: Known) -> list[Admission]:
    """One admission for each document, in the order given; `known` is extended by what the batch itself brings.

    A replayed position gets the outcome it had: the first content of a document was scored, a later one was an edit.

    >>> from groundswell.records import Document
    >>> def doc(content): return Document(document_id="d", content_hash=content, source="s", owner="s", owner_known=True,
    ...     kind="news", language="en", title="t", text="", url=None, published_ms=0, published_precision="second", known_ms=0)
    >>> [a.outcome for a in identify([(Position(0, n), doc(c)) for n, c in enumerate("aab")], {})]
    ['scored', 'duplicate', 'edited']
    """
    admissions = []
    for position, document in documents:
        contents = known.setdefault(document.document_id, {})
        first = contents.setdefault(document.content_hash, position)
        outcome: Outcome = "duplicate"
        if first == position:
            outcome = "scored" if position == min(contents.values()) else "edited"
        admissions.append(
            Admission(
                position=position,
                known_ms=document.known_ms,
                source=document.source,
                language=document.language,
                outcome=outcome,
                document_id=document.document_id,
                content_hash=document.content_hash,
            )
        )
    return admissions
