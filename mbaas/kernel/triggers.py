"""What a developer may hang on to saves, deletes, finds, sign-ins, files and live queries: the port that the room of functions fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

from mbaas.kernel.caller import Caller
from mbaas.kernel.values import Json, Object

Kind = Literal[
    "beforeSave",
    "afterSave",
    "beforeDelete",
    "afterDelete",
    "beforeFind",
    "afterFind",
    "beforeLogin",
    "afterLogin",
    "afterLogout",
    "beforePasswordResetRequest",
    "beforeSaveFile",
    "afterSaveFile",
    "beforeDeleteFile",
    "afterDeleteFile",
    "beforeFindFile",
    "afterFindFile",
    "beforeConnect",
    "beforeSubscribe",
    "afterEvent",
    "authProvider",
]
FILES, CONNECT = "@File", "@Connect"
"""What stands for the class in triggers that have none: those of files, and of connections."""


@dataclass(slots=True)
class Outcome:
    """What a trigger says when it has run.

    `body`: the changes of its object, as a client would send them. `context`: what later triggers of the same request find.
    `query`: a find's or a subscription's arguments, changed. `objects`: what a search is to be answered with. `answer`: what a save is to
    be answered with; of a file's trigger and of one for events, what it made of the file and of the event.
    """

    body: Object = field(default_factory=dict)
    context: Object = field(default_factory=dict)
    query: Object | None = None
    objects: list[Object] | None = None
    answer: Json = None


class Triggers(Protocol):
    """The triggers of one app."""

    def has(self, kind: Kind, class_name: str) -> bool:
        """True if there is such a trigger; asked for every operation."""
        ...

    async def fire(self, kind: Kind, class_name: str, caller: Caller, given: Object) -> Outcome:
        """Run the trigger. ParseError as it refuses, or 141 if it fails.

        `given` holds `object` (as stored, or as the caller sees it), `original` and `body` (what a client sends for it), or `query`,
        `count`, `isGet` and `objects`; or `file` and `fileSize`; or what is known of a connection, an event,
        or a sign-in.
        """
        ...


class NoTriggers:
    """An app without any."""

    def has(self, kind: Kind, class_name: str) -> bool:
        return False

    async def fire(self, kind: Kind, class_name: str, caller: Caller, given: Object) -> Outcome:
        raise LookupError(f"the app has no {kind} trigger of {class_name}")
