"""Secrets of an app's functions: environment variables of its workers, which nobody reads back.

In development they are the lines of `.secrets.env` in the functions' folder, under the same names.
"""

from __future__ import annotations

import re
from pathlib import Path

from mbaas.data.app import App
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Row

FILE = ".secrets.env"
MOST = 100
_MOST_BYTES = 48 * 1024
_TABLE = "secrets"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_TAKEN = re.compile(r"PATH|HOME|LANG|TMPDIR|LD_.*|PYTHON.*|MBAAS_.*|LC_.*", re.IGNORECASE)
"""Names that say how a process runs, and not what it knows."""


class Secrets:
    """The secrets of one app."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def values(self) -> dict[str, str]:
        """All of them, for the workers."""
        return {row.key: row.value["value"] for row in await self._rows()}

    async def names(self) -> list[Object]:
        """`name` and `updatedAt` of each."""
        return [{"name": row.key, "updatedAt": iso(row.value["at"])} for row in await self._rows()]

    async def put(self, name: str, value: str) -> None:
        """Keep a secret."""
        await self._app.store.rows.put_many(_TABLE, [Row(name, {"value": value, "at": self._app.clock.now()})])

    async def drop(self, name: str) -> None:
        """Forget a secret."""
        await self._app.store.rows.drop(_TABLE, name)

    async def _rows(self) -> list[Row]:
        return await self._app.store.rows.scan(_TABLE, limit=MOST)


def checked(name: str, value: Json) -> str:
    """The value of a secret that can be kept under the name. ParseError says why it cannot."""
    if not _NAME.fullmatch(name):
        raise ParseError(Code.INVALID_KEY_NAME, f"The name of a secret is made of letters, digits and _, no digit first: {name!r}.")
    if _TAKEN.fullmatch(name):
        raise ParseError(Code.INVALID_KEY_NAME, f"{name} says how a worker runs; take another name.")
    if not isinstance(value, str) or not value or "\0" in value:
        raise ParseError(Code.INVALID_VALUE, "The value of a secret is a text that is not empty.")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise ParseError(Code.INVALID_VALUE, "The value of a secret is a text in Unicode.") from None
    if size > _MOST_BYTES:
        raise ParseError(Code.INVALID_VALUE, f"A secret has no more than {_MOST_BYTES // 1024} KiB.")
    return value


def local(folder: Path) -> dict[str, str]:
    """What the folder's own file holds, if there is one. MbaasError says what is wrong with it."""
    from dotenv import dotenv_values

    try:
        found = dotenv_values(folder / FILE, interpolate=False)
        return {name: checked(name, value) for name, value in found.items()}
    except UnicodeDecodeError:
        raise MbaasError(f"{folder / FILE} is not UTF-8 text; save it as UTF-8") from None
    except ParseError as error:
        raise MbaasError(f"{folder / FILE}: {error.message}") from None
