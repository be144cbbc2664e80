"""Words out of markup: ruby, entities, tickers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.types.words import text_of_html, tickers_in


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<ruby>銀行<rt>ぎんこう</rt></ruby>が", "銀行が"),
        ("<ruby>銀<rt>ぎん行<rt>こう</ruby>が", "銀が"),  # what closes an open rt is the next one; the rest of it is a reading
        ("<ruby>漢<rp>（</rp><rt>かん</rt><rp>）</rp>字<rp>（</rp><rt>じ</rt><rp>）</rp></ruby>", "漢字"),
        ("a<rt>never closed", "anever closed"),
        ("AT&amp;amp;T", "AT&T"),
        ("&amp;lt;p&amp;gt;Rates&amp;lt;/p&amp;gt;&amp;lt;p&amp;gt;rise", "Rates rise"),
        ("&amp;#8220;No&amp;#8221;", "“No”"),
        ("a &lt; b", "a < b"),
        ("&lt;b&gt; is a tag", "<b> is a tag"),
        ("fish & chips &co", "fish & chips &co"),
        ("a\u00a0b&nbsp;c", "a b c"),
    ],
)
def test_markup_becomes_what_a_reader_sees(markup: str, text: str) -> None:
    assert text_of_html(markup) == text


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("$TSLA $tsla $5 US$ $BRK.B.", ["TSLA", "BRK.B"]),
        ("(NYSE: JPM) (NASDAQ:AAPL) (see: JPM)", ["JPM", "AAPL"]),
        ("$贵州茅台(SH600519)$ 与 000001.SZ", ["SH600519", "000001.SZ"]),
        ("1234567.SH 0700.HK 2026.03", ["0700.HK"]),
        ("no symbol, $1.5bn", []),
    ],
)
def test_tickers_are_found_as_they_are_written(text: str, symbols: list[str]) -> None:
    assert tickers_in(text) == symbols


@given(st.text(alphabet="$A(NYSE: )600519.SH贵", max_size=200))
def test_tickers_are_few_and_each_stands_in_the_text(text: str) -> None:
    found = tickers_in(text)
    assert len(found) <= 20
    assert len(set(found)) == len(found)
    assert all(symbol in text for symbol in found)
