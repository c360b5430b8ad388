"""Functions and jobs; and hooks and pushes as a server without any answers them: there are none, and a call says so."""

from __future__ import annotations

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request, parse_pairs
from mbaas.wire.rest.classes import saved_answer
from mbaas.wire.routes import Route
from mbaas_functions import jobs
from mbaas_functions.room import functions_of


async def call(request: Request) -> Json:
    """Call a function. Its params are those of the body, then those of the query string."""
    functions, name = functions_of(request.app), request.params[0]
    if functions is None:
        raise ParseError(Code.SCRIPT_FAILED, f'Invalid function: "{name}"')
    params = {**request.object(), **parse_pairs(request.query)} if request.query else request.object()
    return await functions.call(name, request.caller, params, request.told_headers())


async def start_job(request: Request) -> Answer:
    """Start a job; its name is in the path or in the body."""
    params = dict(request.object())
    name = request.params[0] if request.params else params.pop("jobName", None)
    functions = functions_of(request.app)
    if functions is None:
        raise ParseError(Code.SCRIPT_FAILED, "Invalid job.")
    job_id = await functions.start_job(name, params)
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
    given, functions = request.object().get("job_schedule"), functions_of(request.app)
    name = given.get("jobName") if isinstance(given, dict) else None
    return given, name is None or (functions is not None and isinstance(name, str) and functions.has("job", name))


async def unschedule(request: Request) -> Json:
    """Take a scheduled job off."""
    await jobs.unschedule(request.app, request.params[0])
    return {}


async def job_names(request: Request) -> Json:
    """The names of jobs, and of those that are scheduled."""
    functions = functions_of(request.app)
    in_use = dict.fromkeys(each.get("jobName") for each in await jobs.schedules(request.app))
    return {"in_use": list(in_use), "jobs": functions.names("job") if functions else []}


async def hooks(request: Request) -> Json:
    """Declared webhooks."""
    return []


async def function_hook(request: Request) -> Json:
    """One webhook of a function."""
    raise ParseError(Code.WEBHOOK_ERROR, f"no function named: {request.params[0]} is defined")


async def trigger_hook(request: Request) -> Json:
    """One webhook of a trigger."""
    raise ParseError(Code.WEBHOOK_ERROR, f"class {request.params[0]} does not exist")


async def declare_hook(request: Request) -> Json:
    """Webhooks cannot be declared yet."""
    raise ParseError(Code.COMMAND_UNAVAILABLE, "Webhooks are not available on this server.")


async def push(request: Request) -> Answer:
    """Send a push."""
    status_id = await request.app.pushes.send(request.caller, request.object())
    return Answer(headers=[(b"x-parse-push-status-id", status_id.encode())], body=b'{"result":true}')


ROUTES = (
    Route("POST", "/functions/:functionName", call, "Call a function", "functions", once="call"),
    Route("POST", "/jobs/:jobName", start_job, "Start a job", "jobs", master=True, once="call", read_only="run a job"),
    Route("POST", "/jobs", start_job, "Start a job", "jobs", master=True, once="call", read_only="run a job"),
    Route("GET", "/cloud_code/jobs", scheduled, "Scheduled jobs", "jobs", master=True),
    Route("POST", "/cloud_code/jobs", schedule, "Schedule a job", "jobs", master=True, read_only="schedule a job", status=201),
    Route("PUT", "/cloud_code/jobs/:objectId", reschedule, "Change a scheduled job", "jobs", master=True, read_only="schedule a job"),
    Route("DELETE", "/cloud_code/jobs/:objectId", unschedule, "Unschedule a job", "jobs", master=True, read_only="schedule a job"),
    Route("GET", "/cloud_code/jobs/data", job_names, "Names of jobs", "jobs", master=True),
    Route("GET", "/hooks/functions", hooks, "Webhooks of functions", "hooks", master=True),
    Route("GET", "/hooks/functions/:functionName", function_hook, "One webhook of a function", "hooks", master=True),
    Route("GET", "/hooks/triggers", hooks, "Webhooks of triggers", "hooks", master=True),
    Route("GET", "/hooks/triggers/:className/:triggerName", trigger_hook, "One webhook of a trigger", "hooks", master=True),
    Route("POST", "/hooks/functions", declare_hook, "Declare a webhook", "hooks", master=True, read_only="create a hook"),
    Route("POST", "/hooks/triggers", declare_hook, "Declare a webhook", "hooks", master=True, read_only="create a hook"),
    Route("POST", "/push", push, "Send a push", "push", master=True, read_only="send push notifications"),
)
