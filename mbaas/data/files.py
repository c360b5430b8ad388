"""Files as use-cases: who may upload, which names and types, what is kept about a file, reading and deleting.

Contents go to the `Files` port under a key of our own; what is known of a file by its public name comes after them, so a file
that is listed is always whole. Texts and order of checks follow Parse Server 9.10.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import lru_cache

from mbaas.data import media_types
from mbaas.data.app import App
from mbaas.data.files_in import file_url
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError, Refused, forbidden
from mbaas.kernel.options import FileDownload, FileUpload
from mbaas.kernel.values import Json, Object
from mbaas.storage.files.disk import Disk
from mbaas.storage.files.ports import Contents, Files, Names, TooLarge
from mbaas.storage.files.rows import NamesInRows
from mbaas.storage.sharing import Joint

_ROOM = "files"
_NAME = re.compile(r"[_a-zA-Z0-9][a-zA-Z0-9@. ~_-]*\Z")
_DIRECTORY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_\-/]*\Z")
_RESERVED = "metadata"


@dataclass(frozen=True, slots=True)
class Upload:
    """What a client wants to store. `limit` None is the app's."""

    name: str
    content_type: str
    parts: AsyncIterator[bytes]
    metadata: Json = None
    tags: Json = None
    directory: Json = None
    limit: int | None = None
    streamed: bool = False
    """True if the client said that the body is not to be held in memory; Parse tells such a client in other words that it is too much."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that is there: how it is called, what it is, and its contents, open."""

    name: str
    content_type: str
    contents: Contents
    etag: str
    metadata: Object = field(default_factory=dict)


def place(app: App) -> Files:
    """Where the app keeps contents: what another room put there, else the store if others use it too, else a folder of its own."""
    found = app.rooms.get(_ROOM)
    if found is None:
        folder = app.options.data_dir / "files" / app.options.app_id.encode().hex()
        found = app.rooms[_ROOM] = app.store.files if isinstance(app.store, Joint) else Disk(folder)
    files: Files = found
    return files


def names(app: App) -> Names:
    """Where the app keeps what is known of files: with the contents if that place does so, else in rows."""
    found = place(app)
    return found if isinstance(found, Names) else NamesInRows(app.store.rows)


async def upload(app: App, caller: Caller, wanted: Upload) -> Object:
    """Store a file; `{name, url}` as it is called from now on."""
    _refuse_uploader(app, caller)
    _check_name(wanted.name)
    if not caller.master:
        _check_type(app.options.file_upload.extensions, wanted.name, wanted.content_type)
    content_type = wanted.content_type or ("" if wanted.streamed else "text/plain")
    metadata, tags = _object(app, wanted.metadata), _object(app, wanted.tags)
    directory = _directory(caller, wanted.directory)
    prefix = "" if app.options.preserve_file_name else f"{app.ids.hex(16)}_"
    name = f"{directory}{prefix}{_with_extension(wanted.name, content_type)}"
    earlier = await names(app).described(name) if app.options.preserve_file_name else None
    key = app.ids.hex(16)
    limit = app.options.max_upload_bytes if wanted.limit is None else wanted.limit
    try:
        size = await place(app).put(key, wanted.parts, limit)
    except TooLarge:
        if not wanted.streamed:
            raise Refused("request entity too large", 413) from None
        raise ParseError(Code.FILE_SAVE_ERROR, f"File size exceeds maximum allowed: {limit} bytes.") from None
    if not size:
        await place(app).drop(key)
        raise ParseError(Code.FILE_SAVE_ERROR, "Invalid file upload.")
    kept = {"key": key, "size": size, "type": _served_type(name, content_type), "metadata": metadata, "tags": tags}
    await names(app).describe(name, {**kept, "user": caller.user_id, "at": app.clock.now()})
    if earlier is not None:
        await place(app).drop(earlier["key"])
    return {"url": file_url(app, name), "name": name}


async def open_file(app: App, name: str) -> Stored | None:
    """A file with its contents, or None."""
    known = await names(app).described(name)
    contents = await place(app).open(known["key"]) if known else None
    if known is None or contents is None:
        return None
    return Stored(name, known["type"] or _served_type(name, ""), contents, known["key"], known["metadata"])


async def metadata(app: App, name: str) -> Object:
    """`{metadata}` of a file; nothing for one that is not there."""
    known = await names(app).described(name)
    return {"metadata": known["metadata"]} if known else {}


async def delete(app: App, name: str) -> None:
    """Remove a file. 153 if it is not there."""
    known = await names(app).described(name)
    if known is None or not await names(app).forget(name):
        raise ParseError(Code.FILE_DELETE_ERROR, "FileNotFound")
    await place(app).drop(known["key"])


def refuse_downloader(app: App, caller: Caller) -> None:
    """119 for a caller who may not read files."""
    who = _not_allowed(app.options.file_download, caller)
    if who:
        raise ParseError(Code.OPERATION_FORBIDDEN, f"File download by {who} is disabled.")


def _refuse_uploader(app: App, caller: Caller) -> None:
    who = _not_allowed(app.options.file_upload, caller)
    if who:
        raise ParseError(Code.FILE_SAVE_ERROR, f"File upload by {who} is disabled.")


def _not_allowed(rules: FileUpload | FileDownload, caller: Caller) -> str:
    """What the caller is called in a refusal; nothing if she may."""
    if caller.omnipotent:
        return ""
    if caller.user_id is None:
        return "" if rules.public else "public"
    if caller.anonymous:
        return "" if rules.anonymous_user else "anonymous user"
    return "" if rules.authenticated_user else "authenticated user"


def _check_name(name: str) -> None:
    if len(name) > 128:
        raise ParseError(Code.INVALID_FILE_NAME, "Filename too long.")
    if not _NAME.match(name):
        raise ParseError(Code.INVALID_FILE_NAME, "Filename contains invalid characters.")


def _check_type(allowed: tuple[str, ...], name: str, content_type: str) -> None:
    """Refuse extensions that are not allowed; of names that say nothing, the type decides."""
    if "*" in allowed:
        return
    ending = "".join(media_types.extension(name).split(";")[0].split())
    if ending:
        _refuse_unless(allowed, ending)
        if media_types.by_name(name):
            return
    if not content_type:
        return
    kind = media_types.parsed(content_type)
    if kind is None:
        bare = "".join(content_type.partition("/")[0].split(";")[0].split())
        if bare:
            _refuse_unless(allowed, bare)
        raise ParseError(Code.FILE_SAVE_ERROR, "Invalid Content-Type.")
    _refuse_unless(allowed, kind[1])


def _refuse_unless(allowed: tuple[str, ...], ending: str) -> None:
    if not any(_compiled(pattern).search(ending) for pattern in allowed):
        raise ParseError(Code.FILE_SAVE_ERROR, f"File upload of extension {ending} is disabled.")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _object(app: App, value: Json) -> Object:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ParseError(Code.INVALID_JSON, "Metadata and tags of a file must be objects.")
    app.keywords.refuse(value)
    return value


def _directory(caller: Caller, wanted: Json) -> str:
    """The folder part of the public name, with its slash. Only the master key may ask for one."""
    if wanted is None:
        return ""
    if not caller.master:
        raise forbidden("Directory can only be set using the Master Key.")
    problem = ""
    if not isinstance(wanted, str):
        problem = "Directory must be a string."
    elif not wanted:
        problem = "Directory must not be empty."
    elif len(wanted) > 256:
        problem = "Directory path is too long."
    elif ".." in wanted:
        problem = 'Directory must not contain "..".'
    elif wanted.startswith("/") or wanted.endswith("/"):
        problem = 'Directory must not start or end with "/".'
    elif "//" in wanted:
        problem = "Directory must not contain consecutive slashes."
    elif wanted.split("/")[0] == _RESERVED:
        problem = f'Directory must not start with reserved segment "{_RESERVED}".'
    elif not _DIRECTORY.match(wanted):
        problem = "Directory contains invalid characters."
    if problem:
        raise ParseError(Code.INVALID_FILE_NAME, problem)
    return f"{wanted}/"


def _with_extension(name: str, content_type: str) -> str:
    if media_types.extension(name) or not content_type:
        return name
    ending = media_types.extension_of(content_type)
    return f"{name.rstrip('.')}.{ending}" if ending else name


def _served_type(name: str, content_type: str) -> str:
    """The name's type, else the client's if it is one, else bytes."""
    found = media_types.parsed(content_type) if content_type else None
    return media_types.by_name(name) or ("/".join(found) if found else media_types.UNKNOWN)
