"""`/http`: endpoints that an app's own code declares, for whoever cannot send keys: other services, browsers, devices.

They are here and not below the mount since Parse has no word for them; the app is named by the path, as in the addresses of files.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import cast

from mbaas.kernel.errors import Code, ParseError, Refused
from mbaas.kernel.values import Object
from mbaas.wire.cors import Header
from mbaas.wire.dispatch import enter
from mbaas.wire.request import TOO_LARGE, Answer, Request, inflate, own_headers, parse_pairs
from mbaas.wire.routes import Method, Route, Table
from mbaas.wire.v1.dialect import BASE
from mbaas_functions.kinds import HTTP
from mbaas_functions.room import functions_of

MOST_BYTES = 10 * 1024 * 1024
"""Bytes of a request's body; fewer where the app takes no uploads of so many."""


async def endpoint(request: Request) -> Answer:
    """Call what the app declares for the method and the path."""
    app = request.dispatcher.apps.get(request.params[0])
    hosted = functions_of(app).hosted if app is not None else None
    path = request.params[1]
    found = _declared(tuple(hosted.names(HTTP))).find(request.method, path.split("/")) if hosted else None
    if app is None or hosted is None or found is None:
        raise Refused(f"Cannot {request.method} /{path}", 404)
    await enter(request, app, f"{BASE}/http/{request.params[0]}/{path}")
    route, values = found
    names = [part[1:] or "rest" for part in route.pattern.split("/") if part[:1] in (":", "*")]
    given: Object = {
        "method": request.method,
        "path": f"/{path}",
        "params": dict(zip(names, values, strict=True)),
        "query": parse_pairs(request.query),
        "headers": request.told_headers(),
        "body": base64.b64encode(await _body(request)).decode(),
    }
    return _answer(await hosted.endpoint(f"{route.method} {route.pattern}", request.caller, given))


@lru_cache(maxsize=64)
def _declared(names: tuple[str, ...]) -> Table:
    """A table of what an app declares, each by its method and pattern."""
    parts = [name.split(" ", 1) for name in names]
    return Table(Route(cast(Method, method), pattern, endpoint, "", "") for method, pattern in parts)


async def _body(request: Request) -> bytes:
    most = min(MOST_BYTES, request.app.options.max_upload_bytes)
    if request.incoming is None:
        if len(request.raw) > most:
            raise Refused(TOO_LARGE, 413)
        return request.raw
    data = bytearray()
    async for part in request.incoming:
        data += part
        if len(data) > most:
            raise Refused(TOO_LARGE, 413)
    encoding = request.header(b"content-encoding")
    return inflate(bytes(data), encoding.encode("latin-1"), most) if encoding else bytes(data)


def _answer(told: Object) -> Answer:
    headers: dict[bytes, bytes] = {b"x-content-type-options": b"nosniff", **dict(own_headers(told["headers"]))}
    kind = headers.pop(b"content-type", None)
    status = told["status"]
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise ParseError(Code.SCRIPT_FAILED, f"{status!r} is no status that can be sent")
    rest: list[Header] = list(headers.items())
    return Answer(status, base64.b64decode(told["base64"]), rest, kind)


ROUTES = tuple(
    Route(method, "/http/:appId/*", endpoint, "An endpoint of the app's own", "functions", keys=False, raw=True, batch=False, base=BASE)
    for method in ("GET", "POST", "PUT", "DELETE")
)
