"""Triggers that touch what the caller may not see."""

from __future__ import annotations

from typing import Any

from mbaas_functions import cloud


@cloud.before_save("Reverting")
async def reverting(request: Any) -> None:
    request.object.revert("secret")


@cloud.before_save("Dotting")
async def dotting(request: Any) -> None:
    request.object.set("secret.a", "from the trigger")
    request.object.set("open", request.object.get("open") or 0)


@cloud.before_save("Telling")
async def telling(request: Any) -> None:
    request.object.set("secret", "set before").increment("hits")


@cloud.after_save("Telling")
async def told(request: Any) -> None:
    request.object.set("secret", "set after")
    request.object.set("shown", True)


@cloud.auth_provider("never")
def never(auth_data: Any, options: Any, request: Any) -> None:
    raise cloud.Error("nobody")
