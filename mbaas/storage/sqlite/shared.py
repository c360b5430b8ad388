"""What the processes of one data folder share beside the database: whose turn it is to write, and that something changed.

The turn is an `flock`, whose waiters the kernel wakes one by one. After a commit a datagram wakes the others. Two numbers in a
mapped file say whether what is remembered from the database still holds; they are raised before a commit is acknowledged,
and once more when a process joins, so what one left undone that was killed is made good by the one that takes its place.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

from mbaas.kernel.local_sockets import address_in

_NEWS = struct.Struct("=QQ")


class News(NamedTuple):
    """How often definitions have changed, and objects of the classes that are followed."""

    definitions: int
    followed: int


NOTHING = News(0, 0)


class Shared(Protocol):
    """One process's part in a folder."""

    several: bool
    """Whether there are others."""

    def try_turn(self) -> bool:
        """Take the turn to write, if nobody has it."""
        ...

    def wait_turn(self) -> None:
        """Take the turn; blocks until it is free."""
        ...

    def end_turn(self) -> None:
        """Let the next one write."""
        ...

    def news(self) -> News:
        """What has changed so far."""
        ...

    def tell(self, *, definitions: bool = False, followed: bool = False) -> None:
        """Raise the numbers, and wake the others."""
        ...

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called on this event loop when another process tells."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


class Alone:
    """A folder with one process: it is always its turn, and there is nobody to tell."""

    several = False

    def try_turn(self) -> bool:
        return True

    def wait_turn(self) -> None:
        pass

    def end_turn(self) -> None:
        pass

    def news(self) -> News:
        return NOTHING

    def tell(self, *, definitions: bool = False, followed: bool = False) -> None:
        pass

    def listen(self, wake: Callable[[], None]) -> None:
        pass

    def close(self) -> None:
        pass


class Folder:
    """A folder of several processes, numbered from 0; this is `number` of `count`."""

    several = True

    def __init__(self, folder: Path, number: int, count: int) -> None:
        self._folder = os.open(folder, os.O_RDONLY)
        self._others = [address_in(folder, self._folder, self._name(other)) for other in range(count) if other != number]
        self._turn = os.open(folder / "mbaas.turn", os.O_RDWR | os.O_CREAT, 0o600)
        self._numbers = self._map(folder / "mbaas.news")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        (folder / self._name(number)).unlink(missing_ok=True)
        self._socket.bind(address_in(folder, self._folder, self._name(number)))
        self._loop: asyncio.AbstractEventLoop | None = None
        self.wait_turn()
        self.tell(definitions=True, followed=True)
        self.end_turn()

    @staticmethod
    def _name(number: int) -> str:
        return f"mbaas.{number}.wake"

    @staticmethod
    def _map(path: Path) -> mmap.mmap:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.ftruncate(file, _NEWS.size)
            return mmap.mmap(file, _NEWS.size)
        finally:
            os.close(file)

    def try_turn(self) -> bool:
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait_turn(self) -> None:
        fcntl.flock(self._turn, fcntl.LOCK_EX)

    def end_turn(self) -> None:
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def news(self) -> News:
        return News(*_NEWS.unpack(self._numbers))

    def tell(self, *, definitions: bool = False, followed: bool = False) -> None:
        # Whoever tells has the turn, so nobody else is counting.
        if definitions or followed:
            before = self.news()
            _NEWS.pack_into(self._numbers, 0, before.definitions + definitions, before.followed + followed)
        for other in self._others:
            try:
                self._socket.sendto(b"", other)
            except OSError:
                # It is not there, or has not read the last ones yet: it will read the feed anyway.
                continue

    def listen(self, wake: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()

        def read() -> None:
            try:
                while True:
                    self._socket.recv(1)
            except BlockingIOError:
                wake()

        self._loop.add_reader(self._socket, read)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self._socket)
        self._socket.close()
        self._numbers.close()
        os.close(self._turn)
        os.close(self._folder)
