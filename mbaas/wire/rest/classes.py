"""`/classes`, and the classes that have paths of their own: users, sessions, roles, installations."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import quote

import orjson

from mbaas.data import find as finding
from mbaas.data import objects
from mbaas.data.address import public_url
from mbaas.data.options import EVERYTHING, FindOptions
from mbaas.data.policies import Saved
from mbaas.kernel.values import Json
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route

_MAY_NOT_CREATE = "perform the create operation"
_MAY_NOT_UPDATE = "perform the update operation"
_MAY_NOT_DELETE = "perform the delete operation"


_IN_URLS = re.compile(r"[\w./-]+", re.ASCII).fullmatch
"""Nearly every path: `quote` would leave it as it is, but takes its time to see that."""
_SEEN: dict[str, FindOptions] = {}
_SEEN_MOST, _SEEN_LONGEST = 2048, 2000


def _options(request: Request) -> FindOptions:
    """The options of a find; those of a query string that was seen lately are kept, as apps send the same ones again and again."""
    if request.body or len(request.query) > _SEEN_LONGEST:
        return FindOptions.parse(request.arguments())
    found = _SEEN.get(request.query)
    if found is None:
        found = FindOptions.parse(request.arguments())
        if len(_SEEN) >= _SEEN_MOST:
            del _SEEN[next(iter(_SEEN))]
        _SEEN[request.query] = found
    return found


async def find(request: Request) -> bytes:
    """Search a class."""
    return await finding.find(request.app, request.caller, request.params[0], _options(request))


async def get(request: Request) -> bytes:
    """One object."""
    class_name, object_id = request.params
    options = FindOptions.parse_get(request.arguments()) if request.query or request.body else EVERYTHING
    return await finding.get(request.app, request.caller, class_name, object_id, options)


async def create(request: Request) -> Answer:
    """Save a new object."""
    return saved_answer(request, await objects.create(request.app, request.caller, request.params[0], request.object()))


def saved_answer(request: Request, saved: Saved) -> Answer:
    """The answer to a create: what was saved, and where it is."""
    body = orjson.dumps(saved.answer)
    if saved.location is None:
        return Answer(saved.status, body)
    path = saved.location if _IN_URLS(saved.location) else quote(saved.location)
    return Answer(saved.status, body, [(b"location", (public_url(request.app) + path).encode())])


async def update(request: Request) -> Answer:
    """Change an object."""
    class_name, object_id = request.params
    saved = await objects.update(request.app, request.caller, class_name, object_id, request.object(), updated_at=request.if_match())
    return Answer(saved.status, orjson.dumps(saved.answer))


async def delete(request: Request) -> Json:
    """Remove an object."""
    class_name, object_id = request.params
    await objects.delete(request.app, request.caller, class_name, object_id, updated_at=request.if_match())
    return {}


class Own:
    """The handlers of a class that has a path of its own: those above with the class's name put in."""

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name

    async def find(self, request: Request) -> bytes:
        """Search the class."""
        request.params = (self.class_name,)
        return await find(request)

    async def get(self, request: Request) -> bytes:
        """One object of the class."""
        request.params = (self.class_name, *request.params)
        return await get(request)

    async def create(self, request: Request) -> Answer:
        """Save a new object of the class."""
        request.params = (self.class_name,)
        return await create(request)

    async def update(self, request: Request) -> Answer:
        """Change an object of the class."""
        request.params = (self.class_name, *request.params)
        return await update(request)

    async def delete(self, request: Request) -> Json:
        """Remove an object of the class."""
        request.params = (self.class_name, *request.params)
        return await delete(request)


def own(
    path: str, at: Own, tag: str, *, master: bool = False, once: Literal["", "write"] = "", limit: Literal["", "sign-up"] = ""
) -> tuple[Route, ...]:
    """The five routes of a class that has a path of its own."""
    one = f"{path}/:objectId"
    return (
        Route("GET", path, at.find, f"Find {tag}", tag, master=master),
        Route("GET", one, at.get, f"Get one of the {tag}", tag, master=master),
        Route("POST", path, at.create, f"Create one of the {tag}", tag, master=master, once=once, read_only=_MAY_NOT_CREATE, limit=limit),
        Route("PUT", one, at.update, f"Update one of the {tag}", tag, master=master, once=once, read_only=_MAY_NOT_UPDATE),
        Route("DELETE", one, at.delete, f"Delete one of the {tag}", tag, master=master, read_only=_MAY_NOT_DELETE),
    )


ROUTES = (
    Route("GET", "/classes/:className", find, "Find objects", "objects"),
    Route("GET", "/classes/:className/:objectId", get, "Get an object", "objects"),
    Route(
        "POST",
        "/classes/:className",
        create,
        "Create an object",
        "objects",
        once="write",
        read_only=_MAY_NOT_CREATE,
        status=201,
        limit="sign-up",
    ),
    Route("PUT", "/classes/:className/:objectId", update, "Update an object", "objects", once="write", read_only=_MAY_NOT_UPDATE),
    Route("DELETE", "/classes/:className/:objectId", delete, "Delete an object", "objects", read_only=_MAY_NOT_DELETE),
    *own("/users", Own("_User"), "users", once="write", limit="sign-up"),
    *own("/sessions", Own("_Session"), "sessions"),
    *own("/roles", Own("_Role"), "roles"),
    *own("/installations", Own("_Installation"), "installations", once="write"),
)
