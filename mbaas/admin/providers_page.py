"""With what pushes are sent, and whether the providers take the credentials. No key is shown, and none can be set here."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette_admin.routing import route

from mbaas.admin.visit import Page, shown, visit_of
from mbaas_push.room import providers_checked

_NAMES = {"fcm": "Android (Firebase)", "apns": "Apple", "webpush": "Browsers (Web Push)"}
_STATES = {
    "good": ("Good", "green"),
    "wrong": ("Refused", "red"),
    "unreachable": ("No answer", "orange"),
    "absent": ("Not set up", "secondary"),
}


class ProvidersPage(Page):
    """Asks the providers, when somebody wants to know."""

    needs = "change"
    menu_label, icon, path = "Providers", "fa-solid fa-plug", "/providers"

    @route("", methods=["GET", "POST"], name="providers")
    @shown
    async def index(self, request: Request) -> Response:
        """What there is to ask; a POST asks."""
        visit = visit_of(request)
        found = await providers_checked(visit.app) if request.method == "POST" else []
        if found:
            await visit.note("providers check")
        return self.show(request, "providers.html", 200, found=found, names=_NAMES, labels=_STATES)
