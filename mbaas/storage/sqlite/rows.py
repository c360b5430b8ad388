"""The port `Rows` on SQLite: one table for all internal tables, clustered by (table, key)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from mbaas.kernel.clock import Clock
from mbaas.storage.ports import Row
from mbaas.storage.sqlite.compile import text_after
from mbaas.storage.sqlite.reader import Reader
from mbaas.storage.sqlite.steps import encode
from mbaas.storage.sqlite.writer import Writer

T = TypeVar("T")

_ROW = "key, value, due, expires, owner, fence"
_LIVE = "(expires IS NULL OR expires > ?)"
_PUT = (
    "INSERT INTO rows(tbl, key, value, due, expires, owner, fence) VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT(tbl, key) DO UPDATE SET "
    "value=excluded.value, due=excluded.due, expires=excluded.expires, owner=excluded.owner, fence=max(excluded.fence, fence+1)"
)
_CLAIM = (
    "UPDATE rows SET owner=?, fence=fence+1, due=? WHERE tbl=? AND key IN "
    f"(SELECT key FROM rows WHERE tbl=? AND due <= ? AND {_LIVE} ORDER BY due, key LIMIT ?) RETURNING {_ROW}"
)
_COUNT = (
    "INSERT INTO rows(tbl, key, value, expires) VALUES(?1, ?2, ?3, ?4) ON CONFLICT(tbl, key) DO UPDATE SET "
    "value = CASE WHEN expires <= ?5 THEN ?3 ELSE value + ?3 END, "
    "expires = CASE WHEN expires <= ?5 THEN ?4 ELSE expires END RETURNING value"
)
_HEAVY = 100


class SqliteRows:
    """Rows; each writing call is a unit of its own. Times are compared with the injected clock."""

    def __init__(self, writer: Writer, reader: Reader, clock: Clock) -> None:
        self._writer, self._reader, self._clock = writer, reader, clock

    async def get(self, table: str, key: str) -> Row | None:
        sql = f"SELECT {_ROW} FROM rows WHERE tbl=? AND key=? AND {_LIVE}"
        row = self._reader.point(sql, (table, key, self._clock.now()))
        return None if row is None else _row(row)

    async def put_many(self, table: str, rows: Sequence[Row]) -> None:
        values = [_values(table, row) for row in rows]

        def work() -> None:
            self._writer.cursor.executemany(_PUT, values)

        await self._writer.submit(work, heavy=len(values) > _HEAVY)

    async def scan(self, table: str, after: str = "", limit: int = 1000, prefix: str = "") -> list[Row]:
        sql = f"SELECT {_ROW} FROM rows WHERE tbl=? AND key > ? AND key >= ? AND {_LIVE}"
        arguments: list[Any] = [table, after, prefix, self._clock.now()]
        end = text_after(prefix) if prefix else None
        if end is not None:
            sql += " AND key < ?"
            arguments.append(end)
        arguments.append(limit)
        sql += " ORDER BY key LIMIT ?"
        rows = await self._reader.run(lambda cursor: cursor.execute(sql, arguments).fetchall(), 30_000)
        return [_row(row) for row in rows]

    async def claim(self, table: str, now: int, owner: str, lease_ms: int, limit: int = 1) -> list[Row]:
        arguments = (owner, now + lease_ms, table, table, now, now, limit)

        def work() -> list[Row]:
            # RETURNING keeps no order; the earliest were chosen, and are handed out in the order of their dues.
            dues = f"SELECT key, due FROM rows WHERE tbl=? AND due <= ? AND {_LIVE} ORDER BY due, key LIMIT ?"
            place = {key: n for n, (key, _) in enumerate(self._execute(dues, (table, now, now, limit)))}
            return sorted(map(_row, self._execute(_CLAIM, arguments)), key=lambda row: place[row.key]) if place else []

        return await self._unit(work)

    async def change(self, table: str, row: Row, fence: int | None = None) -> bool:
        sql = "UPDATE rows SET value=?, due=?, expires=?, owner=? WHERE tbl=? AND key=? AND (?7 IS NULL OR fence=?7)"
        arguments = (encode(row.value).decode(), row.due, row.expires, row.owner, table, row.key, fence)
        return await self._changes(sql, arguments) > 0

    async def drop(self, table: str, key: str, fence: int | None = None) -> bool:
        return await self._changes("DELETE FROM rows WHERE tbl=? AND key=? AND (?3 IS NULL OR fence=?3)", (table, key, fence)) > 0

    async def count_up(self, table: str, key: str, by: int = 1, expires: int | None = None) -> int:
        now = self._clock.now()
        return await self._unit(lambda: int(self._execute(_COUNT, (table, key, by, expires, now))[0][0]))

    async def alter(self, table: str, key: str, change: Callable[[Row | None], Row]) -> Row:
        def work() -> Row:
            found = self._execute(f"SELECT {_ROW} FROM rows WHERE tbl=? AND key=? AND {_LIVE}", (table, key, self._clock.now()))
            made = change(_row(found[0]) if found else None)
            self._execute(_PUT, _values(table, made))
            return made

        return await self._unit(work)

    async def expire(self, now: int, limit: int = 1000) -> int:
        sql = "DELETE FROM rows WHERE (tbl, key) IN (SELECT tbl, key FROM rows WHERE expires <= ? LIMIT ?)"
        return await self._changes(sql, (now, limit), heavy=limit > _HEAVY)

    def _execute(self, sql: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._writer.cursor.execute(sql, arguments).fetchall()

    async def _unit(self, work: Callable[[], T]) -> T:
        return await self._writer.submit(work, shielded=False)

    async def _changes(self, sql: str, arguments: tuple[Any, ...], *, heavy: bool = False) -> int:
        def work() -> int:
            self._execute(sql, arguments)
            return self._writer.connection.changes()

        return await self._writer.submit(work, shielded=False, heavy=heavy)


def _values(table: str, row: Row) -> tuple[Any, ...]:
    return table, row.key, encode(row.value).decode(), row.due, row.expires, row.owner, row.fence


def _row(row: tuple[Any, ...]) -> Row:
    key, value, due, expires, owner, fence = row
    return Row(key, orjson.loads(value) if isinstance(value, (str, bytes)) else value, due, expires, owner, fence)
