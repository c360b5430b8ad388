"""Jobs: started by the master key, run in the background, told of in `_JobStatus`."""

from __future__ import annotations

import asyncio

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import EVERYTHING
from mbaas.data.policies import Saved
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.values import Json, Object, date
from mbaas.observe.logs import get_logger
from mbaas_functions.room import JOB, Functions, functions_of

STATUS, SCHEDULE = "_JobStatus", "_JobSchedule"
_RUNNING: set[asyncio.Task[None]] = set()


async def start(app: App, caller: Caller, name: Json, params: Object) -> str:
    """Start a job; the id of its `_JobStatus`. ParseError 141 if there is no such job."""
    functions = functions_of(app)
    if functions is None or not isinstance(name, str) or not functions.has(JOB, name):
        raise ParseError(Code.SCRIPT_FAILED, "Invalid job.")
    body: Object = {"jobName": name, "params": params, "status": "running", "source": "api", "ACL": {}}
    job_id: str = (await objects.create(app, MASTER, STATUS, body)).answer["objectId"]
    task = asyncio.create_task(_run(app, functions, caller, name, params, job_id))
    _RUNNING.add(task)
    task.add_done_callback(_RUNNING.discard)
    return job_id


async def schedules(app: App) -> list[Object]:
    """The jobs that are scheduled."""
    return await find_objects(app, MASTER, SCHEDULE, EVERYTHING)


async def schedule(app: App, given: Json) -> Saved:
    """Schedule a job, from now on unless it says otherwise."""
    return await objects.create(app, MASTER, SCHEDULE, _schedule(app, given))


async def reschedule(app: App, object_id: str, given: Json) -> Object:
    """Change what is scheduled."""
    return (await objects.update(app, MASTER, SCHEDULE, object_id, _schedule(app, given))).answer


async def unschedule(app: App, object_id: str) -> None:
    """Schedule it no longer."""
    await objects.delete(app, MASTER, SCHEDULE, object_id)


def _schedule(app: App, given: Json) -> Object:
    functions = functions_of(app)
    if not isinstance(given, dict):
        raise ParseError(Code.INVALID_JSON, "job_schedule must be an object.")
    name = given.get("jobName")
    if name is not None and (functions is None or not isinstance(name, str) or not functions.has(JOB, name)):
        raise ParseError(Code.SCRIPT_FAILED, "Cannot Schedule a job that is not deployed")
    return {"startAfter": iso(app.clock.now()), **given}


async def _run(app: App, functions: Functions, caller: Caller, name: str, params: Object, job_id: str) -> None:
    def told(text: str) -> None:
        task = asyncio.create_task(_change(app, job_id, {"message": text}))
        _RUNNING.add(task)
        task.add_done_callback(_RUNNING.discard)

    try:
        message = await functions.job(name, caller, params, job_id, told)
        ended: Object = {"status": "succeeded", **({"message": message} if message is not None else {})}
    except MbaasError as error:
        ended = {"status": "failed", "message": error.message}
    await _change(app, job_id, {**ended, "finishedAt": date(app.clock.now())})


async def _change(app: App, job_id: str, body: Object) -> None:
    try:
        await objects.update(app, MASTER, STATUS, job_id, body)
    except MbaasError as error:
        get_logger("mbaas.functions").warning("the status of a job could not be written", job=job_id, reason=error.message)
