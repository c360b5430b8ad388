"""The port that identity providers fill: `authData` in, an identity out. Whoever does not say so vouches for nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mbaas.kernel.clock import Clock
from mbaas.kernel.values import Object
from mbaas.outbound.calls import Outbound

if TYPE_CHECKING:
    from mbaas_auth.identity.documents import Documents


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a provider vouches for.

    `id`: whom it is, to that provider, for ever. `kept`: what is stored as the user's `authData` of the provider; it has the id.
    `email`: an address that she has proved to the provider to be hers. `joins`: she is the user whose address that is.
    """

    id: str
    kept: Object
    email: str | None = None
    joins: bool = False


@dataclass(frozen=True, slots=True)
class Tools:
    """What providers ask with."""

    outbound: Outbound
    documents: Documents
    clock: Clock


class Provider(Protocol):
    """One configured provider: its options, read once. It keeps nothing of the people it vouches for."""

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        """Whose the data is, all of which a client has chosen. Raises NotVouched, Unreachable or Missing."""
        ...


class NotVouched(Exception):
    """The provider does not vouch for whom the data says. The text is for the log: clients are told no more than that."""


class Unreachable(Exception):
    """The provider could not be asked. The text is for the log."""


class Missing(Exception):
    """The data lacks what it must have; the text names that, in a word."""
