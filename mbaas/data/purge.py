"""Emptying a class at once, for the master key."""

from __future__ import annotations

from mbaas.data.app import App


async def purge(app: App, class_name: str) -> None:
    """Remove every object of a class, each with its entry in the feed; a class that does not exist is empty already."""
    schema = await app.classes.sought(class_name)
    if schema is not None:
        await app.store.schemas.purge(schema)
        app.policy(class_name).purged()
