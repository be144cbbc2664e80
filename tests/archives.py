"""Archive files for tests: synthetic lines, written as jsonl."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests import builders as b
from tests.fake_scorer import COMPANIES

START: Final = datetime(2026, 9, 21, tzinfo=UTC)


def a_line(**overrides: Any) -> dict[str, Any]:
    """One line as an archive has it."""
    line: dict[str, Any] = {
        "id": "1",
        "source": "Harbour Wire",
        "title": "Aldora debt fraud",
        "text": "The board said no more.",
        "published_at": "2026-09-21T08:00:00Z",
        "known_at": "2026-09-21T08:01:00Z",
    }
    return line | overrides


def lines(seed: int, *, number: int = 300, days: int = 10) -> list[dict[str, Any]]:
    """Ordinary news of some days with two surges; some lines without `known_at`, some copies, some edits."""
    chance = random.Random(seed)
    made = []
    for n in range(number):
        surge = n % 3 == 0 and chance.choice((0.5, 0.8))
        at = START + timedelta(days=days * surge + chance.random() * 0.05 if surge else days * chance.random())
        company = COMPANIES[int(surge * 4)] if surge else chance.choice(COMPANIES)
        what = "debt fraud" if surge or chance.random() < 0.2 else "sales calm"
        line = a_line(
            id=f"n{n}",
            source=f"wire{chance.randrange(6)}",
            title=f"{company} {what} {' '.join(chance.choices(b.WORDS.split(), k=8))}",
            published_at=at.isoformat(timespec="seconds"),
        )
        if chance.random() < 0.3:
            del line["known_at"]
        else:
            line["known_at"] = (at + timedelta(seconds=chance.randrange(600))).isoformat()
        made.append(line)
        if chance.random() < 0.1:
            made.append(line | {"title": chance.choice((line["title"], "Aldora corrected"))})
    return made


def write(path: Path, rows: list[dict[str, Any] | bytes]) -> Path:
    """A jsonl file; bytes are written as they are, as a line."""
    body = [row if isinstance(row, bytes) else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path.write_bytes(b"".join(line + b"\n" for line in body))
    return path
