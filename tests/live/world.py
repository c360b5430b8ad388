"""An app with two people and a role, whose class is written, read and closed at random; for tests of those who follow the feed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import orjson
from hypothesis import strategies as st

from mbaas.app import open_app
from mbaas.data import find as finding
from mbaas.data import objects, schemas
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.kernel.values import Object, pointer
from mbaas.services import Services

CLASS = "Trial"
PEOPLE = ("ann", "bob")
T = TypeVar("T")


class World:
    """The app, in an event loop of its own. Those who ask are `ann`, `bob`, `anyone` and `master`."""

    def __init__(self, folder: Path, database_url: str | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self.run(self._open(folder, database_url))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    async def _open(self, folder: Path, database_url: str | None) -> None:
        options = AppOptions(
            app_id="a",
            master_key="m",
            preset="parse",
            allow_custom_object_id=True,
            new_class_permissions="public",
            data_dir=folder,
            database_url=database_url,
        )
        self.app = await open_app(options, Services(ServerOptions(), {}))
        self.sessions = self.app.rooms["sessions"]
        self.tokens: dict[str, str | None] = {"anyone": None, "master": None}
        self.ids: dict[str, str] = {}
        for name in PEOPLE:
            answer = (await objects.create(self.app, Caller(), "_User", {"username": name, "password": "secret"})).answer
            self.tokens[name], self.ids[name] = answer["sessionToken"], answer["objectId"]
        role: Object = {"name": "Ed", "ACL": {}}
        self.role = (await objects.create(self.app, MASTER, "_Role", role)).answer["objectId"]
        columns = {"a": "Number", "b": "String", "l": "Array", "o": "Object", "secret": "String"}
        fields: Object = {name: {"type": kind} for name, kind in columns.items()} | {"owner": {"type": "Pointer", "targetClass": "_User"}}
        await schemas.create(self.app, CLASS, {"fields": fields})

    async def caller(self, who: str) -> Caller:
        token = self.tokens[who]
        found: Caller = MASTER if who == "master" else await self.sessions.caller(token, Caller()) if token else Caller()
        return found

    async def found(self, who: str, where: Object) -> list[Object]:
        """What a find shows somebody; ParseError if it is refused."""
        options = FindOptions.parse({"where": where, "limit": 1000})
        results: list[Object] = orjson.loads(await finding.find(self.app, await self.caller(who), CLASS, options))["results"]
        return results

    async def seen(self, who: str, where: Object, object_id: str) -> Object | None:
        """One object as a find shows it to somebody."""
        both = {"$and": [{"objectId": object_id}, where]} if where else {"objectId": {"$in": [object_id]}}
        found = await self.found(who, both)
        return found[0] if found else None

    async def permit(self, rules: Object) -> None:
        """Set the permissions of the class."""
        await schemas.change(self.app, CLASS, {"classLevelPermissions": self.fill(rules)})

    async def change_members(self, kind: str) -> None:
        """`AddRelation` or `RemoveRelation`: put bob into the role or take him out."""
        members = {"users": {"__op": kind, "objects": [pointer("_User", self.ids["bob"])]}}
        await objects.update(self.app, MASTER, "_Role", self.role, members)

    def fill(self, value: Any) -> Any:
        """Names of people, of the role and of nobody put into what was generated."""
        if isinstance(value, dict):
            return {self.ids.get(k, k): self.fill(v) for k, v in value.items()}
        if isinstance(value, str) and value.startswith("@"):
            return pointer("_User", self.ids[value[1:]])
        return [self.fill(v) for v in value] if isinstance(value, list) else value

    async def write(self, step: Any, object_id: str, *, new: bool) -> None:
        kind, argument = step
        if kind == "delete" and not new:
            await objects.delete(self.app, MASTER, CLASS, object_id)
        elif new:
            made = self.fill(argument) if kind in ("create", "update") else {}
            plain = {k: v for k, v in made.items() if not (isinstance(v, dict) and "__op" in v)}
            await objects.create(self.app, MASTER, CLASS, {**plain, "objectId": object_id})
        else:
            await objects.update(self.app, MASTER, CLASS, object_id, self.fill(argument))

    async def _close(self) -> None:
        await self.app.close()

    def close(self) -> None:
        self.run(self._close())
        self.loop.close()


NUMBERS, TEXTS = st.sampled_from([None, 0, 1, 2, 1.5]), st.sampled_from([None, "x", "xy", "Z"])
LISTS = st.lists(st.sampled_from([1, 2, "x"]), max_size=2)
RIGHTS = st.sampled_from([{"read": True}, {"write": True}, {"read": True, "write": True}])
ACLS = st.none() | st.dictionaries(st.sampled_from(["*", "ann", "bob", "role:Ed"]), RIGHTS, max_size=3)
OWNERS = st.sampled_from(["@ann", "@bob", None])
VALUES = {"a": NUMBERS, "b": TEXTS, "l": LISTS, "o": st.fixed_dictionaries({"k": NUMBERS}), "secret": TEXTS, "owner": OWNERS, "ACL": ACLS}
OBJECTS = st.fixed_dictionaries({}, optional=VALUES)
UNSET = st.sampled_from(["a", "b", "owner", "ACL", "secret"]).map(lambda name: {name: {"__op": "Delete"}})
CONDITIONS = st.one_of(
    st.fixed_dictionaries({"a": NUMBERS}),
    st.fixed_dictionaries({"a": st.sampled_from([{"$gt": 0}, {"$lte": 1}, {"$ne": 1}, {"$in": [1, 2]}, {"$nin": [1]}])}),
    st.fixed_dictionaries({"b": st.sampled_from(["x", {"$regex": "^x"}, {"$ne": None}, {"$exists": True}])}),
    st.fixed_dictionaries({"l": st.sampled_from([1, "x", {"$all": [1, 2]}, {"$containedBy": [1, 2]}])}),
    st.fixed_dictionaries({"o.k": NUMBERS}),
    st.fixed_dictionaries({"owner": st.sampled_from(["@ann", "@bob"])}),
    st.fixed_dictionaries({"secret": st.sampled_from(["x", {"$exists": True}])}),
)
WHERES = st.one_of(
    st.just({}),
    CONDITIONS,
    st.lists(CONDITIONS, min_size=1, max_size=2).flatmap(
        lambda parts: st.sampled_from(["$or", "$and", "$nor"]).map(lambda op: {op: parts})
    ),
)
OPEN = {"*": True}
FINDS = st.sampled_from(
    [
        OPEN,
        {},
        {"requiresAuthentication": True},
        {"ann": True},
        {"role:Ed": True},
        {"pointerFields": ["owner"]},
        {"ann": True, "pointerFields": ["owner"]},
    ]
)
PROTECTED = st.sampled_from(
    [
        {},
        {"*": []},
        {"*": ["secret"]},
        {"*": ["secret"], "userField:owner": []},
        {"*": ["secret", "a"], "authenticated": ["a"]},
        {"*": ["secret"], "role:Ed": []},
    ]
)
OPERATIONS = ("get", "count", "create", "update", "delete", "addField")
RULES = st.builds(lambda find, hidden: {"find": find, **dict.fromkeys(OPERATIONS, OPEN), "protectedFields": hidden}, FINDS, PROTECTED)
