"""A play as its form has it, and back. What it has in common with a campaign is read as that of a campaign (`composition.py`).

    {"name", "category", "audience", "variants", "quiet", "cap", "moreCaps", "control", "perSecond", "zone"}    as of a campaign
    {"trigger": {"kind": "moment" | "geofence" | "change" | "kept", …}, "validFor": {"count", "unit"}, "cooldown": {"count", "unit"},
     "function": {"name", "budgetMs", "worth", "tells", "otherwise"} or null, "fallback": {"texts", "rest"}, "cancelOn", "leaves",
     "value": {"amount", "curve", "count", "unit", "share"}, "minValue", "rest": {…}}

What the form cannot show (an area with corners, a query, several functions) is carried as it is kept.
"""

from __future__ import annotations

import re
from typing import Any

from mbaas.admin.composition import Problems, Reading, as_number, composition_of, form_of
from mbaas.admin.rows import Fields
from mbaas.kernel.values import Json, Object
from mbaas_push.moments.definition import FALLBACK
from mbaas_push.moments.triggers import KEY

_FUNCTION = re.compile(r"[A-Za-z]\w*(\.\w+)?")
_DURATION = re.compile(r"(\d+)([smhd])")
_TOLD = re.compile(r"\{\{moment\.(\w+)\}\}")
_REST = ("filter",)


class _PlayReading(Reading):
    """The form of a play as it is being read. `classes` are those that may be followed, as the form offers them."""

    def __init__(self, given: Object, fields: Fields, classes: Object) -> None:
        super().__init__(given, fields)
        self._classes = classes

    def trigger(self) -> Object:
        """What sets it off."""
        part = self.part("trigger")
        match part.get("kind"):
            case "kept":
                return self.object_of(part, "kept")
            case "geofence":
                return {"geofence": self._fence(part)}
            case "change":
                return {"change": self._change(part)}
        name = _text(part.get("moment"))
        if not KEY.fullmatch(name):
            self.problems["trigger.moment"] = "What a developer has called it: one word, as landed or taxi.arrived."
        return {"moment": name}

    def _fence(self, part: Object) -> Object:
        latitude, longitude, radius = (as_number(part.get(name)) for name in ("latitude", "longitude", "radius"))
        for name, value, most in (("latitude", latitude, 90), ("longitude", longitude, 180)):
            if value is None or abs(value) > most:
                self.problems[f"trigger.{name}"] = f"A number from -{most} to {most}."
        if radius is None or not 0 < radius <= 1_000_000:
            self.problems["trigger.radius"] = "Metres, up to 1,000,000."
        on = "exit" if part.get("on") == "exit" else "enter"
        return {"on": on, "center": {"latitude": latitude, "longitude": longitude}, "radius": radius}

    def _change(self, part: Object) -> Object:
        known = self._classes.get(str(part.get("className")))
        if known is None:
            self.problems["trigger.className"] = "Choose a class that says whom its objects are about."
            return {}
        subject = part.get("subject") if part.get("subject") in known["subjects"] else known["subjects"][0]
        on = part.get("on") if part.get("on") in ("create", "update", "enter") else "create"
        made: Object = {"className": str(part["className"]), "on": [on], "subject": subject, "where": {}}
        if field := str(part.get("field") or ""):
            kind, value = known["columns"].get(field), part.get("value")
            found = as_number(value) if kind == "Number" else str(value).lower() == "true" if kind == "Boolean" else _text(value)
            if kind is None or found in (None, ""):
                self.problems["trigger.value"] = "Fill in a number." if kind == "Number" else "Fill in a value."
            made["where"] = {field: found}
        elif on == "enter":
            self.problems["trigger.field"] = "Choose what has to become so."
        return made

    def duration(self, name: str, most: int) -> str:
        """A number with a unit; `most` days."""
        part = self.part(name)
        count, unit = as_number(part.get("count")), part.get("unit")
        days = {"s": 86_400, "m": 1440, "h": 24, "d": 1}.get(str(unit), 0)
        if not isinstance(count, int) or not 0 < count <= most * days:
            self.problems[name] = f"A whole number, up to {most} days."
        return f"{count}{unit}"

    def functions(self) -> Object:
        """Whom it asks for an offer, and what is sent without one."""
        part, rest = self.part("function"), self.part("rest").get("functions")
        if not part:
            return {}
        name, budget = _text(part.get("name")), as_number(part.get("budgetMs"))
        if not _FUNCTION.fullmatch(name):
            self.problems["function.name"] = "What a developer has called it, as offer or taxi.offer."
        if not isinstance(budget, int) or not 0 < budget <= 5000:
            self.problems["function.budgetMs"] = "Milliseconds, from 1 to 5,000."
        asked: Object = {**self.object_of(part, "kept"), "name": name, "budgetMs": budget}
        if worth := _text(part.get("worth")):
            asked["worth"] = worth
        if tells := [each.strip() for each in _text(part.get("tells")).split(",") if each.strip()]:
            asked["params"] = {each: f"{{{{moment.{each}}}}}" for each in tells}
            if not all(re.fullmatch(r"\w+", each) for each in tells):
                self.problems["function.tells"] = "Names with commas between them, as city, location."
        made: Object = {"functions": [asked, *(rest if isinstance(rest, list) else ())], "onTimeout": "skip"}
        if part.get("otherwise") == FALLBACK:
            made |= {"onTimeout": FALLBACK, FALLBACK: self.content({**self.part(FALLBACK), "name": FALLBACK})}
        return made

    def value(self) -> Object:
        """What it is worth as time goes by."""
        part = self.part("value")
        amount, curve = as_number(part.get("amount")), part.get("curve")
        if amount is None or not 0 < amount <= 1e12:
            self.problems["value.amount"] = "A number above 0."
        if curve == "kept":
            return {**self.object_of(part, "kept"), "amount": amount}
        made: Object = {"amount": amount, "curve": curve if curve in ("constant", "linear", "halfLife", "step") else "constant"}
        if curve in ("halfLife", "step"):
            after = self.duration("value", 7)
            if "value" in self.problems:
                self.problems["value.count"] = self.problems.pop("value")
            share = as_number(part.get("share"))
            if curve == "step" and (share is None or not 0 <= share <= 100):
                self.problems["value.share"] = "From 0 to 100 %."
            made |= {"halfLife": after} if curve == "halfLife" else {"steps": [{"after": after, "share": (share or 0) / 100}]}
        return made

    def rest(self) -> Object:
        """How often, what takes it back, and what the form has no field for."""
        made: Object = {name: value for name, value in self.part("rest").items() if name in _REST}
        if self.part("cooldown").get("count") not in (None, ""):
            made["cooldown"] = self.duration("cooldown", 30)
        if self.given.get("minValue") not in (None, ""):
            made["minValue"] = as_number(self.given["minValue"])
            if made["minValue"] is None or made["minValue"] < 0:
                self.problems["minValue"] = "A number from 0."
        moments = [each.strip() for each in _text(self.given.get("cancelOn")).split(",") if each.strip()]
        if not all(KEY.fullmatch(each) for each in moments):
            self.problems["cancelOn"] = "Moments with commas between them, as boarded, taxi.ordered."
        left: list[Json] = [{"geofence": "exit"}] if self.given.get("leaves") is True else []
        return {**made, "cancelOn": [*({"moment": each} for each in moments), *left]}

    def object_of(self, part: Object, name: str) -> Object:
        """A part of a part that is an object."""
        value = part.get(name)
        return dict(value) if isinstance(value, dict) else {}


def play_of(given: Object, fields: Fields, classes: Object) -> Object:
    """The definition of a play, yet to be checked by its own rules. Problems names what is wrong with the form."""
    reading = _PlayReading(given, fields, classes)
    made: Object = {
        "name": reading.name(),
        "trigger": reading.trigger(),
        "audience": reading.audience(),
        "validFor": reading.duration("validFor", 7),
        "variants": reading.variants(),
        "value": reading.value(),
        **reading.functions(),
        **reading.rest(),
        **reading.options(),
    }
    if reading.problems:
        raise Problems(reading.problems)
    return made


def play_form_of(definition: Object, fields: Fields, classes: Object) -> Object:
    """The form of a play."""
    common = composition_of({**definition, "schedule": {"at": "now"}}, fields)
    cancels: list[Object] = definition["cancelOn"]
    rest: Object = {name: definition[name] for name in _REST if name in definition}
    asked = next(iter(definition["functions"]), None)
    return {
        **{name: part for name, part in common.items() if name not in ("schedule", "expires")},
        "trigger": _trigger_form(definition["trigger"], classes),
        "validFor": _duration_form(definition["validFor"]),
        "cooldown": _duration_form(definition.get("cooldown", "")),
        "value": _value_form(definition["value"]),
        "minValue": definition.get("minValue", ""),
        "cancelOn": ", ".join(each["moment"] for each in cancels if "moment" in each),
        "leaves": {"geofence": "exit"} in cancels,
        "function": None if asked is None else _function_form(asked, definition["onTimeout"]),
        FALLBACK: form_of({"name": FALLBACK, "weight": 0, "content": definition.get(FALLBACK, {})}),
        "rest": {**rest, "functions": definition["functions"][1:]},
    }


def _trigger_form(trigger: Object, classes: Object) -> Object:
    kept: Object = {"kind": "kept", "kept": trigger}
    if "moment" in trigger:
        return {"kind": "moment", "moment": trigger["moment"]}
    if "geofence" in trigger:
        fence = trigger["geofence"]
        return kept if "polygon" in fence else {"kind": "geofence", "on": fence["on"], "radius": fence["radius"], **fence["center"]}
    change = trigger["change"]
    columns: Object = classes.get(change["className"], {}).get("columns", {})
    where = list(change["where"].items())
    if len(change["on"]) > 1 or len(where) > 1 or any(name not in columns or isinstance(value, (dict, list)) for name, value in where):
        return kept
    field, value = where[0] if where else ("", "")
    said = str(value).lower() if isinstance(value, bool) else value
    return {"kind": "change", **change, "on": change["on"][0], "field": field, "value": said}


def _duration_form(text: str) -> Object:
    found = _DURATION.fullmatch(text)
    return {"count": int(found[1]), "unit": found[2]} if found else {"count": "", "unit": "h"}


def _value_form(value: Object) -> Object:
    made: Object = {"amount": value["amount"], "curve": value["curve"], "count": "", "unit": "m", "share": 50}
    if value["curve"] == "halfLife":
        made |= _duration_form(value["halfLife"])
    elif value["curve"] == "step" and len(value["steps"]) > 1:
        made |= {"curve": "kept", "kept": value}
    elif value["curve"] == "step":
        step = value["steps"][0]
        made |= {**_duration_form(step["after"]), "share": as_number(round(step["share"] * 100, 6))}
    return made


def _function_form(function: Object, otherwise: str) -> Object:
    kept = {name: function[name] for name in ("concurrency", "params") if name in function}
    params: Any = function.get("params", {})
    tells = ""
    if params and all(isinstance(text, str) and (found := _TOLD.fullmatch(text)) and found[1] == name for name, text in params.items()):
        tells = ", ".join(params)
        del kept["params"]
    told: Object = {"name": function["name"], "budgetMs": function.get("budgetMs", 300), "worth": function.get("worth", "")}
    return {**told, "tells": tells, "otherwise": otherwise, "kept": kept}


def _text(value: Json) -> str:
    return value.strip() if isinstance(value, str) else ""
