"""The words of each kind of alert, in both languages; and what speaks against it, in one line each."""

from typing import Any

import pytest

from alerts.notify.message import Message, render
from groundswell.records import LeftOut, Peers
from tests.alerts.alert_factory import an_alert

DAY_S = 86_400
NAMES = {"en": "Linlan Bank", "zh": "临澜银行"}


def said(*, language: str = "en", **overrides: Any) -> Message:
    fields = {"severity": "low", "all_series": ["entity:LINLAN"]} | overrides
    url = "https://gs.example"
    return render(an_alert(**fields), base_url=url, entity_name=lambda _: NAMES[language], tz="Asia/Shanghai", language=language)


AMPLIFIED: dict[str, Any] = {"kind": "amplification", "statistic": 46, "expected_milli": 1_200, "window_s": DAY_S, "owners": 31}
LATE: dict[str, Any] = {"kind": "late", "statistic": 14, "late_s": 17_520, "window_s": DAY_S}
BURNS: dict[str, Any] = {"kind": "slow_burn", "statistic": 61, "expected_milli": 20_000, "window_s": 7 * DAY_S}
BLIND: dict[str, Any] = {"kind": "blind", "series": "language:zh", "exposure_ppm": 310_000, "window_s": 5 * 3_600, "statistic": 5}
SEEN: dict[str, Any] = BLIND | {"ended": True, "exposure_ppm": 920_000}
MOVED: dict[str, Any] = {"kind": "model_shift", "series": "language:en", "window_s": DAY_S, "negative_share_ppm": 450_000}


@pytest.mark.parametrize(
    ("fields", "subject", "lead"),
    [
        (AMPLIFIED, "[LOW spreading] Linlan Bank: one origin, 46 copies in 24 h (13:26 +08)", "Many copies are not many reports."),
        (LATE, "[LOW late] Linlan Bank: 14 negative stories, known 4 h 52 min late (13:26 +08)", "known 4 h 52 min after they were"),
        (BURNS, "[LOW slow burn] Linlan Bank: 61 negative stories in a week, 3x usual (13:26 +08)", "a week had 20 on average: 3x."),
        (BLIND, "[LOW blind] All Chinese sources: only 31% of the usual is seen (13:26 +08)", "have not reported for 5 h. Silence"),
        (SEEN, "[LOW blind] All Chinese sources: seen again after 5 h (13:26 +08)", "seen again, 92%"),
        (MOVED, "[LOW model] All English sources: negative share 45%, normally 12% (13:26 +08)", "Surges are held while this lasts."),
    ],
    ids=["amplification", "late", "slow_burn", "blind", "seeing again", "model_shift"],
)  # fmt: skip
def test_a_kind_says_what_it_is_in_english(fields: dict[str, Any], subject: str, lead: str) -> None:
    message = said(**fields)

    assert message.subject == subject
    assert lead in message.text.splitlines()[0]


@pytest.mark.parametrize(
    ("fields", "subject", "lead"),
    [
        (AMPLIFIED, "【扩散·低】临澜银行扩散：24小时一个源头46篇转载（13:26 +08）", "转载多不等于报道多。"),
        (LATE, "【补报·低】临澜银行负面舆情补报旧闻：14条独立报道，晚4小时52分钟获知（13:26 +08）", "发布4小时52分钟后才获知"),
        (BURNS, "【缓升·低】临澜银行负面舆情缓升：7天61条独立报道，约为平常一周的3倍（13:26 +08）", "此前平均一周20条"),
        (BLIND, "【失明·低】全部中文信源失明：仅见常态信息量的31%（13:26 +08）", "已有5小时没有报告。没有声音不等于平静。"),
        (BLIND | {"ended": True}, "【失明·低】全部中文信源失明：5小时后恢复（13:26 +08）", "已恢复"),
        (MOVED, "【模型·低】全部英文信源模型漂移：负面占比45%，常态12%（13:26 +08）", "其间突增预警暂缓。"),
    ],
    ids=["amplification", "late", "slow_burn", "blind", "seeing again", "model_shift"],
)
def test_a_kind_says_what_it_is_in_chinese(fields: dict[str, Any], subject: str, lead: str) -> None:
    message = said(language="zh", **fields)

    assert message.subject == subject
    assert lead in message.text.splitlines()[0]


WEEK: dict[str, Any] = BURNS | {"stories": 210, "negative_share_ppm": 290_476, "baseline_share_ppm": 120_000, "owners": 5}
SHARE_SAID = "29% of 210 stories were called negative (90% interval 24 to 34%); over the time before 12%, and in no week as high."


@pytest.mark.parametrize(
    ("language", "fields", "line"),
    [
        (
            "en",
            {},
            f"{SHARE_SAID} Last day, quoted here: 5 independent owners.",
        ),
        (
            "zh",
            {},
            "210条独立报道中29%被判为负面（90%区间24%至34%）；此前为12%，且没有一周达到这一水平。以下引自最后一天：5个独立信源主体。",
        ),
        (
            "en",
            {"owners": 1, "owners_known": False},
            f"{SHARE_SAID} Last day, quoted here: one platform, authors unknown.",
        ),
        (
            "en",
            {"owners": 0, "owners_known": False, "evidence": [], "parts": []},
            SHARE_SAID,
        ),
    ],
    ids=["English", "Chinese", "authors unknown", "nothing on the last day"],
)
def test_a_slow_burn_says_its_share_over_what_against_what_and_that_its_owners_are_the_last_days(
    language: str, fields: dict[str, Any], line: str
) -> None:
    assert said(language=language, **WEEK | fields).text.splitlines()[1] == line


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "en",
            (
                "peers (9), last 24 h: median negative share 15% -> 17%",
                "210 stories of any tone · a day far above its usual counts in part",
            ),
        ),
        ("zh", ("同业（9个）最近24小时负面占比中位数15%→17%", "各类情绪共210条 · 远高于平常的一天只部分计入")),
    ],
)
def test_a_slow_burn_says_what_its_figures_leave_out(language: str, lines: tuple[str, ...]) -> None:
    text = said(language=language, peers=Peers("sector", 9, 150_000, 170_000), **WEEK).text

    for line in lines:
        assert line in text


@pytest.mark.parametrize(
    ("language", "fields", "subject"),
    [
        ("en", {"window_s": 14 * DAY_S}, "[LOW slow burn] Linlan Bank: 61 negative stories in 14 days, 3x usual (13:26 +08)"),
        ("en", {"expected_milli": 0}, "[LOW slow burn] Linlan Bank: 61 negative stories in a week, 0 before (13:26 +08)"),
        ("zh", {"window_s": 14 * DAY_S}, "【缓升·低】临澜银行负面舆情缓升：14天61条独立报道，约为平常14天的3倍（13:26 +08）"),
        ("zh", {"expected_milli": 0}, "【缓升·低】临澜银行负面舆情缓升：7天61条独立报道，此前为零（13:26 +08）"),
    ],
)
def test_a_slow_burn_of_other_rules_or_without_a_past_says_so(language: str, fields: dict[str, Any], subject: str) -> None:
    assert said(language=language, **WEEK | fields).subject == subject


def test_what_is_told_of_the_instrument_names_no_owners_and_no_limit() -> None:
    for fields in (BLIND, MOVED):
        text = said(**fields, parts=[], evidence=[], doubts=[]).text
        assert "owner" not in text
        assert "limit" not in text


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            "en",
            (
                "without readers' comments 9, would not fire",
                "without its loudest owner 13, still fires",
                "peers (9): median negative share 15% -> 17%: only this one",
            ),
        ),
        ("zh", ("去掉读者评论为9，不再触发", "去掉报道最多的主体为13，仍触发", "同业（9个）负面占比中位数15%→17%：仅此一家")),
    ],
)  # fmt: skip
def test_what_speaks_against_it_stands_in_the_doubts(language: str, lines: tuple[str, ...]) -> None:
    against = [LeftOut("comments", 9, fires=False), LeftOut("owner", 13, fires=True)]
    message = said(language=language, against=against, peers=Peers("sector", 9, 150_000, 170_000))

    for line in lines:
        assert line in message.text
        assert line.replace("'", "&#39;").replace(">", "&gt;") in message.html


def test_where_everybody_has_moved_it_says_so() -> None:
    text = said(peers=Peers("topics", 11, 150_000, 600_000)).text

    assert "other topics (11): median negative share 15% -> 60%: not only this one" in text
