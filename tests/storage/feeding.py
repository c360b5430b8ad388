"""The whole feed, page by page."""

from __future__ import annotations

from mbaas.storage.ports import Entry, Feed


async def all_entries(feed: Feed, since: str = "") -> list[Entry]:
    """Every entry after a position, or since the feed began."""
    found: list[Entry] = []
    at, more = since or (await feed.latest()).split("-")[0] + "-" + "0" * 12, True
    while more:
        page = await feed.after(at)
        assert page is not None
        found += page
        at, more = page[-1].seq if page else at, page.more
    return found
