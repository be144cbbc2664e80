"""Denial: whether a headline says that somebody denies, refutes or clarifies what was said of them.

Read from the title alone: there a denial is the news, and a title is stored where a text may not be. It is no risk flag and no part of
a score: nothing is counted by it, and it changes no model's name. An incident that was told is told again on it (docs/alerts.md), so
it has to be right more often than it has to be complete. What counts: a company, an authority or somebody who speaks for one rejects a
report, rumour, allegation or charge, or corrects it. What does not: what a court or an authority refuses (bail, a request, an entry),
what is asked for ("urged to clarify"), rules that are made clear, and denials as a subject ("denial of minimum wage").
"""

import re
from typing import Final

CHARACTERS_MAX: Final = 200

_WORD = r"(?:[\w'\u2019.&/-]+\s+)"
_SAID = r"(?:reports?|rumou?rs?|claims?|allegations?|accusations?|speculation|suggestions?)"
_REFUSED = (  # what is denied to somebody, and no word of theirs
    r"(?:bail|appeals?|requests?|motions?|pleas?|petitions?|bids?|applications?|approvals?|permission|permits?|licen[cs]es?|visas?|visits?|"
    r"entry|access|coverage|care|treatments?|justice|rights?|benefits|extradition|asylum|parole|loans?|credit|refunds?|compensation|"
    r"relief|payouts?|workers|families|customers|users|people|women|children|patients|them|him|her|me|us|election|climate|holocaust|stay|waivers?|exemptions?)"
)
_ENGLISH: Final = re.compile(
    rf"""
      \b(?:denies|deny|denying|has\ denied|have\ denied|categorically\ denied|strongly\ denied)\b(?!\s+{_WORD}{{0,4}}{_REFUSED}\b)
    | \bdenied\s+(?:{_WORD}{{0,2}}{_SAID}|that|any|having|being|wrongdoing|involvement|knowing|ties)\b
    | \brefut(?:es|ed|ing)\b | \bdisput(?:es|ed)\s+{_WORD}{{0,3}}{_SAID}\b
    | \b(?:rejects?|dismisses|rebuts?|slams?|debunks?)\s+{_WORD}{{0,3}}{_SAID}\b(?!\s+(?:process|against|court))
    | \b(?:reports?|rumou?rs?|claims?|allegations?|speculation)\s+{_WORD}{{0,4}}
      (?:untrue|not\ true|false|baseless|unfounded|groundless|inaccurate)\b
    | \bno\ truth\ (?:to|in)\b
    | \b(?:clarif(?:ies|ication)|denial)\s+(?:on|of|about|regarding|to)\s+{_WORD}{{0,3}}(?:media|press|news|{_SAID})\b
    | \bissues?\s+(?:a\s+)?(?:denial|clarification)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
_ENGLISH_AWAY: Final = re.compile(  # who refuses, who is asked, and what is no denial
    r"\b(?:court|judge|judges|tribunal|panel|jury|wto)\s+(?:\w+\s+)?(?:deny|denies|rejects?|dismisses)\b|^reject\b|\bto\s+deny\b|\bno(?:body)?\s+denying\b|\b(?:can|could|cannot|can't|"
    r"does\s+not|doesn't|did\s+not|didn't|don't|won't|not|never|neither\s+\w+)\s+(?:confirms?\s+n?or\s+)?den(?:y|ies)\b",
    re.IGNORECASE,
)
_CHINESE: Final = re.compile(
    r"否认|辟谣|(?:发布|刊发|发|紧急|作出|做出|公告|回应|官方|公司|集团|今日|连夜)澄清|澄清(?:公告|声明|说明|传闻|传言|报道|媒体|市场|:|:|,|,|称)"
    r"|(?:传闻|传言|报道|消息|言论|网传|内容|说法|信息)[^,。;!?,;!?]{0,8}(?:不实|不属实|并非事实|非事实|不符合事实|与事实不符|为假|是假的|纯属|子虚乌有|系谣言|为谣言|是谣言)"
    r"|不属实|并非事实|与事实不符|纯属谣言|纯属虚构|系谣言|子虚乌有|并无此事|没有此事|查无此事"
)
_CHINESE_AWAY: Final = re.compile(
    r"(?:未|没有)[^,。,]{0,4}(?:辟谣|澄清)|(?:不|未|没|没有|不可|无法|无可|难以|不能|从未|拒绝)否认|(?:要求|敦促|呼吁|责令|需|应|请|尽快|被问|未)[^,。,]{0,8}澄清"
    r"|辟谣(?:平台|机制|大会|中心|榜)|(?:披露|宣传|记载|陈述|登记|申报|出资|广告|数据|财务|年报|收入|利润)[^,。,]{0,6}(?:不实|不属实|与事实不符)"
    r"|(?:发布|散布|传播|编造|捏造|制造|转发)[^,。,]{0,8}(?:不实|谣言|虚假)|不攻自破"
)
_READERS: Final = {"en": (_ENGLISH, _ENGLISH_AWAY), "zh": (_CHINESE, _CHINESE_AWAY)}


def denies(title: str, language: str | None) -> bool:
    """Whether a headline says that something is denied, refuted or clarified.

    >>> denies("Aldora Bank denies report of talks with regulator", "en"), denies("Judge denies Aldora's bail request", "en")
    (True, False)
    >>> denies("临澜银行澄清:网传挤兑消息不实", "zh"), denies("临澜银行信息披露不实被罚", "zh")
    (True, False)
    """
    reader = _READERS.get(language or "")
    if reader is None:
        return False
    says, away = reader
    head = title[:CHARACTERS_MAX]
    return bool(says.search(head)) and not away.search(head)
