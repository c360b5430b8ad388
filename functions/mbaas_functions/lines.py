"""What functions print and log: in the server's log, and kept for `mbaas logs`, the last `RING` lines of a week.

Lines have numbers without gaps, and each has the place of the one `RING` before it: what is kept never grows beyond that. Numbers
are drawn before the lines are stored, so that of several processes one may be late with an earlier number: a reader waits a little for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Row

RING = 10_000
MOST = 500
"""Lines of a page, and of a write."""
_TABLE, _HEAD = "function_lines", "head"
_WEEK_MS = 7 * 24 * 3600 * 1000
_LATE_MS = 2000
"""A number that is missing while a line with a later one is so old belongs to a line that was lost with its process."""
_WRITE_SECONDS = 0.25
_LOOK_SECONDS = 0.25
_MOST_WAITING = 5000
"""Lines that wait to be written; what comes faster is counted and left out."""


@dataclass(frozen=True, slots=True)
class Line:
    """What was said. `call` is the id of the invocation, `kind` and `name` what was called; all empty for what no call said.
    `number` is the deployment's; None for the folder that the server was started with."""

    text: str
    level: str = "info"
    call: str = ""
    kind: str = ""
    name: str = ""
    number: int | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Lines, oldest first, and the number of the last one that was looked at."""

    lines: list[Object]
    last: int


class Lines:
    """The lines of one app's functions."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._waiting: list[Object] = []
        self._left_out = 0
        self._writing: asyncio.Task[None] | None = None

    def add(self, line: Line) -> None:
        """Log a line, and keep it."""
        log = get_logger("mbaas.functions")
        who = {"call": line.call, "function": f"{line.kind} {line.name}".rstrip()} if line.call else {}
        # `event` is what the log calls the text.
        values = {"event_" if name == "event" else name: value for name, value in line.values.items()}
        getattr(log, line.level)(line.text, **{**values, **who})
        if len(self._waiting) >= _MOST_WAITING:
            self._left_out += 1
            return
        self._keep(line)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    def _keep(self, line: Line) -> None:
        at = iso(self._app.clock.now())
        own: Object = {"at": at, "level": line.level, "text": line.text, "deployment": line.number, "values": dict(line.values)}
        self._waiting.append({**own, "call": line.call, "kind": line.kind, "function": line.name})

    async def _write(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(_WRITE_SECONDS)
                await self._flush()
        except Exception:
            get_logger(__name__).exception("lines of functions cannot be kept")
            self._waiting.clear()
        finally:
            self._writing = None

    async def _flush(self) -> None:
        if self._left_out:
            self._keep(Line(f"{self._left_out} lines came too fast to be kept", "warning"))
            self._left_out = 0
        rows = self._app.store.rows
        while self._waiting:
            some, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
            head = await rows.count_up(_TABLE, _HEAD, len(some))
            expires = self._app.clock.now() + _WEEK_MS
            first = head - len(some) + 1
            await rows.put_many(_TABLE, [Row(_place(n), {**line, "n": n}, expires=expires) for n, line in enumerate(some, first)])

    async def close(self) -> None:
        """Write what waits to be written."""
        if self._writing is not None:
            await self._writing

    async def read(self, after: int | None, limit: int, function: str | None, wait_s: float = 0) -> Page:
        """The lines after a number, or the last ones; of one function, trigger or job, or of all. `wait_s`: wait for one so long."""
        until = time.monotonic() + wait_s
        while True:
            page = await self._page(after, limit, function)
            if page.lines or time.monotonic() >= until:
                return page
            after = page.last
            await asyncio.sleep(_LOOK_SECONDS)

    async def _page(self, after: int | None, limit: int, function: str | None) -> Page:
        head = await self._app.store.rows.get(_TABLE, _HEAD)
        last = int(head.value) if head is not None else 0
        oldest = max(0, last - RING)
        at = oldest if after is None or after > last else max(after, oldest)
        if after is None and function is None:
            at = max(oldest, last - limit)
        found: list[Object] = []
        while at < last:
            some = await self._between(at, min(last, at + MOST))
            young = at + MOST >= last
            for n in range(at + 1, min(last, at + MOST) + 1):
                line = some.get(n)
                if line is None and young and not self._is_lost(n, some):
                    return Page(found[-limit:], n - 1)
                at = n
                if line is not None and function in (None, line["function"]):
                    found.append(line)
                    if after is not None and len(found) == limit:
                        return Page(found, at)
        return Page(found[-limit:], at)

    async def _between(self, after: int, last: int) -> dict[int, Object]:
        """The lines with these numbers that are there."""
        found: dict[int, Object] = {}
        turn = (after + 1) // RING * RING + RING - 1
        for first, end in ((after + 1, min(last, turn)), (turn + 1, last)):
            if first <= end:
                before = _place(first - 1) if first % RING else ""
                rows = await self._app.store.rows.scan(_TABLE, before, end - first + 1)
                found |= {row.value["n"]: row.value for row in rows if isinstance(row.value, dict)}
        return found

    def _is_lost(self, number: int, some: Mapping[int, Object]) -> bool:
        late = iso(self._app.clock.now() - _LATE_MS)
        return any(n > number and line["at"] < late for n, line in some.items())


def _place(number: int) -> str:
    return f"{number % RING:05d}"
