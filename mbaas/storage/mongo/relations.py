"""Relations: one collection each, `_Join:<key>:<class>`, of pairs (`owningId`, `relatedId`). Object ids sort them by adding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bson import ObjectId
from pymongo import DeleteOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession

from mbaas.query import ast
from mbaas.storage.mongo.names import Database, join_name
from mbaas.storage.ports import Relate

INDEXES = ([("owningId", 1), ("relatedId", 1)], [("relatedId", 1)])


async def related(database: Database, class_name: str, key: str, owner: str) -> list[str]:
    """The ids in a relation, in the order they were added."""
    name = join_name(key, class_name)
    if name is None:
        return []
    pairs = await database[name].find({"owningId": owner}, {"relatedId": 1}).sort("_id").to_list()
    # Parse Server does not keep a pair from being there twice.
    return list(dict.fromkeys(_ids(pairs, "relatedId")))


async def owners(database: Database, class_name: str, key: str, ids: Sequence[str]) -> list[str]:
    """The objects of the class whose relation holds one of the ids."""
    name = join_name(key, class_name)
    if name is None:
        return []
    pairs = await database[name].find({"relatedId": {"$in": list(ids)}}, {"owningId": 1}).to_list()
    return sorted(set(_ids(pairs, "owningId")))


def _ids(pairs: list[dict[str, Any]], side: str) -> list[str]:
    """One side of the pairs, less those of which nobody knows what they are."""
    return [pair[side] for pair in pairs if isinstance(pair.get(side), str)]


async def relate(database: Database, step: Relate, session: AsyncClientSession | None) -> None:
    """Add and take pairs."""
    name = join_name(step.key, step.schema.name)
    if name is None:
        return
    gained = [{"owningId": step.owner, "relatedId": related} for related in step.add]
    lost = [{"owningId": step.owner, "relatedId": related} for related in step.remove]
    writes: list[Any] = [UpdateOne(pair, {"$setOnInsert": {"_id": ObjectId()}}, upsert=True) for pair in gained]
    writes += [DeleteOne(pair) for pair in lost]
    if writes:
        await database[name].bulk_write(writes, session=session)


async def resolved(database: Database, class_name: str, node: ast.Node) -> ast.Node:
    """The query with every condition on a relation replaced by the ids that it stands for."""
    if isinstance(node, (ast.And, ast.Or, ast.Nor)):
        if not any(isinstance(part, (ast.And, ast.Or, ast.Nor, ast.RelatedTo, ast.Relates)) for part in node.parts):
            return node
        return replace(node, parts=tuple([await resolved(database, class_name, part) for part in node.parts]))
    if isinstance(node, ast.RelatedTo):
        return ast.In(("objectId",), tuple(await related(database, node.class_name, node.key, node.object_id)))
    if isinstance(node, ast.Relates):
        ids = tuple(await owners(database, class_name, node.key, node.object_ids))
        return ast.NotIn(("objectId",), ids) if node.negated else ast.In(("objectId",), ids)
    return node
