"""What is watched: saved searches, each a series of its own, and companies with their exposure and who answers for them.

A version of the run (kind "watches"): which documents count in `watch:NAME` is decided by the version in force at their known time,
so every worker counts the same, and an alert names the hash. Pure; groundswell/store/versions.py keeps it.
"""

import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Final, NamedTuple

import msgspec

from groundswell.codec import canonical
from groundswell.errors import UsageError
from groundswell.names import content_id, entity_series, watch_series
from groundswell.records import Document, Score
from groundswell.search import Node, anchors, matches, parse, with_companies
from groundswell.terms import Indexed

QUERIES_MAX: Final = 100
"""Each one is tried on every document."""

COMPANIES_MAX: Final = 5_000
NAME: Final = re.compile(r"\w[\w-]{0,39}")
COLUMNS: Final = ("company", "weight", "owner")
OWNER_CHARACTERS_MAX: Final = 100
NEAR_MAX: Final = 3
FORMULA: Final = re.compile(r"'[=+\-@]")

IdsOf = Callable[[str], Sequence[str]]
"""A company's id or name -> the ids that it may stand for."""

Near = Callable[[str], Sequence[str]]
"""A name that no company has -> the nearest that some have."""


class WatchedCompany(msgspec.Struct, frozen=True, kw_only=True):
    """A company that somebody answers for."""

    company: str  # id in the catalogue
    weight: float  # exposure, in whatever unit the desk uses; at least 0
    owner: str = ""


class Watches(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One version of what is watched."""

    queries: dict[str, str] = {}  # name -> query as groundswell/search.py prints it, companies as ids
    companies: list[WatchedCompany] = []

    @cached_property
    def hash(self) -> str:
        """Name of the version."""
        return content_id("watches", canonical(self).decode())

    @cached_property
    def followed(self) -> frozenset[str]:
        """Ids of the companies that are watched."""
        return frozenset(one.company for one in self.companies)

    @cached_property
    def nodes(self) -> Mapping[str, Node | None]:
        """{name: what it looks for}."""
        return {name: parse(query).node for name, query in sorted(self.queries.items())}

    def series_of(self, document: Document, score: Score) -> list[str]:
        """The series of the saved searches that a scored document is found by."""
        if not self.queries:
            return []
        indexed = Indexed(document, score)
        names = self._unanchored.union(*(self._by_anchor[term] for term in self._by_anchor.keys() & indexed.terms))
        return [watch_series(name) for name in sorted(names) if matches(self.nodes[name], indexed)]

    @cached_property
    def _by_anchor(self) -> Mapping[str, frozenset[str]]:
        """{term: names of the searches that may find a document with it}: most documents have none, and are looked at no further."""
        names: dict[str, set[str]] = {}
        for name, node in self.nodes.items():
            for term in anchors(node) or ():
                names.setdefault(term, set()).add(name)
        return {term: frozenset(found) for term, found in names.items()}

    @cached_property
    def _unanchored(self) -> frozenset[str]:
        """Names of the searches that any document may be found by."""
        return frozenset(name for name, node in self.nodes.items() if not anchors(node))

    # --- changes: each a new version ---------------------------------------------------------------------------------------
    def saving(self, name: str, query: str, *, ids_of: IdsOf) -> "Watches":
        """With a search saved under a name; one of that name is replaced.

        Raises:
            UsageError: the name or the query cannot be used.
        """
        if not NAME.fullmatch(name):
            reason = f"watch {name[:60]!r}: a name has letters, digits, - and _, at most 40 of them; choose another"
            raise UsageError(reason)
        read = with_companies(parse(query), ids_of)
        if read.node is None or read.from_ms is not None or read.to_ms is not None:
            reason = f"watch {name}: a saved search says what, not when: leave out from: and to:, and look for something"
            raise UsageError(reason)
        if len(self.queries.keys() | {name}) > QUERIES_MAX:
            reason = f"watch {name}: there are {QUERIES_MAX} saved searches already; remove one with `groundswell watch remove`"
            raise UsageError(reason)
        return msgspec.structs.replace(self, queries=self.queries | {name: str(read)})

    def watching(self, companies: Iterable[WatchedCompany]) -> "Watches":
        """With companies added; those that are watched already get their new weight and owner.

        Raises:
            UsageError: too many.
        """
        known = {one.company: one for one in [*self.companies, *companies]}
        if len(known) > COMPANIES_MAX:
            reason = f"watch: {len(known):,} companies, at most {COMPANIES_MAX:,} are watched; remove some with `groundswell watch remove`"
            raise UsageError(reason)
        return msgspec.structs.replace(self, companies=[known[name] for name in sorted(known)])

    def with_only(self, companies: Iterable[WatchedCompany]) -> "Watches":
        """With these companies and no others.

        Raises:
            UsageError: too many.
        """
        return msgspec.structs.replace(self, companies=[]).watching(companies)

    def without(self, names: Iterable[str]) -> "Watches":
        """Without saved searches and companies of these names.

        Raises:
            UsageError: one is neither.
        """
        gone = set(names)
        unknown = sorted(gone - self.queries.keys() - {one.company for one in self.companies})
        if unknown:
            reason = f"watch {unknown[0]!r}: no saved search and no watched company is called so; `groundswell watch list` prints them"
            raise UsageError(reason)
        return Watches(
            queries={name: query for name, query in self.queries.items() if name not in gone},
            companies=[one for one in self.companies if one.company not in gone],
        )


NOTHING: Final = Watches()


def nothing_watched(_known_ms: int) -> Watches:
    """For a run that watches nothing."""
    return NOTHING


class Difference(NamedTuple):
    """What a list of companies would change in a watchlist."""

    added: list[WatchedCompany]
    changed: list[tuple[WatchedCompany, WatchedCompany]]  # as it is, as it would be
    removed: list[WatchedCompany]
    same: int

    @classmethod
    def between(cls, before: Watches, after: Watches) -> "Difference":
        """What is different between two versions, by company."""
        old, new = ({one.company: one for one in each.companies} for each in (before, after))
        both = [(old[name], new[name]) for name in sorted(old.keys() & new.keys())]
        return cls(
            added=[new[name] for name in sorted(new.keys() - old.keys())],
            changed=[pair for pair in both if pair[0] != pair[1]],
            removed=[old[name] for name in sorted(old.keys() - new.keys())],
            same=sum(one == other for one, other in both),
        )


def company_rows(watches: Watches) -> list[dict[str, Any]]:
    """The watched companies as `read_companies` reads them, greatest exposure first."""
    return [
        {"company": one.company, "weight": repr(one.weight), "owner": one.owner}
        for one in sorted(watches.companies, key=lambda one: (-one.weight, one.company))
    ]


def watch_rows(watches: Watches) -> list[dict[str, Any]]:
    """Saved searches, then companies, greatest exposure first: as other programs read them."""
    searches = [
        {"what": "search", "name": name, "series": watch_series(name), "query": query, "weight": None, "owner": None}
        for name, query in sorted(watches.queries.items())
    ]
    companies = [
        {"what": "company", "name": c.company, "series": entity_series(c.company), "query": None, "weight": c.weight, "owner": c.owner}
        for c in sorted(watches.companies, key=lambda c: (-c.weight, c.company))
    ]
    return [*searches, *companies]


# --- reading a file of companies -----------------------------------------------------------------------------------------------
def read_companies(lines: Iterable[str], *, ids_of: IdsOf, near: Near = lambda _: ()) -> tuple[list[WatchedCompany], list[str]]:
    """Companies of a CSV file `company,weight,owner`, and why each other line was not taken.

    Args:
        lines: of the file; the first has the names of the columns.
        ids_of: who may be meant.
        near: what a name that nobody has may be a mistake for.

    Raises:
        UsageError: the first line lacks a column.
    """
    reader = csv.DictReader(lines, restkey="more")
    header = [name.strip().lower().removeprefix("\ufeff") for name in reader.fieldnames or ()]
    missing = [name for name in COLUMNS[:2] if name not in header]
    if missing:
        reason = f"line 1: has no column {missing[0]!r}, got {', '.join(header)[:80] or 'nothing'}; write {','.join(COLUMNS)}"
        raise UsageError(reason)
    reader.fieldnames = header
    taken: dict[str, WatchedCompany] = {}
    refused: list[str] = []
    for row in reader:
        try:
            one = _company({name: str(row.get(name) or "").strip() for name in COLUMNS}, ids_of, near)
        except UsageError as error:
            refused.append(f"line {reader.line_num}: {error}")
            continue
        if one.company in taken:
            refused.append(f"line {reader.line_num}: company {one.company!r}: stands in an earlier line already; keep one of the two")
        taken.setdefault(one.company, one)
    return list(taken.values()), refused


def _company(row: Mapping[str, str], ids_of: IdsOf, near: Near) -> WatchedCompany:
    # What wrote the file may have put a quote before what looks like a formula.
    name, owner = (row[key][1:] if FORMULA.match(row[key]) else row[key] for key in ("company", "owner"))
    ids = ids_of(name) if name else []
    if len(ids) != 1:
        unknown = "the catalogue does not know it"
        close = f"{unknown}, did you mean {' or '.join(map(repr, found[:NEAR_MAX]))}?" if name and (found := near(name)) else ""
        what = f"may be {', '.join(ids[:5])}: write the id" if ids else close or f"{unknown}: `groundswell entities list`"
        reason = f"company {name[:60]!r}: {what}"
        raise UsageError(reason)
    try:
        weight = float(row["weight"])
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        reason = f"weight {row['weight'][:40]!r}: must be a number of at least 0, such as 0.08"
        raise UsageError(reason)
    if len(owner) > OWNER_CHARACTERS_MAX:
        reason = f"owner: {len(owner)} characters, at most {OWNER_CHARACTERS_MAX}; shorten it"
        raise UsageError(reason)
    return WatchedCompany(company=ids[0], weight=weight, owner=owner)
