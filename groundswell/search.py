"""The language of searches: parsed here and nowhere else, for the search page, the command, the API and saved queries alike.

    (default OR "missed payment") company:LinlanBank NOT kind:comment from:2026-03-01

Words that stand beside each other must all be there, and bind closer than OR. `from:` and `to:` bound the whole query.
groundswell/store/search.py asks an index; `matches` tries one document in memory. A query that is printed and parsed again is the
same query.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from functools import cache
from typing import TYPE_CHECKING, Final

from groundswell.errors import UsageError
from groundswell.exports import iso
from groundswell.moments import time_ms
from groundswell.names import KINDS, SENTIMENTS, TOPICS
from groundswell.terms import Indexed, Phrase, facet, phrase_of

if TYPE_CHECKING:
    from lark import Lark, Token

CHARACTERS_MAX: Final = 1_000
DEPTH_MAX: Final = 20
FIELDS: Final = ("company", "topic", "source", "kind", "language", "sentiment")
TIMES: Final = ("from", "to")
EXAMPLE: Final = '(default OR "missed payment") company:SVB NOT kind:comment from:2026-03-01'
_CHOICES: Final = {"topic": TOPICS, "kind": KINDS, "sentiment": SENTIMENTS}
_TYPED: Final = str.maketrans("“”„（）：\u3000", '"""():\u0020')
"""What a Chinese keyboard writes instead."""

GRAMMAR: Final = r"""
start: [either]
either: every (OR every)*
every: one (AND? one)*
one: NOT one -> without
   | "(" either ")" -> brackets
   | FIELD (WORD | PHRASE) -> field
   | WORD -> words
   | PHRASE -> words
AND.3: /AND(?![^\s"()])/
OR.3: /OR(?![^\s"()])/
NOT.3: /NOT(?![^\s"()])/
FIELD.2: /[A-Za-z_]+:(?!\/\/)/
WORD.1: /[^\s"()]+/
PHRASE: /"[^"]*"/
%ignore /\s+/
"""


# --- the tree -----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Words:
    """A word or a phrase, as it was written."""

    text: str

    @property
    def phrase(self) -> Phrase:
        """Its terms."""
        return phrase_of(self.text)


@dataclass(frozen=True)
class Field:
    """A property of the document: one of FIELDS."""

    name: str
    value: str

    @property
    def facet(self) -> str:
        """The term that it is indexed by."""
        return facet(self.name, self.value)


@dataclass(frozen=True)
class Not:
    """What must not be."""

    of: "Node"


@dataclass(frozen=True)
class And:
    """All of at least two."""

    of: tuple["Node", ...]


@dataclass(frozen=True)
class Or:
    """Any of at least two."""

    of: tuple["Node", ...]


Node = Words | Field | Not | And | Or


@dataclass(frozen=True)
class Query:
    """What is looked for, and when it was published: `[from_ms, to_ms)`; None: anything, at any time."""

    node: Node | None = None
    from_ms: int | None = None
    to_ms: int | None = None

    def __str__(self) -> str:
        """The query as it is written."""
        parts = [] if self.node is None else [_shown(self.node)]
        parts += [f"{name}:{iso(ms)}" for name, ms in (("from", self.from_ms), ("to", self.to_ms)) if ms is not None]
        return " ".join(parts)


def _shown(node: Node, *, within: type | None = None) -> str:
    match node:
        case Words(text):
            return _quoted(text)
        case Field(name, value):
            return f"{name}:{_quoted(value)}"
        case Not(of):
            return f"NOT {_shown(of, within=Not)}"
        case And(of):
            joined = " ".join(_shown(each, within=And) for each in of)
            return f"({joined})" if within is Not else joined
        case Or(of):
            joined = " OR ".join(_shown(each, within=Or) for each in of)
            return joined if within is None else f"({joined})"


def _quoted(text: str) -> str:
    return text if text.isalnum() and text not in ("AND", "OR", "NOT") else f'"{text}"'


# --- reading ------------------------------------------------------------------------------------------------------------------
def parse(text: str, *, zone: tzinfo = UTC) -> Query:
    """Read a query.

    Args:
        text: as people write it; quotes, brackets and colons may come from a Chinese keyboard.
        zone: of times that name none.

    Raises:
        UsageError: it cannot be read; the text names the column, what was expected and an example.
    """
    if len(text) > CHARACTERS_MAX:
        reason = f"query: {len(text):,} characters, at most {CHARACTERS_MAX:,} are read; search for less at once"
        raise UsageError(reason)
    bounds: dict[str, int] = {}
    node = _tree(text.translate(_TYPED), _Reading(zone, bounds))
    query = Query(node, bounds.get("from"), bounds.get("to"))
    if query.from_ms is not None and query.to_ms is not None and query.from_ms >= query.to_ms:
        raise _refusal(1, f"from: {iso(query.from_ms)} is not before to: {iso(query.to_ms)}", "exchange them")
    return query


@dataclass(frozen=True)
class _Reading:
    """What is carried along: the zone of times, the bounds found so far, and where in the tree one is."""

    zone: tzinfo
    bounds: dict[str, int]
    depth: int = 0
    is_whole: bool = True  # not within brackets or NOT: a bound may stand here

    def inside(self) -> "_Reading":
        """The same within brackets or behind NOT."""
        return replace(self, depth=self.depth + 1, is_whole=False)


def _refusal(column: int, got: str, step: str) -> UsageError:
    return UsageError(f"query, column {column}: {got}; {step}; for example: {EXAMPLE}")


@cache
def _parser() -> "Lark":
    from lark import Lark  # 50 ms that no other command pays for

    return Lark(GRAMMAR, parser="lalr", lexer="basic", propagate_positions=True, maybe_placeholders=False)


def _tree(text: str, reading: _Reading) -> Node | None:
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    try:
        read = _parser().parse(text)
    except UnexpectedToken as error:
        at_end = error.token.type == "$END"
        column = len(text) + 1 if at_end else error.column
        got = "the query ends" if at_end else f"got {str(error.token)[:40]!r}"
        raise _refusal(column, f"expected {_expected(error.accepts or error.expected)}, {got}", "correct it there") from error
    except UnexpectedCharacters as error:
        raise _refusal(error.column, 'a quotation mark " that nothing closes', "write it at both ends of a phrase") from error
    except UnexpectedInput as error:  # pragma: no cover - the two above are all that the parser raises
        raise _refusal(1, "cannot be read", "correct it") from error
    return None if not read.children else _made(read.children[0], reading)


def _expected(terminals: "set[str]") -> str:
    words = {
        "WORD": "a word", "PHRASE": "a phrase", "FIELD": f"a field ({', '.join(f'{name}:' for name in (*FIELDS, *TIMES))})",
        "NOT": "NOT", "AND": "AND", "OR": "OR", "LPAR": "(", "RPAR": ")", "$END": "the end",
    }  # fmt: skip
    return " or ".join(words[name] for name in words if name in terminals)


def _made(read: object, reading: _Reading) -> Node | None:
    """The node of a piece of the parser's tree; None where the piece was a bound."""
    from lark import Token, Tree

    if not isinstance(read, Tree):
        message = f"the parser gave {read!r} where the grammar has a rule"
        raise TypeError(message)
    children: list[object] = [child for child in read.children if not (isinstance(child, Token) and child.type in ("AND", "OR", "NOT"))]
    if reading.depth > DEPTH_MAX:
        raise _refusal(read.meta.column, f"more than {DEPTH_MAX} brackets or NOTs within each other", "write it flatter")
    match read.data:
        case "words":
            return _words(_token(children[0]))
        case "field":
            return _field(_token(children[0]), _token(children[1]), reading)
        case "without":
            inner = _made(children[0], reading.inside())
            return None if inner is None else Not(inner)
        case "brackets":
            return _made(children[0], reading.inside())
        case "either":
            parts = [_made(child, reading) for child in children]
            if len(parts) > 1 and None in parts:
                raise _refusal(read.meta.column, "from: and to: are no alternative of an OR", "they bound the whole query")
            return _joined(Or, [part for part in parts if part is not None])
        case _:
            return _joined(And, [part for part in (_made(child, reading) for child in children) if part is not None])


def _token(child: object) -> "Token":
    from lark import Token

    assert isinstance(child, Token)
    return child


def _joined(kind: type[And] | type[Or], parts: Sequence[Node]) -> Node | None:
    """Brackets that change nothing are left out: a query has one tree."""
    flat = [each for part in parts for each in (part.of if isinstance(part, kind) else (part,))]
    return None if not flat else flat[0] if len(flat) == 1 else kind(tuple(flat))


def _words(token: "Token") -> Words:
    text = token.strip('"').strip() if token.type == "PHRASE" else str(token)
    if not phrase_of(text).terms:
        raise _refusal(token.column or 1, f"{text[:40]!r} has no letter and no digit", "write a word")
    return Words(text)


def _field(name: "Token", value: "Token", reading: _Reading) -> Field | None:
    field, text, column = name[:-1].lower(), value.strip('"').strip(), name.column or 1
    if field in TIMES:
        if not reading.is_whole:
            raise _refusal(column, f"{field}: within brackets or behind NOT", "it bounds the whole query: write it at the end")
        if field in reading.bounds:
            raise _refusal(column, f"a second {field}:", "give it once")
        reading.bounds[field] = _moment(text, reading.zone, column=value.column or 1, end=field == "to")
        return None
    if field not in FIELDS:
        known = ", ".join(f"{each}:" for each in (*FIELDS, *TIMES))
        raise _refusal(column, f"no field is called {field[:40]!r}", f"there are {known}; in a text, put it in quotation marks")
    if not text:
        raise _refusal(value.column or 1, f"{field}: has no value", "write what it has to be")
    choices = _CHOICES.get(field)
    if choices is not None and text.lower() not in choices:
        raise _refusal(value.column or 1, f"{field}: {text[:40]!r} is none", f"one of {', '.join(choices)}")
    return Field(field, text.lower() if choices is not None else text)


def _moment(text: str, zone: tzinfo, *, column: int, end: bool) -> int:
    try:
        ms = time_ms(text, name="time", end=end, zone=zone)
    except UsageError:
        ms = -1
    if ms < 0:
        raise _refusal(column, f"{text[:40]!r} is no time", "write 2026-11-23 or 2026-11-23T10:05+08:00")
    return ms


# --- what can be done with a tree -----------------------------------------------------------------------------------------------
def matches(node: Node | None, document: Indexed) -> bool:
    """Whether a document is what is looked for."""
    match node:
        case None:
            return True
        case Words():
            return document.has(node.phrase)
        case Field():
            return node.facet in document.facets
        case Not(of):
            return not matches(of, document)
        case And(of):
            return all(matches(each, document) for each in of)
        case Or(of):
            return any(matches(each, document) for each in of)


def anchors(node: Node | None) -> frozenset[str] | None:
    """Terms of which a document has at least one if it is what is looked for; None where nothing can be said.

    >>> sorted(anchors(parse('topic:debt_credit ("missed payment" OR default)').node) or ())
    ['default', 'payment']
    """
    match node:
        case Words():
            terms, open_end = node.phrase
            whole = terms[:-1] if open_end else terms
            return frozenset({max(reversed(whole), key=len)}) if whole else None  # the longest is the rarest
        case Or(of):
            found = [anchors(each) for each in of]
            return frozenset().union(*(each for each in found if each)) if all(found) else None
        case And(of):
            return min((each for each in map(anchors, of) if each), key=len, default=None)
        case _:
            return None


def sought(node: Node | None) -> Iterator[Phrase]:
    """The phrases that a result may be there for: what a quote marks."""
    match node:
        case Words():
            yield node.phrase
        case And(of) | Or(of):
            for each in of:
                yield from sought(each)


def companies_of(query: Query) -> list[str]:
    """The companies that a query names, as it writes them.

    >>> companies_of(parse('company:SVB (run OR NOT company:"Credit Suisse")'))
    ['SVB', 'Credit Suisse']
    """

    def named(node: Node | None) -> Iterator[str]:
        match node:
            case Field("company", value):
                yield value
            case Not(of):
                yield from named(of)
            case And(of) | Or(of):
                for each in of:
                    yield from named(each)

    return list(dict.fromkeys(named(query.node)))


def with_companies(query: Query, ids_of: Callable[[str], Sequence[str]]) -> Query:
    """The query with names of companies as the ids that they stand for; a name of nobody stays as it is."""
    return query if query.node is None else replace(query, node=_renamed(query.node, ids_of))


def _renamed(node: Node, ids_of: Callable[[str], Sequence[str]]) -> Node:
    match node:
        case Field("company", value):
            return _joined(Or, [Field("company", one) for one in ids_of(value)]) or node
        case Not(of):
            return Not(_renamed(of, ids_of))
        case And(of):
            return _joined(And, [_renamed(each, ids_of) for each in of]) or node
        case Or(of):
            return _joined(Or, [_renamed(each, ids_of) for each in of]) or node
        case _:
            return node
