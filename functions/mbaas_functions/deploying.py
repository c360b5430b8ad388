"""From an archive to a deployment that can run: taken in, recorded, its packages installed, and loaded once in a worker of its own.

That takes place in the background, in the process that took it in. What fails says why in the deployment's record, and changes
nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.tasks import end
from mbaas.kernel.values import Object
from mbaas.observe.logs import get_logger
from mbaas_functions.builds import Builds
from mbaas_functions.deployments import BUILDING, FAILED, LEASE_MS, READY, Deployments, Wanted, activated, received
from mbaas_functions.revision import Revision
from mbaas_functions.switch import Switch
from mbaas_functions.zygote import Gone


class Deploying:
    """Makes deployments of one app. `load` loads one by its number."""

    def __init__(
        self, app: App, deployments: Deployments, builds: Builds, load: Callable[[int], Awaitable[Revision | None]], switch: Switch
    ) -> None:
        self._app, self._deployments, self._builds, self._load, self._switch = app, deployments, builds, load, switch
        self._building: set[asyncio.Task[None]] = set()
        self._one = asyncio.Lock()

    async def deploy(self, parts: AsyncIterator[bytes], caller: Caller) -> Object:
        """Take in an archive; the record of its deployment, which is built from now on. ParseError if it is no archive of code."""
        file, digest, size = await received(parts)
        with file:
            await self._builds.check(file)
            record = await self._deployments.add(file, digest, size, caller.ip)
        task = asyncio.create_task(self._build(record))
        self._building.add(task)
        task.add_done_callback(self._building.discard)
        return record

    async def activate(self, number: int, percent: float | None) -> Object:
        """Have all calls, or some percent of them, run a deployment; its record. ParseError if it cannot be loaded."""
        record = await self._deployments.get(number)
        if record["state"] != READY:
            why = "is still being built" if record["state"] == BUILDING else f"failed: {record['reason']}"
            raise ParseError(Code.OPERATION_FORBIDDEN, f"Deployment {number} cannot be activated: it {why}", status=409)
        active = self._switch.active
        if percent is not None and active is None:
            raise ParseError(Code.OPERATION_FORBIDDEN, "There is nothing to share calls with: activate it for all of them.", status=409)
        if percent is not None and active is not None and active.number == number:
            raise ParseError(Code.OPERATION_FORBIDDEN, f"Deployment {number} is the active one, which has all other calls.", status=409)
        try:
            await self._switch.change(lambda wanted: activated(wanted, number, percent))
        except ParseError:
            raise
        except MbaasError as error:
            text = f"Deployment {number} cannot be activated: {error.message}"
            raise ParseError(Code.SCRIPT_FAILED, text, status=409) from error
        get_logger("mbaas.functions").info("activated", deployment=number, percent=percent or 100)
        return record

    async def deactivate(self) -> None:
        """Have no deployment run: the folder that the server was started with, if there is one. ParseError if that cannot be loaded."""
        try:
            await self._switch.change(lambda wanted: Wanted(secrets=wanted.secrets))
        except Gone as error:
            raise ParseError(Code.SCRIPT_FAILED, f"What was active stays so: {error.message}", status=409) from error
        get_logger("mbaas.functions").info("no deployment is active")

    async def _build(self, record: Object) -> None:
        holding = asyncio.create_task(self._hold(record))
        try:
            async with self._one:
                outcome = await self._outcome(record["number"])
        finally:
            await end([holding])
        await self._deployments.keep({**record, **outcome})

    async def _outcome(self, number: int) -> Object:
        log = get_logger("mbaas.functions")
        try:
            revision = await self._load(number)
            assert revision is not None
            await revision.close()
        except MbaasError as error:
            log.warning("a deployment failed", deployment=number, reason=error.message)
            return {"state": FAILED, "reason": error.message}
        except Exception:
            log.exception("a deployment failed", deployment=number)
            return {"state": FAILED, "reason": "the server made a mistake; its log says which"}
        return {"state": READY, "manifest": list(revision.manifest)}

    async def _hold(self, record: Object) -> None:
        """Say again and again that it is being built."""
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            await self._deployments.keep(record)

    async def close(self) -> None:
        """Give up what is being built."""
        for task in self._building:
            task.cancel()
        await asyncio.gather(*self._building, return_exceptions=True)
