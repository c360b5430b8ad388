"""Jobs."""

from __future__ import annotations

import asyncio
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
    import os

    os._exit(7)


@cloud.job("planned")
@cloud.schedule("*/5 * * * *", tz="Europe/Paris")
async def planned(request: Any) -> None: ...


@cloud.schedule("0 0 1 1 *", missed="skip")
async def new_year(request: Any) -> None: ...
