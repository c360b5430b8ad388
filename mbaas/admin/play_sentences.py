"""What the console says of a play in plain sentences: what sets it off, for how long, what it is worth; its states and reasons."""

from __future__ import annotations

import re

from mbaas.admin.sentences import HELD, limits, number, several
from mbaas.kernel.values import Object

STATES: dict[str, tuple[str, str, str]] = {
    "draft": ("Draft", "secondary", "Being written. Nothing sets it off."),
    "live": ("Live", "green", "Is sent whenever it is set off."),
    "paused": ("Paused", "yellow", "Nothing sets it off, and what waits does not leave until somebody resumes it."),
    "retired": ("Retired", "secondary", "Sends nothing any more."),
}
"""Label, colour and meaning of each state."""
NOT_SENT: dict[str, str] = {
    **HELD,
    "expired": "for whom it came too late",
    "min_value": "for whom it was no longer worth enough",
    "outranked": "sent another play, which was worth more",
    "cooldown": "had this play not long ago",
    "cancelled": "for whom it was taken back",
    "function_timeout": "without an offer: the function did not answer in time",
    "function_failed": "without an offer: the function failed",
    "audience": "not among those whom it is for",
    "filter": "for whom what happened does not meet the play's conditions",
}
"""What devices are not sent a play for, after their number."""
_DURATION = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_CHANGES = {"create": "is created", "update": "is changed", "enter": "becomes so"}


def lasting(text: str) -> str:
    """A duration as it is read: `10m` is `10 minutes`."""
    found = _DURATION.fullmatch(text)
    return text if found is None else several(int(found[1]), _UNITS[found[2]])


def age(milliseconds: int) -> str:
    """How old something was: `80 ms`, `1.2 s`, `4 min`."""
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 90_000 else f"{milliseconds / 60_000:.0f} min"


def trigger(definition: Object) -> str:
    """What sets it off, as the beginning of a sentence."""
    given: Object = definition["trigger"]
    if "moment" in given:
        return f"When “{given['moment']}” happens to somebody"
    if "geofence" in given:
        fence = given["geofence"]
        verb = "comes into" if fence["on"] == "enter" else "leaves"
        if "polygon" in fence:
            return f"When a device {verb} an area of {len(fence['polygon'])} corners"
        center = fence["center"]
        return f"When a device {verb} the {fence['radius']:,g} m around {center['latitude']:g}, {center['longitude']:g}"
    change = given["change"]
    how = " or ".join(_CHANGES[each] for each in change["on"])
    if change["on"] == ["enter"] and len(change["where"]) == 1:
        ((name, value),) = change["where"].items()
        return f"When the {name} of an object of {change['className']} becomes {_said(value)}"
    where = " and ".join(f"{name} is {_said(value)}" for name, value in change["where"].items())
    return f"When an object of {change['className']}{f' whose {where}' if where else ''} {how}"


def rule(definition: Object) -> list[str]:
    """The play in a few sentences, the first of which is its rule."""
    beginning = trigger(definition)
    if definition["filter"]:
        beginning += " and it meets the play's conditions"
    if definition["audience"]:
        beginning += ", and she is in the audience"
    verb = "she is sent it" if "moment" in definition["trigger"] or "change" in definition["trigger"] else "its person is sent it"
    found = [f"{beginning}, {verb}: for {lasting(definition['validFor'])}, {_worth(definition)}."]
    for asked in definition["functions"]:
        found += [f"{asked['name']} is asked for an offer, and has {number(asked.get('budgetMs', 300))} ms to answer."]
    if definition["functions"]:
        spare = "“Without an offer” is sent instead" if definition["onTimeout"] == "fallback" else "nothing is sent"
        found.append(f"Without an answer in time {spare}.")
    if "cooldown" in definition:
        found.append(f"Nobody gets it again within {lasting(definition['cooldown'])}.")
    found += limits(definition)
    if definition["cancelOn"]:
        whens = [f"“{each['moment']}” happens" if "moment" in each else "she leaves the place" for each in definition["cancelOn"]]
        found.append(f"What has not left yet is taken back when {' or '.join(whens)}.")
    if control := definition.get("control"):
        found.append(f"{control:g} % of the people get nothing, to compare with.")
    return found


def _worth(definition: Object) -> str:
    value: Object = definition["value"]
    amount, curve = f"worth {value['amount']:,g}", value["curve"]
    if curve == "linear":
        said = f"{amount} at first, less and less, and nothing after"
    elif curve == "halfLife":
        said = f"{amount} at first, half of it after every {lasting(value['halfLife']).removeprefix('1 ')}, and nothing after"
    elif curve == "step":
        steps = ", ".join(f"{step['share']:.0%} of it from {lasting(step['after'])} on" for step in value["steps"])
        said = f"{amount} at first, {steps}, and nothing after"
    else:
        said = f"{amount} all the while, and nothing after"
    least = definition.get("minValue")
    return f"{said}; it is not sent once it is worth less than {least:,g}" if least else said


def _said(value: object) -> str:
    return f"“{value}”" if isinstance(value, str) else "as asked" if isinstance(value, (dict, list)) else str(value).lower()
