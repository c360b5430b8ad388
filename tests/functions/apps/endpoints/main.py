"""Endpoints of an app's own."""

from __future__ import annotations

import os
from typing import Any

from mbaas_functions import cloud


@cloud.http("GET", "/report/:id")
async def report(request: Any) -> Any:
    return {"id": request.params["id"], "query": request.query, "ip": request.ip, "headers": sorted(request.headers)}


@cloud.http("get", "/report/latest")
def latest(request: Any) -> str:
    return "the latest"


@cloud.http("POST", "/echo")
async def echo(request: Any) -> Any:
    headers = {"Content-Type": request.headers.get("content-type", "x/y"), "X-Own": "yes", "Content-Length": "1"}
    return cloud.Response(202, headers, request.body)


@cloud.http("PUT", "/tree/*")
async def tree(request: Any) -> bytes:
    return f"{request.method} {request.path} {request.params['rest']} {request.json()['n']}".encode()


@cloud.http("DELETE", "/nothing")
async def nothing(request: Any) -> None:
    return None


@cloud.http("GET", "/me", require_user=True)
async def me(request: Any) -> Any:
    return {"name": request.user.username, "master": request.master, "own": await cloud.Query("Own").find()}


@cloud.http("GET", "/admin", require_master=True)
async def admin(request: Any) -> str:
    return "welcome"


@cloud.http("GET", "/fails/:how")
async def fails(request: Any) -> Any:
    how = request.params["how"]
    if how == "error":
        raise cloud.Error("sold out", code=4711)
    if how == "crash":
        os._exit(3)
    if how == "header":
        return cloud.Response(200, {"X-A": "b\r\nX-C: d"}, "x")
    if how == "status":
        return cloud.Response(99, {}, "x")
    if how == "huge":
        return b"x" * (11 * 1024 * 1024)
    raise ValueError("it broke")
