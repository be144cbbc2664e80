"""Normalise: a raw record becomes a document with clean text, a language, an identity and times that can be trusted.

Pure and total: every decoded RawDocument gives a Document or a RecordError with the reason of its drop.
"""

import html
import re
import unicodedata
from functools import lru_cache
from typing import Final, Literal, cast, get_args
from urllib.parse import urlsplit

from groundswell.address import canonical_url
from groundswell.errors import RecordError
from groundswell.names import LANGUAGES, content_id
from groundswell.records import Document, RawDocument, Role

TEXT_CHARACTERS_MAX: Final = 100_000
TITLE_CHARACTERS_MAX: Final = 1_000
NAME_CHARACTERS_MAX: Final = 200
URL_CHARACTERS_MAX: Final = 4_000
ANCIENT_MS: Final = 315_532_800_000  # 1980-01-01: before it no feed existed, so a date is a fault
FAR_FUTURE_MS: Final = 2**53  # a crawler's clock is only shown; whatever it says must fit into a column
HAN_SHARE_MIN: Final = 0.2
TIERS: Final = (1, 2, 3, 4)
ROLES: Final = frozenset(get_args(Role))
IDENTIFIER_SURE: Final = 0.9

_TAG = re.compile(r"<[A-Za-z/!?][^<>]{0,500}>")  # a letter at least: "EPS <0.1 against >0.3" holds no tag
_BLANKS = re.compile(r"\s+")
_UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]")
_KANA_HANGUL = re.compile(r"[\u3040-\u30ff\uac00-\ud7af]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_NOISE = re.compile(r"https?://\S+|[@$#]\w+")


def clean(text: str) -> str:
    r"""Readable text on one line: entities resolved, tags and unseen characters gone, blanks folded, NFC.

    >>> clean("Cafe\u0301 <b>AT&amp;T</b>\u200b falls")
    'Café AT&T falls'
    """
    if "<" in text or "&" in text:
        text = html.unescape(_TAG.sub(" ", text))
    if text.isascii() and text.isprintable():  # most texts: nothing is unseen, nothing composes, and blanks are spaces
        return " ".join(text.split())
    text = _UNSEEN.sub("", text.replace("\r", " ").replace("\n", " ").replace("\t", " "))
    return _BLANKS.sub(" ", unicodedata.normalize("NFC", text)).strip()


def detect_language(text: str, claimed: str | None) -> str | None:
    """Language by script first, then by claim, then by identifier.

    A share of Han letters of .2 or more is Chinese (Kana or Hangul among them: Japanese or Korean). Other scripts than
    Latin are named "other". Latin text follows the source's claim; without one it is English unless the identifier is
    at least .9 sure of another language.

    Returns:
        "en", "zh", another code, or None where the text has no letters.

    >>> detect_language("特斯拉召回 Model 3", None), detect_language("Fed holds rates", "EN-us"), detect_language("12 %", None)
    ('zh', 'en', None)
    """
    if not any(map(str.isalpha, text)):
        return None
    return _script(text) or _claimed(claimed) or _identified(_NOISE.sub(" ", text).strip())


def _script(text: str) -> str | None:
    """The language that the script names; None for Latin text."""
    if text.isascii():  # most texts: all letters are Latin
        return None
    letters = sum(map(str.isalpha, text))
    han = len(_HAN.findall(text))
    other = len(_KANA_HANGUL.findall(text))
    if other and other + han >= HAN_SHARE_MIN * letters:
        return "ja" if re.search("[\u3040-\u30ff]", text) else "ko"
    if han >= HAN_SHARE_MIN * letters:
        return "zh"
    if len(_LATIN.findall(text)) < letters / 2:
        return "other"
    return None


def _claimed(claimed: str | None) -> str | None:
    """The language that the source claims, if Latin text can be in it."""
    code = (claimed or "").lower().replace("_", "-").split("-")[0]
    return code if code != "zh" else None


def _identified(text: str) -> str:
    if len(text) < 20:  # too short for the identifier to be sure; measured on short finance titles
        return "en"
    code, probability = _identifier().classify(text)
    return code if probability >= IDENTIFIER_SURE else "en"


@lru_cache(maxsize=1)
def _identifier():  # type: ignore[no-untyped-def]
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def source_name(name: str) -> str:
    """The name of a source or owner as it is stored and counted: clean, at most 200 characters."""
    return clean(name[: 4 * NAME_CHARACTERS_MAX])[:NAME_CHARACTERS_MAX].strip()


def identity(raw: RawDocument, *, text: str) -> str:
    """Document id: the source's own id, else the canonical url, else source, published time and normalised text.

    Copies with another author, time or prefix stay documents of their own; stories deal with them.
    """
    if raw.id:
        return content_id("id", raw.source, raw.id)
    if raw.url:
        try:
            url = canonical_url(raw.url)
        except ValueError:
            url = ""
        if urlsplit(url).netloc:  # "n/a" and the like name no document: fall through to the text
            return content_id("url", url)
    return content_id("text", raw.source, str(raw.published_ms), raw.author_hash or "", text)


def normalise(raw: RawDocument, *, known_ms: int) -> Document:
    """A document from a raw record.

    Args:
        raw: as its source gave it.
        known_ms: when the log took it.

    Raises:
        RecordError: nothing to read, no source, or a language that no model here reads; the text is the drop's reason.
    """
    title = clean(raw.title[: 4 * TITLE_CHARACTERS_MAX])[:TITLE_CHARACTERS_MAX].strip()
    text = clean(raw.text[:TEXT_CHARACTERS_MAX])[:TEXT_CHARACTERS_MAX].strip()  # NFC makes some texts longer
    source = source_name(raw.source)
    if not source:
        raise RecordError("no source: every document names where it came from")  # noqa: EM101
    if not title and not text:
        raise RecordError("empty: neither title nor text has a readable character")  # noqa: EM101
    language = detect_language(f"{title} {text[:400]}", raw.language)
    if language not in LANGUAGES:
        reason = f"language: {clean(language)[:20] if language else 'none, the text has no letters'}"
        raise RecordError(reason)
    published_ms, flag = _placed(raw.published_ms, known_ms)
    owner = source_name(raw.author_hash or raw.owner or "")
    tier, role = _standing(raw)
    return Document(
        document_id=identity(raw, text=f"{title} {text}"),
        content_hash=content_id(title, text),
        source=source,
        owner=owner or source,
        owner_known=bool(owner) or raw.kind != "comment",
        kind=raw.kind,
        language=language,
        title=title,
        text=text,
        url=_UNSEEN.sub("", raw.url)[:URL_CHARACTERS_MAX] if raw.url else None,
        published_ms=published_ms,
        published_precision=raw.published_precision,
        published_flag=flag,
        known_ms=known_ms,
        known_basis=raw.known_basis,
        fetched_ms=min(max(raw.fetched_ms, 0), FAR_FUTURE_MS),
        store_text=raw.store_text,
        tier=tier,
        role=role,
    )


def _standing(raw: RawDocument) -> tuple[int | None, Role | None]:
    """Tier and role of its source, where they are said and there are such; what a reader says has no more weight for where it stands."""
    tier = raw.tier if raw.tier in TIERS else None
    role = cast("Role", raw.role) if raw.role in ROLES else None
    if raw.kind == "comment":
        return tier and TIERS[-1], role and "forum"
    return tier, role


def _placed(published_ms: int | None, known_ms: int) -> tuple[int, Literal["", "missing", "future", "ancient"]]:
    """Published time clamped into [1980, known], with the flag that says what was wrong."""
    if published_ms is None:
        return known_ms, "missing"
    if published_ms > known_ms:
        return known_ms, "future"
    if published_ms < ANCIENT_MS:
        return known_ms, "ancient"
    return published_ms, ""
