"""What the processes of one server on one machine tell each other before they acknowledge a write: that something changed.

A mapped file holds two numbers for each process, which it alone raises: how often it changed definitions, and objects of the
classes that are followed. What it was is read from the database. Servers on other machines hear of it from there alone.
"""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

_NUMBERS = struct.Struct("=QQ")
_FILE = "mbaas.mongo.news"


@dataclass(frozen=True, slots=True)
class News:
    """Whether definitions have changed, and objects that are followed; by these numbers."""

    numbers: bytes
    definitions: bool
    followed: bool


class Neighbours:
    """This process, `number` of `count` from 0, among those that serve from one data folder; without a folder it is alone."""

    def __init__(self, folder: Path | None = None, number: int = 0, count: int = 1) -> None:
        self._numbers = mmap.mmap(-1, _NUMBERS.size) if folder is None else self._mapped(folder, count)
        self._own = slice(number * _NUMBERS.size, (number + 1) * _NUMBERS.size)
        self._seen = bytearray(self._numbers)
        # In the place of one that was killed it cannot know what that one left untold.
        self.tell(definitions=True, followed=True)

    @staticmethod
    def _mapped(folder: Path, count: int) -> mmap.mmap:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(file, max(os.fstat(file).st_size, count * _NUMBERS.size))
            return mmap.mmap(file, 0)
        finally:
            os.close(file)

    @property
    def behind(self) -> bool:
        """True if another process has told of something that was not `seen`; costs no more than a glance."""
        return self._numbers[:] != self._seen

    def news(self) -> News:
        """What there is to be seen."""
        now = self._numbers[:]
        pairs = list(zip(_NUMBERS.iter_unpack(self._seen), _NUMBERS.iter_unpack(now), strict=True))
        return News(now, any(old[0] != new[0] for old, new in pairs), any(old[1] != new[1] for old, new in pairs))

    def seen(self, news: News) -> None:
        """Nothing of it needs to be told again."""
        own = self._seen[self._own]
        self._seen[:] = news.numbers
        self._seen[self._own] = own

    def tell(self, *, definitions: bool = False, followed: bool = False) -> None:
        """Have every other process be behind."""
        defined, changed = _NUMBERS.unpack_from(self._numbers, self._own.start)
        self._numbers[self._own] = self._seen[self._own] = _NUMBERS.pack(defined + definitions, changed + followed)

    def close(self) -> None:
        """Leave."""
        self._numbers.close()
