"""A table of routes as one ASGI callable: reads, decodes, dispatches, encodes. The one place where exceptions become answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import orjson

from mbaas.data.address import origin
from mbaas.kernel.addresses import client_address, forwarded_for
from mbaas.kernel.errors import MbaasError, Refused, TooMany
from mbaas.kernel.values import Json, read_json
from mbaas.observe.logs import begin_request
from mbaas.observe.metrics import Metrics
from mbaas.wire import errors
from mbaas.wire.cors import GUARDS, JSON_TYPE, Header
from mbaas.wire.dispatch import Dispatcher, sign_in, sign_in_counted
from mbaas.wire.fast_answer import Heads
from mbaas.wire.keys import (
    IDENTITY_HEADERS,
    Identity,
    Keyring,
    context_of,
)
from mbaas.wire.request import (
    TOO_LARGE,
    Answer,
    Gone,
    Receive,
    Request,
    Scope,
    Send,
    decode_body,
    inflate,
    read_body,
    segments,
    stream_body,
)
from mbaas.wire.rest.table import table
from mbaas.wire.routes import Found, Table

if TYPE_CHECKING:
    from mbaas.data.app import App

_OTHER_HEADERS = frozenset(
    (
        b"content-length",
        b"transfer-encoding",
        b"content-type",
        b"content-encoding",
        b"x-parse-request-id",
        b"x-parse-cloud-context",
        b"x-parse-file-max-upload-size",
        b"x-forwarded-for",
    )
)
_NONE: dict[bytes, bytes] = {}
_TEXT = b"text/plain; charset=utf-8"
_PREFLIGHT = Answer(body=b"OK", content_type=_TEXT)
_ON_REQUEST = ("If-Match", "Idempotency-Key", "X-Captcha")
"""Headers that those are told of who ask whether they may be sent: to all others the list is that of Parse Server."""


class Wire:
    """Serves the apps below a mount. `trusted_proxies` are the peers whose X-Forwarded-For counts."""

    def __init__(
        self,
        apps: Mapping[str, App],
        *,
        mount: str = "/parse",
        trusted_proxies: Iterable[str] = (),
        metrics: Metrics | None = None,
        routes: Table | None = None,
        keyring: Keyring | None = None,
        told: Callable[[Exception], Exception] | None = None,
    ) -> None:
        """`routes` are those of the Parse dialect unless given; `keyring` is that of another table, whose limits hold for both;
        `told` makes an error one that is told in the way of the table."""
        self.mount = "" if mount == "/" else mount.rstrip("/")
        self._below = f"{self.mount}/"
        self._heads = Heads()
        self._table = routes or table()
        self.keyring = keyring or Keyring(apps)
        self.dispatcher = Dispatcher(self._table, self.keyring.doors, self.mount)
        self._told = told
        self._trusted = tuple(trusted_proxies)
        self._cors = next(iter(self.keyring.doors.values())).cors
        self._limit = max(app.options.max_upload_bytes for app in apps.values())
        self._count = (metrics or Metrics()).request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = perf_counter()
        method: str = scope["method"]
        request = Request(self.dispatcher, self._cors, method, scope["path"], scope["headers"])
        try:
            result = _preflight(request) if method == "OPTIONS" else await self._handle(request, scope, receive)
            if not isinstance(result, (bytes, Answer)):
                result = orjson.dumps(result)
        except Gone:
            return
        except Exception as error:
            result = _failure(error, request, self._told)
        own = request.cors.json(request.headers)
        if isinstance(result, Answer):
            plain = result.stream is None and result.content_type == JSON_TYPE[1]
            if not plain or _guards(result) or not self._heads.send(send, own, result.body, result.status, result.headers):
                await _send(result, request, send, empty=method == "HEAD")
            status = result.status
        else:
            status = 200
            if not self._heads.send(send, own, result):
                await _send(Answer(body=result), request, send, empty=method == "HEAD")
        self._count(request.route, status, perf_counter() - began)

    async def _handle(self, request: Request, scope: Scope, receive: Receive) -> bytes | Answer | Json:
        """Let the request in and run its route."""
        parts = segments(scope, self._below)
        if parts is None:
            raise _no_route(request)
        if request.method == "HEAD":
            request.method = "GET"
        if scope["query_string"]:
            request.query = scope["query_string"].decode("latin-1")
        signs, other = _scan(request.headers)
        client = scope["client"]
        ip = client[0] if client else ""
        if self._trusted and other is not _NONE:
            ip = client_address(ip, forwarded_for(request.headers), self._trusted)
        identity = self.keyring.by_headers(ip, signs)
        found = self._table.find(request.method, parts)
        context: Json = None
        if other is not _NONE:
            request.path = "/".join(parts)
            found, context = await self._take_in(request, parts, found, other, receive, identity)
        if found is None:
            found = self._any_method(parts)
        if identity is None or found is None:
            if found is not None and not found[0].keys:
                request.params, request.ip, request.route = found[1], ip, found[0].label
                return await found[0].handler(request)
            if identity is None:
                identity, in_body = self.keyring.by_body(ip, signs, request.body)
                context = in_body or context
                if len(request.raw) > identity.app.options.max_upload_bytes:
                    raise Refused(TOO_LARGE, 413)
                _forget_form(request)
        request.app, request.cors, request.limits, request.caller = identity.app, identity.cors, identity.limits, identity.caller
        if request.app.store.behind:
            await request.app.catch_up()
        if context:
            request.caller = replace(request.caller, context=context_of(context))
        if found is None:
            raise _no_route(request)
        route, request.params = found
        request.route = route.label
        begin_request(identity.app.options.app_id)
        request.scheme = scope.get("scheme", "http")
        origin.set(request.origin)
        token = identity.token
        if token and (route.session == "never" or (route.session == "revocable" and not token.startswith("r:"))):
            token = None
        if identity.limits.asks:
            await sign_in_counted(request, f"{route.base}/{'/'.join(parts)}", token)
        elif token:
            await sign_in(request, token)
        return await (route.handler(request) if route.free else self.dispatcher.run(route, request))

    async def _take_in(
        self, request: Request, parts: list[str], found: Found, other: dict[bytes, bytes], receive: Receive, identity: Identity | None
    ) -> tuple[Found, Json]:
        """The body, the method that it may name, and the cloud context of the headers."""
        if b"x-parse-request-id" in other:
            request.request_id = other[b"x-parse-request-id"].decode("latin-1")
        raw = found is not None and found[0].raw
        await self._read(request, other, receive, raw=raw, identity=identity)
        bare = found is not None and not found[0].keys
        if request.method == "POST" and not bare and isinstance(request.body, dict) and (override := request.body.pop("_method", None)):
            request.method = override.upper() if isinstance(override, str) else "POST"
            found = self._table.find(request.method, parts)
        return found, other.get(b"x-parse-cloud-context")

    def _any_method(self, parts: list[str]) -> Found:
        """`/health` answers whatever the method and whatever follows it."""
        return self._table.find("GET", parts[:1]) if parts and parts[0].lower() == "health" else None

    async def _read(self, request: Request, other: dict[bytes, bytes], receive: Receive, *, raw: bool, identity: Identity | None) -> None:
        """Take in the body: as a stream where the route wants bytes and the keys came in headers, else decoded."""
        request.content_type = other.get(b"content-type", b"").decode("latin-1")
        length = other.get(b"content-length", b"")
        if (not length and b"transfer-encoding" not in other) or length == b"0":
            return
        if raw and identity:
            request.incoming = stream_body(receive)
            return
        limit = identity.app.options.max_upload_bytes if identity else self._limit
        if length.isdigit() and int(length) > limit:
            raise Refused(TOO_LARGE, 413)
        data = await read_body(receive, limit)
        if b"content-encoding" in other:
            data = inflate(data, other[b"content-encoding"], limit)
        request.raw = data
        if raw:
            request.body = _keys_only(data)
        else:
            request.body = decode_body(data, request.content_type.lower())
        if isinstance(request.body, dict):
            request.body.pop("_noBody", None)


def _scan(headers: list[Header]) -> tuple[tuple[Header, ...], dict[bytes, bytes]]:
    """One pass over the headers: those that say who asks, and the few others that every request may have."""
    identity: list[Header] = []
    other = _NONE
    for header in headers:
        name = header[0]
        if name in IDENTITY_HEADERS:
            identity.append(header)
        elif name in _OTHER_HEADERS:
            if other is _NONE:
                other = {}
            other[name] = header[1]
    return tuple(identity), other


def _keys_only(data: bytes) -> Json:
    """The JSON of an upload whose keys can only be in its body; None if there is none."""
    try:
        return read_json(data)
    except ValueError:
        return None


def _forget_form(request: Request) -> None:
    """`_ContentType` stands for the header in a body that carries its own keys."""
    if isinstance(request.body, dict):
        kind = request.body.pop("_ContentType", None)
        if kind is not None and not isinstance(kind, str):
            raise errors.Unauthorized
        request.content_type = kind or ""


def _no_route(request: Request) -> Refused:
    return Refused(f"Cannot {request.method} /{request.path.lstrip('/')}", 404)


def _preflight(request: Request) -> Answer:
    asked = request.header(b"access-control-request-headers")
    more = [name for name in _ON_REQUEST if asked and name.lower() in asked.lower()]
    return replace(_PREFLIGHT, headers=[(b"access-control-allow-headers", ", ".join(more).encode())]) if more else _PREFLIGHT


def _failure(error: Exception, request: Request, told: Callable[[Exception], Exception] | None) -> Answer:
    """The answer that an exception becomes."""
    sanitized = getattr(request, "app", None) is None or request.app.options.sanitized_errors
    headers: list[Header] = []
    if not isinstance(error, MbaasError):
        headers.append((b"x-request-id", errors.record(error, f"{request.method} {request.path}").encode()))
    if isinstance(error, TooMany):
        used_up = f"{error.limit.partition(';')[0]}; r=0; t={error.retry_after_s}"
        headers += (
            (b"retry-after", b"%d" % error.retry_after_s),
            (b"ratelimit-policy", error.limit.encode()),
            (b"ratelimit", used_up.encode()),
        )
    if told is not None:
        error = told(error)
    kind = None if isinstance(error, errors.Unauthorized) else JSON_TYPE[1]
    return Answer(errors.status_of(error), orjson.dumps(errors.body_of(error, sanitized)), headers, kind)


def _guards(answer: Answer) -> set[bytes]:
    """The headers against misuse that an answer says itself."""
    return {name for name, _ in answer.headers if name in GUARDS}


async def _send(answer: Answer, request: Request, send: Send, *, empty: bool) -> None:
    """Send an answer that is more than JSON with 200. A stream names its own length."""
    data = answer.content_type == JSON_TYPE[1]
    own, said = request.cors.json(request.headers) if data else request.cors.bare(request.headers), _guards(answer)
    headers: list[Any] = [*(header for header in own if header[0] not in said), *answer.headers]
    if answer.content_type and not data:
        headers.append((b"content-type", answer.content_type))
    if answer.stream is None:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    if answer.stream is not None and not empty:
        async for part in answer.stream:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if empty or answer.stream is not None else answer.body})
