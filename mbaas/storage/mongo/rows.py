"""The port `Rows` on MongoDB: one collection for all internal tables, `_id` being the table and the key.

A counter's number is kept as such (`n`), every other value as JSON text (`json`), so that keys with `$` or dots, which
queries are full of, stay what they are. `f` is the fence and one, so that a put begins a row and outdates its holder alike.
The global config is not kept here but where Parse Server has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import orjson
from pymongo import UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError
from pymongo.results import DeleteResult

from mbaas.kernel.clock import Clock
from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.values import Json
from mbaas.storage.mongo import config
from mbaas.storage.mongo.failures import told
from mbaas.storage.mongo.format import Bson
from mbaas.storage.mongo.names import ROWS, Database
from mbaas.storage.mongo.transactions import transaction
from mbaas.storage.ports import Row
from mbaas.storage.sharing import Sharing

INDEXES: Sequence[tuple[list[tuple[str, int]], Bson]] = (
    ([("t", 1), ("due", 1)], {"due": {"$exists": True}}),
    ([("expires", 1)], {"expires": {"$exists": True}}),
)
_BETWEEN, _BEYOND = "\n", "\v"
_OWN = ("due", "expires", "owner", "n", "json")
"""What a row holds. Its holder changes that without another fence, so the fence alone does not tell whether anything has."""


class MongoRows:
    """Rows. Times are compared with the injected clock."""

    def __init__(self, database: Database, clock: Clock, sharing: Sharing) -> None:
        self._database, self._clock, self._sharing = database, clock, sharing
        self._rows = database[ROWS]

    async def prepare(self) -> None:
        """Make the indexes."""
        for keys, some in INDEXES:
            await self._rows.create_index(keys, partialFilterExpression=some)

    def _live(self) -> Bson:
        return {"$not": {"$lte": self._clock.now()}}

    async def get(self, table: str, key: str) -> Row | None:
        with told():
            if table == config.TABLE:
                return await config.read(self._database, key)
            found = await self._rows.find_one({"_id": row_id(table, key), "expires": self._live()})
        return None if found is None else _row(found)

    async def put_many(self, table: str, rows: Sequence[Row]) -> None:
        if not rows:
            return
        if table == config.TABLE:
            with told():
                await config.write(self._database, rows)
            return
        writes = [UpdateOne({"_id": row_id(table, row.key)}, _put(table, row), upsert=True) for row in rows]

        async def work(session: AsyncClientSession | None) -> None:
            await self._rows.bulk_write(writes, ordered=False, session=session)

        with told():
            await transaction(self._database, self._sharing, work)

    async def put_one(self, table: str, row: Row, session: AsyncClientSession | None, *, if_absent: bool = False) -> None:
        """Put a row inside a unit."""
        where: Bson = {"_id": row_id(table, row.key)}
        if if_absent:
            where["expires"] = {"$lte": self._clock.now()}
        try:
            await self._rows.update_one(where, _put(table, row), upsert=True, session=session)
        except DuplicateKeyError as error:
            raise Duplicate(table) from error

    async def drop_one(self, table: str, key: str, fence: int | None, session: AsyncClientSession | None) -> bool:
        """Remove a row inside a unit; says whether."""
        result: DeleteResult = await self._rows.delete_one(_held(table, key, fence), session=session)
        return result.deleted_count > 0

    async def put_several(self, rows: Sequence[tuple[str, Row]], session: AsyncClientSession | None) -> None:
        """Put rows, each with its table, inside a unit."""
        writes = [UpdateOne({"_id": row_id(table, row.key)}, _put(table, row), upsert=True) for table, row in rows]
        await self._rows.bulk_write(writes, session=session)

    async def change_one(self, table: str, row: Row, session: AsyncClientSession | None) -> bool:
        """Replace a row whose fence is that of the given one, inside a unit; says whether."""
        result = await self._rows.update_one(_held(table, row.key, row.fence), _values(row), session=session)
        return result.matched_count > 0

    async def scan(self, table: str, after: str = "", limit: int = 1000, prefix: str = "") -> list[Row]:
        keys: Bson = {"$gte": row_id(table, prefix), "$lt": _after(row_id(table, prefix)) if prefix else table + _BEYOND}
        if after:
            keys["$gt"] = row_id(table, after)
        with told():
            found = await self._rows.find({"_id": keys, "expires": self._live()}).sort("_id").limit(limit).to_list()
        return [_row(one) for one in found]

    async def claim(self, table: str, now: int, owner: str, lease_ms: int, limit: int = 1) -> list[Row]:
        change = {"$set": {"owner": owner, "due": now + lease_ms}, "$inc": {"f": 1}}
        some: Bson = {"t": table, "due": {"$lte": now}, "expires": {"$not": {"$lte": now}}}
        claimed: list[Row] = []
        with told():
            while len(claimed) < limit:
                found = await self._rows.find_one_and_update(some, change, sort=[("due", 1), ("_id", 1)], return_document=True)
                if found is None:
                    break
                claimed.append(_row(found))
        return claimed

    async def change(self, table: str, row: Row, fence: int | None = None) -> bool:
        with told():
            result = await self._rows.update_one(_held(table, row.key, fence), _values(row))
        return result.matched_count > 0

    async def drop(self, table: str, key: str, fence: int | None = None) -> bool:
        with told():
            result: DeleteResult = await self._rows.delete_one(_held(table, key, fence))
        return result.deleted_count > 0

    async def count_up(self, table: str, key: str, by: int = 1, expires: int | None = None) -> int:
        begun = _put(table, Row(key, by, expires=expires))
        with told():
            while True:
                found = await self._rows.find_one_and_update(
                    {"_id": row_id(table, key), "expires": self._live()}, {"$inc": {"n": by}}, return_document=True
                )
                if found is not None:
                    return int(found["n"])
                try:
                    await self._rows.update_one({"_id": row_id(table, key), "expires": {"$lte": self._clock.now()}}, begun, upsert=True)
                except DuplicateKeyError:
                    # Someone else has begun it.
                    continue
                return by

    async def alter(self, table: str, key: str, change: Callable[[Row | None], Row]) -> Row:
        with told():
            if table == config.TABLE:
                return await config.alter(self._database, key, change)
            while True:
                found = await self._rows.find_one({"_id": row_id(table, key), "expires": self._live()})
                made = change(None if found is None else _row(found))
                if found is not None:
                    unchanged = {key: found.get(key) for key in ("_id", "f", *_OWN)}
                    result = await self._rows.update_one(unchanged, _put(table, replace(made, fence=0)))
                    if result.matched_count:
                        return made
                    continue
                try:
                    gone = {"_id": row_id(table, key), "expires": {"$lte": self._clock.now()}}
                    await self._rows.update_one(gone, _put(table, made), upsert=True)
                except DuplicateKeyError:
                    continue
                return made

    async def expire(self, now: int, limit: int = 1000) -> int:
        gone = {"expires": {"$lte": now}}
        with told():
            found = await self._rows.find(gone, {"_id": 1}).limit(limit).to_list()
            result: DeleteResult = await self._rows.delete_many({"_id": {"$in": [one["_id"] for one in found]}, **gone})
        return result.deleted_count


def row_id(table: str, key: str) -> str:
    """The `_id` of a row."""
    return f"{table}{_BETWEEN}{key}"


def _after(prefix: str) -> str:
    """The least string above every string that begins so; the characters of a key are those that UTF-8 knows."""
    last = ord(prefix[-1])
    if last == 0x10FFFF:
        return _after(prefix[:-1])
    return prefix[:-1] + chr(0xE000 if last == 0xD7FF else last + 1)


def _held(table: str, key: str, fence: int | None) -> Bson:
    return {"_id": row_id(table, key)} if fence is None else {"_id": row_id(table, key), "f": fence + 1}


def _values(row: Row) -> dict[str, Bson]:
    """What sets a row's own values, and unsets those that it has not."""
    kept = {"due": row.due, "expires": row.expires, "owner": row.owner, **_value(row.value)}
    put = {key: value for key, value in kept.items() if value is not None}
    return {"$set": put, "$unset": {key: "" for key, value in kept.items() if value is None}}


def _value(value: Json) -> Bson:
    if isinstance(value, int) and not isinstance(value, bool):
        return {"n": value, "json": None}
    try:
        return {"n": None, "json": orjson.dumps(value).decode()}
    except TypeError as error:
        raise ParseError(Code.INCORRECT_TYPE, "a value cannot be stored as JSON") from error


def _put(table: str, row: Row) -> dict[str, Bson]:
    change = _values(row)
    change["$set"]["t"] = table
    return {**change, "$inc": {"f": 1 + row.fence}}


def _row(found: dict[str, Any]) -> Row:
    _, _, key = found["_id"].partition(_BETWEEN)
    value = int(found["n"]) if "n" in found else orjson.loads(found["json"])
    return Row(key, value, found.get("due"), found.get("expires"), found.get("owner"), found["f"] - 1)
