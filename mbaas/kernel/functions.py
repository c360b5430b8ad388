"""Functions by their names, and people by the ids of partners: the port that the room of functions fills, for other rooms."""

from __future__ import annotations

from typing import Protocol

from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object


class Functions(Protocol):
    """The functions of one app: its own, webhooks, and operations of partners (`taxi.offer`)."""

    async def call(self, name: str, caller: Caller, params: Object) -> Object:
        """`{"result": …}`, or `{}` if it returned nothing. ParseError 141 if there is none, or as it fails; TooMany."""
        ...

    async def linked(self, partner: str, external_id: Json) -> str | None:
        """The user whom an enabled partner knows by its id, if she has consented; None for all others, which are counted.

        ParseError 101 for no partner, 141 for one that is not enabled, 142 for what can be no id.
        """
        ...


class NoFunctions:
    """An app without any."""

    async def call(self, name: str, caller: Caller, params: Object) -> Object:
        raise ParseError(Code.SCRIPT_FAILED, f'Invalid function: "{name}"')

    async def linked(self, partner: str, external_id: Json) -> str | None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "There is no such partner.")
