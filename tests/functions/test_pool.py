"""A pool that is to end does first what it was asked to do."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from mbaas.kernel.caller import MASTER
from mbaas_functions import pool
from mbaas_functions.code import Code
from mbaas_functions.lines import Line
from mbaas_functions.pool import Pool
from mbaas_functions.process import Call
from tests.functions.deploying import folder_with

CODE = """
import time
from mbaas_functions import cloud

@cloud.define("block")
async def block(request):
    time.sleep(0.2)
    return request.params["n"]
"""


def call(n: int) -> Call:
    result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    return Call("function", "block", {"params": {"n": n}}, MASTER, time.monotonic() + 30, result)


async def test_it_ends_when_its_last_call_has_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One worker that is busy, and others that wait for it."""
    monkeypatch.setattr(pool, "_MOST_WORKERS", 1)
    said: list[Line] = []
    made = Pool(Code(folder_with(tmp_path, main=CODE)), lambda *_: None, said.append)
    await made.open()
    waiting = [asyncio.create_task(made.call(call(n))) for n in range(6)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await made.drain()
        assert [(await each)["value"] for each in waiting] == [{"result": n} for n in range(6)]
    assert said == []


async def test_without_calls_it_ends_at_once(tmp_path: Path) -> None:
    made = Pool(Code(folder_with(tmp_path, main=CODE)), lambda *_: None, print)
    await made.open()
    async with asyncio.timeout(10):
        await made.drain()
