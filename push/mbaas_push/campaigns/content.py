"""What a campaign says: checked, in the language of a device, filled in, and as each provider is sent it.

A content has `title`, `body`, `image`, `link`, `buttons`, `badge`, `sound`, `silent`, `strict`, `data`, and `locales`: for a language,
as `de` or `pt-BR`, what is said otherwise in it. What is sent is Parse's `data`: `alert`, `title`, `uri`, `image`, `buttons`, …
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas_push.campaigns.templates import parse
from mbaas_push.message import badge_of, fcm_bytes
from mbaas_push.transports import apns, web_push
from mbaas_push.transports.port import Address, Parcel, Provider

DEFAULT = "default"
"""What the language is called that is none in particular."""
_TEXTS = ("title", "body", "image", "link", "sound")
_SPOKEN = (*_TEXTS, "buttons")
_KNOWN = frozenset((*_SPOKEN, "badge", "silent", "strict", "data", "locales"))
_SENT = {"title": "title", "body": "alert", "image": "image", "link": "uri", "sound": "sound"}
_RESERVED = frozenset(("alert", "title", "uri", "image", "buttons", "badge", "receipt", "campaign", "play", "push_id", "from", "gcm"))
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")
_MOST_BUTTONS, _LONGEST = 4, 4096
_FCM_BYTES = 4096
_AROUND = 400
"""More than any provider counts besides the data."""
LIMITS: dict[Provider, int] = {"fcm": _FCM_BYTES, "apns": apns.MOST_BYTES, "webpush": web_push.MOST_BYTES}
"""The bytes that a provider takes."""


def check(given: Json) -> Object:
    """A content as it is kept. ParseError 142 says what of it cannot be."""
    if not isinstance(given, dict):
        raise wrong("content is an object")
    if unknown := sorted(set(given) - _KNOWN):
        raise wrong(f"content has no {unknown[0]}")
    for name in ("silent", "strict"):
        if not isinstance(given.get(name, False), bool):
            raise wrong(f"{name} is true or false")
    _check_spoken(given, "content")
    locales = given.get("locales", {})
    if not isinstance(locales, dict):
        raise wrong("locales is an object: a content for each language")
    for locale, spoken in locales.items():
        if not _LOCALE.fullmatch(locale) or not isinstance(spoken, dict) or not set(spoken) <= set(_SPOKEN):
            raise wrong(f"locales.{locale[:20]}: a language is called de or pt-BR, and has {', '.join(_SPOKEN)}")
        _check_spoken(spoken, f"locales.{locale}")
    data = given.get("data", {})
    if not isinstance(data, dict) or not _RESERVED.isdisjoint(data):
        raise wrong(f"data is an object without {', '.join(sorted(_RESERVED))}")
    try:
        badge_of(given)
    except ParseError as error:
        raise wrong(error.message) from error
    if not given.get("silent") and not given.get("body") and not given.get("title"):
        raise wrong("content has a title or a body, or is silent")
    return given


def _check_spoken(given: Object, where: str) -> None:
    for name in _TEXTS:
        if name in given:
            if not isinstance(given[name], str) or len(given[name]) > _LONGEST:
                raise wrong(f"{where}.{name} is a text of up to {_LONGEST} characters")
            parse(given[name])
    buttons = given.get("buttons", [])
    if not isinstance(buttons, list) or len(buttons) > _MOST_BUTTONS:
        raise wrong(f"{where}.buttons is a list of up to {_MOST_BUTTONS}")
    for button in buttons:
        known = isinstance(button, dict) and set(button) <= {"id", "title", "link"}
        if not known or not all(isinstance(text, str) for text in button.values()) or not button.get("id") or not button.get("title"):
            raise wrong(f"{where}.buttons: each has an id, a title, and may have a link")
        parse(button["title"])
        parse(button.get("link", ""))


def locale_of(content: Object, identifier: Json) -> str:
    """Which of the languages is spoken to a device: `pt-BR`, then `pt`, then any that is not said to be one."""
    tag = identifier.replace("_", "-").lower() if isinstance(identifier, str) else ""
    known: dict[str, str] = {name.replace("_", "-").lower(): name for name in content.get("locales", {})}
    while tag:
        if tag in known:
            return known[tag]
        tag = tag.rpartition("-")[0]
    return DEFAULT


def spoken(content: Object, locale: str) -> Object:
    """The content in a language."""
    return {**content, **content.get("locales", {}).get(locale, {})}


def paths(content: Object) -> frozenset[str]:
    """The fields of recipients that the content names, in any language."""
    every = [content, *content.get("locales", {}).values()]
    return frozenset(path for said in every for text in _texts(said) for path in parse(text).paths)


def _texts(said: Object) -> Iterator[str]:
    yield from (said[name] for name in _TEXTS if name in said)
    for button in said.get("buttons", []):
        yield from (button["title"], button.get("link", ""))


def render(content: Object, locale: str, values: Mapping[str, Json]) -> Object:
    """What a device is sent. Missing, where the content is strict and the device's person lacks a field."""
    said, strict = spoken(content, locale), bool(content.get("strict"))

    def text(raw: str) -> str:
        return parse(raw).render(values, strict=strict)

    data: Object = dict(content.get("data", {}))
    if content.get("silent"):
        return {**data, "content-available": 1}
    data |= {_SENT[name]: text(said[name]) for name in _TEXTS if said.get(name)}
    if said.get("buttons"):
        data["buttons"] = [{name: text(raw) if name != "id" else raw for name, raw in button.items()} for button in said["buttons"]]
    if "image" in data or "buttons" in data:
        # By which an app of Apple's may put the picture in.
        data["mutable-content"] = 1
    return data


class Said:
    """What the variants of a campaign say. What is the same for everybody is rendered once for each language."""

    def __init__(self, variants: Iterable[Object]) -> None:
        self._contents: dict[str, Object] = {variant["name"]: variant["content"] for variant in variants}
        self._personal = {name: bool(paths(said)) for name, said in self._contents.items()}
        self._same: dict[tuple[str, str], Object] = {}

    def locale(self, variant: str, identifier: Json) -> str:
        """Which of a variant's languages is spoken to a device."""
        return locale_of(self._contents[variant], identifier)

    def data(self, variant: str, locale: str, values: Mapping[str, Json]) -> Object:
        """As `render`; not to be changed."""
        if self._personal[variant]:
            return render(self._contents[variant], locale, values)
        if (known := self._same.get((variant, locale))) is None:
            known = self._same[variant, locale] = render(self._contents[variant], locale, {})
        return known


def too_long(data: Object, provider: Provider) -> str:
    """How much longer than the provider takes it is; empty if it is not."""
    if len(orjson.dumps(data)) + _AROUND <= LIMITS[provider]:
        return ""
    size, limit = sizes(data)[provider], LIMITS[provider]
    return f"{size} bytes of {limit}" if size > limit else ""


def sizes(data: Object) -> dict[Provider, int]:
    """How many bytes each provider would count."""
    parcel = Parcel("0" * 36, Address("apns", ""), data)
    return {"fcm": fcm_bytes(data), "apns": len(apns.payload(parcel)), "webpush": len(web_push.plain(parcel))}


def wrong(text: str) -> ParseError:
    """What is said of a campaign that cannot be as it is."""
    return ParseError(Code.VALIDATION_ERROR, f"{text}.")
