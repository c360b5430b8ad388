"""Databases that Parse Server may use as well: how secrets are kept there, and where files are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from mbaas.storage.files.ports import Files


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
    """A store that Parse Server may use, too."""

    @property
    def sharing(self) -> Sharing: ...
    @property
    def files(self) -> Files:
        """Where all of them find the contents of files."""
        ...
