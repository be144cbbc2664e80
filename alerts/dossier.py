"""Compose: an opening and the documents it rests on become an Alert. Pure, and byte for byte the same whenever it is done.

Nothing here is a sentence that no document says: names come from the catalogue, quotes are cut from the documents,
the rest is numbers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from alerts.against import against_of, largest_stories, without_largest
from alerts.desk import Opening, evidence_p_ppt
from alerts.kinds import MILLI, severity_of, title_of
from alerts.rules import Rules
from groundswell.names import content_id, series_kind
from groundswell.records import Alert, AlertKind, Candidate, Document, Part, Peers, Quote
from groundswell.windows import tier_of

EVIDENCE_MAX: Final = 20
QUOTE_CHARACTERS: Final = 150
TITLE_CHARACTERS: Final = 300
PARTS_MAX: Final = 5
SHARED: Final[frozenset[AlertKind]] = frozenset({"surge", "late", "slow_burn", "model_shift"})
"""Kinds whose statistic is a part of their stories."""

PEERED: Final[frozenset[AlertKind]] = frozenset({"surge", "slow_burn"})

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


def compose(
    opening: Opening,
    documents: Mapping[str, Document],
    *,
    rules: Rules,
    display: Callable[[str], str],
    versions: dict[str, str],
    peers: Peers | None = None,
) -> Alert:
    """The alert of an opening.

    Args:
        opening: the incident and this tick's candidates, main one first.
        documents: the stored documents of its evidence, by id; missing ones (text removed) are left out.
        rules: those in force.
        display: a series key in the reader's words.
        versions: hashes in force, by kind.
        peers: what those that it is compared with did meanwhile.
    """
    main = opening.candidates[0]
    rows = [row for row in opening.evidence if str(row[0]) in documents]
    if opening.news == "tier":  # what it is told for comes first
        rows.sort(key=lambda row: tier_of(row) or len(main.evidence) + MILLI)
    evidence = [_quote(row, documents[str(row[0])]) for row in rows[:EVIDENCE_MAX]]
    without = without_largest(main, rules)
    share_ppm = 1_000_000 * main.statistic // max(1, main.stories) if main.kind in SHARED and series_kind(main.series) != "watch" else 0
    return Alert(
        id=content_id("alert", opening.incident.incident, str(opening.update), *sorted(str(row[0]) for row in main.evidence)),
        incident=opening.incident.incident,
        update=opening.update,
        kind=main.kind,
        series=main.series,
        all_series=sorted({candidate.series for candidate in opening.candidates}),
        opened_ms=main.known_until_ms,
        known_until_ms=main.known_until_ms,
        severity=severity_of(main),
        title=title_of(main, display, said_by=next((documents[name] for row in main.evidence if (name := str(row[0])) in documents), None)),
        statistic=main.statistic,
        expected_milli=main.expected_milli,
        limit=main.limit,
        p_ppt=evidence_p_ppt(main),
        by=main.by,
        window_s=main.window_s,
        stories=main.stories,
        owners=main.owners,
        owners_known=main.owners_known,
        negative_share_ppm=share_ppm,
        baseline_share_ppm=main.baseline_share_ppm,
        exposure_ppm=main.exposure_ppm,
        without_largest=without.statistic,
        without_largest_fires=without.fires,
        parts=_parts(main, documents),
        evidence=evidence,
        doubts=_doubts(main, without_fires=without.fires),
        quiet_days=main.quiet_days,
        late_s=main.late_s,
        ended=main.ended,
        against=against_of(main, documents, rules),
        peers=peers if main.kind in PEERED else None,
        news=opening.news,
        quiet_from_ms=opening.quiet_from_ms,
        versions=versions,
    )


def _parts(main: Candidate, documents: Mapping[str, Document]) -> list[Part]:
    """The excess by story: each distinct story is one; the largest are named by their first document, the rest is "other".

    Of an amplification the documents count, all of one story; what is told of the instrument has no parts.
    """
    if main.kind in ("blind", "model_shift"):
        return []
    if main.kind == "amplification":
        return [_origin(main, documents), _expected(main)]
    largest = largest_stories(main)
    named = [(story, rows) for story, rows in largest if str(rows[0][0]) in documents][:PARTS_MAX]
    parts = [
        Part(
            name=_shown(documents[str(rows[0][0])])[:TITLE_CHARACTERS],
            stories=1,
            documents=len(rows),
            owners=len({row[2] for row in rows}),
            excess_milli=MILLI,
        )
        for _, rows in named
    ]
    rest = [row for story, rows in largest if story not in dict(named) for row in rows]
    others = main.statistic - len(named)
    if others:
        parts.append(
            Part(name="other", stories=others, documents=len(rest), owners=len({row[2] for row in rest}), excess_milli=others * MILLI)
        )
    return [*parts, _expected(main)]


def _expected(main: Candidate) -> Part:
    return Part(name="expected", stories=0, documents=0, owners=0, excess_milli=-main.expected_milli)


def _origin(main: Candidate, documents: Mapping[str, Document]) -> Part:
    """The one story of an amplification, named by the first of its documents that is there."""
    first = next((documents[str(row[0])] for row in main.evidence if str(row[0]) in documents), None)
    name = _shown(first)[:TITLE_CHARACTERS] if first else "other"
    return Part(name=name, stories=1, documents=main.statistic, owners=main.owners, excess_milli=main.statistic * MILLI)


def _doubts(main: Candidate, *, without_fires: bool) -> list[str]:
    doubts: list[str] = []
    if main.kind in ("blind", "model_shift"):
        return doubts
    if main.evidence and not main.owners_known:  # a week whose last day brought nothing rests on no unknown author
        doubts.append("one platform, authors unknown")
    if not without_fires:
        doubts.append("without the largest story it would not have fired")
    if main.exposure_ppm < 900_000:
        doubts.append(f"only {main.exposure_ppm // 10_000} % of the usual volume was seeing")
    return doubts


def _shown(document: Document) -> str:
    return document.title or document.text


def _quote(row: Sequence[str | int], document: Document) -> Quote:
    """A document of the evidence with the first sentence of what it says, at most 150 characters, cut at a blank."""
    whole = f"{document.title}\n{document.text}"
    start = 0 if document.title else 1
    body = whole[start:].split("\n", 1)[0]
    sentence = _SENTENCE_END.split(body, maxsplit=1)[0]
    quote = sentence[:QUOTE_CHARACTERS]
    if len(sentence) > QUOTE_CHARACTERS and " " in quote[QUOTE_CHARACTERS // 2 :]:
        quote = quote[: quote.rindex(" ")]
    return Quote(
        document_id=document.document_id,
        title=_shown(document)[:TITLE_CHARACTERS],
        source=document.source,
        published_ms=document.published_ms,
        known_ms=document.known_ms,
        quote=quote,
        start=start,
        end=start + len(quote),
        negative_ppm=int(row[4]),
        story=str(row[1]),
        url=document.url,
        role=document.role or msgspec.UNSET,
        tier=document.tier or msgspec.UNSET,
    )
