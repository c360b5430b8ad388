"""Audiences with a name: how many are in each, some of them, and what it asks; and the rows by which forms ask."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from mbaas.admin.rows import OPS, Fields, RowError, audience_of, rows_of
from mbaas.admin.visit import Page, Visit, body_of, shown, told, visit_of
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import FindOptions
from mbaas.kernel.caller import MASTER
from mbaas.kernel.errors import ParseError
from mbaas.kernel.values import Json, Object
from mbaas_push import event_queries
from mbaas_push.campaigns import audiences, segments
from mbaas_push.campaigns.rehearsal import preview

_SAMPLE, _LOOKED = 10, 500
_NAMES = {
    "deviceType": "Platform",
    "localeIdentifier": "Language",
    "timeZone": "Time zone",
    "appVersion": "App version",
    "channels": "Channel",
    "createdAt": "First seen",
    "updatedAt": "Last seen",
    "appIdentifier": "App",
    "optOuts": "Opted out of",
    "emailVerified": "Address is proven",
}
_TECHNICAL = frozenset(
    "objectId installationId deviceToken GCMSenderId pushType parseVersion deviceTokenLastModified appName badge ACL user".split()
)
"""Columns that nobody means who chooses an audience."""
_SUGGESTED = ("deviceType", "localeIdentifier", "timeZone", "appVersion", "channels")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")


def fields_of(app: App) -> Fields:
    """What an audience may ask of installations and of users."""
    return {"installation": segments.askable(app, segments.CLASS), "user": segments.askable(app, "_User")}


async def vocabulary(app: App) -> Object:
    """What the form of an audience offers: fields with names, what may be asked of each, events, and values that occur."""
    offered: Object = {}
    for of, columns in fields_of(app).items():
        known = [(name, field) for name, field in columns.items() if name not in _TECHNICAL and field.type in OPS]
        listed: list[Object] = [{"name": name, "label": _label(name), "type": field.type} for name, field in known]
        offered[of] = sorted(listed, key=lambda one: (one["name"] not in _NAMES, one["label"]))
    return {"fields": offered, "ops": OPS, "events": await event_queries.names(app), "values": await _values(app)}


async def _values(app: App) -> dict[str, list[str]]:
    """Values of some columns of installations, as those have them that are looked at."""
    options = FindOptions(keys=_SUGGESTED, order=(("updatedAt", True),), limit=_LOOKED)
    found: dict[str, set[str]] = {name: set() for name in _SUGGESTED}
    for each in await find_objects(app, MASTER, segments.CLASS, options):
        for name in _SUGGESTED:
            value = each.get(name)
            found[name].update(one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))
    return {name: sorted(values)[:100] for name, values in found.items()}


def _label(name: str) -> str:
    words = _NAMES.get(name) or _WORD.sub(" ", name).lower()
    return words[0].upper() + words[1:]


async def count(visit: Visit, audience: Object) -> Object:
    """How many are in an audience, and some of them."""
    return await preview(visit.campaigns, {"audience": audience}, _SAMPLE)


class AudiencePages(Page):
    """The audiences of an app."""

    menu_label, icon, path = "Audiences", "fa-solid fa-users", "/audiences"

    @route("", methods=["GET"], name="audiences")
    @shown
    async def index(self, request: Request) -> Response:
        """All of them."""
        visit = visit_of(request)
        return self.show(request, "audiences.html", 200, rows=await audiences.all_audiences(visit.app))

    @route("/{id}", methods=["GET"], name="audience")
    @shown
    async def audience(self, request: Request) -> Response:
        """One of them, or a new one."""
        visit, audience_id = visit_of(request), request.path_params["id"]
        new: Object = {"id": None, "name": "", "audience": {}}
        if audience_id == "new":
            visit.demand("change")
        found = new if audience_id == "new" else await audiences.get(visit.app, audience_id)
        rows = rows_of(found["audience"], fields_of(visit.app)) if found["audience"] is not None else None
        form = {"id": found["id"], "name": found["name"], "rows": rows, "kept": found["audience"]}
        return self.show(request, "audience.html", 200, form=form, vocabulary=await vocabulary(visit.app))

    @route("/count", methods=["POST"], name="count")
    @told
    async def count(self, request: Request) -> Json:
        """How many rows find, and some of those."""
        visit, given = visit_of(request), await body_of(request)
        try:
            return await count(visit, _asked(visit, given))
        except RowError as error:
            return {"problems": {f"audience.{error.place}": error.text}}

    @route("/{id}/save", methods=["POST"], name="save_audience")
    @told
    async def save(self, request: Request) -> Json:
        """Keep one."""
        visit, given, audience_id = visit_of(request), await body_of(request), request.path_params["id"]
        visit.demand("change")
        name = given.get("name")
        if not isinstance(name, str) or not name.strip():
            return {"problems": {"name": "Give the audience a name."}}
        try:
            asked = _asked(visit, given)
        except RowError as error:
            return {"problems": {f"audience.{error.place}": error.text}}
        kept = await audiences.keep(visit.app, visit.caller, None if audience_id == "new" else audience_id, name, asked)
        await visit.note("audience save", kept)
        flash(request, f"“{name.strip()}” is saved.", "success")
        return {"id": kept}

    @route("/{id}/delete", methods=["POST"], name="delete_audience")
    @shown
    async def delete(self, request: Request) -> Response:
        """Take one away."""
        visit, audience_id = visit_of(request), request.path_params["id"]
        visit.demand("change")
        await audiences.forget(visit.app, visit.caller, audience_id)
        await visit.note("audience delete", audience_id)
        flash(request, "The audience is gone. Campaigns that were made of it keep what it was.", "success")
        return RedirectResponse("/console/audiences", 303)


def _asked(visit: Visit, given: Object) -> Object:
    """The audience of a form: rows, or what no rows can say. ParseError for what may not be asked."""
    if isinstance(given.get("kept"), dict):
        return dict(given["kept"])
    return audience_of(given.get("rows", []), fields_of(visit.app))


async def saved_for(visit: Visit) -> list[Object]:
    """Saved audiences with their rows, as a form may begin with them; those that it cannot show come as they are kept."""
    try:
        every = await audiences.all_audiences(visit.app)
    except ParseError:
        return []
    fields = fields_of(visit.app)
    shown = [each for each in every if each["audience"] is not None]
    return [{**each, "rows": rows_of(each["audience"], fields)} for each in shown]
