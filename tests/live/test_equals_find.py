"""What a subscriber is sent is what a find would have shown her before and after each write: whatever the documents, access
lists, roles, class permissions, protected fields and queries."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas.app import open_app
from mbaas.data import find as finding
from mbaas.data import objects, schemas
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.kernel.values import Object, pointer
from mbaas.realtime.hub import Hub
from mbaas.realtime.subscriptions import Subscription
from mbaas.services import Services

EXAMPLES = int(os.environ.get("MBAAS_TEST_EXAMPLES", "60"))
CLASS = "Trial"
PEOPLE = ("ann", "bob")
Frame = dict[str, Any]


class Recorder:
    """The sink of a subscription that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def push(self, frame: str) -> None:
        self.frames.append(orjson.loads(frame))

    def refuse(self, request_id: float, error: ParseError) -> None:
        self.frames.append({"op": "error", "code": error.code})

    def resync(self, request_id: float, numbered: bool) -> None:
        raise AssertionError("nothing was trimmed")

    async def drained(self) -> None:
        """There is always room."""


class World:
    """An app with two people and a role, and its hub."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._open(folder))

    async def _open(self, folder: Path) -> None:
        options = AppOptions(
            app_id="a", master_key="m", preset="parse", allow_custom_object_id=True, new_class_permissions="public", data_dir=folder
        )
        self.app = await open_app(options, Services(ServerOptions(), {}))
        self.sessions = self.app.rooms["sessions"]
        self.hub = Hub(self.app, self.sessions)
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

    async def seen(self, who: str, where: Object, object_id: str) -> Object | None:
        """The object as a find shows it to somebody; ParseError if the find is refused."""
        both = {"$and": [{"objectId": object_id}, where]} if where else {"objectId": {"$in": [object_id]}}
        found = orjson.loads(await finding.find(self.app, await self.caller(who), CLASS, FindOptions.parse({"where": both})))["results"]
        return {**found[0], "className": CLASS} if found else None

    def fill(self, value: Any) -> Any:
        """Names of people, of the role and of nobody put into what was generated."""
        if isinstance(value, dict):
            return {self.ids.get(k, k): self.fill(v) for k, v in value.items()}
        if isinstance(value, str) and value.startswith("@"):
            return pointer("_User", self.ids[value[1:]])
        return [self.fill(v) for v in value] if isinstance(value, list) else value

    async def step(self, step: Any, there: list[str]) -> str | None:
        """Make one write; the object that it was on, None for one on something else."""
        kind = step[0]
        if kind in ("AddRelation", "RemoveRelation"):
            members = {"users": {"__op": kind, "objects": [pointer("_User", self.ids["bob"])]}}
            await objects.update(self.app, MASTER, "_Role", self.role, members)
            return None
        if kind == "create" or not there:
            object_id: str = self.app.ids.object_id()
            there.append(object_id)
            return object_id
        if kind == "delete":
            return there.pop()
        return there[-1]

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

    async def trial(self, rules: Object, queries: list[Object], steps: list[Any]) -> None:
        """Everybody subscribes to every query; after each write, what came is compared with what finds show."""
        await schemas.change(self.app, CLASS, {"classLevelPermissions": self.fill(rules)})
        await self.step(("RemoveRelation", None), [])
        watchers = []
        for who in self.tokens:
            for where in queries:
                filled = self.fill(where)
                sink = Recorder()
                audience = await self.hub.audience(self.tokens[who], master=who == "master")
                subscription = Subscription(sink, 1, '"requestId":1', CLASS, filled, (), (), audience, numbered=False)
                try:
                    query = self.hub.check(subscription)
                except ParseError:
                    continue
                await self.hub.join(query, subscription)
                watchers.append((who, filled, subscription, sink))
        there: list[str] = []
        for step in steps:
            known = list(there)
            object_id = await self.step(step, there)
            if object_id is None:
                continue
            before = [await self.states(who, where, object_id) for who, where, _, _ in watchers]
            await self.write(step, object_id, new=object_id not in known)
            await self.hub.caught_up()
            gone = object_id not in there
            for (who, where, _, sink), was in zip(watchers, before, strict=True):
                wanted = expected(was, await self.states(who, where, object_id), gone=gone, new=object_id not in known)
                assert sink.frames == wanted, (who, where, step)
                sink.frames.clear()
        for _, _, subscription, _ in watchers:
            self.hub.unsubscribe(subscription)
        for object_id in there:
            await objects.delete(self.app, MASTER, CLASS, object_id)

    async def states(self, who: str, where: Object, object_id: str) -> tuple[Any, Any, bool]:
        """The object as the query shows it, as any query would, and whether it matches at all; an error's code where finds are refused."""
        matches = await self.seen("master", where, object_id) is not None
        try:
            return await self.seen(who, where, object_id), await self.seen(who, {}, object_id), matches
        except ParseError as error:
            return error.code, error.code, matches


def expected(before: tuple[Any, Any, bool], after: tuple[Any, Any, bool], *, gone: bool, new: bool) -> list[Frame]:
    """The frames that follow from what finds show before and after a write."""
    (was, was_seen, matched), (now, now_seen, matches) = before, after
    if isinstance(now, int):
        return [{"op": "error", "code": now}] if matched or matches else []
    if gone:
        return [frame("delete", was, None)] if was else []
    if was and now:
        return [frame("update", now, was)]
    if was:
        return [frame("leave", now_seen or was, was)]
    if now:
        return [frame("create" if new else "enter", now, was_seen)]
    return []


def frame(op: str, shown: Object, original: Object | None) -> Frame:
    made: Frame = {"op": op, "requestId": 1, "object": shown}
    return made | ({"original": original} if original else {})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.loop.run_until_complete(made.hub.close())
    made.loop.run_until_complete(made.app.close())
    made.loop.close()


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
STEPS = st.one_of(
    st.tuples(st.just("create"), OBJECTS),
    st.tuples(st.just("update"), OBJECTS | UNSET),
    st.tuples(st.just("update"), OBJECTS | UNSET),
    st.tuples(st.just("delete"), st.none()),
    st.tuples(st.sampled_from(["AddRelation", "RemoveRelation"]), st.none()),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules=RULES, queries=st.lists(WHERES, min_size=1, max_size=3), steps=st.lists(STEPS, min_size=1, max_size=8))
def test_events_are_what_finds_show(world: World, rules: Object, queries: list[Object], steps: list[Any]) -> None:
    world.loop.run_until_complete(world.trial(rules, queries, steps))
