"""One call in the worker: from what the server sends to the request that a handler is given, and back."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from mbaas.kernel.values import Json
from mbaas.kernel.values import Object as Body
from mbaas_functions.cloud import requests, validators
from mbaas_functions.cloud.calls import current
from mbaas_functions.cloud.definitions import Definition
from mbaas_functions.cloud.errors import Error
from mbaas_functions.cloud.objects import Object, User, from_json
from mbaas_functions.cloud.query import Query
from mbaas_functions.cloud.values import IN_PARAMS, File, decode, encode
from mbaas_functions.kinds import FUNCTION, HTTP, JOB, PROVIDER

MOST_ANSWER = 10 * 1024 * 1024
"""Bytes of what an endpoint answers."""


async def invoke(definition: Definition, given: Body, seconds: float) -> Body:
    """Check the rules, run the handler; what the server is to know of it."""
    prepare, tell = _KINDS.get(definition.kind, (_trigger, _nothing))
    request = prepare(definition, given, _who(given, seconds))
    await validators.check(definition.rules, request)
    arguments = (request.auth_data, request.options, request) if isinstance(request, requests.AuthRequest) else (request,)
    value = await run(definition, *arguments)
    return await tell(request, value)


async def run(definition: Definition, *arguments: Any) -> Any:
    """Call a handler: a coroutine on the loop, a plain function in a thread, from where it may await nothing."""
    if definition.is_async:
        return await definition.handler(*arguments)
    context = copy_context()
    result = await asyncio.get_running_loop().run_in_executor(None, context.run, definition.handler, *arguments)
    return await result if isinstance(result, Awaitable) else result


def _who(given: Body, seconds: float) -> dict[str, Any]:
    user = from_json(given["user"], "_User") if given.get("user") else None
    current().context = given.get("context") or {}
    return {
        "master": given.get("master", False),
        "user": user if isinstance(user, User) else None,
        "roles": frozenset(given.get("roles") or ()),
        "installation_id": given.get("installationId"),
        "ip": given.get("ip", ""),
        "headers": given.get("headers") or {},
        "context": current().context,
        "deadline": datetime.now(UTC) + timedelta(seconds=seconds),
    }


def _function(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    return requests.FunctionRequest(function_name=definition.name, params=decode(given["params"], IN_PARAMS), **who)


def _job(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    return requests.JobRequest(job_name=definition.name, job_id=given["jobId"], params=decode(given["params"], IN_PARAMS), **who)


def _trigger(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    class_name = given["className"]
    made = from_json(given["object"], class_name).meant(given.get("body") or {})
    original = from_json(given["original"], class_name) if given.get("original") else None
    name = _NAMES.get(definition.kind, definition.kind)
    return requests.TriggerRequest(trigger_name=name, object=made, original=original, **who)


def _query(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    class_name = given["className"]
    query = Query(class_name).with_json(given["query"])
    found = [from_json(body, body.get("className") or class_name) for body in given.get("objects") or ()]
    own = {"query": query, "count": given.get("count", False), "is_get": given.get("isGet", False), "objects": found}
    return requests.QueryRequest(trigger_name=definition.kind, **own, **who)


def _file(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    file, headers = File.from_trigger(given["file"]), given.get("headers") or {}
    return requests.FileRequest(trigger_name=definition.kind, file=file, file_size=given.get("fileSize"), response_headers=headers, **who)


def _connect(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    counts = {"clients": given["clients"], "subscriptions": given["subscriptions"]}
    return requests.ConnectRequest(trigger_name=definition.kind, client_id=given["clientId"], **counts, **who)


def _event(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    class_name = given["className"]
    original = from_json(given["original"], class_name) if given.get("original") else None
    counts = {"clients": given["clients"], "subscriptions": given["subscriptions"]}
    own = {"event": given["event"], "object": from_json(given["object"], class_name), "original": original, **counts}
    return requests.EventRequest(trigger_name=definition.kind, **own, **who)


def _http(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    own = {"method": given["method"], "path": given["path"], "params": given["params"], "query": given["query"]}
    return requests.HttpRequest(body=base64.b64decode(given["body"]), **own, **who)


def _provider(definition: Definition, given: Body, who: dict[str, Any]) -> requests.Request:
    user = from_json(given["object"], "_User") if given.get("object") else None
    own = {"auth_data": given["authData"], "options": given["options"], "object": user}
    return requests.AuthRequest(provider=definition.name, **own, **who)


async def _result(request: requests.Request, value: Any) -> Body:
    return {} if value is None else {"result": encode(value, frozenset())}


async def _answered(request: requests.Request, value: Any) -> Body:
    answer = value if isinstance(value, requests.Response) else requests.Response(204 if value is None else 200, {}, value)
    body, kind = answer.body, "application/json; charset=utf-8"
    if body is None:
        data, kind = b"", ""
    elif isinstance(body, str):
        data, kind = body.encode(), "text/plain; charset=utf-8"
    elif isinstance(body, (bytes, bytearray)):
        data, kind = bytes(body), "application/octet-stream"
    else:
        data = orjson.dumps(encode(body, frozenset()))
    if len(data) > MOST_ANSWER:
        raise Error(f"an answer has no more than {MOST_ANSWER // 1024 // 1024} MB", code=116)
    headers = {str(name).lower(): str(text) for name, text in answer.headers.items()}
    headers = {"content-type": kind, **headers} if kind else headers
    return {"status": answer.status, "headers": headers, "base64": base64.b64encode(data).decode()}


async def _message(request: requests.Request, value: Any) -> Body:
    return {"message": str(value) if isinstance(value, (str, int, float)) else None}


async def _nothing(request: requests.Request, value: Any) -> Body:
    return {"context": request.context}


async def _changed(request: requests.Request, value: Any) -> Body:
    assert isinstance(request, requests.TriggerRequest)
    return {"body": request.object.changes(), "context": request.context}


async def _after(request: requests.Request, value: Any) -> Body:
    assert isinstance(request, requests.TriggerRequest)
    answer = value.to_json() if isinstance(value, Object) else encode(value) if isinstance(value, dict) else None
    return {"body": request.object.changes(), "context": request.context, "answer": answer}


async def _asked(request: requests.Request, value: Any) -> Body:
    assert isinstance(request, requests.QueryRequest)
    query = value if isinstance(value, Query) else request.query
    answer: Body = {"query": query.to_json(), "context": request.context}
    if isinstance(value, Object):
        value = [value]
    if isinstance(value, (list, tuple)) and all(isinstance(one, Object) for one in value):
        answer["objects"] = [one.to_json(frozenset()) for one in value]
    return answer


async def _found(request: requests.Request, value: Any) -> Body:
    assert isinstance(request, requests.QueryRequest)
    shown = request.objects if value is None else value
    if not isinstance(shown, (list, tuple)):
        raise Error("after_find returns a list of objects, or nothing", code=141)
    return {"objects": [{**_shown(one), "className": request.query.class_name} for one in shown]}


async def _filed(request: requests.Request, value: Any) -> Body:
    assert isinstance(request, requests.FileRequest)
    file = value if isinstance(value, File) else request.file
    told: Body = {"file": file.described(), "forceDownload": bool(request.force_download)}
    told["headers"] = {str(name): str(text) for name, text in request.response_headers.items()}
    if file is not request.file:
        told["file"]["url"] = file.url
        if request.trigger_name == "beforeSaveFile" and file.url is None and file.data is None:
            raise Error("a file to be saved needs data", code=130)
    return {"context": request.context, "answer": told}


async def _sent(request: requests.Request, value: Any) -> Body:
    assert isinstance(request, requests.EventRequest)
    told: Body = {"sendEvent": bool(request.send_event), "object": _shown(request.object)}
    return {"context": request.context, "answer": {**told, "original": request.original and _shown(request.original)}}


def _shown(one: Any) -> Json:
    return one.to_json(frozenset()) if isinstance(one, Object) else encode(one)


Prepare = Callable[[Definition, Body, dict[str, Any]], requests.Request]
Tell = Callable[[requests.Request, Any], Awaitable[Body]]
_KINDS: dict[str, tuple[Prepare, Tell]] = {
    FUNCTION: (_function, _result),
    JOB: (_job, _message),
    HTTP: (_http, _answered),
    PROVIDER: (_provider, _nothing),
    "beforeSave": (_trigger, _changed),
    "afterSave": (_trigger, _after),
    "beforeFind": (_query, _asked),
    "durableAfterSave": (_trigger, _nothing),
    "durableAfterDelete": (_trigger, _nothing),
    "afterFind": (_query, _found),
    "beforeConnect": (_connect, _nothing),
    "beforeSubscribe": (_query, _asked),
    "afterEvent": (_event, _sent),
    "beforeSaveFile": (_file, _filed),
    "afterSaveFile": (_file, _nothing),
    "beforeDeleteFile": (_file, _nothing),
    "afterDeleteFile": (_file, _nothing),
    "beforeFindFile": (_file, _filed),
    "afterFindFile": (_file, _filed),
}
_NAMES = {"durableAfterSave": "afterSave", "durableAfterDelete": "afterDelete"}
FAILS: dict[str, int] = {"beforeSaveFile": 130, "afterSaveFile": 130, "beforeDeleteFile": 153, "afterDeleteFile": 153}
"""The code of an error that has none, for kinds with one of their own."""
