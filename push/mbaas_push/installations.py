"""Installations: the `_Installation` class's rules. One device is one row, whichever of its ids a client sends.

A row is found by objectId, installationId or deviceToken, and what a client posts goes into the row that is there
already. Source: Parse Server 9.10's installation handling, with its codes (132, 135, 136).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from mbaas.data.app import App
from mbaas.data.policies import Policy, Saved, Write
from mbaas.kernel import acl
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, Conflict, Duplicate, ParseError, forbidden, not_found
from mbaas.kernel.ops import Unset
from mbaas.kernel.values import Json, Object, pointer
from mbaas.query import ast
from mbaas.storage.ports import Delete, Document, Find, PutRow, Step, Update

_CLAIMED, _CLAIMED_MS = "new installations", 60_000
"""The table of the ids that new rows were made with, and how long each is kept there: for as long as two requests may overlap."""
_TOKEN_LENGTH = 64
"""An APNs device token in hexadecimal; its case does not count."""


@dataclass(slots=True)
class _Found:
    """The rows that share an id with what was sent."""

    by_object_id: Object | None = None
    by_installation: Object | None = None
    by_token: list[Object] = field(default_factory=list)


class InstallationPolicy(Policy):
    """Clients may add and change installations, and neither list nor remove them."""

    schema = {
        "indexes": {"installation_id": {"installationId": 1}, "device_token": {"deviceToken": 1}, "user": {"user": 1}},
        "unique": frozenset[str](),
    }

    def __init__(self, app: App) -> None:
        self._app = app

    def admit(self, caller: Caller, operation: str, class_name: str) -> None:
        if operation in ("find", "delete") and not caller.omnipotent:
            raise forbidden(f"Clients aren't allowed to perform the {operation} operation on the installation collection.")

    async def before(self, write: Write) -> None:
        body, caller = write.body, write.caller
        if write.creating and not (body.get("deviceToken") or body.get("installationId") or caller.installation_id):
            text = "at least one ID field (deviceToken, installationId) must be specified in this operation"
            raise ParseError(Code.INSTALLATION_MISSING_ID_FIELD, text)
        token = body.get("deviceToken")
        if isinstance(token, str) and len(token) == _TOKEN_LENGTH:
            body["deviceToken"] = token.lower()
        if body.get("installationId"):
            if not isinstance(body["installationId"], str):
                if isinstance(body["installationId"], dict):
                    return
                raise ParseError(Code.INCORRECT_TYPE, "installationId is a string")
            body["installationId"] = body["installationId"].lower()
        installation_id = body.get("installationId") or (None if caller.omnipotent else caller.installation_id)
        installation_id = installation_id.lower() if installation_id else None
        if not write.creating and not (body.get("deviceToken") or installation_id or body.get("deviceType")):
            return
        found = await self._matching(write, installation_id)
        if not write.creating:
            self._refuse_changes(body, found)
        row = (found.by_installation if installation_id else None) or found.by_object_id
        if write.creating and not body.get("deviceType") and row is None:
            raise ParseError(Code.INSTALLATION_MISSING_ID_FIELD, "deviceType must be specified in this operation")
        survivor = await (self._join(write, row, found) if row else self._adopt(write, installation_id, found))
        if survivor is not None:
            write.creating = False
            write.object_id = survivor
            body.pop("createdAt", None)
        elif write.creating:
            write.steps += self._claims(installationId=installation_id, deviceToken=None if found.by_token else body.get("deviceToken"))

    def _claims(self, **ids: Json) -> Iterator[Step]:
        """What only one of those who make a row of the same device at the same time can write."""
        expires = self._app.clock.now() + _CLAIMED_MS
        for name, value in ids.items():
            if value and isinstance(value, str):
                yield PutRow(_CLAIMED, f"{name}:{value}", None, expires=expires, if_absent=True)

    async def forestalled(self, write: Write, error: Duplicate) -> Saved | None:
        if error.index != _CLAIMED:
            return None
        schema = self._app.classes.known_or_blank("_Installation")
        for step in write.steps:
            if isinstance(step, PutRow) and step.table == _CLAIMED:
                name, _, value = step.key.partition(":")
                if not await self._app.store.documents.find(Find(schema, ast.Equals((name,), value), limit=1)):
                    # Who had it was removed again.
                    await self._app.store.rows.drop(_CLAIMED, step.key)
        raise Conflict

    async def _matching(self, write: Write, installation_id: str | None) -> _Found:
        token = write.body.get("deviceToken")
        parts: list[ast.Node] = []
        if write.object_id:
            parts.append(ast.Equals(("objectId",), write.object_id))
        if installation_id:
            parts.append(ast.Equals(("installationId",), installation_id))
        if isinstance(token, str):
            parts.append(ast.Equals(("deviceToken",), token))
        schema = self._app.classes.known_or_blank("_Installation")
        found = _Found()
        for document in await self._app.store.documents.find(Find(schema, ast.Or(tuple(parts)))) if parts else []:
            row = document.body
            if write.object_id and row["objectId"] == write.object_id:
                found.by_object_id = row
            if installation_id and row.get("installationId") == installation_id:
                found.by_installation = row
            if isinstance(token, str) and row.get("deviceToken") == token:
                found.by_token.append(row)
        return found

    def _refuse_changes(self, body: Object, found: _Found) -> None:
        """136 for a change of what identifies a device."""
        row = found.by_object_id
        if row is None:
            raise not_found()

        def differs(name: str, unless_absent: bool = True) -> bool:
            given: Json = body.get(name)
            return bool(given) and (bool(row.get(name)) or not unless_absent) and given != row.get(name)

        changed = None
        if differs("installationId"):
            changed = "installationId"
        elif differs("deviceToken") and not body.get("installationId") and not row.get("installationId"):
            changed = "deviceToken"
        elif differs("deviceType", unless_absent=False):
            changed = "deviceType"
        if changed:
            raise ParseError(Code.INSTALLATION_IMMUTABLE_FIELD, f"{changed} may not be changed in this operation")

    async def _join(self, write: Write, row: Object, found: _Found) -> str:
        """The row that the write goes into; rows that the same device left behind are removed with it."""
        body = write.body
        if len(found.by_token) == 1 and not found.by_token[0].get("installationId"):
            return self._merge(write, row, found.by_token[0])
        if body.get("deviceToken") and row.get("deviceToken") != body["deviceToken"] and body.get("installationId"):
            losers = [r for r in found.by_token if r.get("installationId") != body["installationId"]]
            self._give_up(write, [r for r in losers if _same_app(body, r)], "deviceToken")
        return str(row["objectId"])

    async def _adopt(self, write: Write, installation_id: str | None, found: _Found) -> str | None:
        """No row has the installationId: one with the token alone is taken over, others of the token go."""
        rows = found.by_token
        if not rows:
            return None
        if len(rows) == 1 and (not rows[0].get("installationId") or not installation_id):
            survivor: str = rows[0]["objectId"]
            return survivor
        if not write.body.get("installationId"):
            text = "Must specify installationId when deviceToken matches multiple Installation objects"
            raise ParseError(Code.INSTALLATION_MISSING_DEVICE_FIELD, text)
        losers = [r for r in rows if r.get("installationId") != installation_id]
        self._give_up(write, [r for r in losers if _same_app(write.body, r)], "deviceToken")
        return None

    def _merge(self, write: Write, row: Object, other: Object) -> str:
        """The one of two rows of the same device that stays: `row` has its installationId, `other` its token alone."""
        if other["objectId"] == row["objectId"]:
            return str(row["objectId"])
        by_token = self._app.options.installation.priority == "deviceToken"
        survivor, loser, shared = (other, row, "installationId") if by_token else (row, other, "deviceToken")
        self._give_up(write, [loser], shared)
        return str(survivor["objectId"])

    def _give_up(self, write: Write, rows: list[Object], shared: str) -> None:
        """What rows have in common with the one that stays: they go, or lose it, as the app's options say."""
        options = self._app.options.installation
        schema = self._app.classes.known_or_blank("_Installation")
        if options.enforce_auth:
            rows = [row for row in rows if self._may(write.caller, row)]
        for row in rows:
            gone: Step = Delete(schema, row["objectId"])
            write.steps.append(gone if options.action == "delete" else Update(schema, row["objectId"], (Unset((shared,)),)))

    def _may(self, caller: Caller, row: Object) -> bool:
        try:
            self._app.classes.rules("_Installation").check(caller, self._app.options.installation.action)
        except ParseError:
            return False
        return caller.omnipotent or acl.permits(acl.allowed(row.get("ACL"), "write"), caller.principals)


def _same_app(body: Object, row: Object) -> bool:
    return not body.get("appIdentifier") or body["appIdentifier"] == row.get("appIdentifier")


def join(app: App) -> None:
    """Register the room's class with an app; before it starts."""
    app.register("_Installation", InstallationPolicy(app))
    app.belongings.append(Devices(app))


class Devices:
    """The installations that apps have tied to users, by the column `user`. Without the user they are the device's, as before."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def of(self, user_id: str, caller: Caller) -> AsyncIterator[tuple[str, Object]]:
        for installation in await self._tied(user_id):
            body = dict(installation.body)
            # A token is the provider's address of a device, and says nothing to a person.
            body.pop("deviceToken", None)
            yield "installation", body

    async def leave(self, user_id: str) -> list[Step]:
        schema = self._app.classes.known_or_blank("_Installation")
        return [Update(schema, each.body["objectId"], [Unset(("user",))]) for each in await self._tied(user_id)]

    async def _tied(self, user_id: str) -> list[Document]:
        schema = self._app.classes.get("_Installation")
        column = schema.fields.get("user") if schema is not None else None
        if schema is None or column is None or column.target != "_User":
            return []
        return await self._app.store.documents.find(Find(schema, ast.Equals(("user",), pointer("_User", user_id))))
