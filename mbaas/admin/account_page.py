"""How somebody signs in: her second factor, which she sets up, renews and takes away herself, whatever her role is."""

from __future__ import annotations

import segno
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette_admin.flash import flash
from starlette_admin.routing import route

from mbaas.admin.visit import ACCOUNT, Page, shown, visit_of
from mbaas.kernel.errors import Code, ParseError
from mbaas_auth.staff import factor, sessions
from mbaas_auth.staff.people import people_of


class AccountPage(Page):
    """Her own sign-in."""

    menu_label, path, add_to_menu = "Your sign-in", "/account", False

    @route("", name="account")
    @shown
    async def index(self, request: Request) -> Response:
        """What there is, or what is needed to set it up."""
        return await self._page(request)

    @route("/set-up", methods=["POST"], name="set_up_factor")
    @shown
    async def set_up(self, request: Request) -> Response:
        """A secret, a code of it, and the password: a page that somebody has left open is not enough."""
        visit, form = visit_of(request), await request.form()
        secret, person = str(form.get("secret", "")), visit.person
        try:
            # Guesses of the password are counted with those of codes.
            await factor.count(visit.app, person)
            if await people_of(visit.app).verify(person.email, str(form.get("password", ""))) is None:
                return await self._page(request, "password", "This is not your password.", secret)
            codes = await factor.enrol(visit.app, person, secret, str(form.get("code", "")))
        except ParseError as error:
            return await self._page(request, "code", error.message, secret)
        await sessions.prove(visit.app, visit.session)
        await sessions.end_others(visit.app, person, visit.session)
        await visit.note("second factor on")
        return self.show(request, "recovery.html", codes=codes)

    @route("/codes", methods=["POST"], name="renew_codes")
    @shown
    async def codes(self, request: Request) -> Response:
        """New recovery codes, for a code."""
        visit = visit_of(request)
        try:
            codes = await factor.renew(visit.app, visit.person, str((await request.form()).get("code", "")))
        except ParseError as error:
            return await self._page(request, "codes", error.message)
        await visit.note("recovery codes")
        return self.show(request, "recovery.html", codes=codes)

    @route("/turn-off", methods=["POST"], name="end_factor")
    @shown
    async def turn_off(self, request: Request) -> Response:
        """Take it away, for a code: a new phone begins with that."""
        visit = visit_of(request)
        try:
            await factor.end(visit.app, visit.person, str((await request.form()).get("code", "")))
        except ParseError as error:
            return await self._page(request, "off", error.message)
        await visit.note("second factor off")
        flash(request, "You sign in without a second factor now.", "success")
        return RedirectResponse(ACCOUNT, 303)

    async def _page(self, request: Request, at: str = "", error: str = "", secret: str = "") -> Response:
        visit = visit_of(request)
        told = {"at": at, "error": error, "required": await factor.required(visit.app)}
        if visit.person.factor:
            return self.show(request, "account.html", 400 if error else 200, **told)
        try:
            secret, address = factor.offered(visit.app, visit.person, secret)
            picture = segno.make(address, micro=False).svg_inline(scale=5, border=4, light="#fff", dark="#000")
        except ValueError as beyond:  # no secret of ours is too long for a picture
            raise ParseError(Code.MFA_ERROR, "This is no secret.") from beyond
        return self.show(request, "account.html", 400 if error else 200, **told, secret=secret, picture=picture)
