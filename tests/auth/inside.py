"""A whole server in this process, on a clock of the test's, with either store: what people do to their accounts over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from bson import ObjectId

from mbaas.app import Server
from mbaas.data.app import App
from mbaas.kernel.options import AppOptions, MfaOptions, ServerOptions
from mbaas.outbound.calls import Outbound
from mbaas.outbound.reach import Reach
from mbaas.services import Services
from mbaas.smtp_url import smtp_server
from mbaas.testing.clock import FakeClock
from mbaas_auth.mfa import TEXTER
from tests.auth.post import Post, post
from tests.secantus import database
from tests.wire.scenarios import APP, MASTER, options

PASSWORD = "correct horse"


class Messages:
    """Takes text messages, and keeps them."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []

    async def send(self, number: str, text: str) -> None:
        self.taken.append((number, text))

    @property
    def code(self) -> str:
        """The code in the last one."""
        return self.taken[-1][1].split()[0]


@dataclass
class Person:
    """Somebody signed in: her id, her name, her token."""

    id: str
    name: str
    token: str

    @property
    def sent(self) -> dict[str, str]:
        return {**APP, "X-Parse-Session-Token": self.token}


class House:
    """The server, and whoever asks it. `office` and `messages` have what was sent to people."""

    def __init__(self, server: Server, clock: FakeClock, office: Post, messages: Messages) -> None:
        self._server, self.clock, self.office, self.messages = server, clock, office, messages
        self._names = 0

    @property
    def app(self) -> App:
        return self._server.apps[0]

    async def ask(self, method: str, path: str, body: Any = None, *, sent: dict[str, str] = APP, ip: str = "10.1.1.1") -> httpx.Response:
        """A request below the mount, or with its whole path below `/api`."""
        place = path if path.startswith("/api") else f"/parse{path}"
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._server, client=(ip, 1))) as http:
            answer = await http.request(method, f"http://x{place}", json=body, headers=sent)
        assert answer.status_code < 500, answer.text
        return answer

    async def person(self, **more: Any) -> Person:
        """Somebody new."""
        self._names += 1
        name = f"person{self._names}"
        made = await self.ask("POST", "/users", {"username": name, "password": PASSWORD, **more})
        assert made.status_code == 201, made.text
        return Person(made.json()["objectId"], name, made.json()["sessionToken"])

    async def sign_in(self, person: Person, **more: Any) -> httpx.Response:
        return await self.ask("POST", "/login", {"username": person.name, "password": PASSWORD, **more})

    async def master(self, method: str, path: str, body: Any = None) -> httpx.Response:
        return await self.ask(method, path, body, sent=MASTER, ip="127.0.0.1")

    async def live(self, *frames: Any) -> list[Any]:
        """What each of these is answered on a socket for live queries."""
        receives: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        sends: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
        scope = {"type": "websocket", "path": "/parse", "raw_path": b"/parse", "query_string": b"", "headers": [], "subprotocols": []}
        task = asyncio.create_task(self._server({**scope, "client": ("10.1.1.1", 1)}, receives.get, sends.put))
        receives.put_nowait({"type": "websocket.connect"})
        assert (await sends.get())["type"] == "websocket.accept"
        told = []
        for frame in frames:
            receives.put_nowait({"type": "websocket.receive", "text": json.dumps(frame)})
            told.append(json.loads((await sends.get())["text"]))
        receives.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await task
        return told

    async def mail(self, count: int) -> str:
        """The text of the mail of that number, as soon as it was sent."""
        mails = await asyncio.to_thread(self.office.until, count)
        return str(mails[count - 1].get_content())


@asynccontextmanager
async def house(folder: Path, mongo: str | None = None, *, reach: Reach | None = None, **changed: Any) -> AsyncIterator[House]:
    """A server on SQLite, or on a MongoDB; it sends mails and messages, and has second factors."""
    given = {
        "data_dir": folder,
        "database_url": database(mongo, f"auth_{ObjectId()}") if mongo else None,
        "mfa": MfaOptions(totp=True, sms=True),
        "app_name": "Gardens",
        "link_url": "https://api.example.com/parse",
        **changed,
    }
    clock, messages = FakeClock(), Messages()
    outbound = Outbound(reach or Reach())
    with post() as office:
        app = AppOptions(**options(**{"smtp": smtp_server(office.url), **given}))
        server = Server(Services(ServerOptions(data_dir=folder), {"app": app}, clock, outbound=outbound))
        async with server.opened():
            server.apps[0].rooms[TEXTER] = messages
            yield House(server, clock, office, messages)
