"""Functions that misbehave, and one that does not."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import importlib
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from mbaas_functions import cloud

LIMIT = 0.5


@cloud.define("fine")
async def fine(request: Any) -> str:
    return "fine"


@cloud.define("spin", timeout=LIMIT)
async def spin(request: Any) -> None:
    while True:
        pass


@cloud.define("spinForLong", timeout=600)
async def spin_for_long(request: Any) -> None:
    while True:
        pass


@cloud.define("mostly", timeout=2)
async def mostly(request: Any) -> str:
    """Short as a rule, so that others wait in its worker behind it."""
    how = request.params.get("how")
    while how == "spin":
        pass
    if how == "leave":
        os._exit(3)
    if how == "sleep":
        await asyncio.sleep(0.2)
    return "fine"


@cloud.define("spinInThread", timeout=LIMIT)
def spin_in_thread(request: Any) -> None:
    while True:
        pass


@cloud.define("sleep", timeout=LIMIT)
async def sleep(request: Any) -> None:
    await asyncio.sleep(3600)


@cloud.define("block", timeout=LIMIT)
async def block(request: Any) -> None:
    """In C, with the interpreter's lock held."""
    ctypes.PyDLL(None).usleep(3600 * 1000 * 1000)


@cloud.define("eat", timeout=20)
async def eat(request: Any) -> None:
    kept = []
    while True:
        kept.append(bytearray(16 * 1024 * 1024))


@cloud.define("leave")
async def leave(request: Any) -> None:
    os._exit(3)


@cloud.define("hangUp")
def hang_up(request: Any) -> None:
    """Closes its connection to the server, and goes on."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                os.close(number)
    time.sleep(3600)


@cloud.define("leaveChild")
def leave_child(request: Any) -> None:
    """Ends, and leaves a process of another group behind that holds its output and its connection."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(5)
    os._exit(3)


@cloud.define("crash")
async def crash(request: Any) -> None:
    ctypes.string_at(0)


@cloud.define("shout")
async def shout(request: Any) -> None:
    print("x" * 1_000_000)


@cloud.define("unsendable")
async def unsendable(request: Any) -> Any:
    return {"what": object()}


@cloud.define("long")
async def long(request: Any) -> Any:
    return "x" * int(request.params["size"])


@cloud.define("many")
async def many(request: Any) -> Any:
    return ["x" * 1_000_000] * (int(request.params["size"]) // 1_000_000)


@cloud.define("deeper")
async def deeper(request: Any) -> Any:
    return await cloud.run("deeper")


@cloud.define("late")
async def late(request: Any) -> None:
    """Goes on after its end, with what it may do as long as it runs."""

    async def afterwards() -> None:
        await asyncio.sleep(0)
        try:
            await cloud.Object("Late", at="after").save(use_master_key=True)
        except cloud.Error as error:
            Path(os.environ["TMPDIR"], "late").write_text(f"{error.code} {error.message}")

    asyncio.get_running_loop().call_soon(lambda: asyncio.ensure_future(afterwards()))


@cloud.define("wasLate")
async def was_late(request: Any) -> Any:
    file = Path(os.environ["TMPDIR"], "late")
    return file.read_text() if file.exists() else None


@cloud.define("who")
async def who(request: Any) -> Any:
    return os.getpid()


# What it can reach


@cloud.define("read")
async def read(request: Any) -> Any:
    return Path(request.params["path"]).read_bytes()[:20]


@cloud.define("list")
async def listed(request: Any) -> Any:
    return sorted(found.name for found in Path(request.params["path"]).iterdir())


@cloud.define("write")
async def write(request: Any) -> Any:
    Path(request.params["path"]).write_text("here")
    return "written"


@cloud.define("environment")
async def environment(request: Any) -> Any:
    return dict(os.environ)


@cloud.define("arguments")
async def arguments(request: Any) -> Any:
    return [*sys.argv, *sys.orig_argv]


@cloud.define("signal")
async def signal(request: Any) -> Any:
    os.kill(os.getppid(), 0)
    return "reached"


@cloud.define("descriptors")
async def descriptors(request: Any) -> Any:
    """What each open descriptor is."""
    found = {}
    for number in range(3, 64):
        try:
            found[str(number)] = os.fstat(number).st_mode
        except OSError:
            continue
    return found


@cloud.define("tryCall")
async def try_call(request: Any) -> Any:
    return importlib.import_module("probes").tried(request.params["call"])


@cloud.define("ordinary")
def ordinary(request: Any) -> Any:
    """What code does all the time: threads, processes, connections, files of its own."""
    found: list[str] = []
    thread = threading.Thread(target=found.append, args=("thread",))
    thread.start()
    thread.join()
    found.append(subprocess.run([sys.executable, "-c", "print('process', end='')"], capture_output=True, text=True, check=True).stdout)
    with socket.create_connection(("127.0.0.1", request.params["port"]), 10) as own:
        found.append(own.recv(100).decode())
    file = Path(os.environ["TMPDIR"], "own")
    file.write_text("file and more")
    os.truncate(file, 4)
    return [*found, file.read_text()]


@cloud.define("modules")
async def modules(request: Any) -> Any:
    return sorted(name for name in sys.modules if name.split(".")[0] in ("mbaas", "apsw", "pymongo", "starlette"))


class Panic(BaseException):
    """What some libraries raise that are written in other languages."""


class Mute(cloud.Error):
    """It has no text."""

    def __init__(self) -> None:
        pass


@cloud.define("panic")
async def panic(request: Any) -> None:
    raise Panic("out of luck")


@cloud.define("mute")
async def mute(request: Any) -> None:
    raise Mute


@cloud.define("oddCode")
async def odd_code(request: Any) -> None:
    raise cloud.Error("sold out", code="E7")  # type: ignore[arg-type]


@cloud.define("cancelled")
async def cancelled(request: Any) -> None:
    """Waits for what its own code has cancelled."""
    waited = asyncio.ensure_future(asyncio.sleep(3600))
    waited.cancel()
    await waited


@cloud.define("forge")
async def forge(request: Any) -> None:
    """Writes to the connection itself, and more than is read at once."""
    said = str(request.params["said"]).encode()
    number = next(number for number in range(3, 64) if stat.S_ISSOCK(os.fstat(number).st_mode))
    with socket.socket(fileno=os.dup(number)) as connection, contextlib.suppress(BrokenPipeError):
        connection.setblocking(True)
        connection.sendall((len(said).to_bytes(4, "big") + said) * 20_000)


@cloud.define("leaveDaemon")
def leave_daemon(request: Any) -> int:
    """The id of a process that nobody is the parent of, in a session of its own, which holds nothing of its worker's."""
    told, tells = os.pipe()
    if (between := os.fork()) == 0:
        os.setsid()
        if (daemon := os.fork()) == 0:
            os.closerange(0, 256)
            while True:
                time.sleep(3600)
        os.write(tells, str(daemon).encode())
        os._exit(0)
    os.waitpid(between, 0)
    os.close(tells)
    daemon = int(os.read(told, 16))
    os.close(told)
    return daemon
