"""A mailbox, on a real dovecot over TLS: every message once, in order, and nothing in it is changed."""

import secrets
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import msgspec
import pytest

from groundswell.clock import ManualClock
from ingest.catalogue import Source
from ingest.fetch import Fetched
from ingest.memory import Memory
from ingest.poll import Poll, ask
from ingest.types.message import message_of
from tests.mailserver import MailServer

NOW = 1_772_500_000_000


def letter(
    subject: str, *, text: str = "Words.", html: str = "", sender: str = "Desk <news@vendor.example>", number: str = ""
) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["Message-ID"] = subject, sender, f"<{number or subject.replace(' ', '-')}@vendor.example>"
    message["Date"] = "Mon, 02 Mar 2026 09:30:00 +0800"
    if text:
        message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html") if text else message.set_content(html, subtype="html")
    return message


class Desk:
    """A folder of the mailbox and the looks into it."""

    def __init__(self, server: MailServer, memory: Memory, how: dict[str, Any], *, ca: bool = True) -> None:
        self.server, self.memory, self.folder = server, memory, f"news {secrets.token_hex(4)}"
        tls = {"ca_file": str(server.ca_file)} if ca else {}
        fields = {"name": self.folder, "owner": "Vendor", "type": "mailbox", "url": self.url}
        self.source = msgspec.convert(fields | {"how": {"user": "desk", "password_variable": "DESK_PASSWORD", **tls, **how}}, Source)
        self.environ = {"DESK_PASSWORD": server.password}
        self.make()

    @property
    def url(self) -> str:
        return f"imaps://127.0.0.1:{self.server.port}/{self.folder.replace(' ', '%20')}"

    def make(self) -> None:
        with self.server.client() as client:
            client.create(f'"{self.folder}"')

    def remove(self) -> None:
        with self.server.client() as client:
            client.delete(f'"{self.folder}"')

    def deliver(self, *messages: EmailMessage | bytes) -> None:
        with self.server.client() as client:
            for message in messages:
                body = message if isinstance(message, bytes) else bytes(message)
                assert client.append(f'"{self.folder}"', "", "", body)[0] == "OK"

    async def look(self, *, delivered: bool = True) -> Poll:
        async def nobody(*_: object) -> Fetched:
            raise AssertionError

        state = self.memory.state(self.source)
        poll = await ask(self.source, state, get=nobody, memory=self.memory, clock=ManualClock(NOW), environ=self.environ)
        if delivered:
            self.memory.keep(self.source, poll.state, items=poll.items, now_ms=NOW, waiting=poll.waiting, mark=poll.mark)
        return poll


@pytest.fixture
def make(dovecot: MailServer, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    with Memory(tmp_path / "crawler.db") as memory:

        def made(*, ca: bool = True, **how: Any) -> Desk:
            return Desk(dovecot, memory, how, ca=ca)

        yield made


def titles(poll: Poll) -> list[str]:
    return [record.title for record in poll.documents]


async def test_every_message_arrives_once_in_order_and_stays_unread(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.deliver(letter("one"), letter("银行 two", number="2"))
    first = await desk.look()
    assert (titles(first), first.heartbeat.ok, first.heartbeat.new) == (["one", "银行 two"], True, 2)
    again = await desk.look()
    assert (again.documents, again.heartbeat.fetched, again.mark) == ([], 0, first.mark)
    desk.deliver(letter("three"))
    assert titles(await desk.look()) == ["three"]
    with desk.server.client() as client:
        client.select(f'"{desk.folder}"', readonly=True)
        assert len(client.search(None, "UNSEEN")[1][0].split()) == 3


async def test_a_record_has_subject_words_identifier_and_time_and_not_its_sender(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.deliver(
        letter("Bank falls", text="Plain words.\n", html="<p>Other</p>"), letter("Page", text="", html="<h1>Only</h1><p>a page</p>")
    )
    plain, page = (await desk.look()).documents
    assert (plain.title, plain.text, plain.id) == ("Bank falls", "Plain words.", "<Bank-falls@vendor.example>")
    assert (plain.published_ms, plain.published_precision) == (1_772_415_000_000, "second")
    assert page.text == "Only a page"
    assert "news@vendor.example" not in repr(plain)


async def test_a_folder_that_was_made_again_is_read_again_and_what_was_seen_is_not_handed_over_twice(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.deliver(letter("one"), letter("two"))
    before = await desk.look()
    desk.remove()
    desk.make()
    desk.deliver(letter("two"), letter("three"))
    again = await desk.look()
    assert titles(again) == ["three"]
    assert (again.mark or "").partition(":")[0] != (before.mark or "").partition(":")[0]


async def test_what_was_not_delivered_is_read_again(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.deliver(letter("one"))
    assert titles(await desk.look(delivered=False)) == ["one"]
    assert titles(await desk.look()) == ["one"]


async def test_many_messages_are_read_over_several_looks_in_order(make: Callable[..., Desk]) -> None:
    desk = make(messages_max=2)
    desk.deliver(*(letter(f"message {number}") for number in range(5)))
    seen = [titles(await desk.look()) for _ in range(4)]
    assert seen == [["message 0", "message 1"], ["message 2", "message 3"], ["message 4"], []]


async def test_only_the_senders_that_the_entry_names_are_read(make: Callable[..., Desk]) -> None:
    desk = make(senders=["News@vendor.example"])
    desk.deliver(letter("wanted"), letter("other", sender="spam@else.example"), letter("nobody", sender=""))
    assert titles(await desk.look()) == ["wanted"]
    assert (await desk.look()).documents == []


async def test_a_message_that_is_none_or_too_large_is_said_and_takes_no_other_with_it(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.deliver(b"\xff\xfe\x00 no header", letter("huge", text="x" * 70 + ("\n" + "x" * 70) * 80_000), letter("good"))
    poll = await desk.look()
    assert titles(poll)[-1] == "good"
    assert "message 2: " in (poll.heartbeat.reason or "")
    assert "more than 5242880" in (poll.heartbeat.reason or "")


async def test_a_wrong_password_is_a_reason_without_it_and_a_certificate_that_nobody_vouches_for_ends_the_look(
    make: Callable[..., Desk],
) -> None:
    desk = make()
    desk.environ["DESK_PASSWORD"] = "hunter2hunter2"
    wrong = await desk.look()
    assert not wrong.heartbeat.ok
    assert "check host, user, DESK_PASSWORD" in (wrong.heartbeat.reason or "")
    assert "hunter2" not in repr(wrong)
    unknown = await make(ca=False).look()
    assert "certificate" in (unknown.heartbeat.reason or "").lower()
    del desk.environ["DESK_PASSWORD"]
    assert "DESK_PASSWORD is not set" in ((await desk.look()).heartbeat.reason or "")


async def test_a_folder_that_is_not_there_is_named(make: Callable[..., Desk]) -> None:
    desk = make()
    desk.remove()
    poll = await desk.look()
    assert not poll.heartbeat.ok
    assert desk.folder in (poll.heartbeat.reason or "")


SOURCE = Source(name="s", owner="o", url="https://n.example/")


@pytest.mark.parametrize(
    ("body", "title", "text"),
    [
        (
            "Subject: =?gb2312?B?0vjQ0A==?=\r\nContent-Type: text/plain; charset=gb2312\r\n\r\n银行推迟兑付".encode("gb18030"),
            "银行",
            "银行推迟兑付",
        ),
        (b"Subject: a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n", "a", "x"),
        (b"Subject: a\r\nContent-Type: text/plain; charset=no-such-set\r\n\r\nwords", "a", "words"),
        (b"Subject: =?utf-8?b?broken\r\n\r\nwords", "=?utf-8?b?broken", "words"),
    ],
)
def test_a_mail_is_read_as_it_was_meant(body: bytes, title: str, text: str) -> None:
    record, problem = message_of(body, source=SOURCE, fetched_ms=0)
    assert record is not None
    assert (record.title, record.text, problem) == (title, text, None)
