"""Compose: an opening and the documents it rests on become an Alert. Pure, and byte for byte the same whenever it is done.

Nothing here is a sentence that no document says: names come from the catalogue, quotes are cut from the documents,
the rest is numbers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from alerts.desk import Opening, evidence_p_ppt
from alerts.detectors.sighting import corroborated
from alerts.detectors.surge import DAY_S
from alerts.detectors.tails import beta_binomial_tail, negative_binomial_tail
from alerts.rules import Rules
from groundswell.names import content_id
from groundswell.records import Alert, Candidate, Document, Part, Quote, Severity

EVIDENCE_MAX: Final = 20
QUOTE_CHARACTERS: Final = 150
TITLE_CHARACTERS: Final = 300
PARTS_MAX: Final = 5
MILLI: Final = 1_000

_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


def compose(
    opening: Opening,
    documents: Mapping[str, Document],
    *,
    rules: Rules,
    display: Callable[[str], str],
    versions: dict[str, str],
) -> Alert:
    """The alert of an opening.

    Args:
        opening: the incident and this tick's candidates, main one first.
        documents: the stored documents of the main candidate's evidence, by id; missing ones (text removed) are left out.
        rules: those in force.
        display: a series key in the reader's words.
        versions: hashes in force, by kind.
    """
    main = opening.candidates[0]
    rows = [row for row in main.evidence if str(row[0]) in documents]
    evidence = [_quote(row, documents[str(row[0])]) for row in rows[:EVIDENCE_MAX]]
    without = main.statistic - 1
    expected = main.expected_milli / MILLI
    fires = _fires_without(main, without, expected, rules)
    share_ppm = 1_000_000 * main.statistic // max(1, main.stories) if main.kind == "surge" else 0
    return Alert(
        id=content_id("alert", opening.incident.incident, str(opening.update), *sorted(str(row[0]) for row in main.evidence)),
        incident=opening.incident.incident,
        update=opening.update,
        kind=main.kind,
        series=main.series,
        all_series=sorted({candidate.series for candidate in opening.candidates}),
        opened_ms=main.known_until_ms,
        known_until_ms=main.known_until_ms,
        severity=_severity(main),
        title=_title(main, display),
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
        without_largest=without,
        without_largest_fires=fires,
        parts=_parts(main, documents),
        evidence=evidence,
        doubts=_doubts(main, without_fires=fires),
        quiet_days=main.quiet_days,
        versions=versions,
    )


def _fires_without(main: Candidate, without: int, expected: float, rules: Rules) -> bool:
    """Whether the alert would have opened without its largest story."""
    if main.kind == "sighting":
        _, *rest = largest_stories(main)
        owners = {row[2] for _, rows in rest for row in rows if row[3]}
        watched = main.series.rsplit(":", 1)[1] in rules.sighting.watched
        p = negative_binomial_tail(without, mean=expected, dispersion=rules.surge.dispersion)
        return (p <= rules.sighting.p_open or watched) and corroborated(without, owners=len(owners), watched=watched, rules=rules.sighting)
    if main.by == "share":
        share, dispersion = main.baseline_share_ppm / 1_000_000, main.share_dispersion_ppm / 1_000_000
        p_share = beta_binomial_tail(without, trials=max(without, main.stories - 1), share=share, dispersion=dispersion)
        return p_share <= rules.surge.p_share_alone
    p = negative_binomial_tail(without, mean=max(expected, 1e-3), dispersion=rules.surge.dispersion)
    return p <= rules.surge.p_open(main.window_s)


def _title(main: Candidate, display: Callable[[str], str]) -> str:
    span = "a day" if main.window_s == DAY_S else "an hour"
    if main.kind == "sighting":
        stories = "1 story" if main.statistic == 1 else f"{main.statistic} stories"
        return f"{display(main.series)}: {stories} in {span}, the first in {main.quiet_days} days"
    if main.by == "share":
        share = 100 * main.statistic / max(1, main.stories)
        normally = f"normally {main.baseline_share_ppm / 1e4:.0f} %"
        return f"{display(main.series)}: {share:.0f} % of {main.stories} stories in {span} are negative, {normally}"
    factor = main.statistic * MILLI / max(main.expected_milli, 1)
    return f"{display(main.series)}: {main.statistic} negative stories in {span}, {factor:.0f}x normal"


def _severity(main: Candidate) -> Severity:
    factor = main.statistic * MILLI / max(main.expected_milli, 1)
    if main.kind == "sighting":
        return "high" if main.owners >= 4 or main.statistic >= 2 * main.limit else "medium"
    if main.statistic >= 2 * main.limit or (factor >= 10 and main.owners >= 5):
        return "high"
    return "medium" if main.owners >= 4 or main.statistic > main.limit else "low"


def largest_stories(main: Candidate) -> list[tuple[str, list[Sequence[str | int]]]]:
    """The stories of a candidate with the rows of their documents, in the order in which an alert's parts name them."""
    by_story: dict[str, list[Sequence[str | int]]] = {}
    for row in main.evidence:
        by_story.setdefault(str(row[1]), []).append(row)
    return sorted(by_story.items(), key=lambda item: (-len(item[1]), item[0]))


def _parts(main: Candidate, documents: Mapping[str, Document]) -> list[Part]:
    """The excess by story: each distinct story is one; the largest are named by their first document, the rest is "other"."""
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
    parts.append(Part(name="expected", stories=0, documents=0, owners=0, excess_milli=-main.expected_milli))
    return parts


def _doubts(main: Candidate, *, without_fires: bool) -> list[str]:
    doubts = []
    if not main.owners_known:
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
    )
