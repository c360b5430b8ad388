"""Functions and triggers that use everything of the API."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from mbaas_functions import cloud


class Order(BaseModel):
    item: str
    count: int = 1


@cloud.define("order", params=Order)
async def order(request: Any) -> Any:
    return f"{request.model.count} x {request.model.item}"


@cloud.define("plain")
def plain(request: Any) -> str:
    return f"plain {request.params['name']}"


@cloud.define("values")
async def values(request: Any) -> Any:
    """Everything that a field can hold, there and back."""
    made = cloud.Object(request.params["className"])
    made.set("when", datetime(2026, 1, 2, tzinfo=UTC)).set("raw", b"abc").set("at", cloud.GeoPoint(1, 2))
    made.set({"list": [1, "two", None], "deep": {"a": {"b": True}}})
    await made.save(use_master_key=True)
    found = await cloud.Query(made.class_name).get(str(made.id), use_master_key=True)
    assert (found.get("when"), found.get("raw"), found.get("at")) == (made.get("when"), b"abc", cloud.GeoPoint(1, 2))
    assert found.get("deep") == {"a": {"b": True}}
    found.get("list").append(4)
    found.get("deep")["c"] = 5
    assert sorted(found.dirty_keys()) == ["deep", "list"]
    found.increment("n", 2).increment("n").add_unique("tags", "x", "x").unset("raw")
    await found.save(use_master_key=True)
    await made.fetch(use_master_key=True)
    assert made == found
    assert not found.dirty()
    return made


@cloud.define("query")
async def query(request: Any) -> Any:
    name = request.params["className"]
    for n in range(12):
        await cloud.Object(name, n=n, name=f"item {n}", place=cloud.GeoPoint(n, 0)).save(use_master_key=True)
    master = {"use_master_key": True}
    few = cloud.Query(name).greater_than("n", 2).less_than_or_equal_to("n", 6)
    either = cloud.Query.or_(cloud.Query(name).equal_to("n", 0), cloud.Query(name).starts_with("name", "item 11"))
    near = cloud.Query(name).within_kilometers("place", cloud.GeoPoint(0, 0), 250)
    first: Any = await cloud.Query(name).ascending("n").first(**master)
    slim: Any = await cloud.Query(name).select("n").ascending("n").first(**master)
    return {
        "few": [one.get("n") for one in await few.descending("n").limit(3).find(**master)],
        "count": await few.count(**master),
        "either": sorted([one.get("n") for one in await either.find(**master)]),
        "near": [one.get("n") for one in await near.find(**master)],
        "first": first.get("n"),
        "none": await cloud.Query(name).equal_to("n", 99).first(**master),
        "distinct": sorted(await cloud.Query(name).distinct("n")),
        "aggregate": await cloud.Query(name).aggregate([{"$group": {"_id": None, "total": {"$sum": "$n"}}}]),
        "each": len([one async for one in cloud.Query(name).each(**master)]),
        "selected": sorted(slim.fields()),
    }


@cloud.define("family")
async def family(request: Any) -> Any:
    """Unsaved objects in fields, includes, relations."""
    name = request.params["className"]
    child = cloud.Object(f"{name}Child", n=1)
    parent = await cloud.Object(name, child=child, children=[cloud.Object(f"{name}Child", n=2)]).save(use_master_key=True)
    parent.relation("all").add(child, *parent.get("children"))
    await parent.save(use_master_key=True)
    related = await cloud.Query(f"{name}Child").related_to(parent, "all").ascending("n").find(use_master_key=True)
    whole: Any = await cloud.Query(name).include("child").first(use_master_key=True)
    return {"related": [one.get("n") for one in related], "child": whole.get("child").get("n"), "whole": whole}


@cloud.define("asWhom")
async def as_whom(request: Any) -> Any:
    """What the caller may do, and what the master key may."""
    name = request.params["className"]
    secret = cloud.Object(name, text="secret")
    secret.acl = {}
    await secret.save(use_master_key=True)
    own = await cloud.Query(name).find()
    all_of_them = await cloud.Query(name).find(use_master_key=True)
    try:
        await cloud.Object(name, id=secret.id).save({"text": "changed"})
    except cloud.Error as error:
        return {"own": len(own), "all": len(all_of_them), "refused": [error.code, error.message]}


@cloud.define("whoami")
async def whoami(request: Any) -> Any:
    user = request.user
    return {
        "name": user.username if user else None,
        "fields": sorted(user.fields()) if user else [],
        "roles": sorted(request.roles),
        "headers": sorted(name for name in request.headers if name.startswith("x-") or name in ("cookie", "authorization")),
        "ip": request.ip,
        "left": (request.deadline - datetime.now(UTC)).total_seconds() > 1,
    }


@cloud.define("inner")
async def inner(request: Any) -> Any:
    return {"user": request.user.username if request.user else None, "master": request.master, "n": request.params["n"] + 1}


@cloud.define("outer")
async def outer(request: Any) -> Any:
    both = await asyncio.gather(cloud.run("inner", {"n": 1}), cloud.run("inner", {"n": 2}, use_master_key=True))
    return list(both)


@cloud.define("config")
async def config(request: Any) -> Any:
    return [await cloud.config(), await cloud.config(use_master_key=True)]


@cloud.define("file")
async def file(request: Any) -> Any:
    made = await cloud.File("note.txt", b"hello", "text/plain").save(use_master_key=True)
    return await cloud.Object(request.params["className"], note=made).save(use_master_key=True)


@cloud.define("seldom", rate_limit={"requestTimeWindow": 60_000, "requestCount": 2, "includeInternalRequests": True})
async def seldom(request: Any) -> str:
    return "ok"


@cloud.define("push")
async def push(request: Any) -> Any:
    """The codes of pushes that cannot be sent."""
    codes = []
    asks: list[dict[str, Any]] = [
        {"channels": ["a"]},
        {"channels": ["a"], "use_master_key": True},
        {"where": cloud.Query("_Installation"), "push_time": datetime(2030, 1, 1, tzinfo=UTC), "use_master_key": True},
        {"use_master_key": True},
        {"topic": "news", "use_master_key": True},
        {"condition": "'a' in topics", "channels": ["a"], "use_master_key": True},
    ]
    for ask in asks:
        try:
            await cloud.push({"alert": "hello"}, **ask)
        except cloud.Error as error:
            codes.append([error.code, error.message])
    return codes


@cloud.define("log")
async def log(request: Any) -> None:
    request.log.info("a line for the log", n=1)


# Triggers, on every class whose name starts as these


@cloud.before_save("Counted")
async def counted(request: Any) -> None:
    """Writes what it has seen: wrong if it was not the state that is saved."""
    before = request.original.get("n") if request.original else 0
    request.object.set("seen", (before or 0) + 1)
    request.object.increment("n")


@cloud.before_save("Chain")
async def chain(request: Any) -> None:
    request.context["by"] = [*request.context.get("by", []), "before"]
    request.object.set("before", list(request.context["by"]))


@cloud.after_save("Chain")
async def chained(request: Any) -> None:
    request.object.set("after", [*request.context["by"], "after"])


@cloud.before_save("_Role")
async def role(request: Any) -> None:
    if "forbidden" in request.object.get("name"):
        raise cloud.Error("no such role here", code=142)


@cloud.before_delete("_Session")
async def session_ends(request: Any) -> None:
    if request.object.get("kept"):
        raise cloud.Error("this one stays", code=142)


@cloud.before_save("_Installation")
async def installation(request: Any) -> None:
    request.object.set("seenBy", "trigger")


@cloud.before_login()
async def login(request: Any) -> None:
    if request.object.username.startswith("locked"):
        raise cloud.Error("locked out", code=142)


@cloud.after_login()
async def logged_in(request: Any) -> None:
    await cloud.Object("SignIn", name=request.object.username, what="in").save(use_master_key=True)


@cloud.after_logout()
async def logged_out(request: Any) -> None:
    user = request.object.get("user")
    await cloud.Object("SignIn", user=user.id, what="out").save(use_master_key=True)


@cloud.before_find("Answered")
async def answered(request: Any) -> Any:
    return [cloud.Object("Answered", id="fromTheTrig", n=request.query.to_json()["where"].get("n"))]


@cloud.after_find("Masked")
async def masked(request: Any) -> Any:
    for one in request.objects:
        one.set("number", "***")
    return request.objects


@cloud.before_save("Dotted")
async def dotted(request: Any) -> None:
    request.object.set("saw", request.object.get("deep"))


@cloud.before_save("Undecided")
async def undecided(request: Any) -> None:
    request.object.revert("mine")
