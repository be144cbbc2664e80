"""Words out of markup: what a reader sees, on one line. Pure, linear in time, and total."""

import html
import re
from typing import Final

__all__ = ["text_of_html", "tickers_in", "without_surrogates"]

TICKERS_MAX: Final = 20
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
_BLANKS: Final = re.compile(r"\s+")

# Every pattern stops at the next "<", so that the whole is linear: Python's own HTMLParser took 84 s for 60 kB of "<a " here.
_MARK: Final = re.compile(r"""<!--|<(?P<end>/?)(?P<tag>[A-Za-z][A-Za-z0-9:-]{0,30})(?:[^<>"']|"[^"<]*"|'[^'<]*')*+>|<[!?/A-Za-z][^<>]*+>""")
_UNREAD: Final = frozenset({"script", "style", "template", "noscript", "iframe", "object"})
_RUBY: Final = frozenset({"rt", "rp", "rtc"})  # how a word is read, and its brackets: the word itself stands beside it
_RUBY_END: Final = re.compile(r"<(?:/?(?:rt|rp|rtc)\b|/ruby\b|rb\b)", re.IGNORECASE)
_INLINE: Final = frozenset(
    "a abbr b bdi bdo cite code em font i mark q rb rp rt rtc ruby s small span strong sub sup u wbr".split()  # noqa: SIM905
)
_HUGE_REFERENCE: Final = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9A-Fa-f]{7,});?")
_REFERENCE: Final = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{1,6}|#[xX][0-9A-Fa-f]{1,5}|[A-Za-z]{2,8});")

_TICKER: Final = re.compile(
    r"\$(?P<cash>[A-Z]{1,5}(?:\.[A-Z])?)(?![A-Za-z0-9$])"  # $TSLA
    r"|\$[^$\n()]{1,20}\((?P<xueqiu>[A-Z]{2}\d{5,6}|[A-Z]{1,5})\)\$"  # $Name(SH600519)$
    r"|\((?:NYSE|NASDAQ|Nasdaq|AMEX|LSE|HKEX|SEHK|TSX|ASX)\s?[:：]\s?(?P<listed>[A-Z0-9]{1,6}(?:\.[A-Z])?)\)"
    r"|(?<![0-9A-Za-z])(?P<china>\d{6}\.(?:SH|SZ|BJ)|\d{4,5}\.HK)(?![0-9A-Za-z])"
)


def without_surrogates(text: str) -> str:
    """The text without halves of surrogate pairs: they cannot be written as UTF-8, and no reader could show them."""
    return text if text.isascii() else _SURROGATES.sub("", text)


def text_of_html(markup: str) -> str:
    """What a reader sees of some HTML, on one line; a word is not cut by an inline tag nor glued by a block tag.

    How a ruby word is read is left out, and what was escaped twice is taken out of both.

    >>> text_of_html("<p>Rates <b>ri</b>se</p><p>AT&amp;T falls<script>x()</script></p>")
    'Rates rise AT&T falls'
    >>> text_of_html("<ruby>銀行<rp>(</rp><rt>ぎんこう</rt><rp>)</rp></ruby> P&amp;amp;L &amp;lt;b&amp;gt;up&amp;lt;/b&amp;gt;")
    '銀行 P&L up'
    """
    seen = _seen(markup)
    if _REFERENCE.search(seen):
        seen = _seen(_unescaped(seen))
    return without_surrogates(_BLANKS.sub(" ", seen)).strip()


def _seen(markup: str) -> str:
    parts, place = [], 0
    while (found := _MARK.search(markup, place)) is not None:
        parts.append(markup[place : found.start()])
        place, tag = found.end(), (found["tag"] or "").lower()
        parts.append("" if tag in _INLINE else " ")
        if found[0] == "<!--":
            end = markup.find("-->", place)
            place = end + 3 if end >= 0 else len(markup)
        elif tag in _UNREAD and not found["end"] and not found[0].endswith("/>"):
            close = re.compile(rf"</{tag}\b", re.IGNORECASE).search(markup, place)
            place = close.start() if close else len(markup)
        elif tag in _RUBY and not found["end"]:
            close = _RUBY_END.search(markup, place)
            place = close.start() if close else place
    parts.append(markup[place:])
    return _unescaped("".join(parts))


def _unescaped(text: str) -> str:
    return html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))


def tickers_in(text: str) -> list[str]:
    """Cashtags and listed symbols that a text names, in its order, each once.

    >>> tickers_in("$TSLA and $US sink; Apple (NASDAQ: AAPL), $贵州茅台(SH600519)$, 00700.HK; it cost $5")
    ['TSLA', 'US', 'AAPL', 'SH600519', '00700.HK']
    """
    if "$" not in text and "(" not in text and "." not in text:
        return []
    found = dict.fromkeys(next(filter(None, match.groups())) for match in _TICKER.finditer(text))
    return list(found)[:TICKERS_MAX]
