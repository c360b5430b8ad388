"""Who holds leases: one process, and those before it that are known to be dead.

Each process holds an `flock` on a file of its own in the data folder. The kernel lets go of it when the process ends, however
that ends, while one that is only paused keeps it. Whoever gets such a lock finds in the file who had it before: the leases of
those need not run out. Leases of processes on other machines have to.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from pathlib import Path

from mbaas.observe.logs import get_logger

_KEPT = 64
"""How many names a file keeps: one that dies while it starts has ended no leases of those before it."""


class Owner:
    """A process as the owner of leases, by a name that no other one has or had."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.dead: frozenset[str] = frozenset()
        """The names of processes that had used the folder, and have ended."""
        self._file: int | None = None
        try:
            self._settle(folder)
        except OSError as error:
            text = "the data folder cannot be written to: what a killed process was doing waits until its leases are over"
            get_logger(__name__).warning(text, folder=str(folder), reason=error.strerror)

    def _settle(self, folder: Path) -> None:
        """Take the first file that nobody holds, with the names in all those that nobody holds."""
        folder.mkdir(parents=True, exist_ok=True)
        free: list[int] = []
        names: list[str] = []
        for number in itertools.count():
            path = folder / f"mbaas.{number}.owner"
            if free and not path.exists():
                break
            if (file := _locked(path)) is not None:
                free.append(file)
                names += os.pread(file, os.fstat(file).st_size, 0).decode(errors="replace").split()
        self._file, *others = free
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, "\n".join([*names[-_KEPT:], self.name]).encode(), 0)
        for file in others:
            os.ftruncate(file, 0)
            os.close(file)
        self.dead = frozenset(names)

    def close(self) -> None:
        """Own no more. What is still held then waits until its lease is over, or for the next process of the folder."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def _locked(path: Path) -> int | None:
    """The file's descriptor with its lock, unless somebody has that."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file
