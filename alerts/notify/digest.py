"""Several alerts in one message: what waited for the morning, or what could not go out while we were away. Pure, as message.py is."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from types import MappingProxyType
from typing import Any, Final

import msgspec

from alerts.notify.blocks import blocks_of_list, escaped
from alerts.notify.message import COLOURS, LANGUAGES, QUOTE_CHARS, SUBJECT_MAX, Message, clean, environment, offset, render, words, zone_of
from alerts.routes import LOUDNESS, Reader
from groundswell.exports import alert_row
from groundswell.records import Alert

__all__ = ["because", "render_digest", "state_line"]

SHOWN_MAX: Final = 30
ALERTS_MAX: Final = 200  # in the data for other programs


class _Digest(msgspec.Struct, frozen=True, kw_only=True):
    """What the phrase templates read."""

    held: bool
    count: int
    incidents: int
    high: int
    since: str
    until: str


def render_digest(
    alerts: Sequence[Alert],
    *,
    digest_id: str,
    held: bool,
    base_url: str,
    entity_name: Callable[[str], str],
    tz: str = "UTC",
    language: str = "en",
    links: Mapping[str, str] = MappingProxyType({}),
) -> Message:
    """Say several alerts in one message: the last of each incident, the loudest first.

    Args:
        alerts: at least one; not changed.
        digest_id: what the message is called; the same at every attempt.
        held: they waited because the reader wanted it so; False: because we could not send.
        base_url: as in `render`.
        entity_name: as in `render`.
        tz: as in `render`.
        language: as in `render`.
        links: as in `render`; "settings" makes sense here.
    """
    phrases = words("delivery", language)
    last = {alert.incident: alert for alert in sorted(alerts, key=lambda a: (a.opened_ms, a.id))}
    order = sorted(last.values(), key=lambda a: (-LOUDNESS[a.severity], -a.opened_ms, a.id))
    facts = _facts(alerts, order, held=held, zone=zone_of(tz))
    said = [render(alert, base_url=base_url, entity_name=entity_name, tz=tz, language=language) for alert in order[:SHOWN_MAX]]
    labels = words("phrases", language).labels
    return _message(
        {
            "language": language,
            "labels": phrases.labels,
            "subject": clean(str(phrases.subject(facts)), limit=SUBJECT_MAX),
            "lead": str(phrases.lead(facts)).strip(),
            "shown": [_entry(message, alert) for message, alert in zip(said, order, strict=False)],
            "more": str(phrases.more(len(order) - SHOWN_MAX)) if len(order) > SHOWN_MAX else "",
            "url": base_url.rstrip("/"),
            "links": [(labels[act], url) for act, url in links.items() if act == "settings"],
        },
        digest_id=digest_id,
        severity=order[0].severity,
        data={"kind": "digest", "held": held, "alerts": [alert_row(alert, {}, basis={}) for alert in alerts[:ALERTS_MAX]]},
    )


def _facts(alerts: Sequence[Alert], order: Sequence[Alert], *, held: bool, zone: tzinfo) -> _Digest:
    """The digest's figures; `order` has the last alert of each incident."""
    opened = [alert.opened_ms for alert in alerts]
    return _Digest(
        held=held,
        count=len(alerts),
        incidents=len(order),
        high=Counter(alert.severity for alert in order)["high"],
        since=_at(min(opened), zone, beside=max(opened)),
        until=f"{_at(max(opened), zone, beside=min(opened))} {offset(datetime.fromtimestamp(max(opened) / 1_000, zone))}",
    )


def _message(d: dict[str, Any], *, digest_id: str, severity: str, data: dict[str, Any]) -> Message:
    """What was said, in every form that a channel may need."""
    return Message(
        message_id=f"{digest_id}.0",
        thread_id=f"{digest_id}.root",
        update=0,
        language=d["language"],
        subject=d["subject"],
        text=environment().get_template("digest.txt.j2").render(d=d),
        html=environment().get_template("digest.html.j2").render(d=d),
        blocks=blocks_of_list(d),
        fallback=escaped(d["subject"]),
        sections=(d["lead"], *(f"{one['subject']}\n{one['lead']}\n{one['url']}" for one in d["shown"]), *filter(None, [d["more"]])),
        url=d["url"],
        open_label=d["labels"]["open"],
        links=tuple(d["links"]),
        severity=severity,
        data=data,
    )


def because(reader: Reader, alert: Alert, *, glob: str | None, after_min: int | None = None, past: Sequence[str] = ()) -> str:
    """Why a reader gets a message, in their language: the glob that found it, or that nobody acknowledged it.

    Args:
        reader: who gets it.
        alert: what.
        glob: what found it; None: the alert's own series.
        after_min: escalated: for how long nobody did.
        past: targets that it would have gone to first, and that take nothing any more.
    """
    phrases = words("delivery", reader.language)
    said = {"reader": reader.name, "glob": glob or alert.series, "after_min": after_min, "past": list(past)}
    return clean(str(phrases.because(said)))


def state_line(alert: Alert, said: str | None, *, tz: str, language: str) -> str:
    """How an incident is by now, for a first message that can be amended: its last update, and what people did; "" for neither.

    Args:
        alert: the last of the incident.
        said: what people did, in words.
        tz: the reader's zone.
        language: the reader's.
    """
    phrases = words("delivery", language if language in LANGUAGES else "en")
    zone = zone_of(tz)
    at = f"{_at(alert.opened_ms, zone)} {offset(datetime.fromtimestamp(alert.opened_ms / 1_000, zone))}"
    update = str(phrases.state(alert.update, at)) if alert.update else ""
    return clean(" · ".join(filter(None, [update, said])))


def _entry(message: Message, alert: Alert) -> dict[str, str]:
    """Its subject says the number; below it stand what the message says next, and the first words of its evidence.

    What has neither (sources that do not report) says its first sentence again, which says more than a subject can.
    """
    said, _, share = message.sections[0].partition("\n")
    first = next((f"“{clean(q.quote or q.title, limit=QUOTE_CHARS)}”" for q in alert.evidence), "")
    lead = ("" if message.language == "zh" else " ").join(filter(None, [share, first])) or said
    return {"subject": message.subject, "lead": lead, "url": message.url, "colour": COLOURS[message.severity]}


def _at(ms: int, zone: tzinfo, *, beside: int | None = None) -> str:
    """`07:12`, with the day where another one stands beside it."""
    moment = datetime.fromtimestamp(ms / 1_000, zone)
    other = moment if beside is None else datetime.fromtimestamp(beside / 1_000, zone)
    return f"{moment:%H:%M}" if moment.date() == other.date() else f"{moment:%m-%d %H:%M}"
