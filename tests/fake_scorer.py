"""A scorer for tests of the pipeline: what it says of a document stands in the document, in plain words."""

from collections.abc import Sequence
from typing import Final

from groundswell.records import Document, Mention, Score, Sentiment
from stream.operators.stories import digest

NEGATIVE: Final = ("default", "fraud", "collapse", "违约")
POSITIVE: Final = ("profit", "record", "盈利")
TOPICS: Final = {"debt": "debt_credit", "merger": "deals_capital", "oil": "commodities_energy"}
COMPANIES: Final = ("Aldora", "Brennick", "Corvane", "Dunmoor", "Elstrand", "Farrowby")
REFUSED: Final = "unscorable"


class FakeScorer:
    """Keyword sentiment, topic and mentions; deterministic, and without any state."""

    model_id = "fake-1"
    languages = frozenset({"en", "zh"})

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """One score per document; a document that says it is unscorable raises."""
        return [self._score(document) for document in documents]

    def _score(self, document: Document) -> Score | None:
        text = f"{document.title}\n{document.text}"
        if REFUSED in text:
            message = "this text cannot be scored"
            raise ValueError(message)
        sentiment: Sentiment = "neutral"
        if any(word in text for word in POSITIVE):
            sentiment = "positive"
        if any(word in text for word in NEGATIVE):
            sentiment = "negative"
        shares = {"negative": 100_000, "neutral": 100_000, "positive": 100_000} | {sentiment: 800_000 + len(text) % 100}
        topic = next((topic for word, topic in TOPICS.items() if word in text), "general_other")
        places = sorted((text.find(name), name) for name in COMPANIES if name in text)
        return Score(
            document_id=document.document_id,
            content_hash=document.content_hash,
            model_id=self.model_id,
            language=document.language or "en",
            topic=topic,
            topic_ppm={topic: 1_000_000},
            sentiment=sentiment,
            negative_ppm=shares["negative"],
            neutral_ppm=shares["neutral"],
            positive_ppm=shares["positive"],
            mentions=[Mention(name.lower(), start, start + len(name)) for start, name in places],
            digest=digest(text),
        )
