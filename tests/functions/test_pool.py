"""A pool hands out calls in turn, hears what its workers said, and does first what it was asked to do before it ends."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import ParseError
from mbaas_functions import pool
from mbaas_functions import zygote as zygotes
from mbaas_functions.code import Code
from mbaas_functions.lines import Line
from mbaas_functions.pool import Pool
from mbaas_functions.process import Call
from mbaas_functions.zygote import Gone, Zygote
from tests.functions.deploying import folder_with
from tests.waiting import until

CODE = """
import os
import select
import time
from mbaas_functions import cloud

@cloud.define("block")
async def block(request):
    time.sleep(0.2)
    return request.params["n"]
"""


@pytest.fixture
async def zygote() -> AsyncIterator[Zygote]:
    made = Zygote()
    yield made
    await made.close()


def call(n: int) -> Call:
    result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    return Call("function", "block", {"params": {"n": n}}, MASTER, time.monotonic() + 30, result)


async def test_it_ends_when_its_last_call_has_and_not_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zygote: Zygote) -> None:
    """One worker that is busy, and others that wait for it."""
    monkeypatch.setattr(pool, "_MOST_WORKERS", 1)
    said: list[Line] = []
    made = Pool(Code(folder_with(tmp_path, main=CODE)), zygote, lambda *_: None, said.append)
    await made.open()
    waiting = [asyncio.create_task(made.call(call(n))) for n in range(6)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        await made.drain()
        assert [(await each)["value"] for each in waiting] == [{"result": n} for n in range(6)]
    assert said == []


async def test_without_calls_it_ends_at_once(tmp_path: Path, zygote: Zygote) -> None:
    made = Pool(Code(folder_with(tmp_path, main=CODE)), zygote, lambda *_: None, print)
    await made.open()
    async with asyncio.timeout(10):
        await made.drain()


async def test_when_all_is_quiet_one_worker_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zygote: Zygote) -> None:
    """Also where one was on its way when the last call ended."""
    monkeypatch.setattr(pool, "_IDLE_SECONDS", 0.2)
    made = Pool(Code(folder_with(tmp_path, main=CODE)), zygote, lambda *_: None, print)
    await made.open()
    assert [(await each)["value"] for each in [asyncio.create_task(made.call(call(n))) for n in range(3)]] == [
        {"result": n} for n in range(3)
    ]
    async with asyncio.timeout(30):
        while True:
            if len(made._workers) == 1 and made._starting is None and not made._ending:
                break
            await asyncio.sleep(0.01)
    assert made._free == made._workers
    await made.close()


async def test_short_calls_are_answered_in_turn_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zygote: Zygote
) -> None:
    """More than there is room for, while one that takes long has a worker to itself: none is overtaken by all of those that come later."""
    monkeypatch.setattr(pool, "_MOST_WORKERS", 2)
    code = CODE.replace("time.sleep(0.2)", "time.sleep(request.params['seconds'])")
    made = Pool(Code(folder_with(tmp_path, main=code)), zygote, lambda *_: None, print)
    await made.open()
    ended: list[int] = []

    async def one(n: int) -> None:
        asked = call(n)
        asked.request = {"params": {"n": n, "seconds": 0}}
        ended.append((await made.call(asked))["value"]["result"])

    async def some(first: int) -> None:
        for n in range(first, first + 20):
            await one(n)

    async with asyncio.timeout(60):
        await some(0)
        await asyncio.gather(*(some(100 * each) for each in range(1, 201)))
    late = {n // 100: at for at, n in enumerate(ended) if n % 100 == 9}
    assert max(late.values()) - min(late.values()) < 3000
    await made.close()


async def test_a_long_call_does_not_get_the_last_worker_in_a_moment_between_two_short_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zygote: Zygote
) -> None:
    monkeypatch.setattr(pool, "_MOST_WORKERS", 1)
    code = CODE.replace("time.sleep(0.2)", "pass") + '\ncloud.define("long")(lambda request: time.sleep(0.1))\n'
    made = Pool(Code(folder_with(tmp_path, main=code)), zygote, lambda *_: None, print)
    await made.open()
    ended: list[str] = []

    async def one(name: str) -> None:
        asked = call(0)
        asked.name = name
        await made.call(asked)
        ended.append(name)

    async with asyncio.timeout(30):
        await one("long")
        await one("block")
        long = asyncio.create_task(one("long"))
        await asyncio.sleep(0)
        await asyncio.gather(*(one("block") for _ in range(3)))
        await long
    assert ended == ["long", "block", "block", "block", "block", "long"]
    await made.close()


async def test_a_worker_that_computes_and_takes_no_messages_gives_way_until_it_takes_some(tmp_path: Path, zygote: Zygote) -> None:
    code = CODE.replace("time.sleep(0.2)", "while not os.path.exists('../enough'): pass")
    made = Pool(Code(folder_with(tmp_path, main=code)), zygote, lambda *_: None, print)
    await made.open()
    (worker,) = made._workers
    assert worker._child is not None
    pid, usual = worker._child.pid, os.getpriority(os.PRIO_PROCESS, 0)
    computing = asyncio.create_task(made.call(call(1)))
    async with asyncio.timeout(30):
        await until(lambda: os.getpriority(os.PRIO_PROCESS, pid) != usual)
        (worker.code.folder.parent / "enough").touch()
        assert (await computing)["value"] == {"result": 1}
        await until(lambda: worker in made._free or worker.spent)
    # Who may not take it back gets another worker.
    assert worker.spent or os.getpriority(os.PRIO_PROCESS, pid) == usual
    await made.close()


@pytest.mark.parametrize("how", ["a worker ends", "a worker is wanted", "all is closed"])
async def test_what_workers_are_forked_from_is_replaced_where_it_does_not_answer(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zygote: Zygote
) -> None:
    """Nobody waits for a process that was stopped."""
    code = CODE.replace("time.sleep(0.2)", "request.params['n'] == 'last' and __import__('os')._exit(3)")
    made = Pool(Code(folder_with(tmp_path, main=code)), zygote, lambda *_: None, lambda _: None)
    await made.open()
    assert zygote._process is not None
    os.kill(zygote._process.pid, signal.SIGSTOP)
    monkeypatch.setattr(zygotes, "_SILENT_SECONDS", 0.1)
    async with asyncio.timeout(30):
        if how == "a worker ends":
            last = call(0)
            last.request = {"params": {"n": "last"}}
            with pytest.raises(ParseError, match="function block did not end: its worker ended by SIGKILL"):
                await made.call(last)
        elif how == "a worker is wanted":
            with pytest.raises(Gone, match="the process that workers are forked from has ended"):
                await Pool(made.code, zygote, lambda *_: None, lambda _: None).open()
        if how != "all is closed":
            monkeypatch.setattr(zygotes, "_SILENT_SECONDS", 30)
            assert (await made.call(call(7)))["value"] == {"result": 7}
        await made.close()


async def test_what_a_worker_said_before_it_ended_is_heard_although_the_server_was_writing_to_it(tmp_path: Path, zygote: Zygote) -> None:
    # However slow the machine is, the worker gives none of the calls back.
    patient = "from mbaas_functions.worker import serve\nserve._LONG_SECONDS = 60\n"
    code = patient + CODE.replace("time.sleep(0.2)", "request.params['n'] == 'last' and __import__('os')._exit(3)")
    made = Pool(Code(folder_with(tmp_path, main=code)), zygote, lambda *_: None, lambda _: None)
    await made.open()
    (worker,) = made._workers
    assert worker._child is not None
    process = os.pidfd_open(worker._child.pid)
    earlier = [call(n) for n in range(5)]
    last = call(5)
    last.request = {"params": {"n": "last"}}
    waiting = [asyncio.create_task(made.call(each)) for each in [*earlier, last]]
    for _ in range(2):
        await asyncio.sleep(0)
    # The loop is held up until the worker has ended; it writes before it reads.
    worker.ping()
    assert select.select([process], [], [], 30)[0], "its worker goes on"
    os.close(process)
    worker.cancel(last)
    async with asyncio.timeout(30):
        *answers, failed = await asyncio.gather(*waiting, return_exceptions=True)
    assert [each["value"]["result"] for each in answers if isinstance(each, dict)] == list(range(5))
    assert "function block did not end: its worker ended with status 3" in str(failed)
    await made.close()
