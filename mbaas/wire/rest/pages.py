"""Where the links of mails lead: an address is proved, a password chosen. No keys are asked for, since a browser has none.

Routes, forms and answers are those of Parse Server 9's pages; only what is a text counts as a token.
"""

from __future__ import annotations

from typing import Literal

from mbaas.data.app import App
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json
from mbaas.wire.dispatch import enter
from mbaas.wire.errors import Unauthorized
from mbaas.wire.limits import Kind
from mbaas.wire.pages import templates
from mbaas.wire.pages.going import ASIDE, NOT_FOUND, go, shown, wanted_locale
from mbaas.wire.pages.locales import FOLDERS
from mbaas.wire.pages.names import BY_FILE
from mbaas.wire.pages.texts import DIFFERENT
from mbaas.wire.request import Answer, Request, parse_pairs
from mbaas.wire.routes import Handler, Route
from mbaas_auth import accounts
from mbaas_auth.password_reset import NoReset

ENDPOINT = "apps"
"""Where the pages are unless an app says otherwise (`pages.pagesEndpoint`)."""


async def _enter(request: Request, app_id: Json, attempt: Kind | None = None) -> App:
    """The app that the address names; 403 if there is none. An `attempt` counts for the limits of the caller's address."""
    app = request.dispatcher.apps.get(app_id) if isinstance(app_id, str) else None
    if app is None:
        raise Unauthorized
    await enter(request, app)
    if attempt is not None:
        body = request.body if isinstance(request.body, dict) else {}
        await request.limits.attempt(attempt, request.caller, body if attempt == "mail" else {})
    return app


def _text(given: Json) -> str:
    return given if isinstance(given, str) else ""


async def verify_email(request: Request) -> Answer:
    """Prove an address by the link of a mail."""
    app = await _enter(request, request.params[0])
    token = _text(parse_pairs(request.query).get("token"))
    if token and await accounts.verify_address(app, token) is not None:
        return go(request, app, "emailVerificationSuccess")
    return go(request, app, "emailVerificationLinkInvalid", token=token)


async def resend_verification_email(request: Request) -> Answer:
    """Have such a mail sent again, from a form."""
    app = await _enter(request, request.params[0], "mail")
    body = request.object()
    username, token = _text(body.get("username")), _text(body.get("token"))
    if not username and not token:
        return go(request, app, "emailVerificationLinkInvalid")
    sent = await accounts.resend_verification(app, username, token)
    return go(request, app, "emailVerificationSendSuccess" if sent else "emailVerificationSendFail")


async def choose_password(request: Request) -> Answer:
    """A form for a new password."""
    query = parse_pairs(request.query)
    app = await _enter(request, query.get("appId"))
    return go(request, app, "passwordReset", {name: text for name in ("token", "username") if (text := _text(query.get(name)))})


async def password_form(request: Request) -> Answer:
    """The form that the link of a mail leads to."""
    app = await _enter(request, request.params[0])
    token = _text(parse_pairs(request.query).get("token"))
    try:
        await accounts.reset_link(app, token)
    except NoReset:
        return go(request, app, "passwordResetLinkInvalid")
    return go(request, app, "passwordReset", {"token": token})


async def reset_password(request: Request) -> Answer | Json:
    """Choose a new password, by that form or by a script."""
    app = await _enter(request, request.params[0], "sign-in")
    body = request.object()
    token, password = _text(body.get("token")), _text(body.get("new_password"))
    script = (request.header(b"x-requested-with") or "").lower() == "xmlhttprequest"
    if script and not token:
        raise ParseError(Code.OTHER_CAUSE, "Missing token")
    if script and not password:
        raise ParseError(Code.PASSWORD_MISSING, "Missing password")
    if not token or not password:
        return go(request, app, "passwordResetLinkInvalid")
    try:
        if body.get("confirm_new_password", password) != password:
            raise NoReset(DIFFERENT)
        await accounts.reset_password(app, token, password)
    except NoReset as error:
        if script:
            raise ParseError(Code.OTHER_CAUSE, str(error)) from error
        return go(request, app, "passwordReset", {"token": token, "error": str(error)}, redirect=False)
    return "Password successfully reset" if script else go(request, app, "passwordResetSuccess", redirect=False)


async def page(request: Request) -> Answer:
    """A page by its file, or a file of the app's own pages."""
    app_id = parse_pairs(request.query).get("appId")
    apps = request.dispatcher.apps
    app = apps.get(app_id) if isinstance(app_id, str) else next(iter(apps.values()))
    if app is None:
        return NOT_FOUND
    *folder, file = request.params[-1].split("/")
    options, locale = app.options, wanted_locale(request)
    known = {"appId": options.app_id, "appName": options.app_name, "publicServerUrl": options.link_url, "locale": locale}
    told = {name: value for name, value in known.items() if value is not None}
    if path := templates.found(options.pages, [*folder, file]):
        data, kind = templates.filled(path, options.pages, locale, told)
        return Answer(200, data, [*ASIDE], kind)
    if file not in BY_FILE or len(folder) > 1 or (folder and folder[0].lower() not in FOLDERS):
        return NOT_FOUND
    return shown(request, app, BY_FILE[file], told, folder[0] if folder else locale)


def routes(endpoint: str = ENDPOINT) -> tuple[Route, ...]:
    """The routes of the pages, below a part of the path."""

    def route(method: Literal["GET", "POST"], path: str, handler: Handler, summary: str) -> Route:
        return Route(method, f"/{endpoint}/{path}", handler, summary, "pages", keys=False, batch=False)

    return (
        route("GET", ":appId/verify_email", verify_email, "Prove an address by the link of a mail"),
        route("POST", ":appId/resend_verification_email", resend_verification_email, "Have that mail sent again"),
        route("GET", "choose_password", choose_password, "A form for a new password"),
        route("GET", ":appId/request_password_reset", password_form, "The form that the link of a mail leads to"),
        route("POST", ":appId/request_password_reset", reset_password, "Choose a new password"),
        route("GET", "*", page, "A page, or a file of the app's own pages"),
    )
