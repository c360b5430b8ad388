"""The plays: their list, one with its rule and what became of it, and what may be done with it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from mbaas.admin import play_sentences, sentences
from mbaas.admin.keeping import history, listed, ordered
from mbaas.admin.trying import device_of, note, tested
from mbaas.admin.visit import Page, body_of, shown, told, visit_of
from mbaas.kernel.clock import from_iso
from mbaas.kernel.values import Json, Object, pointer
from mbaas_push.campaigns import content
from mbaas_push.campaigns.store import Kept
from mbaas_push.moments import rehearsal
from mbaas_push.moments.definition import said
from mbaas_push.moments.offers import paths
from mbaas_push.moments.report import PlayReport
from mbaas_push.room import moments_of, runs_of

_SEEN = 10
"""Devices that a dry run shows."""
_FILTERS = {"": (), "draft": ("draft",), "live": ("live",), "paused": ("paused",), "retired": ("retired",)}
_DONE = {
    "start": "Live: it is sent whenever it is set off.",
    "pause": "Paused: nothing sets it off, and nothing leaves until you resume.",
    "resume": "Resumed.",
    "retire": "Retired: it sends nothing any more.",
}


class PlayPages(Page):
    """All plays, and one of them."""

    menu_label, icon, path = "Plays", "fa-solid fa-bolt", "/plays"

    def is_active(self, request: Request) -> bool:
        """True for everything that is about plays."""
        return super().is_active(request) or request.url.path.startswith("/console/compose-play")

    @route("", methods=["GET"], name="plays")
    @shown
    async def index(self, request: Request) -> Response:
        """The list, the last changed first."""
        found, context = await listed(request, visit_of(request).plays.store, _FILTERS)
        return self.show(request, "plays.html", 200, rows=[_line(each) for each in found], **context)

    @route("/{id}", methods=["GET"], name="play")
    @shown
    async def play(self, request: Request) -> Response:
        """Its rule, what became of it, and who has done what to it."""
        visit, play_id = visit_of(request), request.path_params["id"]
        play = await visit.plays.get(play_id)
        made = (await PlayReport.of_play(visit.app, play_id)).told()
        audit = await history(visit.plays.store, play_id)
        context = {"play": play, "live": _live(play["state"]), "report": made, "rule": play_sentences.rule(play), "audit": audit}
        held = sentences.reasons(made["suppressed"], play_sentences.NOT_SENT)
        failed = sentences.reasons(made["failed"], sentences.FAILED)
        tries = {"id": play_id, "phone": visit.person.phone, "places": _places(play)}
        return self.show(request, "play.html", 200, **context, held=held, failed=failed, tries=tries)

    @route("/{id}/results", methods=["GET"], name="play_results")
    @told
    async def results(self, request: Request) -> Json:
        """What became of it, in a few figures, for a line of the list."""
        visit, play_id = visit_of(request), request.path_params["id"]
        await visit.plays.get(play_id)
        made = (await PlayReport.of_play(visit.app, play_id)).told()
        total = made["total"]
        return {"fired": made["fired"], **{name: total[name] for name in ("sent", "opened", "converted", "value")}}

    @route("/{id}/dry-run", methods=["POST"], name="play_dry_run")
    @told
    async def dry_run(self, request: Request) -> Json:
        """What would be sent if it were set off for somebody now, and why not: `device` is the id of an installation, or of a user."""
        visit, given = visit_of(request), await body_of(request)
        visit.demand("change")
        device, room = device_of(given), moments_of(visit.app)
        play = await visit.plays.store.get(request.path_params["id"])
        where: Json = {"$or": [{"objectId": device}, {"user": pointer("_User", device)}]}
        event: Object = {"subject": {"where": where}}
        event |= {name: given[name] for name in ("props", "offer", "ask") if name in given}
        seen = await rehearsal.dry_run(visit.app, room, play, event, _SEEN)
        return {**seen, "held": sentences.reasons(seen["suppressed"], play_sentences.NOT_SENT), "says": play_sentences.NOT_SENT}

    @route("/{id}/test", methods=["POST"], name="play_test")
    @told
    async def test(self, request: Request) -> Json:
        """Send it to one's own devices now."""
        visit, given = visit_of(request), await body_of(request)
        visit.demand("change")
        device, play = device_of(given), await visit.plays.store.get(request.path_params["id"])
        ids: Json = [device]
        asked = {name: given[name] for name in ("variant", "locale", "props", "offer") if given.get(name)}
        body: Object = {"installations": ids, "users": ids, **asked}
        run = await rehearsal.send_test(visit.app, moments_of(visit.app), runs_of(visit.app), play, body)
        return await note(visit, "play", play.id, device, run)

    @route("/{id}/tests/{run}", methods=["GET"], name="play_tested")
    @told
    async def tested(self, request: Request) -> Json:
        """What became of a test."""
        visit = visit_of(request)
        return await tested(visit, visit.plays.store, request.path_params["id"], request.path_params["run"])

    @route("/{id}/orders/{order}", methods=["POST"], name="play_order")
    @shown
    async def order(self, request: Request) -> Response:
        """Start, pause, resume or retire it; make another one like it; forget it."""
        # What is started is what was on the page, and nothing that somebody has written meanwhile.
        seen = from_iso(str((await request.form()).get("updatedAt", "")))
        return await ordered(request, "play", visit_of(request).plays, _DONE, seen)


def _places(play: Object) -> Object:
    """What its texts, its conditions and its functions ask of what happened, and of an offer."""
    named = {path for variant in said(play) for path in content.paths(variant["content"])}
    named |= {path for function in play["functions"] for path in paths(function)}
    of: dict[str, set[str]] = {"moment": {name for name in play["filter"] if not name.startswith("$")}, "offer": set()}
    for path in named:
        root, _, name = path.partition(".")
        if root in of:
            of[root].add(name)
    return {"functions": bool(play["functions"]), **{root: sorted(names) for root, names in of.items()}}


def _live(state: str) -> Object:
    label, colour, says = play_sentences.STATES[state]
    return {"state": state, "label": label, "colour": colour, "says": says}


def _line(play: Kept) -> Object:
    """A play as a line of the list."""
    definition = play.definition
    when = f"{play_sentences.trigger(definition)}, for {play_sentences.lasting(definition['validFor'])}"
    return {"id": play.id, "name": definition["name"], "when": when, "live": _live(play.state)}
