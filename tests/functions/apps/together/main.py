"""Transactions."""

from __future__ import annotations

from typing import Any

from mbaas_functions import cloud


@cloud.before_save("Account")
async def account(request: Any) -> None:
    """Sees the state that is saved: no account is overdrawn."""
    if (request.object.get("amount") or 0) < 0:
        raise cloud.Error("overdrawn", code=4711)


@cloud.define("family")
async def family(request: Any) -> Any:
    name = request.params["className"]
    async with cloud.tx():
        child = await cloud.Object(name, n=1).save()
        parent = cloud.Object(name, child=child, others=[cloud.Object(name, n=2)], n=0)
        await parent.save()
        parent.relation("all").add(child, *parent.get("others"))
        parent.increment("n", 5)
        await parent.save()
        parent.increment("n")
        await parent.save()
        during = await cloud.Query(name).count()
    found = await cloud.Query(name).related_to(parent, "all").find()
    return {"during": during, "n": parent.get("n"), "stored": (await cloud.Object(name, id=parent.id).fetch()).get("n"), "all": len(found)}


@cloud.define("transfer")
async def transfer(request: Any) -> None:
    params = request.params
    async with cloud.tx():
        await cloud.Object("Account", id=params["to"]).increment("amount", params["amount"]).save()
        await cloud.Object("Account", id=params["from"]).decrement("amount", params["amount"]).save()


@cloud.define("refused")
async def refused(request: Any) -> Any:
    """Ends in an error at the end, or in the block: nothing is done, and the objects are as they were."""
    name, kept = request.params["className"], cloud.Object(request.params["className"], id=request.params["id"])
    await kept.fetch()
    new = cloud.Object(name, n=1)
    kept.set("n", 9)
    try:
        async with cloud.tx():
            await new.save()
            await kept.save()
            if request.params.get("raise"):
                raise cloud.Error("never mind", code=4711)
            await cloud.Object(name, id="missing").destroy()
    except cloud.Error as error:
        return {"code": error.code, "id": new.id, "dirty": [new.dirty_keys(), kept.dirty_keys()], "count": await cloud.Query(name).count()}
    return None


@cloud.define("removes")
async def removes(request: Any) -> None:
    name = request.params["className"]
    async with cloud.tx():
        for one in await cloud.Query(name).find():
            await one.destroy()
        passing = await cloud.Object(name, n=1).save()
        await passing.destroy()
        await cloud.Object(name, n=2).save()


@cloud.define("asWhom")
async def as_whom(request: Any) -> None:
    name = request.params["className"]
    async with cloud.tx():
        await cloud.Object(name, n=1).save()
        await cloud.Object(name, id=request.params["id"]).save({"n": 2}, use_master_key=request.params["master"])


@cloud.define("wrong")
async def wrong(request: Any) -> list[int]:
    """What cannot be."""
    codes = []
    one = cloud.Object(request.params["className"], id=request.params["id"])
    try:
        async with cloud.tx(), cloud.tx():
            pass
    except cloud.Error as error:
        codes.append(error.code)
    try:
        async with cloud.tx():
            await one.save({"n": 1})
            await one.save({"n": 2}, use_master_key=True)
    except cloud.Error as error:
        codes.append(error.code)
    try:
        async with cloud.tx():
            await one.destroy()
            await one.save({"n": 2})
    except cloud.Error as error:
        codes.append(error.code)
    async with cloud.tx():
        pass
    return codes
