"""Who may use the console: for its owners alone."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from mbaas.admin.roles import SAYS
from mbaas.admin.visit import Page, shown, visit_of
from mbaas.kernel.errors import Code, ParseError
from mbaas_auth.staff.people import people_of


class PeoplePage(Page):
    """Lists, invites and removes them."""

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
        status = 400 if error else 200
        return self.show(request, "people.html", status, people=people, says=SAYS, invited=invited, error=error, email=email)

    @route("/remove", methods=["POST"], name="remove_person")
    @shown
    async def remove(self, request: Request) -> Response:
        """Take the console from somebody; not from oneself, so that an owner is left."""
        visit = visit_of(request)
        people = people_of(visit.app)
        # As it is kept: she is the same however the address is written.
        person = await people.get(str((await request.form()).get("email", "")))
        if person is None:
            raise ParseError(Code.OBJECT_NOT_FOUND, "Nobody uses the console with this address.")
        if person.email == visit.person.email:
            flash(request, "You cannot remove yourself; another owner can.", "error")
        else:
            await people.remove(person.email)
            await visit.note("remove person", person.email)
            flash(request, f"{person.email} may no longer use the console.", "success")
        return RedirectResponse("/console/people", 303)
