"""Into the console and out of it: sign-in, sign-out, and the links of those who were invited.

Who has a second factor is asked for a code after the password, wherever she comes from. Where everybody needs one, whoever has none
gets no further than to the page where it is set up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from starlette.datastructures import FormData
from starlette.middleware import Middleware
from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette_admin.auth.base import AdminUser, AuthMiddleware, BaseAuthProvider

from mbaas.admin.door import Limiter
from mbaas.admin.visit import ACCOUNT, Visit
from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, ParseError, TooMany
from mbaas.observe.logs import get_logger
from mbaas_auth.staff import factor, sessions
from mbaas_auth.staff.people import PATH, SHORTEST_PASSWORD, Person, people_of

_COOKIE = "mbaas_console"
"""The session's; over https it is `__Host-…`, which no other host can plant."""
_WRONG = "The address or the password is wrong."
_GONE = "This link was used, or is too old. Ask whoever sent it for a new one; if you have an account, sign in."


@dataclass
class Worker(AdminUser):
    """Somebody at the console, as its menu shows her."""

    role: str = ""
    app_name: str = ""
    photo_url: str | None = field(default=None)


class _Gate(AuthMiddleware):
    """Lets nobody in without a second factor where everybody needs one."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        """Answer one request."""

        async def go_on(request: Request) -> Response:
            visit = getattr(request.state, "visit", None)
            if isinstance(visit, Visit) and not visit.person.factor and not _needs_none(request) and await factor.required(visit.app):
                return RedirectResponse(ACCOUNT, 303)
            return await call_next(request)

        return await super().dispatch(request, go_on)


class Entrance(BaseAuthProvider):
    """Signs people in to one of the apps; the cookie says which."""

    def __init__(self, apps: Mapping[str, App], limiters: Mapping[str, Limiter]) -> None:
        super().__init__(allow_routes=["join"])
        self._apps, self._limiters = apps, limiters
        self._secure = any(app.options.public_url.startswith("https:") for app in apps.values())
        self._cookie, self._cookie_path = (f"__Host-{_COOKIE}", "/") if self._secure else (_COOKIE, PATH)

    def get_routes(self, templates: Jinja2Templates) -> list[Route]:
        """The pages that nobody has to be signed in for."""
        self._templates = templates
        return [
            Route(self.login_path, self._login, methods=["GET", "POST"], name="login"),
            Route(self.logout_path, self._logout, methods=["POST"], name="logout"),
            Route("/join/{token}", self._join, methods=["GET", "POST"], name="join"),
        ]

    def get_middleware(self) -> Middleware:
        """Who is let in."""
        return Middleware(_Gate, provider=self)

    async def authenticate(self, request: Request) -> AdminUser | None:
        """Who is signed in, if anybody is."""
        app, token = self._signed(request)
        person = await sessions.person_of(app, token) if app is not None else None
        if app is None or person is None:
            return None
        caller = Caller(master=True, read_only=person.role == "read-only", ip=request.state.address, staff=person.email)
        request.state.visit = Visit(app, person, caller, token)
        return Worker(person.email, role=person.role, app_name=app.options.app_name or app.options.app_id)

    def _signed(self, request: Request) -> tuple[App | None, str]:
        app_id, _, token = request.cookies.get(self._cookie, "").partition(":")
        return self._apps.get(unquote(app_id)), token

    async def _login(self, request: Request) -> Response:
        if request.method == "GET":
            return self._page(request, "sign_in.html", next=request.query_params.get("next", ""))
        form = await request.form()
        if "ticket" in form:
            return await self._second(request, form)
        email, password = _text(form, "email"), _text(form, "password")
        shown = {"email": email, "next": _text(form, "next"), "app_id": _text(form, "app")}
        app = self._apps.get(shown["app_id"]) if len(self._apps) > 1 else next(iter(self._apps.values()))
        if app is None:
            return self._page(request, "sign_in.html", 400, **shown, error="Choose an app.")
        caller = Caller(ip=request.state.address)
        try:
            # The users of the app have counts of their own, whatever addresses they have.
            attempt = await self._limiters[app.options.app_id].attempt("sign-in", caller, {"username": f"console {email}"})
            person = await people_of(app).verify(email, password)
        except TooMany as error:
            text = f"Too many attempts. Try again in {max(1, round(error.retry_after_s / 60))} minutes."
            return self._page(request, "sign_in.html", 429, **shown, error=text)
        if person is None:
            if attempt is not None:
                await attempt.failed()
            get_logger(__name__).warning("a sign-in to the console was refused", app=app.options.app_id, ip=caller.ip)
            return self._page(request, "sign_in.html", 401, **shown, error=_WRONG)
        if attempt is not None:
            await attempt.forgive()
        return await self._asked(request, app, person, _inside(shown["next"]), "console sign-in")

    async def _asked(self, request: Request, app: App, person: Person, where: str, what: str) -> Response:
        """Sign in who has shown her password, once she has shown her second factor, if she has one."""
        if not person.factor:
            return await self._enter(request, app, person, where, what)
        ticket = await sessions.ticket(app, person)
        return self._page(request, "code.html", ticket=ticket, app_id=app.options.app_id, next=where)

    async def _second(self, request: Request, form: FormData) -> Response:
        """A code, with the ticket of whom it is asked."""
        app, ticket, where = self._apps.get(_text(form, "app")), _text(form, "ticket"), _inside(_text(form, "next"))
        person = await sessions.ticket_of(app, ticket) if app is not None else None
        if app is None or person is None:
            return self._page(request, "sign_in.html", 401, next=where, error="That took too long. Sign in again.")
        try:
            await factor.prove(app, person, _text(form, "code"))
        except ParseError as error:
            get_logger(__name__).warning("a code for the console was refused", app=app.options.app_id, ip=request.state.address)
            shown = {"ticket": ticket, "app_id": app.options.app_id, "next": where}
            return self._page(request, "code.html", 429 if isinstance(error, TooMany) else 401, **shown, error=error.message)
        if not await sessions.use(app, ticket):
            return self._page(request, "sign_in.html", 401, next=where, error="That took too long. Sign in again.")
        return await self._enter(request, app, person, where, "console sign-in")

    async def _logout(self, request: Request) -> Response:
        app, token = self._signed(request)
        person = await sessions.person_of(app, token) if app is not None else None
        if app is not None and person is not None:
            await sessions.end(app, token)
            await app.audit.note(Caller(ip=request.state.address, staff=person.email), "console sign-out")
        response = RedirectResponse(f"{PATH}/login", 303)
        response.delete_cookie(self._cookie, path=self._cookie_path, secure=self._secure, httponly=True, samesite="lax")
        return response

    async def _join(self, request: Request) -> Response:
        app, token = self._apps.get(request.query_params.get("app", "")), request.path_params["token"]
        invitation = await people_of(app).invitation(token) if app is not None else None
        if app is None or invitation is None:
            return self._page(request, "sign_in.html", 404 if request.method == "POST" else 200, error=_GONE)
        shown = {"invitation": invitation, "email": invitation.email, "shortest": SHORTEST_PASSWORD, "app": app.options}
        if request.method == "GET":
            return self._page(request, "join.html", **shown)
        form = await request.form()
        email, password, again = _text(form, "email"), _text(form, "password"), _text(form, "again")
        if password != again:
            return self._page(request, "join.html", 400, **{**shown, "email": email}, at="again", error="The two are not the same.")
        try:
            await self._limiters[app.options.app_id].attempt("sign-in", Caller(ip=request.state.address), {})
            person = await people_of(app).accept(token, email, password)
        except ParseError as error:
            at = "password" if error.code == Code.VALIDATION_ERROR else "email"
            return self._page(request, "join.html", error.status, **{**shown, "email": email}, at=at, error=error.message)
        return await self._asked(request, app, person, f"{PATH}/", "console joined")

    async def _enter(self, request: Request, app: App, person: Person, where: str, what: str) -> Response:
        """Sign in under a new token, whatever the browser had before."""
        before, old = self._signed(request)
        if before is not None:
            await sessions.end(before, old)
        token = await sessions.begin(app, person)
        await app.audit.note(Caller(ip=request.state.address, staff=person.email), what, role=person.role)
        response = RedirectResponse(where, 303)
        value, path = f"{quote(app.options.app_id, safe='')}:{token}", self._cookie_path
        lasts = sessions.LASTS_S
        response.set_cookie(self._cookie, value, max_age=lasts, path=path, httponly=True, secure=self._secure, samesite="lax")
        return response

    def _page(self, request: Request, name: str, status: int = 200, /, **context: object) -> Response:
        known = {"apps": [app.options for app in self._apps.values()], "email": "", "next": "", "at": "", "error": ""}
        return self._templates.TemplateResponse(request, name, {**known, **context}, status)


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _needs_none(request: Request) -> bool:
    """True for what is open without a second factor: where it is set up, the way out, and what all pages look like."""
    # The path that is routed: the one in `request.url` is made of what the client says its host is.
    path: str = request.scope["path"]
    return path == ACCOUNT or path.startswith((f"{ACCOUNT}/", f"{PATH}/static/", f"{PATH}/logout"))


def _inside(wanted: str) -> str:
    """Where to go after a sign-in: nowhere but in the console."""
    parts = urlsplit(wanted)
    inside = parts.path.startswith(f"{PATH}/") and "\\" not in wanted
    return f"{parts.path}?{parts.query}" if inside and parts.query else parts.path if inside else f"{PATH}/"
