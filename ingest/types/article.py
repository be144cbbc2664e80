"""One article's page: what its publisher declares about it, and the text that trafilatura finds, or the catalogue's selectors do."""

import copy
from collections.abc import Mapping
from datetime import timezone
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from groundswell.address import canonical_url
from ingest.types.base import Parsed, Request, link_of, unreadable
from ingest.types.document import document_of
from ingest.types.page import Page, page_of, selector, time_text, words_of
from ingest.types.times import Moment, moment_of_value

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["ArticleRules", "article_of"]

JSON_LD_MAX: Final = 20
# Measured: trafilatura takes the square of the inline elements in one element (20,000 links in a paragraph: minutes).
ELEMENTS_MAX: Final = 20_000
INLINE_FEW: Final = 50
INLINE_PAIRS_MAX: Final = 4_000_000  # 2,000 in one element, or 200 in each of a hundred
_INLINE: Final = frozenset("a abbr b cite code em font i img kbd mark q s samp small span strong sub sup tt u var".split())  # noqa: SIM905


class ArticleRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CSS selectors for the articles of one host; each stands for what would be found without it."""

    title: str = ""
    text: str = ""
    time: str = ""
    remove: str = ""  # taken out before the text is read

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if getattr(self, name):
                selector(getattr(self, name), field=name)


def article_of(
    body: bytes,
    headers: Mapping[str, str],
    *,
    asked: Request,
    source: "Source",
    fetched_ms: int,
    rules: Mapping[str, ArticleRules],
    zone: timezone,
) -> Parsed:
    """The record of an article's page.

    What the page declares (canonical address, title, times) is believed where it can be; what the listing said fills the gaps. A page
    in which no text is found is a record of its title alone, and a problem.
    """
    page = page_of(body, headers.get("content-type", ""))
    rule = rules.get(urlsplit(asked.url).hostname or "", ArticleRules())
    for element in page.all(rule.remove):
        if element.getparent() is not None:
            element.drop_tree()
    said, declared = asked.said, _json_ld(page)
    crowded = None if rule.text else _crowded(page)
    text = " ".join(words_of(element) for element in page.all(rule.text)) if rule.text else "" if crowded else _main_text(page)
    said_time = Moment(said.published_ms, said.published_precision) if said and said.published_ms is not None else None
    record = document_of(
        source,
        fetched_ms=fetched_ms,
        title=words_of(page.first(rule.title)) or (said.title if said else "") or _title(page, declared),
        text=text,
        url=_address(page, asked.url),
        language=page.root.get("lang") or (said.language if said else None),
        published=_published(page, declared, rule, zone) or said_time,
        updated=_moment(page.meta("article:modified_time", "dateModified") or declared.get("dateModified"), zone),
        tickers=said.tickers if said else (),
        asked_url=asked.url,
    )
    if record is None:
        return unreadable(crowded or "no title and no text was found in the page")
    problem = page.problem if record.text else crowded or "no text was found in the page"
    return Parsed(records=[record], entries=1, problem=problem, readable=True)


def _title(page: Page, declared: Mapping[str, Any]) -> str:
    headline = declared.get("headline")
    found = page.meta("og:title") or (headline if isinstance(headline, str) else "")
    return found or words_of(page.first("h1")) or words_of(page.first("title"))


def _crowded(page: Page) -> str | None:
    """Why the text of a page is not looked for, None where it is."""
    pairs = 0
    for count, element in enumerate(page.root.iter()):
        pairs += sum(child.tag in _INLINE for child in element) ** 2 if len(element) > INLINE_FEW else 0
        if count > ELEMENTS_MAX or pairs > INLINE_PAIRS_MAX:
            return "too many elements to look for the text among them: name its selector in article"
    return None


def _main_text(page: Page) -> str:
    import trafilatura  # half a second that only sources with articles pay

    # A copy, because it takes the tree apart; no search for duplicates, which would remember other pages.
    found = trafilatura.extract(
        copy.deepcopy(page.root), include_comments=False, include_tables=False, deduplicate=False, fast=True, with_metadata=False
    )
    return found or ""


def _published(page: Page, declared: Mapping[str, Any], rule: ArticleRules, zone: timezone) -> Moment | None:
    if rule.time:
        return _moment(time_text(page.first(rule.time)), zone)
    meta = page.meta("article:published_time", "datePublished", "og:published_time", "publishdate", "pubdate", "parsely-pub-date", "date")
    return _moment(meta, zone) or _moment(declared.get("datePublished"), zone) or _moment(time_text(page.first("time[datetime]")), zone)


def _moment(value: Any, zone: timezone) -> Moment | None:
    return moment_of_value(value, zone=zone) if value else None


def _address(page: Page, asked: str) -> str:
    """The canonical address that the page declares, where it is on the same site: a page may not pass for another publisher's."""
    link = page.first("link[rel=canonical]")
    claimed = link_of(link.get("href"), base=asked) if link is not None else None
    try:
        same = claimed and _site(claimed) == _site(asked) and urlsplit(claimed).path.strip("/")
        return claimed if claimed and same else canonical_url(asked)
    except ValueError:
        return asked


def _site(url: str) -> str:
    host = urlsplit(url).hostname or ""
    return host.removeprefix("www.").removeprefix("m.").removeprefix("amp.")


def _json_ld(page: Page) -> dict[str, Any]:
    """What the page declares of itself as schema.org's NewsArticle or the like."""
    for element in page.all("script[type='application/ld+json']")[:JSON_LD_MAX]:
        try:
            value = msgspec.json.decode((element.text or "").strip())
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            continue
        graph = value.get("@graph") if isinstance(value, dict) else value
        for one in [value, *(graph if isinstance(graph, list) else [])]:
            if isinstance(one, dict) and (one.get("datePublished") or one.get("headline")):
                return one
    return {}
