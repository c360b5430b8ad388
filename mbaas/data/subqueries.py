"""Subqueries and relations inside a query: each is run as the caller, and its answer takes its place in the tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mbaas.data.app import App
from mbaas.data.options import FindOptions
from mbaas.kernel import acl
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, pointer
from mbaas.query import ast
from mbaas.query.match import match

if TYPE_CHECKING:
    from mbaas.data.find import Search


async def resolve(app: App, caller: Caller, node: ast.Node, depth: int) -> ast.Node:
    """The tree without subqueries, and with `$relatedTo` only where the caller may read the owner."""
    if isinstance(node, (ast.And, ast.Or, ast.Nor)):
        if not any(isinstance(p, (ast.And, ast.Or, ast.Nor, ast.Subquery, ast.RelatedTo)) for p in node.parts):
            return node
        parts = tuple([await resolve(app, caller, part, depth) for part in node.parts])
        return type(node)(parts)
    if isinstance(node, ast.Subquery):
        values = await _answers(app, caller, node, depth + 1)
        return ast.NotIn(node.path, values) if node.negated else ast.In(node.path, values)
    if isinstance(node, ast.RelatedTo):
        return node if await _may_follow(app, caller, node) else ast.NOTHING
    return node


async def _answers(app: App, caller: Caller, node: ast.Subquery, depth: int) -> tuple[Json, ...]:
    from mbaas.data.find import find_objects, prepare

    if depth > app.options.max_subqueries and not caller.omnipotent:
        text = f"Subquery nesting depth exceeds maximum allowed depth of {app.options.max_subqueries}"
        raise ParseError(Code.INVALID_QUERY, text)
    options = FindOptions(where=node.where, limit=2**53, redirect_key=node.options if isinstance(node.options, str) else None)
    search = await prepare(app, caller, node.class_name, options, depth)
    path = tuple(node.key.split("."))
    if node.pointers:
        ids = await _distinct(search, ("objectId",))
        return tuple(pointer(search.schema.name, object_id) for object_id in ids)
    if search.rules.protects and not caller.omnipotent:
        rows = await find_objects(app, caller, node.class_name, options)
        return tuple(value for value in (_at(row, path) for row in rows) if value is not None)
    return tuple(await _distinct(search, path))


async def _distinct(search: Search, path: ast.Path) -> list[Json]:
    plan = search.plan("find")
    return await search.app.store.documents.distinct(plan, path) if plan else []


def _at(value: Json, path: ast.Path) -> Json:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


async def _may_follow(app: App, caller: Caller, node: ast.RelatedTo) -> bool:
    """True if the caller may read the object that owns the relation; 119 if the relation itself is hidden from her."""
    if caller.omnipotent:
        return True
    rules = app.classes.rules(node.class_name)
    rules.refuse_protected(caller, tuple(node.key.split(".")), "query")
    schema = app.classes.get(node.class_name)
    if schema is None:
        return False
    try:
        rules.check(caller, "get")
    except ParseError:
        return False
    document = await app.store.documents.get(schema, node.object_id)
    if document is None or not acl.permits(acl.allowed(document.body.get("ACL"), "read"), caller.principals):
        return False
    where = ast.both(rules.narrowed(caller, "get"), app.policy(node.class_name).scope(caller, "get"))
    return match(where, document.body)
