"""Mutated bytes of the examples, for hypothesis: pieces cut, doubled, swapped, noise, and what breaks parsers of their kind."""

import copy
import json
from typing import Any, Final

from hypothesis import strategies as st

from tests.ingest.types.examples import EXAMPLES, Example

TOKENS: Final = tuple(
    token.encode("utf-8", "surrogatepass")
    for token in (
        "<", ">", "&", "&#", "&#x110000;", "&amp;amp;lt;", "]]>", "<![CDATA[", "<!--", "<!DOCTYPE r [<!ENTITY a 'b'>]>", "<script>",
        "<ruby><rt>", "</", "<div>" * 300, "<a b='", '"', "'", "{", "}", "[", "]", "[" * 2_000, "null", "1e999", "-0", "9" * 400,
        "\\ud800", "\ud800", "\0", "\ufeff", "\u202e", "银行", "0000-99-99T99:99:99Z", "Mon, 99 Foo 99999", "http://[::1",
        "javascript:x", "//", "?" * 50, "true", "\x1f\x8b", "charset=utf-16", "encoding='utf-7'", "encoding='gb2312'",
        "charset=idna", "<base href='//evil.example'>", "2026-03-02T25:61:61+99:99",
    )
)  # fmt: skip


VALUES: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0,
    10**30,
    1.5,
    "",
    "x" * 5_000,
    "<p>",
    "&amp;amp;",
    "\ud800",
    "http://[::1",
    "2026-03-02",
    [],
    {},
    [[]],
    [None],
    {"id": []},
)


@st.composite
def mutated_json(draw: st.DrawFn, body: bytes) -> bytes:
    """The same JSON with some of its values replaced, so that it still is JSON."""
    value = json.loads(body)
    for _ in range(draw(st.integers(1, 4))):
        place: Any = value
        while isinstance(place, (dict, list)) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if not isinstance(place[key], (dict, list)) or not place[key] or draw(st.integers(0, 4)) == 0:
                place[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
                break
            place = place[key]
    return json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


@st.composite
def mutated(draw: st.DrawFn, body: bytes) -> bytes:
    """The body after one to six changes."""
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body)))
        upto = min(len(body), at + draw(st.integers(0, 60)))
        piece = body[at:upto]
        change = draw(st.sampled_from(("cut", "double", "token", "noise", "flip", "move", "end")))
        if change == "cut":
            body = body[:at] + body[upto:]
        elif change == "double":
            body = body[:at] + piece * draw(st.integers(2, 40)) + body[upto:]
        elif change == "token":
            body = body[:at] + draw(st.sampled_from(TOKENS)) + body[at:]
        elif change == "noise":
            body = body[:at] + draw(st.binary(max_size=20)) + body[upto:]
        elif change == "flip" and piece:
            body = body[:at] + bytes([piece[0] ^ (1 << draw(st.integers(0, 7)))]) + body[at + 1 :]
        elif change == "move":
            to = draw(st.integers(0, len(body)))
            body = body[:to] + piece + body[to:]
        elif change == "end":
            body = body[:at]
    return body


@st.composite
def mutated_answer(draw: st.DrawFn, name: str) -> tuple[Example, str, bytes]:
    """(example, address, mutated body of that address)."""
    example = EXAMPLES[name]
    url = draw(st.sampled_from(sorted(example.site)))
    body = example.site[url]
    return example, url, draw(mutated_json(body) if body.startswith(b"{") and draw(st.booleans()) else mutated(body))
