"""A disk that can lose power: a SQLite VFS that knows, for every file, what a power cut would leave of it.

Only what was synced is sure to stay. Writes and truncations since the last sync of a file are lost, which is the worst
case a disk is allowed.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import apsw


class Disk(apsw.VFS):
    """Registered under `name`; passes everything on to the real file system and keeps the durable image beside it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.durable: dict[str, bytes] = {}
        self.pending: dict[str, list[tuple[int, bytes | None]]] = {}
        self.lock = threading.Lock()
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> File:  # noqa: N802
        return File(self, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        with self.lock:
            self.durable.pop(filename, None)
            self.pending.pop(filename, None)

    def after_power_cut(self) -> dict[str, bytes]:
        """The files as they would be found, by name without folder."""
        with self.lock:
            return {Path(name).name: content for name, content in self.durable.items()}

    def note(self, name: str, at: int, data: bytes | None) -> None:
        with self.lock:
            self.pending.setdefault(name, []).append((at, data))

    def synced(self, name: str) -> None:
        with self.lock:
            content = bytearray(self.durable.get(name, b""))
            for at, data in self.pending.pop(name, []):
                if data is None:
                    del content[at:]
                else:
                    content.extend(b"\0" * (at - len(content)))
                    content[at : at + len(data)] = data
            self.durable[name] = bytes(content)


class File(apsw.VFSFile):
    """One open file of a Disk."""

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        super().xWrite(data, offset)
        self.disk.note(self.path, offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        super().xTruncate(newsize)
        self.disk.note(self.path, newsize, None)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self.disk.synced(self.path)
