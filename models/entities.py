"""Which companies a text names: a catalogue of names, found all at once.

Four kinds of name, decided by the catalogue (docs/catalogue.md has the table):

- plain: any case (`boeing`, `BOEING`);
- exact: letter for letter, because other spellings are common words (`Apple`); so is every name in capitals (`SEC`);
- context: exact, and beside a business word, a possessive, or in a text that names the company otherwise (`Target`, `Visa`);
- never: a phrase that contains a name and is none (`apple pie`, `Harrison Ford`); it covers the name and yields nothing.

File format: a CSV with the columns below; the last four hold lists separated by `|`. `ambiguous` repeats names of the same
row: `Apple` must be spelt exactly, `!Target` needs context as well. Reading is strict, so that a slip is found when it is made.

The longest name wins, names never overlap, and a name in letters must stand alone (a possessive may follow), while a Chinese
name may stand anywhere. Tickers count only where they cannot be a word: `$TSLA`, `NYSE: GE`, `600519.SH`, `(BA.N)`.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, NoReturn

import ahocorasick
import msgspec

from groundswell.errors import SettingsError, reason_of
from groundswell.names import content_id
from groundswell.records import Mention

Rule = Literal["plain", "exact", "context", "never"]
Refusal = Literal["", "address", "case"]  # why a name is set aside before its neighbours are looked at; empty: it is not

COLUMNS: Final = ("entity_id", "name_en", "name_zh", "sector", "country", "aliases", "tickers", "ambiguous", "never")
REQUIRED: Final = ("entity_id", "name_en")
AUTHORITY: Final = "institution"
"""The sector of central banks, regulators and multilateral institutions."""

_ID = re.compile(r"[A-Za-z0-9_]{1,40}")
_TICKER_CELL = re.compile(r"[A-Z0-9][A-Z0-9&.+-]{0,15}")

DEFAULT_PATH: Final = Path(__file__).with_name("catalogue.csv")
AS_OF: Final = "2026-11"  # the month that the shipped names and tickers were last gone through
RULES_VERSION: Final = "1"  # part of the hash: raise it when the rules below find other mentions in the same text

_AFTER = """
    acquires agrees announces app asks bank bankruptcy beats boss buys carrier ceo cfo chain chairman chief co company corp
    creditors customers cuts deal debt dividend earnings employees exchange executive executives faces files fined firm forecast
    giant group hires holdings inc insurer investors ipo launches layoffs lender lifts maker merger merges operator owner plans
    plc posts profit profits raises reaches reports results retailer revenue rolls said sales says sells settles share
    shareholders shares shop shops staff stake stock stocks store stores subsidiary sued sues takeover unit unveils users warns
    withdrawals workers
"""
_BEFORE = """
    airline automaker bank bookseller broker builder carmaker carrier chain company conglomerate exchange fintech firm giant
    group insurer lender maker manager miner operator owner platform provider retailer startup supermarket
"""
_BESIDE_ZH = """
    公司 集团 股价 股票 股份 股东 财报 营收 业绩 上市 市值 高管 总裁 创始人 董事 发布 回应 致歉 召回 裁员 涨停 跌停 旗下 被罚
    手机 官网 汽车 新品 系统 员工 约谈 门店 芯片 银行 支行 分行 客服 存款 贷款 理财 信用卡 ceo
"""
WORDS_AFTER: Final = frozenset(_AFTER.split())  # "Target shares"
WORDS_BEFORE: Final = frozenset(_BEFORE.split())  # "retailer Target"
WORDS_BESIDE_ZH: Final = tuple(_BESIDE_ZH.split())
ZH_REACH: Final = 8  # characters before and after a Chinese context name in which a business word counts

_NEXT_WORD = re.compile(r"[ \t]{1,2}([a-z]+)")
_POSSESSIVE = re.compile(r" ?'s(?![a-z])")
_LAST_WORDS = re.compile(r"(?:([a-z]+) )?([a-z]+) $")
_HELD = frozenset({"shares", "stake", "stock", "investors"})  # "shares of Target"
_US = "NYSE American|NYSEAMERICAN|NYSEARCA|NYSE|NASDAQGS|NASDAQGM|NASDAQ|AMEX"
_SUFFIXES = "LSE:L LON:L HKEX:HK HKG:HK SEHK:HK SSE:SH SHA:SH SZSE:SZ SHE:SZ TYO:T TSE:T KRX:KS TPE:TW NSE:NS BSE:NS ASX:AX EPA:PA"
_SUFFIX_OF = dict(pair.split(":") for pair in _SUFFIXES.split())  # exchange -> suffix of its listings
_SAME_SUFFIX = {"SS": "SH", "BO": "NS", "SG": "SI", "KQ": "KS"}
_REGIONS = """
    CN HK MO TW; JP KR; IN LK PK BD NP; SG MY ID TH PH VN MM; AU NZ; US CA; MX BR AR CL CO PE VE PA;
    GB IE FR DE NL BE LU CH AT IT ES PT GR SE DK NO FI PL CZ HU RO BG RS EU; RU UA BY KZ MN;
    TR IL AE SA QA KW BH IQ IR LB EG; ZA NG KE ET GH AO ZM ZW CI MA DZ LY
"""
REGION_OF: Final = {country: str(number) for number, row in enumerate(_REGIONS.split(";")) for country in row.split()}
_US_SUFFIX = frozenset({"N", "O", "OQ", "K", "A"})
_CASHTAG = re.compile(r"\$(?<![\w$]\$)(?P<cash>[A-Za-z]{1,6}(?:\.[A-Za-z])?)(?![\w$])")
_LISTED = re.compile(
    rf"\b(?P<exchange>{_US}|{'|'.join(_SUFFIX_OF)})\s?[:：]\s?(?P<code>[A-Z0-9](?:[A-Z0-9.&-]{{0,8}}[A-Z0-9])?)(?![A-Za-z0-9])"
)
_NUMBERED = re.compile(r"(?<![\w.])(?P<code>\d{3,6})\.(?P<suffix>SH|SS|SZ|HK|T|KS|KQ|TW)(?![A-Za-z0-9])")
_BRACKETED = re.compile(r"(?<=[(（\[])(?P<code>[A-Z][A-Z0-9]{0,9})\.(?P<suffix>[A-Z]{1,2})(?=[)）\]])")


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """A company, bank, exchange, coin issuer or institution that opinion can be followed for."""

    entity_id: str  # ASCII letters, digits and underscores; part of stored series keys, so it never changes
    name_en: str
    name_zh: str = ""
    sector: str = ""
    country: str = ""  # ISO 3166 code of the seat, EU, or empty
    aliases: tuple[str, ...] = ()
    tickers: tuple[str, ...] = ()  # US codes bare (TSLA), others with suffix (600519.SH)
    ambiguous: tuple[str, ...] = ()  # as in the file, with the mark for context
    never: tuple[str, ...] = ()

    def rules(self) -> Iterator[tuple[str, Rule]]:
        """Each name and phrase of this entity once, with the rule that it is found by."""
        marks: dict[str, Rule] = {name.removeprefix("!"): "context" if name.startswith("!") else "exact" for name in self.ambiguous}
        for name in dict.fromkeys(name for name in (self.name_en, self.name_zh, *self.aliases) if name):
            upper_only = name == name.upper() != name.lower()
            yield name, marks.get(name, "exact" if upper_only else "plain")
        for phrase in self.never:
            yield phrase, "never"


class _Name(msgspec.Struct, frozen=True):
    """A key of the automaton: who it stands for, and what must hold around it."""

    spellings: tuple[str, ...]  # equal but for case; one must be met where the rule is exact or context
    entity_id: str
    rule: Rule
    letters_first: bool  # its first or last character is a letter of a spaced script, so a word must not run on
    letters_last: bool


class Hit(NamedTuple):
    """A name, a phrase that is none, or a ticker at characters [start, end) of a text."""

    start: int
    end: int
    entity_id: str
    rule: Rule | Literal["ticker"]


@dataclass(frozen=True)
class Catalogue:
    """Companies and their names. Immutable; equal files give equal hashes on every machine.

    >>> catalogue = Catalogue.load()
    >>> [m.entity_id for m in catalogue.find("Apple and $TSLA fall; apple pie does not")]
    ['Apple', 'Tesla']
    >>> catalogue.name("CreditSuisse", "zh")
    '瑞信'
    """

    entities: Mapping[str, Entity]
    hash: str  # 16 hexadecimal digits of entities, business words and rules
    _automaton: Any = field(repr=False, compare=False)
    _tickers: Mapping[str, str] = field(repr=False, compare=False)

    @classmethod
    def load(cls, path: Path | None = None, extra: Iterable[Path] = ()) -> "Catalogue":
        """Read the shipped catalogue (or `path`), then each file of `extra`.

        A row of an extra file whose id is known adds its names and tickers to that company; another id is a new company.

        Raises:
            SettingsError: a file is missing or breaks a rule; the text names file, line, rule, value and next step.
        """
        entities = read_catalogue([path or DEFAULT_PATH, *extra])
        automaton = ahocorasick.Automaton()
        for entity in entities.values():
            for key, name in _names(entity).items():
                automaton.add_word(key, name)
        automaton.make_automaton()
        tickers = {_same_code(code): entity.entity_id for entity in entities.values() for code in entity.tickers}
        facts = msgspec.json.encode([entities[entity_id] for entity_id in sorted(entities)]).decode()
        digest = content_id(RULES_VERSION, *sorted(WORDS_AFTER), *sorted(WORDS_BEFORE), *WORDS_BESIDE_ZH, facts)
        return cls(MappingProxyType(entities), digest, automaton, MappingProxyType(tickers))

    def find(self, text: str) -> list[Mention]:
        """Every mention in the order of the text, without overlaps; offsets are in characters of `text`."""
        folded = fold(text)
        hits = without_overlaps([hit for hit, refusal in self.seen(text, folded) if not refusal] + self.tickers_in(text))
        sure = {hit.entity_id for hit in hits if hit.rule not in ("context", "never")}
        return [
            Mention(hit.entity_id, hit.start, hit.end, authority=self.entities[hit.entity_id].sector == AUTHORITY)
            for hit in hits
            if hit.rule != "never" and (hit.rule != "context" or hit.entity_id in sure or _in_business(folded, hit))
        ]

    def name(self, entity_id: str, language: str = "en") -> str:
        """How to show a company; an id that this catalogue does not hold (an old series) is shown as it is."""
        entity = self.entities.get(entity_id)
        if entity is None:
            return entity_id
        return entity.name_zh if language == "zh" and entity.name_zh else entity.name_en or entity.name_zh

    def ids_of(self, name: str) -> list[str]:
        """What a name stands for: its id, in whatever case, or the ids of the companies that are found in it."""
        if name in self.entities:
            return [name]
        known = next((entity_id for entity_id in self.entities if entity_id.casefold() == name.casefold()), None)
        return [known] if known else list(dict.fromkeys(mention.entity_id for mention in self.find(name)))

    def peers(self, entity_id: str, *, limit: int = 20) -> list[str]:
        """Ids of companies to compare one with: its sector in its country, then its sector in its region.

        At most `limit`; within each of the two the order of the file, which puts the better known first. Empty for an unknown
        id, and for companies without sector or country.

        >>> Catalogue.load().peers("CreditSuisse", limit=2)
        ['UBS', 'JuliusBaer']
        """
        own = self.entities.get(entity_id)
        if own is None or not own.sector or not own.country:
            return []
        rivals = [other for other in self.entities.values() if other.sector == own.sector and other.entity_id != entity_id]
        near = [other.entity_id for other in rivals if other.country == own.country]
        region = REGION_OF.get(own.country)
        far = [other.entity_id for other in rivals if other.country != own.country and region and REGION_OF.get(other.country) == region]
        return (near + far)[:limit]

    def seen(self, text: str, folded: str) -> list[tuple[Hit, Refusal]]:
        """Every name and phrase that stands alone in the text, overlaps and all, with why it is set aside at once.

        `folded` is `fold(text)`. A name inside a longer word is not even seen.
        """
        found: list[tuple[Hit, Refusal]] = []
        for last, name in self._automaton.iter(folded):
            start, end = last + 1 - len(name.spellings[0]), last + 1
            if name.letters_first and start and _is_word(text[start - 1]):
                continue
            if name.letters_last and end < len(text) and _is_word(text[end]):
                continue
            refusal: Refusal = ""
            if name.letters_first and start and (text[start - 1] in "$€£" or _in_address(folded, start)):
                refusal = "address"
            elif name.rule in ("exact", "context") and _straight(text[start:end]) not in name.spellings:
                refusal = "case"
            found.append((Hit(start, end, name.entity_id, name.rule), refusal))
        return found

    def tickers_in(self, text: str) -> list[Hit]:
        """Tickers of the catalogue that a mark shows to be tickers."""
        # Each pattern runs only over texts that hold its mark: most titles hold none.
        matches: list[tuple[re.Match[str], str]] = []
        if "$" in text:
            matches += [(match, match["cash"].upper()) for match in _CASHTAG.finditer(text)]
        if ":" in text or "：" in text:
            matches += [(match, _listing(match["code"], _SUFFIX_OF.get(match["exchange"], ""))) for match in _LISTED.finditer(text)]
        if "." in text:
            for pattern in (_NUMBERED, _BRACKETED):
                matches += [(match, _listing(match["code"], match["suffix"])) for match in pattern.finditer(text)]
        return [Hit(*match.span(), self._tickers[code], "ticker") for match, code in matches if code in self._tickers]


def _names(entity: Entity) -> dict[str, _Name]:
    """Keys of one entity; spellings that differ in case alone (BoJ, BOJ) share one, under the widest of their rules."""
    names: dict[str, _Name] = {}
    for text, rule in entity.rules():
        key = fold(text)
        other = names.get(key)
        spellings = (*(other.spellings if other else ()), _straight(text))
        widest = "plain" if other and other.rule == "plain" else rule
        names[key] = _Name(spellings, entity.entity_id, widest, _is_word(text[0]), _is_word(text[-1]))
    return names


def without_overlaps(hits: list[Hit]) -> list[Hit]:
    """Those that no better one overlaps, in the order of the text: the longest is best, then a ticker, then the leftmost."""
    if len(hits) < 2:
        return hits
    kept: list[Hit] = []
    taken = bytearray(max(hit.end for hit in hits))
    for hit in sorted(hits, key=lambda h: (h.start - h.end, h.rule != "ticker", h.start)):
        if not (taken[hit.start] or taken[hit.end - 1]):  # what is taken is no shorter, so it reaches an end of whatever it overlaps
            taken[hit.start : hit.end] = b"\1" * (hit.end - hit.start)
            kept.append(hit)
    return sorted(kept)


def fold(text: str) -> str:
    """Lower case and straight apostrophes, character for character, so that offsets stay those of the text.

    >>> fold("McDONALD’S in İzmir") == "mcdonald's in İzmir"
    True
    """
    lower = text.lower()
    if len(lower) != len(text):  # a few letters become two in lower case; they keep their case
        lower = "".join(small if len(small := char.lower()) == 1 else char for char in text)
    return _straight(lower)


def _straight(text: str) -> str:
    return text.replace("\u2019", "'")


def _is_word(char: str) -> bool:
    """Whether a word in letters would run on with this character; Chinese and other scripts without spaces do not count."""
    return char == "_" or (char.isalnum() and char < "\u2e80")


def _in_address(folded: str, start: int) -> bool:
    """Whether a name stands within a web address, which names a page's host or path and says nothing of the company."""
    before = folded[max(0, start - 200) : start]
    if before[-1].isspace():
        return False
    token = before.split()[-1]
    mark = max(token.find("://"), token.find("www."))
    return (mark >= 0 and token[mark:].isascii()) or (len(token) > 1 and token[-1] == "." and token[-2].isalnum())


def _in_business(folded: str, hit: Hit) -> bool:
    """Whether the words beside an ambiguous name say that it is a company."""
    if not _is_word(folded[hit.start]):
        around = folded[max(0, hit.start - ZH_REACH) : hit.start] + "\n" + folded[hit.end : hit.end + ZH_REACH]
        return any(word in around for word in WORDS_BESIDE_ZH)
    before = _LAST_WORDS.search(folded, max(0, hit.start - 32), hit.start)
    if before and (before[2] in WORDS_BEFORE or (before[1] in _HELD and before[2] in ("of", "in"))):
        return True
    if before and before[2] == "to":  # "moves to Block Company X": a verb in a headline that capitalises every word
        return False
    follows = _NEXT_WORD.match(folded, hit.end)
    return bool(_POSSESSIVE.match(folded, hit.end)) or (follows is not None and follows[1] in WORDS_AFTER)


def _listing(code: str, suffix: str) -> str:
    """The code as the catalogue writes it: US bare, others with the suffix of their exchange."""
    return code if not suffix or suffix in _US_SUFFIX else _same_code(f"{code}.{suffix}")


def _same_code(code: str) -> str:
    """One spelling per listing: `700.HK` is `0700.HK`, Shanghai's `.SS` is `.SH`.

    >>> _same_code("700.HK"), _same_code("600519.SS"), _same_code("BRK.B")
    ('0700.HK', '600519.SH', 'BRK.B')
    """
    head, dot, suffix = code.upper().rpartition(".")
    if not dot:
        return suffix
    suffix = _SAME_SUFFIX.get(suffix, suffix)
    return f"{head.zfill(4) if suffix == 'HK' else head}.{suffix}"


# --- reading the file ------------------------------------------------------------------------------------------
def read_catalogue(paths: Sequence[Path]) -> dict[str, Entity]:
    """Read files in order; the second and later ones may add to companies of earlier ones.

    Raises:
        SettingsError: naming file, line, rule, value and next step.
    """
    entities: dict[str, Entity] = {}
    claims: dict[str, tuple[str, str]] = {}  # folded name or ticker -> (entity, place)
    for path in paths:
        seen: dict[str, str] = {}
        for place, row in _rows(path):
            entity = _entity(place, row, known=row["entity_id"] in entities)
            if entity.entity_id in seen:
                _refuse(place, "each id stands once in a file", entity.entity_id, f"merge it with {seen[entity.entity_id]}")
            seen[entity.entity_id] = place
            _claim(claims, place, entity)
            earlier = entities.get(entity.entity_id)
            entities[entity.entity_id] = _merged(earlier, entity) if earlier else entity
    if not entities:
        _refuse(", ".join(map(str, paths)), "a catalogue holds at least one company", "none", "add a row under the header")
    return entities


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Lines of one file as (place, column -> text), every column present."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            _check_header(path, header)
            for cells in reader:
                place = f"{path}, line {reader.line_num}"
                if not cells:
                    continue
                if len(cells) > len(header):
                    _refuse(place, f"a row has at most {len(header)} cells", str(len(cells)), "quote cells that contain a comma")
                yield place, dict.fromkeys(COLUMNS, "") | dict(zip(header, cells, strict=False))
    except OSError as error:
        _refuse(str(path), "the catalogue file can be read", reason_of(error), "check the path and its permissions")
    except (csv.Error, UnicodeDecodeError) as error:
        _refuse(str(path), "the catalogue is a CSV file in UTF-8", reason_of(error), "save it as comma-separated UTF-8")


def _check_header(path: Path, header: list[str]) -> None:
    unknown = [name for name in header if name not in COLUMNS]
    missing = [name for name in REQUIRED if name not in header]
    if unknown or missing or len(set(header)) != len(header):
        rule = f"the columns are {', '.join(COLUMNS)}, each once, of which {' and '.join(REQUIRED)} are needed"
        _refuse(f"{path}, line 1", rule, ",".join(header), "correct the first line")


def _entity(place: str, row: dict[str, str], *, known: bool) -> Entity:
    for column, cell in row.items():
        if not cell.isprintable() or cell != cell.strip():
            _refuse(place, f"{column} has no control characters and no outer spaces", cell, "retype the cell")
    if not _ID.fullmatch(row["entity_id"]):
        _refuse(place, "entity_id is 1 to 40 ASCII letters, digits and underscores", row["entity_id"], "choose an id such as CreditSuisse")
    lists = {column: _list(place, column, row[column]) for column in ("aliases", "tickers", "ambiguous", "never")}
    for ticker in lists["tickers"]:
        if not _TICKER_CELL.fullmatch(ticker):
            _refuse(place, "a ticker is 1 to 16 capital letters, digits and . & + -", ticker, "write TSLA or 600519.SH")
    if not (known or row["name_en"] or row["name_zh"]):
        _refuse(place, "a new company has a name_en or a name_zh", row["entity_id"], "fill one of them")
    names = {row["name_en"], row["name_zh"], *lists["aliases"]} - {""}
    for name in names | set(lists["never"]):
        if len(name) < 2:
            _refuse(place, "a name has at least two characters", name, "use a longer name, or a ticker")
    both = {fold(name) for name in names} & {fold(phrase) for phrase in lists["never"]}
    if both:
        _refuse(place, "a phrase in never is longer than a name", min(both), "remove it from never or from the names")
    for mark in lists["ambiguous"]:
        if mark.removeprefix("!") not in names:
            _refuse(place, "ambiguous repeats names of the same row", mark, "add it to aliases, or correct its spelling")
    texts = {column: row[column] for column in ("entity_id", "name_en", "name_zh", "sector", "country")}
    return Entity(**texts, **lists)  # type: ignore[arg-type]


def _list(place: str, column: str, cell: str) -> tuple[str, ...]:
    items = tuple(cell.split("|")) if cell else ()
    for item in items:
        if not item or item != item.strip():
            _refuse(place, f"{column} is a list separated by single | without spaces around", cell, "remove the empty item or the spaces")
    return items


def _claim(claims: dict[str, tuple[str, str]], place: str, entity: Entity) -> None:
    """A name or ticker belongs to one entity, whatever its case: otherwise a mention would depend on the order of rows."""
    keys = [("name", fold(name)) for name, _ in entity.rules()] + [("ticker", _same_code(ticker)) for ticker in entity.tickers]
    for kind, name in keys:
        owner, where = claims.setdefault(f"{kind} {name}", (entity.entity_id, place))
        if owner != entity.entity_id:
            _refuse(place, f"a {kind} belongs to one company", name, f"remove it here or from {owner} ({where})")


def _merged(earlier: Entity, later: Entity) -> Entity:
    """The earlier entity with the later row's names; texts that the later row gives are shown instead, and still found."""
    old_names = tuple(name for name in (earlier.name_en, earlier.name_zh) if name)
    marks = {name.removeprefix("!"): name for name in (*earlier.ambiguous, *later.ambiguous)}
    return Entity(
        entity_id=earlier.entity_id,
        name_en=later.name_en or earlier.name_en,
        name_zh=later.name_zh or earlier.name_zh,
        sector=later.sector or earlier.sector,
        country=later.country or earlier.country,
        aliases=tuple(dict.fromkeys((*old_names, *earlier.aliases, *later.aliases))),
        tickers=tuple(dict.fromkeys((*earlier.tickers, *later.tickers))),
        ambiguous=tuple(marks.values()),
        never=tuple(dict.fromkeys((*earlier.never, *later.never))),
    )


def _refuse(place: str, rule: str, value: str, step: str) -> NoReturn:
    message = f"{place}: {rule}; got {value[:80]!r}; {step}"
    raise SettingsError(message)
