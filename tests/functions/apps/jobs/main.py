"""Jobs."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from mbaas_functions import cloud

FOLDER = Path(__file__).parent


@cloud.job("tells")
async def tells(request: Any) -> str:
    await request.message("half of it")
    return f"{request.params['what']} done"


@cloud.job("fails")
async def fails(request: Any) -> None:
    raise cloud.Error("it went wrong")


@cloud.job("counts")
async def counts(request: Any) -> str:
    """Runs for a moment, so that its process can be killed meanwhile."""
    await asyncio.sleep(request.params.get("seconds", 0.05))
    await cloud.Object("Count", n=request.params["n"]).save(use_master_key=True)
    return "counted"


@cloud.job("dies")
async def dies(request: Any) -> None:
    os._exit(7)


@cloud.job("tries", retries=1)
async def tries(request: Any) -> str:
    """Fails the first time."""
    await cloud.Object("Try", job=request.job_id).save(use_master_key=True)
    if await cloud.Query("Try").equal_to("job", request.job_id).count(use_master_key=True) == 1:
        raise cloud.Error("not yet")
    return "at last"


@cloud.job("waits")
async def waits(request: Any) -> None:
    """Until it is cancelled."""
    await request.message("waiting")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        request.log.info("told to end")
        raise


@cloud.job("spins")
async def spins(request: Any) -> None:
    await request.message(str(os.getpid()))
    while True:
        pass


@cloud.job("planned")
@cloud.schedule("*/5 * * * *", tz="Europe/Paris")
async def planned(request: Any) -> None: ...


@cloud.schedule("0 0 1 1 *", missed="skip")
async def new_year(request: Any) -> None: ...
