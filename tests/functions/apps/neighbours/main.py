"""Code of two apps: one keeps a secret in every place that an app has, and the other one looks for it in all of them."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from mbaas_functions import cloud
from mbaas_functions.cloud.calls import ask, current

_LIBC = ctypes.CDLL(None, use_errno=True)
_PIDFD_OPEN, _PIDFD_GETFD = 434, 438


@cloud.define("hold", timeout=120)
async def hold(request: Any) -> None:
    """Write down where this call is, and go on for as long as its time lasts."""
    capability = current().ask.args[0]  # type: ignore[attr-defined]
    where = {"call": capability, "pid": os.getpid(), "code": str(Path(__file__).parent), "scratch": os.environ["TMPDIR"]}
    Path(where["scratch"], "note").write_text(os.environ["THE_SECRET"])
    await cloud.Object("Held", **where).save(use_master_key=True)
    await asyncio.Event().wait()


# What the code of an app asks for. `where` tells what is known of the other app.


async def _found(query: cloud.Query) -> Any:
    return [one.to_json() for one in await query.find(use_master_key=True)]


async def _get(where: Any) -> Any:
    found = cloud.Object("Secret", id=where["objectId"])
    return (await found.fetch(use_master_key=True)).to_json()


async def _lookup(where: Any, other: Any) -> Any:
    joined = {"from": other, "localField": "n", "foreignField": "n", "as": "joined"}
    await cloud.Object("Plain", n=1).save(use_master_key=True)
    return await cloud.Query("Plain").aggregate([{"$lookup": joined}])


async def _stage(where: Any, stage: Any) -> Any:
    return await cloud.Query("Plain").aggregate([stage])


async def _file(name: str, key: str | None = None) -> Any:
    return await ask("fileData", name=name, key=key, start=0, use_master_key=True)


async def _question(operation: str, **more: Any) -> Any:
    return await ask(operation, use_master_key=True, **more)


async def _save_beside(where: Any) -> Any:
    directory = f"../../{where['app']}"
    return await ask("saveFile", use_master_key=True, name="x.txt", base64="eA==", contentType="text/plain", directory=directory)


async def _http(where: Any, path: str, **headers: str) -> Any:
    return await asyncio.to_thread(_fetch, where, path, headers)


def _fetch(where: Any, path: str, headers: dict[str, str]) -> Any:
    named = {"X-Parse-Application-Id": where["app"], **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(f"http://127.0.0.1:{where['port']}{path}", headers=named)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


Way = Callable[[Any], Awaitable[Any]]
ASKED: dict[str, Way] = {
    "query": lambda w: _found(cloud.Query("Secret")),
    "get": _get,
    "query by a path": lambda w: _found(cloud.Query(f"../{w['app']}/Secret")),
    "query by a database": lambda w: _found(cloud.Query(f"{w['app']}.Secret")),
    "sessions": lambda w: _found(cloud.Query("_Session").equal_to("sessionToken", w["token"])),
    "users": lambda w: _found(cloud.Query("_User")),
    "lookup": lambda w: _lookup(w, "Secret"),
    "lookup in a database": lambda w: _lookup(w, {"db": w["app"], "coll": "Secret"}),
    "lookup by a name with a database": lambda w: _lookup(w, f"{w['app']}.Secret"),
    "union": lambda w: _stage(w, {"$unionWith": {"db": w["app"], "coll": "Secret"}}),
    "out": lambda w: _stage(w, {"$out": {"db": w["app"], "coll": "Secret"}}),
    "merge": lambda w: _stage(w, {"$merge": {"into": {"db": w["app"], "coll": "Secret"}}}),
    "config": lambda w: cloud.config(use_master_key=True),
    "function": lambda w: cloud.run("tell", use_master_key=True),
    "function by its app": lambda w: cloud.run(f"{w['app']}.tell", use_master_key=True),
    "webhook": lambda w: cloud.run("viaHook", use_master_key=True),
    "file": lambda w: _file(w["file"]),
    "file by its key": lambda w: _file(w["file"], w["key"]),
    "file by a path": lambda w: _file(f"../../{w['app']}/files/{w['key']}"),
    "file by a path as a key": lambda w: _file("x", f"../../{w['app']}/files/{w['key']}"),
    "save a file there": _save_beside,
    "delete a file": lambda w: _question("deleteFile", name=w["file"]),
    "push": lambda w: cloud.push({"alert": "x"}, where=cloud.Query("_Installation"), use_master_key=True),
    "question that names the app": lambda w: _question("find", className="Secret", query={}, app=w["app"], appId=w["app"]),
    "question with its capability": lambda w: _question("find", className="Secret", query={}, of=w["call"]),
    "config with its capability": lambda w: _question("config", of=w["call"]),
    "secrets of the environment": lambda w: _now(os.environ["THE_SECRET"]),
}
"""Ways through the server. Those that lead the other app to its own are in `OWN` of the tests."""
REQUESTED: dict[str, Way] = {
    f"{path} with {name or 'nothing'}": lambda w, path=path, name=name: _http(w, path, **({name: w["call"]} if name else {}))  # type: ignore[misc]
    for path in (
        "/parse/classes/Secret",
        "/parse/config",
        "/parse/schemas",
        "/parse/users",
        "/parse/hooks/functions",
        "/api/v1/secrets",
        "/api/v1/logs",
        "/api/v1/deployments/1/archive",
        "/api/v1/changes?className=Secret",
    )
    for name in ("", "X_Parse_Session_Token", "X_Parse_Master_Key", "X_Parse_Webhook_Key", "X_Parse_Maintenance_Key", "Authorization")
}
"""Ways of a client, with what this code has: the capability of a call."""


async def _now(value: Any) -> Any:
    return value


def _by_number(number: int, *arguments: int) -> int:
    ctypes.set_errno(0)
    told = int(_LIBC.syscall(number, *map(ctypes.c_long, arguments)))
    if told < 0:
        raise OSError(ctypes.get_errno(), errno.errorcode[ctypes.get_errno()])
    return told


def _linked(path: str, link: Callable[[str, Path], None]) -> Any:
    own = Path(os.environ["TMPDIR"], f"link-{link.__name__}")
    own.unlink(missing_ok=True)
    link(path, own)
    return own.read_bytes()[:4000].decode("latin-1")


def _descriptors(where: Any) -> Any:
    with os.fdopen(_by_number(_PIDFD_OPEN, where["pid"], 0), "rb") as process:
        return [os.read(_by_number(_PIDFD_GETFD, process.fileno(), number, 0), 100) for number in range(3, 12)]


def _memory(where: Any) -> Any:
    here = ctypes.create_string_buffer(8)
    local, remote = (ctypes.c_size_t * 2)(ctypes.addressof(here), 8), (ctypes.c_size_t * 2)(ctypes.addressof(here), 8)
    if _LIBC.process_vm_readv(where["pid"], local, ctypes.c_long(1), remote, ctypes.c_long(1), ctypes.c_long(0)) < 0:
        raise OSError(ctypes.get_errno(), errno.errorcode[ctypes.get_errno()])
    return here.raw


LOOKED: dict[str, Callable[[Any], Any]] = {
    **{
        f"{what} of its {name}": lambda w, name=name, look=look: look(w[name])  # type: ignore[misc]
        for name in ("store", "note", "main")
        for what, look in {
            "contents": lambda path: Path(path).read_bytes()[:4000].decode("latin-1"),
            "folder": lambda path: [each.name for each in Path(path).parent.iterdir()],
            "hard link": lambda path: _linked(path, os.link),
            "symbolic link": lambda path: _linked(path, os.symlink),
            "move": lambda path: _linked(path, os.rename),
            "change": lambda path: Path(path).open("ab").close(),
            "end": lambda path: os.truncate(path, 0),
            "loss": lambda path: Path(path).unlink(),
        }.items()
    },
    **{
        name: lambda w, name=name: Path(f"/proc/{w['pid']}/{name}").read_bytes().decode("latin-1")  # type: ignore[misc]
        for name in ("environ", "cmdline", "maps", "mem", "fd/3", "root/etc/passwd")
    },
    "descriptors": _descriptors,
    "memory": _memory,
    "signal": lambda w: os.kill(w["pid"], 0),
    "end by a signal": lambda w: os.kill(w["pid"], signal.SIGKILL),
    "its group": lambda w: os.killpg(w["pid"], 0),
}
"""Ways past the server."""


@cloud.define("ask")
async def asked(request: Any) -> Any:
    try:
        return await {**ASKED, **REQUESTED}[request.params["way"]](request.params["where"])
    except cloud.Error as error:
        return {"refused": f"{error.code} {error.message}"}
    except urllib.error.HTTPError as error:
        return {"refused": f"{error.code} {error.read().decode()}"}
    except KeyError as error:
        return {"refused": f"there is no {error}"}


@cloud.define("look")
async def looked(request: Any) -> Any:
    try:
        return str(LOOKED[request.params["way"]](request.params["where"]))
    except OSError as error:
        return {"refused": errno.errorcode[error.errno or 0]}
