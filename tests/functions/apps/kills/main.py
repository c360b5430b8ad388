"""Work that leaves a trace of every time that it was done."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from mbaas_functions import cloud


@cloud.job("counts")
async def counts(request: Any) -> str:
    """Runs for a moment, so that its process can be killed meanwhile."""
    await asyncio.sleep(random.uniform(0, 0.2))
    made = cloud.Object("Count", n=request.params["n"])
    await made.save(use_master_key=True)
    return str(made.id)


@cloud.schedule("* * * * * *", missed="all")
async def each_second(request: Any) -> None: ...
