"""What a worker may ask of the server: the use-cases that clients reach over REST, in the name of the call that asks.

A worker holds no key: `master` is granted because the code is the app's own, and every question names a call that is running.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial

import orjson

from mbaas.data import config, files, find, objects
from mbaas.data.aggregate.run import aggregate
from mbaas.data.app import App
from mbaas.data.commit import RequestUnit, all_or_none
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, MbaasError, ParseError, forbidden
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas_functions.process import Call, Process

Use = Callable[["Answers", Caller, Object], Awaitable[Json]]


class Answers:
    """Answers the questions of one app's workers."""

    def __init__(self, app: App, run: Callable[[str, Caller, Object], Awaitable[Object]]) -> None:
        """`run` calls a function of the app."""
        self._app, self._run_function = app, run
        self._running: set[asyncio.Task[None]] = set()

    def take(self, worker: Process, call: Call, question: Object) -> None:
        """Answer a question in a task of its own."""
        task = asyncio.get_running_loop().create_task(self._answer(worker, call, question))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, worker: Process, call: Call, question: Object) -> None:
        answer: Object
        try:
            answer = {"value": await self._do(worker, call, question)}
        except ParseError as error:
            answer = {"refused": {"code": error.code, "message": error.message}}
        except MbaasError as error:
            answer = {"refused": {"code": int(Code.OPERATION_FORBIDDEN), "message": error.message}}
        except Exception:
            get_logger("mbaas.functions").exception("a function's question failed", function=call.title, question=question.get("operation"))
            answer = {"refused": {"code": int(Code.INTERNAL_SERVER_ERROR), "message": "Internal server error."}}
        try:
            worker.answer(question["ask"], answer)
        except (TypeError, ValueError) as error:
            worker.answer(
                question["ask"], {"refused": {"code": int(Code.OBJECT_TOO_LARGE), "message": f"The answer cannot be sent: {error}"}}
            )

    async def _do(self, worker: Process, call: Call, question: Object) -> Json:
        operation = question.get("operation")
        if operation == "message" and call.message is not None:
            await call.message(str(question.get("text")))
            return None
        use = _USES.get(operation) if isinstance(operation, str) else None
        if use is None:
            raise ParseError(Code.COMMAND_UNAVAILABLE, f"The server cannot be asked for {operation!r}.")
        caller = replace(call.caller, depth=call.caller.depth + 1, unit=None, context=question.get("context") or {}, within=worker)
        if self._app.store.behind:
            await self._app.catch_up()
        return await use(self, caller.as_master() if question.get("master") else caller, question)

    async def _save(self, caller: Caller, asked: Object) -> Json:
        app, class_name, body = self._app, asked["className"], asked["body"]
        if asked.get("objectId") is None:
            saved = await objects.create(app, caller, class_name, body)
            return {"updatedAt": saved.answer.get("createdAt"), **saved.answer}
        return (await objects.update(app, caller, class_name, asked["objectId"], body)).answer

    async def _destroy(self, caller: Caller, asked: Object) -> Json:
        await objects.delete(self._app, caller, asked["className"], asked["objectId"])

    async def _new_id(self, caller: Caller, asked: Object) -> Json:
        return self._app.ids.object_id(self._app.options.object_id_size)

    async def _commit(self, caller: Caller, asked: Object) -> Json:
        return await all_or_none(self._app, [partial(self._write, caller, wanted) for wanted in asked["writes"]])

    async def _write(self, caller: Caller, wanted: Object, unit: RequestUnit) -> Object:
        """One object of a transaction."""
        app, class_name, object_id, body = self._app, wanted["className"], str(wanted["objectId"]), wanted["body"]
        caller = replace(caller.as_master() if wanted["master"] else caller, context=wanted["context"], unit=unit)
        if body is None:
            await objects.delete(app, caller, class_name, object_id)
            return {}
        if not wanted["new"]:
            return (await objects.update(app, caller, class_name, object_id, body)).answer
        if not object_id.isalnum() or len(object_id) != app.options.object_id_size:
            raise ParseError(Code.INVALID_KEY_NAME, "the id of a new object is the server's to give")
        saved = await objects.create(app, caller, class_name, body, object_id=object_id)
        return {"updatedAt": saved.answer.get("createdAt"), **saved.answer}

    async def _get(self, caller: Caller, asked: Object) -> Json:
        options = FindOptions.parse_get({"include": asked["include"]} if asked.get("include") else {})
        return orjson.loads(await find.get(self._app, caller, asked["className"], asked["objectId"], options))

    async def _find(self, caller: Caller, asked: Object) -> Json:
        found = await find.find(self._app, caller, asked["className"], FindOptions.parse(asked["query"]))
        return orjson.loads(found)["results"]

    async def _count(self, caller: Caller, asked: Object) -> Json:
        query = {**asked["query"], "count": 1, "limit": 0}
        found = await find.find(self._app, caller, asked["className"], FindOptions.parse(query))
        return orjson.loads(found)["count"]

    async def _distinct(self, caller: Caller, asked: Object) -> Json:
        arguments = {"distinct": asked["field"], "where": asked["query"].get("where") or {}}
        return await self._aggregated(caller, asked, arguments)

    async def _aggregate(self, caller: Caller, asked: Object) -> Json:
        return await self._aggregated(caller, asked, {"pipeline": asked["pipeline"]})

    async def _aggregated(self, caller: Caller, asked: Object, arguments: Object) -> Json:
        _master_only(caller)
        return (await aggregate(self._app, caller, asked["className"], arguments))["results"]

    async def _run(self, caller: Caller, asked: Object) -> Json:
        return (await self._run_function(asked["name"], caller, asked["params"])).get("result")

    async def _config(self, caller: Caller, asked: Object) -> Json:
        return (await config.read(self._app, caller))["params"]

    async def _save_file(self, caller: Caller, asked: Object) -> Json:
        try:
            data = base64.b64decode(asked["base64"], validate=True)
        except binascii.Error as error:
            raise ParseError(Code.FILE_SAVE_ERROR, "the data is not base64") from error
        beside = asked.get("metadata"), asked.get("tags"), asked.get("directory")
        return await files.upload(self._app, caller, files.Upload(asked["name"], asked.get("contentType") or "", _once(data), *beside))

    async def _file_data(self, caller: Caller, asked: Object) -> Json:
        size, data = await files.part(self._app, caller, asked["name"], asked.get("key"), asked["start"])
        return {"size": size, "base64": base64.b64encode(data).decode()}

    async def _delete_file(self, caller: Caller, asked: Object) -> Json:
        _master_only(caller)
        await files.delete(self._app, caller, asked["name"])

    async def _push(self, caller: Caller, asked: Object) -> Json:
        _master_only(caller)
        return await self._app.pushes.send(caller, asked["body"])

    async def _moment(self, caller: Caller, asked: Object) -> Json:
        _master_only(caller)
        return await self._app.moments.fire(str(asked["key"]), asked["body"])


def _master_only(caller: Caller) -> None:
    if not caller.master:
        raise forbidden("master key is required")


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


_USES: dict[str, Use] = {
    "save": Answers._save,
    "destroy": Answers._destroy,
    "get": Answers._get,
    "find": Answers._find,
    "count": Answers._count,
    "distinct": Answers._distinct,
    "aggregate": Answers._aggregate,
    "run": Answers._run,
    "config": Answers._config,
    "saveFile": Answers._save_file,
    "deleteFile": Answers._delete_file,
    "push": Answers._push,
    "moment": Answers._moment,
    "newId": Answers._new_id,
    "commit": Answers._commit,
    "fileData": Answers._file_data,
}
