"""Jobs: started by the master key or a schedule, done in the background by one process at a time, told of in `_JobStatus`.

A job is a task of a durable queue. What it came to is written under the task's fence before `_JobStatus` tells it, so that a
process that lost the job tells nothing. To cancel a job is to take it from whoever does it, as one that has ended.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import EVERYTHING
from mbaas.data.policies import Saved
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.caller import MASTER
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.errors import Code, Duplicate, MbaasError, ParseError
from mbaas.kernel.values import Json, Object, date
from mbaas.storage.ports import Step

STATUS, SCHEDULE = "_JobStatus", "_JobSchedule"
FROM_API = "api"
"""The source of a job that a client started."""
_TABLE = "jobs"
_CUT_SHORT = 10
"""How often a job is begun whose process dies. That is seldom its own fault: its code runs in another one."""
_FIRST_WAIT_MS, _LONGEST_WAIT_MS = 1000, 600_000
"""How long a job that failed waits before it is tried again: twice as long each time, up to a bound."""
_CANCELLED = "cancelled"

RunJob = Callable[[str, Object, str, Callable[[str], Awaitable[None]]], Awaitable[Json]]
"""Runs a job by its name with params and id; what it says on its way is handed over. What it returned."""


class Jobs:
    """The jobs of one app. `retries` says how often a job of that name is tried again that fails."""

    def __init__(self, app: App, run: RunJob, retries: Callable[[str], int], owner: Owner) -> None:
        self._app, self._run, self._retries = app, run, retries
        self._queue = Queue(app, _TABLE, self._work, owner, handed_over=_handed_over)

    def start(self) -> None:
        """Begin to run jobs, those that another process left included."""
        self._queue.start()

    async def close(self) -> None:
        """Stop; what runs is run again by another process, or after the next start."""
        await self._queue.close()

    async def put(self, name: str, params: Object, source: str = FROM_API, beside: Sequence[Step] = ()) -> str:
        """Have a job run, unless a step `beside` it refuses; the id of its `_JobStatus`."""
        value: Object = {"name": name, "params": params, "source": source, "jobId": self._app.ids.object_id(), "attempts": 0, "failures": 0}
        put = await self._queue.put(value["jobId"], value, beside=beside)
        if put and source == FROM_API:
            # Who started it looks for its status at once; that of any other is there when it begins.
            await self._begin(value)
        return str(value["jobId"])

    async def cancel(self, job_id: str) -> Object:
        """End a job that waits or runs: what its `_JobStatus` says of its end. ParseError 101 if there is no such job."""
        end: Object = {}

        def ended(value: Object | None) -> Object:
            if value is None or "ended" in value:
                raise ParseError(Code.OBJECT_NOT_FOUND, f"No job with the id {job_id} waits or runs.")
            end.update(self._ended(value, _failed(_CANCELLED)))
            return {**value, "ended": end}

        await self._queue.recall(job_id, ended)
        await self._tell(job_id, end)
        return end

    def wake(self) -> None:
        """Look now whether a job is due."""
        self._queue.wake()

    async def _begin(self, value: Object) -> None:
        fields: Object = {"jobName": value["name"], "params": value["params"], "source": value["source"], "status": "running", "ACL": {}}
        schema = self._app.classes.known_or_blank(STATUS)
        if await self._app.store.documents.get(schema, value["jobId"]) is None:
            with suppress(Duplicate):
                await objects.create(self._app, MASTER, STATUS, fields, object_id=value["jobId"])

    async def _work(self, task: Task) -> int | None:
        await self._begin(task.value)
        if "ended" not in task.value:
            await task.keep({**task.value, "attempts": task.value["attempts"] + 1})
            failures: int = task.value["failures"]
            cut_short = task.value["attempts"] - failures - task.value.get("handedOver", 0) > _CUT_SHORT
            outcome = _failed("The server ended each time the job ran.") if cut_short else await self._run_once(task.value)
            if outcome["status"] == "failed" and not cut_short and failures < self._retries(task.value["name"]):
                await task.keep({**task.value, "failures": failures + 1})
                await self._tell(task.key, {"message": outcome["message"], "attempts": task.value["attempts"]})
                return self._app.clock.now() + min(_FIRST_WAIT_MS << failures, _LONGEST_WAIT_MS)
            await task.keep({**task.value, "ended": self._ended(task.value, outcome)})
        await self._tell(task.key, task.value["ended"])
        return None

    async def _run_once(self, value: Object) -> Object:
        """What a run of a job came to: `status` and `message`."""

        async def said(text: str) -> None:
            await self._tell(value["jobId"], {"message": text})

        try:
            message = await self._run(value["name"], value["params"], value["jobId"], said)
        except MbaasError as error:
            return _failed(error.message)
        return {"status": "succeeded", **({"message": message} if message is not None else {})}

    def _ended(self, value: Object, outcome: Object) -> Object:
        attempts = {"attempts": value["attempts"]} if value["attempts"] > 1 else {}
        return {**outcome, **attempts, "finishedAt": date(self._app.clock.now())}

    async def _tell(self, job_id: str, fields: Object) -> None:
        """Change the status of a job that is still told to run. What it ended with is told once, whoever comes late with something else."""
        documents, schema = self._app.store.documents, self._app.classes.known_or_blank(STATUS)
        while (found := await documents.get(schema, job_id)) is not None and found.body.get("status") == "running":
            try:
                await objects.update(self._app, MASTER, STATUS, job_id, fields, updated_at=from_iso(found.body["updatedAt"]))
            except ParseError as error:
                # It is looked again whether somebody changed or deleted its row meanwhile.
                if error.code not in (Code.INVALID_LINKED_SESSION, Code.OBJECT_NOT_FOUND):
                    raise
            else:
                return


def _handed_over(value: Object) -> Object:
    """A run that ended with a process that was told to stop is not the job's fault."""
    return {**value, "handedOver": value.get("handedOver", 0) + 1}


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
