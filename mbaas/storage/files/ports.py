"""What the server asks of a place for file contents: bytes under a key of the server's own making, streamed both ways.

Names, types and metadata of files are kept by `Names`. `put` returns when the bytes would survive a power
cut; a key is either wholly there or not at all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from mbaas.kernel.values import Object


class TooLarge(Exception):
    """More bytes came than were allowed; nothing was kept."""


class Contents(Protocol):
    """The bytes of one stored file, open for reading. They stay readable even if the file is deleted meanwhile."""

    @property
    def size(self) -> int:
        """How many bytes there are."""
        ...

    def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from `start` up to, not including, `end`; closes the file when done."""
        ...

    async def close(self) -> None:
        """Let the file go without reading it."""
        ...


class Files(Protocol):
    """Contents by key."""

    async def put(self, key: str, parts: AsyncIterator[bytes], limit: int) -> int:
        """Keep the bytes and return their number. TooLarge above the limit."""
        ...

    async def open(self, key: str) -> Contents | None:
        """The contents, or None."""
        ...

    async def drop(self, key: str) -> bool:
        """Remove the contents; says whether they were there."""
        ...


@runtime_checkable
class Names(Protocol):
    """What is known of files by their public names: `{key, size, type, metadata, tags, user, at}`. A place for contents may keep
    it itself; a type of None is to be told from the name."""

    async def describe(self, name: str, known: Object) -> None:
        """Have contents, put before, found by the name."""
        ...

    async def described(self, name: str) -> Object | None:
        """What is known of the file, or None."""
        ...

    async def of_user(self, user_id: str) -> list[str]:
        """The names of the files that a user has uploaded."""
        ...

    async def forget(self, name: str) -> bool:
        """Have nothing found by the name; says whether there was something."""
        ...
