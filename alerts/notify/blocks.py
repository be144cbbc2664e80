"""A message as Slack's Block Kit, and within Slack's limits: everything that a stranger may have written is `plain_text`.

In such an object nothing is a mention, a link or a format; only our own links are mrkdwn.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

__all__ = ["FALLBACK_CHARS", "HEADER_CHARS", "TOTAL_CHARS", "blocks_of", "blocks_of_list", "clamp", "escaped", "link_of", "plain"]

BLOCKS_MAX: Final = 50
HEADER_CHARS, SECTION_CHARS, CONTEXT_CHARS, CONTEXT_ELEMENTS = 150, 3_000, 2_000, 10
TOTAL_CHARS: Final = 10_000  # undocumented: at about 13,200 over all blocks Slack refuses the message
FALLBACK_CHARS: Final = 4_000
SUBJECT_CHARS: Final = 140  # of the header's 150, less "[resent] "

_PLAIN: Final = str.maketrans({"<": "‹", ">": "›", "@": "＠"})
_FORMAT: Final = str.maketrans({"@": "＠", "*": "∗", "_": "＿", "~": "∼", "`": "'", "|": "¦"})


def blocks_of(said: dict[str, Any]) -> tuple[tuple[str, ...], tuple[dict[str, Any], ...]]:
    """The sentences of a message as pieces of plain text, and as blocks."""
    labels = said["labels"]
    lists = [f"{labels[key]}\n• " + "\n• ".join(said[name]) for key, name in (("why", "parts"), ("doubt", "doubts")) if said[name]]
    quotes = [f"“{words}”\n{source}" for words, source in said["quotes"]]
    pieces = tuple(text for text in (f"{said['lead']}\n{said['share']}", *lists, "\n".join(quotes)) if text)
    links = "  ".join(link_of(label, url) for label, url in [(labels["open"], said["url"]), *said["links"]])
    details = [*said["details"], *filter(None, [said["because"]])]
    blocks: tuple[dict[str, Any], ...] = (
        {"type": "header", "text": plain(_cut(said["subject"], SUBJECT_CHARS))},
        *({"type": "section", "text": plain(text)} for text in pieces),
        {"type": "section", "text": {"type": "mrkdwn", "text": f"{links}  `{said['explain']}`", "verbatim": True}},
        {"type": "context", "elements": [plain(line) for line in details]},
    )
    return (*pieces, "\n".join(details)), blocks


def blocks_of_list(said: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """A digest as blocks: for each alert its words and our link."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": plain(_cut(said["subject"], SUBJECT_CHARS))},
        {"type": "section", "text": plain(said["lead"])},
    ]
    for one in said["shown"]:
        link = {"type": "section", "text": {"type": "mrkdwn", "text": link_of(said["labels"]["dossier"], one["url"]), "verbatim": True}}
        if len(blocks) + 2 < BLOCKS_MAX - 1:
            blocks += [{"type": "section", "text": plain(f"{one['subject']}\n{one['lead']}")}, link]
    links = "  ".join(link_of(label, url) for label, url in [(said["labels"]["open"], said["url"]), *said["links"]])
    return (*blocks, {"type": "section", "text": {"type": "mrkdwn", "text": links, "verbatim": True}})


def plain(text: str) -> dict[str, Any]:
    """A `plain_text` object without anything that some client might still take for a tag, a mention or an entity."""
    text = re.sub(r"&(?=(amp|lt|gt|#\w+);)", "＆", text)
    return {"type": "plain_text", "text": text.translate(_PLAIN), "emoji": False}


def escaped(text: str) -> str:
    """Text for a field that Slack formats: entities for its three control characters, look-alikes for the rest."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").translate(_FORMAT)


def link_of(label: str, url: str) -> str:
    """One of our own links in mrkdwn."""
    return f"<{url.replace('&', '&amp;')}|{escaped(label)}>"


def clamp(blocks: Sequence[dict[str, Any]], *, total_chars: int = TOTAL_CHARS) -> list[dict[str, Any]]:
    """A copy of the blocks within every limit of Slack, documented or not.

    Our link (the only mrkdwn) is never cut, because half a link is none; room is kept for it first. Plain text is cut from the
    end of the message backwards and ends with an ellipsis; what has no room left goes.

    >>> clamp([{"type": "section", "text": {"type": "plain_text", "text": "too long"}}], total_chars=4)
    [{'type': 'section', 'text': {'type': 'plain_text', 'text': 'too…'}}]
    """
    links = [b for b in blocks if b.get("text", {}).get("type") == "mrkdwn"]
    room = total_chars - sum(len(b["text"]["text"]) for b in links)
    fitted: list[dict[str, Any]] = []
    plain_left = BLOCKS_MAX - len(links)
    for block in blocks:
        if block in links:
            fitted.append(block)
            continue
        block, used = _fit(block, room)
        room -= used
        if used and plain_left:
            fitted.append(block)
            plain_left -= 1
    return fitted


def _fit(block: dict[str, Any], room: int) -> tuple[dict[str, Any], int]:
    """One block of plain text within its own limits and the room that is left; 0 characters used means leave it out."""
    if block["type"] == "context":
        elements = []
        used = 0
        for element in block["elements"][:CONTEXT_ELEMENTS]:
            text = _cut(element["text"], min(CONTEXT_CHARS, room - used))
            used += len(text)
            elements += [{**element, "text": text}] if text else []
        return {**block, "elements": elements}, used
    text = _cut(block["text"]["text"], min(HEADER_CHARS if block["type"] == "header" else SECTION_CHARS, room))
    return {**block, "text": {**block["text"], "text": text}}, len(text)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…" if limit > 1 else ""
