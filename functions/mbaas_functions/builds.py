"""What deployments run from, on this machine: their unpacked code, and the packages of their `requirements.txt`.

Both lie in the data dir, by the digest of what they are made of. They are made under another name and renamed when they are whole,
and are made again wherever they are missing: another machine has only the archive.
Packages come as wheels alone: nothing of theirs runs before a worker imports it.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import re
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

from mbaas.kernel.errors import MbaasError
from mbaas_functions.archive import unpack

REQUIREMENTS = "requirements.txt"
_SECONDS = 600
_LOOK_SECONDS = 0.2
_NEW = ".new-"
_LEFT_SECONDS = 24 * 3600
_UNUSED_SECONDS = 30 * 24 * 3600
_MOST_TOLD = 4000
_OPTIONS = ("--index-url", "-i", "--extra-index-url", "--no-index", "--find-links", "-f", "--require-hashes", "--pre", "--prefer-binary")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\s*(\[[^\]]*\])?\s*([=<>!~;]|--hash=|$)")
_SOURCE = re.compile(r"\S*\.(zip|tgz|tbz|txz|tlz|tar(\.\w+)?)([#\s;]|$)", re.IGNORECASE)
_WHEEL = re.compile(r"(\S+\s*@\s*)?\S+\.whl([#\s;]|$)")


class Unbuilt(MbaasError):
    """The packages of a deployment cannot be installed; the text is for its developer."""


class Builds:
    """The folders of one app's deployments. `environment` is what the installer of packages is shown of the server's."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder, self._environment = folder, environment

    async def check(self, archive: IO[bytes]) -> None:
        """ParseError says what is wrong with an archive."""
        folder = await asyncio.to_thread(self._aside)
        try:
            await asyncio.to_thread(unpack, archive, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def code(self, digest: str, archive: Callable[[], Awaitable[IO[bytes]]]) -> Path:
        """The folder with the code of an archive, which is only asked for where it is missing."""

        async def fill(folder: Path) -> None:
            with await archive() as file:
                await asyncio.to_thread(unpack, file, folder)

        return await self._made(self._folder / "code" / digest, fill)

    async def packages(self, code: Path) -> Path | None:
        """The folder with the packages that the code's `requirements.txt` asks for, if it does. Unbuilt says why there can be none."""
        if not (code / REQUIREMENTS).is_file():
            return None
        digest = await asyncio.to_thread(_digest, code)

        async def fill(folder: Path) -> None:
            await self._install(code, folder)

        return await self._made(self._folder / "packages" / digest, fill)

    async def _made(self, target: Path, fill: Callable[[Path], Awaitable[None]]) -> Path:
        """A folder that is there, or is filled now, by one process at a time."""
        if await asyncio.to_thread(_used, target):
            return target
        async with _held(target):
            if not await asyncio.to_thread(target.is_dir):
                folder = await asyncio.to_thread(self._aside)
                try:
                    await fill(folder)
                    await asyncio.to_thread(_settle, folder, target)
                finally:
                    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        return target

    async def sweep(self) -> None:
        """Remove what a process began and left, and what nothing was loaded from for long: it can be made anew."""
        await asyncio.to_thread(_sweep, self._folder)

    def _aside(self) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=_NEW, dir=self._folder))

    async def _install(self, code: Path, folder: Path) -> None:
        try:
            refuse_what_would_run((code / REQUIREMENTS).read_text("utf-8"))
        except UnicodeDecodeError:
            raise Unbuilt(f"{REQUIREMENTS} is not UTF-8 text") from None
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"),
            *("--only-binary=:all:", "--target", str(folder), "--requirement", REQUIREMENTS),
            cwd=code,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=dict(self._environment),
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(_SECONDS):
                said, _ = await process.communicate()
        except TimeoutError:
            raise Unbuilt(f"{REQUIREMENTS}: the packages were not installed within {_SECONDS} s") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            text = said.decode(errors="replace").strip()[-_MOST_TOLD:]
            if "No module named pip" in text:
                text = "the server's Python has no pip; its operator can add it by `python -m ensurepip`"
            raise Unbuilt(f"{REQUIREMENTS}: the packages cannot be installed:\n{text}")


def refuse_what_would_run(requirements: str) -> None:
    """Unbuilt for a line that asks for more than wheels: what is built runs code of its own."""
    for line in requirements.replace("\\\n", "").splitlines():
        asked = re.sub(r"(^|\s)#.*", "", line).strip()
        if asked.startswith("-"):
            fine = re.split(r"[\s=]", asked, maxsplit=1)[0] in _OPTIONS
        else:
            fine = not asked or bool((_NAME.match(asked) and not _SOURCE.match(asked)) or _WHEEL.match(asked))
        if not fine:
            text = "only names of packages, wheels, and where to find them can be asked for: nothing is built on the server"
            raise Unbuilt(f"{REQUIREMENTS}: {asked!r} cannot be installed; {text}")


def _digest(code: Path) -> str:
    """What packages depend on: the Python that they are for, what is asked for, and the wheels that the code brings."""
    digest = hashlib.sha256(f"{sys.version}\n{sysconfig.get_platform()}\n".encode())
    for path in [code / REQUIREMENTS, *sorted(code.rglob("*.whl"))]:
        data = path.read_bytes()
        digest.update(f"{path.relative_to(code)}\n{len(data)}\n".encode() + data)
    return digest.hexdigest()


@asynccontextmanager
async def _held(target: Path) -> AsyncIterator[None]:
    """Nobody else makes this folder meanwhile."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(target.parent / f".{target.name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_LOOK_SECONDS)
        yield
    finally:
        os.close(lock)


def _used(target: Path) -> bool:
    """True if it is there; from now on it was used now."""
    try:
        os.utime(target)
    except FileNotFoundError:
        return False
    return True


def _sweep(folder: Path) -> None:
    now = time.time()
    for kept, seconds in ((folder.glob(f"{_NEW}*"), _LEFT_SECONDS), (folder.glob("*/*"), _UNUSED_SECONDS)):
        for path in kept:
            with suppress(OSError):
                if now - path.stat().st_mtime > seconds:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _settle(folder: Path, target: Path) -> None:
    # Whole also after a power cut, and readable by a worker's user.
    os.sync()
    folder.chmod(0o755)
    folder.rename(target)
