import re
from html.parser import HTMLParser
from typing import Any, get_args

import msgspec
import pytest

from alerts.notify.message import LANGUAGES, RESENT, SUBJECT_MAX, Message, as_resent, clean, render
from groundswell.errors import SettingsError
from groundswell.names import TOPICS, topic_series
from groundswell.records import AlertKind, Part, Role, Severity
from models.taxonomy import TOPIC_NAMES
from tests.alerts.alert_factory import MINUTE_MS, OPENED_MS, a_quote, an_alert

BASE = "https://gs.bank.example"
NAMES = {"en": "Linlan Bank", "zh": "临澜银行"}


def said(*, language: str = "en", tz: str = "Asia/Shanghai", resend: bool = False, name: str | None = None, **overrides: Any) -> Message:
    shown = NAMES[language] if name is None else name
    return render(an_alert(**overrides), base_url=BASE, entity_name=lambda _: shown, tz=tz, language=language, resend=resend)


def everything(message: Message) -> str:
    """All that a reader or a program could see of it."""
    blocks = [
        text["text"] for block in message.blocks for text in [*([block["text"]] if "text" in block else []), *block.get("elements", [])]
    ]
    return "\n".join([message.subject, message.text, message.html, *blocks, message.fallback])


class Page(HTMLParser):
    """Tags, attributes and words of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for key, value in attrs if key in ("href", "src", "action")]

    def handle_data(self, data: str) -> None:
        self.words += data


# --- what it says ---------------------------------------------------------------------------------------------------------------
def test_the_english_subject_says_who_what_how_much_and_when() -> None:
    assert said().subject == "[HIGH] Linlan Bank: 14 negative stories in 1 h, 8x normal (13:26 +08)"


def test_the_chinese_subject_says_who_what_how_much_and_when() -> None:
    assert said(language="zh").subject == "【预警·高】临澜银行负面舆情突增：1小时14条独立报道，约为常态8倍（13:26 +08）"


@pytest.mark.parametrize(("language", "word"), [("en", "negative"), ("zh", "负面")])
def test_what_a_saved_search_counts_is_not_called_negative(language: str, word: str) -> None:
    alert = an_alert(series="watch:trade_conflict", all_series=["watch:trade_conflict"], parts=[], evidence=[], doubts=[])
    message = render(alert, base_url=BASE, entity_name=str, tz="Asia/Shanghai", language=language)

    assert word not in message.subject + message.text
    assert message.subject.startswith(
        "[HIGH] trade conflict: 14 stories in 1 h" if language == "en" else "【预警·高】trade conflict突增：1小时14条"
    )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("severity", get_args(Severity))
@pytest.mark.parametrize("kind", get_args(AlertKind))
def test_a_subject_keeps_within_its_length_with_the_longest_name_and_the_mark(kind: str, severity: str, language: str) -> None:
    name = "The Incorporated Commercial and Industrial Banking Company of the Eastern Provinces"
    message = said(kind=kind, severity=severity, language=language, name=name, resend=True, tz="UTC")
    assert len(message.subject) <= SUBJECT_MAX
    assert "05:26 UTC" in message.subject
    assert name[:9] in message.subject
    assert re.search(r"\d", message.subject.split("05:26")[0])


def test_the_first_five_lines_are_what_share_why_doubt_and_link() -> None:
    why = "8 “Linlan Bank delays redemption of Lanjin-7” (46 docs) + 3 “Outlook on Linlan revised to negative” (11 docs)"
    why += " + 2 “临澜银行网点出现排队” (6 docs) + 1 other (2 docs)"
    doubt = "without the largest story 13, still fires (limit 12) · only 95% of the usual volume is seen"
    doubt += " · 9 documents repeat one post · Quay Forum has not reported since 13:12"
    assert said().text.splitlines()[:5] == [
        "Linlan Bank: 14 negative stories (12:26-13:26 +08), 1.7 expected: 8x normal.",
        "Negative share 67%, normally 12%. 12 independent owners.",
        f"Why (stories): {why}",
        f"Doubt: {doubt}",
        "Dossier: https://gs.bank.example/alerts/a1b2c3d4e5f60718",
    ]


def test_the_chinese_text_says_the_same() -> None:
    lines = said(language="zh").text.splitlines()
    assert lines[0] == "临澜银行：14条负面独立报道（12:26-13:26 +08），预期1.7条，约为常态8倍。"
    assert lines[1] == "负面占比67%，常态12%。12个独立信源主体。"
    assert lines[3].startswith("存疑：去掉最大一条独立报道为13条，仍触发（阈值12）")
    assert lines[4] == "卷宗：https://gs.bank.example/alerts/a1b2c3d4e5f60718"


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_page_and_blocks_carry_the_same_argument(language: str) -> None:
    message = said(language=language)
    page = Page(message.html).words
    blocks = msgspec.json.encode(message.blocks).decode()
    for form in (message.text, page, blocks):
        for fact in (
            "14", "1.7", "67%", "12%", "13", "9e-6", "22", "95%", "46",
            "Linlan Bank said holders of Lanjin-7 may wait up to 90 days", "Harbour Wire", "12:52",
            "groundswell explain a1b2c3d4e5f60718", "9 documents repeat one post", "2026-11-17 13:26:00 +08",
        ):  # fmt: skip
            assert fact in form, (fact, form)
    assert Page(message.html).links == ["https://gs.bank.example/alerts/a1b2c3d4e5f60718"]
    assert "<https://gs.bank.example/alerts/a1b2c3d4e5f60718|" in blocks


def test_at_most_three_quotes_are_shown_in_the_order_of_the_evidence() -> None:
    message = said()
    assert re.findall(r"^“(.+)”$", message.text, flags=re.MULTILINE) == [
        "Linlan Bank said holders of Lanjin-7 may wait up to 90 days",
        "outlook revised to negative from stable",
        "临澜银行网点下午仍在排队",
    ]
    assert "nobody picks up the phone" not in everything(message)


@pytest.mark.parametrize(("language", "words"), [("en", "Harbour Authority (regulator), "), ("zh", "Harbour Authority（监管机构），")])
def test_a_quote_says_what_its_source_is_where_that_is_known(language: str, words: str) -> None:
    known = said(language=language, evidence=[a_quote(source="Harbour Authority", role="regulator", tier=1), a_quote()])

    assert words in known.text
    assert all(word not in said(language=language).text for word in ("regulator", "监管机构", "None", "UNSET"))


WORD: dict[str, Any] = {"kind": "sighting", "update": 2, "statistic": 1, "limit": 1, "severity": "medium", "parts": [], "against": []}


@pytest.mark.parametrize(
    ("series", "role", "language", "words"),
    [
        ("word:official:LINLAN", "regulator", "en", "official word, Harbour Authority"),
        ("word:denial:LINLAN", "issuer", "en", "denied by Harbour Authority"),
        ("word:denial:LINLAN", "wire", "en", "denied according to Harbour Authority"),
        ("word:official:LINLAN", "regulator", "zh", "官方说法（Harbour Authority）"),
        ("word:denial:LINLAN", "issuer", "zh", "已否认或澄清（Harbour Authority）"),
        ("word:denial:LINLAN", "wire", "zh", "已否认或澄清（Harbour Authority报道）"),
    ],
)
def test_an_official_word_and_a_denial_say_who_says_so_and_why_it_is_told_again(series: str, role: str, language: str, words: str) -> None:
    quote = a_quote(source="Harbour Authority", role=role, tier=1)
    message = said(**WORD, series=series, all_series=[series], evidence=[quote], news=series.split(":")[1], language=language)

    assert words in message.subject
    assert words in message.text.splitlines()[0]
    assert ("Told again" if language == "en" else "续报缘由") in message.text
    assert all(word not in message.text for word in ("largest story", "去掉最大", "limit 1", "阈值1", "word:"))


@pytest.mark.parametrize(("language", "words"), [("en", "it had gone quiet, and is reopened"), ("zh", "现重新打开")])
def test_a_reopening_says_so(language: str, words: str) -> None:
    series = "word:official:LINLAN"
    fields = WORD | {"series": series, "all_series": [series], "news": "official", "language": language}
    assert words in said(**fields, quiet_from_ms=OPENED_MS - 3_600_000).text
    assert words not in said(**fields).text


def test_better_evidence_is_named_by_its_tier() -> None:
    assert "now also by a source of tier 1" in said(update=1, news="tier", evidence=[a_quote(tier=1), a_quote(tier=3)]).text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_role_has_its_word(language: str) -> None:
    for role in get_args(Role):
        text = said(language=language, evidence=[a_quote(role=role)]).text
        assert "_" not in text.split("Harbour Wire")[1].splitlines()[0]


def test_an_empty_quote_is_replaced_by_the_title_and_an_empty_title_by_nothing() -> None:
    evidence = [a_quote(quote="", title="A title"), a_quote(quote="", title="")]
    assert re.findall(r"^“(.+)”$", said(evidence=evidence).text, flags=re.MULTILINE) == ["A title"]


def test_a_quote_of_another_day_carries_its_date() -> None:
    text = said(evidence=[a_quote(published_ms=OPENED_MS - 24 * 60 * MINUTE_MS)]).text
    assert "Harbour Wire, 2026-11-16 13:26" in text


def test_unknown_authors_are_one_platform_not_independent_owners() -> None:
    message = said(owners_known=False, owners=1)
    assert "One platform, authors unknown." in message.text
    assert "independent" not in everything(message)
    assert "单一平台，作者未知。" in said(language="zh", owners_known=False).text


def test_the_doubt_says_when_the_alert_would_not_fire_without_its_largest_story() -> None:
    assert "without the largest story 6, would not fire (limit 12)" in said(without_largest=6, without_largest_fires=False).text


@pytest.mark.parametrize(
    ("expected_milli", "words"),
    [
        (0, "none expected."),
        (40, "<0.1 expected: >100x normal."),
        (1_700, "1.7 expected: 8x normal."),
        (7_000, "7 expected: 2.0x normal."),
        (12_000, "12 expected: 1.2x normal."),
    ],
)
def test_the_factor_has_as_many_digits_as_mean_something(expected_milli: int, words: str) -> None:
    assert said(expected_milli=expected_milli).text.splitlines()[0].endswith(words)


@pytest.mark.parametrize(("p_ppt", "words"), [(0, "p < 1e-12"), (1, "p = 1e-12"), (9_000_000, "p = 9e-6"), (20_000_000_000, "p = 0.02")])
def test_the_p_value_is_never_zero(p_ppt: int, words: str) -> None:
    assert f"limit 12, {words} ·" in said(p_ppt=p_ppt).text


@pytest.mark.parametrize(
    ("window_s", "subject", "window"),
    [
        (3_600, "in 1 h", "12:26-13:26 +08"),
        (86_400, "in 24 h", "11-16 13:26 - 11-17 13:26 +08"),
        (7 * 86_400, "in 7 days", "11-10 13:26 - 11-17 13:26 +08"),
    ],
)
def test_a_window_that_began_on_another_day_shows_days(window_s: int, subject: str, window: str) -> None:
    message = said(window_s=window_s)
    assert subject in message.subject
    assert f"({window})" in message.text


@pytest.mark.parametrize(
    ("tz", "at"),
    [("UTC", "05:26 UTC"), ("Asia/Shanghai", "13:26 +08"), ("Asia/Kolkata", "10:56 +05:30"), ("America/New_York", "00:26 -05")],
)
def test_times_are_the_readers_with_their_offset(tz: str, at: str) -> None:
    assert said(tz=tz).subject.endswith(f"({at})")


def test_an_update_says_which_and_shares_the_thread_with_the_first() -> None:
    first, update = said(), said(update=3, id="ffff")
    assert update.subject.startswith("[HIGH update 3] Linlan Bank:")
    assert said(update=3, language="zh").subject.startswith("【续报3·高】")
    assert update.thread_id == first.thread_id
    assert update.message_id != first.message_id


def test_the_message_id_depends_on_the_alert_alone() -> None:
    assert said().message_id == said(resend=True, tz="UTC", language="zh").message_id == "a1b2c3d4e5f60718.0"


def test_a_blind_alert_does_not_sound_calm_and_shows_no_limit() -> None:
    message = said(kind="blind", exposure_ppm=200_000)
    assert message.subject == "[HIGH blind] Linlan Bank: only 20% of the usual is seen (13:26 +08)"
    assert "80% of its usual volume have not reported for 1 h. Silence here is not calm." in message.text
    assert "without the largest" not in message.text


def test_full_sight_is_not_mentioned_and_partial_sight_is() -> None:
    assert "usual volume" not in said(exposure_ppm=1_000_000).text
    assert "only 60% of the usual volume is seen" in said(exposure_ppm=600_000).text
    assert "仅见常态信息量的60%" in said(exposure_ppm=600_000, language="zh").text


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_doubt_that_the_figures_state_is_not_said_twice(language: str) -> None:
    figures: dict[str, Any] = {"owners_known": False, "exposure_ppm": 620_000, "without_largest_fires": False, "language": language}
    restated = [
        "one platform, authors unknown",
        "without the largest story it would not have fired",
        "only 62 % of the usual volume was seeing",
    ]
    assert everything(said(**figures, doubts=[*restated, "no official word"])) == everything(said(**figures, doubts=["no official word"]))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("topic", TOPICS)
def test_every_topic_is_called_as_the_taxonomy_calls_it(topic: str, language: str) -> None:
    lead = said(series=topic_series(topic, "zh"), all_series=[], language=language).text.splitlines()[0]
    assert lead.startswith(TOPIC_NAMES[topic][language])


@pytest.mark.parametrize(
    ("series", "who"), [("flag:default_bankruptcy", "default bankruptcy"), ("watch:Interbank tier 2", "Interbank tier 2"), ("odd", "odd")]
)
def test_series_of_other_kinds_are_called_by_their_key(series: str, who: str) -> None:
    assert said(series=series, all_series=[series]).text.startswith(f"{who}: 14 ")


def test_an_entity_without_a_name_is_called_by_its_id() -> None:
    assert said(name=" \u200b").text.startswith("LINLAN: 14 ")


def test_parts_beyond_four_are_summed_up_not_lost() -> None:
    parts = [Part(name=f"Part {n}", stories=n, documents=n, owners=1, excess_milli=n * 1000) for n in range(1, 8)]
    parts += [Part(name="other", stories=2, documents=2, owners=1, excess_milli=2_000)]
    line = said(parts=parts).text.splitlines()[2]
    assert line == "Why (stories): 1 “Part 1” + 2 “Part 2” + 3 “Part 3” + 4 “Part 4” + 20 other"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", get_args(AlertKind))
def test_every_kind_renders_with_nothing_to_show(kind: str, language: str) -> None:
    message = said(kind=kind, language=language, parts=[], evidence=[], doubts=[], all_series=[])
    assert "groundswell explain" in message.text
    assert "None" not in everything(message)
    assert all(b.get("text", {}).get("text") or b.get("elements") for b in message.blocks)


def test_rendering_twice_gives_the_same_bytes() -> None:
    assert msgspec.json.encode(said()) == msgspec.json.encode(said())


def test_rendering_leaves_the_alert_as_it_was() -> None:
    alert = an_alert()
    render(alert, base_url=BASE, entity_name=lambda i: i)
    assert alert == an_alert()


# --- sent again -----------------------------------------------------------------------------------------------------------------
def test_a_resend_is_marked_in_every_form_and_only_once() -> None:
    message = said(resend=True)
    assert message.resent
    assert as_resent(message) is message
    header = message.blocks[0]["text"]["text"]
    for form in (message.subject, message.text, header, message.fallback):
        assert form.startswith(RESENT)
        assert form.count(RESENT) == 1
    assert Page(message.html).words.count(RESENT) == 1


def test_a_first_attempt_carries_no_mark_and_marking_leaves_it_alone() -> None:
    message = said()
    before = msgspec.json.encode(message)
    marked = as_resent(message)
    assert RESENT not in everything(message)
    assert msgspec.json.encode(message) == before
    assert marked == said(resend=True)


# --- strangers' text -------------------------------------------------------------------------------------------------------------
HOSTILE = {
    "line breaks": "Bond default\r\nBcc: victim@example.net\r\n\r\nHello",
    "other line breaks": "a\u2028b\u2029c\u0085d\x0be\x0cf",
    "encoded word": "=?utf-8?q?=0d=0aBcc:_victim@example.net?= =?utf-8?b?DQpCY2M6?=",
    "doubled encoded word": "==??utf-8?q?x?==",
    "tags": "<script>alert(1)</script><img src=x onerror=alert(1)></p><a href='https://evil.example'>x</a>",
    "attribute": "\" onmouseover=\"alert(1)\" x='",
    "template": "{{ 7 * 7 }} {% raw %} {# c #}",
    "broadcasts": "<!channel> <!here> <!everyone> <!subteam^S1> <@U1> <#C1> @here @channel @everyone",
    "escaped broadcasts": "&lt;!channel&gt; &amp;lt;!here&amp;gt; &#60;!here&#62;",
    "slack link": "<https://evil.example|Open the dossier>",
    "formats": "*bold* _it_ ~no~ `code` ```block``` > quote :rotating_light:",
    "directions": "\u202egnp.exe\u202c \u2066x\u2069 \u200f\u200e \u061c",
    "invisible": "Lin\u200blan\u200c \u200dBank\ufeff \u00ad\u2060\u180e\u3164\U000e0041",
    "terminal": "\x1b[2J\x1b]0;title\x07\x9b31m\x00\x7f",
    "lone surrogate": "broken \ud83d half",
    "long": "很长" * 5_000,
    "resent place": "<!-- resent -->",
}  # fmt: skip


@pytest.fixture(params=HOSTILE, ids=list(HOSTILE))
def hostile(request: pytest.FixtureRequest) -> Message:
    return by_strangers(HOSTILE[request.param])


def by_strangers(text: str) -> Message:
    """A message in which every field that a stranger may write is `text`."""
    return said(
        name=text,
        title=text,
        parts=[Part(name=text, stories=2, documents=3, owners=1, excess_milli=2_000)],
        evidence=[a_quote(title=text, quote=text, source=text, url=text), a_quote(title=text, quote="")],
        doubts=[text],
        all_series=["entity:A", f"watch:{text}"],
    )


def test_hostile_text_cannot_break_a_line_or_hide(hostile: Message) -> None:
    assert "\n" not in hostile.subject + hostile.fallback
    assert len(hostile.text.splitlines()) == len(by_strangers("harmless").text.splitlines())
    assert not re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u00ad\u061c\u3164\ud800-\udfff]", everything(hostile)
    )
    everything(hostile).encode()


def test_hostile_text_is_no_encoded_word(hostile: Message) -> None:
    assert "=?" not in everything(hostile)


def test_hostile_text_is_no_html(hostile: Message) -> None:
    page, plain = Page(hostile.html), Page(said(parts=[], evidence=[], doubts=[]).html)
    assert set(page.tags) <= {*plain.tags, "ul", "li", "blockquote", "span"}
    assert page.links == plain.links


def test_hostile_text_neither_pings_nor_formats_nor_links_in_slack(hostile: Message) -> None:
    mrkdwn = [b["text"]["text"] for b in hostile.blocks if b.get("text", {}).get("type") == "mrkdwn"]
    assert mrkdwn == [f"<{BASE}/alerts/a1b2c3d4e5f60718|Open the dossier>  `groundswell explain a1b2c3d4e5f60718`"]
    plain = [b["text"] for b in hostile.blocks if b.get("text", {}).get("type") == "plain_text"]
    plain += [e for b in hostile.blocks for e in b.get("elements", [])]
    assert {t["type"] for t in plain} == {"plain_text"}
    assert not any(t["emoji"] for t in plain)
    for text in [t["text"] for t in plain]:
        assert not re.search(r"[<>@]|&(amp|lt|gt|#\w+);|://", text)
    assert not re.search(r"[<>@*_~`|]|://", hostile.fallback)
    assert not re.search(r"&(?!(amp|lt|gt);)", hostile.fallback)


def test_hostile_text_is_no_address_to_press_in_plain_text(hostile: Message) -> None:
    assert re.findall(r"\S+://\S+", hostile.text) == ["https://gs.bank.example/alerts/a1b2c3d4e5f60718"]


def test_hostile_ids_stay_inside_the_link_and_the_header() -> None:
    message = said(id="../x\r\nBcc:|<y>@evil", incident="a b\n>c")
    assert message.message_id == "xBccyevil.0"
    assert message.thread_id == "abc.root"
    assert Page(message.html).links == [f"{BASE}/alerts/xBccyevil"]


def test_harmless_text_is_kept_letter_by_letter() -> None:
    text = "S&P cut “Linlan” 3.5% (A+/Negative) — ÉTÉ, 临澜银行, בנק, 🏦 x_y *"
    assert clean(text) == text


def test_a_text_cut_to_length_ends_with_an_ellipsis() -> None:
    assert clean("abcdef", limit=4) == "abc…"


# --- settings --------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("language", "fr"),
        ("tz", "Mars/Olympus"),
        ("tz", "../etc/passwd"),
        ("base_url", "javascript:alert(1)"),
        ("base_url", "https://x.example/|a>"),
        ("base_url", ""),
    ],
)
def test_an_impossible_setting_is_refused_by_name_and_value(setting: str, value: str) -> None:
    settings: dict[str, Any] = {"base_url": BASE, "entity_name": str} | {setting: value}
    with pytest.raises(SettingsError, match=rf"alerts\.{setting}: must be .*{re.escape(repr(value))}"):
        render(an_alert(), **settings)


def test_a_base_address_may_end_with_a_slash_and_have_a_path() -> None:
    message = render(an_alert(), base_url="http://localhost:8080/gs/", entity_name=str)
    assert "Dossier: http://localhost:8080/gs/alerts/a1b2c3d4e5f60718" in message.text


@pytest.mark.parametrize(("language", "said"), [("en", "86% of 14 stories negative in 1 d"), ("zh", "14条报道中86%为负面")])
def test_a_share_that_turned_is_told_as_a_share(language: str, said: str) -> None:
    alert = an_alert(by="share", statistic=12, stories=14, negative_share_ppm=857_142, window_s=86_400)
    message = render(alert, base_url=BASE, entity_name=str, language=language)
    assert said.replace("1 d", "24 h") in message.subject
    assert "x normal" not in message.text
