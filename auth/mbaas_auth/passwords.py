"""Passwords: argon2id for new ones, Parse's bcrypt verified and replaced; never on the event loop.

Where Parse Server uses the same database, it is the other way round: it knows no hash but bcrypt, so bcrypt is what is kept.
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
from mbaas.storage.sharing import Sharing

MAX_BYTES = 1024
_QUEUE = 64
_BCRYPT = ("$2a$", "$2b$", "$2y$")
_BCRYPT_BYTES = 72
_BCRYPT_ROUNDS = 10
"""Parse Server's cost."""


class Passwords:
    """Hashes and verifies in a small pool of its own; when too many wait, callers are told to come back (155, HTTP 429)."""

    def __init__(self, sharing: Sharing | None = None) -> None:
        self._sharing = sharing or Sharing()
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._decoys: dict[bool, str] = {}

    async def hash(self, password: str) -> str:
        """The hash to keep, as a PHC string or bcrypt's. Raises 142 for a password over 1024 bytes."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            raise ParseError(Code.VALIDATION_ERROR, f"A password may have at most {MAX_BYTES} bytes.")
        hashed: str = await self._run(_bcrypt if self._sharing.shared else _argon2id, password)
        return hashed

    async def verify(self, password: str, hashed: str | None) -> tuple[bool, bool]:
        """(is it right, should it be hashed anew). Takes as long for an account that does not exist (`hashed` None)."""
        if len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
            return False, False
        if hashed is None:
            shared = self._sharing.shared
            if shared not in self._decoys:
                self._decoys[shared] = await self.hash(os.urandom(16).hex())
            await self._run(_verify, password, self._decoys[shared])
            return False, False
        right: bool = await self._run(_verify, password, hashed)
        return right, right and self._outdated(hashed)

    def _outdated(self, hashed: str) -> bool:
        """True for a hash of another kind than new ones are."""
        if self._sharing.shared:
            return not hashed.startswith(_BCRYPT)
        return not hashed.startswith("$argon2") or bool(_argon2().needs_update(hashed))

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


def _argon2id(password: str) -> str:
    hashed: str = _argon2().hash(password)
    return hashed


def _bcrypt(password: str) -> str:
    import bcrypt

    return bcrypt.hashpw(_cut(password), bcrypt.gensalt(_BCRYPT_ROUNDS)).decode()


def _cut(password: str) -> bytes:
    """The bytes that Parse Server's bcrypt looks at."""
    return password.encode("utf-8", "surrogatepass")[:_BCRYPT_BYTES]


def _verify(password: str, hashed: str) -> bool:
    try:
        if hashed.startswith("$argon2"):
            return bool(_argon2().verify(password, hashed))
        if hashed.startswith(_BCRYPT):
            import bcrypt

            return bcrypt.checkpw(_cut(password), hashed.encode())
    except ValueError:
        pass
    get_logger(__name__).warning("a stored password hash has an unknown form and verifies nothing")
    return False
