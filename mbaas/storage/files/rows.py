"""What is known of files by their public names, as rows of the store (table `files`)."""

from __future__ import annotations

from mbaas.kernel.values import Object
from mbaas.storage.ports import Row, Rows

_TABLE = "files"


class NamesInRows:
    """The names of files whose contents are kept elsewhere."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def describe(self, name: str, known: Object) -> None:
        """Put the row."""
        await self._rows.put_many(_TABLE, [Row(name, known)])

    async def described(self, name: str) -> Object | None:
        """The row's value."""
        row = await self._rows.get(_TABLE, name)
        return None if row is None else row.value

    async def of_user(self, user_id: str) -> list[str]:
        """Those of all rows that say so."""
        found: list[str] = []
        after = ""
        while rows := await self._rows.scan(_TABLE, after):
            found += [row.key for row in rows if row.value.get("user") == user_id]
            after = rows[-1].key
        return found

    async def forget(self, name: str) -> bool:
        """Drop the row."""
        return await self._rows.drop(_TABLE, name)
