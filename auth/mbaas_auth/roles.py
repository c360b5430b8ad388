"""Roles: who has which, inherited ones included, and what a change of a role must forget."""

from __future__ import annotations

from collections.abc import Callable

from mbaas.data.app import App
from mbaas.data.policies import Policy, Write
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError
from mbaas.query.ast import In
from mbaas.storage.ports import Document, Find


async def roles_of(app: App, user_id: str) -> frozenset[str]:
    """Names of the user's roles: those that list her, and those that list one of her roles, however deep; a circle ends."""
    schema = app.classes.get("_Role")
    if schema is None:
        return frozenset()
    documents = app.store.documents
    found: set[str] = set()
    fresh = set(await documents.owners(schema, "users", [user_id]))
    while fresh:
        found |= fresh
        fresh = set(await documents.owners(schema, "roles", sorted(fresh))) - found
    if not found:
        return frozenset()
    rows = await documents.find(Find(schema, In(("objectId",), tuple(sorted(found)))))
    return frozenset(row.body["name"] for row in rows if isinstance(row.body.get("name"), str))


class RolePolicy(Policy):
    """A role has a unique name and an access list, and every change of one ends what is remembered of people's roles."""

    remembers = True
    schema = {"indexes": {"name_unique": {"name": 1}}, "unique": frozenset({"name_unique"})}

    def __init__(self, forget: Callable[[], None]) -> None:
        self._forget = forget

    async def before(self, write: Write) -> None:
        if not write.creating:
            for column in ("name", "ACL"):
                value = write.body.get(column)
                if isinstance(value, dict) and value.get("__op") == "Delete":
                    raise ParseError(Code.INCORRECT_TYPE, f"{column} is required.")

    async def after(self, write: Write) -> None:
        self._forget()

    async def after_delete(self, app: App, caller: Caller, document: Document) -> None:
        self._forget()

    def purged(self) -> None:
        self._forget()

    async def changed(self, object_id: str | None) -> None:
        self._forget()
