"""`/files`: upload as raw bytes or as base64 in JSON, download with ranges (RFC 9110), metadata, delete.

What is handed out can run nothing: the type is never guessed by the browser, only harmless types are shown in place, and
everything is in a sandbox.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import AsyncIterator

import orjson

from mbaas.data import files, media_types
from mbaas.data.app import App
from mbaas.data.files import Stored, Upload
from mbaas.kernel.caller import ANONYMOUS
from mbaas.kernel.errors import Code, ParseError, Refused
from mbaas.kernel.values import Json, Object
from mbaas.wire.cors import Header
from mbaas.wire.dispatch import enter
from mbaas.wire.errors import PERMISSION_DENIED, Unauthorized, master_needed
from mbaas.wire.request import Answer, Request, own_headers
from mbaas.wire.routes import Route

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|kb|mb|gb)?\Z", re.IGNORECASE)
_MOST_DIGITS = 18
_UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


async def unnamed(request: Request) -> Json:
    """An upload must have a name."""
    raise ParseError(Code.INVALID_FILE_NAME, "Filename not provided.")


async def upload(request: Request) -> Answer:
    """Store a file."""
    if request.caller.read_only:
        raise Refused("read-only masterKey isn't allowed to create a file.", sanitized=PERMISSION_DENIED)
    wanted = _from_json(request) if request.incoming is None else _from_stream(request)
    stored = await files.upload(request.app, request.caller, wanted)
    return Answer(201, orjson.dumps(stored), [(b"location", stored["url"].encode())])


def _from_stream(request: Request) -> Upload:
    """The body is the file; what else there is to say comes in headers."""
    streaming = request.header(b"x-parse-upload-mode") == "stream"
    return Upload(
        request.params[0],
        request.content_type,
        request.incoming or _once(b""),
        metadata=_json_header(request, "X-Parse-File-Metadata") if streaming else None,
        tags=_json_header(request, "X-Parse-File-Tags") if streaming else None,
        directory=request.header(b"x-parse-file-directory") or None if streaming else None,
        limit=_own_limit(request),
        streamed=streaming,
    )


def _from_json(request: Request) -> Upload:
    """The body is JSON that brought the keys, and holds the file as base64."""
    body = request.body if isinstance(request.body, dict) else {}
    text, extra = body.get("base64"), body.get("fileData")
    if text is not None and not isinstance(text, str):
        raise Unauthorized
    data: Object = extra if isinstance(extra, dict) else {}
    parts = _once(_decode(text or ""))
    return Upload(request.params[0], request.content_type, parts, data.get("metadata"), data.get("tags"), data.get("directory"))


def _decode(text: str) -> bytes:
    """Base64 as lenient as clients are used to: other characters are skipped, padding may be missing."""
    raw = text.encode("ascii", "ignore").partition(b"=")[0].replace(b"-", b"+").replace(b"_", b"/")
    raw = _NOT_BASE64.sub(b"", raw)
    raw = raw[: len(raw) - (len(raw) % 4 == 1)]
    try:
        return base64.b64decode(raw + b"=" * (-len(raw) % 4))
    except binascii.Error:
        return b""


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _json_header(request: Request, name: str) -> Json:
    text = request.header(name.lower().encode())
    if text is None:
        return None
    try:
        value = orjson.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise ParseError(Code.INVALID_JSON, f"Invalid JSON in {name} header.")
    return value


def _own_limit(request: Request) -> int | None:
    """A limit of this upload's own, which only the master key may set."""
    text = request.header(b"x-parse-file-max-upload-size")
    if not text:
        return None
    if not request.caller.master:
        raise master_needed()
    found = _SIZE.match(text.strip())
    if not found:
        raise ParseError(Code.FILE_SAVE_ERROR, f"Invalid maxUploadSize override value: {text}")
    return int(float(found.group(1)) * _UNITS[(found.group(2) or "").lower()])


async def download(request: Request) -> Answer:
    """The contents of a file, or a range of them."""
    app = request.dispatcher.apps.get(request.params[0])
    if app is None:
        raise Refused(PERMISSION_DENIED)
    await _refuse_reader(request, app)
    try:
        stored = await files.open_file(app, request.caller, request.params[1])
    except ParseError as error:
        raise ParseError(error.code, error.message, status=403) from error
    if stored is None:
        return Answer(404, b"File not found.", content_type=b"text/plain")
    return await _ranged(stored, request.header(b"range"), request.header(b"if-range"), request.header(b"if-none-match"))


async def _refuse_reader(request: Request, app: App) -> None:
    """119 for a caller whom the app hands no files. Most apps hand them to everybody, and nobody is looked up."""
    if files.asks_who_reads(app):
        await enter(request, app)
        files.refuse_downloader(app, request.caller)
    elif not hasattr(request, "caller"):
        request.caller = ANONYMOUS


async def _ranged(stored: Stored, asked: str | None, if_range: str | None, known: str | None) -> Answer:
    size, etag = stored.contents.size, f'"{stored.etag}"'
    headers = [*_headers(stored), (b"accept-ranges", b"bytes"), (b"etag", etag.encode())]
    if known and etag in known:
        await stored.contents.close()
        return Answer(304, headers=headers, content_type=None)
    span = _span(asked, size) if asked and (if_range is None or if_range == etag) else None
    if span == ():
        await stored.contents.close()
        return Answer(416, headers=[*headers, (b"content-range", b"bytes */%d" % size)], content_type=None)
    start, end = span or (0, size)
    headers.append((b"content-length", b"%d" % (end - start)))
    if span:
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
    return Answer(206 if span else 200, b"", headers, stored.content_type.encode(), stream=stored.contents.read(start, end))


def _span(asked: str, size: int) -> tuple[int, int] | tuple[()] | None:
    """Start and end of the one range asked for; () if it lies outside; None to send everything."""
    found = _RANGE.match(asked.strip())
    if not found or found.group(0) == "bytes=-":
        return None
    first, last = (_bytes(part) for part in found.groups())
    if first is None:
        return (max(0, size - last), size) if last and size else ()
    if last is not None and last < first:
        return None
    return (first, size if last is None else min(last + 1, size)) if first < size else ()


def _bytes(digits: str) -> int | None:
    """A number of bytes, None where none is given; beyond 18 digits all are alike: more than any file has."""
    return int(digits.lstrip("0")[:_MOST_DIGITS] or 0) if digits else None


def _headers(stored: Stored) -> list[Header]:
    """What keeps a stranger's file from acting on the reader's behalf."""
    policy = b"default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; sandbox"
    headers = {b"x-content-type-options": b"nosniff", b"content-security-policy": policy}
    if stored.download or not media_types.may_be_shown(stored.content_type):
        plain = stored.name.rpartition("/")[2]
        headers[b"content-disposition"] = f'attachment; filename="{plain}"'.encode()
    return list({**headers, **dict(own_headers(stored.headers))}.items())


async def metadata(request: Request) -> Json:
    """What a client stored beside a file."""
    app = request.dispatcher.apps.get(request.params[0])
    if app is None:
        return {}
    try:
        await _refuse_reader(request, app)
        return await files.metadata(app, request.caller, request.params[1])
    except ParseError as error:
        raise ParseError(error.code, error.message, status=403) from error


async def delete(request: Request) -> Answer:
    """Remove a file."""
    if request.caller.read_only:
        raise Refused("read-only masterKey isn't allowed to delete a file.", sanitized=PERMISSION_DENIED)
    await files.delete(request.app, request.caller, request.params[0])
    return Answer(content_type=None)


ROUTES = (
    Route("POST", "/files", unnamed, "Refuses an upload without a name", "files", keys=False, raw=True, batch=False),
    Route("POST", "/files/:name", upload, "Upload a file", "files", raw=True, batch=False, status=201),
    Route("GET", "/files/:appId/metadata/*", metadata, "Metadata of a file", "files", keys=False, batch=False),
    Route("GET", "/files/:appId/*", download, "Download a file", "files", keys=False, batch=False),
    Route("DELETE", "/files/*", delete, "Delete a file", "files", master=True, batch=False),
)
