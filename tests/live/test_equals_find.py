"""What a subscriber is sent is what a find would have shown her before and after each write: whatever the documents, access
lists, roles, class permissions, protected fields and queries."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas.data import objects
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Object
from mbaas.realtime.hub import Hub
from mbaas.realtime.subscriptions import Subscription
from tests.live.world import CLASS, OBJECTS, RULES, UNSET, WHERES, World

EXAMPLES = int(os.environ.get("MBAAS_TEST_EXAMPLES", "60"))
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


class Watched(World):
    """The world with its hub."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hub = Hub(self.app, self.sessions)

    async def _close(self) -> None:
        await self.hub.close()
        await super()._close()

    async def step(self, step: Any, there: list[str]) -> str | None:
        """Make one write; the object that it was on, None for one on something else."""
        kind = step[0]
        if kind in ("AddRelation", "RemoveRelation"):
            await self.change_members(kind)
            return None
        if kind == "create" or not there:
            object_id: str = self.app.ids.object_id()
            there.append(object_id)
            return object_id
        if kind == "delete":
            return there.pop()
        return there[-1]

    async def trial(self, rules: Object, queries: list[Object], steps: list[Any]) -> None:
        """Everybody subscribes to every query; after each write, what came is compared with what finds show."""
        await self.permit(rules)
        await self.step(("RemoveRelation", None), [])
        watchers = []
        for who in self.tokens:
            for where in queries:
                filled = self.fill(where)
                sink = Recorder()
                audience = await self.hub.audience(self.tokens[who], master=who == "master")
                subscription = Subscription(sink, 1, '"requestId":1', CLASS, filled, (), (), audience, numbered=False)
                try:
                    query = await self.hub.check(subscription)
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
    made: Frame = {"op": op, "requestId": 1, "object": {**shown, "className": CLASS}}
    return made | ({"original": {**original, "className": CLASS}} if original else {})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    made = Watched(tmp_path_factory.mktemp("world"))
    yield made
    made.close()


STEPS = st.one_of(
    st.tuples(st.just("create"), OBJECTS),
    st.tuples(st.just("update"), OBJECTS | UNSET),
    st.tuples(st.just("update"), OBJECTS | UNSET),
    st.tuples(st.just("delete"), st.none()),
    st.tuples(st.sampled_from(["AddRelation", "RemoveRelation"]), st.none()),
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(rules=RULES, queries=st.lists(WHERES, min_size=1, max_size=3), steps=st.lists(STEPS, min_size=1, max_size=8))
def test_events_are_what_finds_show(world: Watched, rules: Object, queries: list[Object], steps: list[Any]) -> None:
    world.run(world.trial(rules, queries, steps))
