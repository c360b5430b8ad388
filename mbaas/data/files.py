"""Files as use-cases: who may upload, which names and types, what is kept about a file, reading and deleting.

Contents go to the `Files` port under a key of our own; what is known of a file by its public name comes after them, so a file
that is listed is always whole. Texts and order of checks follow Parse Server 9.10.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import blake2b

from mbaas.data import file_triggers, media_types
from mbaas.data.app import App
from mbaas.data.file_triggers import Draft
from mbaas.data.files_in import file_url
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError, Refused, forbidden
from mbaas.kernel.options import FileDownload, FileUpload
from mbaas.kernel.triggers import FILES
from mbaas.kernel.values import Json, Object
from mbaas.storage.files.disk import Disk
from mbaas.storage.files.ports import Contents, Files, Names, TooLarge
from mbaas.storage.files.rows import NamesInRows
from mbaas.storage.sharing import Joint

_ROOM = "files"
_NAME = re.compile(r"[_a-zA-Z0-9][a-zA-Z0-9@. ~_-]*\Z")
_DIRECTORY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_\-/]*\Z")
_RESERVED = "metadata"
_PART = 4 * 1024 * 1024
"""Bytes of a file that are read at once for a function."""


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
    download: bool = False
    """True if a trigger wants it to be stored by the browser."""
    headers: Object = field(default_factory=dict)
    """Headers that a trigger wants the answer to have."""


@dataclass(frozen=True, slots=True)
class Held:
    """Contents in memory: those that a trigger puts in the place of a file's own."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    async def read(self, start: int, end: int) -> AsyncIterator[bytes]:
        yield self.data[start:end]

    async def close(self) -> None:
        """Nothing is open."""


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
    key = app.ids.hex(16)
    size = await _put(app, key, wanted)
    draft = Draft(wanted.name, content_type, metadata, tags, directory, key, size)
    try:
        draft, data = await file_triggers.before_save(app, caller, draft)
        saved = draft.url is not None
        draft = draft if saved else _named(app, draft)
    except BaseException:
        await place(app).drop(key)
        raise
    stored = replace(draft, size=None) if saved else await _store(app, caller, draft, data)
    if saved or data is not None:
        await place(app).drop(key)
    await file_triggers.after_save(app, caller, stored)
    return {"url": stored.url, "name": stored.name}


async def _put(app: App, key: str, wanted: Upload) -> int:
    """Keep the contents; how many bytes they are."""
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
    return size


def _named(app: App, draft: Draft) -> Draft:
    """The file under the name that it will have, if all that is said of it may be."""
    _check_name(draft.name)
    prefix = "" if app.options.preserve_file_name else f"{app.ids.hex(16)}_"
    directory = f"{_proper_directory(draft.directory)}/" if draft.directory is not None else ""
    name = f"{directory}{prefix}{_with_extension(draft.name, draft.content_type)}"
    return replace(draft, name=name, metadata=_object(app, draft.metadata), tags=_object(app, draft.tags))


async def _store(app: App, caller: Caller, draft: Draft, data: bytes | None) -> Draft:
    """Have the file found by its name; `data` are its contents if they are not those that were uploaded."""
    name, key, size = draft.name, draft.key, draft.size
    if data is not None:
        key = app.ids.hex(16)
        size = await _put(app, key, Upload(name, draft.content_type, _once(data)))
    earlier = await names(app).described(name) if app.options.preserve_file_name else None
    kept = {"key": key, "size": size, "type": _served_type(name, draft.content_type), "metadata": draft.metadata, "tags": draft.tags}
    await names(app).describe(name, {**kept, "user": caller.user_id, "at": app.clock.now()})
    if earlier is not None:
        await place(app).drop(earlier["key"])
    return replace(draft, url=file_url(app, name), key=key, size=size)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def open_file(app: App, caller: Caller, name: str) -> Stored | None:
    """A file with its contents, or None."""
    name = await file_triggers.before_find(app, caller, name, _served_type(name, ""))
    known = await names(app).described(name)
    contents = await place(app).open(known["key"]) if known else None
    if known is None or contents is None:
        return None
    stored = Stored(name, known["type"] or _served_type(name, ""), contents, known["key"], known["metadata"])
    try:
        made = await file_triggers.after_find(app, caller, _shown(app, stored), contents.size)
    except BaseException:
        await contents.close()
        raise
    if made.data is not None:
        await contents.close()
        kind = made.content_type or _served_type(made.name or name, "")
        stored = replace(stored, contents=Held(made.data), content_type=kind, etag=blake2b(made.data, digest_size=16).hexdigest())
    return replace(stored, name=made.name or name, download=made.download, headers=made.headers)


def _shown(app: App, stored: Stored) -> Object:
    """A stored file as triggers see it."""
    told: Object = {"name": stored.name, "contentType": stored.content_type, "metadata": stored.metadata}
    return {**told, "key": stored.etag, "url": file_url(app, stored.name)}


async def part(app: App, caller: Caller, name: str, key: str | None, start: int) -> tuple[int, bytes]:
    """How many bytes a file has, and some of them from `start` on. `key` stands for the contents that a trigger was shown."""
    if key is None:
        refuse_downloader(app, caller)
        known = await names(app).described(name)
        key = known["key"] if known else None
    contents = await place(app).open(key) if key else None
    if contents is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "File not found.")
    end = min(contents.size, start + _PART)
    return contents.size, b"".join([piece async for piece in contents.read(min(start, end), end)])


async def metadata(app: App, caller: Caller, name: str) -> Object:
    """`{metadata}` of a file; nothing for one that is not there."""
    name = await file_triggers.before_find(app, caller, name, _served_type(name, ""))
    known = await names(app).described(name)
    if known is None:
        return {}
    shown = {"name": name, "contentType": known["type"], "metadata": known["metadata"], "key": known["key"], "url": file_url(app, name)}
    await file_triggers.after_find(app, caller, shown, known["size"])
    return {"metadata": known["metadata"]}


async def delete(app: App, caller: Caller, name: str) -> None:
    """Remove a file. 153 if it is not there."""
    shown: Object = {"name": name, "url": file_url(app, name)}
    await file_triggers.run(app, "beforeDeleteFile", caller, shown, None)
    known = await names(app).described(name)
    if known is None or not await names(app).forget(name):
        raise ParseError(Code.FILE_DELETE_ERROR, "FileNotFound")
    await place(app).drop(known["key"])
    await file_triggers.run(app, "afterDeleteFile", caller, shown, None)


def asks_who_reads(app: App) -> bool:
    """True if it matters who reads files: not everybody may, or a trigger is told."""
    read = app.options.file_download != FileDownload()
    return read or app.triggers.has("beforeFindFile", FILES) or app.triggers.has("afterFindFile", FILES)


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


def _directory(caller: Caller, wanted: Json) -> str | None:
    """The folder part of the public name. Only the master key may ask for one."""
    if wanted is not None and not caller.master:
        raise forbidden("Directory can only be set using the Master Key.")
    return None if wanted is None else _proper_directory(wanted)


def _proper_directory(wanted: Json) -> str:
    """A folder part as it may be; 122 for any other."""
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
    return str(wanted)


def _with_extension(name: str, content_type: str) -> str:
    if media_types.extension(name) or not content_type:
        return name
    ending = media_types.extension_of(content_type)
    return f"{name.rstrip('.')}.{ending}" if ending else name


def _served_type(name: str, content_type: str) -> str:
    """The name's type, else the client's if it is one, else bytes."""
    found = media_types.parsed(content_type) if content_type else None
    return media_types.by_name(name) or ("/".join(found) if found else media_types.UNKNOWN)
