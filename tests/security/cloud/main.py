"""Triggers that touch what the caller may not see."""

from __future__ import annotations

import os
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


@cloud.before_find_file()
def shut(request: Any) -> None:
    if "shut" in request.file.name:
        raise cloud.Error("this file is shut")


@cloud.define("fine")
def fine(request: Any) -> str:
    return "fine"


@cloud.define("raising")
def raising(request: Any) -> None:
    raise RuntimeError("a word of the inside")


@cloud.define("exiting")
def exiting(request: Any) -> None:
    os._exit(3)


@cloud.define("recursing")
def recursing(request: Any) -> Any:
    return recursing(request)


@cloud.define("endless_answer")
def endless_answer(request: Any) -> str:
    return "x" * 50_000_000


@cloud.job("breaking")
def breaking(request: Any) -> None:
    raise RuntimeError("a word of the inside")


@cloud.after_live_query_event("Breaking")
def never_told(request: Any) -> None:
    raise RuntimeError("a word of the inside")
