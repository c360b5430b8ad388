"""Triggers that run from the feed."""

from __future__ import annotations

import asyncio
from typing import Any

from mbaas_functions import cloud

MASTER: dict[str, Any] = {"use_master_key": True}


async def trail(request: Any, step: Any) -> Any:
    """Append a step to what is known of the object."""
    place = {"of": request.object.id}
    found = await cloud.Query("Trail").equal_to("of", request.object.id).first(**MASTER) or cloud.Object("Trail", **place)
    return await found.add("steps", step).save(**MASTER)


@cloud.after_save("Order", durable=True)
async def saved(request: Any) -> None:
    assert request.master
    assert request.user is None
    assert request.trigger_name == "afterSave"
    await trail(request, [request.object.get("n"), request.original.get("n") if request.original else None])


@cloud.after_delete("Order", durable=True)
async def deleted(request: Any) -> None:
    await trail(request, ["gone", request.object.get("n")])


@cloud.after_save("Gated", durable=True)
async def gated(request: Any) -> None:
    for _ in range(2000):
        if await cloud.Query("Gate").equal_to("of", request.object.id).count(**MASTER):
            break
        await asyncio.sleep(0.01)
    await trail(request, "through")


@cloud.after_save("Gated")
async def answered(request: Any) -> None:
    """One that runs in the request beside it."""
    request.object.set("answered", True)


@cloud.after_save("Failing", durable=True)
async def failing(request: Any) -> None:
    tries = len((await trail(request, request.object.get("n"))).get("steps"))
    if request.object.get("n") == 0 and tries < 2:
        raise cloud.Error("not yet")
    if request.object.get("n") == 1:
        raise cloud.Error("never")
