"""What the pages of campaigns and of plays share: their lists, their histories, and the orders that somebody gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash

from mbaas.admin.visit import Visit, visit_of, words
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.values import Object
from mbaas_push.campaigns.store import Kept, Store

SHOWN = 100
"""Lines of a list."""
_PLACES = {"campaign": ("/console/", "/console/compose"), "play": ("/console/plays", "/console/compose-play")}
"""Where the list of each kind is, and its form."""
_PAGE, _MOST, _PAST = 500, 5000, 50


class Room(Protocol):
    """Where orders go: the campaigns, or the plays."""

    async def order(self, kept_id: str, order: str, caller: Caller, updated_at: int | None, /) -> Object:
        """Give one."""

    async def duplicate(self, kept_id: str, caller: Caller, /) -> Object:
        """Another draft that is like it."""

    async def delete(self, kept_id: str, caller: Caller, updated_at: int | None, /) -> None:
        """Forget it."""


async def every_of(store: Store) -> list[Kept]:
    """Every campaign, or play, the last changed first; they are kept by ids that say nothing of their time."""
    found: list[Kept] = []
    after: str | None = ""
    while after is not None and len(found) < _MOST:
        page, after = await store.page(after, _PAGE)
        found += page
    return sorted(found, key=lambda each: -int(each.value["updatedAt"]))


async def listed(request: Request, store: Store, filters: Mapping[str, tuple[str, ...]]) -> tuple[list[Kept], dict[str, Any]]:
    """Those that a list is asked for, and what its page shows besides: how many there are in all, of each filter, and what was asked."""
    wanted, text = request.query_params.get("state", ""), request.query_params.get("q", "").strip()
    every = [each for each in await every_of(store) if text.casefold() in each.definition["name"].casefold()]
    of = {name: [each for each in every if not states or each.state in states] for name, states in filters.items()}
    found = of.get(wanted, every)
    counts = {name: len(each) for name, each in of.items()}
    return found[:SHOWN], {"found": len(found), "counts": counts, "wanted": wanted, "q": text}


async def history(store: Store, kept_id: str) -> list[Object]:
    """Who has done what to it, the last first."""
    return [{**each, "at": from_iso(each["at"])} for each in await store.audit(kept_id)][::-1][:_PAST]


async def ordered(request: Request, kind: str, room: Room, done: Mapping[str, str], seen: int | None = None) -> Response:
    """Give an order of the path, make another one like it, or forget it; where to go then, with a word on what was done.

    `done` says that of each order. With `seen` it must be as it was then.
    """
    visit, (kept_id, order) = visit_of(request), (request.path_params["id"], request.path_params["order"])
    visit.demand("change")
    home, writing = _PLACES[kind]
    page = f"/console/{kind}s/{kept_id}"
    try:
        if order == "duplicate":
            made = await room.duplicate(kept_id, visit.caller)
            await visit.note(f"{kind} duplicate", kept_id)
            return RedirectResponse(f"{writing}/{made['id']}", 303)
        await _give(visit, room, kept_id, order, done, seen)
    except MbaasError as error:
        if isinstance(error, ParseError) and error.code == Code.OBJECT_NOT_FOUND:
            raise
        flash(request, words(error), "error")
        return RedirectResponse(page, 303)
    await visit.note(f"{kind} {order}", kept_id)
    flash(request, done.get(order, f"The {kind} is gone."), "success")
    return RedirectResponse(home if order == "delete" else page, 303)


async def _give(visit: Visit, room: Room, kept_id: str, order: str, done: Mapping[str, str], seen: int | None) -> None:
    if order == "delete":
        await room.delete(kept_id, visit.caller, seen)
    elif order in done:
        await room.order(kept_id, order, visit.caller, seen)
    else:
        raise HTTPException(404)
