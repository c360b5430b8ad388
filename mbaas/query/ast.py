"""A parsed `where`: a small frozen tree with three consumers (SQL, MongoDB, the matcher in memory).

Paths are tuples of keys (`("o", "a", "b")` for `o.a.b`). Names are the public ones (`objectId`, `createdAt`, a
pointer column's own name); a first key that starts with `_` is one of the server's hidden fields. Values are wire JSON
(dates as `{"__type": "Date", "iso"}`, pointers likewise). Angles are radians, points are (latitude, longitude) in degrees.

Meaning, which all three consumers share (MongoDB's, as Parse Server 9.10 shows it):
a comparison with a list column or with a list inside an object holds if it holds for the list or any element of it;
null equals both null and absent; an order comparison never holds between different types;
`NotEquals`, `NotIn` are the exact negations of `Equals`, `In`. Pointers are equal by class and id; dates by instant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mbaas.kernel.values import Json

Path = tuple[str, ...]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class And:
    """All parts hold; with none, everything matches."""

    parts: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Or:
    """At least one part holds; with none, nothing matches."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Nor:
    """No part holds."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Equals:
    """The value, or an element of the list there, equals `value`."""

    path: Path
    value: Json


@dataclass(frozen=True, slots=True)
class NotEquals:
    """Not Equals; holds where the field is absent (unless `value` is null)."""

    path: Path
    value: Json


@dataclass(frozen=True, slots=True)
class Compare:
    """`$lt $lte $gt $gte` against a value of the same type."""

    path: Path
    op: Literal["<", "<=", ">", ">="]
    value: Json


@dataclass(frozen=True, slots=True)
class In:
    """Equals one of the values."""

    path: Path
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class NotIn:
    """Equals none of the values."""

    path: Path
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """The key is there (null counts as there), or is not."""

    path: Path
    present: bool


@dataclass(frozen=True, slots=True)
class All:
    """The list holds every value (`$all`)."""

    path: Path
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class AllPrefixes:
    """For each pattern, some string element of the list matches it (`$all` with `{"$regex": "^…"}`)."""

    path: Path
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContainedBy:
    """No list there has an element that is none of the values (`$containedBy`); what is no list has none, as in MongoDB."""

    path: Path
    values: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Regex:
    """A string (or a string element of the list there) in which `pattern` is found; `flags` is a subset of `imsx`.

    `pattern` is as the client wrote it, `\\Q…\\E` included.
    """

    path: Path
    pattern: str
    flags: str = ""


@dataclass(frozen=True, slots=True)
class Near:
    """`$nearSphere`: within `max_radians` (None: anywhere) of the point; results come nearest first unless an order is given."""

    path: Path
    point: Point
    max_radians: float | None = None


@dataclass(frozen=True, slots=True)
class WithinBox:
    """`$within $box`: between the south-west and the north-east corner, borders included."""

    path: Path
    southwest: Point
    northeast: Point


@dataclass(frozen=True, slots=True)
class WithinPolygon:
    """`$geoWithin $polygon`: inside the polygon of at least three points."""

    path: Path
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class WithinSphere:
    """`$geoWithin $centerSphere`: within `radians` of the centre."""

    path: Path
    center: Point
    radians: float


@dataclass(frozen=True, slots=True)
class Intersects:
    """`$geoIntersects $point`: the polygon stored there covers the point."""

    path: Path
    point: Point


@dataclass(frozen=True, slots=True)
class Text:
    """`$text $search`: the text index on the column finds the term. Ranked; the score is available as `$score`."""

    path: Path
    term: str
    language: str | None = None
    case_sensitive: bool = False
    diacritic_sensitive: bool = False


@dataclass(frozen=True, slots=True)
class Subquery:
    """`$inQuery`, `$notInQuery` (key `objectId`, compared as pointers), `$select`, `$dontSelect`.

    The data room runs it as the caller and puts In or NotIn in its place; a store never sees it.
    """

    path: Path
    class_name: str
    where: Json
    key: str
    negated: bool
    pointers: bool
    options: Json = None
    relation: bool = False
    """True if the path is a relation column, which Relates is to be put in place for."""


@dataclass(frozen=True, slots=True)
class RelatedTo:
    """`$relatedTo`: the object is in the relation `key` of the owner."""

    class_name: str
    object_id: str
    key: str


@dataclass(frozen=True, slots=True)
class Relates:
    """The object's relation column `key` holds one of these ids (or, negated, none of them)."""

    key: str
    object_ids: tuple[str, ...]
    negated: bool = False


Node = (
    And | Or | Nor | Equals | NotEquals | Compare | In | NotIn | Exists | All | AllPrefixes | ContainedBy | Regex
    | Near | WithinBox | WithinPolygon | WithinSphere | Intersects | Text | Subquery | RelatedTo | Relates
)  # fmt: skip

EVERYTHING = And(())
NOTHING = Or(())


def both(left: Node, right: Node) -> Node:
    """The conjunction, flattened."""
    if left == EVERYTHING:
        return right
    if right == EVERYTHING:
        return left
    parts = (left.parts if isinstance(left, And) else (left,)) + (right.parts if isinstance(right, And) else (right,))
    return And(parts)
