"""How PostgreSQL carries out what the board asks: every query of a view is explained as it is sent.

It is explained on its own connection, in its own transaction and with its own parameters, just before it runs: what a view tells the
planner for one query (groundswell/store/search.py does) holds for the explanation too. It is explained twice: at the costs of the
database, and for AT_ANY_COST at those that PostgreSQL ships with, where a page in no order counts four times one in order.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import event

from groundswell.store.store import Store

FACTS: Final = (
    "documents", "search", "scores", "admissions", "drops", "increments", "stories", "baselines", "source_hours", "candidates", "decisions",
)  # fmt: skip
"""Tables that grow with what is read; a part of one (a month) is called so too, with a suffix."""

AT_ANY_COST: Final = ("decisions",)
"""Those of which no view reads the whole, whatever the disks are said to be."""

SHIPPED: Final = "SELECT set_config('random_page_cost', boot_val, true) FROM pg_settings WHERE name = 'random_page_cost'"
GIVEN: Final = "SELECT set_config('random_page_cost', %(given)s, true)"


@dataclass
class Asked:
    """What a store was asked while somebody looked."""

    queries: int = 0
    scans: list[str] = field(default_factory=list)  # each query with a sequential scan of a fact table: which, its text and its plan

    def look_at(self, connection: Any, _cursor: Any, query: str, parameters: Any, *_rest: Any) -> None:
        """Explain a query that is about to run."""
        if not query.lstrip().upper().startswith(("SELECT", "WITH")):
            return
        self.queries += 1
        with connection.connection.dbapi_connection.cursor() as cursor:
            self._explain(cursor, query, parameters, FACTS)
            if any(table in query for table in AT_ANY_COST):
                ((given,),) = cursor.execute("SHOW random_page_cost").fetchall()
                cursor.execute(SHIPPED)
                self._explain(cursor, query, parameters, AT_ANY_COST)
                cursor.execute(GIVEN, {"given": given})

    def _explain(self, cursor: Any, query: str, parameters: Any, facts: tuple[str, ...]) -> None:
        ((plan,),) = cursor.execute(f"EXPLAIN (FORMAT JSON) {query}", parameters).fetchall()
        tables = sorted(scanned(plan[0]["Plan"], facts))
        if tables:
            lines = [line for (line,) in cursor.execute(f"EXPLAIN {query}", parameters).fetchall()]
            self.scans.append("\n".join([f"reads all of {', '.join(tables)}:", query, f"with {parameters}", *lines]))


def scanned(plan: dict[str, Any], facts: tuple[str, ...] = FACTS) -> set[str]:
    """The fact tables that a plan, as EXPLAIN gives it in JSON, reads from one end to the other.

    >>> scanned({"Node Type": "Sort", "Plans": [{"Node Type": "Seq Scan", "Relation Name": "scores_2026_03"}]})
    {'scores_2026_03'}
    >>> scanned({"Node Type": "Index Scan", "Relation Name": "scores"}), scanned({"Node Type": "Seq Scan", "Relation Name": "runs"})
    (set(), set())
    """
    name = plan.get("Relation Name", "")
    is_fact = any(name == fact or name.startswith(f"{fact}_") for fact in facts)
    mine = {name} if is_fact and plan["Node Type"] == "Seq Scan" else set()
    return mine.union(*(scanned(below, facts) for below in plan.get("Plans", [])))


@contextmanager
def watched(store: Store) -> Iterator[Asked]:
    """Explain every query that a store on PostgreSQL is sent in the meantime, from whatever thread."""
    asked = Asked()
    event.listen(store.engine, "before_cursor_execute", asked.look_at)
    try:
        yield asked
    finally:
        event.remove(store.engine, "before_cursor_execute", asked.look_at)
