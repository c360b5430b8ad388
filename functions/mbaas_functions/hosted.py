"""Functions, triggers and jobs that run here, in workers: of the active deployment, or else of the folder that the server was given."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code as Error
from mbaas.kernel.errors import ParseError, not_found
from mbaas.kernel.options import RateLimit
from mbaas.kernel.tasks import end
from mbaas.kernel.triggers import Kind, Outcome
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas_auth import providers
from mbaas_functions.answers import Answers
from mbaas_functions.archive import MAIN
from mbaas_functions.asking import who
from mbaas_functions.builds import Builds
from mbaas_functions.code import Code
from mbaas_functions.deploying import Deploying
from mbaas_functions.deployments import Deployments
from mbaas_functions.durable import Durable
from mbaas_functions.isolation import STRICT, Found
from mbaas_functions.jobs import Jobs
from mbaas_functions.kinds import FUNCTION, HTTP, JOB, PROVIDER
from mbaas_functions.lines import Lines
from mbaas_functions.pool import Pool
from mbaas_functions.process import Call, Process
from mbaas_functions.revision import Revision
from mbaas_functions.schedules import Schedules
from mbaas_functions.secrets import MOST, Secrets, checked, local
from mbaas_functions.switch import New, Switch
from mbaas_functions.watch import watch
from mbaas_functions.zygote import Gone, Zygote

_SECONDS = 30.0
"""How long a call may take whose definition does not say."""
_JOB_SECONDS = 3600.0
_DEEPEST = 20
"""How deep functions and triggers may call one another."""


Said = Callable[[str], Awaitable[None]]
CallFunction = Callable[[str, Caller, Object], Awaitable[Object]]
ReadLimits = Callable[[Mapping[str, Object]], tuple[RateLimit, ...]]
"""The limits of functions from those that they were declared with, by name. MbaasError names one that makes no sense."""


class Hosted:
    """What runs here of one app."""

    def __init__(self, app: App, owner: Owner, zygote: Zygote, call: CallFunction, read_limits: ReadLimits) -> None:
        """`call` calls a function of the app, wherever it is: what code means by `cloud.run`."""
        self._app, self._zygote, self._call, self._read_limits = app, zygote, call, read_limits
        self._folder = None if app.options.functions is None else app.options.functions.absolute()
        self.changed: list[Callable[[], None]] = []
        """Called when other code runs."""
        self.lines = Lines(app)
        self.deployments = Deployments(app)
        self.secrets = Secrets(app)
        self.switch = Switch(app, self.deployments, self.load, self._take_over)
        self._builds = Builds(app.options.data_dir / "functions", app.options.installer_environment)
        self.deploying = Deploying(app, self.deployments, self._builds, self.load, self.switch)
        self._jobs = Jobs(app, self._run_job, self._retries, owner)
        self._schedules = Schedules(app, self._jobs, self.switch.catch_up, owner)
        self._durable = Durable(app, self._fire_durable, owner)
        self._defined: dict[tuple[str, str], Object] = {}
        self._begun = False
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Run what shall run, if there is something. Gone says why the folder's `main.py` cannot be loaded."""
        if self._folder is not None and not (self._folder / MAIN).is_file():
            raise Gone(f"there is no main.py in {self._folder}; MBAAS_FUNCTIONS names the folder that has it")
        await self.switch.start()
        await self._builds.sweep()
        active = self.switch.active
        if active is None:
            await providers.declare(self._app, ())
        if self._folder is not None and active is not None and active.number is not None:
            log = get_logger("mbaas.functions")
            log.warning("a deployment is active, the folder is not used", deployment=active.number, folder=str(self._folder))
        if self._folder is not None and self._app.options.preset == "development":
            self._watching = asyncio.create_task(watch(self._folder, self.switch.reload))

    async def load(self, number: int | None, secrets: Mapping[str, str] | None = None) -> Revision | None:
        """A deployment or the server's own folder, with its first worker. MbaasError says why it cannot be."""
        secrets, strict = await self.secrets.values() if secrets is None else secrets, self._app.options.functions_isolation == STRICT
        if number is not None:
            record = await self.deployments.get(number)
            folder = await self._builds.code(record["digest"], partial(self.deployments.archive, record))
            code = Code(folder, await self._builds.packages(folder), secrets, number, strict)
        elif self._folder is not None:
            own = local(self._folder) if self._app.options.preset == "development" else {}
            code = Code(self._folder, None, {**secrets, **own}, None, strict)
        else:
            return None
        pool = Pool(code, self._zygote, Answers(self._app, self._call).take, self.lines.add)
        try:
            await pool.open()
            self._durable.check((each["kind"], each["name"]) for each in pool.manifest)
            await providers.declare(self._app, [each["name"] for each in pool.manifest if each["kind"] == PROVIDER])
            limits = {each["name"]: each["rateLimit"] for each in pool.manifest if each["kind"] == FUNCTION and each["rateLimit"]}
            return Revision(number, pool.manifest, pool, self._read_limits(limits))
        except BaseException:
            await pool.close()
            raise

    async def _take_over(self) -> None:
        """Declare what runs from now on."""
        active, canary = self.switch.active, self.switch.canary
        self._defined = dict(active.defined) if active else {}
        for key, each in canary.defined.items() if canary else ():
            if key[0] != JOB:
                self._defined.setdefault(key, each)
        for changed in tuple(self.changed):
            changed()
        if active is None or active.pool is None:
            # Jobs wait for code that can run them.
            return
        await self._schedules.declare(active.schedules())
        await self._durable.declare(active.defined)
        if not self._begun:
            self._begun = True
            self._jobs.start()
            self._schedules.start()

    @property
    def limits(self) -> tuple[RateLimit, ...]:
        """How often functions may be called, where that was declared."""
        return self.switch.active.limits if self.switch.active is not None else ()

    @property
    def isolation(self) -> Found | None:
        """The layers of isolation that workers have here; None while nothing runs."""
        active = self.switch.active
        return None if active is None or active.pool is None else active.pool.isolation

    def names(self, kind: str) -> list[str]:
        """The names of what is declared of a kind, in the order of their declaration."""
        return [name for found, name in self._defined if found == kind]

    def has(self, kind: Kind | str, name: str) -> bool:
        """True if it is declared."""
        return (kind, name) in self._defined

    async def there(self, kind: str, name: str) -> bool:
        """True if it is declared, by the newest code if not by that which runs here."""
        if not self.has(kind, name):
            await self.switch.catch_up()
        return self.has(kind, name)

    async def call(self, name: str, caller: Caller, params: Object, headers: Object) -> Object:
        """`{"result": …}` of a function, or `{}` if it returned nothing. ParseError 141 if there is none, or as it fails."""
        if await self.there(FUNCTION, name):
            value = await self._run(FUNCTION, name, caller, {"params": params, "headers": headers})
            if value is not None:
                return value
        raise ParseError(Error.SCRIPT_FAILED, f'Invalid function: "{name}"')

    async def endpoint(self, name: str, caller: Caller, given: Object) -> Object:
        """`{status, headers, base64}` of what an endpoint answers; its name is its method and pattern. ParseError 101 if there is none."""
        value = await self._run(HTTP, name, caller, given)
        if value is None:
            raise not_found()
        return value

    async def start_job(self, name: Json, params: Object) -> str:
        """Have a job run in the background; the id of its `_JobStatus`. ParseError 141 if there is none of that name."""
        if not isinstance(name, str) or not await self.there(JOB, name):
            raise ParseError(Error.SCRIPT_FAILED, "Invalid job.")
        return await self._jobs.put(name, params)

    async def cancel_job(self, job_id: str) -> Object:
        """End a job that waits or runs: what its `_JobStatus` says of its end. ParseError 101 if there is no such job."""
        return await self._jobs.cancel(job_id)

    def _retries(self, name: str) -> int:
        return int(self._defined[JOB, name]["retries"]) if self.has(JOB, name) else 0

    async def _run_job(self, name: str, params: Object, job_id: str, message: Said) -> Json:
        ended = None
        if await self.there(JOB, name):
            ended = await self._run(JOB, name, MASTER, {"params": params, "jobId": job_id}, message)
        if ended is None:
            raise ParseError(Error.SCRIPT_FAILED, "The job is no longer there.")
        return ended.get("message")

    async def fire(self, kind: Kind, class_name: str, caller: Caller, given: Object) -> Outcome:
        """Run a trigger. Where the caller's revision has none of the kind, nothing is changed."""
        value = await self._run(kind, class_name, caller, {"className": class_name, **given})
        if value is None:
            return Outcome(given.get("body") or {}, caller.context)
        context = value.get("context", caller.context)
        return Outcome(value.get("body") or {}, context, value.get("query"), value.get("objects"), value.get("answer"))

    async def _fire_durable(self, kind: str, class_name: str, given: Object) -> None:
        if await self.there(kind, class_name):
            await self._run(kind, class_name, MASTER, {"className": class_name, **given})

    async def _run(self, kind: str, name: str, caller: Caller, given: Object, message: Said | None = None) -> Object | None:
        """What a call came to; None if the caller's revision has no such thing."""
        if caller.depth >= _DEEPEST:
            raise ParseError(Error.SCRIPT_FAILED, f"Functions and triggers call one another more than {_DEEPEST} times deep.")
        request = {**given, **await who(self._app, caller)}
        # Nothing is awaited between choosing a revision and calling it: it may end when it has no calls.
        revision = self.switch.active if kind == JOB else self.switch.choose(caller)
        definition = revision.defined.get((kind, name)) if revision is not None else None
        if revision is None or definition is None:
            return None
        within = caller.within if isinstance(caller.within, Process) else None
        timeout = definition["timeout"] or (_JOB_SECONDS if kind == JOB else _SECONDS)
        result: asyncio.Future[Object] = asyncio.get_running_loop().create_future()
        ended = await revision.call(Call(kind, name, request, caller, time.monotonic() + timeout, result, message, within))
        if (failed := ended.get("failed")) is not None:
            raise ParseError(failed["code"], failed["message"])
        value: Object = ended["value"]
        return value

    async def set_secret(self, name: str, value: Json) -> None:
        """Keep a secret, and run with it from now on. ParseError if it cannot be kept, or what runs cannot be loaded with it."""
        value, known = checked(name, value), await self.secrets.values()
        if len(known) >= MOST and name not in known:
            raise ParseError(Error.EXCEEDED_QUOTA, f"An app has no more than {MOST} secrets.")
        await self._renew(New({**known, name: value}, partial(self.secrets.put, name, value)))

    async def drop_secret(self, name: str) -> None:
        """Forget a secret, and run without it from now on. ParseError if there is none, or what runs cannot be loaded without it."""
        known = await self.secrets.values()
        if known.pop(name, None) is None:
            raise ParseError(Error.OBJECT_NOT_FOUND, f"There is no secret {name!r}.")
        await self._renew(New(known, partial(self.secrets.drop, name)))

    async def _renew(self, new: New) -> None:
        try:
            await self.switch.change(lambda wanted: replace(wanted, secrets=wanted.secrets + 1), new)
        except Gone as error:
            text = f"The secret is left as it was, since what runs cannot be loaded then: {error.message}"
            raise ParseError(Error.SCRIPT_FAILED, text, status=409) from error

    async def close(self) -> None:
        """End the workers."""
        await end([self._watching])
        await self._durable.close()
        await self._schedules.close()
        await self._jobs.close()
        await self.deploying.close()
        await self.switch.close()
        await self.lines.close()
