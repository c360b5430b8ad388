"""Webhooks: declaring functions and triggers that are a POST to a URL."""

from __future__ import annotations

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.wire.request import Request
from mbaas.wire.routes import Route
from mbaas_functions.hooks import Hooks, Key, function_key, trigger_key
from mbaas_functions.room import functions_of


def _hooks(request: Request) -> Hooks:
    return functions_of(request.app).hooks


async def functions(request: Request) -> Json:
    """Webhooks of functions."""
    return _hooks(request).functions()


async def triggers(request: Request) -> Json:
    """Webhooks of triggers."""
    return _hooks(request).triggers()


async def function(request: Request) -> Json:
    """One webhook of a function."""
    return _hooks(request).get(function_key(request.params[0]))


async def trigger(request: Request) -> Json:
    """One webhook of a trigger."""
    return _hooks(request).get(trigger_key(*request.params))


async def declare(request: Request) -> Json:
    """Declare a webhook."""
    return await _hooks(request).declare(request.object())


async def change_function(request: Request) -> Json:
    """Give a function's webhook another URL, or take it away."""
    name = request.params[0]
    return await _change(request, function_key(name), {"functionName": name})


async def change_trigger(request: Request) -> Json:
    """Give a trigger's webhook another URL, or take it away."""
    class_name, kind = request.params
    return await _change(request, trigger_key(class_name, kind), {"className": class_name, "triggerName": kind})


async def _change(request: Request, key: Key, named: Object) -> Json:
    body = request.object()
    if body.get("__op") == "Delete":
        await _hooks(request).delete(key)
        return {}
    if not body.get("url"):
        raise ParseError(Code.WEBHOOK_ERROR, "invalid hook declaration")
    return await _hooks(request).change({**named, "url": body["url"]})


_FUNCTION, _TRIGGER = "/hooks/functions/:functionName", "/hooks/triggers/:className/:triggerName"

ROUTES = (
    Route("GET", "/hooks/functions", functions, "Webhooks of functions", "hooks", master=True),
    Route("GET", _FUNCTION, function, "One webhook of a function", "hooks", master=True),
    Route("GET", "/hooks/triggers", triggers, "Webhooks of triggers", "hooks", master=True),
    Route("GET", _TRIGGER, trigger, "One webhook of a trigger", "hooks", master=True),
    Route("POST", "/hooks/functions", declare, "Declare a function's webhook", "hooks", master=True, read_only="create a hook"),
    Route("POST", "/hooks/triggers", declare, "Declare a trigger's webhook", "hooks", master=True, read_only="create a hook"),
    Route("PUT", _FUNCTION, change_function, "Change or delete a webhook", "hooks", master=True, read_only="modify a hook"),
    Route("PUT", _TRIGGER, change_trigger, "Change or delete a webhook", "hooks", master=True, read_only="modify a hook"),
)
