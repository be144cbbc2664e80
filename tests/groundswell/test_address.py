"""One form for all copies of an address, and applying it twice changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundswell.address import canonical_url


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://News.Example./a/", "https://news.example/a"),
        ("https://news.example:443/a#top", "https://news.example/a"),
        ("https://news.example/a?spm=a2.b3&scm=1&id=7", "https://news.example/a?id=7"),
        ("https://news.example/a?UTM_Source=x&gclid=1&msclkid=2", "https://news.example/a"),
        ("https://bücher.example/ä", "https://xn--bcher-kva.example/ä"),
        ("https://新闻.example/", "https://xn--efvy88h.example"),
        ("https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a"),
        ("https://news.example/a?preference=1&atlas=2", "https://news.example/a?atlas=2&preference=1"),
    ],
)
def test_an_address_is_told_apart_by_what_names_the_page(url: str, canonical: str) -> None:
    assert canonical_url(url) == canonical


HOSTS = st.from_regex(r"[A-Za-z0-9äü银-]{1,12}\.example\.?(:443|:80|:8080)?", fullmatch=True)
QUERIES = st.text(alphabet="abiu_tmspref=&%20äÄ+;/?", max_size=30)


@given(st.sampled_from(["http", "https", "HTTPS"]), HOSTS, st.text(alphabet="ab/%20.ä;", max_size=20), QUERIES, st.text(max_size=5))
def test_applying_it_twice_changes_nothing(scheme: str, host: str, path: str, query: str, fragment: str) -> None:
    once = canonical_url(f"{scheme}://{host}/{path}?{query}#{fragment}")
    assert canonical_url(once) == once


@given(st.text(max_size=60))
def test_any_text_has_a_form_or_is_refused_and_the_form_stays(text: str) -> None:
    try:
        once = canonical_url(text)
    except ValueError:
        return
    assert canonical_url(once) == once
