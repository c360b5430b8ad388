"""Passwords: argon2id for new ones, Parse's bcrypt verified and replaced; never on the event loop.

Parameters: OWASP's minimum for argon2id (19 MiB, 2 passes, 1 lane). Parse Server's hashes are bcrypt over the first 72
bytes, which its library cut silently; so are they here. A hash that is none of these verifies nothing and is logged.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from mbaas.kernel.errors import Code, ParseError, TooMany
from mbaas.observe.logs import get_logger

MAX_BYTES = 1024
_QUEUE = 64
_BCRYPT_BYTES = 72


class Passwords:
    """Hashes and verifies in a small pool of its own; when too many wait, callers are told to come back (155, HTTP 429)."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """The PHC string to keep. Raises 142 for a password over 1024 bytes."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise ParseError(Code.VALIDATION_ERROR, f"A password may have at most {MAX_BYTES} bytes.")
        hashed: str = await self._run(_hash, password)
        return hashed

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, bool]:
        """(is it right, should it be hashed anew). Takes as long for an account that does not exist (`hashed` None)."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            return False, False
        if hashed is None:
            if self._decoy is None:
                self._decoy = await self._run(_hash, os.urandom(16).hex())
            await self._run(_verify, password, self._decoy)
            return False, False
        result: tuple[bool, bool] = await self._run(_verify, password, hashed)
        return result

    async def judge(self, rule: Callable[[str], bool], password: str) -> bool:
        """What a rule says of a password, where it may think for long."""
        result: bool = await self._run(rule, password)
        return result

    async def _run(self, work: Any, *arguments: str) -> Any:
        if self._waiting >= _QUEUE:
            raise TooMany("Too many sign-ins at once; try again in a moment.", 1, code=Code.REQUEST_LIMIT_EXCEEDED)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max(1, (os.cpu_count() or 2) - 1), "password")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        finally:
            self._waiting -= 1


def _argon2() -> Any:
    from passlib.hash import argon2

    return argon2.using(type="ID", memory_cost=19 * 1024, time_cost=2, parallelism=1)


def _hash(password: str) -> str:
    hashed: str = _argon2().hash(password)
    return hashed


def _verify(password: str, hashed: str) -> tuple[bool, bool]:
    try:
        if hashed.startswith("$argon2"):
            scheme = _argon2()
            right = bool(scheme.verify(password, hashed))
            return right, right and bool(scheme.needs_update(hashed))
        if hashed.startswith(("$2a$", "$2b$", "$2y$")):
            import bcrypt

            secret = password.encode("utf-8", "surrogatepass")[:_BCRYPT_BYTES]
            right = bcrypt.checkpw(secret, hashed.encode())
            return right, right
    except ValueError:
        pass
    get_logger(__name__).warning("a stored password hash has an unknown form and verifies nothing")
    return False, False
