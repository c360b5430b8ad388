"""Sequences of requests about classes, drawn by hypothesis: their columns, options, permissions and indexes, what is saved in them
then, what is made of it by `/aggregate`, and the app's configuration."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.compat.differential.peers import PEOPLE, Request

Strategy = st.SearchStrategy[Any]

WHO = st.sampled_from(["master", "master", "master", "anon", *PEOPLE])
_TYPES: list[Any] = [
    {"type": "String"},
    {"type": "Number"},
    {"type": "Boolean"},
    {"type": "Date"},
    {"type": "Object"},
    {"type": "Array"},
    {"type": "GeoPoint"},
    {"type": "File"},
    {"type": "Bytes"},
    {"type": "Polygon"},
    {"type": "Pointer", "targetClass": "@D"},
    {"type": "Relation", "targetClass": "@D"},
]
_STRANGE_TYPES: list[Any] = [
    {"type": "Pointer"},
    {"type": "Relation"},
    {"type": "Nothing"},
    {"type": 1},
    {},
    1,
    None,
    "String",
    {"type": "Pointer", "targetClass": "1x"},
    {"type": "Pointer", "targetClass": 1},
    {"type": "string"},
    {"type": "Relation", "targetClass": "_Nothing"},
]
_OPTIONS: list[Any] = [
    {"type": "String", "required": True},
    {"type": "String", "defaultValue": "x"},
    {"type": "Number", "defaultValue": 1, "required": True},
    {"type": "Number", "defaultValue": "x"},
    {"type": "String", "required": "yes"},
    {"type": "Relation", "targetClass": "@D", "required": True},
    {"type": "Relation", "targetClass": "@D", "defaultValue": 1},
    {"type": "Boolean", "defaultValue": False},
    {"type": "Array", "defaultValue": [1]},
    {"type": "Object", "defaultValue": {"a": 1}},
    {"type": "Date", "defaultValue": {"__type": "Date", "iso": "2001-01-01T00:00:00.000Z"}},
    {"type": "GeoPoint", "defaultValue": {"__type": "GeoPoint", "latitude": 1, "longitude": 2}},
    {"type": "String", "defaultValue": None},
]
columns = st.sampled_from(["a", "b", "c", "a", "b", "c", "ACL", "objectId", "createdAt", "1x", "x-y", "", "length", "className"])
types: Strategy = st.one_of(
    st.sampled_from(_TYPES),
    st.sampled_from(_TYPES),
    st.sampled_from(_OPTIONS),
    st.sampled_from(_STRANGE_TYPES),
    st.just({"__op": "Delete"}),
)
definitions: Strategy = st.dictionaries(columns, types, max_size=3)
indexes: Strategy = st.dictionaries(
    st.sampled_from(["one", "two", "_id_"]),
    st.sampled_from([{"a": 1}, {"a": 1, "b": -1}, {"never": 1}, {"__op": "Delete"}, {}, 1, {"a": "text"}, {"b": "2dsphere"}]),
    max_size=2,
)
_GRANTS: list[Any] = [
    {"*": True},
    {},
    {"requiresAuthentication": True},
    {"userann": True},
    {"role:team": True},
    {"pointerFields": ["a"]},
    {"*": False},
    {"*": 1},
    {"": True},
    {"role:": True},
    {"not an id!": True},
    None,
    1,
    {"pointerFields": "a"},
    {"pointerFields": ["never"]},
    {"requiresAuthentication": 1},
]
_FIELDS: list[Any] = [["a"], ["never"], [], "a", ["*"], ["objectId"]]


@st.composite
def permissions(draw: st.DrawFn) -> Any:
    made: dict[str, Any] = {}
    for name in draw(
        st.lists(st.sampled_from(["find", "get", "create", "update", "delete", "count", "addField"]), max_size=3, unique=True)
    ):
        made[name] = draw(st.sampled_from([*_GRANTS[:4], *_GRANTS]))
    match draw(st.integers(0, 11)):
        case 0:
            made["readUserFields"] = draw(st.sampled_from(_FIELDS))
        case 1:
            made["writeUserFields"] = draw(st.sampled_from(_FIELDS))
        case 2 | 3:
            group = st.sampled_from(["*", "authenticated", "userann", "role:team", "userField:a", "userField:never", "x y", ""])
            made["protectedFields"] = draw(st.dictionaries(group, st.sampled_from(_FIELDS), max_size=2))
        case 4:
            made["ACL"] = draw(st.sampled_from([{"*": {"read": True}}, {"currentUser": {"read": True, "write": True}}, {"*": 1}, 1, {}]))
        case 5:
            made["strange"] = {"*": True}
        case 6:
            return draw(st.sampled_from([1, None, [], "all"]))
        case _:
            pass
    return made


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """The body of a POST or PUT."""
    made: dict[str, Any] = {"className": "@C"}
    for name in draw(st.lists(st.sampled_from(["fields", "fields", "classLevelPermissions", "indexes"]), max_size=3, unique=True)):
        own: dict[str, Strategy] = {"fields": definitions, "classLevelPermissions": permissions(), "indexes": indexes}
        made[name] = draw(own[name])
    if draw(st.integers(0, 9)) == 0:
        made["className"] = draw(st.sampled_from(["@D", "1x", "", None, 1, "_User", "_Nothing"]))
    if draw(st.integers(0, 19)) == 0:
        made.pop("className")
    return made


_values: Strategy = st.one_of(
    st.sampled_from([0, 1, 2.5, "x", "", True, None, [1, 2], ["x"], {"a": 1}, {"__op": "Delete"}, {"__op": "Increment", "amount": 1}]),
    st.sampled_from(
        [
            {"__type": "Pointer", "className": "@D", "objectId": "other0"},
            {"__type": "Pointer", "className": "_User", "objectId": "userann"},
            {"__type": "Date", "iso": "2001-01-01T00:00:00.000Z"},
            {"__type": "GeoPoint", "latitude": 1, "longitude": 2},
            {"__op": "AddRelation", "objects": [{"__type": "Pointer", "className": "@D", "objectId": "other0"}]},
            {"__type": "Date", "iso": "no date"},
            {"__type": "GeoPoint", "latitude": 100, "longitude": 2},
            {"__type": "Nothing"},
            {"__op": "Nothing"},
            {"__type": "Pointer", "className": "@D"},
            {"__type": "Bytes", "base64": "AA=="},
            {"__type": "File", "name": "a.txt"},
        ]
    ),
)
bodies: Strategy = st.dictionaries(st.sampled_from(["a", "b", "c", "a", "b", "new"]), _values, max_size=3)

_STAGES: list[Any] = [
    {"$match": {"n": {"$gt": 1}}},
    {"$match": {"s": "x"}},
    {"$match": {"n": {"$exists": True}}},
    {"$group": {"_id": "$s", "total": {"$sum": "$n"}}},
    {"$group": {"_id": None, "count": {"$sum": 1}}},
    {"$group": {"objectId": None, "most": {"$max": "$n"}}},
    {"$sort": {"n": -1, "_id": 1}},
    {"$sort": {"n": 1, "objectId": 1}},
    {"$limit": 2},
    {"$skip": 1},
    {"$project": {"n": 1}},
    {"$project": {"s": 1, "_id": 0}},
    {"$unwind": "$l"},
    {"$addFields": {"twice": {"$multiply": ["$n", 2]}}},
    {"$count": "all"},
    {"$group": {}},
    {"$mystery": 1},
    {"group": {"objectId": "$s"}},
    {"match": {"n": 1}},
    {},
    1,
    {"$match": 1},
    {"$limit": 0},
    {"$limit": -1},
    {"$limit": "x"},
    {"$sort": {}},
    {"$match": {}, "$limit": 1},
]


@st.composite
def aggregates(draw: st.DrawFn) -> Request:
    """A pipeline, or `distinct`, over what is known to be there."""
    if draw(st.integers(0, 3)) == 0:
        arguments: dict[str, Any] = {"distinct": draw(st.sampled_from(["s", "n", "l", "never", "c", "objectId", "o.k", ""]))}
        if draw(st.booleans()):
            arguments["where" if draw(st.booleans()) else "$match"] = draw(st.sampled_from([{"n": {"$gt": 1}}, {"s": "x"}, {}]))
    else:
        stages = draw(st.lists(st.sampled_from(_STAGES), min_size=1, max_size=3))
        settled = [*stages, {"$sort": {"_id": 1}}]
        arguments = {"pipeline": settled}
    return Request(draw(st.sampled_from(["master", "master", "master", "master", "anon"])), "GET", "/aggregate/@D", arguments)


configs: Strategy = st.fixed_dictionaries(
    # One without any params is more than Parse Server's database takes.
    {"params": st.dictionaries(st.sampled_from(["@Ca", "@Cb"]), _values, min_size=1, max_size=2)},
    optional={"masterKeyOnly": st.one_of(st.dictionaries(st.sampled_from(["@Ca", "@Cb"]), st.sampled_from([True, False, 1])), st.just(1))},
)
batches: Strategy = st.lists(
    st.one_of(
        st.builds(
            lambda i, body: {"method": "POST", "path": "/parse/classes/@C", "body": {"objectId": f"b{i}", **body}},
            st.integers(0, 2),
            bodies,
        ),
        st.builds(lambda i, body: {"method": "PUT", "path": f"/parse/classes/@C/b{i}", "body": body}, st.integers(0, 2), bodies),
        st.builds(lambda i: {"method": "DELETE", "path": f"/parse/classes/@C/b{i}"}, st.integers(0, 2)),
        st.builds(lambda i: {"method": "GET", "path": f"/parse/classes/@D/other{i}"}, st.integers(0, 3)),
        st.sampled_from(
            [
                {"method": "GET", "path": "/parse/nowhere"},
                {"method": "POST"},
                {},
                1,
                {"method": "POST", "path": "/parse/batch", "body": {"requests": []}},
                {"path": "/parse/classes/@C", "method": 1},
                {"method": "GET", "path": "/elsewhere/classes/@D"},
            ]
        ),
    ),
    min_size=0,
    max_size=3,
)


def _step() -> Strategy:
    def ask(method: str, path: Strategy | str, body: Strategy, who: Strategy = WHO) -> Strategy:
        return st.builds(Request, who, st.just(method), st.just(path) if isinstance(path, str) else path, body)

    empty: Strategy = st.just({})
    schema = st.sampled_from(["/schemas/@C"] * 6 + ["/schemas/@D", "/schemas/1x", "/schemas/@E"])
    master = st.sampled_from(["master"] * 7 + ["anon"])
    one = st.sampled_from(["/classes/@C/x", "/classes/@C/y"])
    saved = st.builds(lambda i, body: {"objectId": i, **body}, st.sampled_from(["x", "y"]), bodies)
    return st.one_of(
        ask("POST", schema, schemas(), master),
        ask("PUT", schema, schemas(), master),
        ask("PUT", schema, schemas(), master),
        ask("GET", schema, empty, master),
        ask("POST", "/classes/@C", saved),
        ask("POST", "/classes/@C", saved),
        ask("PUT", one, bodies),
        ask("GET", one, empty),
        ask("DELETE", one, empty),
        ask("DELETE", schema, empty, master),
        ask("DELETE", st.sampled_from(["/purge/@C", "/purge/@E"]), empty, master),
        aggregates(),
        aggregates(),
        ask("PUT", "/config", configs, master),
        ask("GET", "/config", empty),
        ask(
            "POST", "/batch", st.one_of(batches, batches, batches, st.sampled_from([None, 1, {}])).map(lambda all_of: {"requests": all_of})
        ),
        ask(
            "GET",
            "/classes/@C",
            st.sampled_from([{"order": "objectId"}, {"where": {"a": 1}, "order": "objectId"}, {"hint": "one", "order": "objectId"}]),
        ),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> list[Request]:
    """Some objects to be added up, a class as it is declared, then whatever may become of it."""
    rows: list[dict[str, Any]] = [
        {"n": 1, "s": "x", "l": [1, 2]},
        {"n": 2, "s": "x", "o": {"k": 1}},
        {"n": 3.5, "s": "y", "l": ["a"]},
        {"s": ""},
    ]
    steps = [Request("master", "POST", "/classes/@D", {"objectId": f"other{i}", **row}) for i, row in enumerate(rows)]
    steps.append(Request("master", "POST", "/schemas/@C", draw(schemas())))
    return [*steps, *draw(st.lists(_step(), min_size=6, max_size=12)), Request("master", "GET", "/schemas/@C", {})]
