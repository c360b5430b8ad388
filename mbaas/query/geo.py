"""Geometry on the sphere and on the map: the one set of formulas for SQL functions and for matching in memory.

Distances are great-circle distances in radians (haversine). Boxes and polygons are figures on the map, as
MongoDB's `$box` and `$polygon` are; a box whose west is greater than its east crosses the antimeridian.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mbaas.kernel.values import is_number

Point = tuple[float, float]
Window = tuple[float, float, float, float]
"""South, north, west, east in degrees."""

_SLACK = 1e-6
_MOST_CHECKED = 200
MOST_CORNERS = 10_000
"""How many corners a polygon may have."""


def point_of(value: Any) -> Point | None:
    """(latitude, longitude) of a GeoPoint in wire form, or None."""
    if not isinstance(value, dict) or value.get("__type") != "GeoPoint":
        return None
    latitude, longitude = value.get("latitude"), value.get("longitude")
    if is_number(latitude) and is_number(longitude):
        return float(latitude), float(longitude)
    return None


def polygon_of(value: Any) -> tuple[Point, ...] | None:
    """The corners of a Polygon in wire form, or None."""
    if not isinstance(value, dict) or value.get("__type") != "Polygon" or not isinstance(value.get("coordinates"), list):
        return None
    corners = []
    for pair in value["coordinates"]:
        if not isinstance(pair, list) or len(pair) != 2 or not is_number(pair[0]) or not is_number(pair[1]):
            return None
        corners.append((float(pair[0]), float(pair[1])))
    return tuple(corners)


def distance(latitude: float, longitude: float, to_latitude: float, to_longitude: float) -> float:
    """Radians along the great circle."""
    lat1, lat2 = math.radians(latitude), math.radians(to_latitude)
    half_lat = math.sin((lat2 - lat1) / 2)
    half_lng = math.sin(math.radians(to_longitude - longitude) / 2)
    chord = half_lat * half_lat + math.cos(lat1) * math.cos(lat2) * half_lng * half_lng
    return 2 * math.asin(math.sqrt(min(1.0, max(0.0, chord))))


def in_box(point: Point, southwest: Point, northeast: Point) -> bool:
    """Borders included; wraps around the antimeridian where west > east."""
    if not southwest[0] <= point[0] <= northeast[0]:
        return False
    west, east = southwest[1], northeast[1]
    if west <= east:
        return west <= point[1] <= east
    return point[1] >= west or point[1] <= east


def in_polygon(point: Point, corners: Sequence[Point]) -> bool:
    """Even-odd rule on the map; a point on the border is inside."""
    y, x = point
    inside = False
    y1, x1 = corners[-1] if corners else (0.0, 0.0)
    for y2, x2 in corners:
        if _on_segment(y, x, y1, x1, y2, x2):
            return True
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
        y1, x1 = y2, x2
    return inside


def crosses_itself(ring: Sequence[Sequence[float]]) -> bool:
    """True if two edges of a closed ring cross. Rings of very many corners are taken as they are: each pair of edges is looked at."""
    edges = list(pairwise(ring)) if len(ring) <= _MOST_CHECKED else []
    return any(_cross(*edges[i], *edges[j]) for i in range(len(edges)) for j in range(i + 2, len(edges)))


def _cross(a: Sequence[float], b: Sequence[float], c: Sequence[float], d: Sequence[float]) -> bool:
    """True if the lines from a to b and from c to d meet in a point that is an end of neither."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Sequence[float], b: Sequence[float], point: Sequence[float]) -> float:
    return (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])


def _on_segment(y: float, x: float, y1: float, x1: float, y2: float, x2: float) -> bool:
    if not (min(y1, y2) <= y <= max(y1, y2) and min(x1, x2) <= x <= max(x1, x2)):
        return False
    return (x2 - x1) * (y - y1) == (y2 - y1) * (x - x1)


def windows_around(center: Point, radians: float) -> list[Window]:
    """Boxes (one, or two at the antimeridian) that surely hold every point within `radians` of the centre."""
    latitude, longitude = center
    reach = math.degrees(radians) + _SLACK
    south, north = latitude - reach, latitude + reach
    if south <= -90 or north >= 90:
        return [(max(south, -90.0), min(north, 90.0), -180.0, 180.0)]
    ratio = math.sin(math.radians(reach)) / math.cos(math.radians(latitude))
    if not -1 < ratio < 1:
        return [(south, north, -180.0, 180.0)]
    width = math.degrees(math.asin(ratio)) + _SLACK
    west, east = longitude - width, longitude + width
    if width >= 180:
        return [(south, north, -180.0, 180.0)]
    if west < -180:
        return [(south, north, west + 360, 180.0), (south, north, -180.0, east)]
    if east > 180:
        return [(south, north, west, 180.0), (south, north, -180.0, east - 360)]
    return [(south, north, west, east)]


def windows_of_box(southwest: Point, northeast: Point) -> list[Window]:
    """The box as one window, or as two at the antimeridian."""
    south, north, west, east = southwest[0], northeast[0], southwest[1], northeast[1]
    if west <= east:
        return [(south, north, west, east)]
    return [(south, north, west, 180.0), (south, north, -180.0, east)]


def window_of_polygon(corners: Sequence[Point]) -> Window:
    """The smallest window around the corners."""
    latitudes, longitudes = [c[0] for c in corners], [c[1] for c in corners]
    return min(latitudes), max(latitudes), min(longitudes), max(longitudes)
