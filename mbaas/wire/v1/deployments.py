"""`/deployments`: an archive with code becomes a deployment, is looked at, downloaded and activated, for all calls or for some of them."""

from __future__ import annotations

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, is_number
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route
from mbaas.wire.v1.dialect import BASE, hosted, whole
from mbaas_functions.deployments import shown

_PAGE, _MOST = 20, 100


async def upload_code(request: Request) -> Answer:
    """Deploy an archive; it is built, and not active yet."""
    if request.incoming is None:
        raise ParseError(Code.INVALID_VALUE, "The body is the archive, a .tar.gz; the keys come in headers.")
    room = hosted(request)
    record = await room.deploying.deploy(request.incoming, request.caller)
    return Answer(201, orjson.dumps(shown(record, await room.deployments.wanted())))


async def deployments(request: Request) -> Json:
    """Deployments, the latest first."""
    room = hosted(request)
    limit = max(1, whole(request, "limit", _PAGE, _MOST))
    before = whole(request, "cursor", 0, 10**8) or None
    records = await room.deployments.page(before, limit)
    wanted = await room.deployments.wanted()
    following = str(records[-1]["number"]) if records and records[-1]["number"] > 1 else None
    return {"results": [shown(record, wanted) for record in records], "next": following}


async def deployment(request: Request) -> Json:
    """One deployment."""
    room = hosted(request)
    return shown(await room.deployments.get(_number(request)), await room.deployments.wanted())


async def archive(request: Request) -> Answer:
    """The archive of a deployment, as it was uploaded."""
    known = hosted(request).deployments
    record = await known.get(_number(request))
    contents = await known.contents(record)
    name = f"deployment-{record['number']}.tar.gz"
    headers = [
        (b"content-length", b"%d" % contents.size),
        (b"content-disposition", f'attachment; filename="{name}"'.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"etag", f'"{record["digest"]}"'.encode()),
    ]
    return Answer(200, b"", headers, b"application/gzip", stream=contents.read(0, contents.size))


async def activate(request: Request) -> Json:
    """Have all calls run a deployment, or `percent` of them beside the active one."""
    room, percent = hosted(request), request.object().get("percent")
    if percent is not None and not (is_number(percent) and 0 < percent < 100):
        raise ParseError(Code.INVALID_VALUE, "percent is a number between 0 and 100.")
    record = await room.deploying.activate(_number(request), percent)
    return shown(record, await room.deployments.wanted())


async def deactivate(request: Request) -> Json:
    """Have no deployment run any more; a server that was started with a folder runs that."""
    await hosted(request).deploying.deactivate()
    return {}


def _number(request: Request) -> int:
    text = request.params[0]
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise ParseError(Code.OBJECT_NOT_FOUND, f"There is no deployment {text!r}.")
    return int(text)


ROUTES = (
    Route(
        "POST", "/deployments", upload_code, "Deploy code", "deployments", master=True, read_only="deploy", raw=True, status=201, base=BASE
    ),
    Route("GET", "/deployments", deployments, "Deployments, the latest first", "deployments", master=True, base=BASE),
    Route("GET", "/deployments/:number", deployment, "One deployment", "deployments", master=True, base=BASE),
    Route("GET", "/deployments/:number/archive", archive, "Download what is deployed", "deployments", master=True, base=BASE),
    Route(
        "POST",
        "/deployments/:number/activate",
        activate,
        "Activate a deployment, or make it the canary",
        "deployments",
        master=True,
        read_only="activate a deployment",
        base=BASE,
    ),
    Route(
        "DELETE",
        "/deployments/active",
        deactivate,
        "Have no deployment run",
        "deployments",
        master=True,
        read_only="deactivate a deployment",
        base=BASE,
    ),
)
