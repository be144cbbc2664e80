"""From an alert to words: pure, no clock, no network, the same bytes every time.

Every figure is a field of the alert and every quoted word is a document's. The sentences live in `templates/phrases.*.j2`
(one file per language), the layouts in `templates/mail.*.j2`. Titles, quotes and names of sources were written by strangers:
`clean` makes each one harmless line of text before anything else sees it, the html layout escapes, and Slack gets such text
in `plain_text` objects only, where nothing is a mention, a link or a format.
"""

import functools
import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from html import escape
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

import jinja2
import msgspec

from alerts.notify.blocks import blocks_of, escaped
from groundswell.errors import SettingsError
from groundswell.exports import alert_row
from groundswell.moments import spoken
from groundswell.names import OFFICIAL_ROLES, word_of
from groundswell.records import Alert, Part, Quote
from groundswell.windows import wilson

__all__ = [
    "ACTS", "COLOURS", "LANGUAGES", "QUOTE_CHARS", "RESENT", "SUBJECT_MAX", "Message", "as_resent", "clean", "environment", "offset",
    "render", "with_first_line", "words", "zone_of",
]  # fmt: skip

LANGUAGES: Final = ("en", "zh")
RESENT: Final = "[resent]"
ACTS: Final = ("acknowledge", "verdict", "settings")
"""What a message may lead to beside the dossier: each a page of the board that shows first and records only what is sent from it."""

SUBJECT_MAX: Final = 90  # characters that carry who, what, how much and when, "[resent] " included
WHO_MIN: Final = 10  # a name is cut, never to less than this

PARTS_SHOWN, DOUBTS_SHOWN, QUOTES_SHOWN, SERIES_SHOWN = 4, 5, 3, 3
NAME_CHARS, PART_CHARS, DOUBT_CHARS, QUOTE_CHARS, BY_CHARS = 80, 70, 200, 150, 30
COUNTED_KINDS: Final = frozenset({"surge", "sighting", "slow_burn", "late"})  # decided by counting stories
COLOURS: Final = {"low": "#7a869a", "medium": "#c77700", "high": "#b3261e"}

_RESENT_PLACE = "<!-- resent -->"  # in mail.html.j2
# Doubts of the dossier that the message says itself, from the figures and in the reader's language.
_RESTATED = re.compile(r"one platform, authors unknown|without the largest story .*|only \d+ % of the usual volume was seeing")
_INVISIBLE = frozenset("\u034f\u115f\u1160\u3164\uffa0\u2800")  # blank letters that are no controls by category
_ADDRESS = re.compile(r"https?://[^\s<>|\"'`\\]+")


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of one alert, in every form that a channel may need. Nothing in it is a secret."""

    message_id: str  # local part of the Message-ID: the alert's id and ".0", the same at every attempt
    thread_id: str  # local part of the incident's root, the same for all its alerts
    update: int  # 0 = the incident's first
    language: str  # "en" or "zh"
    subject: str  # one line, at most 90 characters
    text: str  # plain text; lines end with "\n"
    html: str  # a whole page without scripts, images or links other than the dossier's
    blocks: tuple[dict[str, Any], ...]  # Slack Block Kit; not to be changed
    fallback: str  # Slack's notification text, escaped for mrkdwn
    sections: tuple[str, ...] = ()  # the message in pieces of plain text, for channels with cards; strangers' words among them
    url: str = ""  # the dossier's, or the board's
    open_label: str = ""  # what a button to it says
    links: tuple[tuple[str, str], ...] = ()  # more of our own: (what it says, address)
    severity: str = "low"
    data: dict[str, Any] = {}  # the alert as other programs read it (groundswell/exports.py); not to be changed
    parent_id: str | None = None  # an update: what the channel called the incident's first message on this target
    thread_subject: str | None = None  # an update: the subject of the incident's first message; some mail programs thread by it
    unsubscribe_url: str | None = None  # takes a POST that needs no login; only with a public address of the board
    resent: bool = False


class _Part(msgspec.Struct, frozen=True):
    """A part of the excess as it is shown."""

    name: str
    titled: bool  # the name is a document's title, so it is quoted
    stories: int
    documents: int


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """The alert's figures as text; what the phrase templates read."""

    kind: str
    severity: str
    update: int
    who: str
    risk: str  # the end of `who` that a subject may not cut: of which risk a sighting is
    others: list[str]
    others_more: int
    counts: bool  # the statistic is a number of stories
    by_share: bool  # the share turned, the number did not
    any_tone: bool  # it counts stories whatever their tone, so they are not called negative
    statistic: int
    expected: str
    factor: str | None  # None: none expected
    limit: int
    p: str
    window_s: int
    window: str
    at: str
    until: str
    stories: int
    owners: int
    owners_known: bool
    share: str
    share_low: str  # its 90 % interval
    share_high: str
    baseline: str
    seeing: str
    unseen: str
    partly_blind: bool
    without: int
    without_fires: bool
    quiet_days: int
    lateness: str  # late: from publication to being known
    ended: bool  # blind: it sees again
    against: list[tuple[str, int, bool]]  # what is left out, what is left, whether it still fires
    peers: tuple[str, int, str, str] | None  # whose, how many, share before and now
    alone: bool  # they have not moved with it
    news: str  # of an update
    word: str  # what it is, if it is an official word or a denial; else ""
    by: str  # of a word: the source that says so
    by_official: bool  # ... and whether that is an authority, an exchange or the company itself
    tier: int  # the best of the evidence that is shown; 0: unknown
    reopens: bool  # it had gone quiet before


def render(
    alert: Alert,
    *,
    base_url: str,
    entity_name: Callable[[str], str],
    resend: bool = False,
    tz: str = "UTC",
    language: str = "en",
    links: Mapping[str, str] = MappingProxyType({}),
    because: str = "",
) -> Message:
    """Say an alert in all forms.

    Args:
        alert: the argument to put into words; not changed.
        base_url: where the board is reached, `http://` or `https://`; the dossier is `{base_url}/alerts/{id}`.
        entity_name: display name of an entity id, as the catalogue has it.
        resend: mark it as possibly seen before.
        tz: name of the reader's time zone, "Asia/Shanghai".
        language: "en" or "zh"; quotes stay in their own.
        links: what the reader can do -> where, of ACTS; each opens a page, and nothing is recorded by opening it.
        because: why this reader gets it, one line in their language.

    Raises:
        SettingsError: `base_url`, `tz` or `language` cannot be used.
    """
    zone, phrases = zone_of(tz), words("phrases", language)
    url = f"{_base(base_url)}/alerts/{_identifier(alert.id)}"
    facts = _facts(alert, zone=zone, phrases=phrases, language=language, entity_name=entity_name)
    said = _say(alert, facts, zone=zone, phrases=phrases)
    said |= {"language": language, "url": url, "colon": "：" if language == "zh" else ": ", "colour": COLOURS[alert.severity]}
    said["because"] = clean(because, limit=DOUBT_CHARS)
    said["links"] = [(said["labels"][act], _base(links[act])) for act in ACTS if act in links]
    sections, blocks = blocks_of(said)
    message = Message(
        message_id=f"{_identifier(alert.id)}.0",
        thread_id=f"{_identifier(alert.incident)}.root",
        update=alert.update,
        language=language,
        subject=said["subject"],
        text=environment().get_template("mail.txt.j2").render(m=said),
        html=environment().get_template("mail.html.j2").render(m=said),
        blocks=blocks,
        fallback=escaped(said["subject"]),
        sections=sections,
        url=url,
        open_label=said["labels"]["open"],
        links=tuple(said["links"]),
        severity=alert.severity,
        data=alert_row(alert, {}, basis={}),
    )
    return as_resent(message) if resend else message


def as_resent(message: Message) -> Message:
    """The same message, marked "[resent]" in every form; unchanged if it is marked already."""
    if message.resent:
        return message
    blocks = tuple(
        {**b, "text": {**b["text"], "text": f"{RESENT} {b['text']['text']}"}} if b["type"] == "header" else b for b in message.blocks
    )
    return msgspec.structs.replace(
        message,
        subject=f"{RESENT} {message.subject}",
        text=f"{RESENT} {message.text}",
        html=message.html.replace(_RESENT_PLACE, f"<p>{RESENT}</p>", 1),
        blocks=blocks,
        fallback=f"{RESENT} {message.fallback}",
        resent=True,
    )


def with_first_line(message: Message, line: str) -> Message:
    """The same message with a line above its text and its page."""
    html = message.html.replace(_RESENT_PLACE, f'{_RESENT_PLACE}<p style="margin:0 0 10px;font-weight:600">{escape(line)}</p>', 1)
    return msgspec.structs.replace(message, text=f"{line}\n{message.text}", html=html)


def clean(text: str, *, limit: int = 300) -> str:
    r"""One harmless line of at most `limit` characters, otherwise the same words.

    Line breaks and controls become spaces; invisible and direction-changing characters go; `=?` is parted, so that no header
    parser finds an encoded word; `://` is parted, so that no reader makes a stranger's address a link.

    >>> clean("Bond\r\nBcc: x@example.net \u202egnp.exe\u200b =?utf-8?q?x?= http://evil.example")
    'Bond Bcc: x@example.net gnp.exe = ?utf-8?q?x?= http[:]//evil.example'
    """
    line = " ".join("".join(map(_visible, text)).split())
    return _clip(line.replace("=?", "= ?").replace("://", "[:]//"), limit)


# --- the alert's figures ------------------------------------------------------------------------------------------------------
def _facts(alert: Alert, *, zone: tzinfo, phrases: Any, language: str, entity_name: Callable[[str], str]) -> _Facts:
    others = [s for s in dict.fromkeys(alert.all_series) if s != alert.series]
    opened = _local(alert.opened_ms, zone)
    low, high = wilson(min(alert.statistic, alert.stories), alert.stories) if alert.stories else (0.0, 1.0)
    return _Facts(
        kind=alert.kind,
        severity=alert.severity,
        update=alert.update,
        who=_series_name(alert.series, phrases, entity_name),
        risk=_risk(alert.series, phrases),
        others=[_series_name(s, phrases, entity_name) for s in others[:SERIES_SHOWN]],
        others_more=max(0, len(others) - SERIES_SHOWN),
        counts=alert.kind in COUNTED_KINDS and not word_of(alert.series),
        by_share=alert.by == "share",
        any_tone=alert.any_tone,
        statistic=alert.statistic,
        expected=_expected(alert.expected_milli),
        factor=_factor(alert.statistic, alert.expected_milli),
        limit=alert.limit,
        p=_p_value(alert.p_ppt),
        window_s=alert.window_s,
        window=_window(opened, alert.window_s),
        at=f"{opened:%H:%M} {offset(opened)}",
        until=f"{(until := _local(alert.known_until_ms, zone)):%Y-%m-%d %H:%M:%S} {offset(until)}",
        stories=alert.stories,
        owners=alert.owners,
        owners_known=alert.owners_known,
        share=_percent(alert.negative_share_ppm),
        share_low=_percent(round(1_000_000 * low)),
        share_high=_percent(round(1_000_000 * high)),
        baseline=_percent(alert.baseline_share_ppm),
        seeing=_percent(alert.exposure_ppm),
        unseen=_percent(1_000_000 - alert.exposure_ppm),
        partly_blind=alert.exposure_ppm < 990_000,
        without=alert.without_largest,
        without_fires=alert.without_largest_fires,
        quiet_days=alert.quiet_days,
        lateness=spoken(alert.late_s * 1_000, language=language),
        ended=alert.ended,
        against=[(left.what, left.statistic, left.fires) for left in alert.against],
        peers=(peers.of, peers.measured, _percent(peers.before_ppm), _percent(peers.now_ppm)) if (peers := alert.peers) else None,
        alone=alert.alone,
        news=alert.news,
        word=word_of(alert.series),
        by=clean(alert.evidence[0].source, limit=BY_CHARS) if alert.evidence else "",
        by_official=bool(alert.evidence) and alert.evidence[0].role in OFFICIAL_ROLES,
        tier=min((quote.tier for quote in alert.evidence if quote.tier), default=0),
        reopens=alert.quiet_from_ms > 0,
    )


def _expected(milli: int) -> str:
    """Expected stories: `1.7`, `12`, `<0.1`."""
    if 0 < milli < 100:
        return "<0.1"
    return f"{milli / 1000:.1f}".removesuffix(".0")


def _factor(statistic: int, expected_milli: int) -> str | None:
    """How many times the expected number, with as many digits as mean something; None if nothing was expected."""
    if expected_milli <= 0:
        return None
    ratio = statistic * 1000 / expected_milli
    return ">100" if ratio > 100 else f"{ratio:.0f}" if ratio >= 3 else f"{ratio:.1f}"


def _p_value(ppt: int) -> str:
    """`p = 9e-6`; below what the alert can hold, `p < 1e-12`."""
    if ppt <= 0:
        return "p < 1e-12"
    value = ppt / 1e12
    return f"p = {value:.0e}".replace("e-0", "e-") if value < 0.001 else f"p = {value:.2g}"


def _percent(ppm: int) -> str:
    return f"{ppm / 10_000:.1f}" if 0 < ppm < 10_000 else f"{ppm / 10_000:.0f}"


def _local(ms: int, zone: tzinfo) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=zone)


def offset(moment: datetime) -> str:
    """A moment's zone as it is shown: `UTC`, `+08`, `+05:30`: an offset, because names such as CST are three zones."""
    text = f"{moment:%z}"
    return "UTC" if text == "+0000" else text[:3] if text.endswith("00") else f"{text[:3]}:{text[3:5]}"


def _window(end: datetime, length_s: int) -> str:
    """`12:26-13:26 +08`; with days where the window began on another one."""
    start = end.astimezone(ZoneInfo("UTC")) - timedelta(seconds=length_s)
    start = start.astimezone(end.tzinfo)
    shape = "%H:%M" if start.date() == end.date() else "%m-%d %H:%M"
    return f"{start:{shape}}-{end:%H:%M} {offset(end)}" if shape == "%H:%M" else f"{start:{shape}} - {end:{shape}} {offset(end)}"


def _series_name(series: str, phrases: Any, entity_name: Callable[[str], str]) -> str:
    kind, _, rest = series.partition(":")
    if kind == "entity":
        return clean(entity_name(rest), limit=NAME_CHARS) or clean(rest, limit=NAME_CHARS)
    if kind == "topic":
        topic, _, language = rest.rpartition(":")
        return clean(str(phrases.topic(topic, language)), limit=NAME_CHARS)
    if kind == "language":
        return clean(str(phrases.all_of(rest)), limit=NAME_CHARS)
    if kind == "word" and ":" in rest:
        return _series_name(f"entity:{rest.partition(':')[2]}", phrases, entity_name)
    if kind == "flag" and ":" in rest:
        company = rest.partition(":")[2]
        return _series_name(f"entity:{company}", phrases, entity_name) + _risk(series, phrases)
    return clean(rest.replace("_", " "), limit=NAME_CHARS) or clean(series, limit=NAME_CHARS)


def _risk(series: str, phrases: Any) -> str:
    kind, _, rest = series.partition(":")
    return str(phrases.risk(clean(rest.partition(":")[0], limit=NAME_CHARS))) if kind == "flag" and ":" in rest else ""


# --- the sentences --------------------------------------------------------------------------------------------------------------
def _say(alert: Alert, facts: _Facts, *, zone: tzinfo, phrases: Any) -> dict[str, Any]:
    """The message's sentences in one language: plain text, not yet escaped for anything."""
    room = SUBJECT_MAX - len(RESENT) - 1 - len(_line(phrases.subject(facts, "")))
    written = [d for d in alert.doubts if not _RESTATED.fullmatch(d)][:DOUBTS_SHOWN]
    left_out = [_line(phrases.left_out(facts, *left)) for left in facts.against]
    seen = [_line(phrases.peers(facts)), _line(phrases.seeing(facts))]
    doubts = [_line(phrases.without(facts)), *left_out, *seen, *(clean(d, limit=DOUBT_CHARS) for d in written)]
    details = [_line(getattr(phrases, name)(facts)) for name in ("news", "test", "also", "until")]
    return {
        "labels": phrases.labels,
        "subject": _line(
            phrases.subject(facts, _clip(facts.who.removesuffix(facts.risk), max(WHO_MIN, room - len(facts.risk))) + facts.risk)
        ),
        "lead": _line(phrases.lead(facts)),
        "share": _line(phrases.share(facts)),
        "parts": _parts(alert.parts, phrases),
        "doubts": [d for d in doubts if d],
        "quotes": _quotes(alert.evidence, phrases, zone=zone, opened=_local(alert.opened_ms, zone)),
        "details": [d for d in details if d],
        "explain": f"groundswell explain {_identifier(alert.id)}",
    }


def _parts(parts: list[Part], phrases: Any) -> list[str]:
    """What the number is made of: the first few by name, the rest as one. The expected number is in the lead already."""
    named = [p for p in parts if p.name not in ("other", "expected")]
    rest = [*named[PARTS_SHOWN:], *(p for p in parts if p.name == "other")]
    shown = [_Part(clean(p.name, limit=PART_CHARS), titled=True, stories=p.stories, documents=p.documents) for p in named[:PARTS_SHOWN]]
    if rest:
        shown.append(_Part("other", titled=False, stories=sum(p.stories for p in rest), documents=sum(p.documents for p in rest)))
    return [_line(phrases.part(p)) for p in shown]


def _quotes(evidence: list[Quote], phrases: Any, *, zone: tzinfo, opened: datetime) -> list[tuple[str, str]]:
    """Up to three pairs of verbatim words and where they stand, one per story first (the evidence is in that order)."""
    said: list[tuple[str, str]] = []
    for quote in evidence:
        words = clean(quote.quote, limit=QUOTE_CHARS) or clean(quote.title, limit=QUOTE_CHARS)
        if not words or len(said) == QUOTES_SHOWN:
            continue
        published = _local(quote.published_ms, zone)
        at = f"{published:%H:%M}" if published.date() == opened.date() else f"{published:%Y-%m-%d %H:%M}"
        said.append((words, _line(phrases.source({"source": clean(quote.source, limit=NAME_CHARS), "role": quote.role or "", "at": at}))))
    return said


# --- small parts ----------------------------------------------------------------------------------------------------------------
@functools.cache
def environment() -> jinja2.Environment:
    """The templates of messages: phrases and text are plain, html escapes; a misspelt name is an error, not an empty string."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@functools.cache
def words(name: str, language: str) -> Any:
    """The sentences of one language: "phrases" of alerts, or "delivery" of what is said around them.

    Raises:
        SettingsError: there is no such language.
    """
    if language not in LANGUAGES:
        message = f"alerts.language: must be one of {', '.join(LANGUAGES)}, got {language!r}; set one of these for the target"
        raise SettingsError(message)
    return environment().get_template(f"{name}.{language}.j2").module


@functools.cache
def zone_of(tz: str) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        SettingsError: there is none of that name.
    """
    try:
        return ZoneInfo(tz)
    except (OSError, ValueError, LookupError) as error:
        message = f'alerts.tz: must be a time zone\'s name such as "Asia/Shanghai", got {tz!r}; correct it or install tzdata'
        raise SettingsError(message) from error


def _base(base_url: str) -> str:
    if not _ADDRESS.fullmatch(base_url):
        message = f"alerts.base_url: must be an http:// or https:// address without blanks or quotes, got {base_url!r}; set the board's"
        raise SettingsError(message)
    return base_url.rstrip("/")


def _identifier(name: str) -> str:
    """An id as it may stand in an address and in a Message-ID."""
    return re.sub(r"[^A-Za-z0-9-]", "", name) or "unnamed"


def _line(text: str) -> str:
    return " ".join(str(text).split())


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1].rstrip()}…"


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cf", "Cs") or character in _INVISIBLE:
        return ""
    return " " if category == "Cc" else character
