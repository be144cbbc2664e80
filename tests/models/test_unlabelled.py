"""Archives that nobody labelled: which texts are read of them, and what is said of a line that is none."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from groundswell.errors import RecordError, UsageError
from models.unlabelled import read_unlabelled


def an_archive(folder: Path, *rows: dict[str, Any] | str) -> Path:
    (folder / "replay").mkdir()
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "replay" / "old.jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


def test_an_archives_texts_of_one_language_are_read_as_a_scorer_reads_them(tmp_path: Path) -> None:
    said = {"title": "Acme up", "text": "Its best day", "kind": "news", "language": "en", "source": "x"}
    data = an_archive(tmp_path, said, {"title": "又跌了", "kind": "comment", "language": "zh"})
    (english,) = read_unlabelled(data, "old", "en")
    (chinese,) = read_unlabelled(data, "old", "zh")
    assert (english.text, english.kind, english.sentiment, english.targets) == ("Acme up\nIts best day", "news", None, None)
    assert (chinese.text, chinese.kind) == ("又跌了", "post")


def test_an_archive_with_a_line_that_is_no_record_is_refused_by_its_number(tmp_path: Path) -> None:
    data = an_archive(tmp_path, {"title": "Acme", "kind": "news", "language": "en"}, '{"title": NaN}')
    with pytest.raises(RecordError, match=r"old\.jsonl\.gz:2"):
        read_unlabelled(data, "old", "en")
    with pytest.raises(UsageError, match="lost"):
        read_unlabelled(data, "lost", "en")
