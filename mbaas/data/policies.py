"""What a class may add to the generic path: the room that owns a class registers a policy for it.

The data room itself knows no class by name; accounts, sessions, roles and installations bring their rules here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Duplicate, MbaasError
from mbaas.kernel.values import Json, Object
from mbaas.query.ast import EVERYTHING, Node
from mbaas.storage.ports import Document, Step

if TYPE_CHECKING:
    from mbaas.data.app import App


@dataclass(slots=True)
class Saved:
    """The answer to a write: its body, HTTP status, and for a new object the path of its Location below the mount."""

    answer: Object
    status: int = 200
    location: str | None = None


@dataclass(slots=True)
class Write:
    """One create or update on its way through the pipeline. A policy may change any part of it."""

    app: App
    caller: Caller
    class_name: str
    object_id: str | None
    """None until a create is given its id; for an update, the id that was asked for."""
    body: Object
    creating: bool
    hidden: dict[str, Json] = field(default_factory=dict)
    """Hidden fields to set (None removes)."""
    steps: list[Step] = field(default_factory=list)
    """Further steps of the same unit: sessions to end, roles to join."""
    guard: Node = EVERYTHING
    """What the stored object must match for the write to happen."""
    updated_at: int | None = None
    """The `updatedAt` that the stored object must still have, in ms; None does not ask."""
    set_by_server: set[str] = field(default_factory=set)
    """Fields that the server filled in, to be told in the answer."""
    answer: Object = field(default_factory=dict)
    """Further keys of the answer."""
    reply: Saved | None = None
    """Set to end the pipeline with this answer, nothing written by it."""
    refusal: MbaasError | None = None
    """What is told instead of the answer, once everything is done."""
    triggered: Object = field(default_factory=dict)
    """Fields that a trigger changed, with what it did to them."""
    expect: int | None = None
    """The version that the stored object must still have, since a trigger has seen that one."""
    before: Document | None = None
    after: Document | None = None


class Policy:
    """The rules of one class. This base adds nothing; a room overrides what it needs."""

    location: str | None = None
    """Where objects of the class are found, below the mount; None is the ordinary place."""
    schema: Mapping[str, Any] = {}
    """Indexes, unique and folded of the class, as arguments of ClassSchema."""
    owned_by_itself = False
    """True if an object of the class is a person, who sees her own protected fields."""
    plain_reads = True
    """True if objects are answered as they are stored: `reveal` changes nothing."""

    remembers = False
    """True if something of the class's objects is remembered, so that `changed` must be called."""

    remembers_all = False
    """True if it is also remembered which objects there are: `changed` is called for new ones, too."""

    def path(self, class_name: str) -> str:
        """The path below the mount that an object's id completes."""
        return self.location or f"/classes/{class_name}/"

    def admit(self, caller: Caller, operation: str, class_name: str) -> None:
        """Refuse an operation before anything is looked at."""

    def scope(self, caller: Caller, operation: str) -> Node:
        """The objects of the class that exist for the caller."""
        return EVERYTHING

    async def before(self, write: Write) -> None:
        """Check and change what the client sent, before the schema check."""

    async def prepare(self, write: Write) -> None:
        """After the schema check and the class permissions, before the commit."""

    async def before_delete(self, app: App, caller: Caller, document: Document) -> list[Step]:
        """Check a delete; further steps of its unit."""
        return []

    async def after(self, write: Write) -> None:
        """After the commit, before the answer."""

    async def after_delete(self, app: App, caller: Caller, document: Document) -> None:
        """After the commit of a delete."""

    def purged(self) -> None:
        """After every object of the class was removed at once."""

    async def changed(self, object_id: str | None) -> None:
        """After some process wrote an object of the class; None: any of them, or their relations."""

    async def forestalled(self, write: Write, error: Duplicate) -> Saved | None:
        """The answer to a create that came second, where the class has a better one than a refusal. Conflict: it is to be begun again."""
        return None

    def refusal(self, error: Duplicate) -> MbaasError:
        """The error that tells a client which unique value is taken."""
        return error

    def missing(self, caller: Caller, operation: str, error: MbaasError) -> MbaasError:
        """The error for an object that is not there, or not for the caller, on `update` and `delete`."""
        return error

    def rewrite(self, caller: Caller, where: Node) -> Node:
        """A query of the class with conditions on what is kept otherwise, or may not be asked, put into their place."""
        return where

    def reveal(self, caller: Caller, body: Object) -> Object:
        """An object as the caller may see it, beyond the class's protected fields; `body` is the policy's to change."""
        return body

    def announce(self, caller: Caller, body: Object) -> Object:
        """An object as an event tells of it, beyond `reveal`; `body` is the policy's to change."""
        return body

    def private(self, caller: Caller, hidden: Object) -> Object:
        """What the caller may see of an object's hidden fields."""
        return {}

    def single(self, caller: Caller, body: Object) -> Object:
        """What a get of one object shows beyond `reveal`."""
        return body


PLAIN = Policy()
