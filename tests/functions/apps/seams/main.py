"""Triggers of files and of live queries, and a provider."""

from __future__ import annotations

import asyncio
from typing import Any

from mbaas_functions import cloud


async def note(what: str, **fields: Any) -> None:
    """Write down that a trigger has run."""
    await cloud.Object("Note", what=what, **fields).save(use_master_key=True)


# Files: what is done depends on the name


@cloud.before_save_file()
async def saving(request: Any) -> Any:
    file = request.file
    if file.name.startswith("refused"):
        raise cloud.Error("not this one", code=4711)
    if file.name.startswith("broken"):
        raise ValueError("it broke")
    if file.name.startswith("plain"):
        file.metadata["size"] = request.file_size
        file.metadata["by"] = request.user.username if request.user else "nobody"
        file.tags["kind"] = "plain"
        file.directory = "plain/files"
    if file.name.startswith("shout"):
        return cloud.File("loud.txt", (await file.get_data()).upper(), "text/plain", metadata={"was": file.name})
    if file.name.startswith("known"):
        return await cloud.File("plain.txt", b"known to all", "text/plain").save(use_master_key=True)
    if file.name.startswith("nothing"):
        return cloud.File("empty.txt")
    return None


@cloud.after_save(cloud.File)
async def saved(request: Any) -> None:
    file = request.file
    await note("saved", name=file.name, url=file.url, size=request.file_size, metadata=file.metadata, tags=file.tags)


@cloud.before_delete_file()
async def deleting(request: Any) -> None:
    if "loud" in request.file.name:
        raise RuntimeError("it stays")


@cloud.after_delete_file()
async def deleted(request: Any) -> None:
    await note("deleted", name=request.file.name, master=request.master)


@cloud.before_find_file()
async def finding(request: Any) -> Any:
    if request.file.name.startswith("secret") and request.user is None:
        raise cloud.Error("sign in first", code=119)
    if request.file.name.startswith("alias_"):
        return cloud.File(request.file.name.removeprefix("alias_"))
    return None


@cloud.after_find_file()
async def found(request: Any) -> Any:
    if request.file.metadata.get("size"):
        request.force_download = True
        request.response_headers["X-Size"] = request.file_size
    if request.file.metadata.get("was"):
        return cloud.File(request.file.name, b"quiet: " + (await request.file.get_data()).lower(), "text/plain")
    return None


@cloud.define("read")
async def read(request: Any) -> Any:
    return len(await cloud.File(request.params["name"]).get_data())


# Live queries: what is done with an event depends on its object's `how`


async def opened(topic: str) -> None:
    """Wait until somebody opens the gate."""
    for _ in range(1000):
        if await cloud.Query("Gate").equal_to("topic", topic).count(use_master_key=True):
            return
        await asyncio.sleep(0.01)


@cloud.before_connect()
async def connecting(request: Any) -> None:
    if request.installation_id == "banned":
        raise cloud.Error("not from there", code=4711)
    if request.installation_id == "counting":
        await note("connected", client=request.client_id, user=request.user.username, clients=request.clients)


@cloud.before_subscribe("Watched")
async def subscribing(request: Any) -> None:
    where = request.query.to_json()["where"]
    if where.get("how") == "refused":
        raise cloud.Error("not this", code=4711)
    if where.get("how") == "narrowed":
        request.query.equal_to("open", True).select("n")
    if where.get("how") == "by secret":
        request.query.equal_to("secret", "x")


@cloud.after_live_query_event("Watched")
async def event(request: Any) -> None:
    how, said = request.object.get("how"), request.object
    if how == "told":
        said.set("heard", [request.event, request.user.username if request.user else None, request.installation_id])
        said.set("was", request.original.get("n") if request.original else None)
    if how == "quiet":
        request.send_event = said.get("n") == 2
    if how == "fails":
        raise cloud.Error("cannot tell", code=4711)
    if how == "slow":
        await asyncio.sleep(0.02 * (3 - said.get("n") % 3))
    if how == "gated":
        await note("waiting", topic=said.get("topic"))
        await opened(said.get("topic"))
    if how == "leaky":
        said.set({"secret": "by the trigger", "copy": "shown", "owner": request.user})


@cloud.auth_provider("acme")
def acme(auth_data: Any, options: Any, request: Any) -> None:
    if auth_data.get("token") != "right":
        raise cloud.Error("wrong token", code=4711)
