"""Code as it runs: what it declares, and the workers that run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.options import RateLimit
from mbaas.kernel.values import Object
from mbaas_functions.pool import Pool
from mbaas_functions.process import Call, Process


@dataclass(eq=False, slots=True)
class Revision:
    """A deployment, or the folder that the server was started with (`number` None). Without a pool it cannot run, and says so."""

    number: int | None
    manifest: Sequence[Object]
    pool: Pool | None
    limits: tuple[RateLimit, ...] = ()
    """How often its functions may be called."""
    defined: dict[tuple[str, str], Object] = field(init=False)

    def __post_init__(self) -> None:
        self.defined = {(each["kind"], each["name"]): each for each in self.manifest}

    def runs(self, caller: Caller) -> bool:
        """True if it is what asks."""
        return self.pool is not None and isinstance(caller.within, Process) and caller.within.code is self.pool.code

    async def call(self, call: Call) -> Object:
        """What a call came to. ParseError if it cannot run."""
        if self.pool is None:
            text = f"{call.title} cannot run: deployment {self.number} cannot be loaded; the server's log says why."
            raise ParseError(Code.SCRIPT_FAILED, text)
        return await self.pool.call(call)

    def schedules(self) -> list[Object]:
        """What it wants to run when."""
        return [each["schedule"] for each in self.manifest if each["schedule"] is not None]

    async def drain(self) -> None:
        """End when its calls have ended."""
        if self.pool is not None:
            await self.pool.drain()

    async def close(self) -> None:
        """End at once."""
        if self.pool is not None:
            await self.pool.close()
