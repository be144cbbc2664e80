"""One line per event; libraries too; no text and no secret."""

import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from groundswell.logs import logger, set_up_logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_who_how_grave_and_what() -> None:
    set_up_logs(stream=(stream := io.StringIO()))
    logger("groundswell.x").warning("poll of %s failed", "ecb", wait_s=60)
    [line] = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "poll of ecb failed", "level": "warning", "logger": "groundswell.x", "wait_s": 60}


def test_neither_text_nor_a_secret_reaches_a_line() -> None:
    set_up_logs(stream=(stream := io.StringIO()))
    log = logger("x")
    log.info("stored", title="hunter2", text="hunter2", body=b"hunter2", quote="hunter2", password="hunter2", api_token="hunter2")
    log.info("open", store="postgresql://u:hunter2@h/d", nested={"smtp_password": "hunter2"}, raw=b"hunter2")
    log.info("posting to https://hooks.slack.example/services/hunter2")
    logging.getLogger("library").warning("cannot reach %s", "postgresql://u:hunter2@h/d")
    assert "hunter2" not in stream.getvalue()
    assert lines(stream)[0]["title"] == "(7 characters)"


def test_a_password_in_an_exception_is_masked_and_the_traceback_is_part_of_its_line() -> None:
    set_up_logs(stream=(stream := io.StringIO()))
    for name in ("ours", "library"):
        try:
            raise ValueError("no way to postgresql://u:hunter2@h/d")  # noqa: EM101, TRY301  raised to be caught
        except ValueError:
            (logger(name) if name == "ours" else logging.getLogger(name)).exception("failed")
    first, second = lines(stream)
    assert "ValueError: no way to postgresql://u:***@h/d" in first["exception"]
    assert first["exception"].replace("ours", "library") == second["exception"]


def test_no_known_secret_is_in_a_line_however_a_library_spells_it() -> None:
    secret = "hunter/2 'ß"
    set_up_logs(stream=(stream := io.StringIO()), level="debug", secrets=[secret, "", "abc"])
    told = logging.getLogger("kafka.admin.client")
    told.debug("configuration: %s", {"sasl_plain_password": secret})
    told.debug("request %s", {"auth_bytes": b"\0desk\0" + secret.encode()})
    told.debug("https://h/?p=%s", quote(secret, safe=""))
    logger("x").info("nested", a={"b": [secret]}, c=(1, secret), d="abc", e=object())
    told.error("broken", exc_info=ValueError(secret))
    said = stream.getvalue()
    assert len(lines(stream)) == 5
    assert "hunter" not in said
    assert said.count("***") == 6
    assert '"d": "abc"' in said, "what is shorter than four characters is no secret"


def test_a_very_long_value_is_cut_and_says_how_long_it_was() -> None:
    set_up_logs(stream=(stream := io.StringIO()))
    logger("x").info("answer", header="a" * 5_000)
    [line] = lines(stream)
    assert line["header"].endswith("... (5000 characters)")
    assert len(line["header"]) < 600


def test_auto_is_readable_in_a_terminal_and_json_elsewhere() -> None:
    set_up_logs(stream=(terminal := Terminal()))
    logger("x").info("hello", source="ecb")
    with pytest.raises(json.JSONDecodeError):
        lines(terminal)
    assert "hello" in terminal.getvalue()
    set_up_logs(stream=(pipe := io.StringIO()), format="console")
    logger("x").info("hello", source="ecb")
    assert "source=ecb" in pipe.getvalue()
    assert "\x1b" not in pipe.getvalue()


def test_the_level_holds_and_talkative_libraries_are_heard_from_warning_on_unless_debug_is_asked_for() -> None:
    said = []
    for level in ("warning", "info", "debug"):
        set_up_logs(stream=(stream := io.StringIO()), level=level)
        logger("x").debug("ours debug")
        logger("x").info("ours info")
        logging.getLogger("kafka.client").info("theirs info")
        logging.getLogger("kafka.client").warning("theirs warning")
        said.append([line["event"] for line in lines(stream)])
    assert said[0] == ["theirs warning"]
    assert said[1] == ["ours info", "theirs warning"]
    assert said[2] == ["ours debug", "ours info", "theirs info", "theirs warning"]


def test_a_second_set_up_replaces_the_first() -> None:
    set_up_logs(stream=(first := io.StringIO()))
    set_up_logs(stream=(second := io.StringIO()))
    logger("x").info("once")
    assert (first.getvalue(), len(lines(second))) == ("", 1)


def test_a_warning_of_a_library_becomes_a_line() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        set_up_logs(stream=(stream := io.StringIO()))
        warnings.warn("old function", DeprecationWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    [line] = lines(stream)
    assert "old function" in line["event"]
    assert line["logger"] == "py.warnings"


def test_a_library_user_who_sets_nothing_up_finds_nothing_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    logger("quiet").warning("careful", n=1)
    assert capsys.readouterr().out == ""
