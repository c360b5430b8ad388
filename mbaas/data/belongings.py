"""What belongs to a user: told to her as a whole, and taken away with her. Each room answers for its own; here are objects and files.

An object is hers if its access list names her as one who may write it. Of the classes that the app names (`erase`), what she alone may
write goes with her; `_File` in that list stands for the files that she has uploaded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import TYPE_CHECKING, Protocol

from mbaas.data import files, objects, options
from mbaas.data.files_in import file_url
from mbaas.data.shape import Shape
from mbaas.kernel.acl import allowed
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Object
from mbaas.query.ast import EVERYTHING, Node, both
from mbaas.storage.ports import Document, Find, Step

if TYPE_CHECKING:
    from mbaas.data.app import App

FILES = "_File"


class Belongings(Protocol):
    """What a room has of users."""

    def of(self, user_id: str, caller: Caller) -> AsyncIterator[tuple[str, Object]]:
        """Everything that is hers, each with the word for what it is, as the caller (herself, or the master key) may see it."""
        ...

    async def leave(self, user_id: str) -> list[Step]:
        """Steps that take it away, in one commit with herself; what is too much for that is taken away before."""
        ...


class Objects:
    """The objects and files of an app's users."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def of(self, user_id: str, caller: Caller) -> AsyncIterator[tuple[str, Object]]:
        for schema in self._app.classes.all():
            if schema.name.startswith("_"):
                continue
            async for body in shown(self._app, caller, schema):
                if user_id in (allowed(body.get("ACL"), "write") or ()):
                    yield "object", {"className": schema.name, **body}
        for name in await files.names(self._app).of_user(user_id):
            yield "file", {"name": name, "url": file_url(self._app, name)}

    async def leave(self, user_id: str) -> list[Step]:
        for name in self._app.options.erase:
            schema = self._app.classes.get(name)
            if schema is None:
                continue
            async for document in self._written_by(schema, user_id):
                if allowed(document.body.get("ACL"), "write") == (user_id,):
                    await _gone(objects.delete(self._app, MASTER, name, document.body["objectId"]))
        if FILES in self._app.options.erase:
            for name in await files.names(self._app).of_user(user_id):
                await _gone(files.delete(self._app, MASTER, name))
        return []

    async def _written_by(self, schema: ClassSchema, user_id: str) -> AsyncIterator[Document]:
        """What the user may write because its access list says so of her."""
        async for document in self._app.store.documents.scan(Find(schema)):
            if user_id in (allowed(document.body.get("ACL"), "write") or ()):
                yield document


async def shown(app: App, caller: Caller, schema: ClassSchema, where: Node = EVERYTHING) -> AsyncIterator[Object]:
    """The objects of a class that a caller may see, as she may see them; none where the class is closed to her."""
    rules = app.classes.rules(schema.name)
    try:
        rules.check(caller, "find")
    except ParseError:
        return
    shape = Shape(app, caller, app.policy(schema.name), rules, schema, options.EVERYTHING)
    async for document in app.store.documents.scan(Find(schema, both(where, rules.narrowed(caller, "find")), caller.readers)):
        yield shape.show(document.body)


async def _gone(deleting: Awaitable[None]) -> None:
    """Have it be deleted; somebody else may have done so."""
    try:
        await deleting
    except ParseError as error:
        if error.code not in (Code.OBJECT_NOT_FOUND, Code.FILE_DELETE_ERROR):
            raise
