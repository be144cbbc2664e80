"""What every Scorer must keep, whatever is behind it. A new scorer joins by a line in SCORERS."""

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundswell.names import LANGUAGES, SENTIMENTS, TOPICS
from groundswell.records import Document
from models import encoder_scorer
from models.bundle import load
from models.registry import LINEAR, SHIPPED, load_scorer
from models.scorer import Scorer
from models.taxonomy import PPM, RISK_FLAGS, measured_topics


def linear() -> Scorer:
    return load_scorer(LINEAR, finder=lambda _: [], digest=lambda text: hashlib.blake2b(text.encode()).digest())


def encoder() -> Scorer:
    bundle = load(SHIPPED.directory("en-bge"))
    return encoder_scorer.load(bundle, finder=lambda _: [], digest=lambda text: hashlib.blake2b(text.encode()).digest(), threads=2)


SCORERS: Final[dict[str, Callable[[], Scorer]]] = {"encoder": encoder, "linear": linear}


@pytest.fixture(scope="module", params=sorted(SCORERS))
def scorer(request: pytest.FixtureRequest) -> Scorer:
    return SCORERS[str(request.param)]()


def document(title: str, text: str, language: str | None) -> Document:
    return Document(
        document_id=hashlib.blake2b(repr((title, text)).encode(), digest_size=8).hexdigest(),
        content_hash="c" * 16,
        source="test",
        owner="test",
        owner_known=True,
        kind="news",
        language=language,
        title=title,
        text=text,
        url=None,
        published_ms=0,
        published_precision="second",
        known_ms=0,
    )


WORDS: Final = st.lists(st.sampled_from(["bank", "fails", "profit", "up", "$ABC", "10%", "破产", "涨停", "公司", "，", "\n"]), max_size=12)
ANY_TEXT: Final = st.one_of(WORDS.map(" ".join), st.text(alphabet=st.characters(exclude_categories=[]), max_size=40))
DOCUMENTS: Final = st.lists(st.builds(document, ANY_TEXT, ANY_TEXT, st.sampled_from([*LANGUAGES, "fr", None])), max_size=10)


@given(documents=DOCUMENTS)
@settings(max_examples=40, deadline=None)
def test_a_score_is_complete_and_its_shares_sum_to_one(scorer: Scorer, documents: list[Document]) -> None:
    answers = scorer.score(documents)
    assert len(answers) == len(documents)
    for asked, answer in zip(documents, answers, strict=True):
        if answer is None:
            assert asked.language not in scorer.languages or not (asked.title + asked.text).strip()
            continue
        assert (answer.document_id, answer.content_hash, answer.model_id) == (asked.document_id, asked.content_hash, scorer.model_id)
        assert answer.language == asked.language
        assert tuple(answer.topic_ppm) == measured_topics(answer.language)
        assert answer.topic in TOPICS
        assert sum(answer.topic_ppm.values()) == PPM
        shares = (answer.negative_ppm, answer.neutral_ppm, answer.positive_ppm)
        assert min(shares) >= 0
        assert sum(shares) == PPM
        assert shares[SENTIMENTS.index(answer.sentiment)] == max(shares)
        assert set(answer.flags) <= set(RISK_FLAGS)
        assert (answer.native_topic is None) == (answer.language != "en")


@given(documents=DOCUMENTS, order=st.randoms(use_true_random=False), cut=st.integers(0, 10))
@settings(max_examples=40, deadline=None)
def test_an_answer_depends_on_its_own_document_alone(scorer: Scorer, documents: list[Document], order: "object", cut: int) -> None:
    together = scorer.score(documents)
    assert scorer.score(documents[:cut]) + scorer.score(documents[cut:]) == together
    places = list(range(len(documents)))
    order.shuffle(places)  # type: ignore[attr-defined]
    assert scorer.score([documents[i] for i in places]) == [together[i] for i in places]


@given(documents=DOCUMENTS)
@settings(max_examples=20, deadline=None)
def test_documents_are_not_altered_and_a_repeat_gives_the_same_bytes(scorer: Scorer, documents: list[Document]) -> None:
    before = msgspec.structs.astuple(documents[0]) if documents else ()
    first, second = scorer.score(documents), scorer.score(documents)
    assert msgspec.msgpack.encode(first) == msgspec.msgpack.encode(second)
    assert (msgspec.structs.astuple(documents[0]) if documents else ()) == before


def test_a_second_instance_gives_the_same_answers(scorer: Scorer, request: pytest.FixtureRequest) -> None:
    other = SCORERS[request.node.callspec.params["scorer"]]()
    documents = [document("Bank fails", "", "en"), document("公司破产", "", "zh")]
    assert other.model_id == scorer.model_id
    assert other.score(documents) == scorer.score(documents)


@pytest.mark.parametrize("poison", ["", "\ud800", "\x00" * 50, "a" * 200_000, "https://a.example/b", "🏦" * 500, "\u202e%s{}"])
def test_one_odd_document_does_not_stop_the_others(scorer: Scorer, poison: str) -> None:
    good = [document("Bank fails", "", "en"), document("公司破产", "", "zh")]
    answers = scorer.score([good[0], document(poison, "", "en"), document(poison, poison, "zh"), good[1]])
    assert [answers[0], answers[3]] == scorer.score(good)


def test_an_empty_batch_is_answered(scorer: Scorer) -> None:
    assert scorer.score([]) == []
