"""The cloud code that the JS SDK's own integration tests call."""

from __future__ import annotations

import asyncio
from typing import Any

from mbaas_functions import cloud


@cloud.define("bar")
async def bar(request: Any) -> str:
    if request.params.get("key2") == "value1":
        return "Foo"
    raise cloud.Error("bad stuff happened")


@cloud.define("TestFetchFromLocalDatastore")
async def fetch_from_local_datastore(request: Any) -> Any:
    return await cloud.Object("Item", id=request.params["id"]).save({"foo": "changed"})


@cloud.define("UpdateUser")
async def update_user(request: Any) -> Any:
    return await cloud.User(id=request.params["id"]).save({"foo": "changed"}, use_master_key=True)


@cloud.define("CloudFunctionIdempotency")
async def idempotency(request: Any) -> Any:
    return await cloud.Object("IdempotencyItem").save(use_master_key=True)


@cloud.define("CloudFunctionUndefined")
async def undefined(request: Any) -> None:
    return None


@cloud.job("CloudJob1")
async def job_1(request: Any) -> Any:
    return {"status": "cloud job completed"}


@cloud.job("CloudJob2")
async def job_2(request: Any) -> Any:
    await asyncio.sleep(1)
    return {"status": "cloud job completed"}


@cloud.job("CloudJobFailing")
async def job_failing(request: Any) -> None:
    raise cloud.Error("cloud job failed")
