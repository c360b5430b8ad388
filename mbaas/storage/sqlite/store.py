"""The embedded store: one folder, one SQLite database in it."""

from __future__ import annotations

from pathlib import Path

import apsw

from mbaas.kernel.clock import Clock
from mbaas.storage.sqlite import catalog
from mbaas.storage.sqlite.catalog import Catalog
from mbaas.storage.sqlite.connection import Tuning, connect
from mbaas.storage.sqlite.documents import SqliteDocuments
from mbaas.storage.sqlite.failures import unopened
from mbaas.storage.sqlite.feed import SqliteFeed
from mbaas.storage.sqlite.layout import migrate
from mbaas.storage.sqlite.reader import Reader
from mbaas.storage.sqlite.rows import SqliteRows
from mbaas.storage.sqlite.schemas import SqliteSchemas
from mbaas.storage.sqlite.steps import Steps
from mbaas.storage.sqlite.writer import Writer

FILE = "mbaas.db"
DAY_MS = 24 * 3600 * 1000


class SqliteStore:
    """The ports, bound to one database. Made by `open_store`."""

    def __init__(self, folder: Path, clock: Clock, tuning: Tuning, keep_ms: int, keep_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / FILE
        connection = connect(file, tuning, cache=tuning.writer_cache, writer=True)
        store_id = migrate(connection)
        self._catalog: Catalog = catalog.load(connection)
        self._writer = Writer(connection, tuning, self._committed)
        self._reader = Reader(file, tuning)
        self._steps = Steps(connection, self._writer.cursor, clock, self._known)
        self._told = 0
        self.schemas = SqliteSchemas(self._writer, self._steps, clock, self._adopt, self._known)
        self.documents = SqliteDocuments(self._writer, self._reader, self._steps, self._known, self.schemas.ensure)
        self.rows = SqliteRows(self._writer, self._reader, clock)
        self.feed = SqliteFeed(store_id, self._writer, self._reader, keep_ms, keep_bytes)

    def _known(self) -> Catalog:
        return self._catalog

    def _adopt(self, found: Catalog) -> None:
        self._catalog = found

    def _committed(self) -> None:
        if self._steps.fed != self._told:
            self._told = self._steps.fed
            self.feed.wake()

    async def ping(self) -> None:
        self._reader.point("SELECT 1", ())
        if self._writer.failing:
            touch = "UPDATE meta SET value=value WHERE key='feed_trimmed'"
            await self._writer.submit(lambda: self._writer.cursor.execute(touch), shielded=False)

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()


async def open_store(
    folder: Path,
    clock: Clock,
    *,
    tuning: Tuning | None = None,
    feed_retention_ms: int = DAY_MS,
    feed_retention_bytes: int = 1024**3,
) -> SqliteStore:
    """Open the store in a folder, which is made if it is not there. Other files in it are left alone. MbaasError if it cannot be."""
    try:
        return SqliteStore(folder, clock, tuning or Tuning(), feed_retention_ms, feed_retention_bytes)
    except (OSError, apsw.Error) as error:
        raise unopened(folder / FILE, error) from error
