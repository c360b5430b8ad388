"""Random documents of one class, and random queries about them: small worlds, so that queries often hit."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from mbaas.kernel.schema import ClassSchema, Field, new_class
from mbaas.kernel.values import Object, date, pointer
from mbaas.query import ast

SCHEMA: ClassSchema = new_class(
    "Thing",
    {
        "s": Field("String"),
        "n": Field("Number"),
        "b": Field("Boolean"),
        "d": Field("Date"),
        "p": Field("Pointer", "Other"),
        "a": Field("Array"),
        "o": Field("Object"),
        "g": Field("GeoPoint"),
        "y": Field("Polygon"),
        "naïve name": Field("String"),
    },
    indexes={
        "by_s": {"s": 1},
        "by_n": {"n": -1, "s": 1},
        "by_d": {"d": 1},
        "by_p": {"p": 1},
        "by_hidden": {"_h": 1},
        "by_dotted": {"o.k": 1},
    },
)

SIGNS = "ab Zé\u0000'\"\\%_*.^$\U0001f600\ud7ff\uffff\n"
STRINGS = st.sampled_from(["", "a", "ab", "abc", "Ab", "a.b", "é", "e", "a\u0000b", "true", "1", "null", "a'b\"c", "😀"]) | st.text(
    SIGNS, max_size=4
)
NUMBERS: SearchStrategy[int | float] = st.sampled_from(
    [0, 1, -1, 1.0, 0.5, -0.0, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1, 1e300, 0.1]
) | st.integers(-3, 3)
INSTANTS = st.sampled_from([0, 1, 999, 1_000, 1_700_000_000_123, -1, -62_135_596_800_000])
DATES = INSTANTS.map(date)
LOOSE_DATES = DATES | st.sampled_from(
    [{"__type": "Date", "iso": text} for text in ("1970-01-01T00:00:00Z", "1970-01-01", "1970-01-01T01:00:00.000+01:00", "never")]
)
POINTERS = st.builds(pointer, st.sampled_from(["Other", "Else"]), st.sampled_from(["x", "y", 'q"\\,z']))
PLACES = [
    (0.0, 0.0),
    (0.0, 180.0),
    (0.0, -180.0),
    (89.9, 10.0),
    (-90.0, 0.0),
    (90.0, 7.5),
    (10.0, 179.5),
    (10.0, -179.5),
    (48.5, 2.25),
    (1, 1),
]
POINTS = st.sampled_from(PLACES) | st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def place(point: tuple[float, float]) -> Object:
    return {"__type": "GeoPoint", "latitude": point[0], "longitude": point[1]}


def polygon(corners: list[tuple[float, float]]) -> Object:
    return {"__type": "Polygon", "coordinates": [list(corner) for corner in [*corners, corners[0]]]}


CORNERS = st.lists(st.sampled_from(PLACES) | st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=5)
SCALARS: SearchStrategy[Any] = st.none() | st.booleans() | NUMBERS | STRINGS
SIMPLE = SCALARS | LOOSE_DATES | POINTERS | POINTS.map(place)
KEYS = st.sampled_from(["k", "l", "0", "1", "é k"])
VALUES: SearchStrategy[Any] = st.recursive(
    SIMPLE, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=3)

COLUMNS: dict[str, SearchStrategy[Any]] = {
    "s": STRINGS,
    "n": NUMBERS,
    "b": st.booleans(),
    "d": DATES,
    "p": st.sampled_from(["x", "y", 'q"\\,z']).map(lambda name: pointer("Other", name)),
    "a": st.lists(VALUES, max_size=3) | st.lists(STRINGS, max_size=3) | st.lists(NUMBERS, max_size=3) | st.lists(POINTERS, max_size=2),
    "o": OBJECTS,
    "g": POINTS.map(place),
    "y": CORNERS.map(polygon),
    "naïve name": STRINGS,
}


@st.composite
def bodies(draw: st.DrawFn) -> Object:
    """The columns of one object; the default ones come with its number."""
    body: Object = {}
    for name, values in COLUMNS.items():
        present = draw(st.integers(0, 5))
        if present == 1:
            body[name] = None
        elif present:
            body[name] = draw(values)
    return body


HIDDEN = st.fixed_dictionaries({}, optional={"_h": SCALARS, "_v": SCALARS})

PATHS = st.sampled_from(
    [(name,) for name in COLUMNS]
    + [("o", "k"), ("o", "l"), ("o", "k", "l"), ("o", "0"), ("o", "é k"), ("a", "0"), ("a", "k"), ("a", "1", "k"), ("a", "0", "0")]
    + [
        ("p", "objectId"),
        ("p", "className"),
        ("objectId",),
        ("createdAt",),
        ("updatedAt",),
        ("absent",),
        ("a b",),
        ("_h",),
        ("_v",),
        ("x'y",),
    ]
)
ANY = VALUES | st.integers(0, 3).map(lambda n: f"o{n}")
LISTS = (
    st.lists(ANY, max_size=4)
    | st.lists(STRINGS, max_size=4)
    | st.lists(NUMBERS, max_size=20)
    | st.lists(POINTERS, max_size=3)
    | st.lists(DATES)
)
PATTERNS = st.sampled_from(
    [
        "^a",
        "b$",
        "^ab$",
        "a.b",
        "",
        "^",
        r"^\Qa.b\E",
        r"\Q.\E",
        r"^\Qa",
        "[ab]",
        "(a|é)",
        "^(?!a)",
        r"(a)\1",
        "é",
        "A",
        r"\.",
        r"\Qa\E\\E\Qb\E",
        "^\ud7ff",
        "\U0001f600",
    ]
)
FLAGS = st.sampled_from(["", "", "i", "m", "s", "x", "im"])
RADII = st.sampled_from([0.0, 1e-9, 0.01, 0.5, 3.0, 3.2])

LEAVES: SearchStrategy[ast.Node] = st.one_of(
    st.builds(ast.Equals, PATHS, ANY),
    st.builds(ast.NotEquals, PATHS, ANY),
    st.builds(ast.Compare, PATHS, st.sampled_from(["<", "<=", ">", ">="]), ANY),
    st.builds(ast.In, PATHS, LISTS.map(tuple)),
    st.builds(ast.NotIn, PATHS, LISTS.map(tuple)),
    st.builds(ast.Exists, PATHS, st.booleans()),
    st.builds(ast.All, PATHS, LISTS.map(tuple)),
    st.builds(ast.AllPrefixes, PATHS, st.lists(PATTERNS, max_size=2).map(tuple)),
    st.builds(ast.ContainedBy, PATHS, LISTS.map(tuple)),
    st.builds(ast.Regex, PATHS, PATTERNS, FLAGS),
    st.builds(ast.Near, st.sampled_from([("g",), ("a",), ("o", "k")]), POINTS, st.none() | RADII),
    st.builds(ast.WithinSphere, st.sampled_from([("g",), ("a",)]), POINTS, RADII),
    st.builds(ast.WithinBox, st.sampled_from([("g",), ("o", "k")]), POINTS, POINTS),
    st.builds(ast.WithinPolygon, st.sampled_from([("g",), ("a",)]), CORNERS.map(tuple)),
    st.builds(ast.Intersects, st.sampled_from([("y",), ("g",)]), POINTS),
)
NODES: SearchStrategy[ast.Node] = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        lambda make, parts: make(tuple(parts)), st.sampled_from([ast.And, ast.Or, ast.Nor]), st.lists(inner, max_size=3)
    ),
    max_leaves=5,
)
