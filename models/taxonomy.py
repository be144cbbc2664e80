"""What the models were trained to say, and how it maps to the 14 reported topics.

Models are trained on the labels that their data carries (20 English topics, 16 Chinese labels) and reported on names.TOPICS
by the fixed maps here. A topic that a language's labels cannot reach is *not measured* in that language: it is absent from
`topic_ppm`, never zero.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from groundswell.errors import UsageError
from groundswell.names import TOPICS, content_id

NATIVE_TOPICS: Final = (
    "Analyst Update",
    "Fed/Central Banks",
    "Company/Product News",
    "Treasuries/Corporate Debt",
    "Dividend",
    "Earnings",
    "Energy/Oil",
    "Financials",
    "Currencies",
    "General News/Opinion",
    "Gold/Metals/Materials",
    "IPO",
    "Legal/Regulation",
    "M&A/Investments",
    "Macro",
    "Markets",
    "Politics",
    "Personnel Change",
    "Stock Commentary",
    "Stock Movement",
)

# Position i is the reported topic of native topic i.
NATIVE_TO_TOPIC: Final = (
    "analyst_ratings",
    "central_bank_macro",
    "company_product",
    "debt_credit",
    "earnings_dividends",
    "earnings_dividends",
    "commodities_energy",
    "financial_institutions",
    "fx_crypto",
    "general_other",
    "commodities_energy",
    "deals_capital",
    "legal_regulatory",
    "deals_capital",
    "central_bank_macro",
    "market_moves",
    "politics_geopolitics",
    "management",
    "market_moves",
    "market_moves",
)

# A label without a topic is a facet: a region (中国, 外国), a sector (房地产) or an episode (新冠).
LABEL_TO_TOPIC: Final[Mapping[str, str | None]] = {
    "中国": None,
    "债券": "debt_credit",
    "公司": "company_product",
    "其它": "general_other",
    "国际": "politics_geopolitics",
    "外国": None,
    "外汇": "fx_crypto",
    "大盘": "market_moves",
    "房地产": None,
    "政治": "politics_geopolitics",
    "政策": "central_bank_macro",
    "新冠": None,
    "期货": "commodities_energy",
    "经济": "central_bank_macro",
    "能源": "commodities_energy",
    "虚拟货币": "fx_crypto",
    "行业": "company_product",
}

TOPIC_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "earnings_dividends": {"en": "Earnings & dividends", "zh": "业绩分红"},
    "analyst_ratings": {"en": "Analyst ratings", "zh": "评级研报"},
    "debt_credit": {"en": "Debt & credit", "zh": "债券信用"},
    "central_bank_macro": {"en": "Central banks & macro", "zh": "央行宏观"},
    "legal_regulatory": {"en": "Legal & regulatory", "zh": "监管法律"},
    "deals_capital": {"en": "Deals & capital raising", "zh": "并购融资"},
    "management": {"en": "Management", "zh": "人事治理"},
    "company_product": {"en": "Companies & products", "zh": "公司产品"},
    "financial_institutions": {"en": "Financial institutions", "zh": "金融机构"},
    "commodities_energy": {"en": "Commodities & energy", "zh": "大宗能源"},
    "fx_crypto": {"en": "Currencies & crypto", "zh": "外汇加密"},
    "politics_geopolitics": {"en": "Politics & geopolitics", "zh": "政治地缘"},
    "market_moves": {"en": "Market moves", "zh": "行情"},
    "general_other": {"en": "General & other", "zh": "其它"},
}

FLAG_NAMES: Final[Mapping[str, Mapping[str, str]]] = {
    "default_bankruptcy": {"en": "default or bankruptcy", "zh": "违约破产"},
    "liquidity_run": {"en": "liquidity or bank run", "zh": "流动性危机"},
    "fraud_investigation": {"en": "fraud or investigation", "zh": "欺诈调查"},
    "sanction_penalty": {"en": "sanction or penalty", "zh": "处罚制裁"},
    "litigation": {"en": "litigation", "zh": "诉讼"},
    "downgrade": {"en": "downgrade", "zh": "评级下调"},
    "exec_departure": {"en": "executive departure", "zh": "高管离任"},
    "layoff_strike": {"en": "layoffs or strike", "zh": "裁员罢工"},
    "product_recall_outage": {"en": "recall or outage", "zh": "召回停运"},
    "cyber_incident": {"en": "cyber incident", "zh": "网络安全事件"},
    "accident_environment": {"en": "accident or environment", "zh": "事故环境"},
    "short_report_delisting": {"en": "short report or delisting", "zh": "做空退市"},
}
RISK_FLAGS: Final = tuple(FLAG_NAMES)

PPM: Final = 1_000_000

_MEASURED: Final[Mapping[str, tuple[str, ...]]] = {
    "en": tuple(topic for topic in TOPICS if topic in NATIVE_TO_TOPIC),
    "zh": tuple(topic for topic in TOPICS if topic == "general_other" or topic in LABEL_TO_TOPIC.values()),
}


def measured_topics(language: str) -> tuple[str, ...]:
    """The reported topics that a language's labels can reach, in the order of names.TOPICS.

    Raises:
        UsageError: no model was trained for this language.

    >>> "management" in measured_topics("en"), "management" in measured_topics("zh")
    (True, False)
    """
    try:
        return _MEASURED[language]
    except KeyError:
        message = f"taxonomy: topics are measured for en and zh, not {language!r}; train a bundle and add its map to models/taxonomy.py"
        raise UsageError(message) from None


def topics_of_native(native_ppm: Sequence[int]) -> dict[str, int]:
    """Sum 20 native shares to the reported topics they map to; the total is kept exactly.

    >>> topics_of_native([0] * 4 + [300_000, 600_000] + [0] * 13 + [100_000])["earnings_dividends"]
    900000
    """
    if len(native_ppm) != len(NATIVE_TOPICS):
        message = f"taxonomy: {len(NATIVE_TOPICS)} native topic shares are expected, not {len(native_ppm)}; pass one per native topic"
        raise UsageError(message)
    reported = dict.fromkeys(measured_topics("en"), 0)
    for topic, share in zip(NATIVE_TO_TOPIC, native_ppm, strict=True):
        reported[topic] += share
    return reported


def topics_of_labels(label_ppm: Mapping[str, int]) -> dict[str, int]:
    """One distribution over the measured topics from independent label probabilities (parts per million each).

    A topic's mass is the sum of its labels' probabilities. What speaks for none of them, the product of their complements,
    goes to general_other. Facets (region, sector) have no mass. The masses are scaled to a sum of exactly 1,000,000;
    what rounding leaves over goes to the largest. Integers throughout, so the answer is the same everywhere.

    >>> topics_of_labels({"债券": 900_000, "中国": 990_000})
    {'debt_credit': 900000, 'central_bank_macro': 0, 'company_product': 0, 'commodities_energy': 0, 'fx_crypto': 0, \
'politics_geopolitics': 0, 'market_moves': 0, 'general_other': 100000}
    """
    mass = dict.fromkeys(measured_topics("zh"), 0)
    none = PPM
    for label, share in label_ppm.items():
        topic = LABEL_TO_TOPIC[label]
        if topic is None:
            continue
        mass[topic] += share
        if topic != "general_other":
            none = none * (PPM - share) // PPM
    mass["general_other"] += none
    total = sum(mass.values())
    shares = {topic: value * PPM // total for topic, value in mass.items()} if total else {**mass, "general_other": PPM}
    shares[highest(shares)] += PPM - sum(shares.values())
    return shares


def highest(shares: Mapping[str, int]) -> str:
    """The name with the largest share; of equals the first, so that the answer never depends on chance.

    >>> highest({"a": 1, "b": 3, "c": 3})
    'b'
    """
    return max(shares, key=lambda name: shares[name])


def taxonomy_hash() -> str:
    """Sixteen hexadecimal digits over topics, native labels and their maps: a bundle trained for another set is refused."""
    return content_id(msgspec.json.encode([TOPICS, NATIVE_TOPICS, NATIVE_TO_TOPIC, sorted(LABEL_TO_TOPIC.items()), RISK_FLAGS]).decode())
