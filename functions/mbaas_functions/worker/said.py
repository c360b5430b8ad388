"""What a call says: its lines for the log, and what it prints, line by line, as long as it is not too much."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, TextIO

from mbaas.kernel.values import Object as Body
from mbaas_functions.cloud.calls import CURRENT

_MOST_TEXT = 8000
_MOST_LINES = 1000
"""Of one call; what follows is left out, and the log says so."""


class Said:
    """One call's lines on their way to the server."""

    def __init__(self, send: Callable[[Body], None]) -> None:
        self._send = send
        self._begun: dict[str, str] = {}
        """What was printed after the last end of a line, by level."""
        self._count = 0

    def line(self, line: Body) -> None:
        """Say a line: `level`, `text`, and `values` by name."""
        self._count += 1
        if self._count > _MOST_LINES:
            if self._count == _MOST_LINES + 1:
                self._send({"level": "warning", "text": f"the call said more than {_MOST_LINES} lines; the rest is left out"})
            return
        values = {name: _cut(value) for name, value in line.get("values", {}).items()}
        self._send({**line, "text": _cut(line["text"]), "values": values})

    def text(self, level: str, text: str) -> None:
        """Say what was printed; the last line when it is complete, or long."""
        *lines, rest = (self._begun.get(level, "") + text).split("\n")
        for line in lines:
            if line.strip():
                self.line({"level": level, "text": line})
        if len(rest) > _MOST_TEXT:
            self.line({"level": level, "text": rest})
            rest = ""
        self._begun[level] = rest

    def end(self) -> None:
        """Say what was printed without the end of a line."""
        for level, rest in self._begun.items():
            if rest.strip():
                self.line({"level": level, "text": rest})


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"


class Printed(io.TextIOBase):
    """Standard output or error: what a call prints is the call's, the rest is the worker's own."""

    def __init__(self, plain: TextIO, level: str) -> None:
        self._plain, self._level = plain, level

    def write(self, text: str) -> int:
        call = CURRENT.get()
        if call is None:
            self._plain.write(text)
            self._plain.flush()
        else:
            call.printed(self._level, text)
        return len(text)

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        self._plain.flush()

    def fileno(self) -> int:
        return self._plain.fileno()

    def __getattr__(self, name: str) -> Any:
        """What else a file of the system has: `buffer`, whose bytes are never a call's, or `reconfigure`."""
        return getattr(self._plain, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._plain.encoding
