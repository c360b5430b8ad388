"""`/batch`: several requests in one, each through the same route table with the same caller.

Every part's route is found before the first part runs, so that a bad path fails the whole batch and changes nothing. Parts run
side by side. With `transaction: true` they give their writes to one unit: all are done, or none and the answer is the error.
"""

from __future__ import annotations

import asyncio
import posixpath
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import unquote, urlsplit

import orjson

from mbaas.data.commit import RequestUnit, all_or_none
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.wire.dispatch import encode
from mbaas.wire.errors import body_of, record
from mbaas.wire.request import Answer, Request
from mbaas.wire.routes import Route


@dataclass(slots=True)
class Part:
    """One request of a batch, its route found."""

    route: Route
    request: Request


async def batch(request: Request) -> bytes:
    """Run several requests."""
    body = request.body if isinstance(request.body, dict) else {}
    requests = body.get("requests")
    if not isinstance(requests, list):
        raise _bad("requests must be an array")
    limit = request.app.options.max_batch
    if -1 < limit < len(requests) and not request.caller.omnipotent:
        raise _bad(f"Batch request contains {len(requests)} sub-requests, which exceeds the limit of {limit}.")
    if body.get("transaction") is True and requests:
        return await _all_or_none(request, requests)
    parts = _parts(request, requests)
    await _count(request, parts)
    return _join(await asyncio.gather(*[_told(part) for part in parts]))


async def _count(request: Request, parts: list[Part]) -> None:
    """Each part must be allowed, and uses up the app's limits, as a request of its own would, and as the POST that it came in."""
    for part in parts:
        request.limits.admit(part.request.method, part.request.path, request.caller)
        await request.limits.check({part.request.method, "POST"}, part.request.path, request.caller)


def _join(results: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(results) + b"]"


async def _told(part: Part) -> bytes:
    """A part's result, whatever it was."""
    try:
        return await _run(part)
    except MbaasError as error:
        told: Object = body_of(error, part.request.app.options.sanitized_errors)
    except Exception as error:
        record(error, f"batch {part.request.method} {part.request.path}")
        told = {"code": int(Code.INTERNAL_SERVER_ERROR), "error": "Internal server error."}
    return b'{"error":' + orjson.dumps(told) + b"}"


async def _run(part: Part) -> bytes:
    result: bytes | Answer | Json = await part.request.dispatcher.run(part.route, part.request)
    return b'{"success":' + encode(result) + b"}"


async def _all_or_none(request: Request, requests: list[Json]) -> bytes:
    """Run the parts on one transaction."""
    parts = _parts(request, requests)
    await _count(request, parts)
    return _join(await all_or_none(request.app, [partial(_in, part, request.caller) for part in parts]))


async def _in(part: Part, caller: Caller, unit: RequestUnit) -> bytes:
    # A copy: handlers change their request, and this one comes again if the transaction is begun anew.
    request = copy(part.request)
    request.caller = replace(caller, unit=unit)
    return await _run(Part(part.route, request))


def _parts(request: Request, requests: list[Json]) -> list[Part]:
    """All parts with their routes; 107 if one has none."""
    for wanted in requests:
        if not isinstance(wanted, dict) or not isinstance(wanted.get("path"), str):
            raise _bad("batch request path must be a string")
    prefixes = {request.dispatcher.mount, urlsplit(request.app.options.public_url).path.rstrip("/")}
    paths = [_below(wanted["path"], prefixes) for wanted in requests]
    for wanted, path in zip(requests, paths, strict=True):
        if str(wanted.get("method") or "GET").upper() == "POST" and path.lower().rstrip("/") == "/batch":
            raise _bad("nested batch requests are not allowed")
    return [_part(request, wanted, path) for wanted, path in zip(requests, paths, strict=True)]


def _below(path: str, prefixes: set[str]) -> str:
    """The path below the mount."""
    for prefix in sorted(prefixes, key=len, reverse=True):
        if path.startswith(prefix + "/"):
            return posixpath.normpath("/" + path[len(prefix) :].lstrip("/"))
    raise _bad(f"cannot route batch path {path}")


def _part(request: Request, wanted: Object, path: str) -> Part:
    bare, _, query = path.partition("?")
    method = wanted.get("method", "undefined")
    parts = [unquote(part) for part in bare.strip("/").split("/")]
    found = request.dispatcher.table.find(method, parts) if isinstance(method, str) else None
    if found is None or not found[0].batch:
        raise _bad(f"cannot route {method} {path}")
    inner = Request(request.dispatcher, request.cors, method, "/" + "/".join(parts), [])
    inner.app, inner.limits, inner.caller = request.app, request.limits, request.caller
    inner.params, inner.query = found[1], query
    inner.body = wanted.get("body") if wanted.get("body") is not None else {}
    return Part(found[0], inner)


def _bad(text: str) -> ParseError:
    return ParseError(Code.INVALID_JSON, text)


ROUTES = (Route("POST", "/batch", batch, "Run several requests", "batch", batch=False),)
