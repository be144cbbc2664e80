"""How the board says times, shares, counts and names, in the reader's language. Text of strangers is made visible here, never trusted."""

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from groundswell.errors import SettingsError
from groundswell.moments import spoken, time_ms
from groundswell.names import DAY_MS, HOUR_MS
from groundswell.store.months import DroppedMonth

CHINESE: Final[Mapping[str, str]] = tomllib.loads((Path(__file__).parent / "chinese.toml").read_text(encoding="utf-8"))
TOPIC_TITLES: Final = {
    "earnings_dividends": "Earnings & dividends",
    "analyst_ratings": "Analyst ratings",
    "debt_credit": "Debt & credit",
    "central_bank_macro": "Central banks & macro",
    "legal_regulatory": "Legal & regulatory",
    "deals_capital": "Deals & capital raising",
    "management": "Management",
    "company_product": "Companies & products",
    "financial_institutions": "Financial institutions",
    "commodities_energy": "Commodities & energy",
    "fx_crypto": "Currencies & crypto",
    "politics_geopolitics": "Politics & geopolitics",
    "market_moves": "Market moves",
    "general_other": "General & other",
}
FLAG_TITLES: Final = {
    "default_bankruptcy": "Default or bankruptcy",
    "liquidity_run": "Liquidity or bank run",
    "fraud_investigation": "Fraud or investigation",
    "sanction_penalty": "Sanction or penalty",
    "litigation": "Litigation",
    "downgrade": "Downgrade",
    "exec_departure": "Executive departure",
    "layoff_strike": "Layoffs or strike",
    "product_recall_outage": "Recall or outage",
    "cyber_incident": "Cyber incident",
    "accident_environment": "Accident or environment",
    "short_report_delisting": "Short report or delisting",
}
LANGUAGE_TITLES: Final = {"en": "English", "zh": "Chinese"}  # of documents
LANGUAGES: Final = {"en": "English", "zh": "中文"}  # of readers, each in its own words
CODES: Final = {
    "mute_story": "mute", "old_news": "old news", "wrong_company": "wrong company", "wrong_topic": "wrong topic", "slow_burn": "slow burn",
    "model_shift": "model shift", "central_bank": "central bank", "statistics": "statistics office",
}  # fmt: skip
"""Stored words that are no words."""

_WEEKDAYS: Final = "一二三四五六日"
WINDOWS_KEPT: Final = 4096
_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


_NOUNS: Final = {
    "documents": "document", "docs": "doc", "stories": "story", "owners": "owner", "alerts": "alert", "days": "day", "times": "time",
    "windows": "window", "attempts": "attempt", "companies": "company", "messages": "message", "peers": "peer",
}  # fmt: skip
_ONE: Final = re.compile(rf"(?<!\}} of )\{{(\w+)\}} ((?:negative )?)({'|'.join(_NOUNS)})\b")
"""A place for a number and its noun; not in "1 of 1 alerts", where English keeps the plural."""


def _singular(found: re.Match[str], values: Mapping[str, object]) -> str:
    name, between, noun = found.groups()
    return f"{{{name}}} {between}{_NOUNS[noun]}" if str(values.get(name)) == "1" else found[0]


# --- times -----------------------------------------------------------------------------------------------------------------
class Clock:
    """How one reader is spoken to: times in their zone, always with its offset, and words in their language.

    >>> Clock("Asia/Shanghai").full(1_700_000_000_000)
    '2023-11-15 06:13:20 UTC+08:00'
    >>> Clock("UTC", "zh").say("{number} in flight", number=3)
    '3 份在途'

    Raises:
        SettingsError: no such time zone.
    """

    def __init__(self, tz: str, language: str = "en") -> None:
        try:
            self.zone = ZoneInfo(tz)
        except (OSError, ValueError, LookupError) as error:
            reason = f'board time zone: must be a name such as "Asia/Shanghai", got {tz!r}; correct it or install tzdata'
            raise SettingsError(reason) from error
        self.tz, self.language = tz, language
        # Forty charts of a page have the same windows: said once, this halved the time to draw them.
        self.span = lru_cache(maxsize=WINDOWS_KEPT)(self._span)

    def words(self, text: str) -> str:
        """A text of the board in the reader's language; what has no translation (a stranger's word) stays."""
        text = CODES.get(text, text)
        return CHINESE.get(text, text) if self.language == "zh" else text

    def say(self, text: str, **values: object) -> str:
        """The same with its places filled."""
        return self.counted(text, values).format(**values)

    def counted(self, text: str, values: Mapping[str, object]) -> str:
        """A text in the reader's language whose nouns suit the numbers that will fill its places.

        >>> Clock("UTC").counted("{documents} documents of {owners} owners", {"documents": "1", "owners": 2})
        '{documents} document of {owners} owners'
        """
        said = self.words(text)
        return _ONE.sub(lambda found: _singular(found, values), said) if self.language == "en" else said

    def at(self, ms: int) -> datetime:
        """A moment in the reader's zone."""
        return datetime.fromtimestamp(ms / 1000, tz=self.zone)

    def full(self, ms: int) -> str:
        """Date, time to the second, offset."""
        moment = self.at(ms)
        return f"{moment:%Y-%m-%d %H:%M:%S} {offset(moment)}"

    def minute(self, ms: int) -> str:
        """Date and time to the minute, offset."""
        moment = self.at(ms)
        return f"{moment:%Y-%m-%d %H:%M} {offset(moment)}"

    def ago(self, ms: int) -> str:
        """A length of time in its largest two units."""
        return spoken(ms, language=self.language)

    def _span(self, start_ms: int, end_ms: int) -> str:
        """`23 Jun 06:00 to 12:00`: a window, for a hover text; the page says the offset."""
        start, end = self.at(start_ms), self.at(end_ms)
        until = "" if start.date() == end.date() else f"{self._weekday(end)} {self._day(end)} "
        return f"{self._weekday(start)} {self._day(start)} {start:%H:%M} {self.words('to')} {until}{end:%H:%M}"

    def _day(self, moment: datetime) -> str:
        return f"{moment.month}月{moment.day}日" if self.language == "zh" else f"{moment.day} {moment:%b}"

    def _short(self, moment: datetime) -> str:
        return f"{moment.month}/{moment.day}" if self.language == "zh" else self._day(moment)

    def _weekday(self, moment: datetime) -> str:
        return f"周{_WEEKDAYS[moment.weekday()]}" if self.language == "zh" else f"{moment:%a}"

    def ticks(self, starts_ms: Sequence[int], *, step_ms: int) -> list[str]:
        """Labels of an axis that stand `step_ms` apart, as short as that allows: the hour alone while the day has not changed.

        >>> Clock("UTC").ticks([0, 43_200_000, 86_400_000], step_ms=43_200_000)
        ['1 Jan 00:00', '12:00', '2 Jan 00:00']
        """
        moments = [self.at(ms) for ms in starts_ms]
        if step_ms > DAY_MS:
            return [self._short(moment) for moment in moments]
        if step_ms == DAY_MS:
            return [f"{self._weekday(moment)} {moment.day}" if moment.hour == 0 else f"{moment.day}, {moment:%H}h" for moment in moments]
        days = [None, *(moment.date() for moment in moments)]
        return [
            f"{moment:%H:%M}" if moment.date() == before else f"{self._short(moment)} {moment:%H:%M}"
            for before, moment in zip(days[:-1], moments, strict=True)
        ]

    def series(self, series: str, display: Callable[[str], str]) -> str:
        """A series key in the reader's words; a company's name is the same in every language, and may be a stranger's."""
        kind, _, rest = series.partition(":")
        topic, _, language = rest.rpartition(":")
        if kind == "topic" and topic in TOPIC_TITLES and self.language != "en":
            return self.say("{topic}, {language}", topic=self.words(TOPIC_TITLES[topic]), language=self.words(LANGUAGE_TITLES[language]))
        if kind == "watch":
            return self.say("Watch: {name}", name=visible(rest))
        return visible(display(series))


def offset(moment: datetime) -> str:
    """`UTC` or `UTC+05:30`: an offset, because names such as CST are three zones."""
    text = f"{moment:%z}"
    return "UTC" if text == "+0000" else f"UTC{text[:3]}:{text[3:5]}"


def parse_moment(text: str, *, name: str, clock: Clock) -> int:
    """Milliseconds of an ISO 8601 moment; one without an offset is in the reader's zone. An address turns a plus into a blank.

    Raises:
        UsageError: as `groundswell.moments.time_ms`.
    """
    return time_ms(text.strip().replace(" ", "+") if "T" in text else text.strip(), name=name, zone=clock.zone)


def duration(ms: int) -> str:
    """The text that `groundswell.moments.duration_ms` reads.

    >>> duration(21_600_000), duration(900_000), duration(604_800_000)
    ('6h', '15m', '7d')
    """
    for unit, unit_ms in (("d", DAY_MS), ("h", HOUR_MS)):
        if ms % unit_ms == 0:
            return f"{ms // unit_ms}{unit}"
    return f"{ms // 60_000}m"


# --- numbers -----------------------------------------------------------------------------------------------------------------
def months(gone: Sequence[DroppedMonth]) -> str:
    """The names of months that were dropped; empty where none was."""
    return ", ".join(one.month.name for one in gone)


def percent(share: float | None) -> str:
    """A share as whole percent; an en dash where there is none.

    >>> percent(0.614), percent(0.0), percent(0.004), percent(None)
    ('61 %', '0 %', '0.4 %', '–')
    """
    if share is None:
        return "–"
    return f"{share * 100:.1f} %" if 0 < share < 0.0095 else f"{share * 100:.0f} %"


def tenth(number: float) -> str:
    """A number with one decimal."""
    return f"{number:,.1f}"


def plain(number: float) -> str:
    """A number with as many digits as it needs, three at most behind the point.

    >>> plain(0.08), plain(3.0), plain(1_234.5678)
    ('0.08', '3', '1,234.568')
    """
    return f"{number:,.3f}".rstrip("0").rstrip(".")


def exact(number: float) -> str:
    """A number as somebody wrote it, such as an exposure: none of its digits are rounded away.

    >>> exact(900_000.0), exact(0.0004), exact(0.123456789)
    ('900,000', '0.0004', '0.123456789')
    """
    return f"{number:,.15g}"


def points(share: float) -> str:
    """A change of a share in percentage points, with its sign.

    >>> points(0.158), points(-0.0908)
    ('+15.8', '−9.1')
    """
    return f"{share * 100:+.1f}".replace("-", "−")


def count(number: int) -> str:
    """A count with thousands marked."""
    return f"{number:,}"


def milli(number: int) -> str:
    """Thousandths with one decimal and a real minus sign.

    >>> milli(-800), milli(6000), milli(10_250)
    ('−0.8', '6.0', '10.2')
    """
    return f"{number / 1000:.1f}".replace("-", "−")


def p_value(ppt: int) -> str:
    """`9e-06` as people write it: a p-value from 1e-12ths.

    >>> p_value(9_173_713), p_value(0), p_value(40_000_000_000)
    ('9.2 × 10⁻⁶', 'below 10⁻¹²', '0.04')
    """
    if ppt <= 0:
        return "below 10⁻¹²"
    value = ppt / 1e12
    if value >= 0.001:
        return f"{value:.2g}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa} × 10{str(int(exponent)).translate(_SUPERSCRIPT)}"


_SUPERSCRIPT: Final = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


# --- names and text of strangers ------------------------------------------------------------------------------------------------
def series_title(series: str) -> str:
    """A series key in a reader's words, where nobody knows better.

    >>> series_title("topic:debt_credit:zh"), series_title("entity:FirstRepublic"), series_title("flag:bank_run")
    ('Debt & credit, Chinese', 'First Republic', 'Flag: bank run')
    """
    kind, _, rest = series.partition(":")
    if kind == "topic":
        topic, _, language = rest.rpartition(":")
        return f"{TOPIC_TITLES.get(topic, topic)}, {LANGUAGE_TITLES.get(language, language)}"
    if kind == "flag" and ":" in rest:
        flag, _, company = rest.partition(":")
        return f"{series_title(f'entity:{company}')}, {flag.replace('_', ' ')}"
    if kind == "word" and ":" in rest:
        word, _, company = rest.partition(":")
        return f"{series_title(f'entity:{company}')}, {'official word' if word == 'official' else 'denied'}"
    if kind == "entity":
        return _CAMEL.sub(" ", rest)
    return f"{kind.capitalize()}: {rest.replace('_', ' ')}"


def visible(text: str) -> str:
    r"""Text of a stranger with every control and direction mark spelt out, so that it cannot reorder or hide anything.

    >>> visible("a\u202eb\tc\x00")
    'a[U+202E]b c[U+0000]'
    """
    return "".join(_shown(character) for character in text)


def _shown(character: str) -> str:
    if character in "\t\n\r":
        return " "
    hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")
    return f"[U+{ord(character):04X}]" if hidden else character


def safe_link(url: str | None) -> str | None:
    """The address if it may be a link: http or https, nothing hidden in it; otherwise None, and it is shown as text.

    >>> safe_link("https://example.org/a?b=1"), safe_link("javascript:alert(1)"), safe_link(None)
    ('https://example.org/a?b=1', None, None)
    """
    if url is None or not re.fullmatch(r"https?://[^\s\"'<>\\]+", url, flags=re.IGNORECASE) or visible(url) != url:
        return None
    return url
