"""The geo and text constraints of a `where`: their arguments checked, with Parse Server's messages."""

from __future__ import annotations

from collections.abc import Callable

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, is_number
from mbaas.query import ast
from mbaas.query.geo import MOST_CORNERS


def bad_json(message: str) -> ParseError:
    """107, Parse's code for a constraint with a wrong argument."""
    return ParseError(Code.INVALID_JSON, message)


def _point(value: Json) -> ast.Point | None:
    """(latitude, longitude) of a GeoPoint, or None if it is not one within the globe's range."""
    if not isinstance(value, dict) or value.get("__type") != "GeoPoint":
        return None
    latitude, longitude = value.get("latitude"), value.get("longitude")
    if not is_number(latitude) or not is_number(longitude):
        return None
    return float(latitude), float(longitude)


def _checked(value: Json, message: str) -> ast.Point:
    point = _point(value)
    if point is None:
        raise bad_json(message)
    if not -90 <= point[0] <= 90:
        raise bad_json(f"{message}; latitude out of bounds: {point[0]:g}")
    if not -180 <= point[1] <= 180:
        raise bad_json(f"{message}; longitude out of bounds: {point[1]:g}")
    return point


def _pair(value: Json, message: str, latitude_first: bool) -> ast.Point:
    if isinstance(value, list) and len(value) == 2 and all(is_number(v) for v in value):
        latitude, longitude = value if latitude_first else reversed(value)
        return _checked({"__type": "GeoPoint", "latitude": latitude, "longitude": longitude}, message)
    return _checked(value, message)


def _near(path: ast.Path, value: Json, radians: float | None) -> ast.Node:
    return ast.Near(path, _checked(value, "bad $nearSphere value"), radians)


def _within(path: ast.Path, value: Json, radians: float | None) -> ast.Node:
    box = value.get("$box") if isinstance(value, dict) else None
    if not isinstance(box, list) or len(box) != 2:
        raise bad_json("malformatted $within arg")
    return ast.WithinBox(path, _checked(box[0], "malformatted $within arg"), _checked(box[1], "malformatted $within arg"))


def _geo_within(path: ast.Path, value: Json, radians: float | None) -> ast.Node:
    wrong = "bad $geoWithin value"
    if isinstance(value, dict) and "$polygon" in value:
        return ast.WithinPolygon(path, _ring(value["$polygon"], wrong))
    if isinstance(value, dict) and "$centerSphere" in value:
        sphere = value["$centerSphere"]
        if not isinstance(sphere, list) or len(sphere) < 2:
            raise bad_json(f"{wrong}; $centerSphere should be an array of Parse.GeoPoint and distance")
        center = _pair(sphere[0], f"{wrong}; $centerSphere geo point invalid", latitude_first=False)
        if not is_number(sphere[1]) or sphere[1] < 0:
            raise bad_json(f"{wrong}; $centerSphere distance invalid")
        return ast.WithinSphere(path, center, float(sphere[1]))
    raise bad_json(wrong)


def _ring(polygon: Json, wrong: str) -> tuple[ast.Point, ...]:
    if isinstance(polygon, dict) and polygon.get("__type") == "Polygon":
        points = polygon.get("coordinates")
        if not isinstance(points, list) or len(points) < 3:
            raise bad_json(f"{wrong}; Polygon.coordinates should contain at least 3 lon/lat pairs")
    elif isinstance(polygon, list):
        points = polygon
        if len(points) < 3:
            raise bad_json(f"{wrong}; $polygon should contain at least 3 GeoPoints")
    else:
        raise bad_json(f"{wrong}; $polygon should be Polygon object or Array of Parse.GeoPoint's")
    if len(points) > MOST_CORNERS:
        raise bad_json(f"{wrong}; a polygon has no more than {MOST_CORNERS} corners")
    return tuple(_pair(point, wrong, latitude_first=True) for point in points)


def _intersects(path: ast.Path, value: Json, radians: float | None) -> ast.Node:
    point = value.get("$point") if isinstance(value, dict) else None
    return ast.Intersects(path, _checked(point, "bad $geoIntersect value; $point should be GeoPoint"))


GEO: dict[str, Callable[[ast.Path, Json, float | None], ast.Node]] = {
    "$nearSphere": _near,
    "$within": _within,
    "$geoWithin": _geo_within,
    "$geoIntersects": _intersects,
}
"""Constraint name → reader of its argument; the last argument is the distance given beside it, in radians."""


def text_search(path: ast.Path, value: Json) -> ast.Node:
    """`$text`: a term and its options."""
    search = value.get("$search") if isinstance(value, dict) else None
    if not isinstance(search, dict):
        raise bad_json("bad $text: $search, should be object")
    term = search.get("$term")
    if not isinstance(term, str) or not term:
        raise bad_json("bad $text: $term, should be string")
    language = search.get("$language")
    if language is not None and not isinstance(language, str):
        raise bad_json("bad $text: $language, should be string")
    flags = {}
    for name in ("$caseSensitive", "$diacriticSensitive"):
        flags[name] = search.get(name, False)
        if not isinstance(flags[name], bool):
            raise bad_json(f"bad $text: {name}, should be boolean")
    return ast.Text(path, term, language, flags["$caseSensitive"], flags["$diacriticSensitive"])
