"""Functions and jobs."""

from __future__ import annotations

import orjson

from mbaas.kernel.values import Json
from mbaas.wire.cors import Header
from mbaas.wire.request import Answer, Request, parse_pairs
from mbaas.wire.rest.classes import saved_answer
from mbaas.wire.routes import Route
from mbaas_functions import jobs
from mbaas_functions.kinds import JOB
from mbaas_functions.room import functions_of


async def call(request: Request) -> Answer | Json:
    """Call a function. Its params are those of the body, then those of the query string."""
    params = {**request.object(), **parse_pairs(request.query)} if request.query else request.object()
    headers: list[Header] = []

    def tell(name: str, value: str) -> None:
        headers.append((name.lower().encode(), value.encode()))

    result = await functions_of(request.app).call(request.params[0], request.caller, params, request.told_headers(), tell)
    return Answer(headers=headers, body=orjson.dumps(result)) if headers else result


async def start_job(request: Request) -> Answer:
    """Start a job; its name is in the path or in the body."""
    params = dict(request.object())
    name = request.params[0] if request.params else params.pop("jobName", None)
    job_id = await functions_of(request.app).hosted.start_job(name, params)
    return Answer(headers=[(b"x-parse-job-status-id", job_id.encode())], body=b"{}")


async def scheduled(request: Request) -> Json:
    """Scheduled jobs."""
    return await jobs.schedules(request.app)


async def schedule(request: Request) -> Answer:
    """Schedule a job."""
    return saved_answer(request, await jobs.schedule(request.app, *_job_schedule(request)))


async def reschedule(request: Request) -> Json:
    """Change what is scheduled."""
    return {"response": await jobs.reschedule(request.app, request.params[0], *_job_schedule(request))}


def _job_schedule(request: Request) -> tuple[Json, bool]:
    """What is to be scheduled, and whether there is a job of that name."""
    given = request.object().get("job_schedule")
    name = given.get("jobName") if isinstance(given, dict) else None
    return given, name is None or (isinstance(name, str) and functions_of(request.app).hosted.has(JOB, name))


async def unschedule(request: Request) -> Json:
    """Take a scheduled job off."""
    await jobs.unschedule(request.app, request.params[0])
    return {}


async def job_names(request: Request) -> Json:
    """The names of jobs, and of those that are scheduled."""
    in_use = dict.fromkeys(each.get("jobName") for each in await jobs.schedules(request.app))
    return {"in_use": list(in_use), "jobs": functions_of(request.app).hosted.names(JOB)}


ROUTES = (
    Route("POST", "/functions/:functionName", call, "Call a function", "functions", once="call"),
    Route("POST", "/jobs/:jobName", start_job, "Start a job", "jobs", master=True, once="call", read_only="run a job"),
    Route("POST", "/jobs", start_job, "Start a job", "jobs", master=True, once="call", read_only="run a job"),
    Route("GET", "/cloud_code/jobs", scheduled, "Scheduled jobs", "jobs", master=True),
    Route("POST", "/cloud_code/jobs", schedule, "Schedule a job", "jobs", master=True, read_only="schedule a job", status=201),
    Route("PUT", "/cloud_code/jobs/:objectId", reschedule, "Change a scheduled job", "jobs", master=True, read_only="schedule a job"),
    Route("DELETE", "/cloud_code/jobs/:objectId", unschedule, "Unschedule a job", "jobs", master=True, read_only="schedule a job"),
    Route("GET", "/cloud_code/jobs/data", job_names, "Names of jobs", "jobs", master=True),
)
