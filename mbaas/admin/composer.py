"""The composer: audience, message, schedule, review. The form is one page; what it asks meanwhile is answered here."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from mbaas.admin import sentences
from mbaas.admin.audience_pages import fields_of, saved_for, vocabulary
from mbaas.admin.composition import Problems, Reading, composition_of, definition_of
from mbaas.admin.rows import Fields
from mbaas.admin.visit import Page, Visit, body_of, shown, told, visit_of
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas_push.campaigns import content, definition, segments
from mbaas_push.campaigns.forecast import forecast
from mbaas_push.campaigns.schedule import Schedule
from mbaas_push.campaigns.templates import parse

_LOOKED = 20_000
"""How many are looked at while somebody is still choosing."""
_PROVIDERS = {"apns": "iPhones", "fcm": "Android", "webpush": "browsers"}
_SILENT: Object = {"silent": True}
_EDITED = ("draft", "approved", "scheduled")


class Composer(Page):
    """Writes a campaign."""

    needs = "change"
    path, add_to_menu = "/compose", False

    @route("", methods=["GET"], name="compose")
    @shown
    async def index(self, request: Request) -> Response:
        """A new one."""
        return await self._form(request, None)

    @route("/{id}", methods=["GET"], name="edit")
    @shown
    async def edit(self, request: Request) -> Response:
        """One that is there."""
        campaign = await visit_of(request).campaigns.get(request.path_params["id"])
        if campaign["state"] not in _EDITED:
            text = f"A campaign that is {campaign['state']} cannot be changed; make another one like it."
            raise ParseError(Code.OPERATION_FORBIDDEN, text, status=409)
        return await self._form(request, campaign)

    async def _form(self, request: Request, campaign: Object | None) -> Response:
        visit = visit_of(request)
        visit.demand_provider()
        fields = fields_of(visit.app)
        form: Object = {"id": None, "updatedAt": None, "form": None, "locked": False}
        if campaign is not None:
            form |= {"id": campaign["id"], "updatedAt": campaign["updatedAt"], "form": composition_of(campaign, fields)}
        data = {**form, "vocabulary": await vocabulary(visit.app), "saved": await saved_for(visit), "phone": visit.person.phone}
        data |= {"limits": content.LIMITS, "places": places_of(fields)}
        return self.show(request, "composer.html", 200, data=data, campaign=campaign)

    @route("/ask/audience", methods=["POST"], name="ask_audience")
    @told
    async def audience(self, request: Request) -> Json:
        """How many an audience has, and who of them would be held back whatever is said to them."""
        visit = visit_of(request)
        form = Reading(await body_of(request), fields_of(visit.app))
        plain: Object = {
            "name": "-",
            "category": form.category(),
            "audience": form.audience(),
            "content": _SILENT,
            "schedule": {"at": "now"},
        }
        if form.problems:
            return {"problems": form.problems}
        seen = (await forecast(visit.campaigns, definition.check(visit.app, plain), most=_LOOKED)).told()
        return {**seen, "held": sentences.reasons(seen["suppressed"], sentences.HELD)}

    @route("/ask/preview", methods=["POST"], name="ask_preview")
    @told
    async def preview(self, request: Request) -> Json:
        """How the messages look, in each language, and how long they are: to one of whom everything is known, or nothing."""
        return previews(visit_of(request), await body_of(request))

    @route("/ask/review", methods=["POST"], name="ask_review")
    @told
    async def review(self, request: Request) -> Json:
        """Everything at once: how many, when, in which zones, who is held back; in sentences."""
        visit, given = visit_of(request), await body_of(request)
        try:
            made = _checked(visit, given)
        except Problems as problems:
            return {"problems": problems.found}
        now, schedule, campaign_id = visit.app.clock.now(), Schedule.of(made["schedule"]), given.get("id")
        if schedule.upcoming(schedule.begun(now), now) is None:
            return {"problems": {"schedule.date": "That moment has passed; choose a later one."}}
        seen = (await forecast(visit.campaigns, made, campaign_id if isinstance(campaign_id, str) else "")).told()
        held = sentences.reasons(seen["suppressed"], sentences.HELD)
        return {**seen, "held": held, "sentences": sentences.review(made, seen), "when": sentences.when(made["schedule"])}

    @route("/ask/save", methods=["POST"], name="ask_save")
    @told
    async def save(self, request: Request) -> Json:
        """Keep it as a draft. What somebody else has changed meanwhile is not written over."""
        visit, given = visit_of(request), await body_of(request)
        try:
            made = _checked(visit, given)
        except Problems as problems:
            return {"problems": problems.found}
        campaign_id, seen = given.get("id"), from_iso(str(given.get("updatedAt")))
        if isinstance(campaign_id, str):
            if seen is None:
                raise ParseError(Code.INVALID_VALUE, "Load the campaign again.")
            kept = await visit.campaigns.edit(campaign_id, made, visit.caller, seen)
            await visit.note("campaign edit", campaign_id)
        else:
            kept = await visit.campaigns.create(made, visit.caller)
            await visit.note("campaign create", kept["id"])
        return {"id": kept["id"], "updatedAt": kept["updatedAt"]}


def _checked(visit: Visit, given: Object) -> Object:
    """The definition of a form. Problems, also for what the campaign's own rules refuse."""
    form = given.get("form")
    made = definition_of(form if isinstance(form, dict) else {}, fields_of(visit.app))
    try:
        kept = definition.check(visit.app, made)
    except ParseError as error:
        raise Problems({"": error.message}) from error
    check_lengths(kept["variants"])
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
