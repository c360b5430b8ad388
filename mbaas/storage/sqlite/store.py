"""The embedded store: one folder, one SQLite database in it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import apsw

from mbaas.kernel.clock import Clock
from mbaas.storage.ports import Changed
from mbaas.storage.sqlite import catalog
from mbaas.storage.sqlite.catalog import Catalog
from mbaas.storage.sqlite.connection import Tuning, connect
from mbaas.storage.sqlite.documents import SqliteDocuments
from mbaas.storage.sqlite.elsewhere import Elsewhere
from mbaas.storage.sqlite.failures import unopened
from mbaas.storage.sqlite.feed import SqliteFeed
from mbaas.storage.sqlite.layout import migrate
from mbaas.storage.sqlite.reader import Reader
from mbaas.storage.sqlite.rows import SqliteRows
from mbaas.storage.sqlite.schemas import SqliteSchemas
from mbaas.storage.sqlite.shared import Alone, Folder, Shared
from mbaas.storage.sqlite.steps import Steps
from mbaas.storage.sqlite.writer import Writer

FILE = "mbaas.db"
DAY_MS = 24 * 3600 * 1000
Place = tuple[int, int]


class SqliteStore:
    """The ports, bound to one database. Made by `open_store`."""

    def __init__(self, folder: Path, clock: Clock, tuning: Tuning, keep_ms: int, keep_bytes: int, place: Place) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / FILE
        connection = connect(file, tuning, cache=tuning.writer_cache, writer=True)
        store_id = migrate(connection)
        self._shared: Shared = Folder(folder, *place) if place[1] > 1 else Alone()
        self._version, self._catalog = catalog.load(connection)
        self._writer = Writer(connection, tuning, self._shared, self._begun, self._committed)
        self._reader = Reader(file, tuning)
        self._steps = Steps(connection, self._writer.cursor, clock, self._known)
        self._told = self._followed = 0
        self.schemas = SqliteSchemas(self._writer, self._steps, clock, self._known, self._refresh, self._adopt)
        self.documents = SqliteDocuments(self._writer, self._reader, self._steps, self._known, self.schemas.ensure)
        self.rows = SqliteRows(self._writer, self._reader, clock)
        self.feed = SqliteFeed(store_id, self._writer, self._reader, keep_ms, keep_bytes)
        self._elsewhere = Elsewhere(self._shared, self.feed, self._steps, self._known)
        self._shared.listen(self.feed.wake)

    def _known(self) -> Catalog:
        return self._catalog

    def _adopt(self, version: int, found: Catalog) -> None:
        self._version, self._catalog = version, found
        self._shared.tell(definitions=True)

    def _begun(self) -> None:
        """Write by the definitions that hold now: another process may have changed them."""
        if self._shared.several and catalog.version(self._writer.connection) != self._version:
            self._version, self._catalog = catalog.load(self._writer.connection)

    def _refresh(self) -> None:
        """Read by the definitions that hold now."""
        if self._shared.several:
            version, found = self._reader.now(lambda cursor: catalog.load(cursor.connection))
            if version > self._version:
                self._version, self._catalog = version, found

    @property
    def several(self) -> bool:
        return self._shared.several

    def follow(self, classes: Mapping[str, bool], changed: Changed) -> None:
        self._elsewhere.follow(classes, changed)

    @property
    def behind(self) -> bool:
        return self._elsewhere.behind

    async def catch_up(self) -> None:
        await self._elsewhere.catch_up()

    def _committed(self) -> None:
        if self._steps.fed != self._told:
            self._shared.tell(followed=self._steps.told != self._followed)
            self._told, self._followed = self._steps.fed, self._steps.told
            self.feed.wake()

    async def ping(self) -> None:
        self._reader.point("SELECT 1", ())
        if self._writer.failing:
            touch = "UPDATE meta SET value=value WHERE key='feed_trimmed'"
            await self._writer.submit(lambda: self._writer.cursor.execute(touch), shielded=False)

    async def close(self) -> None:
        await self._writer.close()
        await self._reader.close()
        self._shared.close()


async def open_store(
    folder: Path,
    clock: Clock,
    *,
    tuning: Tuning | None = None,
    feed_retention_ms: int = DAY_MS,
    feed_retention_bytes: int = 1024**3,
    place: Place = (0, 1),
) -> SqliteStore:
    """Open the store in a folder, which is made if it is not there. Other files in it are left alone. MbaasError if it cannot be.

    `place` is this process's number, from 0, and how many share the folder.
    """
    try:
        return SqliteStore(folder, clock, tuning or Tuning(), feed_retention_ms, feed_retention_bytes, place)
    except (OSError, apsw.Error) as error:
        raise unopened(folder / FILE, error) from error
