"""Filings indexes of EDGAR: its Atom feeds, and the submissions of one company in JSON. Other indexes: json_api with kind = "filing"."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from groundswell.records import RawDocument
from ingest.types.base import ENTRIES_MAX, HttpType, Parsed, Request, unreadable
from ingest.types.document import document_of
from ingest.types.feed import Feed
from ingest.types.fields import json_of
from ingest.types.times import moment_of_value

if TYPE_CHECKING:
    from ingest.catalogue import Source

__all__ = ["Filings"]

ARCHIVE: Final = "https://www.sec.gov/Archives/edgar/data"
_FORM: Final = re.compile(r"^\s*([A-Z0-9][A-Z0-9 /-]{0,19}?) +- ")
_COLUMNS: Final = ("accessionNumber", "filingDate", "acceptanceDateTime", "form", "primaryDocument", "primaryDocDescription", "items")


class Filings(HttpType, frozen=True, kw_only=True):
    """EDGAR's indexes."""

    about: ClassVar[str] = "an index of EDGAR: an Atom feed of recent filings, or the submissions of one company in JSON"

    forms: tuple[str, ...] = ()  # only these forms, for example 8-K; an amendment (8-K/A) goes with its form; empty: all

    def _parse(self, body: bytes, headers: Mapping[str, str], *, asked: Request, source: "Source", fetched_ms: int) -> Parsed:
        if body.lstrip()[:1] == b"{":
            return self._submissions(json_of(body.decode("utf-8", "replace")), source, fetched_ms)
        parsed = Feed().parse(body, headers, asked=asked, source=source, fetched_ms=fetched_ms)
        records = [record for record in parsed.records if self._wanted(_form_of(record.title))]
        return msgspec.structs.replace(parsed, records=records)

    def _wanted(self, form: str) -> bool:
        return not self.forms or form in self.forms or form.removesuffix("/A") in self.forms

    def _submissions(self, answer: Any, source: "Source", fetched_ms: int) -> Parsed:
        filings = answer.get("filings") if isinstance(answer, dict) else None
        recent = filings.get("recent") if isinstance(filings, dict) else None
        if not isinstance(recent, dict) or not all(isinstance(recent.get(name), list) for name in _COLUMNS[:4]):
            return unreadable("not EDGAR's submissions: filings.recent with its columns is missing")
        rows = list(zip(*(_column(recent, name, len(recent[_COLUMNS[0]])) for name in _COLUMNS), strict=True))
        company, cik = str(answer.get("name") or "")[:200], re.sub(r"\D", "", str(answer.get("cik") or ""))[:10].lstrip("0")
        symbols = answer.get("tickers")
        made = (
            _filing(dict(zip(_COLUMNS, row, strict=True)), source, company=company, cik=cik, symbols=symbols, fetched_ms=fetched_ms)
            for row in rows[:ENTRIES_MAX]
            if self._wanted(str(row[3]))
        )
        records = [record for record in made if record is not None]
        return Parsed(records=records, entries=len(rows), title=company, readable=True)


def _filing(row: Mapping[str, Any], source: "Source", *, company: str, cik: str, symbols: Any, fetched_ms: int) -> RawDocument | None:
    number = str(row["accessionNumber"] or "")
    if not re.fullmatch(r"\d{10}-\d{2}-\d{6}", number):
        return None
    items = f"Items {row['items']}" if row["items"] else ""
    return document_of(
        source,
        fetched_ms=fetched_ms,
        title=f"{row['form']} - {company}",  # as EDGAR's own feed words it
        text=". ".join(part for part in (str(row["primaryDocDescription"] or ""), items) if part),
        url=f"{ARCHIVE}/{cik}/{number.replace('-', '')}/{row['primaryDocument'] or number + '-index.htm'}" if cik else None,
        identifier=number,
        language="en",
        published=moment_of_value(row["acceptanceDateTime"] or row["filingDate"]),
        tickers=symbols if isinstance(symbols, list) else (),
    )


def _column(recent: Mapping[str, Any], name: str, length: int) -> list[Any]:
    found = recent.get(name)
    values = found if isinstance(found, list) else []
    return [value if isinstance(value, (str, int)) else "" for value in [*values[:length], *[""] * (length - len(values))]]


def _form_of(title: str) -> str:
    """The form that EDGAR puts before the company.

    >>> _form_of("8-K/A - HARBOUR BANK (0001) (Filer)")
    '8-K/A'
    """
    found = _FORM.match(title)
    return found[1] if found else ""
