"""Risk flags: how phrases are read, what the shipped rules raise and do not raise, and which flags are shown."""

import msgspec
import pytest

from groundswell.errors import BundleError
from models.flags import (
    FLAG_CHARACTERS,
    GAP_WORDS,
    LEAST_PERCENT,
    LEXICON_PATH,
    READINGS,
    FlagFinder,
    Lexicon,
    Near,
    Rules,
    parse_lexicon,
    shipped_lexicon,
    shown,
)
from models.taxonomy import RISK_FLAGS


def finder(rules: Rules, *, flag: str = "litigation", language: str = "en") -> FlagFinder:
    return FlagFinder(Lexicon(dated="", about="", flags={}, tone={}, rules={flag: {language: rules}}), language)


@pytest.fixture(scope="module")
def shipped() -> FlagFinder:
    return FlagFinder(shipped_lexicon(), "en")


@pytest.fixture(scope="module")
def chinese() -> FlagFinder:
    return FlagFinder(shipped_lexicon(), "zh")


# --- how phrases are read --------------------------------------------------------------------------------------
def test_a_phrase_stands_as_whole_words() -> None:
    sues = finder(Rules(phrases=["sues"]))
    assert sues.find("Fund sues bank") == ["litigation"]
    assert sues.find("Tissues in demand") == sues.find("Suesse bakery opens") == []


def test_a_star_takes_any_ending_but_no_other_beginning() -> None:
    suits = finder(Rules(phrases=["suit*"]))
    assert suits.find("Two suits filed") == ["litigation"]
    assert suits.find("A lawsuit") == []


@pytest.mark.parametrize("between", ["", "x ", "x " * GAP_WORDS])
def test_parts_may_have_a_few_words_between_them(between: str) -> None:
    assert finder(Rules(phrases=["cut* .. jobs"])).find(f"Acme cuts {between}jobs") == ["litigation"]


@pytest.mark.parametrize("text", ["Jobs cut", f"Acme cuts {'x ' * (GAP_WORDS + 1)}jobs", "Acme cuts costs. Jobs rise", "Acme cuts\njobs"])
def test_parts_stand_in_order_close_and_in_one_sentence(text: str) -> None:
    assert finder(Rules(phrases=["cut* .. jobs"])).find(text) == []


def test_the_point_of_an_abbreviation_ends_no_sentence() -> None:
    assert finder(Rules(phrases=["cut* .. jobs"])).find("Acme cuts U.S. jobs") == ["litigation"]


def test_a_phrase_of_near_needs_one_of_its_words_within_reach() -> None:
    court = finder(Rules(near=[Near(phrases=["court"], words=["bank", "fund"])]))
    assert court.find("Court hears bank") == court.find("Fund in court") == ["litigation"]
    assert court.find("Court hears singer") == []
    assert court.find(f"Court {'.' * READINGS['en'].reach} bank") == []


def test_a_word_of_near_does_not_count_where_it_is_the_phrase_itself() -> None:
    assert finder(Rules(near=[Near(phrases=["bank court"], words=["bank"])])).find("Bank court opens") == []


def test_never_covers_the_phrases_within_it_and_no_others() -> None:
    default = finder(Rules(phrases=["default"], never=["by default", "default .. app"]))
    assert default.find("Opens by default") == default.find("A default maps app") == []
    assert default.find("Maps opens by default; lender in default") == ["litigation"]


def test_a_word_of_away_keeps_the_flag_down_wherever_it_stands() -> None:
    trial = finder(Rules(phrases=["trial"], away=["vaccine*"]))
    assert trial.find("Trial opens") == ["litigation"]
    assert trial.find("Trial opens\nThe vaccines are new") == []


def test_away_and_never_of_one_flag_leave_the_others_alone() -> None:
    rules = {"litigation": {"en": Rules(phrases=["fraud trial"], away=["bank"])}, "fraud_investigation": {"en": Rules(phrases=["fraud"])}}
    both = FlagFinder(Lexicon(dated="", about="", flags={}, tone={}, rules=rules), "en")
    assert both.find("Fraud trial opens") == ["fraud_investigation", "litigation"]
    assert both.find("Bank fraud trial opens") == ["fraud_investigation"]


def test_flags_come_in_the_order_of_the_taxonomy(shipped: FlagFinder) -> None:
    flags = shipped.find("Hackers hit lender; it files for bankruptcy, lays off staff and its CEO resigns")
    assert flags == ["default_bankruptcy", "exec_departure", "layoff_strike", "cyber_incident"]


def test_only_the_first_characters_are_read() -> None:
    sues = finder(Rules(phrases=["sues"]))
    assert sues.find("x" * (FLAG_CHARACTERS - 5) + " sues") == ["litigation"]
    assert sues.find("x" * (FLAG_CHARACTERS - 4) + " sues") == []


@pytest.mark.parametrize("text", ["ACME’S COLLAPSE", "Acme's collapse", "Ａｃｍｅ's collapse"])
def test_case_quotation_marks_and_width_do_not_matter(text: str) -> None:
    assert finder(Rules(phrases=["acme's collapse"])).find(text) == ["litigation"]


def test_a_language_without_phrases_has_no_flags() -> None:
    assert FlagFinder(Lexicon(dated="", about="", flags={}, tone={}), "en").find("Fund sues bank") == []


def test_rules_of_a_language_take_the_place_of_its_plain_phrases() -> None:
    flags = {"litigation": {"en": ["sues"], "zh": ["起诉"]}}
    lexicon = Lexicon(dated="", about="", flags=flags, tone={}, rules={"litigation": {"en": Rules(phrases=["lawsuit"])}})
    assert FlagFinder(lexicon, "en").find("Fund sues bank") == []
    assert FlagFinder(lexicon, "zh").find("基金起诉银行") == ["litigation"]


def test_a_chinese_phrase_stands_anywhere_and_its_star_is_a_star() -> None:
    lexicon = Lexicon(dated="", about="", flags={"short_report_delisting": {"zh": ["*st", "做空"]}}, tone={})
    plain = FlagFinder(lexicon, "zh")
    assert plain.find("某*ＳＴ公司") == plain.find("公司被做空") == ["short_report_delisting"]
    assert plain.find("st公司") == []


def test_chinese_parts_stand_closer_than_english_ones_and_in_one_sentence() -> None:
    gap = READINGS["zh"].gap
    closes = finder(Rules(phrases=["关闭 .. 工厂"]), language="zh")
    assert closes.find("关闭工厂") == closes.find(f"关闭{'某' * gap}工厂") == ["litigation"]
    assert closes.find(f"关闭{'某' * (gap + 1)}工厂") == []
    assert [closes.find(f"关闭门店{stop}工厂") for stop in "。！？；\n"] == [[]] * 5


def test_a_chinese_word_of_near_stands_within_its_reach() -> None:
    reach = READINGS["zh"].reach
    sues = finder(Rules(near=[Near(phrases=["起诉"], words=["公司"])]), language="zh")
    assert sues.find(f"公司{'某' * (reach - 2)}起诉") == ["litigation"]
    assert sues.find(f"公司{'某' * (reach - 1)}起诉") == []


@pytest.mark.parametrize("text", ["", " ", "\x00" * 500, "🚀" * 500, "\ud83d", "ﷺ" * 400, "a" * 1_000_000, "‮תביעה‬"])
def test_whatever_comes_is_read_without_an_error(shipped: FlagFinder, text: str) -> None:
    assert shipped.find(text) == []


# --- the shipped rules -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("title", "flag"),
    [
        ("Acme Retail files for bankruptcy protection", "default_bankruptcy"),
        ("Furniture chain collapses into administration", "default_bankruptcy"),
        ("Treasury may default in June as debt ceiling talks stall", "default_bankruptcy"),
        ("Crypto lender Acme pauses all customer withdrawals", "liquidity_run"),
        ("Stablecoin loses its peg after fund fails", "liquidity_run"),
        ("Depositors rush to withdraw savings from lender", "liquidity_run"),
        ("Prosecutors charge former bank chief with fraud", "fraud_investigation"),
        ("Watchdog opens investigation into insurer's accounts", "fraud_investigation"),
        ("Regulator fines broker $12 million for lapses", "sanction_penalty"),
        ("Chipmaker added to trade blacklist", "sanction_penalty"),
        ("Miner sues former partner over royalties", "litigation"),
        ("Drugmaker to pay $80 million to settle opioid lawsuits", "litigation"),
        ("Agency cuts Ruritania's credit rating deeper into junk", "downgrade"),
        ("Shoe chain issues profit warning after warm autumn", "downgrade"),
        ("Carmaker cuts its 2031 sales forecast", "downgrade"),
        ("Insurer's chief executive steps down after two years", "exec_departure"),
        ("Finance minister resigns over budget", "exec_departure"),
        ("Bank to cut up to 3,000 jobs", "layoff_strike"),
        ("Pilots vote to strike over pay at budget airline", "layoff_strike"),
        ("Grocer to close 40 stores", "layoff_strike"),
        ("Carmaker recalls 90,000 vehicles over brake fault", "product_recall_outage"),
        ("Exchange blames software for trading halt", "product_recall_outage"),
        ("Hackers steal customer data from phone company", "cyber_incident"),
        ("DeFi protocol drained of $9 million in exploit", "cyber_incident"),
        ("Three hurt in explosion at paint factory", "accident_environment"),
        ("Freight train derailment spills acid into river", "accident_environment"),
        ("Short seller targets maker of electric buses", "short_report_delisting"),
        ("Exchange to delist token after peg is lost", "short_report_delisting"),
    ],
)
def test_events_are_flagged(shipped: FlagFinder, title: str, flag: str) -> None:
    assert flag in shipped.find(title)


@pytest.mark.parametrize(
    "title",
    [
        "New phones open maps by default",
        "A crash course in option pricing",
        "Shops close early on the bank holiday",
        "Miners strike gold in the north",
        "Ministers strike deal on fishing quotas",
        "Air strikes hit port city",
        "Designer follows suit with a spring collection",
        "Vaccine trial shows promise",
        "Oil settles higher on supply fears",
        "Court Street bakery wins award",
        "Actor recalls childhood by the sea",
        "Climber rescued from mountain by search and rescue team",
        "Ten life hacks for small kitchens",
        "Wildfire smoke spreads over the coast",
        "Police arrest man after stabbing in park",
        "Coach resigns after football club loses final",
        "How to talk to children about fire safety",
        "Tax cut forecast to lift spending",
    ],
)
def test_what_only_sounds_like_an_event_is_not(shipped: FlagFinder, title: str) -> None:
    assert shipped.find(title) == []


@pytest.mark.parametrize(
    ("title", "flag"),
    [
        ("东湖集团债券违约", "default_bankruptcy"),
        ("东湖公司申请破产重整", "default_bankruptcy"),
        ("银行储户无法提现", "liquidity_run"),
        ("东湖股份涉嫌财务造假被立案调查", "fraud_investigation"),
        ("证监局对东湖股份出具警示函", "sanction_penalty"),
        ("公司被起诉索赔两亿元", "litigation"),
        ("投资者起诉东湖股份，法院开庭", "litigation"),
        ("标普下调东湖集团评级", "downgrade"),
        ("东湖银行行长辞职", "exec_departure"),
        ("某车企宣布裁员三千人", "layoff_strike"),
        ("航空公司飞行员罢工", "layoff_strike"),
        ("东湖汽车召回一万辆轿车", "product_recall_outage"),
        ("某品牌奶粉抽检不合格", "product_recall_outage"),
        ("交易所系统故障，交易中断", "product_recall_outage"),
        ("某酒店集团客户数据泄露", "cyber_incident"),
        ("支付平台遭黑客攻击", "cyber_incident"),
        ("东湖化工厂区爆炸致两人受伤", "accident_environment"),
        ("造纸企业污染河流被查", "accident_environment"),
        ("东湖股份终止上市", "short_report_delisting"),
        ("东湖股份遭做空报告狙击", "short_report_delisting"),
    ],
)
def test_chinese_events_are_flagged(chinese: FlagFinder, title: str, flag: str) -> None:
    assert flag in chinese.find(title)


@pytest.mark.parametrize(
    "title",
    [
        "*ST东湖披露年报",
        "ST东湖净利润增长",
        "东湖股份：明日起停牌",
        "地块成功摘牌",
        "职员浑水摸鱼",
        "租房提前退租违约金怎么算",
        "破产姐妹第三季开播",
        "夫妻离婚一方起诉索赔彩礼",
        "村民起诉邻居",
        "美国初请失业金人数下降",
        "快递员失业半年找工作",
        "中方召回驻某国大使",
        "球队召回老将",
        "歌手在演唱会上崩了",
        "黑客帝国重映",
        "村里牦牛被盗",
        "知识爆炸时代如何学习",
        "基地遭导弹袭击爆炸",
        "医疗资源挤兑",
        "班主任辞职",
        "男孩踢球被罚站",
    ],
)
def test_what_only_sounds_like_an_event_in_chinese_is_not(chinese: FlagFinder, title: str) -> None:
    assert chinese.find(title) == []


def test_the_shipped_lexicon_covers_every_flag_in_both_languages() -> None:
    lexicon = shipped_lexicon()
    assert tuple(lexicon.flags) == tuple(lexicon.rules) == RISK_FLAGS
    assert all(phrases["en"] and phrases["zh"] for phrases in lexicon.flags.values())
    assert all(set(rules) == {"en", "zh"} for rules in lexicon.rules.values())


def test_every_shipped_phrase_is_in_lower_case_and_stands_once() -> None:
    lexicon = shipped_lexicon()
    lists = [phrases for by_language in lexicon.flags.values() for phrases in by_language.values()]
    for rules in (rules for by_language in lexicon.rules.values() for rules in by_language.values()):
        lists += [rules.phrases, rules.never, rules.away, *(part for near in rules.near for part in (near.phrases, near.words))]
    assert [phrase for phrases in lists for phrase in phrases if phrase != phrase.lower().strip() or not phrase] == []
    assert [phrase for phrases in lists for phrase in set(phrases) if phrases.count(phrase) > 1] == []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("flag", RISK_FLAGS)
def test_no_shipped_phrase_is_dead(flag: str, language: str) -> None:
    # A phrase that its own `never` or `away` silences would look like a rule and be none.
    rules = shipped_lexicon().rules[flag][language]
    one = FlagFinder(shipped_lexicon(), language, flags=[flag])

    def spelt(phrase: str) -> str:
        return phrase.replace("*", "").replace(" .. ", " zzz ")

    dead = [phrase for phrase in rules.phrases if not one.find(spelt(phrase))]
    for near in rules.near:
        dead += [phrase for phrase in near.phrases if not any(one.find(f"{spelt(phrase)} / {spelt(word)}") for word in near.words)]
    assert dead == []


# --- which flags are shown -------------------------------------------------------------------------------------
def measured(**rows: tuple[int, int]) -> Lexicon:
    return Lexicon(dated="", about="", flags={"litigation": {"en": ["sues"]}}, tone={}, measured={"en": rows})


def test_a_flag_below_the_least_precision_is_neither_shown_nor_raised() -> None:
    good, bad = measured(litigation=(LEAST_PERCENT, 100)), measured(litigation=(LEAST_PERCENT - 1, 100))
    assert good.shown("en") == {"litigation"}
    assert bad.shown("en") == frozenset()
    assert FlagFinder(good, "en").find("Fund sues bank") == ["litigation"]
    assert FlagFinder(bad, "en").find("Fund sues bank") == []
    assert FlagFinder(bad, "en", flags=RISK_FLAGS).find("Fund sues bank") == ["litigation"]


def test_a_flag_that_nobody_judged_is_not_shown_where_others_were() -> None:
    assert measured(downgrade=(9, 10)).shown("en") == {"downgrade"}
    assert measured(litigation=(0, 0)).shown("en") == frozenset()


def test_a_language_that_nobody_measured_shows_every_flag() -> None:
    assert measured(litigation=(1, 10)).shown("zh") == frozenset(RISK_FLAGS)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_shipped_flags_are_shown_as_they_were_measured(language: str) -> None:
    measured = shipped_lexicon().measured[language]
    assert shown(language) == shipped_lexicon().shown(language)
    assert set(measured) == set(RISK_FLAGS)
    assert all(right * 100 >= judged * LEAST_PERCENT for right, judged in (measured[flag] for flag in shown(language)))


# --- reading ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("change", [{"flags": {"weather": {}}}, {"rules": {"weather": {}}}, {"measured": {"en": {"weather": [1, 1]}}}])
def test_a_lexicon_with_an_unknown_flag_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BundleError, match="weather"):
        parse_lexicon(msgspec.json.encode({"dated": "", "about": "", "flags": {}, "tone": {}} | change))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"dated": ""}', LEXICON_PATH.read_bytes()[:-10]])
def test_a_broken_lexicon_says_which_file_to_restore(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"restore models/bundles/linear/lexicon\.json"):
        parse_lexicon(data)


def test_a_misspelt_rule_is_refused() -> None:
    with pytest.raises(BundleError, match="nevr"):
        parse_lexicon(b'{"dated":"","about":"","flags":{},"tone":{},"rules":{"litigation":{"en":{"nevr":[]}}}}')
