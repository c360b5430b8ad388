"""A search as a command: `find`, or an aggregation where the nearest come first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.asynchronous.cursor import AsyncCursor

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.query import ast
from mbaas.storage.mongo.compile import compile_where, near_stage, nearest, text_of
from mbaas.storage.mongo.format import INSERTION, Bson, key_of
from mbaas.storage.mongo.names import Collection
from mbaas.storage.ports import Document, Find

DISTANCE, SCORE = "_distance", "score"
_RANK: Bson = {"$meta": "textScore"}


@dataclass(frozen=True, slots=True)
class Search:
    """One search, ready to run. `pipeline` stands for it where the nearest come first."""

    collection: Collection
    find: Find
    where: Bson
    pipeline: list[Bson] | None
    ranked: bool

    async def documents(self, read: Callable[[ClassSchema, Sequence[Bson]], Awaitable[list[Document]]]) -> list[Document]:
        """What is found, in the order that is asked for."""
        if self.pipeline is not None:
            cursor = await self.collection.aggregate(self.pipeline, **self._options())
            found = await cursor.to_list()
            for one in found:
                del one[DISTANCE]
        else:
            found = await self._cursor().to_list()
        scores = [one.pop(SCORE) for one in found] if self.ranked else []
        documents = await read(self.find.schema, found)
        for document, score in zip(documents, scores, strict=False):
            document.body[SCORE] = score
        return documents

    async def explain(self) -> Bson:
        """The database's account of how it would run."""
        if self.pipeline is None:
            return await self._cursor().explain()
        command = {"aggregate": self.collection.name, "pipeline": self.pipeline, "cursor": {}}
        return await self.collection.database.command("explain", command)

    @property
    def order(self) -> list[tuple[str, Any]]:
        """The keys by which `find` sorts."""
        return _order(self.find, self.ranked)

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"maxTimeMS": self.find.timeout_ms}
        if self.find.hint is not None:
            options["hint"] = self.find.hint
        return options

    def _cursor(self) -> AsyncCursor[dict[str, Any]]:
        find = self.find
        cursor = self.collection.find(self.where, {SCORE: _RANK} if self.ranked else None)
        cursor = cursor.sort(self.order).skip(find.skip).limit(find.limit or 0).max_time_ms(find.timeout_ms)
        return cursor if find.hint is None else cursor.hint(find.hint)


def search(collection: Collection, find: Find) -> Search:
    """The search; conditions on relations have been resolved."""
    if find.hint is not None and find.hint != "_id_" and find.hint not in find.schema.indexes:
        raise ParseError(Code.INVALID_QUERY, "hint provided does not correspond to an existing index")
    near = None if find.order else nearest(find.where)
    if near is None:
        return Search(collection, find, selected(find), None, text_of(find.where) is not None)
    rest = compile_where(find.schema, near[1], find.readers)
    pipeline = [near_stage(find.schema, near[0], rest, DISTANCE)]
    if find.skip:
        pipeline.append({"$skip": find.skip})
    if find.limit is not None:
        pipeline.append({"$limit": find.limit})
    return Search(collection, find, {}, pipeline, False)


def selected(find: Find) -> Bson:
    """The filter of a search."""
    return compile_where(find.schema, find.where, find.readers)


def _order(find: Find, ranked: bool) -> list[tuple[str, Any]]:
    rank: tuple[str, Any] = (SCORE, _RANK)
    keys = [_term(find, path, descending) for path, descending in find.order if path != ("$score",) or ranked]
    if keys:
        return keys
    return [rank] if ranked else list(INSERTION)


def _term(find: Find, path: ast.Path, descending: bool) -> tuple[str, Any]:
    if path == ("$score",):
        return SCORE, _RANK
    return key_of(find.schema, path), -1 if descending else 1
