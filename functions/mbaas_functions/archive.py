"""The archive of a deployment: a folder as `.tar.gz` whose bytes tell what is in the folder and nothing else, and back again.

What comes in is nobody's friend: only plain files and folders inside the archive's own folder, no links, no devices, and no
more bytes and files than are allowed, counted while they are unpacked.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from mbaas.kernel.errors import Code, ParseError

MAIN = "main.py"
MOST_BYTES = 50 * 1024 * 1024
"""Of an archive."""
MOST_UNPACKED = 250 * 1024 * 1024
MOST_FILES = 10_000
_LEFT_OUT = "__pycache__"
_PART = 1024 * 1024


def unfit(why: str) -> ParseError:
    """What an archive is refused with."""
    return ParseError(Code.INVALID_VALUE, f"The archive cannot be deployed: {why}.")


def pack(folder: Path) -> bytes:
    """The archive of a folder with a `main.py`. Names that begin with a dot, and `__pycache__`, are left out.

    The same files give the same bytes, whoever packs them and when. ParseError says what cannot be packed.
    """
    if not (folder / MAIN).is_file():
        raise unfit(f"there is no {MAIN} in {folder}")
    out = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in _files(folder):
            member = tarfile.TarInfo(path.relative_to(folder).as_posix())
            member.size = path.stat().st_size
            with path.open("rb") as file:
                tar.addfile(member, file)
    if out.tell() > MOST_BYTES:
        raise unfit(f"it has more than {MOST_BYTES // 1024**2} MB")
    return out.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == _LEFT_OUT:
            continue
        if path.is_symlink():
            raise unfit(f"{path} is a link; put what it leads to in its place")
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path
        else:
            raise unfit(f"{path} is no file")


def unpack(archive: IO[bytes], folder: Path) -> None:
    """Put the files of an archive into a folder, which must be empty. ParseError says what is wrong with the archive."""
    files = 0
    try:
        with tarfile.open(fileobj=_Bounded(archive), mode="r|") as tar:
            for member in tar:
                files += 1
                if files > MOST_FILES:
                    raise unfit(f"it has more than {MOST_FILES} files")
                _place(tar, member, folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile):
        raise unfit("it is no .tar.gz, or damaged") from None
    if not (folder / MAIN).is_file():
        raise unfit(f"there is no {MAIN} at its top")


def _place(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    name = PurePosixPath(member.name)
    shown = member.name.encode("utf-8", "backslashreplace").decode()
    if name.is_absolute() or ".." in name.parts or "\0" in member.name or shown != member.name:
        raise unfit(f"{shown!r} leads out of its folder")
    at = folder / name
    try:
        if member.isdir():
            at.mkdir(parents=True, exist_ok=True)
            return
        content = tar.extractfile(member) if member.isreg() and not member.issparse() else None
        if content is None:
            raise unfit(f"{shown!r} is neither a plain file nor a folder")
        at.parent.mkdir(parents=True, exist_ok=True)
        with at.open("xb") as file:
            while part := content.read(_PART):
                file.write(part)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise
        raise unfit(f"{shown!r} cannot be a file here: {error.strerror}") from None


class _Bounded(io.RawIOBase):
    """The bytes of a gzip stream, up to the limit."""

    def __init__(self, archive: IO[bytes]) -> None:
        self._packed = gzip.GzipFile(fileobj=archive, mode="rb")
        self._left = MOST_UNPACKED

    def read(self, size: int = -1) -> bytes:
        part = self._packed.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(part)
        if self._left < 0:
            raise unfit(f"it holds more than {MOST_UNPACKED // 1024**2} MB")
        return part
