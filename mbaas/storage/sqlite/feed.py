"""The port `Feed` on SQLite. A position is the store's id and a number; a position of another store is none of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import apsw
import orjson

from mbaas.storage.ports import PAGE_BYTES, Document, Entries, Entry
from mbaas.storage.sqlite.reader import Reader
from mbaas.storage.sqlite.writer import Writer

_LAST = "SELECT max(coalesce((SELECT max(seq) FROM feed), 0), (SELECT value FROM meta WHERE key='feed_trimmed'))"
_BATCH = 5000
_BEFORE, _AFTER = 4, 5
"""Where an entry's row has the two states."""


def _page(cursor: apsw.Cursor, sql: str, arguments: tuple[Any, ...]) -> tuple[list[tuple[Any, ...]], bool]:
    """The first rows, and whether there may be more: the last of the arguments is how many at most."""
    rows: list[tuple[Any, ...]] = []
    size = 0
    own = cursor.connection.cursor()
    try:
        for row in own.execute(sql, arguments):
            rows.append(row)
            size += len(row[_BEFORE] or b"") + len(row[_AFTER] or b"")
            if size > PAGE_BYTES:
                return rows, True
    finally:
        # A statement that is left half done would hold its snapshot.
        own.close(True)
    return rows, len(rows) == arguments[-1]


class SqliteFeed:
    """Entries in commit order. The last entry is never trimmed, so that numbers are not used twice."""

    def __init__(self, store: str, writer: Writer, reader: Reader, keep_ms: int, keep_bytes: int) -> None:
        self._store, self._writer, self._reader = store, writer, reader
        self._keep_ms, self._keep_bytes = keep_ms, keep_bytes
        self._listeners: list[Callable[[], None]] = []

    async def latest(self) -> str:
        return self.end()

    def end(self) -> str:
        """`latest`, at once."""
        return self._position(self._reader.point(_LAST, ()))

    async def after(self, seq: str, limit: int = 1000, classes: frozenset[str] | None = None) -> Entries | None:
        number = self._number(seq)
        if number is None:
            return None
        named = "" if classes is None else f" AND class IN ({','.join('?' * len(classes))})"
        arguments = (number, *(classes or ()), limit)

        def job(cursor: apsw.Cursor) -> tuple[list[tuple[Any, ...]], bool] | None:
            trimmed = cursor.execute("SELECT value FROM meta WHERE key='feed_trimmed'").get
            if number < trimmed or number > cursor.execute(_LAST).get:
                return None
            return _page(cursor, f"SELECT * FROM feed WHERE seq > ?{named} ORDER BY seq LIMIT ?", arguments)

        page = await self._reader.run(job, 30_000)
        return None if page is None else Entries(map(self._entry, page[0]), more=page[1])

    def listen(self, wake: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(wake)
        return lambda: self._listeners.remove(wake) if wake in self._listeners else None

    def wake(self) -> None:
        """Tell the listeners that entries were committed; what they raise is none of the writer's business."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.call_soon(listener)

    async def trim(self, now: int) -> int:
        """Forget entries beyond the retention, by age and by size; returns how many."""
        removed = 0
        while (count := await self._writer.submit(lambda: self._trim(now), heavy=True)) > 0:
            removed += count
        return removed

    def _trim(self, now: int) -> int:
        execute = self._writer.connection.execute
        last = execute("SELECT max(seq) FROM feed").get
        if last is None:
            return 0
        aged = execute("SELECT max(seq) FROM (SELECT seq FROM feed WHERE at < ? ORDER BY seq LIMIT ?)", (now - self._keep_ms, _BATCH)).get
        sized = execute(
            "SELECT max(seq) FROM (SELECT seq, sum(coalesce(length(before),0)+coalesce(length(after),0)+64) OVER (ORDER BY seq DESC) "
            "AS size FROM feed) WHERE size > ?",
            (self._keep_bytes,),
        ).get
        upto = min(max(aged or 0, sized or 0), last - 1)
        execute("DELETE FROM feed WHERE seq IN (SELECT seq FROM feed WHERE seq <= ? ORDER BY seq LIMIT ?)", (upto, _BATCH))
        removed = self._writer.connection.changes()
        if removed:
            execute("UPDATE meta SET value=(SELECT min(seq) - 1 FROM feed) WHERE key='feed_trimmed'")
        return removed

    def _entry(self, row: tuple[Any, ...]) -> Entry:
        seq, op, class_name, object_id, before, after, at, version = row
        earlier = version - 1 if op == "update" else version
        return Entry(
            seq=self._position(seq),
            op=op,
            class_name=class_name,
            object_id=object_id,
            before=None if before is None else Document(orjson.loads(before), version=earlier),
            after=None if after is None else Document(orjson.loads(after), version=version),
            at=at,
        )

    def _position(self, number: int) -> str:
        return f"{self._store}-{number:012x}"

    def _number(self, seq: str) -> int | None:
        store, _, number = seq.partition("-")
        if store != self._store or len(number) != 12:
            return None
        try:
            return int(number, 16)
        except ValueError:
            return None
