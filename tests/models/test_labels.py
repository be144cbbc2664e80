"""What people said reaches training as files that it reads, with the texts that may be kept and no others."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from groundswell.names import SENTIMENTS
from groundswell.records import Admission, Correction, Document, Position, Verdict
from groundswell.store.actions import record_correction, record_verdict
from groundswell.store.derived import insert_alert
from groundswell.store.facts import write_intake
from groundswell.store.removals import D, remove_texts
from groundswell.store.store import Store
from models.labels import GONE, ONE_NATIVE, RECIPE, Exported, export_labels
from models.taxonomy import NATIVE_TOPICS
from models.user_files import read_user_file, user_entries
from tests.alerts.alert_factory import a_quote, an_alert
from tests.builders import T0_MS, a_document

RUN = "live"


def document(name: str, **overrides: object) -> Document:
    return a_document(
        **({"document_id": name, "content_hash": f"c{name}", "title": f"Title of {name}", "text": f"Text of {name}."} | overrides)
    )


DOCUMENTS = [
    document("d1"),
    document("d2", language="zh", kind="comment"),
    document("d3", store_text=False),
    document("d4"),
    document("d5", language="fi"),
    document("d6"),
    document("d7"),
]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(str(tmp_path / "s.db"))
    with opened.write() as connection:
        admissions = [
            Admission(
                position=Position(0, number), known_ms=T0_MS, source="w", language=one.language, outcome="scored",
                document_id=one.document_id, content_hash=one.content_hash,
            )
            for number, one in enumerate(DOCUMENTS)
        ]  # fmt: skip
        write_intake(opened, connection, RUN, admissions=admissions, documents=DOCUMENTS)
        insert_alert(opened, connection, RUN, an_alert(evidence=[a_quote(document_id=name) for name in ("d1", "d6", "d7")]), targets=[])
    yield opened
    opened.close()


def correct(connection: Connection, name: str, value: str, *, what: str = "sentiment", who: str = "ana", at_ms: int = 1) -> None:
    record_correction(connection, Correction(document_id=name, at_ms=at_ms, who=who, what=what, value=value))  # type: ignore[arg-type]


def export(store: Store, folder: Path, *, verdicts: bool = False) -> Exported:
    with store.read() as connection:
        return export_labels(connection, RUN, folder, verdicts=verdicts)


def read(folder: Path) -> dict[str, list[tuple[str, str | None, str | None, str | None]]]:
    """What training reads of it: {corpus: (text, sentiment, topic, date)}."""
    found = {}
    for entry in user_entries(folder / RECIPE):
        examples = [example for _, example in read_user_file(entry)]
        assert {(one.language, one.kind) for one in examples} == {(entry.language, entry.kind)}
        found[entry.key] = [
            (
                one.text,
                None if one.sentiment is None else SENTIMENTS[one.sentiment],
                None if one.topic is None else NATIVE_TOPICS[one.topic],
                one.date,
            )
            for one in examples
        ]
    return found


def test_corrections_are_read_by_training_as_they_were_said(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        correct(connection, "d1", "positive")
        correct(connection, "d1", "management", what="topic")
        correct(connection, "d2", "neutral")
        correct(connection, "d4", "legal_regulatory", what="topic")
    made = export(store, tmp_path / "out")
    assert made.files == {"corrections_en_news.jsonl": 2, "corrections_zh_post.jsonl": 1}
    assert read(tmp_path / "out") == {
        "corrections_en_news": [
            ("Title of d1\nText of d1.", "positive", "Personnel Change", "2026-09-21"),
            ("Title of d4\nText of d4.", None, "Legal/Regulation", "2026-09-21"),
        ],
        "corrections_zh_post": [("Title of d2\nText of d2.", "neutral", None, "2026-09-21")],
    }


def test_of_one_person_the_last_word_counts_and_of_several_that_disagree_none(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        correct(connection, "d1", "positive", at_ms=1)
        correct(connection, "d1", "neutral", at_ms=2)
        correct(connection, "d4", "positive")
        correct(connection, "d4", "neutral", who="bo")
    made = export(store, tmp_path / "out")
    assert [row[:2] for row in read(tmp_path / "out")["corrections_en_news"]] == [("Title of d1\nText of d1.", "neutral")]
    assert made.left_out == {"people disagree": 1}


def test_a_text_that_is_not_stored_is_left_out_or_stands_with_its_title_alone(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        for name in ("d3", "d4", "d5"):
            correct(connection, name, "positive")
    remove_texts(store, D.document_id == "d4", reason="asked for", now_ms=2)
    made = export(store, tmp_path / "out")
    assert [row[0] for row in read(tmp_path / "out")["corrections_en_news"]] == ["Title of d3"]
    assert made.left_out == {GONE: 1, "language fi": 1}
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "Text of d3" not in written
    assert "of d4" not in written


def test_what_is_no_label_of_a_text_is_counted_and_never_guessed(store: Store, tmp_path: Path) -> None:
    with store.write() as connection:
        correct(connection, "d1", "earnings_dividends", what="topic")
        correct(connection, "d2", "management", what="topic")
        correct(connection, "d1", "LINLAN", what="company")
        correct(connection, "d1", "VEYRA", what="company")
    made = export(store, tmp_path / "out")
    assert made.files == {}
    assert made.left_out == {
        "not about a company: no label of a text": 2,
        "topic earnings_dividends: no one label of the en model's": 1,
        "topic management: no one label of the zh model's": 1,
    }
    assert "earnings_dividends" not in ONE_NATIVE


def test_documents_of_an_alert_that_was_judged_true_are_negative_in_a_file_of_their_own(store: Store, tmp_path: Path) -> None:
    def judge(word: str, at_ms: int) -> None:
        with store.write() as connection:
            record_verdict(connection, RUN, Verdict(alert=an_alert().id, at_ms=at_ms, who="ana", word=word))  # type: ignore[arg-type]

    judge("true", 1)
    with store.write() as connection:
        correct(connection, "d1", "positive")
    remove_texts(store, D.document_id == "d7", reason="asked for", now_ms=2)
    assert set(export(store, tmp_path / "plain").files) == {"corrections_en_news.jsonl"}
    export(store, tmp_path / "with", verdicts=True)
    found = read(tmp_path / "with")
    assert [row[:2] for row in found["verdicts_en_news"]] == [("Title of d6\nText of d6.", "negative")]
    assert [row[:2] for row in found["corrections_en_news"]] == [("Title of d1\nText of d1.", "positive")]
    judge("false", 2)
    assert "verdicts_en_news.jsonl" not in export(store, tmp_path / "no longer", verdicts=True).files
