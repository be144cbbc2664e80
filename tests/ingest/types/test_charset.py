"""Bytes become the text that was meant, whatever was declared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.types.charset import decoded

CHINESE = "临澜银行推迟兑付，储户在门前排队等候。"
XML = "<?xml version='1.0' encoding='{}'?><a>{}</a>"


@pytest.mark.parametrize(
    ("body", "content_type", "charset", "wrong"),
    [
        (CHINESE.encode(), "", "utf-8", False),
        (CHINESE.encode("utf-8-sig"), "text/html; charset=gbk", "utf-8", False),
        (CHINESE.encode("utf-16"), "", "utf-16", False),
        (CHINESE.encode("gb18030"), "text/html; charset=gb2312", "gb18030", False),
        (CHINESE.encode("gb18030"), "text/html; charset=utf-8", "gb18030", True),
        (CHINESE.encode("gb18030"), "text/html", "gb18030", False),
        (XML.format("gbk", CHINESE).encode("gb18030"), "text/xml; charset=iso-8859-1", "cp1252", False),
        (XML.format("GB2312", "朱镕基" + CHINESE).encode("gb18030"), "", "gb18030", False),
        (("<meta http-equiv=Content-Type content='text/html; charset=big5'>" + "銀行延期兌付").encode("big5"), "", "big5hkscs", False),
        ("<meta charset=shift_jis>銀行".encode("cp932"), "", "cp932", False),
        (XML.format("us-ascii", "Börse").encode(), "", "utf-8", True),
        ("Börse fällt".encode("cp1252"), "", "cp1252", False),
        ("Börse “fällt”".encode("cp1252"), "text/html; charset=iso-8859-1", "cp1252", False),
        ("Börse".encode(), "text/html; charset=no-such-set", "utf-8", True),
        (b"plain", "text/html; charset=utf-7", "utf-8", False),
    ],
)
def test_a_character_set_is_found(body: bytes, content_type: str, charset: str, wrong: bool) -> None:
    found = decoded(body, content_type)
    assert (found.charset, found.problem is not None) == (charset, wrong)
    assert "\ufffd" not in found.text


def test_one_broken_character_in_a_long_text_does_not_make_it_another_set() -> None:
    body = (CHINESE * 60).encode()
    found = decoded(body[:-1], "text/html; charset=utf-8")
    assert found.charset == "utf-8"
    assert found.text.startswith(CHINESE)


@given(st.binary(max_size=300), st.text(max_size=60))
def test_any_bytes_become_a_text(body: bytes, content_type: str) -> None:
    found = decoded(body, content_type)
    assert isinstance(found.text, str)


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=100))
def test_what_is_utf_8_is_read_as_it_whatever_is_declared(text: str) -> None:
    if not text.startswith("\ufeff"):
        assert decoded(text.encode(), "text/html; charset=iso-8859-1").text == text
