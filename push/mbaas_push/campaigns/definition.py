"""What a campaign is made of: name, category, audience, variants, control group, schedule, quiet hours, caps, pace. Checked here."""

from __future__ import annotations

import re
from collections.abc import Callable

from mbaas.data.app import App
from mbaas.kernel.values import Json, Object, is_number
from mbaas_push import local_time
from mbaas_push.campaigns import content, quiet_hours, schedule, segments
from mbaas_push.campaigns.content import LIMITS, wrong
from mbaas_push.campaigns.store import LONGEST_NAME
from mbaas_push.message import RESEND, SKIP

_NAME = re.compile(r"[\w.-]{1,40}")
_MOST_VARIANTS, _MOST_CAPS = 10, 5
_MOST_HOURS = 30 * 24


def check(app: App, given: Object) -> Object:
    """A definition as it is kept. ParseError 142 says what of it cannot be, or what a query of its audience would."""
    if unknown := sorted(set(given) - {"name", "content", "variants", *CHECKS}):
        raise wrong(f"a campaign has no {unknown[0]}")
    name = given.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME:
        raise wrong(f"name is a text of up to {LONGEST_NAME} characters")
    kept: Object = {"name": name, "audience": {}, "schedule": {"at": "now"}, "category": "general", "zone": "UTC"}
    kept |= {key: CHECKS[key](value) for key, value in given.items() if key in CHECKS}
    kept["variants"] = read_variants(given)
    check_shown(app, kept)
    return kept


def check_shown(app: App, definition: Object) -> None:
    """ParseError for one that asks for, or shows, what not everybody is shown now: that may have changed since it was written."""
    segments.check(app, definition["audience"])
    segments.check_paths(app, paths(definition))


def paths(definition: Object) -> frozenset[str]:
    """The fields of recipients that it names."""
    return frozenset(path for variant in definition["variants"] for path in content.paths(variant["content"]))


def check_sizes(definition: Object) -> None:
    """ParseError 142 if a provider would refuse what is said, even to one of whom nothing is known."""
    for variant in definition["variants"]:
        said = variant["content"]
        for locale in (content.DEFAULT, *said.get("locales", {})):
            data = content.render({**said, "strict": False}, locale, {})
            for provider, size in content.sizes(data).items():
                if size > LIMITS[provider]:
                    raise wrong(f"variant {variant['name']}, {locale}: {size} bytes; {provider} takes {LIMITS[provider]}")


def read_variants(given: Object) -> list[Object]:
    """The variants of a `content`, or of `variants`. ParseError 142."""
    if ("content" in given) == ("variants" in given):
        raise wrong("it has a content, or variants of it")
    if "content" in given:
        return [{"name": "A", "weight": 1, "content": content.check(given["content"])}]
    every = given["variants"]
    if not isinstance(every, list) or not 0 < len(every) <= _MOST_VARIANTS:
        raise wrong(f"variants is a list of 1 to {_MOST_VARIANTS}")
    kept: list[Object] = []
    for variant in every:
        if not isinstance(variant, dict) or not set(variant) <= {"name", "weight", "content"}:
            raise wrong("a variant has a name, a weight and a content")
        name, weight = variant.get("name"), variant.get("weight", 1)
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name in {each["name"] for each in kept}:
            raise wrong("the name of a variant is one word, and no other variant's")
        if not is_number(weight) or not 0 < weight <= 1000:
            raise wrong(f"variant {name}: weight is a number above 0")
        kept.append({"name": name, "weight": weight, "content": content.check(variant.get("content"))})
    return kept


def _category(given: Json) -> Json:
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise wrong("category is one word")
    return given


def _zone(given: Json) -> Json:
    if not local_time.known(given):
        raise wrong("zone is the time zone of devices that tell none, as Europe/Paris")
    return given


def _control(given: Json) -> Json:
    if not is_number(given) or not 0 <= given < 100:
        raise wrong("control is a percentage from 0 to 99")
    return given


def _caps(given: Json) -> Json:
    if not isinstance(given, list) or len(given) > _MOST_CAPS:
        raise wrong(f"caps is a list of up to {_MOST_CAPS}")
    for cap in given:
        if not isinstance(cap, dict) or set(cap) != {"count", "hours"} or not all(_whole(number) for number in cap.values()):
            raise wrong('caps: each is {"count": 2, "hours": 24}')
        if cap["hours"] > _MOST_HOURS or cap["count"] > 100:
            raise wrong(f"caps: up to 100 in up to {_MOST_HOURS} hours")
    return given


def _whole(given: Json) -> bool:
    return isinstance(given, int) and not isinstance(given, bool) and given > 0


def _pace(given: Json) -> Json:
    if not is_number(given) or not 0 < given <= 100_000:
        raise wrong("perSecond is a number above 0")
    return given


def _on_ambiguous(given: Json) -> Json:
    if given not in (RESEND, SKIP):
        raise wrong(f"onAmbiguous is {RESEND} or {SKIP}")
    return given


def _expires(given: Json) -> Json:
    schedule.duration_ms(given, "expires")
    return given


CHECKS: dict[str, Callable[[Json], Json]] = {
    "audience": segments.shape,
    "schedule": schedule.check,
    "category": _category,
    "zone": _zone,
    "control": _control,
    "caps": _caps,
    "quietHours": quiet_hours.check,
    "perSecond": _pace,
    "expires": _expires,
    "onAmbiguous": _on_ambiguous,
}
"""What a campaign has besides its content, and how each is checked."""
