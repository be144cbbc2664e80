import io

from alerts.notify.console import ConsoleNotifier
from alerts.notify.message import Message, render
from tests.alerts.alert_factory import an_alert


def a_message() -> Message:
    return render(an_alert(), base_url="https://gs.bank.example", entity_name=lambda _: "临澜银行")


class FullDisk(io.StringIO):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


class GonePipe(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


async def test_the_console_shows_subject_and_text() -> None:
    stream, message = io.StringIO(), a_message()
    delivery = await ConsoleNotifier("console", stream).send(message, resend=False)
    assert delivery.ok
    assert delivery.provider_id == "a1b2c3d4e5f60718.0"
    assert stream.getvalue() == f"{message.subject}\n\n{message.text}\n"


async def test_a_repeat_is_marked() -> None:
    stream = io.StringIO()
    await ConsoleNotifier("console", stream).send(a_message(), resend=True)
    assert stream.getvalue().startswith("[resent] [HIGH] ")


async def test_a_terminal_without_chinese_letters_gets_escapes() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    delivery = await ConsoleNotifier("console", stream).send(a_message(), resend=False)
    assert delivery.ok
    assert b"\\u4e34\\u6f9c" in raw.getvalue()


async def test_a_closed_stream_is_permanent_and_says_so() -> None:
    stream = io.StringIO()
    stream.close()
    delivery = await ConsoleNotifier("console", stream).send(a_message(), resend=False)
    assert (delivery.ok, delivery.permanent) == (False, True)
    assert delivery.reason == "I/O operation on closed file"


async def test_a_full_disk_may_be_tried_again() -> None:
    delivery = await ConsoleNotifier("console", FullDisk()).send(a_message(), resend=False)
    assert (delivery.ok, delivery.permanent) == (False, False)
    assert "No space left" in str(delivery.reason)


async def test_a_reader_that_has_gone_is_permanent() -> None:
    delivery = await ConsoleNotifier("console", GonePipe()).send(a_message(), resend=False)
    assert (delivery.ok, delivery.permanent) == (False, True)
