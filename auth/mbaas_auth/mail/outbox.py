"""The outbox: mails wait in the store until somebody has taken them, so that a crash loses none and a slow server holds up nobody.

What waits is no text and no link, but whom to write to and why: a copy of the database has no links in it. Who asks for a mail is
answered as soon as it waits; for an address that nobody has there is something to wait, too, and no answer comes sooner than another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mbaas.data.app import App
from mbaas.jobs.owner import Owner
from mbaas.jobs.queue import Queue, Task
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.storage.ports import Document, PutRow
from mbaas_auth.mail.links import Links
from mbaas_auth.mail.ports import Kind, Letter, Mailer, Notice, Undelivered
from mbaas_auth.tickets import Tickets

ROOM = "mails"
_TABLE = "mails"
_FIRST_WAIT_MS, _LONGEST_WAIT_MS = 1000, 600_000
"""How long a mail waits that was not taken: twice as long each time, up to a bound."""
_TOO_OLD_MS = 24 * 3600 * 1000
_EVEN_SECONDS = 0.15
"""How long every answer takes: more than the store needs, so that nobody learns from it what the store did."""
_KEY = 20
_LANGUAGE = ("locale", "localeIdentifier", "language")
"""Columns that apps keep a person's language in."""
_NO_MAIL = "An appName, publicServerURL, and emailAdapter are required for password reset and email verification functionality."


class Outbox:
    """The mails of one app that wait."""

    def __init__(self, app: App, mailer: Mailer, owner: Owner) -> None:
        self._app, self._mailer = app, mailer
        self._links, self._tickets = Links(app), Tickets(app)
        self._queue = Queue(app, _TABLE, self._send, owner)

    def start(self) -> None:
        """Begin to send."""
        self._queue.start()

    async def close(self) -> None:
        """Stop; what waits is sent by another process, or after the next start."""
        await self._queue.close()

    def letter(self, kind: Kind, user_id: str, to: Json, ticket: str | None = None) -> PutRow:
        """The step that has a mail wait; `ticket` is the id of what it signs in with. Whoever has committed it calls `wake`."""
        now = self._app.clock.now()
        value: Object = {"kind": kind, "user": user_id, "to": to, "since": now, "tries": 0}
        if ticket is not None:
            value["ticket"] = ticket
        return PutRow(_TABLE, self._app.ids.object_id(_KEY), value, due=now)

    def notice(self, kind: Notice, user_id: str, to: str, about: str) -> PutRow:
        """The step that has somebody be told what was done to her account. Whoever has committed it calls `wake`."""
        now = self._app.clock.now()
        value: Object = {"kind": kind, "user": user_id, "to": to, "about": about, "since": now, "tries": 0}
        return PutRow(_TABLE, self._app.ids.object_id(_KEY), value, due=now)

    def nothing(self) -> PutRow:
        """The step for an address that nobody has: there is something to be written, and nothing is sent."""
        return PutRow(_TABLE, self._app.ids.object_id(_KEY), {"kind": "nothing"}, due=self._app.clock.now())

    def wake(self) -> None:
        """Look now what waits."""
        self._queue.wake()

    async def _send(self, task: Task) -> int | None:
        value = task.value
        if value["kind"] == "nothing":
            return None
        user = await self._app.store.documents.get(self._app.classes.known_or_blank("_User"), value["user"])
        link = await self._link(value, user) if user is not None else None
        # Of what was done to an account she is told who had it then, whatever her address is by now.
        if user is None or link is None or ("about" not in value and address_of(user) != value["to"]):
            return None  # she is gone, has another address, or has used the link of another mail
        try:
            await self._mailer.send(self._written(value, user, link))
        except Undelivered as error:
            return await self._again(task, error)
        except Exception as error:
            get_logger(__name__).exception("a mail could not be made")
            return await self._again(task, Undelivered(type(error).__name__, again=True))
        return None

    async def _link(self, value: Object, user: Document) -> str | None:
        """The link that a mail has, "" for one without; None for a mail that is not to be sent any more."""
        ticket = value.get("ticket")
        if "about" in value:
            return ""
        if ticket is None:
            return self._links.address(value["kind"], user)
        page = self._app.options.sign_in_url
        if not await self._tickets.good(ticket):
            return None
        return f"{page}{'&' if '?' in page else '?'}token={self._tickets.token(ticket)}" if page else ""

    def _written(self, value: Object, user: Document, link: str) -> Letter:
        shown = {name: held for name, held in user.body.items() if name != "authData"}
        locale = next((user.body[name] for name in _LANGUAGE if isinstance(user.body.get(name), str)), None)
        options, code = self._app.options, self._tickets.code(value["ticket"]) if "ticket" in value else ""
        language, about = locale or options.pages.fallback_locale, value.get("about", "")
        return Letter(value["kind"], value["to"], link, options.app_name or "", shown, language, code=code, about=about)

    async def _again(self, task: Task, error: Undelivered) -> int | None:
        """When it is tried again; None if it never is. The log names the person, not her address."""
        value, now = task.value, self._app.clock.now()
        log = get_logger(__name__).bind(kind=value["kind"], user=value["user"], reason=error.reason)
        if not error.again or now - value["since"] > _TOO_OLD_MS:
            log.error("a mail was given up")
            return None
        wait = min(_FIRST_WAIT_MS << min(value["tries"], 20), _LONGEST_WAIT_MS)
        log.warning("a mail was not taken; it is tried again", seconds=wait / 1000)
        await task.keep({**value, "tries": value["tries"] + 1})
        return int(now + wait)


@asynccontextmanager
async def evenly() -> AsyncIterator[None]:
    """What is done inside takes as long, whatever is done; an error is told at once."""
    loop = asyncio.get_running_loop()
    over = loop.time() + _EVEN_SECONDS
    yield
    await asyncio.sleep(over - loop.time())


def address_of(user: Document) -> Json:
    """Where a user is written to: her address, or else her name, which may be one."""
    return user.body.get("email") or user.body.get("username")


def outbox_if_any(app: App) -> Outbox | None:
    """The app's outbox; None where it sends no mails."""
    found: Outbox | None = app.rooms.get(ROOM)
    return found


def outbox_of(app: App) -> Outbox:
    """The app's outbox. ParseError 1 where it sends no mails."""
    found = outbox_if_any(app)
    if found is None:
        raise ParseError(Code.INTERNAL_SERVER_ERROR, _NO_MAIL)
    return found
