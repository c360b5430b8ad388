"""The triggers around files: what they are shown, and what becomes of what they say.

A file is stored, under a key that nobody knows, before the trigger looks at it: so one of any size can be read by the trigger, and
nothing of a refused one stays. Source: Parse Server 9.10's file triggers.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace

from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.triggers import FILES, Kind
from mbaas.kernel.values import Json, Object


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that is about to be stored: its contents lie under `key`. One with a `url` is another one that is stored already."""

    name: str
    content_type: str
    metadata: Object
    tags: Object
    directory: str | None
    key: str
    size: int | None
    url: str | None = None

    def shown(self) -> Object:
        """The file as triggers see it."""
        told: Object = {"name": self.name, "contentType": self.content_type or None, "metadata": self.metadata, "tags": self.tags}
        return {**told, "directory": self.directory, "key": self.key, "url": self.url}


@dataclass(frozen=True, slots=True)
class Found:
    """What a trigger after a find makes of a file: other contents, if any, and how it is handed out."""

    data: bytes | None = None
    content_type: str | None = None
    name: str | None = None
    download: bool = False
    headers: Object = field(default_factory=dict)


async def before_save(app: App, caller: Caller, draft: Draft) -> tuple[Draft, bytes | None]:
    """The file as the trigger wants it, and its contents if they are others."""
    if not app.triggers.has("beforeSaveFile", FILES):
        return draft, None
    told = await _fire(app, "beforeSaveFile", caller, draft.shown(), draft.size)
    made = replace(
        draft,
        name=str(told["name"]),
        content_type=told.get("contentType") or "",
        metadata=told.get("metadata") or {},
        tags=told.get("tags") or {},
        directory=told.get("directory"),
        url=told.get("url"),
    )
    return made, _data(told)


async def after_save(app: App, caller: Caller, stored: Draft) -> None:
    """Tell of a file that has been stored. A refusal reaches the client, as in Parse Server; the file stays."""
    await run(app, "afterSaveFile", caller, stored.shown(), stored.size)


async def before_find(app: App, caller: Caller, name: str, content_type: str) -> str:
    """The name of the file that is to be read instead of the one that was asked for."""
    if not app.triggers.has("beforeFindFile", FILES):
        return name
    told = await _fire(app, "beforeFindFile", caller, {"name": name, "contentType": content_type}, None)
    return str(told["name"])


async def after_find(app: App, caller: Caller, shown: Object, size: int) -> Found:
    """What the trigger makes of a file that is read."""
    if not app.triggers.has("afterFindFile", FILES):
        return Found()
    given: Object = {"file": shown, "fileSize": size, "headers": {"X-Content-Type-Options": "nosniff"}}
    outcome = await app.triggers.fire("afterFindFile", FILES, caller, given)
    told = outcome.answer if isinstance(outcome.answer, dict) else {}
    file = told.get("file") or {}
    return Found(_data(file), file.get("contentType"), file.get("name"), bool(told.get("forceDownload")), told.get("headers") or {})


async def run(app: App, kind: Kind, caller: Caller, shown: Object, size: int | None) -> None:
    """Run a trigger that may refuse and changes nothing, if there is one."""
    if app.triggers.has(kind, FILES):
        await app.triggers.fire(kind, FILES, caller, {"file": shown, "fileSize": size})


async def _fire(app: App, kind: Kind, caller: Caller, shown: Object, size: int | None) -> Object:
    outcome = await app.triggers.fire(kind, FILES, caller, {"file": shown, "fileSize": size})
    told: Json = outcome.answer.get("file") if isinstance(outcome.answer, dict) else None
    return told if isinstance(told, dict) else shown


def _data(told: Object) -> bytes | None:
    text = told.get("base64")
    return base64.b64decode(text) if isinstance(text, str) else None
