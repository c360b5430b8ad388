"""File contents in GridFS, in the bucket where Parse Server keeps them, under the names that it gives them.

A file is put under a key of ours and has no public name at first; it gets it when it is whole. What GridFS has no place for
stands below `mbaas`. Source: the GridFS specification, and Parse Server's adapter, of which `encryptionKey` is not supported.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from bson import ObjectId
from gridfs.asynchronous import AsyncGridFSBucket, AsyncGridOut
from gridfs.errors import NoFile

from mbaas.kernel.values import Object
from mbaas.storage.files.ports import TooLarge
from mbaas.storage.mongo.failures import told
from mbaas.storage.mongo.names import Database
from mbaas.storage.mongo.values import shown, stored

_FILES = "fs.files"
_THEIRS = re.compile(r"[0-9a-f]{24}")
_UNNAMED = "mbaas:"
"""No public name holds a colon."""
_PART = 1024 * 1024


class GridContents:
    """A file of the bucket that was found. Who deletes it meanwhile ends the reading."""

    def __init__(self, found: AsyncGridOut) -> None:
        self._found = found
        self.size = int(found.length)

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of a range, a megabyte at a time."""
        try:
            await self._found.seek(start)
            while start < end:
                part = await self._found.read(min(_PART, end - start))
                if not part:
                    return
                start += len(part)
                yield part
        finally:
            await self.close()

    async def close(self) -> None:
        """Let the file go."""
        await self._found.close()


class GridFiles:
    """Contents by key, and what is known of a file by its public name."""

    def __init__(self, database: Database) -> None:
        self._database, self._bucket = database, AsyncGridFSBucket(database)

    async def put(self, key: str, parts: AsyncIterator[bytes], limit: int) -> int:
        """Keep the bytes, without a public name yet. The driver sends up to 48 MB at once, and holds them until then."""
        size = 0
        with told():
            target = self._bucket.open_upload_stream_with_id(key, _UNNAMED + key)
            try:
                async for part in parts:
                    size += len(part)
                    if size > limit:
                        raise TooLarge
                    await target.write(part)
                await target.close()
            except BaseException:
                await target.abort()
                raise
        return size

    async def open(self, key: str) -> GridContents | None:
        """The contents, or None."""
        with told():
            try:
                return GridContents(await self._bucket.open_download_stream(_id(key)))
            except NoFile:
                return None

    async def drop(self, key: str) -> bool:
        """Remove the contents, and the name with them."""
        with told():
            try:
                await self._bucket.delete(_id(key))
            except NoFile:
                return False
        return True

    async def describe(self, name: str, known: Object) -> None:
        """Give the contents under `known["key"]` their public name, with what is known of them."""
        own = {part: known[part] for part in ("type", "tags", "user", "at")}
        named = {"filename": name, "metadata": stored(known["metadata"]), "contentType": known["type"], "mbaas": stored(own)}
        with told():
            await self._database[_FILES].update_one({"_id": _id(known["key"])}, {"$set": named})

    async def described(self, name: str) -> Object | None:
        """What is known of a file; of several of one name the newest is meant, as it is by Parse Server."""
        with told():
            found = await self._database[_FILES].find({"filename": name}).sort("uploadDate", -1).limit(1).to_list()
        return _known(found[0]) if found else None

    async def of_user(self, user_id: str) -> list[str]:
        """The names of the files that a user has uploaded."""
        with told():
            found = await self._database[_FILES].find({"mbaas.user": user_id}, {"filename": 1}).to_list()
        return [str(one["filename"]) for one in found]

    async def forget(self, name: str) -> bool:
        """Remove every file of the name."""
        with told():
            found = await self._database[_FILES].find({"filename": name}, {"_id": 1}).to_list()
            for one in found:
                await self._bucket.delete(one["_id"])
        return bool(found)


def _id(key: str) -> Any:
    """The `_id` of a key: of our own making, or the object id that Parse Server's driver gave."""
    return ObjectId(key) if _THEIRS.fullmatch(key) else key


def _known(found: dict[str, Any]) -> Object:
    own = shown(found.get("mbaas") or {})
    return {
        "key": str(found["_id"]),
        "size": int(found["length"]),
        "type": own.get("type") or found.get("contentType"),
        "metadata": shown(found.get("metadata") or {}),
        "tags": own.get("tags") or {},
    }
