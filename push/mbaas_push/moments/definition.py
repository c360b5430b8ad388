"""What a play is made of: a trigger, whom it fits, what it says, what that is worth and for how long. Checked here.

What it has in common with a campaign is checked as that of a campaign: variants, category, control, quiet hours, caps, zone, pace.
"""

from __future__ import annotations

from typing import Any

from mbaas.data.admission import rules_for
from mbaas.data.app import App
from mbaas.data.sight import watchable
from mbaas.kernel.caller import ANONYMOUS, MASTER
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.schema import new_class
from mbaas.kernel.values import Json, Object, is_number
from mbaas.query import ast
from mbaas.query.match import matcher
from mbaas.query.parse import Scope, parse_where
from mbaas_push.campaigns import content, segments
from mbaas_push.campaigns.content import wrong
from mbaas_push.campaigns.definition import CHECKS, read_variants
from mbaas_push.campaigns.definition import paths as paths_of
from mbaas_push.campaigns.schedule import duration_ms
from mbaas_push.campaigns.store import LONGEST_NAME
from mbaas_push.moments import offers, triggers, worth

FALLBACK = "fallback"
"""What the variant is called that is sent where no function answered in time."""
_LONGEST_MS, _LONGEST_COOLDOWN_MS = 7 * 86_400_000, 30 * 86_400_000
_SHARED = ("audience", "category", "control", "quietHours", "caps", "zone", "perSecond")
_OWN = ("trigger", "filter", "validFor", "value", "minValue", "cooldown", "cancelOn", "functions", "onTimeout", FALLBACK)


def check(app: App, given: Object) -> Object:
    """A definition as it is kept. ParseError 142 says what of it cannot be, or what a query of it would."""
    if unknown := sorted(set(given) - {"name", "content", "variants", *_SHARED, *_OWN}):
        raise wrong(f"a play has no {unknown[0][:40]}")
    name = given.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise wrong(f"name is a text of up to {LONGEST_NAME} characters")
    kept: Object = {"name": name, "category": "general", "zone": "UTC", "audience": {}, "filter": {}, "value": worth.ONE}
    kept |= {part: CHECKS[part](given[part]) for part in _SHARED if part in given}
    kept["trigger"] = triggers.check(app, given.get("trigger"))
    kept["cancelOn"] = triggers.check_cancelling(given.get("cancelOn", []), kept["trigger"])
    kept["validFor"] = _validity(given.get("validFor"))
    if "value" in given:
        kept["value"] = worth.check(given["value"])
    if "minValue" in given:
        kept["minValue"] = _least(given["minValue"])
    if "cooldown" in given:
        kept["cooldown"] = _cooldown(given["cooldown"])
    _check_subject(app, kept, given.get("filter", {}))
    kept["variants"] = read_variants(given)
    if any(variant["name"] == FALLBACK for variant in kept["variants"]):
        raise wrong(f"no variant is called {FALLBACK}")
    kept |= _asked(given)
    _check_said(app, kept)
    return kept


def said(definition: Object) -> list[Object]:
    """The variants, and first what is sent where no function answers: nobody is given that by weight."""
    spare = [{"name": FALLBACK, "weight": 0, "content": definition[FALLBACK]}] if FALLBACK in definition else []
    return [*spare, *definition["variants"]]


def _validity(given: Json) -> Json:
    if not 0 < duration_ms(given, "validFor") <= _LONGEST_MS:
        raise wrong("validFor is longer than nothing, and no longer than 7d")
    return given


def _cooldown(given: Json) -> Json:
    if not 0 < duration_ms(given, "cooldown") <= _LONGEST_COOLDOWN_MS:
        raise wrong("cooldown is longer than nothing, and no longer than 30d")
    return given


def _least(given: Json) -> Json:
    if not is_number(given) or given < 0:
        raise wrong("minValue is a number from 0")
    return given


def _check_subject(app: App, kept: Object, wanted: Json) -> None:
    """Whom, and which events, it fits is asked of one at a time, in memory."""
    audience = kept["audience"]
    if audience.get("events"):
        raise wrong("the audience of a play asks for installations and users; what people have done is for campaigns")
    segments.check(app, audience)
    for name, class_name in (("where", segments.CLASS), ("users", "_User")):
        triggers.unchanging(audience.get(name, {}), f"audience.{name}")
        watchable(app, MASTER, class_name, audience.get(name, {}))
    if not isinstance(wanted, dict):
        raise wrong("filter is a query of the moment's props")
    triggers.unchanging(wanted, "filter")
    of_props(app, wanted)
    kept["filter"] = wanted


def of_props(app: App, wanted: Object) -> ast.Node:
    """The tree of a query of props. ParseError for one that cannot be asked of them."""
    node = parse_where(wanted, Scope(new_class("Moment").fields, app.clock))
    matcher(node)
    return node


def _asked(given: Object) -> Object:
    """What it asks of functions, and what it does without an answer."""
    asked: Object = {"functions": offers.check(given.get("functions", []))}
    late: Any = given.get("onTimeout", FALLBACK if FALLBACK in given else "skip")
    if late not in (FALLBACK, "skip") or (late == FALLBACK) != (FALLBACK in given):
        raise wrong(f'onTimeout is "skip", or "{FALLBACK}" with a content of that name')
    if FALLBACK in given:
        asked[FALLBACK] = content.check(given[FALLBACK])
        if not asked["functions"]:
            raise wrong(f"{FALLBACK} is for a play that asks functions")
    return {**asked, "onTimeout": late}


def _check_said(app: App, kept: Object) -> None:
    every = said(kept)
    if any("badge" in variant["content"] for variant in every):
        raise wrong("a play sets no badge")
    named = paths_of({"variants": every}) | {path for function in kept["functions"] for path in offers.paths(function)}
    segments.check_paths(app, [path for path in named if path.partition(".")[0] in ("user", "installation")])
    if any(path.startswith("offer.") for path in named) and not kept["functions"]:
        raise wrong("a text names an offer, and the play asks no function for one")
    if FALLBACK in kept and any(path.startswith("offer.") for path in content.paths(kept[FALLBACK])):
        raise wrong(f"{FALLBACK} is said where there is no offer, and cannot name one")
    change = kept["trigger"].get("change")
    if change is not None:
        if any("params" not in function for function in kept["functions"]):
            raise wrong("functions of a play that follows a class name their params: nobody is sent an object as a whole")
        rules = rules_for(app, ANONYMOUS, change["className"])
        for path in named:
            root, *field = path.split(".")
            if root == "moment" and field[0] in segments.SECRET:
                raise ParseError(Code.OPERATION_FORBIDDEN, f"{path} may not be shown in a text.", status=403)
            if root == "moment":
                rules.refuse_protected(ANONYMOUS, tuple(field), "show")
