"""The functions of one app: which there are, calling them, and the triggers that the data room asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from mbaas.data.app import App
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.triggers import Kind, NoTriggers, Outcome
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas_auth import providers
from mbaas_auth.users import UserPolicy
from mbaas_functions.answers import Answers
from mbaas_functions.durable import DELETED, SAVED, Durable
from mbaas_functions.jobs import Jobs
from mbaas_functions.pool import Pool
from mbaas_functions.process import Call, Gone, Process
from mbaas_functions.schedules import Schedules
from mbaas_functions.watch import watch

ROOM = "functions"
FUNCTION, JOB, HTTP, PROVIDER = "function", "job", "http", "authProvider"
_SECONDS = 30.0
"""How long a call may take whose definition does not say."""
_JOB_SECONDS = 3600.0
_DEEPEST = 20
"""How deep functions and triggers may call one another."""


Said = Callable[[str], Awaitable[None]]


class Functions:
    """The functions, triggers and jobs of an app's `main.py`."""

    def __init__(self, app: App, folder: Path) -> None:
        self._app, self._folder = app, folder
        self._pool = self._new_pool()
        self._draining: set[asyncio.Task[None]] = set()
        self._jobs = Jobs(app, self._run_job)
        self._schedules = Schedules(app, self._jobs)
        self._durable = Durable(app, self._fire_durable)
        self._defined: dict[tuple[str, str], Object] = {}

    async def open(self) -> None:
        """Start a worker and learn what it declares. Gone says why `main.py` cannot be loaded."""
        await self._open(self._pool)
        self._take_over()
        await self._declare()
        self._jobs.start()
        self._schedules.start()

    async def _declare(self) -> None:
        """Have what runs by itself run as it is declared now."""
        await self._schedules.declare(each["schedule"] for each in self._defined.values() if each["schedule"] is not None)
        await self._durable.declare(place for place in self._defined if place[0] in (SAVED, DELETED))

    async def _open(self, pool: Pool) -> None:
        """Start a pool whose code may be used. MbaasError says why it may not."""
        await pool.open()
        await providers.declare(self._app, [each["name"] for each in pool.manifest if each["kind"] == PROVIDER])

    def _new_pool(self) -> Pool:
        return Pool(self._folder, Answers(self._app, self.call).take)

    def _take_over(self) -> None:
        self._defined = {(each["kind"], each["name"]): each for each in self._pool.manifest}

    def names(self, kind: str) -> list[str]:
        """The names of what is declared of a kind, in the order of their declaration."""
        return [name for found, name in self._defined if found == kind]

    def rate_limits(self) -> dict[str, Object]:
        """How often functions may be called, by their names, where that was declared: Parse Server's `rateLimit` without its path."""
        return {name: each["rateLimit"] for (kind, name), each in self._defined.items() if kind == FUNCTION and each["rateLimit"]}

    def has(self, kind: Kind | str, name: str) -> bool:
        """True if it is declared."""
        return (kind, name) in self._defined

    async def call(self, name: str, caller: Caller, params: Object, headers: Object | None = None) -> Object:
        """`{"result": …}` of a function, or `{}` if it returned nothing. ParseError 141 if there is none, or as it fails."""
        if "." in name or not self.has(FUNCTION, name):
            raise ParseError(Code.SCRIPT_FAILED, f'Invalid function: "{name}"')
        return await self._run(FUNCTION, name, caller, {"params": params, "headers": headers or {}})

    async def endpoint(self, name: str, caller: Caller, given: Object) -> Object:
        """`{status, headers, base64}` of what an endpoint answers; its name is its method and pattern."""
        return await self._run(HTTP, name, caller, given)

    async def start_job(self, name: Json, params: Object) -> str:
        """Have a job run in the background; the id of its `_JobStatus`. ParseError 141 if there is none of that name."""
        if not isinstance(name, str) or not self.has(JOB, name):
            raise ParseError(Code.SCRIPT_FAILED, "Invalid job.")
        return await self._jobs.put(name, params)

    async def _run_job(self, name: str, params: Object, job_id: str, message: Said) -> Json:
        if not self.has(JOB, name):
            raise ParseError(Code.SCRIPT_FAILED, "The job is no longer there.")
        ended = await self._run(JOB, name, MASTER, {"params": params, "jobId": job_id}, message)
        return ended.get("message")

    async def fire(self, kind: Kind, class_name: str, caller: Caller, given: Object) -> Outcome:
        """Run a trigger."""
        value = await self._run(kind, class_name, caller, {"className": class_name, **given})
        context = value.get("context", caller.context)
        return Outcome(value.get("body") or {}, context, value.get("query"), value.get("objects"), value.get("answer"))

    async def _fire_durable(self, kind: str, class_name: str, given: Object) -> None:
        if self.has(kind, class_name):
            await self._run(kind, class_name, MASTER, {"className": class_name, **given})

    async def _run(self, kind: str, name: str, caller: Caller, given: Object, message: Said | None = None) -> Object:
        if caller.depth >= _DEEPEST:
            raise ParseError(Code.SCRIPT_FAILED, f"Functions and triggers call one another more than {_DEEPEST} times deep.")
        definition = self._defined[kind, name]
        inner = replace(caller, depth=caller.depth + 1, unit=None)
        within = caller.within if isinstance(caller.within, Process) else None
        request = {**given, **await self._who(caller)}
        timeout = definition["timeout"] or (_JOB_SECONDS if kind == JOB else _SECONDS)
        result: asyncio.Future[Object] = asyncio.get_running_loop().create_future()
        ended = await self._pool.call(Call(kind, name, request, inner, time.monotonic() + timeout, result, message, within))
        if (failed := ended.get("failed")) is not None:
            raise ParseError(failed["code"], failed["message"])
        value: Object = ended["value"]
        return value

    async def reload(self) -> None:
        """Run the code as it is now in the folder; what cannot be loaded leaves that which runs. Calls that run end as they began."""
        log = get_logger("mbaas.functions")
        fresh = self._new_pool()
        try:
            await self._open(fresh)
        except MbaasError as error:
            log.error("the new code is not used", reason=error.message)
            await fresh.close()
            return
        old, self._pool = self._pool, fresh
        self._take_over()
        await self._declare()
        log.info("the code was reloaded", functions=len(self._defined))
        task = asyncio.create_task(old.drain())
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def close(self) -> None:
        """End the workers."""
        await self._durable.close()
        await self._schedules.close()
        await self._jobs.close()
        for task in self._draining:
            task.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        await self._pool.close()

    async def _who(self, caller: Caller) -> Object:
        who: Object = {
            "master": caller.master,
            "installationId": caller.installation_id,
            "ip": caller.ip,
            "context": caller.context,
            "roles": list(caller.roles),
        }
        if caller.user_id is not None:
            users = self._app.classes.known_or_blank("_User")
            person = await self._app.store.documents.get(users, caller.user_id)
            policy = self._app.policy("_User")
            if person is not None and isinstance(policy, UserPolicy):
                who["user"] = policy.show_all(person.body)
        return who


@asynccontextmanager
async def joined(app: App) -> AsyncIterator[Functions | None]:
    """The app with its functions, if it has any. Gone says why they cannot be loaded."""
    if app.options.functions is None:
        await providers.declare(app, ())
        yield None
        return
    folder = app.options.functions.absolute()
    if not (folder / "main.py").is_file():
        raise Gone(f"there is no main.py in {folder}; MBAAS_FUNCTIONS names the folder that has it")
    functions = Functions(app, folder)
    watching: asyncio.Task[None] | None = None
    try:
        await functions.open()
        app.rooms[ROOM] = app.triggers = functions
        if app.options.preset == "development":
            watching = asyncio.create_task(watch(folder, functions.reload))
        yield functions
    finally:
        if watching is not None:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        app.rooms.pop(ROOM, None)
        app.triggers = NoTriggers()
        await functions.close()


def functions_of(app: App) -> Functions | None:
    """The app's functions, if it has any."""
    found: Functions | None = app.rooms.get(ROOM)
    return found
