"""A disk that fails when it is told to: full, read-only, or with an error of its own, for every file or for those whose names end so."""

from __future__ import annotations

from typing import Any

import apsw


class Faulty(apsw.VFS):
    """Registered under `name`. `fault` is raised by every write, or with `syncs` by every sync instead, of files that end in `of`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fault: type[Exception] | None = None
        self.of, self.syncs = "", False
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _File(self, name, flags)

    def breaks(self, path: str, *, sync: bool) -> None:
        if self.fault is not None and self.syncs == sync and path.endswith(self.of):
            raise self.fault


class _File(apsw.VFSFile):
    def __init__(self, disk: Faulty, name: Any, flags: list[int]) -> None:
        self._disk, self._path = disk, name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._disk.breaks(self._path, sync=False)
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        self._disk.breaks(self._path, sync=True)
        super().xSync(flags)
