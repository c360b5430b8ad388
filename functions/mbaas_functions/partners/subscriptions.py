"""What partners are told of: each subscription names a class, a query, and which changes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mbaas.data.app import App
from mbaas.data.changes import ChangesView
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.storage.ports import Row
from mbaas_functions.partners.principals import watcher
from mbaas_functions.partners.registry import Registry

_TABLE = "partner_subscriptions"
_OPS = ("create", "update", "delete")
_MOST = 100


class Subscriptions:
    """The subscriptions of an app's partners: `{id, className, where, events, path, subject?}` each."""

    def __init__(self, app: App, registry: Registry) -> None:
        self._app, self._registry = app, registry

    async def any(self) -> bool:
        """True if some partner subscribes."""
        return bool(await self._app.store.rows.scan(_TABLE, limit=1))

    async def checked(self, partner: str, given: Object) -> Object:
        """A subscription of `{className, where?, events?, path?, subject?}`, not kept yet. ParseError as a find by the partner would; 142.

        `subject` is the column that says whom an object is about, a pointer to `_User`, or `objectId` of `_User` itself.
        """
        class_name, where, path = given.get("className"), given.get("where", {}), given.get("path", "/events")
        events = given.get("events", list(_OPS))
        if not isinstance(class_name, str) or not isinstance(where, dict):
            raise ParseError(Code.VALIDATION_ERROR, "className must be a text and where an object.")
        if not isinstance(events, list) or not events or not set(map(str, events)) <= set(_OPS):
            raise ParseError(Code.VALIDATION_ERROR, f"events must be some of {', '.join(_OPS)}.")
        if not isinstance(path, str) or not path.startswith("/") or set(path) & set("?#%\\ ") or ".." in path:
            raise ParseError(Code.VALIDATION_ERROR, "path must be a path below the partner's URL that begins with /.")
        if not self._app.sharing.atomic:
            raise ParseError(Code.COMMAND_UNAVAILABLE, "Events to partners need a MongoDB that is a replica set.")
        await self._registry.get(partner)
        await self._app.classes.sought(class_name)
        ChangesView(self._app, watcher(partner), class_name, where)
        subject = given.get("subject")
        if subject is not None and not self._names_people(class_name, subject):
            raise ParseError(Code.VALIDATION_ERROR, "subject must be a column that is a pointer to _User.")
        if len(await self.of(partner)) >= _MOST:
            raise ParseError(Code.VALIDATION_ERROR, f"A partner has at most {_MOST} subscriptions.")
        made: Object = {"id": self._app.ids.object_id(), "className": class_name, "where": where, "events": events, "path": path}
        return made if subject is None else {**made, "subject": subject}

    def _names_people(self, class_name: str, column: Json) -> bool:
        if class_name == "_User" and column == "objectId":
            return True
        found = self._app.classes.known_or_blank(class_name).fields.get(column) if isinstance(column, str) else None
        return found is not None and (found.type, found.target) == ("Pointer", "_User")

    async def put(self, partner: str, made: Object) -> None:
        """Keep a subscription."""
        await self._app.store.rows.put_many(_TABLE, [Row(f"{partner}|{made['id']}", made)])

    async def get(self, partner: str, subscription: str) -> Object | None:
        """One of a partner's subscriptions."""
        row = await self._app.store.rows.get(_TABLE, f"{partner}|{subscription}")
        return None if row is None else row.value

    async def of(self, partner: str) -> list[Object]:
        """A partner's subscriptions."""
        return [row.value for row in await self._app.store.rows.scan(_TABLE, prefix=f"{partner}|")]

    async def drop(self, partner: str, subscription: str) -> bool:
        """Tell no more of it; what waits is not sent. False if there was none."""
        return await self._app.store.rows.drop(_TABLE, f"{partner}|{subscription}")

    async def all(self) -> AsyncIterator[tuple[str, Object]]:
        """Every subscription, with the name of its partner."""
        after = ""
        while rows := await self._app.store.rows.scan(_TABLE, after):
            for row in rows:
                yield row.key.partition("|")[0], row.value
            after = rows[-1].key
