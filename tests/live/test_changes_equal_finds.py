"""A phone that starts from a find and follows the changes of a class has what a find shows its user: whatever is written meanwhile,
whatever becomes of her rights, and in pages of whatever size. It is told nothing that no find would have shown it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from bson import ObjectId
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas.data import objects
from mbaas.data.changes import Wanted, changes
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Object
from tests.live.world import CLASS, OBJECTS, RULES, UNSET, WHERES, World
from tests.secantus import database

EXAMPLES = int(os.environ.get("MBAAS_TEST_EXAMPLES", "60"))
FOLLOWERS = ("anyone", "ann", "bob", "master")


class Phone:
    """One user's device: what it keeps, and what is known of what it is to be told."""

    def __init__(self, world: Followed, who: str, where: Object) -> None:
        self.world, self.who, self.where = world, who, where
        self.since: str | None = None
        self.kept: dict[str, Object] | None = None
        """Objects by id; None before the find."""
        self.rights: object = None
        """Those at `since`."""
        self.due: list[tuple[str, str, Object | None]] | None = None
        """What it is to be told, worked out from finds around each write; None where rights came and went meanwhile."""
        self.restarts = 0

    async def start(self) -> None:
        """Ask for the position; the find comes later, when others may have written."""
        self.kept = self.since = None
        self.since = (await self.ask(None, 1))["next"]
        self.rights, self.due = self.world.rights_of(self.who), []

    async def ask(self, since: str | None, limit: int) -> Object:
        caller = await self.world.caller(self.who)
        answer: Object = orjson.loads(await changes(self.world.app, caller, Wanted(CLASS, since, self.where, limit)))
        return answer

    async def seen(self, object_id: str) -> Object | None:
        """The object as a find shows it now; None where finds are refused, too."""
        try:
            return await self.world.seen(self.who, self.where, object_id)
        except ParseError:
            return None

    def expect(self, object_id: str, was: Object | None, now: Object | None) -> None:
        """Note what a write is to the phone."""
        if self.due is not None and self.rights != self.world.rights_of(self.who):
            self.due = None
        if self.due is not None and (was or now):
            self.due.append(("delete" if not now else "update" if was else "create", object_id, now))

    async def follow(self, limit: int) -> bool:
        """Take in one page; True if there is more."""
        try:
            if self.since is None:
                await self.start()
            if self.kept is None:
                self.kept = {found["objectId"]: found for found in await self.world.found(self.who, self.where)}
            page = await self.ask(self.since, limit)
        except ParseError as error:
            return await self.refused(error)
        told = [(change["op"], change["objectId"], change.get("object")) for change in page["results"]]
        assert self.rights == self.world.rights_of(self.who)
        if self.due is not None:
            assert told == self.due[:limit]
            assert page["more"] == (len(self.due) > limit)
            del self.due[:limit]
        for _, object_id, shown in told:
            if shown is None:
                self.kept.pop(object_id, None)
            else:
                self.kept[object_id] = shown
        self.since = page["next"]
        return bool(page["more"])

    async def refused(self, error: ParseError) -> bool:
        """To start again is asked of those alone whose rights have changed; any other refusal is a find's."""
        if error.status == 410:
            assert error.code == Code.CACHE_MISS
            assert self.rights != self.world.rights_of(self.who)
            self.since = None
            self.restarts += 1
            return True
        with pytest.raises(ParseError) as found:
            await self.world.found(self.who, self.where)
        # Where two things stand against it, a find names the other one first.
        assert {found.value.code, error.code} <= {Code.OBJECT_NOT_FOUND, Code.OPERATION_FORBIDDEN}
        return False


class Followed(World):
    """The world with its phones."""

    rules: object = None
    member = False

    async def trial(self, rules: Object, wheres: list[Object], steps: list[Any]) -> None:
        """Write, change rights and let phones follow, in any order; in the end each phone has what its user may see."""
        await self.set_rules(rules)
        await self.set_member("RemoveRelation")
        phones = [Phone(self, who, self.fill(where)) for who in FOLLOWERS for where in wheres]
        for phone in phones:
            await self.start(phone)
        there: list[str] = []
        for kind, argument in steps:
            if kind == "rules":
                await self.set_rules(argument)
            elif kind == "role":
                await self.set_member(argument)
            elif kind == "follow":
                at, limit = argument
                await phones[at % len(phones)].follow(limit)
            elif kind == "start":
                await self.start(phones[argument % len(phones)])
            else:
                await self.one_write(kind, argument, there, phones)
        for phone in phones:
            while await phone.follow(3):
                pass
            await self.compare(phone)
        for object_id in there:
            await objects.delete(self.app, MASTER, CLASS, object_id)

    async def set_rules(self, rules: Object) -> None:
        await self.permit(rules)
        hidden = rules["protectedFields"]
        self.rules = orjson.dumps([rules["find"], hidden if any(hidden.values()) else None])

    async def set_member(self, kind: str) -> None:
        await self.change_members(kind)
        self.member = kind == "AddRelation"

    def rights_of(self, who: str) -> object:
        """What decides who sees what, beside the objects."""
        return self.rules, who == "bob" and self.member

    async def start(self, phone: Phone) -> None:
        try:
            await phone.start()
        except ParseError as error:
            assert not await phone.refused(error)

    async def one_write(self, kind: str, argument: Any, there: list[str], phones: list[Phone]) -> None:
        which, given = argument
        new = kind == "create" or not there
        object_id = self.app.ids.object_id() if new else there[which % len(there)]
        before = [await phone.seen(object_id) for phone in phones]
        await self.write(("create" if new else kind, given), object_id, new=new)
        if new:
            there.append(object_id)
        elif kind == "delete":
            there.remove(object_id)
        for phone, was in zip(phones, before, strict=True):
            phone.expect(object_id, was, await phone.seen(object_id))

    async def compare(self, phone: Phone) -> None:
        try:
            shown = {found["objectId"]: found for found in await self.found(phone.who, phone.where)}
        except ParseError:
            return
        assert phone.kept == shown, (phone.who, phone.where)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    made = Followed(tmp_path_factory.mktemp("followed"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def on_mongo(tmp_path_factory: pytest.TempPathFactory, mongo: str) -> Iterator[Followed]:
    made = Followed(tmp_path_factory.mktemp("followed"), database(mongo, f"followed_{ObjectId()}"))
    yield made
    made.close()


WHICH = st.integers(0, 9)
FOLLOW = st.tuples(st.just("follow"), st.tuples(WHICH, st.integers(1, 4)))
WRITE: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("create"), st.tuples(WHICH, OBJECTS)),
    st.tuples(st.just("update"), st.tuples(WHICH, OBJECTS | UNSET)),
    st.tuples(
        st.just("update"),
        st.tuples(WHICH, st.fixed_dictionaries({"ACL": st.sampled_from([{}, {"role:Ed": {"read": True}}, {"*": {"read": True}}])})),
    ),
    st.tuples(st.just("delete"), st.tuples(WHICH, st.just({}))),
)
STEPS = st.lists(
    st.one_of(
        WRITE,
        WRITE,
        FOLLOW,
        FOLLOW,
        st.tuples(st.just("start"), WHICH),
        st.tuples(st.just("role"), st.sampled_from(["AddRelation", "RemoveRelation"])),
        st.tuples(st.just("rules"), RULES),
    ),
    min_size=10,
    max_size=40,
)
TRIAL = given(rules=RULES, wheres=st.lists(WHERES, min_size=1, max_size=2), steps=STEPS)


@settings(max_examples=max(EXAMPLES // 2, 1), deadline=None, suppress_health_check=list(HealthCheck))
@TRIAL
def test_a_phone_has_what_a_find_shows(embedded: Followed, rules: Object, wheres: list[Object], steps: list[Any]) -> None:
    embedded.run(embedded.trial(rules, wheres, steps))


@settings(max_examples=max(EXAMPLES // 10, 1), deadline=None, suppress_health_check=list(HealthCheck))
@TRIAL
def test_a_phone_has_what_a_find_shows_on_mongodb(on_mongo: Followed, rules: Object, wheres: list[Object], steps: list[Any]) -> None:
    on_mongo.run(on_mongo.trial(rules, wheres, steps))
