"""The dossier says what this rule's alerts were judged to be, and which incidents before it were like it: then, and now."""

from collections.abc import Sequence
from pathlib import Path

from groundswell.records import Alert, Verdict, VerdictWord
from groundswell.store.actions import record_verdict
from groundswell.store.store import Store
from tests.dashboards.board.board_store import END_MS, a_board, an_opened_alert

DAY = 86_400_000
HOUR = 3_600_000
ALERT = an_opened_alert()
PAST = [
    an_opened_alert(id=f"b{number:015x}", incident=f"c{number:015x}", opened_ms=END_MS - 3 * HOUR - number * HOUR) for number in range(12)
]


def judge(store: Store, alerts: Sequence[Alert], word: VerdictWord, at_ms: int) -> None:
    with store.write() as connection:
        for alert in alerts:
            record_verdict(connection, "r", Verdict(alert=alert.id, at_ms=at_ms, who="ana", word=word))


def judge_all(store: Store) -> None:
    """Nine true and three false before the alert; one of the nine is called old news after it."""
    judge(store, PAST[:9], "true", ALERT.opened_ms - 1)
    judge(store, PAST[9:], "false", ALERT.opened_ms - 1)
    judge(store, PAST[:1], "old_news", ALERT.opened_ms + 1)


def test_a_dossier_has_the_rules_record_as_judged_then_and_as_judged_now(tmp_path: Path) -> None:
    with a_board(tmp_path, alerts=[ALERT, *PAST], then=judge_all) as board:
        now, then = (board.get(f"/alerts/{ALERT.id}{query}").text for query in ("", "?known=then"))
    assert "as people have judged it by now: 8 of 12 judged were true, 67 % (90 %: 43 % to 84 %); 12 alerts." in now
    assert "as people had judged it when the alert was opened: 9 of 12 judged were true, 75 % (90 %: 51 % to 90 %); 12 alerts." in then
    assert "judged: old news" in now
    assert "judged: old news" not in then


def test_at_most_three_incidents_before_it_are_named_the_latest_first(tmp_path: Path) -> None:
    with a_board(tmp_path, alerts=[ALERT, *PAST], then=judge_all) as board:
        page = board.get(f"/alerts/{ALERT.id}").text
    section = page[page.index('id="before"') : page.index('id="sent"')]
    named = [past.id for past in PAST if f'href="/alerts/{past.id}"' in section]
    assert named == [past.id for past in PAST[:3]]
    assert section.index(PAST[0].id) < section.index(PAST[1].id)


def test_without_verdicts_nothing_is_claimed(tmp_path: Path) -> None:
    with a_board(tmp_path, alerts=[ALERT]) as board:
        page = board.get(f"/alerts/{ALERT.id}").text
    assert "not enough data: 0 of 0 alerts were judged, 10 are needed." in page
    assert "No incident before it" in page


def test_a_page_that_was_kept_is_asked_for_again_once_somebody_has_judged(tmp_path: Path) -> None:
    with a_board(tmp_path, alerts=[ALERT, *PAST[:1]]) as board:
        path, store = f"/alerts/{ALERT.id}", Store(str(tmp_path / "store.db"))
        first = board.get(path)
        tag, cookie = first.headers["etag"], first.cookies[0].partition(";")[0]
        assert board.get(path, if_none_match=tag, cookie=cookie).status == 304
        judge(store, PAST[:1], "false", END_MS)
        store.close()
        answer = board.get(path, if_none_match=tag, cookie=cookie)
    assert answer.status == 200
    assert "judged: false" in answer.text
