"""Documents without end for the benchmarks of the stream, a scorer that costs nothing, and the way into a raw topic."""

import random
from collections.abc import Iterable, Iterator, Sequence
from hashlib import shake_256
from pathlib import Path
from typing import Final

import msgspec

from alerts.rules import load_rules
from bench.rivals.plain import said
from groundswell.codec import encode
from groundswell.names import DIGEST_WORDS, RAW_PARTITIONS, TICK_MS, TOPICS
from groundswell.records import Document, Envelope, Mention, RawDocument, Score
from stream.shells.instruments import Instruments
from stream.shells.publish import RawProducer, raw_partition
from stream.shells.wire import punctuation
from stream.shells.worker import WorkerSettings
from tests.kafka_worker import Role, serve
from tests.synthetic_news import WORDS

BEGIN_MS: Final = 1_760_000_400_000  # the start of an hour
COMPANIES, SOURCES = 400, 40
COPIES: Final = 0.25  # share of documents that repeat a title
NEGATIVES: Final = 0.1
ENVELOPE_RECORDS: Final = 64
SERIES: Final = 2  # that a document counts in


class CheapScorer:
    """Reads off the title what the document says; its digests are equal for equal titles, and otherwise resemble nothing."""

    model_id = "cheap-1"
    languages = frozenset({"en"})

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """One score per document, in a few microseconds."""
        return [self._score(document) for document in documents]

    def _score(self, document: Document) -> Score:
        score = said(document.title)
        topic, rest_ppm = TOPICS[score.topic], 1_000_000 - score.negative_ppm
        return Score(
            document_id=document.document_id,
            content_hash=document.content_hash,
            model_id=self.model_id,
            language="en",
            topic=topic,
            topic_ppm={topic: 1_000_000},
            sentiment="negative" if score.is_negative else "neutral",
            negative_ppm=score.negative_ppm,
            neutral_ppm=rest_ppm,
            positive_ppm=0,
            mentions=[Mention(score.entity, 0, len(score.entity))],
            digest=shake_256(document.title.encode()).digest(4 * DIGEST_WORDS),
        )


def instruments() -> Instruments:
    """The cheap scorer and the shipped rules; called in worker processes too."""
    rules = load_rules()
    return Instruments(CheapScorer(), rules, lambda series: series, {"model": CheapScorer.model_id, "rules": rules.hash})


def serve_cheap(settings: WorkerSettings, agent: Role, said_in: Path) -> None:
    """Be one worker with the cheap scorer."""
    serve(settings, agent, said_in, instruments)


def documents(count: int, *, per_s: float, seed: int = 5, first: int = 0) -> Iterator[RawDocument]:
    """Documents in the order of their known times: some companies far more often than others, a quarter of the titles copies.

    Args:
        count: how many.
        per_s: how dense they are on the known axis.
        seed: of everything that is drawn.
        first: number of the first one; no two numbers have one identity.
    """
    rng = random.Random(f"{seed}:{first}")
    titles: list[str] = []
    for number in range(first, first + count):
        if titles and rng.random() < COPIES:
            title = rng.choice(titles[-200:])
        else:
            company = min(int(rng.paretovariate(0.6)) - 1, 4 * COMPANIES) % COMPANIES
            word = "default " if rng.random() < NEGATIVES else ""
            title = f"c{company:04d} {word}{' '.join(rng.sample(WORDS, 8))}"
            titles.append(title)
        known_ms = BEGIN_MS + int((number - first) * 1_000 / per_s)
        yield RawDocument(
            source=f"source {rng.randrange(SOURCES)}",
            title=title,
            text=" ".join(rng.sample(WORDS, 30)),
            id=f"n{number}",
            language="en",
            published_ms=known_ms - rng.randrange(60_000),
            known_ms=known_ms,
            known_basis="recorded",
        )


def publish(found: Iterable[RawDocument], bootstrap: str, run: str, *, envelope_records: int = ENVELOPE_RECORDS) -> int:
    """Send documents to a run's raw topic as an archive is sent, and that time has passed them; returns how many they were."""
    waiting: list[list[msgspec.Raw]] = [[] for _ in range(RAW_PARTITIONS)]
    sent = last_ms = 0
    with RawProducer(bootstrap, run) as producer:
        for document in found:
            last_ms = document.known_ms or 0
            partition = raw_partition(document, known_ms=last_ms)
            waiting[partition].append(msgspec.Raw(encode(document)))
            if len(waiting[partition]) == envelope_records:
                producer.send(partition, encode(Envelope(records=waiting[partition])))
                waiting[partition] = []
            sent += 1
        for partition, left in enumerate(waiting):
            if left:
                producer.send(partition, encode(Envelope(records=left)))
            producer.send(partition, punctuation(last_ms + 2 * TICK_MS))
        producer.confirm()
    return sent


def end_ms(count: int, *, per_s: float) -> int:
    """The time that `publish` has passed at the end of `documents`, as fold must reach it."""
    return BEGIN_MS + int((count - 1) * 1_000 / per_s) + 2 * TICK_MS
