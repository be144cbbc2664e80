"""The tally: pings held against listed events, and a list that cannot be meant."""

from datetime import datetime

import pytest

from alerts.tally import Event, Ping, figures, leads_ms, read_events
from groundswell.errors import UsageError
from groundswell.names import DAY_MS, HOUR_MS

BANK = Event(frozenset({"entity:bank", "flag:liquidity_run:bank"}), 10 * HOUR_MS, 34 * HOUR_MS, "run on the bank")
FERRY = Event(frozenset({"entity:ferry"}), 50 * HOUR_MS, 60 * HOUR_MS, "ferry sinks")


def ping(hour: float, *series: str) -> Ping:
    return Ping(round(hour * HOUR_MS), frozenset(series))


def moment(text: str, *, name: str, end: bool = False) -> int:
    try:
        day = DAY_MS if end and len(text) == 10 else 0
        return round(datetime.fromisoformat(f"{text}+00:00").timestamp() * 1_000) + day
    except ValueError as error:
        reason = f"{name} {text!r}: not a time"
        raise UsageError(reason) from error


def read(text: str) -> list[Event]:
    return read_events(text.splitlines(), place="events.csv", moment=moment, series_of=lambda name: [name])


def test_a_ping_tells_an_event_by_its_series_and_its_time() -> None:
    assert ping(10, "entity:bank").tells(BANK)
    assert ping(33.9, "topic:debt_credit:en", "flag:liquidity_run:bank").tells(BANK)
    assert not ping(34, "entity:bank").tells(BANK)
    assert not ping(9.9, "entity:bank").tells(BANK)
    assert not ping(12, "entity:ferry").tells(BANK)


def test_figures_count_right_pings_found_events_delay_and_lead() -> None:
    pings = [ping(5, "entity:bank"), ping(12, "entity:bank"), ping(13, "entity:bank"), ping(55, "topic:debt_credit:en")]
    found = figures(pings, [BANK, FERRY], start_ms=0, end_ms=4 * DAY_MS)

    assert (found.pings, found.right, found.listed, found.found) == (4, 2, 2, 1)
    assert (found.after_start_ms, found.before_end_ms) == (2 * HOUR_MS, 22 * HOUR_MS)
    assert found.per_day == 1.0


def test_an_event_belongs_to_the_part_of_the_span_that_it_begins_in() -> None:
    pings = [ping(30, "entity:bank")]
    before, after = (figures(pings, [BANK], start_ms=a, end_ms=a + DAY_MS) for a in (0, DAY_MS))

    assert (before.listed, before.found, before.pings) == (1, 1, 0)
    assert (after.listed, after.found, after.pings, after.right) == (0, 0, 1, 1)


def test_nothing_sent_and_nothing_listed_has_no_times() -> None:
    found = figures([], [], start_ms=0, end_ms=DAY_MS)

    assert (found.per_day, found.after_start_ms, found.before_end_ms) == (0.0, None, None)


def test_a_list_is_read_with_bare_days_counted_whole() -> None:
    (event,) = read('series,start,end,name\nentity:bank,2026-03-01,2026-03-02,"run, on the bank"\n')

    assert event.name == "run, on the bank"
    assert event.end_ms - event.start_ms == 2 * DAY_MS


def test_a_lead_runs_from_the_public_moment_where_one_is_listed_and_from_the_start_where_none_is() -> None:
    known, silent = read("series,start,end,name,public\na,2026-03-01,2026-03-02,x,2026-03-01T12:00\nb,2026-03-01,2026-03-02,y,\n")
    assert known.reference_ms - known.start_ms == 12 * HOUR_MS
    pings = [Ping(known.start_ms + 10 * HOUR_MS, frozenset("ab")), Ping(known.start_ms + 13 * HOUR_MS, frozenset("ab"))]
    assert leads_ms([known, silent], pings) == [-2 * HOUR_MS, 10 * HOUR_MS]
    assert leads_ms([known], []) == [], "what was not told has no lead"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("series,start,name\n", r"events.csv, line 1: column 'end' is missing; the first line has to be series,start,end,name"),
        ("series,start,end,name\nbank,,2026-03-02,x\n", r"events.csv, line 2: series, start or end is empty"),
        ("series,start,end,name\nbank,soon,2026-03-02,x\n", r"events.csv, line 2, start 'soon': not a time"),
        ("series,start,end,name\na,2026-03-01,2026-03-02,x\nb,2026-03-05,2026-03-02,x\n", r"line 3: end '2026-03-02' does not lie behind"),
        ("series,start,end,name,public\na,2026-03-01,2026-03-02,x,2026-04-01\n", r"line 2: public '2026-04-01' does not lie between"),
        ("series,start,end,name\nbank\n", r"events.csv, line 2: series, start or end is empty"),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused_with_line_and_column(text: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read(text)
