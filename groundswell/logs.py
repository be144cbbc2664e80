"""Logs: one line per event, JSON in a service and readable in a terminal; no text of a document and no secret, ever.

    log = logger(__name__)
    log.info("document scored", document_id="1f0c...", topic="debt_credit")

`set_up_logs` is called once, by the command line. Until then (a library in somebody's notebook) only warnings are shown, by
Python's own rule, on standard error. Standard output belongs to results and is never written to.
"""

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.dev import ConsoleRenderer, plain_traceback
from structlog.processors import JSONRenderer, TimeStamper, format_exc_info
from structlog.stdlib import BoundLogger, PositionalArgumentsFormatter, ProcessorFormatter
from structlog.typing import EventDict, Processor

from groundswell.masking import MASK, mask_secrets, mask_url, spellings

__all__ = ["logger", "set_up_logs"]

VALUE_CHARACTERS_MAX: Final = 500
FIELDS_OF_TEXT: Final = frozenset({"text", "title", "body", "quote", "summary", "content", "records"})
NOISY: Final = ("kafka", "aiokafka", "faust", "mode", "asyncio", "alembic", "aiohttp.access", "uvicorn.access")
"""Libraries whose INFO lines are about themselves; shown from WARNING on unless the level is debug."""

_SECRET_FIELD: Final = re.compile(r"password|secret|token|webhook|authorization|cookie", re.IGNORECASE)
_SECRET_URL: Final = re.compile(r"(https?://hooks\.[^/\s\"']+/)[^\s\"']+")
_TOKEN: Final = re.compile(r"(gsw_[0-9a-f]{12}_)[A-Za-z0-9_-]+")  # of a program, groundswell/store/tokens.py


def logger(name: str) -> BoundLogger:
    """The logger of a module: `logger(__name__)`. Cheap; independent of what else in the process uses structlog."""
    processors: list[Processor] = [
        structlog.stdlib.filter_by_level,
        PositionalArgumentsFormatter(),
        ProcessorFormatter.wrap_for_formatter,
    ]
    wrapped: BoundLogger = structlog.wrap_logger(
        logging.getLogger(name), processors=processors, wrapper_class=BoundLogger, cache_logger_on_first_use=False
    )
    return wrapped


def set_up_logs(
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    format: Literal["auto", "json", "console"] = "auto",  # noqa: A002  the setting is called log.format
    stream: TextIO | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """Send all lines, those of libraries too, to one stream in one form; a second call replaces the first.

    Args:
        level: the least important line that is shown.
        format: "auto" is "console" where the stream is a terminal, else "json".
        stream: standard error unless given.
        secrets: what no line may hold, whoever writes it: the Kafka clients' debug lines hold what they were given.
    """
    known = spellings(secrets)

    def last_guard(_logger: Any, _method: str, event: EventDict) -> EventDict:
        return {key: _masked(value, known) for key, value in event.items()}

    out = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and out.isatty())
    last: Processor = (
        ConsoleRenderer(colors=out.isatty(), exception_formatter=plain_traceback) if console else JSONRenderer(ensure_ascii=False)
    )
    chain: list[Processor] = [
        _of_record,
        TimeStamper(fmt="iso", utc=True),
        format_exc_info,
        last_guard,
        without_secrets,
        last,
    ]
    handler = logging.StreamHandler(out)
    handler.setFormatter(ProcessorFormatter(processors=chain, use_get_message=True))
    root = logging.getLogger()
    for old in [old for old in root.handlers if getattr(old, "groundswell", False)]:
        root.removeHandler(old)
    handler.groundswell = True  # type: ignore[attr-defined]
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.NOTSET if level == "debug" else max(logging.WARNING, root.level))
    logging.captureWarnings(capture=True)


def _of_record(logger: Any, method: str, event: EventDict) -> EventDict:
    record = event["_record"]
    event["level"], event["logger"] = record.levelname.lower(), record.name
    return ProcessorFormatter.remove_processors_meta(logger, method, event)


def _masked(value: Any, known: tuple[str, ...]) -> Any:
    """A value without any known secret, in whatever it is nested."""
    if not known:
        return value
    if isinstance(value, str):
        return mask_secrets(value, known)
    if isinstance(value, dict):
        return {key: _masked(one, known) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_masked(one, known) for one in value]
    if value is None or isinstance(value, (bool, int, float, bytes)):
        return value
    return mask_secrets(repr(value), known)  # what the writer of the line would make of it


def without_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The line without document text, secrets, passwords in URLs and very long values: the last guard, not the first.

    >>> without_secrets(None, "info", {"event": "up", "store": "postgresql://u:pw@h/d", "title": "Bank fails", "token": "x"})
    {'event': 'up', 'store': 'postgresql://u:***@h/d', 'title': '(10 characters)', 'token': '***'}
    """
    return _clean_mapping(event)


def _clean_mapping(values: MutableMapping[str, Any]) -> dict[str, Any]:
    return {key: _clean(key, value) for key, value in values.items()}


def _clean(key: str, value: Any) -> Any:
    if _SECRET_FIELD.search(key):
        return MASK
    if key in FIELDS_OF_TEXT and isinstance(value, (str, bytes, list, tuple)):
        return f"({len(value)} {'characters' if isinstance(value, str) else 'bytes' if isinstance(value, bytes) else 'items'})"
    if isinstance(value, dict):
        return _clean_mapping(value)
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if not isinstance(value, str):
        return value
    value = _TOKEN.sub(rf"\1{MASK}", _SECRET_URL.sub(rf"\1{MASK}", mask_url(value) if "://" in value else value))
    limit = 20 * VALUE_CHARACTERS_MAX if key == "exception" else VALUE_CHARACTERS_MAX
    return value if len(value) <= limit else f"{value[:limit]}... ({len(value)} characters)"
