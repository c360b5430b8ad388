"""Sequences of requests, drawn by hypothesis: two classes of their own, objects in them, and what one may ask of them.

Values come from small pools, so that conditions meet what is stored. `@C` and `@D` stand for the names of the example's
classes until it runs. Ids are the client's own (allowCustomObjectId), so both servers are asked the very same.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.compat.differential.peers import PEOPLE, Request

Strategy = st.SearchStrategy[Any]

WHO = st.sampled_from(["anon", *PEOPLE, "master", "master"])
IDS = st.sampled_from([f"id{i}" for i in range(6)])
OTHER_IDS = st.sampled_from([f"other{i}" for i in range(3)])
PRINCIPALS = ["*", *PEOPLE, "role:team", "role:inner", "role:nobody"]

numbers = st.sampled_from([0, 1, 2, -1, 1.5, 10, 1e21])
strings = st.sampled_from(["", "a", "b", "ab", "Ab", "a.b", "ü", "x y", "10"])
dates = st.sampled_from(["2001-01-01T00:00:00.000Z", "2010-06-15T12:30:00.123Z", "1969-12-31T23:59:59.999Z"]).map(
    lambda iso: {"__type": "Date", "iso": iso}
)
points = st.tuples(st.sampled_from([0, 10, -45.5, 89]), st.sampled_from([0, 10, 179.5, -179.5])).map(
    lambda p: {"__type": "GeoPoint", "latitude": p[0], "longitude": p[1]}
)
polygons = st.sampled_from([[[0, 0], [0, 20], [20, 20], [20, 0]], [[30, 30], [30, 40], [40, 40], [30, 30]], [[0, 0], [1, 1]]]).map(
    lambda ring: {"__type": "Polygon", "coordinates": ring}
)
data = st.sampled_from(["aGVsbG8=", "AA=="]).map(lambda text: {"__type": "Bytes", "base64": text})
files = st.sampled_from(["one.txt", "two.txt"]).map(lambda name: {"__type": "File", "name": name, "url": f"http://127.0.0.1/{name}"})
others = OTHER_IDS.map(lambda i: {"__type": "Pointer", "className": "@D", "objectId": i})
users = st.sampled_from(PEOPLE).map(lambda i: {"__type": "Pointer", "className": "_User", "objectId": i})
atoms: Strategy = st.one_of(numbers, strings, st.booleans(), dates, others)
maps: Strategy = st.fixed_dictionaries(
    {}, optional={"k": atoms, "m": st.fixed_dictionaries({}, optional={"k": atoms, "z": st.none()}), "l": st.lists(numbers, max_size=2)}
)
lists: Strategy = st.lists(st.one_of(atoms, maps, st.none(), st.lists(numbers, max_size=2)), max_size=4)

COLUMNS: dict[str, Strategy] = {
    "n": numbers, "s": strings, "b": st.booleans(), "d": dates, "o": maps, "l": lists, "g": points, "p": polygons, "y": data,
    "f": files, "c": others, "u": users,
}  # fmt: skip
anything: Strategy = st.one_of(*(values for name, values in COLUMNS.items() if name != "g"), st.none())
"""Of points there is one column only: a body with a second one ends Parse Server."""


def _now_and_then(usual: Strategy, seldom: Strategy, one_in: int = 12) -> Strategy:
    return st.integers(1, one_in).flatmap(lambda i: seldom if i == 1 else usual)


acls: Strategy = st.dictionaries(
    st.sampled_from(PRINCIPALS), st.fixed_dictionaries({}, optional={"read": st.just(True), "write": st.just(True)}), max_size=3
)
relations: Strategy = st.builds(
    lambda op, ids: {"__op": op, "objects": [{"__type": "Pointer", "className": "@D", "objectId": i} for i in ids]},
    st.sampled_from(["AddRelation", "RemoveRelation"]),
    st.lists(OTHER_IDS, min_size=1, max_size=2, unique=True),
)


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    """The body of a create: typed as the columns are, now and then not."""
    made: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(sorted(COLUMNS)), max_size=6, unique=True)):
        made[name] = draw(_now_and_then(COLUMNS[name], anything))
    if draw(st.integers(0, 3)) == 0:
        made["ACL"] = draw(acls)
    if draw(st.integers(0, 5)) == 0:
        made["r"] = draw(relations)
    if draw(st.integers(0, 9)) == 0:
        made[draw(st.sampled_from(["new", "length", "_bad", "1x", "x-y", "createdAt"]))] = draw(atoms)
    return made


_list_op = st.builds(lambda op, objects: {"__op": op, "objects": objects}, st.sampled_from(["Add", "AddUnique", "Remove"]), lists)
_increment = numbers.map(lambda amount: {"__op": "Increment", "amount": amount})
_delete: Strategy = st.just({"__op": "Delete"})


@st.composite
def changes(draw: st.DrawFn) -> dict[str, Any]:
    """The body of an update."""
    made: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from([*sorted(COLUMNS), "n", "l", "o.k", "o.m.k", "ACL", "r"]), max_size=4, unique=True)):
        usual = {"n": st.one_of(numbers, _increment), "l": st.one_of(lists, _list_op), "ACL": acls, "r": relations}.get(name)
        if name.startswith("o."):
            usual = st.one_of(atoms, _increment, _delete)
        value = usual if usual is not None else COLUMNS[name]
        made[name] = draw(
            value if name in ("ACL", "r") else _now_and_then(st.one_of(value, value, _delete), st.one_of(anything, _increment, _list_op))
        )
    if any(name.startswith("o.") for name in made):
        made.pop("o", None)
    return made


def _constraint(name: str) -> Strategy:
    """Operators with arguments that suit the column."""
    value = {"l": st.one_of(atoms, atoms, maps)}.get(name, COLUMNS.get(name, atoms))
    several = st.lists(value, max_size=3)
    common: dict[str, Strategy] = {
        "$eq": value, "$ne": st.one_of(value, st.none()), "$in": several, "$nin": several, "$exists": st.booleans(),
        "$gt": value, "$lte": value,
    }  # fmt: skip
    if name == "n" or name == "d":
        common.update({"$lt": value, "$gte": value})
    if name == "s":
        common["$regex"] = st.sampled_from(["^a", "b$", "a.b", "A", "^a\\.b$", "[", "(a|b)+", "x y"])
    if name == "l":
        common.update({"$all": several, "$containedBy": several})
    if name == "g":
        common = {"$exists": st.booleans(), "$geoWithin": st.builds(_centre, points, st.sampled_from([0.05, 0.5, 4]))}
    if name == "p":
        common = {"$exists": st.booleans(), "$geoIntersects": points.map(lambda point: {"$point": point})}
    if name == "c":
        inner = st.fixed_dictionaries({}, optional={"n": numbers})
        common.update({k: inner.map(lambda where: {"className": "@D", "where": where}) for k in ("$inQuery", "$notInQuery")})
    if name == "n":
        common.update({k: st.just({"query": {"className": "@D", "where": {}}, "key": "n"}) for k in ("$select", "$dontSelect")})
    one = st.sampled_from(sorted(common)).flatmap(lambda op: common[op].map(lambda argument: {op: argument}))
    return st.one_of(one, one, st.tuples(one, one).map(lambda pair: {**pair[0], **pair[1]}))


def _centre(point: dict[str, Any], radians: float) -> dict[str, Any]:
    return {"$centerSphere": [point, radians]}


_SEARCHED = [*sorted(COLUMNS), "n", "s", "l", "o.k", "o.m.k", "o.l", "objectId", "never"]


def _condition(name: str) -> Strategy:
    if name == "objectId":
        return st.one_of(IDS, st.lists(IDS, max_size=3).map(lambda ids: {"$in": ids}), IDS.map(lambda i: {"$ne": i}))
    value = COLUMNS.get(name, atoms)
    if name in ("o", "l"):
        value = atoms
    return _now_and_then(st.one_of(value, _constraint(name), _constraint(name)), st.one_of(st.none(), anything))


_simple: Strategy = st.lists(st.sampled_from(_SEARCHED), max_size=2, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: _condition(name) for name in names})
)
_group: Strategy = st.builds(
    lambda op, parts: {op: parts}, st.sampled_from(["$or", "$and", "$nor"]), st.lists(_simple, min_size=1, max_size=2)
)
_related: Strategy = IDS.map(lambda i: {"$relatedTo": {"object": {"__type": "Pointer", "className": "@C", "objectId": i}, "key": "r"}})
_STRANGE: list[dict[str, Any]] = [
    {"$where": "1"}, {"n": {"$mystery": 1}}, {"n": {"$in": 1}}, {"n": {"$all": 1}}, {"s": {"$regex": 1}}, {"$or": []}, {"$or": 1},
     {"$nor": [1]}, {"ACL": {}}, {"r": {"__type": "Pointer", "className": "@D", "objectId": "other0"}}, {"a b": 1}, {"n": {"$exists": "x"}},
     {"s": {"$options": "i"}}, {"l": {"$containedBy": 1}}, {"c": {"$inQuery": 1}}, {"n": {"$select": {}}}, {"$relatedTo": {}},
]  # fmt: skip
_both: Strategy = st.builds(lambda a, b: {**a, **b}, _simple, _group)
wheres: Strategy = st.integers(0, 15).flatmap(
    lambda i: {0: st.sampled_from(_STRANGE), 1: _related, 2: _group, 3: _group, 4: _both}.get(i, _simple)
)

NAMES = ["n", "s", "o", "o.k", "l", "c", "u", "c.n", "d", "objectId", "never"]


@st.composite
def finds(draw: st.DrawFn) -> dict[str, Any]:
    """The arguments of a find. Where the order matters it is settled by the id."""
    made: dict[str, Any] = {"where": draw(wheres)}
    chosen = draw(st.sets(st.sampled_from(["order", "page", "keys", "excludeKeys", "include", "count"]), max_size=3))
    if chosen & {"order", "page"}:
        order = draw(st.lists(st.sampled_from(["n", "-n", "s", "-s", "d", "-b"]), max_size=2)) if "order" in chosen else []
        made["order"] = ",".join([*order, "objectId"])
    if "page" in chosen:
        made["limit"], made["skip"] = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    for name in ("keys", "excludeKeys"):
        if name in chosen:
            made[name] = ",".join(draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)))
    if "include" in chosen:
        made["include"] = draw(st.sampled_from(["c", "u", "*", "c,u", "l", "o.k", "never"]))
    if "count" in chosen and _countable(made["where"]):
        made["count"] = 1
    return made


def _countable(where: dict[str, Any]) -> bool:
    """False for what the database may refuse: a count of that is answered by Parse Server in the database's words."""
    return where not in _STRANGE and '"["' not in json.dumps(where)


_granted: Strategy = st.sampled_from(
    [{"*": True}, {"*": True}, {"*": True}, {}, {"requiresAuthentication": True}, {"userann": True}, {"role:team": True},
     {"role:inner": True}, {"pointerFields": ["u"]}, {"userann": True, "pointerFields": ["u"]}, {"pointerFields": ["l"]}]
)  # fmt: skip


@st.composite
def permissions(draw: st.DrawFn) -> dict[str, Any]:
    """Class-level permissions."""
    made: dict[str, Any] = {op: draw(_granted) for op in ("find", "count", "get", "create", "update", "delete", "addField")}
    if draw(st.integers(0, 3)) == 0:
        made[draw(st.sampled_from(["readUserFields", "writeUserFields"]))] = ["u"]
    if draw(st.booleans()):
        groups = ["*", "authenticated", "userann", "role:team", "userField:u"]
        made["protectedFields"] = draw(
            st.dictionaries(st.sampled_from(groups), st.lists(st.sampled_from(["n", "s", "o"]), max_size=2, unique=True))
        )
    return made


TYPES: dict[str, dict[str, str]] = {
    "n": {"type": "Number"}, "s": {"type": "String"}, "b": {"type": "Boolean"}, "d": {"type": "Date"}, "o": {"type": "Object"},
    "l": {"type": "Array"}, "g": {"type": "GeoPoint"}, "p": {"type": "Polygon"}, "y": {"type": "Bytes"}, "f": {"type": "File"},
    "c": {"type": "Pointer", "targetClass": "@D"}, "u": {"type": "Pointer", "targetClass": "_User"},
    "r": {"type": "Relation", "targetClass": "@D"},
}  # fmt: skip


@st.composite
def scenarios(draw: st.DrawFn) -> list[Request]:
    """A class (declared or grown), objects, then reads and writes of all kinds by all kinds of callers."""
    steps = [Request("master", "POST", "/classes/@D", {"objectId": f"other{i}", "n": i, "s": "ab"}) for i in range(2)]
    if draw(st.booleans()):
        body: dict[str, Any] = {"className": "@C", "fields": TYPES}
        if draw(st.integers(0, 2)):
            body["classLevelPermissions"] = draw(permissions())
        steps.append(Request("master", "POST", "/schemas/@C", body))
    owners = draw(st.lists(st.sampled_from(["master", "master", "anon", *PEOPLE]), min_size=2, max_size=5))
    steps += [Request(who, "POST", "/classes/@C", {"objectId": f"id{i}", **draw(fields())}) for i, who in enumerate(owners)]
    steps += draw(st.lists(_step(), min_size=5, max_size=12))
    return [*steps, Request("master", "GET", "/classes/@C", {"order": "objectId"}), Request("master", "GET", "/schemas/@C", {})]


def _step() -> Strategy:
    one = IDS.map(lambda i: f"/classes/@C/{i}")
    find = st.builds(Request, WHO, st.just("GET"), st.just("/classes/@C"), finds())
    count = st.builds(
        lambda who, where: Request(who, "GET", "/classes/@C", {"where": where, "count": 1, "limit": 0}), WHO, wheres.filter(_countable)
    )
    get = st.builds(
        Request, WHO, st.just("GET"), one, st.fixed_dictionaries({}, optional={"include": st.just("c"), "keys": st.just("n,s")})
    )
    update = st.builds(Request, WHO, st.just("PUT"), one, changes())
    create = st.builds(lambda who, i, body: Request(who, "POST", "/classes/@C", {"objectId": i, **body}), WHO, IDS, fields())
    delete = st.builds(Request, WHO, st.just("DELETE"), one, st.just({}))
    return st.one_of(find, find, find, find, find, count, get, update, update, update, create, delete)
