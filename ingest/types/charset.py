"""Bytes to text when nobody can be trusted about the character set: what was declared is tried, what was meant is found."""

import codecs
import re
from typing import Final, NamedTuple

__all__ = ["Decoded", "decoded"]

_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEADER: Final = re.compile(r"charset\s*=\s*[\"']?([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_INSIDE: Final = re.compile(
    rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})|<meta[^>]{0,300}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})",
    re.IGNORECASE,
)
_LOOKED_AT: Final = 4_096  # bytes in which a declaration must stand
# What publishers write and what they send: the larger set holds all of the smaller one.
_LARGER: Final = {"gb2312": "gb18030", "gbk": "gb18030", "gb_2312-80": "gb18030", "x-gbk": "gb18030", "euc-cn": "gb18030",
                  "big5": "big5hkscs", "iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252", "us-ascii": "ascii",
                  "shift_jis": "cp932", "x-sjis": "cp932", "euc-kr": "cp949", "ks_c_5601-1987": "cp949"}  # fmt: skip
_ANYTHING_GOES: Final = frozenset({"cp1252", "iso8859-1", "cp1251", "koi8-r", "iso8859-15", "iso8859-2", "cp1250"})
"""Sets of one byte: they take nearly every text, so that they prove nothing about it."""


class Decoded(NamedTuple):
    """A text and how it was found."""

    text: str
    charset: str
    problem: str | None  # what was declared wrongly, None where all was well


def decoded(body: bytes, content_type: str = "") -> Decoded:
    """The text of an answer.

    A byte order mark is believed first, then UTF-8 wherever the bytes really are UTF-8 beyond ASCII, then `Content-Type`, then the
    declaration inside (XML or meta), then a guess: Chinese, else Western. A declaration that the bytes break is passed over and said.

    Args:
        body: the bytes.
        content_type: header of the answer.

    >>> decoded("<?xml version='1.0' encoding='gb2312'?><a>镕银行</a>".encode("gb18030")).charset
    'gb18030'
    >>> decoded("Börse".encode(), "text/html; charset=iso-8859-1")
    Decoded(text='Börse', charset='utf-8', problem='declared as iso-8859-1, is utf-8')
    """
    for mark, charset in _BOMS:
        if body.startswith(mark):
            marked = body.decode(charset, "replace").removeprefix("\ufeff")
            return Decoded(marked, charset, f"broken {charset}" if "\ufffd" in marked else None)
    said = _said(body, content_type)
    if body.isascii() and not any(name.startswith(("utf-16", "utf-32", "iso2022", "iso-2022", "hz")) for name in said):
        return Decoded(body.decode("ascii"), "utf-8", None)
    known = ["utf-8", *filter(None, map(_usable, said))]
    tries = [*((charset, "strict") for charset in known), *((charset, "nearly") for charset in known)]
    for charset, how in [*tries, *((charset, "strict") for charset in _guesses(body))]:
        if (text := _text(body, charset, strict=how == "strict")) is not None:
            wrong = next((name for name in said[:1] if _usable(name) != charset), None)
            return Decoded(text, charset, f"declared as {wrong}, is {charset}" if wrong else None)
    return Decoded(body.decode(known[-1], "replace"), known[-1], f"broken {known[-1]}")


def _said(body: bytes, content_type: str) -> list[str]:
    header = _HEADER.search(content_type)
    inside = _INSIDE.search(body[:_LOOKED_AT])
    return [name.lower() for name in (header[1] if header else "", (inside[1] or inside[2]).decode("ascii") if inside else "") if name]


def _usable(name: str) -> str:
    """Python's name of a character set, or nothing where it knows none that is one."""
    try:
        found = codecs.lookup(_LARGER.get(name, name))
    except (LookupError, ValueError):
        return ""
    return found.name if found._is_text_encoding and found.name not in ("idna", "punycode", "unicode_escape", "raw_unicode_escape") else ""


def _text(body: bytes, charset: str, *, strict: bool) -> str | None:
    """The text, where the bytes are in that set; `strict` is false: one broken character in 500 does not make it another set."""
    try:
        return body.decode(charset)
    except (UnicodeError, ValueError):
        if strict or charset in _ANYTHING_GOES or len(body) < 200:
            return None
        text = body.decode(charset, "replace")
        return text if text.count("\ufffd") <= len(text) // 500 else None


def _guesses(body: bytes) -> list[str]:
    """Chinese where the bytes read as everyday Chinese, else Western European."""
    beyond = [character for character in body[:20_000].decode("gb18030", "ignore") if ord(character) > 127]
    # GB 2312 orders everyday characters first: a text in it uses lead bytes B0 to D7, noise does not.
    everyday = sum(0xB0 <= character.encode("gb18030")[0] <= 0xD7 for character in beyond)
    return ["gb18030", "cp1252"] if len(beyond) > 1 and everyday * 2 > len(beyond) else ["cp1252"]
