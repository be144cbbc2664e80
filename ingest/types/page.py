"""A page of HTML as a tree, and what stands where in it. Bounded: a page that is too large or too deep is refused, with the reason."""

from functools import lru_cache
from typing import Any, Final

from lxml import etree
from lxml import html as lxml_html
from lxml.cssselect import CSSSelector

from ingest.types.base import UnreadableError
from ingest.types.charset import decoded
from ingest.types.words import text_of_html

__all__ = ["Page", "page_of", "selector"]

PAGE_BYTES_MAX: Final = 3 * 1024 * 1024
ELEMENTS_MAX: Final = 100_000
NESTING_MAX: Final = 200  # libxml2 cuts at 256, and recursion over a tree must end


class Page:
    """A parsed page."""

    def __init__(self, root: Any, problem: str | None) -> None:
        self.root, self.problem = root, problem

    def first(self, css: str, within: Any = None) -> Any:
        """The first element that a selector finds, or None; an empty selector finds nothing."""
        found = self.all(css, within) if css else []
        return found[0] if found else None

    def all(self, css: str, within: Any = None) -> list[Any]:
        """Every element that a selector finds, in the order of the page."""
        return list(selector(css)(self.root if within is None else within)) if css else []

    def meta(self, *names: str) -> str:
        """The content of the first meta element of these names."""
        for name in names:
            for element in self.root.iter("meta"):
                if name in (element.get("property"), element.get("name"), element.get("itemprop")) and element.get("content"):
                    return str(element.get("content")).strip()
        return ""


def page_of(body: bytes, content_type: str) -> Page:
    """The page in some bytes.

    Raises:
        UnreadableError: empty, too large or too deep; the text says which.
    """
    if len(body) > PAGE_BYTES_MAX:
        message = f"a page of {len(body)} bytes, more than {PAGE_BYTES_MAX}"
        raise UnreadableError(message)
    text, _, problem = decoded(body, content_type)
    if not text.strip():
        raise UnreadableError("an empty page")  # noqa: EM101
    parser = lxml_html.HTMLParser(encoding="utf-8", no_network=True, huge_tree=False, remove_comments=True, remove_pis=True)
    root = lxml_html.document_fromstring(text.replace("\0", "").encode("utf-8", "replace"), parser=parser)
    depth = count = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        count += event == "start"
        if depth > NESTING_MAX or count > ELEMENTS_MAX:
            message = f"a page nested deeper than {NESTING_MAX}" if depth > NESTING_MAX else f"a page of more than {ELEMENTS_MAX} elements"
            raise UnreadableError(message)
    return Page(root, problem)


@lru_cache(maxsize=1_000)
def _compiled(css: str) -> Any:
    return CSSSelector(css, translator="html")


def selector(css: str, *, field: str = "") -> Any:
    """A CSS selector, compiled.

    Raises:
        ValueError: it is none; the text names field and value.
    """
    try:
        return _compiled(css)
    except Exception as error:  # cssselect has a tree of its own, and lxml another
        message = f"{field} is not a CSS selector: {css[:80]!r} ({error}); correct it"
        raise ValueError(message) from error


def words_of(element: Any) -> str:
    """What a reader sees of an element."""
    return "" if element is None else text_of_html(lxml_html.tostring(element, encoding="unicode", with_tail=False))


def time_text(element: Any) -> str:
    """A time as an element gives it: in an attribute for machines, else in words."""
    if element is None:
        return ""
    return next(
        (element.get(name) for name in ("datetime", "content", "data-time", "data-timestamp") if element.get(name)), ""
    ) or words_of(element)
