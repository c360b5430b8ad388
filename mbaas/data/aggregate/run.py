"""`/aggregate`: a pipeline or a `distinct` over a class, for the master key.

The documents are read page by page and the pipeline runs in a thread, so that no aggregate holds up the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mbaas.data.aggregate import stages
from mbaas.data.aggregate.expressions import wrong
from mbaas.data.aggregate.values import enter, enter_raw, instant, leave, leave_raw
from mbaas.data.app import App
from mbaas.data.policies import Policy
from mbaas.data.search import columns_in
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, read_json
from mbaas.query.ast import EVERYTHING, NOTHING, And, Exists, Node, Path
from mbaas.query.parse import Scope, parse_where
from mbaas.storage.ports import Find

_OPTIONS = frozenset({"hint", "explain", "comment", "readPreference", "rawValues", "rawFieldNames", "distinct", "where", "pipeline"})


async def aggregate(app: App, caller: Caller, class_name: str, arguments: Object) -> Object:
    """`{"results": […]}` of a pipeline (a list of stages, or stages as keys), or the distinct values of a column."""
    if caller.read_only and not app.options.read_only_aggregation:
        raise ParseError(Code.OPERATION_FORBIDDEN, "Cannot run an aggregation pipeline when using the readOnlyMasterKey")
    pipeline = _pipeline(arguments)
    policy = app.policy(class_name)
    where = policy.rewrite(caller, await _where(app, class_name, arguments.get("where")))
    schema = await app.classes.sought(class_name)
    now = app.clock.now()
    if schema is None:
        with _computed():
            stages.compile_stages(pipeline, instant(now), {})
        return {"results": []}
    if arguments.get("distinct"):
        path = tuple(str(arguments["distinct"]).split("."))
        plan = Find(schema, where, timeout_ms=app.options.query_timeout_ms)
        if policy.rewrite(caller, Exists(path, True)) == NOTHING:
            return {"results": []}
        found = await app.store.documents.distinct(plan, path)
        return {"results": found if policy.plain_reads else [_revealed(policy, caller, path, each) for each in found]}
    if arguments.get("explain"):
        return {"results": await app.store.documents.explain(Find(schema, where))}
    extended = _chosen(arguments, "rawValues", app.options.aggregation_raw_values)
    names = _chosen(arguments, "rawFieldNames", app.options.aggregation_raw_field_names)
    taken = enter_raw if names else enter
    others = {name: await _documents(app, caller, _class_of(app, name), EVERYTHING, taken) for name in stages.looked_up(pipeline)}
    documents = await _documents(app, caller, class_name, where, taken)
    with _computed():
        found = await asyncio.to_thread(stages.run, pipeline, documents, instant(now), others)
        if extended or names:
            return {"results": [leave_raw(row, extended=extended, names=names) for row in found]}
        return {"results": [{k: v for k, v in leave(row).items() if not k.startswith("_")} for row in found]}


def _revealed(policy: Policy, caller: Caller, path: Path, value: Json) -> Json:
    """The value at a path as the caller sees it in an object."""
    for name in reversed(path):
        value = {name: value}
    value = policy.reveal(caller, value)
    for name in path:
        value = value[name]
    return value


@contextmanager
def _computed() -> Iterator[None]:
    """An argument or a value that a stage has no use for is the pipeline's mistake (102), not the server's."""
    try:
        yield
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RecursionError) as error:
        raise wrong("the pipeline holds an argument, or meets a value, that cannot be computed with") from error


def _chosen(arguments: Object, name: str, default: bool) -> bool:
    given = arguments.get(name)
    return given if isinstance(given, bool) else default


def _class_of(app: App, collection: str) -> str:
    """The class that `$lookup` means: pipelines written for Parse Server name the collection, with its prefix."""
    return collection.removeprefix(app.options.collection_prefix)


async def _documents(app: App, caller: Caller, class_name: str, where: Node, taken: Callable[[Object], dict[str, Any]]) -> stages.Documents:
    schema = await app.classes.sought(class_name)
    if schema is None:
        return []
    plan = Find(schema, where, timeout_ms=app.options.query_timeout_ms)
    found = [document.body async for document in app.store.documents.scan(plan)]
    # The store hands them out by id; where a pipeline does not sort, clients expect the order in which objects were made.
    found.sort(key=lambda body: str(body.get("createdAt", "")))
    policy = app.policy(class_name)
    return [taken(body if policy.plain_reads else policy.reveal(caller, dict(body))) for body in found]


async def _where(app: App, class_name: str, given: Json) -> Node:
    if isinstance(given, str):
        try:
            given = read_json(given)
        except ValueError:
            given = []
    if given is None:
        return And()
    schema = await app.classes.sought(class_name, columns_in(given)) or app.classes.blank(class_name)
    return parse_where(given, Scope(schema.fields, app.clock))


def _pipeline(arguments: Object) -> list[Object]:
    """The stages, checked as Parse Server checks them before its database does."""
    given: Json = arguments.get("pipeline")
    if given is None:
        given = {k: v for k, v in arguments.items() if k not in _OPTIONS}
    if isinstance(given, str):
        given = dict(enumerate(given))
    if isinstance(given, dict):
        given = [{str(name): argument} for name, argument in given.items()]
    if not isinstance(given, list):
        raise ParseError(Code.INVALID_QUERY, "The pipeline should be a list of stages.")
    for stage in given:
        if not isinstance(stage, dict):
            raise ParseError(Code.INVALID_QUERY, "A pipeline stage should be an object.")
        if len(stage) != 1:
            raise ParseError(Code.INVALID_QUERY, f"Pipeline stages should only have one key but found {', '.join(stage)}.")
        _check(*next(iter(stage.items())))
    return given


def _check(name: str, argument: Json) -> None:
    if not name.startswith("$"):
        raise ParseError(Code.INVALID_QUERY, f"Invalid aggregate stage '{name}'.")
    if name == "$group" and isinstance(argument, dict):
        if "objectId" in argument:
            raise ParseError(Code.INVALID_QUERY, "Cannot use 'objectId' in aggregation stage $group.")
        if "_id" not in argument:
            raise ParseError(Code.INVALID_QUERY, "Invalid parameter for query: group. Missing key _id")
