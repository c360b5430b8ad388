"""SQLite finds exactly the documents that the matcher accepts, whatever the documents and the query."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mbaas.kernel.clock import SystemClock
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Object
from mbaas.query import ast
from mbaas.query.compare import order_key
from mbaas.query.match import match
from mbaas.storage.ports import Delete, Document, Find, Insert
from mbaas.storage.sqlite.connection import Tuning
from mbaas.storage.sqlite.store import SqliteStore, open_store
from tests.query.samples import HIDDEN, NODES, PATHS, SCHEMA, bodies

EXAMPLES = int(os.environ.get("MBAAS_TEST_EXAMPLES", "300"))
STAMP = "2026-01-31T09:05:00.123Z"


class World:
    """A store, and the loop it lives on: hypothesis calls plain functions."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.store: SqliteStore = self.loop.run_until_complete(open_store(folder, SystemClock(), tuning=Tuning(synchronous="OFF")))
        self.loop.run_until_complete(self.store.schemas.put(SCHEMA))

    async def fill(self, documents: list[Document]) -> None:
        there = await self.store.documents.find(Find(SCHEMA))
        steps = [Delete(SCHEMA, str(old.body["objectId"])) for old in there]
        await self.store.documents.commit([*steps, *(Insert(SCHEMA, document) for document in documents)])

    def found(self, find: Find) -> list[str]:
        documents = self.loop.run_until_complete(self.store.documents.find(find))
        return [document.body["objectId"] for document in documents]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("world"))
    yield made
    made.loop.run_until_complete(made.store.close())
    made.loop.close()


def whole(number: int, body: Object) -> Object:
    return {"objectId": f"o{number}", "createdAt": STAMP, "updatedAt": STAMP, **body}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(bodies(), HIDDEN), min_size=1, max_size=4), st.lists(NODES, min_size=1, max_size=12))
def test_sql_and_matcher_agree(world: World, things: list[tuple[Object, Object]], nodes: list[ast.Node]) -> None:
    """One set of documents, several queries each."""
    documents = [Document(whole(n, body), hidden) for n, (body, hidden) in enumerate(things)]
    world.loop.run_until_complete(world.fill(documents))
    answers: list[tuple[int, int]] = []
    for node in nodes:
        try:
            expected = {d.body["objectId"] for d in documents if match(node, {**d.body, **d.hidden})}
        except ParseError as refused:
            with pytest.raises(ParseError) as raised:
                world.found(Find(SCHEMA, node))
            answers.append((raised.value.code, refused.code))
            continue
        assert set(world.found(Find(SCHEMA, node))) == expected, node
        assert world.loop.run_until_complete(world.store.documents.count(Find(SCHEMA, node))) == len(expected)
    assert all(found == wanted for found, wanted in answers)


@settings(max_examples=max(EXAMPLES // 3, 1), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(bodies(), min_size=2, max_size=6), PATHS.filter(lambda path: not path[0].startswith("_")), st.booleans())
def test_order_is_that_of_the_sort_key(world: World, things: list[Object], path: ast.Path, descending: bool) -> None:
    """Typed columns sort natively, all others by the key; both give one order."""
    documents = [Document(whole(n, body)) for n, body in enumerate(things)]
    world.loop.run_until_complete(world.fill(documents))
    keyed = [(order_key(d.body, path, descending), n) for n, d in enumerate(documents)]
    expected = [f"o{n}" for _, n in sorted(keyed, reverse=descending)]
    assert world.found(Find(SCHEMA, order=((path, descending),))) == expected
