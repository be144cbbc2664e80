"""Several alerts in one message, in both languages; hostile words in it are as harmless as in one of its own."""

import msgspec
import pytest

from alerts.notify.blocks import clamp
from alerts.notify.digest import SHOWN_MAX, render_digest
from alerts.notify.message import LANGUAGES, Message
from groundswell.records import Alert
from tests.alerts.alert_factory import MINUTE_MS, OPENED_MS, an_alert
from tests.alerts.notify.test_message import Page


def said(alerts: list[Alert], *, held: bool = True, language: str = "en", name: str = "Linlan Bank") -> Message:
    return render_digest(
        alerts, digest_id="d0", held=held, base_url="https://gs.bank.example/", entity_name=lambda _: name, tz="Asia/Shanghai",
        language=language, links={"settings": "https://gs.bank.example/me", "acknowledge": "https://gs.bank.example/no"},
    )  # fmt: skip


def some(count: int) -> list[Alert]:
    return [
        an_alert(id=f"{n:016x}", incident=f"{n:016x}", opened_ms=OPENED_MS - n * MINUTE_MS, severity=("low", "medium", "high")[n % 3])
        for n in range(count)
    ]


def test_it_says_how_many_how_loud_and_when_and_the_loudest_come_first() -> None:
    message = said(some(4))
    assert message.subject == "[DIGEST] 4 events, 1 HIGH (13:23 to 13:26 +08)"
    order = [message.text.index(f"/alerts/{n:016x}") for n in (2, 1, 0, 3)]
    assert order == sorted(order)
    assert message.severity == "high"


def test_chinese_readers_get_it_in_chinese() -> None:
    message = said(some(3), held=False, language="zh", name="临澜银行")
    assert message.subject == "【补发】3起事件，其中高级别1起（13:24至13:26 +08）"
    assert "3起事件共3条预警现合并补发" in message.text
    assert "Dossier" not in message.text


def test_of_an_incident_that_was_updated_the_last_word_stands_and_all_are_counted() -> None:
    alerts = [an_alert(id=c * 16, update=n, opened_ms=OPENED_MS + n * MINUTE_MS, statistic=14 + n) for n, c in enumerate("abc")]
    message = said(alerts)
    assert "3 alerts of 1 event waited" in message.text
    assert message.text.count("/alerts/") == 1
    assert "/alerts/" + "c" * 16 in message.text


@pytest.mark.parametrize(("language", "sentence"), [("en", "Silence here is not calm."), ("zh", "没有声音不等于平静。")])
def test_sources_that_do_not_report_have_no_evidence_and_their_entry_says_more_than_its_subject(language: str, sentence: str) -> None:
    blind = an_alert(kind="blind", series="language:zh", all_series=["language:zh"], evidence=[], parts=[], stories=0, exposure_ppm=310_000)
    message = said([blind], language=language)
    assert sentence in message.text
    assert sentence in message.html
    assert not [line for line in message.text.splitlines() if line.isspace()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_its_pages_links_are_ours_alone_and_strangers_words_are_escaped(language: str) -> None:
    message = said(some(3), language=language, name='<img src=x onerror=alert(1)>" [x](http://evil.example) =?utf-8?q?x?=')
    page = Page(message.html)
    assert {"img", "script"} & set(page.tags) == set()
    assert all(link.startswith("https://gs.bank.example/") or link == "https://gs.bank.example" for link in page.links)
    assert "=?" not in message.subject
    assert "\n" not in message.subject


def test_many_alerts_are_cut_and_the_rest_is_counted() -> None:
    message = said(some(200))
    assert message.text.count("/alerts/") == SHOWN_MAX
    assert f"and {200 - SHOWN_MAX} more" in message.text
    blocks = clamp(message.blocks)
    assert len(blocks) <= 50
    assert blocks[-1] == message.blocks[-1], "the board's link"


def test_the_same_alerts_are_the_same_bytes_in_whatever_order_they_come() -> None:
    alerts = some(5)
    one, two = said(alerts), said(alerts[::-1])
    assert msgspec.structs.replace(one, data={}) == msgspec.structs.replace(two, data={})
