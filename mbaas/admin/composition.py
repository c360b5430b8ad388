"""A campaign as the composer's form has it, and back. What is wrong is said beside the field that it is in, in plain words.

    {"name", "category", "audience": {"rows": […]} or {"kept": {…}}, "variants": [{"name", "weight", "texts": {"default": {…}, "de": {…}},
     "rest": {…}}], "schedule": {"when": "now" | "zone" | "local", "date", "time", "zone", "past", "repeat", "until", "rest": {…}},
     "quiet": {"from", "to", "then"} or null, "cap": {"count", "hours"} or null, "control", "perSecond", "expires", "zone"}

What the form has no field for (buttons, sounds, data of the app's own) it carries as `rest`, unchanged.
"""

from __future__ import annotations

import math
import re
from typing import Any

from mbaas.admin.rows import Fields, RowError, audience_of, rows_of
from mbaas.kernel.clock import from_iso, iso
from mbaas.kernel.values import Json, Object, is_number
from mbaas_push import local_time

_DATE, _TIME = re.compile(r"\d{4}-\d{2}-\d{2}"), re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_WORD = re.compile(r"[\w.-]{1,40}")
_OF_VARIANT = ("badge", "silent", "strict", "data")
_OF_SCHEDULE = ("late", "times")
_PAST = ("next_day", "send", "skip")


class Problems(Exception):
    """What of a form is wrong: sentences by the fields' names; `""` is the form as a whole."""

    def __init__(self, found: dict[str, str]) -> None:
        super().__init__(str(found))
        self.found = found


class Reading:
    """A form as it is being read."""

    def __init__(self, given: Object, fields: Fields) -> None:
        self.given, self._fields = given, fields
        self.problems: dict[str, str] = {}

    def part(self, name: str) -> Object:
        """A part of the form that is an object."""
        value = self.given.get(name)
        return value if isinstance(value, dict) else {}

    def audience(self) -> Object:
        """Whom it is for."""
        part = self.part("audience")
        if isinstance(part.get("kept"), dict):
            return dict(part["kept"])
        try:
            return audience_of(part.get("rows", []), self._fields)
        except RowError as error:
            self.problems[f"audience.{error.place}"] = error.text
            return {}

    def name(self) -> str:
        """What it is called."""
        name = self.given.get("name")
        if not isinstance(name, str) or not name.strip():
            self.problems["name"] = "Give it a name; people who get it do not see it."
            return ""
        return name.strip()

    def category(self) -> Json:
        """What people opt out of."""
        category = self.given.get("category")
        if not isinstance(category, str) or not _WORD.fullmatch(category):
            self.problems["category"] = "A category is one word without spaces, as promo."
        return category

    def variants(self) -> list[Json]:
        """What it says."""
        given = self.given.get("variants")
        listed = [variant for variant in given if isinstance(variant, dict)] if isinstance(given, list) else []
        return [{"name": each.get("name"), "weight": self._weight(each), "content": self.content(each)} for each in listed]

    def _weight(self, variant: Object) -> Json:
        weight = as_number(variant.get("weight"))
        if weight is None or weight <= 0:
            self.problems[f"variants.{variant.get('name')}.weight"] = "A share is a number above 0."
        return weight

    def content(self, variant: Object) -> Object:
        """What one message says."""
        name, texts, rest = variant.get("name"), variant.get("texts"), variant.get("rest")
        texts = texts if isinstance(texts, dict) else {}
        content: Object = dict(rest) if isinstance(rest, dict) else {}
        spoken = {locale: _spoken(text) for locale, text in texts.items()}
        content |= spoken.pop("default", {})
        if not content.get("title") and not content.get("body") and not content.get("silent"):
            self.problems[f"variants.{name}.default.body"] = "Write a title or a text."
        for locale in spoken:
            if not _LOCALE.fullmatch(locale):
                self.problems[f"variants.{name}.{locale}.body"] = "A language is named like de or pt-BR."
        return {**content, **({"locales": spoken} if spoken else {})}

    def schedule(self) -> Object:
        """When it is sent."""
        part = self.part("schedule")
        rest = part.get("rest")
        kept: Object = dict(rest) if isinstance(rest, dict) else {}
        if part.get("when") == "now":
            return {**kept, "at": "now"}
        date, time = part.get("date"), part.get("time")
        if not isinstance(date, str) or not _DATE.fullmatch(date):
            self.problems["schedule.date"] = "Choose a day."
        if not isinstance(time, str) or not _TIME.fullmatch(time):
            self.problems["schedule.time"] = "Choose a time, as 09:00."
        kept["at"] = f"{date}T{time}:00"
        if part.get("when") == "local":
            past = part.get("past")
            kept |= {"local": True, "past": past if past in _PAST else "next_day"}
        elif not local_time.known(part.get("zone")):
            self.problems["schedule.zone"] = "Choose a time zone from the list."
        else:
            kept["zone"] = part["zone"]
        if part.get("repeat"):
            kept["repeat"] = part["repeat"]
            if part.get("until"):
                kept["until"] = part["until"]
        return kept

    def options(self) -> Object:
        """What else is said of it."""
        kept: Object = {}
        if quiet := self.part("quiet"):
            kept["quietHours"] = {name: quiet.get(name) for name in ("from", "to", "then")}
            for name in ("from", "to"):
                if not isinstance(quiet.get(name), str) or not _TIME.fullmatch(quiet[name]):
                    self.problems[f"quiet.{name}"] = "Choose a time, as 22:00."
        if cap := self.part("cap"):
            count, hours = as_number(cap.get("count")), as_number(cap.get("hours"))
            for name, value, most in (("count", count, 100), ("hours", hours, 720)):
                if not isinstance(value, int) or not 0 < value <= most:
                    self.problems[f"cap.{name}"] = f"A whole number from 1 to {most}."
            more = self.given.get("moreCaps")
            kept["caps"] = [{"count": count, "hours": hours}, *(more if isinstance(more, list) else ())]
        for name, text in (("control", "A percentage from 0 to 99."), ("perSecond", "A number above 0.")):
            if self.given.get(name) not in (None, "", 0, "0"):
                kept[name] = as_number(self.given[name])
                if kept[name] is None or kept[name] < 0 or (name == "control" and kept[name] >= 100):
                    self.problems[name] = text
        for name in ("expires", "onAmbiguous"):
            if self.given.get(name):
                kept[name] = self.given[name]
        kept["category"] = self.category()
        if self.given.get("zone"):
            kept["zone"] = self.given["zone"]
        return kept


def definition_of(given: Object, fields: Fields) -> Object:
    """The definition of a campaign, yet to be checked by its own rules. Problems names what is wrong with the form."""
    reading = Reading(given, fields)
    made: Object = {
        "name": reading.name(),
        "audience": reading.audience(),
        "variants": reading.variants(),
        "schedule": reading.schedule(),
        **reading.options(),
    }
    if reading.problems:
        raise Problems(reading.problems)
    return made


def composition_of(definition: Object, fields: Fields) -> Object:
    """The form of a definition."""
    rows = rows_of(definition["audience"], fields)
    quiet = definition.get("quietHours")
    return {
        "name": definition["name"],
        "category": definition["category"],
        "audience": {"kept": definition["audience"]} if rows is None else {"rows": rows},
        "variants": [form_of(variant) for variant in definition["variants"]],
        "schedule": _schedule_of(definition["schedule"]),
        "quiet": {"then": "hold", **quiet} if quiet else None,
        "cap": next(iter(definition.get("caps", ())), None),
        "moreCaps": list(definition.get("caps", ()))[1:],
        "control": definition.get("control", 0),
        "perSecond": definition.get("perSecond", ""),
        "expires": definition.get("expires", ""),
        "onAmbiguous": definition.get("onAmbiguous", ""),
        "zone": definition.get("zone", "UTC"),
    }


def form_of(variant: Object) -> Object:
    """A message as the form has it."""
    content = dict(variant["content"])
    locales = content.pop("locales", {})
    rest = {name: content.pop(name) for name in _OF_VARIANT if name in content}
    return {"name": variant["name"], "weight": variant["weight"], "texts": {"default": content, **locales}, "rest": rest}


def _schedule_of(schedule: Object) -> Object:
    rest = {name: schedule[name] for name in _OF_SCHEDULE if name in schedule}
    at: str = schedule["at"]
    if at == "now":
        return {"when": "now", "rest": rest}
    if not schedule.get("local") and "zone" not in schedule:
        # An instant, whose offset the form does not show.
        at = iso(from_iso(at) or 0)
    date, _, time = at.partition("T")
    zone = schedule.get("zone", "UTC")
    told = {"when": "local" if schedule.get("local") else "zone", "date": date, "time": time[:5] or "00:00", "zone": zone, "rest": rest}
    told["past"] = schedule.get("past", "skip")
    return {**told, "repeat": schedule.get("repeat", ""), "until": schedule.get("until", "")}


def _spoken(text: Json) -> Object:
    """Without the fields that were left empty: an empty text is none."""
    return {name: value for name, value in text.items() if value not in ("", None)} if isinstance(text, dict) else {}


def as_number(value: Json) -> Any:
    """The number that somebody has typed; None if it is none."""
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return None
    if not is_number(number) or not math.isfinite(number):
        return None
    return int(number) if float(number).is_integer() else number
