"""The campaigns: their list, one as it is being sent, its report, and what may be done with it."""

from __future__ import annotations

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from mbaas.admin import sentences
from mbaas.admin.keeping import SHOWN, history, listed, ordered
from mbaas.admin.trying import device_of, note, progress, tested
from mbaas.admin.visit import Page, Visit, body_of, shown, told, visit_of, words
from mbaas.kernel.clock import from_iso
from mbaas.kernel.errors import Code, MbaasError, ParseError
from mbaas.kernel.values import Json, Object
from mbaas_push.campaigns import rehearsal
from mbaas_push.campaigns.campaigns import ORDERS
from mbaas_push.campaigns.report import Report
from mbaas_push.campaigns.store import Kept
from mbaas_push.campaigns.why import why
from mbaas_push.dead_letters import DeadLetters

_MOVING = ("scheduled", "materialising", "sending", "paused")
_FILTERS = {"": (), "draft": ("draft", "approved"), "active": _MOVING, "ended": ("completed", "cancelled", "failed", "expired")}
_DONE = {
    "pause": "Paused: nothing more leaves until you resume.",
    "resume": "Resumed.",
    "cancel": "Cancelled: nothing more is sent.",
}


class CampaignList(Page):
    """All campaigns, the last changed first, with how far each is."""

    menu_label, icon, path, route_name = "Campaigns", "fa-solid fa-bullhorn", "/", "index"

    def is_active(self, request: Request) -> bool:
        """True for everything that is about campaigns."""
        return request.url.path.removeprefix("/console").strip("/").partition("/")[0] in ("", "campaigns", "compose")

    @route("", methods=["GET"])
    @shown
    async def index(self, request: Request) -> Response:
        """The list."""
        visit = visit_of(request)
        found, context = await listed(request, visit.campaigns.store, _FILTERS)
        rows = [await _line(visit, each) for each in found]
        return self.show(request, "campaigns.html", 200, rows=rows, **context)

    @route("/progress", methods=["GET"])
    @told
    async def progress(self, request: Request) -> Json:
        """How far those are that a list shows: `id` as often as there are."""
        visit, found = visit_of(request), dict[str, Json]()
        for campaign_id in request.query_params.getlist("id")[:SHOWN]:
            # What somebody has deleted meanwhile is not among them.
            with suppress(ParseError):
                found[campaign_id] = await live_of(visit, await visit.campaigns.get(campaign_id))
        return found


class CampaignPages(Page):
    """One campaign."""

    path, add_to_menu = "/campaigns", False

    @route("", methods=["GET"], name="campaigns")
    async def index(self, request: Request) -> Response:
        """The list is the first page."""
        return RedirectResponse("/console/", 303)

    @route("/{id}", methods=["GET"], name="campaign")
    @shown
    async def campaign(self, request: Request) -> Response:
        """As it is now: progress, what it says and when, and who has done what to it."""
        visit, campaign_id = visit_of(request), request.path_params["id"]
        room = visit.campaigns
        campaign = await room.get(campaign_id)
        live = await live_of(visit, campaign)
        audit = await history(room.store, campaign_id)
        context = {"campaign": campaign, "live": live, "when": sentences.when(campaign["schedule"]), "audit": audit}
        return self.show(request, "campaign.html", 200, **context)

    @route("/{id}/live", methods=["GET"], name="live")
    @told
    async def live(self, request: Request) -> Json:
        """How far it is, for a page that asks again and again."""
        visit = visit_of(request)
        return await live_of(visit, await visit.campaigns.get(request.path_params["id"]))

    @route("/{id}/orders/{order}", methods=["POST"], name="order")
    @shown
    async def order(self, request: Request) -> Response:
        """Pause, resume or cancel it; make another one like it; send again what has failed of it; forget it."""
        if request.path_params["order"] == "requeue":
            return await self._requeue(request)
        return await ordered(request, "campaign", visit_of(request).campaigns, _DONE)

    async def _requeue(self, request: Request) -> Response:
        """Send again what has failed of it, but for addresses that are gone."""
        visit, campaign_id = visit_of(request), request.path_params["id"]
        visit.demand("change")
        runs = [str(run["id"]) for run in await visit.campaigns.store.runs(campaign_id) if not run["test"]]
        try:
            count = await DeadLetters(visit.app, visit.campaigns.runs).requeue_failed(runs, visit.caller)
        except MbaasError as error:
            flash(request, words(error), "error")
        else:
            await visit.note("campaign requeue", campaign_id, deliveries=count)
            flash(request, f"{count} are sent again." if count else "Nothing of it can be sent again.", "success" if count else "info")
        return RedirectResponse(f"/console/campaigns/{campaign_id}", 303)

    @route("/{id}/launch", methods=["POST"], name="launch")
    @told
    async def launch(self, request: Request) -> Json:
        """Approve and schedule the very version that was reviewed: `updatedAt` says which."""
        visit, campaign_id, given = visit_of(request), request.path_params["id"], await body_of(request)
        visit.demand("change")
        seen = from_iso(str(given.get("updatedAt")))
        if seen is None:
            raise ParseError(Code.INVALID_VALUE, "Review the campaign again.")
        campaign = await visit.campaigns.get(campaign_id)
        # What could not be scheduled is not approved, either.
        visit.campaigns.launching.first(await visit.campaigns.store.get(campaign_id))
        for order in ORDERS[:2]:
            if order == "approve" and campaign["state"] == "approved" and from_iso(campaign["updatedAt"]) == seen:
                continue
            campaign = await visit.campaigns.order(campaign_id, order, visit.caller, seen)
            seen = from_iso(campaign["updatedAt"])
        await visit.note("campaign launch", campaign_id, version=campaign["version"])
        return {"id": campaign_id, "state": campaign["state"]}

    @route("/{id}/test", methods=["POST"], name="test")
    @told
    async def test(self, request: Request) -> Json:
        """Send it to one's own devices now: `device` is the id of an installation, or of a user."""
        visit, given = visit_of(request), await body_of(request)
        visit.demand("change")
        device = device_of(given)
        campaign = await visit.campaigns.store.get(request.path_params["id"])
        ids: Json = [device]
        asked = {name: given[name] for name in ("variant", "locale") if given.get(name)}
        run = await rehearsal.send_test(visit.campaigns, campaign, {"installations": ids, "users": ids, **asked})
        return await note(visit, "campaign", campaign.id, device, run)

    @route("/{id}/tests/{run}", methods=["GET"], name="tested")
    @told
    async def tested(self, request: Request) -> Json:
        """What became of a test."""
        visit = visit_of(request)
        return await tested(visit, visit.campaigns.store, request.path_params["id"], request.path_params["run"])

    @route("/{id}/report", methods=["GET"], name="report")
    @shown
    async def report(self, request: Request) -> Response:
        """What became of it: the funnel, and by what people differ in."""
        visit, campaign_id = visit_of(request), request.path_params["id"]
        campaign, run = await visit.campaigns.get(campaign_id), request.query_params.get("run", "")
        runs = [each for each in await visit.campaigns.store.runs(campaign_id) if not each["test"]]
        made = (await Report.of(visit.app, [each["id"] for each in runs if run in ("", each["id"])])).told()
        device, answers = request.query_params.get("device", "").strip(), list[Object]()
        if device and runs:
            chosen = run or runs[-1]["id"]
            answers = await why(visit.app, campaign_id, chosen, user=None, installation=device)
            if answers[0]["installation"] is None:
                answers = await why(visit.app, campaign_id, chosen, user=device, installation=None)
        held = sentences.reasons(made["suppressed"], sentences.HELD)
        failed = sentences.reasons(made["failed"], sentences.FAILED)
        context = {"campaign": campaign, "report": made, "runs": runs, "run": run, "device": device, "answers": answers}
        return self.show(request, "report.html", 200, **context, held=held, failed=failed)

    @route("/{id}/report.csv", methods=["GET"], name="report_csv")
    @shown
    async def report_csv(self, request: Request) -> Response:
        """The same for a spreadsheet."""
        visit, campaign_id = visit_of(request), request.path_params["id"]
        await visit.campaigns.get(campaign_id)
        runs = [each["id"] for each in await visit.campaigns.store.runs(campaign_id) if not each["test"]]
        made = await Report.of(visit.app, runs)
        headers = {"content-disposition": f'attachment; filename="campaign-{campaign_id}.csv"'}
        return Response(made.csv(), media_type="text/csv", headers=headers)


async def live_of(visit: Visit, campaign: Object) -> Object:
    """How far a campaign is, as a page shows it: the last run's counts, with what is left and why some are held."""
    label, colour, says = sentences.STATES[campaign["state"]]
    runs = [each for each in await visit.campaigns.store.runs(campaign["id"]) if not each["test"]]
    run = await progress(visit, runs[-1]["id"]) if runs else None
    shown = {name: campaign[name] for name in ("state", "next", "updatedAt")}
    return {**shown, "label": label, "colour": colour, "says": says, "runs": len(runs), "run": run}


async def _line(visit: Visit, campaign: Kept) -> Object:
    """A campaign as a line of the list."""
    seen = await visit.campaigns.told(campaign)
    live = await live_of(visit, seen)
    said = campaign.definition["variants"][0]["content"]
    text = said.get("title") or said.get("body") or "(silent)"
    variants = len(campaign.definition["variants"])
    named = {"id": campaign.id, "name": campaign.definition["name"], "text": text, "variants": variants}
    return {**named, "when": sentences.when(campaign.definition["schedule"]), "live": live, "updatedAt": seen["updatedAt"]}
