"""The composer: audience, message, schedule, review. The form is one page; what it asks meanwhile is answered here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from mbaas.admin import sentences
from mbaas.admin.audience_pages import fields_of, saved_for, vocabulary
from mbaas.admin.composition import Problems, Reading, composition_of, definition_of
from mbaas.admin.visit import Page, Visit, body_of, shown, told, visit_of
from mbaas.admin.writing import check_lengths, checked, keep, places_of, previews
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas_push.campaigns import content, definition
from mbaas_push.campaigns.forecast import forecast
from mbaas_push.campaigns.schedule import Schedule

_LOOKED = 20_000
"""How many are looked at while somebody is still choosing."""
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
        kept = await keep(visit, visit.campaigns, "campaign", given, made)
        return {"id": kept["id"], "updatedAt": kept["updatedAt"]}


def _checked(visit: Visit, given: Object) -> Object:
    """The definition of a form. Problems, also for what the campaign's own rules refuse."""
    fields = fields_of(visit.app)
    kept = checked(visit, given, lambda form: definition_of(form, fields), definition.check)
    check_lengths(kept["variants"])
    return kept
