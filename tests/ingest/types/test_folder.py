"""A watched folder: files are read once they have stopped changing, each once, whole, and never what is half written."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundswell.clock import ManualClock
from ingest.catalogue import Source
from ingest.fetch import Fetched
from ingest.memory import Memory
from ingest.poll import Poll, ask

NOW = 1_772_500_000_000
LINE = '{"source": "x", "id": "%s", "title": "Headline %s", "published_at": "2026-03-02T09:30:00Z", "known_at": "2026-03-02T10:00Z"}\n'


class Desk:
    """A folder and the polls of it."""

    def __init__(self, folder: Path, memory: Memory, **how: Any) -> None:
        self.folder, self.memory = folder, memory
        fields = {"name": "drop", "owner": "Vendor", "url": folder.as_uri(), "type": "folder", "how": how}
        self.source = msgspec.convert(fields, Source)

    def drop(self, name: str, text: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    async def look(self, *, delivered: bool = True) -> Poll:
        async def nobody(*_: object) -> Fetched:
            raise AssertionError

        poll = await ask(self.source, self.memory.state(self.source), get=nobody, memory=self.memory, clock=ManualClock(NOW), environ={})
        if delivered:
            self.memory.keep(self.source, poll.state, items=poll.items, now_ms=NOW, waiting=poll.waiting, mark=poll.mark)
            poll.done()
        return poll


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    (tmp_path / "drop").mkdir()
    with Memory(tmp_path / "crawler.db") as memory:
        yield Desk(tmp_path / "drop", memory)


async def test_a_file_is_read_at_the_second_look_that_finds_it_unchanged_and_is_moved(desk: Desk) -> None:
    desk.drop("news.jsonl", LINE % ("1", "one") + LINE % ("2", "two"))
    first = await desk.look()
    assert (first.documents, first.heartbeat.ok) == ([], True)
    second = await desk.look()
    assert [record.title for record in second.documents] == ["Headline one", "Headline two"]
    assert (await desk.look()).documents == []
    assert sorted(path.relative_to(desk.folder).as_posix() for path in desk.folder.rglob("*.jsonl")) == ["done/news.jsonl"]


async def test_a_file_that_still_grows_is_left_until_it_does_not(desk: Desk) -> None:
    path = desk.drop("news.jsonl", LINE % ("1", "one"))
    await desk.look()
    with path.open("a") as file:
        file.write(LINE % ("2", "two"))
    assert (await desk.look()).documents == []
    assert len((await desk.look()).documents) == 2


@pytest.mark.parametrize("name", [".hidden.jsonl", "news.jsonl.tmp", "news.jsonl.part"])
async def test_a_file_under_an_unfinished_name_is_read_after_it_was_renamed(desk: Desk, name: str) -> None:
    path = desk.drop(name, LINE % ("1", "one"))
    for _ in range(3):
        assert (await desk.look()).documents == []
    path.rename(desk.folder / "news.jsonl")
    await desk.look()
    assert len((await desk.look()).documents) == 1


async def test_records_are_the_entrys_own_source_and_the_log_says_when_they_were_known(desk: Desk) -> None:
    desk.drop("news.jsonl", LINE % ("1", "one"))
    await desk.look()
    [record] = (await desk.look()).documents
    assert (record.source, record.owner, record.known_ms, record.fetched_ms) == ("drop", "Vendor", None, NOW)
    assert (record.tier, record.role) == (None, "press")  # the entry says no tier, and the file's own word counts for nothing
    assert record.published_ms == 1_772_443_800_000


async def test_what_was_not_delivered_stays_where_it_is_and_is_read_again(desk: Desk) -> None:
    desk.drop("news.jsonl", LINE % ("1", "one"))
    await desk.look()
    assert len((await desk.look(delivered=False)).documents) == 1
    assert (desk.folder / "news.jsonl").exists()
    assert len((await desk.look()).documents) == 1


async def test_files_may_stay_and_are_read_once_and_a_changed_one_brings_its_edit(desk: Desk) -> None:
    staying = Desk(desk.folder, desk.memory, after="remember")
    path = staying.drop("a.txt", "Bank falls\nIt fell.")
    await staying.look()
    assert len((await staying.look()).documents) == 1
    assert (await staying.look()).documents == []
    path.write_text("Bank falls\nIt fell a lot.")
    os.utime(path, ns=(1, 1))
    await staying.look()
    [edited] = (await staying.look()).documents
    assert (edited.id, edited.text) == ("a.txt", "It fell a lot.")


async def test_feeds_pages_mail_and_plain_text_are_read_by_the_end_of_their_names_oldest_file_first(desk: Desk) -> None:
    files = {
        "b.xml": "<rss version='2.0'><channel><item><title>Of a feed</title></item></channel></rss>",
        "a.html": "<html><body><h1>Of a page</h1><p>" + "Words of the page. " * 20 + "</p></body></html>",
        "d.eml": "Subject: =?utf-8?b?6ZO26KGM?= mail\r\nMessage-ID: <1@x>\r\n\r\nWords of the mail.\r\n",
        "c.txt": b"Of text\nand more".decode(),
        "e.exe": "MZ",
    }
    for number, (name, text) in enumerate(files.items(), start=1):
        os.utime(desk.drop(name, text), ns=(number * 10**9, number * 10**9))
    await desk.look()
    poll = await desk.look()
    assert [record.title for record in poll.documents] == ["Of a feed", "Of a page", "银行 mail", "Of text"]
    assert poll.heartbeat.reason is not None
    assert poll.heartbeat.reason.startswith("1 of 5 files: e.exe: its name ends in nothing that is read")


async def test_a_bad_line_and_a_broken_file_are_said_and_the_rest_is_read(desk: Desk) -> None:
    desk.drop("a.jsonl", LINE % ("1", "one") + "not json\n" + LINE % ("2", "two"))
    desk.drop("b.parquet", b"PAR0")
    await desk.look()
    poll = await desk.look()
    assert len(poll.documents) == 2
    assert "a.jsonl, line 2" in (poll.heartbeat.reason or "")
    assert "b.parquet" in (poll.heartbeat.reason or "")


async def test_a_link_out_of_the_folder_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("hunter2 is the password")
    (desk.folder / "a.txt").symlink_to(secret)
    await desk.look()
    assert (await desk.look()).documents == []


async def test_a_folder_that_is_not_there_is_a_source_that_cannot_be_seen_and_is_looked_for_less_and_less_often(desk: Desk) -> None:
    desk.folder.rmdir()
    waits = []
    for _ in range(3):
        poll = await desk.look()
        assert not poll.heartbeat.ok
        assert "check that it is there" in (poll.heartbeat.reason or "")
        waits.append(poll.state.next_ms - NOW)
    assert waits == [10_000, 20_000, 40_000]


async def test_many_files_are_read_over_several_looks(desk: Desk) -> None:
    few = Desk(desk.folder, desk.memory, files_max=2)
    for number in range(5):
        few.drop(f"{number}.txt", f"Text {number}")
    await few.look()
    counts = [len((await few.look()).documents) for _ in range(4)]
    assert counts == [2, 2, 1, 0]
