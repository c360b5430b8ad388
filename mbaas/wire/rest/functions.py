"""Functions, jobs, hooks and pushes as a server without any answers them: there are none, and a call says so.

The rooms that bring them replace these handlers.
"""

from __future__ import annotations

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.request import Request
from mbaas.wire.routes import Route


async def call(request: Request) -> Json:
    """No function is defined."""
    raise ParseError(Code.SCRIPT_FAILED, f'Invalid function: "{request.params[0]}"')


async def start_job(request: Request) -> Json:
    """No job is defined."""
    raise ParseError(Code.SCRIPT_FAILED, "Invalid job.")


async def jobs(request: Request) -> Json:
    """Scheduled jobs."""
    return []


async def job_names(request: Request) -> Json:
    """The names of jobs, and of those that are scheduled."""
    return {"in_use": [], "jobs": []}


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


async def push(request: Request) -> Json:
    """Nothing is set up to send pushes with."""
    body = request.object()
    if "where" in body and "channels" in body:
        raise ParseError(Code.PUSH_MISCONFIGURED, "Channels and query can not be set at the same time.")
    if "where" not in body and "channels" not in body:
        raise ParseError(Code.PUSH_MISCONFIGURED, 'Sending a push requires either "channels" or a "where" query.')
    raise ParseError(Code.PUSH_MISCONFIGURED, "Missing push configuration")


ROUTES = (
    Route("POST", "/functions/:functionName", call, "Call a function", "functions", once="call"),
    Route("POST", "/jobs/:jobName", start_job, "Start a job", "jobs", master=True, once="call", read_only="run a job"),
    Route("GET", "/cloud_code/jobs", jobs, "Scheduled jobs", "jobs", master=True),
    Route("GET", "/cloud_code/jobs/data", job_names, "Names of jobs", "jobs", master=True),
    Route("GET", "/hooks/functions", hooks, "Webhooks of functions", "hooks", master=True),
    Route("GET", "/hooks/functions/:functionName", function_hook, "One webhook of a function", "hooks", master=True),
    Route("GET", "/hooks/triggers", hooks, "Webhooks of triggers", "hooks", master=True),
    Route("GET", "/hooks/triggers/:className/:triggerName", trigger_hook, "One webhook of a trigger", "hooks", master=True),
    Route("POST", "/hooks/functions", declare_hook, "Declare a webhook", "hooks", master=True, read_only="create a hook"),
    Route("POST", "/hooks/triggers", declare_hook, "Declare a webhook", "hooks", master=True, read_only="create a hook"),
    Route("POST", "/push", push, "Send a push", "push", master=True, read_only="send push notifications"),
)
