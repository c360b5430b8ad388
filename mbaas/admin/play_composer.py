"""The form of a play: one page, which says in a sentence what it will do. What it asks meanwhile is answered here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from mbaas.admin import play_sentences
from mbaas.admin.audience_pages import fields_of, vocabulary
from mbaas.admin.composition import Problems
from mbaas.admin.keeping import every_of
from mbaas.admin.play_composition import play_form_of, play_of
from mbaas.admin.visit import Page, Visit, body_of, shown, told, visit_of
from mbaas.admin.writing import check_lengths, checked, keep, places_of, previews
from mbaas.data.app import App
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas_push.campaigns import content, segments
from mbaas_push.moments import definition
from mbaas_push.moments.triggers import PEOPLE

_EDITED = ("draft", "paused")
_PLAIN = ("String", "Number", "Boolean")


class PlayComposer(Page):
    """Writes a play."""

    needs = "change"
    path, add_to_menu = "/compose-play", False

    @route("", methods=["GET"], name="compose_play")
    @shown
    async def index(self, request: Request) -> Response:
        """A new one."""
        return await self._form(request, None)

    @route("/{id}", methods=["GET"], name="edit_play")
    @shown
    async def edit(self, request: Request) -> Response:
        """One that is there."""
        play = await visit_of(request).plays.get(request.path_params["id"])
        if play["state"] not in _EDITED:
            more = "pause it first" if play["state"] == "live" else "make another one like it"
            raise ParseError(Code.OPERATION_FORBIDDEN, f"A play that is {play['state']} cannot be changed; {more}.", status=409)
        return await self._form(request, play)

    async def _form(self, request: Request, play: Object | None) -> Response:
        visit = visit_of(request)
        fields, classes = fields_of(visit.app), _followed(visit.app)
        named = {each.definition["trigger"].get("moment") for each in await every_of(visit.plays.store)}
        form: Object = {"id": None, "updatedAt": None, "form": None}
        if play is not None:
            form |= {"id": play["id"], "updatedAt": play["updatedAt"], "form": play_form_of(play, fields, classes)}
        # Whom it happens to is asked of one at a time, and nothing of what she has done.
        offered = {**await vocabulary(visit.app), "events": None}
        data = {**form, "vocabulary": offered, "limits": content.LIMITS, "places": places_of(fields)}
        data |= {"classes": classes, "moments": sorted(filter(None, named))}
        return self.show(request, "play_composer.html", 200, data=data, play=play)

    @route("/ask/preview", methods=["POST"], name="ask_play_preview")
    @told
    async def preview(self, request: Request) -> Json:
        """How the messages look, in each language, and how long they are."""
        return previews(visit_of(request), await body_of(request), ("moment", "offer"))

    @route("/ask/rule", methods=["POST"], name="ask_play_rule")
    @told
    async def rule(self, request: Request) -> Json:
        """The play in sentences, or what is still missing."""
        visit = visit_of(request)
        try:
            return {"sentences": play_sentences.rule(_checked(visit, await body_of(request)))}
        except Problems as problems:
            return {"problems": problems.found}

    @route("/ask/save", methods=["POST"], name="ask_play_save")
    @told
    async def save(self, request: Request) -> Json:
        """Keep it. What somebody else has changed meanwhile is not written over."""
        visit, given = visit_of(request), await body_of(request)
        try:
            made = _checked(visit, given)
        except Problems as problems:
            return {"problems": problems.found}
        kept = await keep(visit, visit.plays, "play", given, made)
        flash(request, f"“{kept['name']}” is saved.", "success")
        return {"id": kept["id"], "updatedAt": kept["updatedAt"]}


def _checked(visit: Visit, given: Object) -> Object:
    """The definition of a form. Problems, also for what a play's own rules refuse."""
    fields, classes = fields_of(visit.app), _followed(visit.app)
    kept = checked(visit, given, lambda form: play_of(form, fields, classes), definition.check)
    check_lengths(definition.said(kept))
    return kept


def _followed(app: App) -> Object:
    """The classes that a play may follow: which columns say whom an object is about, and which may be compared."""
    found: Object = {}
    for name in sorted(schema.name for schema in app.classes.all()):
        askable = segments.askable(app, name)
        pointers = {column: field.target for column, field in askable.items() if field.type == "Pointer"}
        subjects = ["objectId"] if name in PEOPLE else [column for column, target in pointers.items() if target in PEOPLE]
        if subjects and name != "_Session":
            columns = {column: field.type for column, field in askable.items() if field.type in _PLAIN and column != "objectId"}
            found[name] = {"subjects": subjects, "columns": columns}
    return found
