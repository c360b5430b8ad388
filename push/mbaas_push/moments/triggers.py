"""What sets a play off: a moment that somebody fires, a device that enters or leaves a place, or a change of an object.

    {"moment": "landed"}
    {"geofence": {"on": "enter", "center": {"latitude": 52.36, "longitude": 13.5}, "radius": 3000}}    metres; or "polygon": [{…}, …]
    {"change": {"className": "Order", "on": ["enter"], "where": {"status": "late"}, "subject": "user"}}

A change is a `create`, an `update` or both of what fits the query, or an `enter`: it fits now and did not before. `subject` is the column
that points to whom it is about: to `_User` or `_Installation`.
"""

from __future__ import annotations

import re

from mbaas.data.app import App
from mbaas.data.sight import watchable
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object, is_number
from mbaas.query import geo
from mbaas_push.campaigns import segments
from mbaas_push.campaigns.content import wrong

KEY = re.compile(r"[\w.-]{1,100}")
EARTH_METRES = 6_371_000
_MOST_METRES, _MOST_CORNERS = 1_000_000, 500
_OPS = ("create", "update", "enter")
PEOPLE = ("_User", "_Installation")


def key(given: Json) -> str:
    """The name of a moment. ParseError 142 for what can be none."""
    if not isinstance(given, str) or not KEY.fullmatch(given):
        raise wrong("the key of a moment is one word of up to 100 characters")
    return given


def check(app: App, given: Json) -> Object:
    """A trigger as it is kept. ParseError says what of it cannot be, or what its query would."""
    if not isinstance(given, dict) or len(given) != 1:
        raise wrong("trigger is one of moment, geofence and change")
    match next(iter(given.items())):
        case "moment", name:
            return {"moment": key(name)}
        case "geofence", fence:
            return {"geofence": _fence(fence)}
        case "change", change:
            return {"change": _change(app, change)}
    raise wrong("trigger is one of moment, geofence and change")


def check_cancelling(given: Json, trigger: Object) -> Json:
    """What takes a play back: `[{"moment": "boarded"}, {"geofence": "exit"}]`, the latter for one that is set off by entering a place."""
    if not isinstance(given, list) or len(given) > 10:
        raise wrong("cancelOn is a list of up to 10")
    for each in given:
        if isinstance(each, dict) and set(each) == {"moment"}:
            key(each["moment"])
        elif each != {"geofence": "exit"}:
            raise wrong('cancelOn: each is {"moment": "boarded"}, or {"geofence": "exit"}')
        elif trigger.get("geofence", {}).get("on") != "enter":
            raise wrong("cancelOn: only what is set off by entering a place can be taken back by leaving it")
    return given


def inside(fence: Object, point: geo.Point) -> bool:
    """True for a point, latitude and longitude, within a fence."""
    if "polygon" in fence:
        return geo.in_polygon(point, [_point(corner) for corner in fence["polygon"]])
    center = _point(fence["center"])
    return geo.distance(*center, *point) * EARTH_METRES <= float(fence["radius"])


def point(given: Json) -> geo.Point:
    """A place of `{"latitude", "longitude"}`, such as a GeoPoint. ParseError 142."""
    latitude, longitude = (given.get("latitude"), given.get("longitude")) if isinstance(given, dict) else (None, None)
    if not is_number(latitude) or not is_number(longitude) or not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise wrong("a place has a latitude from -90 to 90 and a longitude from -180 to 180")
    return float(latitude), float(longitude)


def _point(kept: Object) -> geo.Point:
    return float(kept["latitude"]), float(kept["longitude"])


def _fence(given: Json) -> Object:
    if not isinstance(given, dict) or given.get("on") not in ("enter", "exit"):
        raise wrong("geofence.on is enter or exit")
    if set(given) == {"on", "polygon"}:
        corners = given["polygon"]
        if not isinstance(corners, list) or not 3 <= len(corners) <= _MOST_CORNERS:
            raise wrong(f"geofence.polygon is a list of 3 to {_MOST_CORNERS} places")
        return {"on": given["on"], "polygon": [_place(corner) for corner in corners]}
    if set(given) != {"on", "center", "radius"}:
        raise wrong("geofence has a center and a radius, or a polygon")
    radius = given["radius"]
    if not is_number(radius) or not 0 < radius <= _MOST_METRES:
        raise wrong(f"geofence.radius is a number of metres up to {_MOST_METRES}")
    return {"on": given["on"], "center": _place(given["center"]), "radius": radius}


def _place(given: Json) -> Object:
    latitude, longitude = point(given)
    return {"latitude": latitude, "longitude": longitude}


def _change(app: App, given: Json) -> Object:
    if not isinstance(given, dict) or not set(given) <= {"className", "on", "where", "subject"}:
        raise wrong("change has className, on, where and subject")
    if not app.sharing.atomic:
        raise ParseError(Code.COMMAND_UNAVAILABLE, "Plays that follow a class need a MongoDB that is a replica set.")
    class_name, on, where = given.get("className"), given.get("on", ["create"]), given.get("where", {})
    if not isinstance(class_name, str) or not isinstance(where, dict) or class_name == "_Session":
        raise wrong("change.className is the name of a class; change.where is a query")
    if not isinstance(on, list) or not on or not set(map(str, on)) <= set(_OPS):
        raise wrong(f"change.on is a list of {', '.join(_OPS)}")
    if app.classes.get(class_name) is None:
        raise wrong(f"there is no class {class_name[:40]}")
    unchanging(where, "change.where")
    watchable(app, MASTER, class_name, where)
    segments.check_query(app, class_name, where)
    subject = given.get("subject", "objectId" if class_name in PEOPLE else "user")
    if not isinstance(subject, str) or target(app, class_name, subject) not in PEOPLE:
        raise wrong("change.subject is a column that is a pointer to _User or _Installation")
    return {"className": class_name, "on": on, "where": where, "subject": subject}


def target(app: App, class_name: str, column: str) -> str | None:
    """The class of whom an object is about."""
    if class_name in PEOPLE and column == "objectId":
        return class_name
    found = app.classes.known_or_blank(class_name).fields.get(column)
    return found.target if found is not None else None


def unchanging(where: Json, name: str) -> None:
    """ParseError 142 for a query that fits other things as time goes by."""
    if "$relativeTime" in str(where):
        raise wrong(f"{name} cannot ask for $relativeTime: it is asked of one thing, when that happens")
