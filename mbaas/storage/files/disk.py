"""File contents in a local folder: written aside, synced, then renamed into place, with the folder synced too.

Keys are made by the server (hexadecimal); anything else is refused, so no name from outside ever becomes a path. Reading and
writing happen in threads, a megabyte at a time.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from mbaas.storage.files.ports import TooLarge

_KEY = re.compile(r"[0-9a-f]{32}$")
_PART = 1024 * 1024


class DiskContents:
    """An open file of the folder."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of a range, read ahead of nobody: one part per turn."""
        try:
            while start < end:
                part = await asyncio.to_thread(os.pread, self._descriptor, min(_PART, end - start), start)
                if not part:
                    return
                start += len(part)
                yield part
        finally:
            await self.close()

    async def close(self) -> None:
        """Let the file go; a second time does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Disk:
    """A folder of contents, spread over 256 folders by the first two digits of the key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, parts: AsyncIterator[bytes], limit: int) -> int:
        """Keep the bytes: durable and complete, or not there."""
        target = self._path(key)
        handle = await asyncio.to_thread(_begin, target.parent)
        size, waiting = 0, bytearray()
        try:
            async for part in parts:
                size += len(part)
                if size > limit:
                    raise TooLarge
                waiting += part
                if len(waiting) >= _PART:
                    await asyncio.to_thread(_write, handle[0], bytes(waiting))
                    waiting.clear()
            await asyncio.to_thread(_finish, handle, bytes(waiting), target)
        except BaseException:
            await asyncio.shield(asyncio.to_thread(_abandon, handle))
            raise
        return size

    async def open(self, key: str) -> DiskContents | None:
        """The contents, or None."""
        return await asyncio.to_thread(_open, self._path(key))

    async def drop(self, key: str) -> bool:
        """Remove the contents."""
        return await asyncio.to_thread(_drop, self._path(key))

    def _path(self, key: str) -> Path:
        if not _KEY.match(key):
            raise ValueError("not a key of a file's contents")
        return self._folder / key[:2] / key[2:]


def _begin(folder: Path) -> tuple[int, str]:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _sync(folder.parent)
    return tempfile.mkstemp(prefix=".new-", dir=folder)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _finish(handle: tuple[int, str], rest: bytes, target: Path) -> None:
    _write(handle[0], rest)
    os.fsync(handle[0])
    Path(handle[1]).rename(target)
    os.close(handle[0])
    _sync(target.parent)


def _abandon(handle: tuple[int, str]) -> None:
    with suppress(OSError):
        os.close(handle[0])
    with suppress(OSError):
        Path(handle[1]).unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _open(path: Path) -> DiskContents | None:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    return DiskContents(descriptor, os.fstat(descriptor).st_size)


def _drop(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    _sync(path.parent)
    return True
