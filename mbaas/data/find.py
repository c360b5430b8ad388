"""Find and get: the search and its answer.

Where nothing is to be changed per object, answers are the stored bytes; otherwise objects are decoded, shaped
(`shape.py`) and their pointers followed (`include.py`).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import orjson

from mbaas.data import triggers
from mbaas.data.admission import admit, refuse_unknown_class, rules_for
from mbaas.data.app import App
from mbaas.data.classes import field_name_is_valid
from mbaas.data.include import include
from mbaas.data.options import EVERYTHING, FindOptions
from mbaas.data.search import Search, prepare
from mbaas.data.shape import Shape
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError, not_found
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, Object
from mbaas.query import ast
from mbaas.storage import ports


async def find(app: App, caller: Caller, class_name: str, options: FindOptions) -> bytes:
    """The JSON answer of a find: `{"results": […]}`, with `count` if asked for."""
    if triggers.on_find(app, class_name):
        return await _find_triggered(app, caller, class_name, options)
    made = options.memo.get((app.classes.get(class_name), caller.readers))
    if isinstance(made, ports.Find) and caller.shared is None:
        rows = await app.store.documents.find_raw(made)
        if app.classes.get(class_name) is made.schema:
            return b'{"results":[%b]}' % b",".join(rows)
    while True:
        search = await prepare(app, caller, class_name, options)
        answer = await _answer(search)
        if not search.outdated:
            return answer


async def _answer(search: Search) -> bytes:
    app, options = search.app, search.options
    if options.explain:
        return orjson.dumps({"results": await _explain(search)})
    rows = await _rows(search)
    answer = b'{"results":[' + b",".join(rows) + b"]"
    if options.count:
        counted = search.plan("count")
        total = await app.store.documents.count(counted) if counted else 0
        answer += b',"count":%d' % total
    return answer + b"}"


async def get(app: App, caller: Caller, class_name: str, object_id: str, options: FindOptions = EVERYTHING) -> bytes:
    """The JSON of one object; 101 if there is none that the caller may read."""
    policy = admit(app, caller, "get", class_name)
    if triggers.on_find(app, class_name):
        return await _get_triggered(app, caller, class_name, object_id, options)
    schema = app.classes.get(class_name) or await app.classes.latest(class_name)
    if schema is None:
        refuse_unknown_class(app, caller, class_name)
        raise not_found()
    rules = rules_for(app, caller, class_name)
    if rules.is_open("get") and rules.stored_is_answer and policy.plain_reads and not options.shapes:
        raw = await app.store.documents.get_raw(schema, object_id, caller.readers)
        if raw is None:
            raise not_found()
        if app.classes.get(class_name) is schema:
            return raw
        return await get(app, caller, class_name, object_id, options)
    body = await get_object(app, caller, class_name, object_id, options)
    return orjson.dumps(policy.single(caller, body))


async def _find_triggered(app: App, caller: Caller, class_name: str, options: FindOptions) -> bytes:
    caller, options, rows = await triggers.before_find(app, caller, class_name, options)
    if options.explain:
        return await _answer(await prepare(app, caller, class_name, options))
    if rows is None:
        rows = await find_objects(app, caller, class_name, options)
    answer: Object = {"results": await _after_find(app, caller, class_name, options, rows)}
    if options.count:
        counted = (await prepare(app, caller, class_name, options)).plan("count")
        answer["count"] = await app.store.documents.count(counted) if counted else 0
    return orjson.dumps(answer)


async def _get_triggered(app: App, caller: Caller, class_name: str, object_id: str, options: FindOptions) -> bytes:
    options = replace(options, where={"objectId": object_id}, memo={})
    caller, options, rows = await triggers.before_find(app, caller, class_name, options, get=True)
    if rows is None:
        rows = await find_objects(app, caller, class_name, replace(options, limit=1), "get")
    shown = await _after_find(app, caller, class_name, options, rows)
    if not shown:
        raise not_found()
    return orjson.dumps(app.policy(class_name).single(caller, shown[0]))


async def _after_find(app: App, caller: Caller, class_name: str, options: FindOptions, rows: list[Object]) -> list[Json]:
    """What the trigger makes of the objects found; of that a partner gets what is shared with it, whatever the app's own code adds."""
    made = await triggers.after_find(app, caller, class_name, options, rows)
    if caller.shared is None:
        return made
    rules = rules_for(app, caller, class_name)
    return [{name: value for name, value in row.items() if rules.shares(name)} for row in made if isinstance(row, dict)]


async def get_object(app: App, caller: Caller, class_name: str, object_id: str, options: FindOptions = EVERYTHING) -> Object:
    """One object as the caller may see it; 101 if there is none."""
    policy = admit(app, caller, "get", class_name)
    exists = await app.classes.sought(class_name) is not None
    rules, schema, where = rules_for(app, caller, class_name), app.classes.known_or_blank(class_name), ast.Equals(("objectId",), object_id)
    search = Search(app, caller, policy, rules, schema, exists, where, options)
    shape = _shape(search)
    plan = search.plan("get", limit=1)
    found = await app.store.documents.find(plan) if plan else []
    if search.outdated:
        return await get_object(app, caller, class_name, object_id, options)
    if not found:
        raise not_found()
    return (await _shaped(search, [_seen(search, found[0])], shape))[0]


async def find_objects(app: App, caller: Caller, class_name: str, options: FindOptions, operation: str | None = None) -> list[Object]:
    """The objects of a find as the caller may see them, decoded."""
    while True:
        search = await prepare(app, caller, class_name, options)
        found = await _objects(search, operation or _operation(search))
        if not search.outdated:
            return found


def order_of(schema: ClassSchema, options: FindOptions, caller: Caller) -> tuple[tuple[ast.Path, bool], ...]:
    """The order that the store is asked for: columns of the class, and `$score`. Raises 105 for a name that cannot be one."""
    made: list[tuple[ast.Path, bool]] = []
    for name, descending in options.order:
        path = tuple(name.split("."))
        if name == "$score":
            made.append((path, True))
            continue
        if not field_name_is_valid(path[0]):
            raise ParseError(Code.INVALID_KEY_NAME, f"Invalid field name: {name}.")
        if path[0] == "authData" and not caller.omnipotent:
            raise ParseError(Code.INVALID_KEY_NAME, f"Cannot sort by {name}")
        if path[0] in schema.fields:
            made.append((path, descending))
    return tuple(made)


def _operation(search: Search) -> str:
    """Parse asks the `get` permission for a find by nothing but an id."""
    where = search.options.where
    return "get" if len(where) == 1 and isinstance(where.get("objectId"), str) else "find"


def _limit(search: Search) -> int:
    options, wanted = search.app.options, search.options.limit
    limit = options.default_limit if wanted is None else wanted
    return min(limit, options.max_limit) if options.max_limit else limit


def _page(search: Search, operation: str) -> ports.Find | None:
    if search.options.limit == 0:
        return None
    order = order_of(search.schema, search.options, search.caller)
    return search.plan(operation, order=order, limit=_limit(search), skip=search.options.skip, hint=search.options.hint)


async def _rows(search: Search) -> list[bytes]:
    rules, options = search.rules, search.options
    operation = _operation(search)
    if operation == "get":
        rules.check(search.caller, operation)
        if rules.narrowed(search.caller, operation) == ast.NOTHING:
            raise not_found()
    if rules.stored_is_answer and search.policy.plain_reads and not options.shapes:
        page = _page(search, operation)
        if page and search.repeatable and rules.is_open(operation) and not options.count:
            # Every check of it depends on the class's definition and the caller's principals alone.
            options.remember((page.schema, page.readers), page)
        return await search.app.store.documents.find_raw(page) if page else []
    return [orjson.dumps(body) for body in await _objects(search, operation)]


async def _objects(search: Search, operation: str) -> list[Object]:
    page = _page(search, operation)
    found = await search.app.store.documents.find(page) if page else []
    return await _shaped(search, [_seen(search, document) for document in found], _shape(search))


def _seen(search: Search, document: ports.Document) -> Object:
    private = search.policy.private(search.caller, document.hidden) if document.hidden else None
    return {**document.body, **private} if private else document.body


def _shape(search: Search) -> Shape:
    return Shape(search.app, search.caller, search.policy, search.rules, search.schema, search.options)


async def _shaped(search: Search, bodies: list[Object], shape: Shape) -> list[Object]:
    shown = [shape.show(body) for body in bodies]
    if shape.include:
        fetch = partial(find_objects, search.app, search.caller, operation="get")
        await include(shown, shape.include, search.options, fetch)
    return shown


async def _explain(search: Search) -> Object:
    page = _page(search, "find")
    return await search.app.store.documents.explain(page) if page else {}
