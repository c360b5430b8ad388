"""What other processes of the folder wrote: asked for at the beginning of every request, so that no answer is older than it may be."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mbaas.storage.ports import Changed
from mbaas.storage.sqlite.catalog import Catalog
from mbaas.storage.sqlite.feed import SqliteFeed
from mbaas.storage.sqlite.shared import NOTHING, Shared
from mbaas.storage.sqlite.steps import Steps

_PAGE = 1000


class Elsewhere:
    """Follows definitions, and the objects of some classes."""

    def __init__(self, shared: Shared, feed: SqliteFeed, steps: Steps, known: Callable[[], Catalog]) -> None:
        self._shared, self._feed, self._steps, self._known = shared, feed, steps, known
        self._classes: frozenset[str] = frozenset()
        self._whole: frozenset[str] = frozenset()
        self._changed: Changed | None = None
        self._seen = NOTHING
        self._position = ""

    def follow(self, classes: Mapping[str, bool], changed: Changed) -> None:
        """Have `changed` called by `catch_up`."""
        self._classes = self._steps.followed = frozenset(classes)
        self._whole = frozenset(name for name, whole in classes.items() if whole)
        self._changed = changed
        self._seen, self._position = self._shared.news(), self._feed.end()

    @property
    def behind(self) -> bool:
        """True if there is something to catch up with; costs no more than a glance."""
        return self._shared.news() != self._seen

    async def catch_up(self) -> None:
        """Tell of everything that has been acknowledged. Whoever asks meanwhile is told of it, too."""
        if self._changed is None:
            return
        news = self._shared.news()
        if news.definitions != self._seen.definitions:
            await self._changed(None, None)
        if news.followed != self._seen.followed:
            await self._read(self._changed)
        self._seen = news

    def _relates(self, class_name: str) -> bool:
        table = self._known().get(class_name)
        return table is not None and bool(table.relations)

    async def _read(self, changed: Changed) -> None:
        end, position = self._feed.end(), self._position
        while (entries := await self._feed.after(position, _PAGE, self._classes)) is not None:
            for entry in entries:
                if entry.op != "create" or entry.class_name in self._whole or self._relates(entry.class_name):
                    # Of an object that is new nothing is remembered, but of those that it is related to.
                    await changed(entry.class_name, entry.object_id)
            if not entries.more:
                break
            position = entries[-1].seq
        else:
            for name in self._classes:
                await changed(name, None)
        self._position = end
