"""The way back to the server from within a call: which call this is, and what it may still ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mbaas.kernel.values import Json, Object
from mbaas_functions.cloud.errors import Error


@dataclass(slots=True)
class Call:
    """One call of a function or trigger: whatever is asked of the server during it is asked in its name."""

    ask: Callable[[str, Object], Awaitable[Json]]
    say: Callable[[Object], None]
    """Takes a line for the log: `level`, `text`, `values`."""
    printed: Callable[[str, str], None]
    """Takes the level and a piece of what the call prints."""
    context: Object = field(default_factory=dict)


CURRENT: ContextVar[Call | None] = ContextVar("call", default=None)


def current() -> Call:
    """The running call. Error where none runs, as while `main.py` is being loaded."""
    call = CURRENT.get()
    if call is None:
        raise Error("The server can be asked from within a function, trigger or job only, not while main.py is loaded.", code=1)
    return call


async def ask(operation: str, *, use_master_key: bool = False, context: Object | None = None, **arguments: Any) -> Json:
    """What the server answers, as the caller or with the master key. Error as the server refuses."""
    call = current()
    return await call.ask(operation, {"master": use_master_key, "context": call.context if context is None else context, **arguments})
