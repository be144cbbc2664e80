"""From a condition to words: what people who run the installation get by mail or Slack, in the same forms as an alert.

English only: it names commands, exit codes and headings of the runbook, which are English too.
"""

from datetime import UTC, datetime
from html import escape
from typing import Final

from alerts.notify.message import SUBJECT_MAX, Message, clean
from groundswell.store.canaries import Canary
from groundswell.store.conditions import HEADINGS, TITLES, Condition

MARK: Final = "[operations]"
REASON_CHARS: Final = 400


def notice(condition: Condition, *, base_url: str) -> Message:
    """Say a condition in all forms that a notifier may need.

    >>> c = Condition("behind", "live", 0, None, "everything is known only until 240 s ago", None)
    >>> notice(c, base_url="http://desk.example").subject
    '[operations] the pipeline is behind: live'
    """
    subject = clean(f"{MARK} {TITLES[condition.kind]}: {condition.subject}", limit=SUBJECT_MAX)
    since = f"since {datetime.fromtimestamp(condition.since_ms / 1_000, tz=UTC):%Y-%m-%d %H:%M:%S} UTC"
    lines = [
        clean(condition.reason, limit=REASON_CHARS),
        since,
        f"what it means and what to do: docs/runbook.md, {HEADINGS[condition.kind].replace('-', ' ')}",
        f"board: {base_url}",
    ]
    return _message(f"condition.{condition.kind}.{condition.since_ms}", subject, lines)


def canary_message(canary: Canary, *, base_url: str) -> Message:
    """What the mailbox that watches the way gets: that it is whole.

    >>> canary_message(Canary(3_600_000, 3_621_000), base_url="http://desk.example").subject
    '[canary] 1970-01-01 01:00 UTC reached the desk after 21 s'
    """
    subject = (
        f"[canary] {datetime.fromtimestamp(canary.due_ms / 1_000, tz=UTC):%Y-%m-%d %H:%M} UTC reached the desk after {canary.latency_s} s"
    )
    lines = ["crawled, logged, scored, folded, decided and sent; nothing is to be done", f"board: {base_url}"]
    return _message(f"canary.{canary.due_ms}", subject, lines)


def _message(name: str, subject: str, lines: list[str]) -> Message:
    return Message(
        message_id=f"{name}.0",
        thread_id=f"{name}.root",
        update=0,
        language="en",
        subject=subject,
        text="\n".join([subject, "", *lines, ""]),
        html=_page(subject, lines),
        blocks=(_block("header", subject), *(_block("section", line) for line in lines)),
        fallback=clean(subject).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
    )


def _block(kind: str, text: str) -> dict[str, object]:
    return {"type": kind, "text": {"type": "plain_text", "text": text, "emoji": False}}


def _page(subject: str, lines: list[str]) -> str:
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(subject)}</title></head><body>{said}</body></html>\n'
