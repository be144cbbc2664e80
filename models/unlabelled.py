"""Texts of replay archives, of which nothing is known but the text: what teachers answer for (models/encoder/teachers.py)."""

from pathlib import Path

import msgspec

from models.examples import Example, decode_line, lines_of


class _Line(msgspec.Struct):
    title: str
    kind: str
    language: str
    text: str = ""


def read_unlabelled(data: Path, archive: str, language: str) -> list[Example]:
    """Texts of a replay archive `<data>/replay/<archive>.jsonl.gz` in one language, as a scorer would read them; nothing is known of them.

    Raises:
        UsageError: there is no such file.
        RecordError: a line is no record of a replay.
    """
    path = data / "replay" / f"{archive}.jsonl.gz"
    read = (decode_line(f"{path}:{number}", line, _Line) for number, line in lines_of(path))
    return [
        Example(
            text=f"{row.title}\n{row.text}" if row.text else row.title,
            corpus=archive,
            language=language,
            kind="post" if row.kind == "comment" else "news",
        )
        for row in read
        if row.language == language
    ]
