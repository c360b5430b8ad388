"""One request as the handlers see it, the answers they return, and how bodies and query strings become values."""

from __future__ import annotations

import re
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus

from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, ParseError, Refused
from mbaas.kernel.values import Json, Object, read_json
from mbaas.wire.cors import Cors, Header
from mbaas.wire.json_text import unkept, why

if TYPE_CHECKING:
    from mbaas.data.app import App
    from mbaas.wire.dispatch import Dispatcher
    from mbaas.wire.limits import Limits

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_JSON_START = frozenset('{["-0123456789tfn \t\r\n')
_TAG = re.compile(r'"([^"]*)"').fullmatch
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:\d{1,5})?")
_HEADER, _HEADER_VALUE = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,200}"), re.compile(r"[\x20-\x7e\xa0-\xff\t]{0,8000}")
_OWN = ("access-control-", "connection", "content-length", "date", "keep-alive", "server", "trailer", "transfer-encoding", "upgrade")
_SECRET = ("x-parse-session-token", "x-parse-master-key", "x-parse-maintenance-key", "authorization", "cookie", "proxy-authorization")
"""Headers that no function is shown."""
_NOT_SECRET = ("idempotency-key",)
TOO_LARGE = "request entity too large"
_JUDGED = 16 * 1024


@dataclass(slots=True)
class Answer:
    """What a handler answers when it is not a plain 200 with JSON. `stream` is sent instead of `body` if there is one."""

    status: int = 200
    body: bytes = b""
    headers: list[Header] = field(default_factory=list)
    content_type: bytes | None = b"application/json; charset=utf-8"
    stream: AsyncIterator[bytes] | None = None


class Request:
    """A decoded request. `params` are the pattern's variables, in order; `body` is {} where none was sent."""

    app: App
    limits: Limits
    caller: Caller
    params: tuple[str, ...] = ()
    query: str = ""
    raw: bytes = b""
    incoming: AsyncIterator[bytes] | None = None
    content_type: str = ""
    request_id: str | None = None
    scheme: str = "http"
    ip: str = ""
    """Where the request comes from, for routes that ask for no keys."""
    route: str = "none"
    """What metrics call the request: its method and pattern."""

    about: str = ""
    """Whom or what the request was about, as the audit says it, where its path does not."""

    def __init__(self, dispatcher: Dispatcher, cors: Cors, method: str, path: str, headers: list[Header]) -> None:
        self.dispatcher = dispatcher
        self.cors = cors
        self.method = method
        self.path = path
        self.headers = headers
        self.body: Json = {}

    def object(self) -> Object:
        """The body as an object; a list counts as one with its places for names, as in JavaScript."""
        if isinstance(self.body, dict):
            return self.body
        if isinstance(self.body, list):
            return {str(place): value for place, value in enumerate(self.body)}
        raise ParseError(Code.INVALID_JSON, "The request body must be a JSON object.")

    def arguments(self) -> Object:
        """Query arguments: those of the body, then those of the query string, each a JSON value or else text."""
        if not self.query:
            return self.object()
        return {**self.object(), **parse_query(self.query)}

    def texts(self) -> Object:
        """Arguments without JSON decoding of the query string: what login takes."""
        body = self.object()
        return {**parse_pairs(self.query), **body} if self.query else body

    def origin(self) -> str | None:
        """Scheme and host that the request was sent to, if its Host header is well formed."""
        return origin_of(self.scheme, self.header(b"host") or "")

    def told_headers(self) -> dict[str, str]:
        """The headers that a function is shown: none with keys, tokens and cookies."""
        named = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in self.headers)
        return {name: value for name, value in named if name not in _SECRET and (not name.endswith("-key") or name in _NOT_SECRET)}

    def if_match(self) -> int | None:
        """The `updatedAt` that the object must have, in ms: If-Match, whose one tag is the ISO text in quotes. 162 for any other.

        None if there is no condition, or `*`: what is not there cannot be changed in any case.
        """
        given = self.header(b"if-match")
        if given is None or given.strip() == "*":
            return None
        found = _TAG(given.strip())
        updated_at = from_iso(found[1]) if found else None
        if updated_at is None:
            raise ParseError(Code.INVALID_VALUE, 'If-Match should be "<updatedAt>" in quotes, as "2026-01-31T12:00:00.000Z", or *')
        return updated_at

    def header(self, name: bytes) -> str | None:
        """A request header by its lower-case name."""
        for key, value in self.headers:
            if key == name:
                return value.decode("latin-1")
        return None


def own_headers(given: Object) -> list[Header]:
    """Headers that an app's own code wants an answer to have, by lower-case names, without those that are the server's to say."""
    made = [(name.lower(), str(value)) for name, value in given.items()]
    for name, value in made:
        if not _HEADER.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise ParseError(Code.SCRIPT_FAILED, f"{name[:80]!r} is no header that can be sent")
    return [(name.encode(), value.encode("latin-1")) for name, value in made if not name.startswith(_OWN)]


def inflate(data: bytes, encoding: bytes, limit: int) -> bytes:
    """A body as it was before it was compressed, up to the limit (413)."""
    if encoding.lower() == b"identity":
        return data
    if encoding.lower() not in (b"gzip", b"deflate"):
        raise Refused(f'unsupported content encoding "{encoding.decode("latin-1")}"', 415)
    inflater = zlib.decompressobj(47)
    try:
        plain = inflater.decompress(data, limit + 1)
    except zlib.error:
        raise Refused("The request body could not be decompressed.", 400) from None
    if len(plain) > limit:
        raise Refused(TOO_LARGE, 413)
    if not inflater.eof or inflater.unused_data:
        raise Refused("The compressed request body is cut short, or followed by something else.", 400)
    return plain


@lru_cache(maxsize=256)
def origin_of(scheme: str, host: str) -> str | None:
    """Scheme and host of a request; None where its Host header is not well formed."""
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else None


def parse_pairs(query: str) -> dict[str, Json]:
    """The names and texts of a query string; a name that comes twice has a list."""
    found: dict[str, Json] = {}
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        name, value = _text(name), _text(value)
        if name in found:
            before = found[name]
            found[name] = [*before, value] if isinstance(before, list) else [before, value]
        else:
            found[name] = value
    return found


def parse_query(query: str) -> dict[str, Json]:
    """The same with each value read as JSON if it is JSON."""
    return {name: _value(text) for name, text in parse_pairs(query).items()}


def _text(part: str) -> str:
    return unquote_plus(part) if "%" in part or "+" in part else part


def _value(text: Json) -> Json:
    if not isinstance(text, str) or text[:1] not in _JSON_START:
        return text
    try:
        return read_json(text)
    except ValueError:
        return text


def segments(scope: Scope, mount: str) -> list[str] | None:
    """The parts of the path below the mount (given with its slash), decoded one by one; None if it is not below it. As in Express
    one slash too many may come first, and one last; others are around a part that is empty."""
    raw: bytes = scope["raw_path"]
    escaped = b"%" in raw
    path: str = raw.decode("latin-1") if escaped else scope["path"]
    if path.startswith("//"):
        path = path[1:]
    if not path.startswith(mount):
        return [] if path == mount[:-1] else None
    parts = path[len(mount) :].split("/")
    if not parts[0]:
        del parts[0]
    if parts and not parts[-1]:
        del parts[-1]
    if escaped:
        try:
            return [unquote(part, errors="strict") for part in parts]
        except UnicodeDecodeError:
            raise Refused("The path is not valid UTF-8.", 400) from None
    return parts


async def read_body(receive: Receive, limit: int) -> bytes:
    """The whole body, up to the limit (413)."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and message["type"] == "http.request":
        if len(body) > limit:
            raise Refused(TOO_LARGE, 413)
        return body
    parts = [body]
    size = len(body)
    async for part in stream_body(receive, message):
        size += len(part)
        if size > limit:
            raise Refused(TOO_LARGE, 413)
        parts.append(part)
    return b"".join(parts)


class Gone(Exception):
    """The client went away before its request was complete; nobody is there to be answered."""


async def stream_body(receive: Receive, first: MutableMapping[str, Any] | None = None) -> AsyncIterator[bytes]:
    """The parts of the body as they come; with `first`, those after that message."""
    message = first or await receive()
    if first is None and message.get("body"):
        yield message["body"]
    while message["type"] == "http.disconnect" or message.get("more_body"):
        if message["type"] == "http.disconnect":
            raise Gone
        message = await receive()
        if message.get("body"):
            yield message["body"]


def decode_body(raw: bytes, content_type: str) -> Json:
    """The value of a body, whatever type it claims: JSON, or a form if it says so and is not JSON."""
    if not raw:
        return {}
    if content_type.startswith("multipart/form-data"):
        return {}
    if content_type.startswith("application/x-www-form-urlencoded") and raw[:1] not in b"{[":
        return parse_pairs(raw.decode("utf-8", "replace"))
    if raw[:3] == b"\xef\xbb\xbf":
        raw = raw[3:]
    try:
        value = read_json(raw)
    except ValueError as error:
        if text := unkept(error):
            raise ParseError(Code.INVALID_JSON, text) from None
        raise Refused(_complaint(raw, str(error)), 400) from None
    if not isinstance(value, (dict, list)):
        raise Refused(_complaint(raw, "it is neither an object nor a list"), 400)
    return value


def _complaint(raw: bytes, said: str) -> str:
    """What is wrong with a body that is not JSON, in JavaScript's words for short ones: to find them takes time, and anybody may ask."""
    if len(raw) > _JUDGED:
        return f"The request body is not JSON: {said}"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return "The request body is not valid UTF-8."
    return why(text) or f"The request body is not JSON: {said}"
