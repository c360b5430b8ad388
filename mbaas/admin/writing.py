"""What the forms of campaigns and of plays share: messages as they look and how long they are, and how a draft is checked and kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from mbaas.admin import sentences
from mbaas.admin.composition import Problems
from mbaas.admin.rows import Fields
from mbaas.admin.visit import Visit
from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas_push.campaigns import content, segments
from mbaas_push.campaigns.templates import parse

_PROVIDERS = {"apns": "iPhones", "fcm": "Android", "webpush": "browsers"}


class Room(Protocol):
    """Where drafts are kept: the campaigns, or the plays."""

    async def create(self, given: Object, caller: Caller) -> Object:
        """A new draft."""

    async def edit(self, kept_id: str, given: Object, caller: Caller, updated_at: int | None, /) -> Object:
        """A new version. Conflict if it is no longer of that time."""


def checked(visit: Visit, given: Object, read: Callable[[Object], Object], check: Callable[[App, Object], Object]) -> Object:
    """The definition that a form says, as `check` keeps it. Problems, also for what a campaign's or a play's own rules refuse."""
    form = given.get("form")
    made = read(form if isinstance(form, dict) else {})
    try:
        return check(visit.app, made)
    except ParseError as error:
        raise Problems({"": error.message}) from error


async def keep(visit: Visit, room: Room, kind: str, given: Object, made: Object) -> Object:
    """Keep it as a draft. What somebody else has changed meanwhile is not written over."""
    kept_id, seen = given.get("id"), from_iso(str(given.get("updatedAt")))
    if not isinstance(kept_id, str):
        kept = await room.create(made, visit.caller)
        await visit.note(f"{kind} create", kept["id"])
        return kept
    if seen is None:
        raise ParseError(Code.INVALID_VALUE, f"Load the {kind} again.")
    kept = await room.edit(kept_id, made, visit.caller, seen)
    await visit.note(f"{kind} edit", kept_id)
    return kept


def check_lengths(variants: list[Object]) -> None:
    """Problems for what is longer than a provider takes, in any language."""
    for variant in variants:
        for locale in (content.DEFAULT, *variant["content"].get("locales", {})):
            _check_size(variant, locale)


def _check_size(variant: Object, locale: str) -> None:
    for provider, size in content.sizes(content.render({**variant["content"], "strict": False}, locale, {})).items():
        if (limit := content.LIMITS[provider]) < size:
            text = f"Too long for {_PROVIDERS[provider]}: {sentences.number(size)} of {sentences.number(limit)} bytes."
            raise Problems({f"variants.{variant['name']}.{locale}.body": text})


def previews(visit: Visit, given: Object, own: tuple[str, ...] = ()) -> Json:
    """The messages of a form as they look; `own` are places, besides people's and devices' fields, that they may name."""
    known, variants = given.get("known") is True, given.get("variants")
    answer: dict[str, Json] = {}
    for variant in variants if isinstance(variants, list) else []:
        texts = variant.get("texts") if isinstance(variant, dict) else None
        if isinstance(texts, dict):
            seen = {locale: _looks(visit, variant, texts, locale, own, known=known) for locale in list(texts)[:50]}
            answer[str(variant.get("name"))] = seen
    return {"variants": answer}


def _looks(visit: Visit, variant: Object, texts: Object, locale: str, own: tuple[str, ...], *, known: bool) -> Object:
    """One message in one language, or what is wrong with it."""
    rest = variant.get("rest")
    said: Any = {**(rest if isinstance(rest, dict) else {}), **_filled(texts.get("default")), **_filled(texts.get(locale))}
    try:
        if not said.get("title") and not said.get("body"):
            return {"empty": True}
        checked = content.check({**said, "strict": False})
        paths = content.paths(checked)
        segments.check_paths(visit.app, [path for path in paths if path.partition(".")[0] not in own])
        values: dict[str, Json] = {path: f"‹{path.rpartition('.')[2]}›" for path in paths} if known else {}
        data = content.render(checked, content.DEFAULT, values)
    except ParseError as error:
        return {"error": error.message}
    places = [path for path in sorted(paths) if not _has_fallback(said, path)]
    return {"data": data, "bytes": content.sizes(data), "bare": places}


def _has_fallback(said: Object, path: str) -> bool:
    """True if wherever a text names the field, it says what to show without it."""
    texts = [said[name] for name in ("title", "body", "link", "image") if isinstance(said.get(name), str)]
    parts = [part for text in texts for part in parse(text).parts if not isinstance(part, str) and part.path == path]
    return all(part.fallback is not None for part in parts)


def _filled(text: Json) -> Object:
    return {name: value for name, value in text.items() if value not in ("", None)} if isinstance(text, dict) else {}


def places_of(fields: Fields) -> list[str]:
    """Fields that a text is likely to show, users' first."""
    places = [f"{of}.{name}" for of, known in fields.items() for name in known]
    hidden = ("objectId", "createdAt", "updatedAt", "ACL", "user", "channels", "installationId", "pushType", "GCMSenderId", "badge")
    wanted = [path for path in places if path.partition(".")[2] not in hidden]
    return sorted(wanted, key=lambda path: (not path.startswith("user."), path))
