"""The deployments of one app as they are recorded: immutable, numbered from 1, each with its archive; and which of them shall run.

All of it is in the store, the archives where files are kept, so every process and machine has it. What runs is one row, which is
changed as a whole.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass, replace
from typing import IO

from mbaas.data.app import App
from mbaas.data.files import place
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object
from mbaas.storage.files.ports import Contents
from mbaas.storage.ports import Row
from mbaas_functions.archive import MOST_BYTES, unfit

BUILDING, READY, FAILED = "building", "ready", "failed"
_TABLE, _STATE = "deployments", "deployed"
_NUMBER, _WANTED = "number", "wanted"
_PART = 1024 * 1024
LEASE_MS = 15_000
"""A deployment that is being built is renewed more often; one that is not was left by a process that ended."""
_LEFT = "the server ended while it was built; deploy it again"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall run. `active` None is the folder that the server was started with, if there is one."""

    active: int | None = None
    canary: int | None = None
    percent: float = 0
    """How many of a hundred calls are the canary's."""
    secrets: int = 0
    """How often secrets were changed: what runs has those of this count."""


class Deployments:
    """The records of one app."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def wanted(self) -> Wanted:
        """What shall run now."""
        row = await self._app.store.rows.get(_STATE, _WANTED)
        return _wanted(row)

    async def want(self, change: Callable[[Wanted], Wanted]) -> Wanted:
        """Have something else run, from what shall run at that moment; what it is now."""
        stored = await self._app.store.rows.alter(_STATE, _WANTED, lambda row: Row(_WANTED, asdict(change(_wanted(row)))))
        return _wanted(stored)

    async def add(self, archive: IO[bytes], digest: str, size: int, ip: str) -> Object:
        """Record a new deployment, to be built by this process."""
        key = self._app.ids.hex(16)
        await place(self._app).put(key, _parts(archive), MOST_BYTES)
        number = await self._app.store.rows.count_up(_STATE, _NUMBER)
        now = self._app.clock.now()
        record = {"number": number, "digest": digest, "size": size, "key": key, "at": now, "by": ip, "state": BUILDING}
        return await self.keep(record)

    async def keep(self, record: Object) -> Object:
        """Write what is to be known of a deployment; one that is being built is this process's for a while more."""
        if record["state"] == BUILDING:
            record = {**record, "until": self._app.clock.now() + LEASE_MS}
        await self._app.store.rows.put_many(_TABLE, [Row(_key(record["number"]), record)])
        return record

    async def get(self, number: int) -> Object:
        """The record of a deployment. ParseError 101 if there is none."""
        row = await self._app.store.rows.get(_TABLE, _key(number)) if 0 < number < 10**8 else None
        if row is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, f"There is no deployment {number}.")
        return self._now(row.value)

    async def page(self, before: int | None, limit: int) -> list[Object]:
        """Records, the latest first, of those before a number or of all."""
        if before is None:
            last = await self._app.store.rows.get(_STATE, _NUMBER)
            before = (int(last.value) if last is not None else 0) + 1
        rows = await self._app.store.rows.scan(_TABLE, _key(max(0, before - limit - 1)), min(limit, before - 1)) if before > 1 else []
        return [self._now(row.value) for row in reversed(rows) if row.value["number"] < before]

    def _now(self, record: Object) -> Object:
        if record["state"] == BUILDING and record["until"] < self._app.clock.now():
            return {**record, "state": FAILED, "reason": _LEFT}
        return record

    async def contents(self, record: Object) -> Contents:
        """The bytes of its archive, as they came."""
        found = await place(self._app).open(record["key"])
        if found is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, f"The archive of deployment {record['number']} is gone.")
        return found

    async def archive(self, record: Object) -> IO[bytes]:
        """The same as a file. ParseError if they are others than came."""
        contents = await self.contents(record)
        file, digest, _ = await received(contents.read(0, contents.size))
        if digest != record["digest"]:
            file.close()
            raise unfit(f"that of number {record['number']} is not what came")
        return file


async def received(parts: AsyncIterator[bytes]) -> tuple[IO[bytes], str, int]:
    """Bytes as a file without a name, with their SHA-256 and their number. ParseError 116 if they are too many."""
    digest, size = hashlib.sha256(), 0
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- handed out
    try:
        async for part in parts:
            size += len(part)
            if size > MOST_BYTES:
                raise ParseError(Code.OBJECT_TOO_LARGE, f"An archive has no more than {MOST_BYTES // 1024**2} MB.", status=413)
            digest.update(part)
            await asyncio.to_thread(file.write, part)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, digest.hexdigest(), size


def shown(record: Object, wanted: Wanted) -> Object:
    """A deployment as it is told of."""
    number = record["number"]
    told: Object = {name: record[name] for name in ("number", "state", "digest", "size")}
    told |= {"createdAt": iso(record["at"]), "createdFrom": record["by"], "active": wanted.active == number}
    if wanted.canary == number:
        told["percent"] = wanted.percent
    if "reason" in record:
        told["reason"] = record["reason"]
    if "manifest" in record:
        told["declares"] = [{"kind": each["kind"], "name": each["name"]} for each in record["manifest"]]
    return told


def activated(wanted: Wanted, number: int, percent: float | None) -> Wanted:
    """What shall run when a deployment is made the active one, or the canary of some percent."""
    if percent is None:
        return replace(wanted, active=number, canary=None, percent=0)
    return replace(wanted, canary=number, percent=percent)


def _wanted(row: Row | None) -> Wanted:
    return Wanted() if row is None else Wanted(**row.value)


def _key(number: int) -> str:
    return f"{number:08d}"


async def _parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while part := await asyncio.to_thread(file.read, _PART):
        yield part
