"""Several scorers as one: each language is answered by the scorer that was chosen for it."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from groundswell.names import LANGUAGES
from groundswell.records import Document, Score
from models.scorer import Judge, Question, Scorer
from models.taxonomy import PPM


class JudgingScorer(Scorer, Judge, Protocol):
    """What every bundle becomes: a scorer that also judges names."""


class ByLanguage:
    """Several scorers as one, each for its own languages. Their ids, in the order of names.LANGUAGES, joined by "+", are its id."""

    def __init__(self, scorers: Sequence[JudgingScorer]) -> None:
        self._by_language: dict[str, JudgingScorer] = {}
        for scorer in scorers:
            for language in sorted(scorer.languages):
                self._by_language.setdefault(language, scorer)
        ids = [self._by_language[language].model_id for language in LANGUAGES if language in self._by_language]
        self._model_id = "+".join(dict.fromkeys(ids))

    @property
    def model_id(self) -> str:
        """For example `encoder-1f0c9a2b-onnx-int8+linear-5d0e7c11-numpy-int8`."""
        return self._model_id

    @property
    def languages(self) -> frozenset[str]:
        """Languages of all of them."""
        return frozenset(self._by_language)

    def score(self, documents: Sequence[Document]) -> list[Score | None]:
        """Each document by its language's scorer, in order; see Scorer."""
        answers: list[Score | None] = [None] * len(documents)
        for language, scorer in self._by_language.items():
            places = [i for i, document in enumerate(documents) if document.language == language]
            for i, answer in zip(places, scorer.score([documents[i] for i in places]), strict=True):
                answers[i] = answer and msgspec.structs.replace(answer, model_id=self._model_id)
        return answers

    def judge(self, questions: Sequence[Question]) -> list[tuple[int, int, int]]:
        """Each question by its language's scorer; a language without one is answered as neutral, see Judge."""
        answers = [(0, PPM, 0)] * len(questions)
        for language, scorer in self._by_language.items():
            places = [i for i, question in enumerate(questions) if question.language == language]
            for i, answer in zip(places, scorer.judge([questions[i] for i in places]), strict=True):
                answers[i] = answer
        return answers

    def names(self, documents: Sequence[Document]) -> list[list[tuple[int, int]]]:
        """Each document's names by its language's scorer; a language without one has none, see Judge."""
        answers: list[list[tuple[int, int]]] = [[] for _ in documents]
        for language, scorer in self._by_language.items():
            places = [i for i, document in enumerate(documents) if document.language == language]
            for i, answer in zip(places, scorer.names([documents[i] for i in places]), strict=True):
                answers[i] = answer
        return answers
