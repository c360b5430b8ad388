"""Logs: one JSON object a line (or readable lines in development) on standard error, with request ids, without secrets.

Everything goes through the standard library's root logger, so that the web server and libraries look the same. Structlog is
loaded when logging starts, not before.
"""

from __future__ import annotations

import itertools
import logging
import os
import re
import sys
from collections.abc import Iterable, MutableMapping
from contextvars import ContextVar
from functools import cache
from typing import Any, Literal, TextIO

MASK = "***"
_SECRET_NAMES = re.compile(r"password|passwd|secret|token|authorization|cookie|(?:^|[-_])key$|[a-z]Key$|authData", re.IGNORECASE)
_SHAPES = r"r:[0-9a-f]{32}|[mp]k_(?:live|test)_\w+|(?<=Bearer )[\w.~+/-]+=*|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
_COUNT = itertools.count(1)
_PREFIX = os.urandom(4).hex()

_request: ContextVar[tuple[int, str] | None] = ContextVar("request", default=None)
"""Number and app id of the request being served. Every request has a number, few need its text."""


def begin_request(app_id: str = "") -> None:
    """Give the request being served an id; every line logged meanwhile carries it, and the app's."""
    _request.set((next(_COUNT), app_id))


def request_id() -> str | None:
    """The id of the request being served, which no other request of any process has."""
    found = _request.get()
    return _text(found[0]) if found else None


def _text(number: int) -> str:
    return f"{_PREFIX}{os.getpid():x}-{number:x}"


def get_logger(name: str) -> Any:
    """A structlog logger; fields are keyword arguments: `log.info("saved", object_id=…)`."""
    return _structlog().stdlib.get_logger(name)


@cache
def _structlog() -> Any:
    """Structlog without rich, which it loads wherever it is installed: a tenth of a start, for tracebacks that are not ours."""
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]  # Python's own mark of a module that cannot be imported
    try:
        import structlog
    finally:
        if hidden:
            del sys.modules["rich"]
    return structlog


def start_logging(
    form: Literal["json", "pretty"], *, secrets: Iterable[str] = (), level: int = logging.INFO, stream: TextIO | None = None
) -> None:
    """Send all logs to standard error (or the stream) in this form. The texts in `secrets` never appear, whoever logs them."""
    structlog = _structlog()
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        _add_request,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_fields,
    ]
    if form == "json":
        render: Any = structlog.processors.JSONRenderer(serializer=_json)
    else:
        colors = sys.stderr.isatty()
        render = structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
    handler = logging.StreamHandler(stream or sys.stderr)
    processors = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, render, _TextMask(secrets)]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=processors, foreign_pre_chain=shared))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # It tells its own developers how it is put together, whenever a console is first looked at.
    logging.getLogger("starlette_admin").setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _json(event: Any, **named: Any) -> str:
    import orjson

    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _add_request(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if found := _request.get():
        event.setdefault("request_id", _text(found[0]))
        event.setdefault("app_id", found[1])
    return event


def _mask_fields(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in event.items():
        event[name] = masked(name, value)
    return event


def masked(name: str, value: Any) -> Any:
    """The value as it may be logged under this name: secrets, at any depth, are replaced."""
    if value is not None and not isinstance(value, bool) and _SECRET_NAMES.search(name):
        return MASK
    if isinstance(value, dict):
        return {inner: masked(str(inner), inner_value) for inner, inner_value in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked("", inner) for inner in value]
    return value


class _TextMask:
    """The last step: what looks like a secret, or is a known one, is replaced in the finished line, tracebacks included."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = [re.escape(secret) for secret in secrets if len(secret) >= 6]
        self._pattern = re.compile("|".join([*known, _SHAPES]))

    def __call__(self, logger: Any, method: str, line: str) -> str:
        return self._pattern.sub(MASK, line)
