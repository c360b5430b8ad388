"""The cloud code behind the transcripts of functions, triggers and jobs."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from mbaas_functions import cloud

WHEN = datetime(2020, 1, 2, 3, 4, 5, 678000, UTC)


# Functions


@cloud.define("hello")
async def hello(request: Any) -> str:
    return "hello"


@cloud.define("echo")
async def echo(request: Any) -> Any:
    return request.params


@cloud.define("failText")
async def fail_text(request: Any) -> None:
    raise cloud.Error("plain failure")


@cloud.define("failError")
async def fail_error(request: Any) -> None:
    raise RuntimeError("plain error")


@cloud.define("failParse")
async def fail_parse(request: Any) -> None:
    raise cloud.Error("custom failure", code=4242)


@cloud.define("failNotFound")
async def fail_not_found(request: Any) -> None:
    raise cloud.Error("thing missing", code=101)


@cloud.define("failObject")
async def fail_object(request: Any) -> None:
    class Odd(Exception):
        code = 77

    raise Odd("an object")


@cloud.define("failEmpty")
async def fail_empty(request: Any) -> None:
    raise cloud.Error()


@cloud.define("nothing")
async def nothing(request: Any) -> None:
    return None


@cloud.define("nullResult")
async def null_result(request: Any) -> None:
    return None


@cloud.define("whoami")
async def whoami(request: Any) -> Any:
    return {
        "master": request.master,
        "user": request.user.username if request.user else None,
        "installationId": request.installation_id,
        "functionName": request.function_name,
        "context": request.context,
    }


def js_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else "string" if isinstance(value, str) else "object"


@cloud.define("types")
async def types(request: Any) -> Any:
    params = request.params
    date, pointer, thing = params.get("date"), params.get("pointer"), params.get("object")
    return {
        "date": date.isoformat(timespec="milliseconds").replace("+00:00", "Z") if isinstance(date, datetime) else js_type(date),
        "pointer": f"{pointer.class_name}/{pointer.id}",
        "object": f"class:{thing.get('x')}" if isinstance(thing, cloud.Object) else js_type(thing),
        "geo": isinstance(params.get("geo"), cloud.GeoPoint),
        "file": isinstance(params.get("file"), cloud.File),
        "number": js_type(params.get("number")),
        "array": isinstance(params.get("array"), list),
        "nul": params.get("nul") is None,
    }


@cloud.define("giveDate")
async def give_date(request: Any) -> Any:
    return WHEN


@cloud.define("giveGeo")
async def give_geo(request: Any) -> Any:
    return cloud.GeoPoint(10, 20)


@cloud.define("giveObject")
async def give_object(request: Any) -> Any:
    made = await cloud.Object("FnObj", a=1, when=WHEN).save(use_master_key=True)
    return {"one": made, "list": [made]}


@cloud.define("giveUser")
async def give_user(request: Any) -> Any:
    return request.user


@cloud.define("status")
def status(request: Any) -> Any:
    if "x" not in request.params:
        raise cloud.Error("x needed", code=142)
    return [1, "two", {"three": 3}]


@cloud.define("dotted.name")
async def dotted(request: Any) -> str:
    return "never"


# Validators


async def ok(request: Any) -> str:
    return "ok"


async def params(request: Any) -> Any:
    return request.params


cloud.define("needUser", require_user=True)(ok)
cloud.define("needMaster", require_master=True)(ok)
cloud.define("userOrMaster", params={"requireUser": True, "skipWithMasterKey": True})(ok)
cloud.define("needFields", params=["a", "b"])(params)
cloud.define(
    "typedFields",
    params={
        "fields": {
            "s": {"type": str, "required": True},
            "n": {"type": "Number", "default": 5},
            "b": {"type": bool},
            "a": {"type": list},
            "o": {"type": dict},
            "opt": {"type": str, "options": ["red", "blue"], "error": "pick red or blue"},
            "lim": {"type": int, "options": lambda value: value < 10},
            "len": {"type": str, "options": lambda value: len(value) > 2, "error": "too short"},
            "c": {"constant": True, "default": "fixed"},
        }
    },
)(params)
cloud.define("oneOption", params={"fields": {"x": {"options": "only"}}})(params)
cloud.define("listOption", params={"fields": {"x": {"options": ["p", "q"]}}})(params)
cloud.define("needUserKeys", params={"requireUser": True, "requireUserKeys": ["phone"]})(ok)
PLANS = {"plan": {"options": ["pro", "max"], "error": "wrong plan"}}
cloud.define("userKeyOptions", params={"requireUser": True, "requireUserKeys": PLANS})(ok)
cloud.define("anyRole", roles=["FnA", "FnB"])(ok)
cloud.define("allRoles", params={"requireAllUserRoles": ["FnA", "FnB"]})(ok)


def passes(request: Any) -> None:
    if request.params.get("pass") != 1:
        raise cloud.Error("own validator says no")


def refuses(request: Any) -> None:
    raise cloud.Error("own code", code=123)


cloud.define("ownValidator", params=passes)(ok)
cloud.define("ownValidatorFalse", params=lambda request: False)(ok)
cloud.define("ownValidatorError", params=refuses)(ok)


# Triggers


@cloud.before_save("BsChange")
async def bs_change(request: Any) -> None:
    request.object.set("added", "by trigger")
    if n := request.object.get("n"):
        request.object.set("n", n * 2)


@cloud.before_save("BsRefuse")
async def bs_refuse(request: Any) -> None:
    bad = request.object.get("bad")
    if bad == "text":
        raise cloud.Error("refused")
    if bad == "code":
        raise cloud.Error("refused with code", code=333)
    if bad == "error":
        raise ValueError("refused by error")


@cloud.before_save("BsUnset")
async def bs_unset(request: Any) -> None:
    request.object.unset("secret").increment("hits").add_unique("tags", "seen")


@cloud.before_save("BsInfo")
async def bs_info(request: Any) -> None:
    request.object.set(
        "info",
        {
            "isNew": request.object.is_new,
            "original": request.original.get("v") if request.original else None,
            "master": request.master,
            "user": request.user.username if request.user else None,
            "dirty": sorted(request.object.dirty_keys()),
            "ctx": request.context,
        },
    )
    request.context["seen"] = True


@cloud.before_save("BsValid", {"requireUser": True, "fields": {"title": {"type": str, "required": True}}})
async def bs_valid(request: Any) -> None: ...


@cloud.after_save("AsNote")
async def as_note(request: Any) -> None:
    was = "update" if request.original else "create"
    await cloud.Object("AsLog", was=was, v=request.object.get("v")).save(use_master_key=True)


@cloud.after_save("AsFail")
async def as_fail(request: Any) -> None:
    raise cloud.Error("after save failed")


@cloud.after_save("AsSet")
async def as_set(request: Any) -> None:
    request.object.set("calc", 42)


@cloud.before_delete("BdRefuse")
async def bd_refuse(request: Any) -> None:
    if request.object.get("keep"):
        raise cloud.Error("kept")
    if request.object.get("keepCode"):
        raise cloud.Error("kept with code", code=444)


@cloud.after_delete("AdNote")
async def ad_note(request: Any) -> None:
    await cloud.Object("AdLog", gone=request.object.get("v")).save(use_master_key=True)


@cloud.before_find("BfFilter")
async def bf_filter(request: Any) -> None:
    request.query.equal_to("pub", True)


@cloud.before_find("BfRefuse")
async def bf_refuse(request: Any) -> None:
    raise cloud.Error("no finding")


@cloud.before_find("BfCode")
async def bf_code(request: Any) -> None:
    raise cloud.Error("no finding, code", code=555)


@cloud.after_find("AfChange")
async def af_change(request: Any) -> Any:
    for found in request.objects:
        found.set("extra", "seen")
    return request.objects


@cloud.after_find("AfDrop")
async def af_drop(request: Any) -> Any:
    return [found for found in request.objects if found.get("pub")]


@cloud.after_find("AfFail")
async def af_fail(request: Any) -> None:
    raise cloud.Error("after find failed")


@cloud.before_save(cloud.User)
async def user_saved(request: Any) -> None:
    if request.object.username == "nosignup":
        raise cloud.Error("sign-up refused")
    if request.object.username == "tagged":
        request.object.set("tag", "x")


@cloud.before_login()
async def login(request: Any) -> None:
    if request.object.username == "banned":
        raise cloud.Error("banned here", code=101)
    if request.object.username == "bannedtext":
        raise cloud.Error("banned text")


# Jobs


@cloud.job("okJob")
async def ok_job(request: Any) -> str:
    await request.message("working")
    return "done"


@cloud.job("failJob")
async def fail_job(request: Any) -> None:
    raise cloud.Error("job failed")


@cloud.job("paramJob")
async def param_job(request: Any) -> Any:
    return request.params.get("p")
