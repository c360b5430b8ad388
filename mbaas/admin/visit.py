"""Who is at the console in one request, in which app; and how its pages answer, errors included."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, ClassVar, TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette_admin import CustomView
from starlette_admin.flash import get_flashed_messages

from mbaas.admin.roles import RIGHTS, Right
from mbaas.data.app import App
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import Code, Conflict, MbaasError, ParseError
from mbaas.kernel.values import Json, Object, read_json
from mbaas_auth.staff.people import PATH, Person
from mbaas_push.campaigns.campaigns import Campaigns
from mbaas_push.moments.plays import Plays
from mbaas_push.room import campaigns_of, moments_of

ACCOUNT = f"{PATH}/account"
"""Where everybody sees to her own sign-in."""
_FORBIDDEN = "Your role does not allow this. Ask an owner of the console."
_SELF = TypeVar("_SELF")


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is signed in."""

    app: App
    person: Person
    caller: Caller
    session: str = field(repr=False)
    """The token of her session."""

    def may(self, right: Right) -> bool:
        """True if her role allows it."""
        return right in RIGHTS[self.person.role]

    def demand(self, right: Right) -> None:
        """403 unless her role allows it."""
        if not self.may(right):
            raise HTTPException(403, _FORBIDDEN)

    def demand_provider(self) -> None:
        """115 where the app has nothing to send with."""
        campaigns_of(self.app)

    @property
    def campaigns(self) -> Campaigns:
        """The app's campaigns; 115 where it has nothing to send them with."""
        return campaigns_of(self.app)

    @property
    def plays(self) -> Plays:
        """The app's plays; 115 where it has nothing to send them with."""
        return moments_of(self.app).plays

    async def note(self, what: str, about: str = "", **more: Json) -> None:
        """Have the app's audit know what was done."""
        await self.app.audit.note(self.caller, f"console {what}", about, **more)


def visit_of(request: Request) -> Visit:
    """Who is here. What nobody is signed in for does not ask."""
    visit = request.state.visit
    assert isinstance(visit, Visit)
    return visit


class Page(CustomView):
    """A page, or several that belong together; `needs` is what all of them are for."""

    needs: ClassVar[Right] = "see"

    def is_accessible(self, request: Request) -> bool:
        """True if her role allows it."""
        visit = getattr(request.state, "visit", None)
        return isinstance(visit, Visit) and visit.may(self.needs)

    def is_active(self, request: Request) -> bool:
        """True for the page's place in the menu."""
        here = request.url.path.removeprefix("/console").strip("/")
        own = self.path.strip("/")
        return here == own or (bool(own) and here.startswith(f"{own}/"))

    def show(self, request: Request, name: str, status: int = 200, /, **context: Any) -> Response:
        """A page by its template."""
        visit = visit_of(request)
        known = {"visit": visit, "may_change": visit.may("change"), "title": self.title(request)}
        messages = get_flashed_messages(request)
        assert self.templates is not None
        return self.templates.TemplateResponse(request, name, {**known, "flashed_messages": messages, **context}, status)


def shown(handler: Callable[[_SELF, Request], Awaitable[Response]]) -> Callable[[_SELF, Request], Awaitable[Response]]:
    """A handler of a page: what cannot be done is a page that says so."""

    @wraps(handler)
    async def answered(self: _SELF, request: Request) -> Response:
        try:
            return await handler(self, request)
        except MbaasError as error:
            raise HTTPException(error.status, words(error)) from error

    return answered


def told(handler: Callable[[_SELF, Request], Awaitable[Json]]) -> Callable[[_SELF, Request], Awaitable[Response]]:
    """A handler that a script asks: JSON, also of what cannot be done."""

    @wraps(handler)
    async def answered(self: _SELF, request: Request) -> Response:
        try:
            return JSONResponse(await handler(self, request))
        except MbaasError as error:
            return JSONResponse({"error": words(error)}, error.status)
        except HTTPException as error:
            return JSONResponse({"error": error.detail}, error.status_code)

    return answered


async def body_of(request: Request) -> Object:
    """A JSON object that a script has sent."""
    try:
        given = read_json(await request.body())
    except ValueError as error:
        raise ParseError(Code.INVALID_JSON, "This is no JSON, or nests too deeply.") from error
    if not isinstance(given, dict):
        raise ParseError(Code.INVALID_JSON, "This is no JSON object.")
    return given


def words(error: MbaasError) -> str:
    """What cannot be done, as the console says it."""
    if isinstance(error, ParseError) and error.code == Code.PUSH_MISCONFIGURED:
        return (
            "This app has nothing to send with yet: a developer has to set up Firebase, Apple's service or Web Push; "
            "or, to try the console, “mbaas push mock”."
        )
    if isinstance(error, Conflict):
        return "Somebody else has changed this meanwhile. Load the page again to see how it is now."
    return error.message
