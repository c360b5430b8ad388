"""Jobs: started by the master key or a schedule, done in the background by one process at a time, told of in `_JobStatus`.

A job is a task of a durable queue. What it came to is written under the task's fence before `_JobStatus` tells it, so that a
process that lost the job tells nothing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import EVERYTHING
from mbaas.data.policies import Saved
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Duplicate, MbaasError, ParseError
from mbaas.kernel.values import Json, Object, date
from mbaas.storage.ports import Step

STATUS, SCHEDULE = "_JobStatus", "_JobSchedule"
_TABLE = "jobs"
_ATTEMPTS = 3
"""How often a job is begun whose process dies."""

RunJob = Callable[[str, Object, str, Callable[[str], Awaitable[None]]], Awaitable[Json]]
"""Runs a job by its name with params and id; what it says on its way is handed over. What it returned."""


class Jobs:
    """The jobs of one app."""

    def __init__(self, app: App, run: RunJob) -> None:
        self._app, self._run = app, run
        self._queue = Queue(app, _TABLE, self._work)

    def start(self) -> None:
        """Begin to run jobs, those that another process left included."""
        self._queue.start()

    async def close(self) -> None:
        """Stop; what runs is run again by another process, or after the next start."""
        await self._queue.close()

    async def put(self, name: str, params: Object, source: str = "api", beside: Sequence[Step] = ()) -> str:
        """Have a job run, unless a step `beside` it refuses; the id of its `_JobStatus`."""
        value: Object = {"name": name, "params": params, "source": source, "jobId": self._app.ids.object_id(), "attempts": 0}
        if await self._queue.put(value["jobId"], value, beside=beside):
            await self._begin(value)
        return str(value["jobId"])

    async def _begin(self, value: Object) -> None:
        fields: Object = {"jobName": value["name"], "params": value["params"], "source": value["source"], "status": "running", "ACL": {}}
        schema = self._app.classes.known_or_blank(STATUS)
        if await self._app.store.documents.get(schema, value["jobId"]) is None:
            with suppress(Duplicate):
                await objects.create(self._app, MASTER, STATUS, fields, object_id=value["jobId"])

    async def _work(self, task: Task) -> int | None:
        value = task.value
        await self._begin(value)
        if "ended" not in value:
            value = {**value, "attempts": value["attempts"] + 1}
            await task.keep(value)
            ended = await self._run_once(value) if value["attempts"] <= _ATTEMPTS else _failed("The server ended each time the job ran.")
            value = {**value, "ended": {**ended, "finishedAt": date(self._app.clock.now())}}
            await task.keep(value)
        await self._tell(value["jobId"], value["ended"])
        return None

    async def _run_once(self, value: Object) -> Object:
        async def said(text: str) -> None:
            await self._tell(value["jobId"], {"message": text})

        try:
            message = await self._run(value["name"], value["params"], value["jobId"], said)
        except MbaasError as error:
            return _failed(error.message)
        return {"status": "succeeded", **({"message": message} if message is not None else {})}

    async def _tell(self, job_id: str, fields: Object) -> None:
        with suppress(ParseError):
            # Its row may have been deleted meanwhile.
            await objects.update(self._app, MASTER, STATUS, job_id, fields)


def _failed(message: str) -> Object:
    return {"status": "failed", "message": message}


async def schedules(app: App) -> list[Object]:
    """The jobs that are scheduled in Parse Dashboard. As with Parse Server, another program runs them; code schedules itself."""
    return await find_objects(app, MASTER, SCHEDULE, EVERYTHING)


async def schedule(app: App, given: Json, known: bool) -> Saved:
    """Schedule a job, from now on unless it says otherwise."""
    return await objects.create(app, MASTER, SCHEDULE, _schedule(app, given, known))


async def reschedule(app: App, object_id: str, given: Json, known: bool) -> Object:
    """Change what is scheduled."""
    return (await objects.update(app, MASTER, SCHEDULE, object_id, _schedule(app, given, known))).answer


async def unschedule(app: App, object_id: str) -> None:
    """Schedule it no longer."""
    await objects.delete(app, MASTER, SCHEDULE, object_id)


def _schedule(app: App, given: Json, known: bool) -> Object:
    if not isinstance(given, dict):
        raise ParseError(Code.INVALID_JSON, "job_schedule must be an object.")
    if not known:
        raise ParseError(Code.SCRIPT_FAILED, "Cannot Schedule a job that is not deployed")
    return {"startAfter": iso(app.clock.now()), **given}
