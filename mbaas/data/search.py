"""A query made ready to run as its caller: parsed, checked against protected fields, subqueries answered, narrowed.

Every search passes here, whoever asks: find, count, include, subqueries, aggregates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from mbaas.data.admission import admit, refuse_unknown_class, rules_for
from mbaas.data.app import App
from mbaas.data.classes import knows
from mbaas.data.options import FindOptions
from mbaas.data.permissions import Rules
from mbaas.data.policies import PLAIN, Policy
from mbaas.data.shape import Shape
from mbaas.kernel import acl
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, pointer
from mbaas.query import ast
from mbaas.query.match import match
from mbaas.query.parse import Scope, parse_where
from mbaas.storage import ports

GROUPS = ("$and", "$or", "$nor")
DEEPEST = 100
"""How deep conditions may nest, whoever asks."""


@dataclass(slots=True)
class Search:
    """A query that the caller may run: its class, its rules, and the tree without subqueries and with every narrowing."""

    app: App
    caller: Caller
    policy: Policy
    rules: Rules
    schema: ClassSchema
    exists: bool
    where: ast.Node
    options: FindOptions
    repeatable: bool = False
    """True if the same caller's same options would be read the same way until the class's definition changes."""

    @property
    def outdated(self) -> bool:
        """True if the class has another definition by now, so that what was found may have to be read and shown otherwise."""
        return self.exists and self.app.classes.get(self.schema.name) is not self.schema

    def plan(self, operation: str, **more: Any) -> ports.Find | None:
        """What to ask of the store for this operation; None if there is nothing to find. Raises if it is not allowed."""
        self.rules.check(self.caller, operation)
        where = ast.both(ast.both(self.where, self.policy.scope(self.caller, operation)), self.rules.narrowed(self.caller, operation))
        if not self.exists or where == ast.NOTHING:
            return None
        find = ports.Find(self.schema, where, self.caller.readers, timeout_ms=self.app.options.query_timeout_ms)
        return replace(find, **more) if more else find


@dataclass(slots=True)
class Subqueries:
    """How deep a search is in subqueries, and how many it may still ask, nested ones included."""

    depth: int = 0
    left: int = 100


async def prepare(app: App, caller: Caller, class_name: str, options: FindOptions, nested: Subqueries | None = None) -> Search:
    """Everything before the search: may the class be used, what is asked, of which fields, and the subqueries' answers."""
    policy = admit(app, caller, "find", class_name)
    if options.explain and not caller.omnipotent and not app.options.allow_public_explain:
        raise ParseError(Code.INVALID_QUERY, "Using the explain query parameter requires the master key")
    if options.redirect_key:
        await app.classes.sought(class_name, (options.redirect_key,))
        class_name = redirected(app, class_name, options.redirect_key)
        policy = admit(app, caller, "find", class_name)
    names = _named(options)
    known = await app.classes.sought(class_name, names)
    refuse_unknown_class(app, caller, class_name)
    exists, schema, asked = known is not None, known or app.classes.blank(class_name), options.asked or options
    rules = rules_for(app, caller, class_name)
    scope = scope_of(app, caller, schema)
    read_as = "where", schema, scope.max_depth, scope.regex
    where = options.memo.get(read_as)
    if where is None:
        try:
            where = parse_where(options.where, scope)
        except ParseError:
            _refuse_named(rules, caller, asked.where)
            rules.check(caller, "count" if options.limit == 0 and options.count else "find")
            raise
        # A column that is unknown now may be known by the next time.
        if known is not None and knows(known, names) and b"$relativeTime" not in orjson.dumps(options.where):
            options.remember(read_as, where)
    assert isinstance(where, ast.Node)
    own = isinstance(asked.where, dict) and rules.owns(caller, asked.where.get("objectId"))
    if rules.protects and not own and not caller.omnipotent:
        if asked is options:
            refuse_protected(rules, caller, where)
        else:
            _refuse_named(rules, caller, asked.where)
        for name, _ in asked.order:
            rules.refuse_protected(caller, tuple(name.split(".")), "sort by")
    resolved = await resolve(app, caller, policy.rewrite(caller, where), nested or Subqueries())
    for part in where.parts if isinstance(where, ast.And) else (where,):
        if isinstance(part, ast.Text) and exists:
            schema = await app.classes.index_text(class_name, ".".join(part.path))
    settled = resolved is where and not isinstance(where, ast.RelatedTo)
    repeatable = settled and policy is PLAIN and read_as in options.memo and not options.redirect_key
    return Search(app, caller, policy, rules, schema, exists, resolved, options, repeatable)


def _named(options: FindOptions) -> tuple[str, ...]:
    """The columns that a query asks for."""
    names = options.memo.get("names")
    if names is None:
        names = tuple({*columns_in(options.where), *(name for name, _ in options.order if name != "$score")})
        options.remember("names", names)
    assert isinstance(names, tuple)
    return names


def columns_in(where: Json, depth: int = 0) -> Iterator[str]:
    """The keys of a `where` that name columns, as deep as conditions may nest."""
    for key, value in where.items() if isinstance(where, dict) and depth <= DEEPEST else ():
        if key in GROUPS:
            for part in value if isinstance(value, list) else ():
                yield from columns_in(part, depth + 1)
        elif not key.startswith("$"):
            yield key


def scope_of(app: App, caller: Caller, schema: ClassSchema) -> Scope:
    limit = None if caller.omnipotent else app.options.max_query_depth
    regex = caller.omnipotent or app.options.allow_regex
    return Scope(schema.fields, app.clock, max_depth=limit if limit is not None else DEEPEST, regex=regex)


def refuse_protected(rules: Rules, caller: Caller, where: ast.Node) -> None:
    """119 if a condition touches a field that is hidden from the caller."""
    if isinstance(where, (ast.And, ast.Or, ast.Nor)):
        for part in where.parts:
            refuse_protected(rules, caller, part)
    elif isinstance(where, ast.Relates):
        rules.refuse_protected(caller, (where.key,), "query")
    elif not isinstance(where, ast.RelatedTo):
        rules.refuse_protected(caller, where.path, "query")


def _refuse_named(rules: Rules, caller: Caller, where: Json) -> None:
    """The same for a `where` that was not read, or could not be: what may not be asked is refused before how it is asked."""
    for key, value in where.items() if isinstance(where, dict) else ():
        if key in GROUPS:
            for part in value if isinstance(value, list) else ():
                _refuse_named(rules, caller, part)
        else:
            rules.refuse_protected(caller, tuple(key.split(".")), "query")


def redirected(app: App, class_name: str, key: str) -> str:
    """The class that a relation column leads to; the same class for any other column."""
    column = app.classes.known_or_blank(class_name).fields.get(key)
    return column.target if column is not None and column.type == "Relation" and column.target else class_name


async def resolve(app: App, caller: Caller, node: ast.Node, nested: Subqueries) -> ast.Node:
    """The tree without subqueries, and with `$relatedTo` only where the caller may read the owner."""
    if isinstance(node, (ast.And, ast.Or, ast.Nor)):
        if not any(isinstance(p, (ast.And, ast.Or, ast.Nor, ast.Subquery, ast.RelatedTo)) for p in node.parts):
            return node
        parts = tuple([await resolve(app, caller, part, nested) for part in node.parts])
        return type(node)(parts)
    if isinstance(node, ast.Subquery):
        values = await _answers(app, caller, node, nested)
        if node.relation:
            return ast.Relates(node.path[0], tuple(value["objectId"] for value in values), node.negated)
        return ast.NotIn(node.path, values) if node.negated else ast.In(node.path, values)
    if isinstance(node, ast.RelatedTo):
        return node if await _may_follow(app, caller, node) else ast.NOTHING
    return node


async def _answers(app: App, caller: Caller, node: ast.Subquery, nested: Subqueries) -> tuple[Json, ...]:
    nested.left -= 1
    if not caller.omnipotent:
        if nested.depth >= app.options.max_subqueries:
            text = f"Subquery nesting depth exceeds maximum allowed depth of {app.options.max_subqueries}"
            raise ParseError(Code.INVALID_QUERY, text)
        if nested.left < 0:
            raise ParseError(Code.INVALID_QUERY, "The query has too many subqueries")
    options = FindOptions(where=node.where, limit=2**53, redirect_key=node.options if isinstance(node.options, str) else None)
    nested.depth += 1
    search = await prepare(app, caller, node.class_name, options, nested)
    nested.depth -= 1
    path = tuple(node.key.split("."))
    most = None if caller.omnipotent else app.options.max_subquery_results
    if most is not None:
        return await _first_answers(search, node, path, most)
    if node.pointers:
        ids = await _distinct(search, ("objectId",))
        return tuple(pointer(search.schema.name, object_id) for object_id in ids)
    if (search.rules.protects or not search.policy.plain_reads) and not caller.omnipotent:
        plan = search.plan("find")
        shape = Shape(app, caller, search.policy, search.rules, search.schema, options)
        rows = [shape.show(document.body) for document in await app.store.documents.find(plan)] if plan else []
        return tuple(value for value in (_at(row, path) for row in rows) if value is not None)
    return tuple(await _distinct(search, path))


async def _first_answers(search: Search, node: ast.Subquery, path: ast.Path, most: int) -> tuple[Json, ...]:
    """The values of no more than so many objects."""
    plan = search.plan("find", limit=most)
    shape = Shape(search.app, search.caller, search.policy, search.rules, search.schema, search.options)
    rows = [shape.show(document.body) for document in await search.app.store.documents.find(plan)] if plan else []
    if node.pointers:
        return tuple(pointer(search.schema.name, row["objectId"]) for row in rows)
    return tuple(value for value in (_at(row, path) for row in rows) if value is not None)


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
    schema = await app.classes.sought(node.class_name)
    rules = rules_for(app, caller, node.class_name)
    rules.refuse_protected(caller, tuple(node.key.split(".")), "query")
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
