"""What live queries need of other rooms: who a token stands for, and where frames go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import ParseError
from mbaas.storage.ports import Entry

Touched = Callable[[Caller], bool]


class Left(Exception):
    """Nobody takes what is sent any more."""


class Identities(Protocol):
    """Turns session tokens into callers, and knows which writes change what callers may do."""

    async def caller(self, token: str, base: Caller) -> Caller:
        """`base` as the user whose token it is; ParseError 209 if it is nobody's."""
        ...

    def touched(self, entry: Entry) -> Touched | None:
        """Whose rights an entry of the feed changes; None for nobody's. What was remembered of them is forgotten."""
        ...


class Sink(Protocol):
    """The sending side of one connection."""

    def push(self, frame: str) -> None:
        """Queue a frame, at once and in order. A connection that cannot keep up is closed by its own policy."""
        ...

    def refuse(self, request_id: int | float, error: ParseError) -> None:
        """Say that an event may not be seen, and why."""
        ...

    def resync(self, request_id: int | float, numbered: bool) -> None:
        """Say that events were missed; a client that does not know the word is made to connect again."""
        ...

    async def drained(self) -> None:
        """Wait until there is room for more. Left if there will be none."""
        ...
