"""XML from strangers: what can blow up is refused before a parser sees it."""

import re
from typing import Any, Final

from lxml import etree

from ingest.types.base import UnreadableError

__all__ = ["NESTING_MAX", "harmless_xml", "xml_tree"]

NESTING_MAX: Final = 2_000  # generous, because tags that HTML leaves open add up without nesting
TAGS_MAX: Final = 400_000
BARE_MAX: Final = 20_000  # "&" that begins nothing; measured: a million of them take the feed parser 1.5 s
ENTITIES_CHARACTERS_MAX: Final = 20_000  # of all definitions; the characters of HTML need 9,000
_DOCTYPE: Final = re.compile(r"<!DOCTYPE\b", re.IGNORECASE)
_ENTITY: Final = re.compile(r"<!ENTITY\b", re.IGNORECASE)
_BARE: Final = re.compile(r"&(?![A-Za-z#])")
_TAG: Final = re.compile(r"<(?P<end>/?)[A-Za-z_][^<>]*?(?P<alone>/?)>")


def harmless_xml(text: str) -> str:
    """The text without its document type.

    Definitions of entities are what bombs and file thefts are made of, and feeds have no use for them: a document that defines any
    is refused, one that only names a type loses the name.

    Raises:
        UnreadableError: it must not be parsed.

    >>> harmless_xml("<!DOCTYPE rss SYSTEM 'x.dtd'><rss/>")
    '<rss/>'
    """
    start = _DOCTYPE.search(text)
    if start is not None:
        if _ENTITY.search(text, start.end(), start.end() + ENTITIES_CHARACTERS_MAX):
            raise UnreadableError("refused: it defines XML entities, which feeds have no use for")  # noqa: EM101
        end = text.find(">", start.end())
        inner = text.find("[", start.end(), end if end >= 0 else None)
        end = text.find("]>", inner) + 1 if inner >= 0 else end
        text = text[: start.start()] + (text[end + 1 :] if end > 0 else "")
    depth = deepest = tags = 0
    for tag in _TAG.finditer(text):
        tags += 1
        depth += 0 if tag["alone"] else -1 if tag["end"] else 1
        deepest = max(deepest, depth)
    if sum(1 for _ in _BARE.finditer(text)) > BARE_MAX:
        message = f"refused: more than {BARE_MAX} bare ampersands"
        raise UnreadableError(message)
    if tags > TAGS_MAX or deepest > NESTING_MAX:
        message = f"refused: nested deeper than {NESTING_MAX}" if deepest > NESTING_MAX else f"refused: {tags} tags, more than {TAGS_MAX}"
        raise UnreadableError(message)
    return text


def xml_tree(text: str) -> Any:
    """The root of some XML, recovered where it is broken; no entity is resolved and nothing is loaded.

    Returns:
        An lxml element, or None where there is none.

    Raises:
        UnreadableError: it must not be parsed.
    """
    text = harmless_xml(text)
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True, remove_comments=True)
    return etree.fromstring(text.encode("utf-8", "replace"), parser)
