"""Stores that others write to as well: how secrets are kept there, and how to hear of what others changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mbaas.storage.files.ports import Files

Changed = Callable[[str | None, str | None], Awaitable[None]]
"""Told of (class, id of an object) that another process wrote. No id: any object of the class, or its relations. No class: any
object at all."""


@dataclass(slots=True)
class Sharing:
    """How a database is kept. It changes while a server runs where the database is sealed meanwhile."""

    shared: bool = False
    """Parse Server uses it, too: passwords and session tokens are written as it reads them."""
    plain: bool = False
    """Tokens of sessions may be there as Parse Server keeps them: in plain."""
    atomic: bool = True
    """A unit is a transaction, and writes can be followed; False on a MongoDB that is no replica set."""


@runtime_checkable
class Joint(Protocol):
    """A store that others may write to while this process runs."""

    @property
    def sharing(self) -> Sharing: ...
    @property
    def files(self) -> Files:
        """Where all of them find the contents of files."""
        ...

    def follow(self, classes: Collection[str], changed: Changed, redefined: Callable[[], Awaitable[None]]) -> None:
        """From now on until the store is closed, have `changed` called after writes to these classes, and `redefined` after
        writes to the definitions of any."""
        ...
