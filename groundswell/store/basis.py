"""How the known times behind a figure came about: recorded, claimed or assumed. An export that does not say it claims too much.

Facts are shared between runs, so a document's row says how the *first* run that met it knew its time. What a run itself was told is in
its manifest, counted when its archive was read; a document's own word is believed as far as it is among those.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, cast, get_args

from sqlalchemy import Connection, and_, select

from groundswell.names import LIVE_RUN
from groundswell.records import Alert, KnownBasis
from groundswell.store import schema as t
from groundswell.store.chunks import in_chunks
from groundswell.store.history import history_of
from groundswell.store.runs import manifest_of

__all__ = ["BASIS", "basis_of_alerts", "basis_of_run", "weakest"]

BASIS: Final = "known_basis"
"""Where the manifest of an archive's run says it: {basis: documents}."""

_STRENGTH: Final[Mapping[str, int]] = {basis: rank for rank, basis in enumerate(get_args(KnownBasis))}  # the weakest comes last


def weakest(found: Iterable[str]) -> KnownBasis:
    """The one that a figure made of all of them rests on; recorded where there is none.

    >>> weakest(["recorded", "assumed", "claimed"]), weakest([])
    ('assumed', 'recorded')
    """
    return cast("KnownBasis", max(found, key=_STRENGTH.__getitem__, default="recorded"))


def basis_of_run(connection: Connection, run: str) -> KnownBasis:
    """The weakest basis of any known time in a run; a live run's own are recorded, those of its history are what they were.

    Raises:
        NotFoundError: no such run.
    """
    return weakest(_of_run(connection, run))


def basis_of_alerts(connection: Connection, run: str, alerts: Iterable[Alert]) -> dict[str, KnownBasis]:
    """{document id: how its known time came about} of the documents that alerts of a run quote.

    Raises:
        NotFoundError: no such run.
    """
    of_run = _of_run(connection, run)
    wanted = sorted({quote.document_id for alert in alerts for quote in alert.evidence})
    if len(of_run) == 1:
        return dict.fromkeys(wanted, weakest(of_run))
    found: dict[str, KnownBasis] = {}
    a, d = t.admissions.c, t.documents.c
    same = and_(a.document_id == d.document_id, a.content_hash == d.content_hash)
    for chunk in in_chunks(wanted):
        chosen = a.document_id.in_(chunk)
        rows = select(d.document_id, d.known_basis).select_from(t.admissions.join(t.documents, same))
        for document_id, basis in connection.execute(rows.where(a.run == run, a.outcome == "scored", chosen)):
            found[document_id] = basis if basis in of_run else weakest(of_run)
    return found


def _of_run(connection: Connection, run: str) -> set[str]:
    if run == LIVE_RUN:
        past = history_of(connection, run)
        return {"recorded"} if past is None else {"recorded", *_of_run(connection, past.run)}
    counted: dict[str, Any] | None = manifest_of(connection, run).get(BASIS)
    if counted is not None:
        return set(counted)
    a, d = t.admissions.c, t.documents.c  # a run from before it was counted
    same = and_(a.document_id == d.document_id, a.content_hash == d.content_hash)
    rows = select(d.known_basis).distinct().select_from(t.admissions.join(t.documents, same)).where(a.run == run)
    return set(connection.execute(rows).scalars())
