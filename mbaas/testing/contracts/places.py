"""The contract of GeoPoint and Polygon columns: distances on the sphere, the antimeridian, the poles."""

from __future__ import annotations

import math

import pytest

from mbaas.kernel.ops import Set, Unset
from mbaas.kernel.values import Object
from mbaas.query import ast
from mbaas.query.match import match
from mbaas.storage.ports import Delete, Find, Store, Update
from mbaas.testing.contracts.samples import POST, ids, insert

SPOT = ("spot",)


def place(latitude: float, longitude: float) -> Object:
    return {"__type": "GeoPoint", "latitude": latitude, "longitude": longitude}


SQUARE = {"__type": "Polygon", "coordinates": [[0, 0], [0, 10], [10, 10], [10, 0], [0, 0]]}
OBJECTS = [
    insert("paris", spot=place(48.86, 2.35)),
    insert("london", spot=place(51.51, -0.13)),
    insert("fiji_west", spot=place(-17.0, 179.5)),
    insert("fiji_east", spot=place(-17.0, -179.5)),
    insert("pole", spot=place(89.9, -90.0)),
    insert("origin", spot=place(0, 0), area=SQUARE),
    insert("nowhere", spot=None),
    insert("absent"),
]
PLACE_CASES: list[tuple[ast.Node, set[str]]] = [
    (ast.Near(SPOT, (48.86, 2.35), 0.06), {"paris", "london"}),
    (ast.Near(SPOT, (48.86, 2.35), 0.01), {"paris"}),
    (ast.WithinSphere(SPOT, (-17.0, 180.0), 0.02), {"fiji_west", "fiji_east"}),
    (ast.WithinSphere(SPOT, (-17.0, -179.9), 0.02), {"fiji_west", "fiji_east"}),
    (ast.WithinSphere(SPOT, (89.9, 90.0), 0.01), {"pole"}),
    (ast.WithinBox(SPOT, (40.0, -5.0), (55.0, 5.0)), {"paris", "london"}),
    (ast.WithinBox(SPOT, (0.0, 0.0), (48.86, 2.35)), {"paris", "origin"}),
    (ast.WithinBox(SPOT, (-20.0, 179.0), (-10.0, -179.0)), {"fiji_west", "fiji_east"}),
    (ast.WithinPolygon(SPOT, ((40.0, -5.0), (60.0, -5.0), (60.0, 1.0), (40.0, 1.0))), {"london"}),
    (ast.Intersects(("area",), (5.0, 5.0)), {"origin"}),
    (ast.Intersects(("area",), (15.0, 5.0)), set()),
]


@pytest.mark.parametrize(("node", "expected"), PLACE_CASES, ids=lambda part: str(sorted(part) if isinstance(part, set) else part))
async def test_places_are_found(store: Store, node: ast.Node, expected: set[str]) -> None:
    await store.schemas.put(POST)
    await store.documents.commit(OBJECTS)
    assert set(await ids(store, Find(POST, node))) == expected
    assert await store.documents.count(Find(POST, node)) == len(expected)
    assert {step.document.body["objectId"] for step in OBJECTS if match(node, step.document.body)} == expected


async def test_the_nearest_come_first(store: Store) -> None:
    """Unless another order is asked for; objects without a place are left out."""
    await store.schemas.put(POST)
    await store.documents.commit(OBJECTS)
    near = ast.Near(SPOT, (-17.0, 179.8))
    assert await ids(store, Find(POST, near)) == ["fiji_west", "fiji_east", "pole", "london", "paris", "origin"]
    assert await ids(store, Find(POST, near, limit=2)) == ["fiji_west", "fiji_east"]
    assert await ids(store, Find(POST, near, limit=2, skip=1)) == ["fiji_east", "pole"]
    assert await ids(store, Find(POST, near, order=((("objectId",), False),), limit=2)) == ["fiji_east", "fiji_west"]
    assert await ids(store, Find(POST, ast.And((near, ast.Equals(("objectId",), "paris"))), limit=1)) == ["paris"]
    assert await ids(store, Find(POST, ast.Near(SPOT, (0.0, 0.0), math.pi), limit=1)) == ["origin"]


async def test_a_moved_object_is_found_where_it_is(store: Store) -> None:
    await store.schemas.put(POST)
    await store.documents.commit(OBJECTS)
    here = ast.WithinSphere(SPOT, (48.86, 2.35), 0.001)
    await store.documents.commit([Update(POST, "london", [Set(SPOT, place(48.86, 2.35))]), Update(POST, "paris", [Unset(SPOT)])])
    assert await ids(store, Find(POST, here)) == ["london"]
    await store.documents.commit([Delete(POST, "london")])
    assert await ids(store, Find(POST, here)) == []
