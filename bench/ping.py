"""How long it takes from the evidence being known to the ping: a mail that a real SMTP server has accepted.

One process, as `groundswell run` is: local log, pipeline, desk and sender, with the shipped rules but for the budget, which is raised so
that every event is told. Sixteen days of quiet history come first; then, at live pace and at any moment of a tick, one company after the
other gets eight negative stories at once. Measured is from the stamp that the log gave them to the server's 250 after DATA. Each event
has a topic and language of its own, so that none is taken for an update of another. The scorer costs nothing: reading is not measured.
"""

import asyncio
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from hashlib import shake_256
from pathlib import Path
from typing import Any, Final

import msgspec

from alerts.notify.mail import MailNotifier, MailSettings
from alerts.rules import load_rules
from bench.pipeline import Ratio
from groundswell.clock import SystemClock
from groundswell.codec import encode
from groundswell.local_log import LocalLog
from groundswell.names import DAY_MS, DIGEST_WORDS, HOUR_MS, LIVE_RUN, TOPICS
from groundswell.records import Document, Mention, RawDocument, Score
from groundswell.store.store import Store
from stream.shells.embedded import EmbeddedPipeline
from stream.shells.instruments import Instruments, open_run
from stream.shells.live import Live
from stream.shells.sender import Fixed, Sender
from stream.shells.voice import Voice
from tests.alerts.notify.peers import HOST, Relay, a_relay
from tests.synthetic_news import WORDS

COMPANIES: Final = 2 * len(TOPICS)
HISTORY_DAYS: Final = 16
A_DAY: Final = 12  # documents of each company
SOURCES: Final = 12
STORIES: Final = 8
PAUSE_S: Final = (4.0, 8.0)
PROMISED_S: Final = 60.0
WAIT_S: Final = 90.0
CLOCK = SystemClock()


class Scorer:
    """Reads off the title which company a document is of and whether it speaks against it."""

    model_id = "ping-1"
    languages = frozenset({"en", "zh"})

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """One score per document."""
        return [self._score(document) for document in documents]

    def _score(self, document: Document) -> Score:
        company, negative = document.title[:5], " default " in document.title
        topic = TOPICS[int(company[1:]) % len(TOPICS)]
        against = 950_000 if negative else 20_000
        return Score(
            document_id=document.document_id,
            content_hash=document.content_hash,
            model_id=self.model_id,
            language=document.language or "en",
            topic=topic,
            topic_ppm={topic: 1_000_000},
            sentiment="negative" if negative else "neutral",
            negative_ppm=against,
            neutral_ppm=1_000_000 - against,
            positive_ppm=0,
            mentions=[Mention(company, 0, 5)],
            digest=shake_256(document.title.encode()).digest(4 * DIGEST_WORDS),
        )


@dataclass
class Postmark(Relay):
    """An SMTP server that notes when it accepted the first mail of each company."""

    accepted_ms: dict[str, int] = field(default_factory=dict)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        """Accept, and look which company it is about."""
        answer = await super().handle_DATA(server, session, envelope)
        text = self.mails[-1].get_body(preferencelist=("plain",)).get_content()  # type: ignore[union-attr]
        for company in set(re.findall(r"\bc\d{4}\b", text)):
            self.accepted_ms.setdefault(company, CLOCK.now_ms())
        if len(self.accepted_ms) == COMPANIES:
            self.complete.set()
        return answer


def evidence_to_ping(folder: Path) -> list[Ratio]:
    """Percentiles from evidence to ping at live pace."""
    folder.mkdir(parents=True)
    rules = load_rules()
    rules = msgspec.structs.replace(rules, desk=msgspec.structs.replace(rules.desk, budget_per_day=10 * COMPANIES))
    made = Instruments(Scorer(), rules, lambda series: series, {"model": Scorer.model_id, "rules": rules.hash})
    with closing(Store(str(folder / "ping.db"))) as store, LocalLog(folder / "live.log") as log:
        history = _history(log)
        open_run(store, LIVE_RUN, kind="live", instruments=made)
        pipeline = EmbeddedPipeline(store, log, LIVE_RUN, made)
        while pipeline.step():
            pass
        seconds = sorted(asyncio.run(_live(store, folder / "live.log", made)))
    if len(seconds) < COMPANIES:
        message = f"{COMPANIES - len(seconds)} of {COMPANIES} events led to no mail within {WAIT_S:g} s"
        raise RuntimeError(message)
    p50, p95 = _at(seconds, 0.5), _at(seconds, 0.95)
    detail = f"p50 {p50:.1f} s, p95 {p95:.1f} s, longest {seconds[-1]:.1f} s; {COMPANIES} events after {history:,} documents of history"
    return [Ratio("p95 from known evidence to a mail that was accepted", f"{PROMISED_S:g} s", p95 / PROMISED_S, "at most 1", detail)]


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _history(log: LocalLog) -> int:
    """Quiet weeks up to a minute ago; returns how many documents."""
    rng, end_ms, written = random.Random(7), CLOCK.now_ms() - 60_000, 0
    for hour in range(HISTORY_DAYS * 24, 0, -1):
        stamp_ms = end_ms - hour * HOUR_MS + HOUR_MS
        speaking = [company for company in range(COMPANIES) if rng.random() < A_DAY * HOUR_MS / DAY_MS]
        found = [_document(rng, company, stamp_ms, negative=False) for company in speaking]
        log.append([("document", raw.source, encode(raw)) for raw in found], now_ms=stamp_ms)
        written += len(found)
    return written


def _document(rng: random.Random, company: int, known_ms: int, *, negative: bool, source: int | None = None) -> RawDocument:
    chinese = company >= len(TOPICS)  # the script decides the language
    pool = [chr(0x4E00 + n) for n in range(2_000)] if chinese else WORDS
    words = " ".join(rng.sample(pool, 12))
    return RawDocument(
        source=f"source {rng.randrange(SOURCES) if source is None else source}",
        title=f"c{company:04d} {'default ' if negative else ''}{words}",
        text=" ".join(rng.sample(pool, 30)),
        id=f"{company}-{known_ms}-{words}",
        language="zh" if chinese else "en",
        published_ms=known_ms - 1_000,
    )


async def _live(store: Store, path: Path, made: Instruments) -> Iterator[float]:
    """Events at live pace; seconds from each one's stamp to its mail."""
    rng, stop, known_ms = random.Random(11), asyncio.Event(), dict[str, int]()
    async with a_relay(Postmark()) as relay:
        assert isinstance(relay, Postmark)
        settings = MailSettings(host=HOST, port=relay.port, sender="gs@bank.example", recipients=("a@bank.example",), security="none")
        sender = Sender(
            store, LIVE_RUN, Fixed({"mail": MailNotifier("mail", settings)}), Voice("https://gs.bank.example", str), CLOCK.now_ms
        )
        with LocalLog(path) as reading, LocalLog(path) as writing:
            running = asyncio.create_task(Live(store, reading, made, None, ("mail",), sender, CLOCK).run(stop))
            for company in range(COMPANIES):
                await asyncio.sleep(rng.uniform(*PAUSE_S))
                now_ms = CLOCK.now_ms()
                found = [_document(rng, company, now_ms, negative=True, source=n) for n in range(STORIES)]
                known_ms[f"c{company:04d}"] = writing.append([("document", raw.source, encode(raw)) for raw in found], now_ms=now_ms)
            complete = asyncio.create_task(relay.complete.wait())
            await asyncio.wait({complete, running}, timeout=WAIT_S, return_when=asyncio.FIRST_COMPLETED)
            complete.cancel()
            stop.set()
            await running
    return ((relay.accepted_ms[company] - at_ms) / 1_000 for company, at_ms in known_ms.items() if company in relay.accepted_ms)
