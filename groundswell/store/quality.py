"""What a report of a month's alerts is made of, read from the store."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection, func, select

from groundswell.codec import decode
from groundswell.judged import words_of
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, TICK_MS
from groundswell.quality import MonthFacts, Told
from groundswell.records import Action, Alert, Verdict
from groundswell.schedule import RULES
from groundswell.store import schema as t
from groundswell.store.actions import actions_of, corrections_of, misses_of, verdicts_of
from groundswell.store.grid import first_hour_ms
from groundswell.store.health import blind_spans, run_kind
from groundswell.store.inbox import decided_ms
from groundswell.store.query import alerts_of, settled_balance, span_of, total
from groundswell.store.versions import contents_of, read_schedule


def read_month(
    connection: Connection, run: str, *, start_ms: int, end_ms: int, log: LocalLog | None = None, instrument: bool = True
) -> MonthFacts:
    """A month of a run.

    Args:
        connection: a reading transaction.
        run: whose.
        start_ms: its first moment, in known time.
        end_ms: the moment after its last one; what people said later of its alerts is counted too.
        log: the run's local log, for the balance; None where it has none, or is elsewhere.
        instrument: False: without blindness, canaries and the balance, and as if the run began with its first closed hour: for a
            page, which cannot wait until every row is counted.
    """
    alerts = alerts_of(connection, run, start_ms=start_ms, end_ms=end_ms)
    verdicts = verdicts_of(connection, run, alerts=[alert.id for alert in alerts])
    quoted = {quote.document_id: quote for alert in alerts for quote in alert.evidence}
    corrected = {(one.document_id, one.what) for one in corrections_of(connection, documents=list(quoted))}
    first_ms = span_of(connection, run)[0] if instrument else first_hour_ms(connection, run)
    until_ms = min(end_ms, decided_ms(connection, run))
    return MonthFacts(
        days=max(0, -(-until_ms // DAY_MS) - max(start_ms, first_ms) // DAY_MS) if first_ms and until_ms > start_ms else 0,
        alerts=alerts,
        words=words_of(verdicts),
        incidents=_told(alerts, actions_of(connection, run), verdicts),
        is_live=run_kind(connection, run) == "live",
        sent=_sent(connection, run, alerts),
        told_ms=_told_ms(connection, run, alerts),
        budget_per_day=_budget(connection, run, until_ms),
        misses=[miss for miss in misses_of(connection, run) if start_ms <= miss.moment_ms < end_ms],
        corrections=Counter(what for _, what in corrected),
        lags_ms=[quote.known_ms - quote.published_ms for quote in quoted.values()],
        blind_ms=_blind(connection, run, start_ms=start_ms, end_ms=until_ms) if instrument else {},
        canaries=_canaries(connection, run, start_ms=start_ms, end_ms=end_ms) if instrument else 0,
        unbalanced=_unbalanced(connection, run, log=log) if instrument else None,
    )


def _told(alerts: Sequence[Alert], actions: Sequence[Action], verdicts: Sequence[Verdict]) -> list[Told]:
    """The incidents of which the first of these alerts is the first one."""
    done: dict[str, list[Action]] = defaultdict(list)
    for action in actions:
        done[action.incident].append(action)
    of_alert = {alert.id: alert.incident for alert in alerts}
    judged: dict[str, int] = {}
    for verdict in verdicts:
        judged.setdefault(of_alert[verdict.alert], verdict.at_ms)
    return [
        Told(
            opened_ms=alert.opened_ms,
            acknowledged_ms=next((one.at_ms for one in done[alert.incident] if one.what == "acknowledge"), None),
            judged_ms=judged.get(alert.incident),
            touched=bool(done[alert.incident]) or alert.incident in judged,
        )
        for alert in alerts
        if alert.update == 0
    ]


def _sent(connection: Connection, run: str, alerts: Sequence[Alert]) -> Mapping[str, Sequence[int]]:
    opened = {alert.id: alert.opened_ms for alert in alerts}
    sent: dict[str, list[int]] = defaultdict(list)
    row = t.outbox.c
    for alert_id, target in connection.execute(select(row.alert_id, row.target).where(row.run == run, row.state == "sent")):
        if alert_id in opened:
            sent[target].append(opened[alert_id])
    return sent


def _told_ms(connection: Connection, run: str, alerts: Sequence[Alert]) -> list[int]:
    """How long each message that was to go at once took: from the beginning of its tick, for what tips it was known within that tick."""
    opened, row = {alert.id: alert.opened_ms for alert in alerts}, t.outbox.c
    at_once = select(row.alert_id, row.sent_ms).where(row.run == run, row.state == "sent", row.how == "now", row.sent_ms.is_not(None))
    return sorted(sent_ms - opened[alert_id] + TICK_MS for alert_id, sent_ms in connection.execute(at_once) if alert_id in opened)


def _unbalanced(connection: Connection, run: str, *, log: LocalLog | None) -> list[str] | None:
    """Sources whose balance is not zero; None where nothing says what was fetched."""
    rows = settled_balance(connection, run, log=log)
    return [row.source for row in rows if row.balance] if not rows or total(rows).fetched else None


class _Desk(msgspec.Struct):
    budget_per_day: int


class _Rules(msgspec.Struct):
    """The one line of the rules that the report compares with."""

    desk: _Desk


def _budget(connection: Connection, run: str, known_ms: int) -> int | None:
    content = contents_of(connection, RULES).get(read_schedule(connection, run).at(RULES, known_ms) or "")
    return decode(content, _Rules).desk.budget_per_day if content else None


def _blind(connection: Connection, run: str, *, start_ms: int, end_ms: int) -> Mapping[str, int]:
    """{source: ms} of the blindness that ended within the month, as far as it lay in it."""
    blind: dict[str, int] = defaultdict(int)
    for source, since, until in blind_spans(connection, run, start_ms=start_ms, end_ms=end_ms):
        blind[source] += max(0, min(until, end_ms) - max(since, start_ms))
    return blind


def _canaries(connection: Connection, run: str, *, start_ms: int, end_ms: int) -> int:
    c = t.canaries.c
    counted = select(func.count()).where(c.run == run, c.due_ms >= start_ms, c.due_ms < end_ms)
    return int(connection.execute(counted).scalar_one())
