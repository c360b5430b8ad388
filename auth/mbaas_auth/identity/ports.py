"""The port that identity providers fill: `authData` in, an identity out. Whoever does not say so vouches for nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import Clock
from mbaas.kernel.values import Object
from mbaas.outbound.calls import Outbound
from mbaas.storage.ports import Step

if TYPE_CHECKING:
    from mbaas.data.app import App
    from mbaas_auth.identity.documents import Documents


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom a provider vouches for.

    `id`: whom it is, to that provider, for ever. `kept`: what is stored as the user's `authData` of the provider; it has the id.
    `email`: an address that she has proved to the provider to be hers. `joins`: she is the user whose address that is.
    `signs_up`: somebody new may come with it; else it is good only for who is known by it, or for the user `whose` it is to be.
    `strong`: it is two factors by itself. `steps` keep what the provider knows from now on, in one commit with the user. `told`: what
    mails call it, where it adds to what is there already.
    """

    id: str
    kept: Object
    email: str | None = None
    joins: bool = False
    signs_up: bool = True
    strong: bool = False
    whose: str | None = None
    steps: tuple[Step, ...] = ()
    told: str | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What providers ask with."""

    outbound: Outbound
    documents: Documents
    app: App

    @property
    def clock(self) -> Clock:
        return self.app.clock


class Provider(Protocol):
    """One configured provider: its options, read once. It keeps nothing of the people it vouches for."""

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        """Whose the data is, all of which a client has chosen. Raises NotVouched, Unreachable or Missing."""
        ...


@runtime_checkable
class Challenging(Protocol):
    """A provider that asks something first."""

    async def challenge(self, app: App, caller: Caller, given: Object) -> Object:
        """What it asks, for what a client wants (`challengeData` of the provider)."""
        ...


@runtime_checkable
class ByPassword(Provider, Protocol):
    """A provider that is asked with a password, which somebody may guess at."""

    by_password: bool


class NotVouched(Exception):
    """The provider does not vouch for whom the data says. The text is for the log: clients are told no more than that."""


class Unreachable(Exception):
    """The provider could not be asked. The text is for the log."""


class Missing(Exception):
    """The data lacks what it must have; the text names that, in a word."""
