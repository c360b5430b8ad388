"""Who may use the console: for its owners alone."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from mbaas.admin.roles import SAYS
from mbaas.admin.visit import Page, shown, visit_of
from mbaas.kernel.errors import Code, ParseError
from mbaas_auth.staff import factor
from mbaas_auth.staff.people import Person, people_of


class PeoplePage(Page):
    """Lists, invites and removes them, and says whether they all need a second factor."""

    needs = "people"
    menu_label, icon, path = "People", "fa-solid fa-user-shield", "/people"

    @route("", methods=["GET", "POST"], name="people")
    @shown
    async def index(self, request: Request) -> Response:
        """The list; a POST invites somebody, whose link is shown once."""
        visit, invited, error, email = visit_of(request), None, "", ""
        if request.method == "POST":
            form = await request.form()
            role, email = str(form.get("role", "")), str(form.get("email", "")).strip()
            try:
                invited = await people_of(visit.app).invite(role, email)
                await visit.note("invite", email, role=role)
            except ParseError as refused:
                error = refused.message
        people = await people_of(visit.app).all()
        told = {"people": people, "says": SAYS, "required": await factor.required(visit.app)}
        return self.show(request, "people.html", 400 if error else 200, **told, invited=invited, error=error, email=email)

    @route("/remove", methods=["POST"], name="remove_person")
    @shown
    async def remove(self, request: Request) -> Response:
        """Take the console from somebody; not from oneself, so that an owner is left."""
        visit, person = visit_of(request), await _named(request)
        if person.email == visit.person.email:
            flash(request, "You cannot remove yourself; another owner can.", "error")
        else:
            await people_of(visit.app).remove(person.email)
            await visit.note("remove person", person.email)
            flash(request, f"{person.email} may no longer use the console.", "success")
        return RedirectResponse("/console/people", 303)

    @route("/reset-factor", methods=["POST"], name="reset_factor")
    @shown
    async def reset_factor(self, request: Request) -> Response:
        """Take the second factor of somebody who has lost it."""
        visit, person = visit_of(request), await _named(request)
        if person.email == visit.person.email:
            flash(request, "Your own is turned off with a code, at “Your sign-in”.", "error")
        else:
            await factor.reset(visit.app, person)
            await visit.note("reset second factor", person.email)
            flash(request, f"{person.email} signs in with the password alone, until there is a new second factor.", "success")
        return RedirectResponse("/console/people", 303)

    @route("/require-factor", methods=["POST"], name="require_factor")
    @shown
    async def require_factor(self, request: Request) -> Response:
        """Say whether everybody needs one."""
        visit, said = visit_of(request), (await request.form()).get("everybody")
        if said not in ("yes", "no"):
            raise ParseError(Code.VALIDATION_ERROR, "Say whether everybody needs a second factor: yes or no.")
        everybody = said == "yes"
        await factor.require(visit.app, everybody)
        await visit.note("second factor required" if everybody else "second factor not required")
        text = "Whoever has no second factor sets one up before anything else." if everybody else "Everybody chooses now."
        flash(request, text, "success")
        return RedirectResponse("/console/people", 303)


async def _named(request: Request) -> Person:
    """Whom a form means, as she is kept: she is the same however the address is written."""
    person = await people_of(visit_of(request).app).get(str((await request.form()).get("email", "")))
    if person is None:
        raise ParseError(Code.OBJECT_NOT_FOUND, "Nobody uses the console with this address.")
    return person
