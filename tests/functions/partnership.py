"""A whole server in this process, on a clock of the test's, that partners are registered with; and a partner's own server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from mbaas.app import Server
from mbaas.data.app import App
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.outbound.calls import Outbound
from mbaas.outbound.reach import Reach
from mbaas.services import Services
from mbaas.testing.clock import FakeClock
from mbaas_functions.room import Functions, functions_of
from tests.functions.web import Web

KEYS = {"X-Parse-Application-Id": "a"}
MASTER = {**KEYS, "X-Parse-Master-Key": "m"}
TAXI: dict[str, Any] = {"operations": {"offer": {"params": {"type": "object"}}}}
WAY = ("sandbox", "submitted", "approved", "live")


class Partnership:
    """The server, and `elsewhere`, the partner's."""

    def __init__(self, server: Server, http: httpx.AsyncClient, clock: FakeClock, elsewhere: Web) -> None:
        self._http, self.clock, self.elsewhere = http, clock, elsewhere
        self.app: App = server.apps[0]
        self.functions: Functions = functions_of(self.app)

    async def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, **params: str) -> httpx.Response:
        """Any request, with the master key unless other headers are given."""
        return await self._http.request(method, path, json=body, headers=MASTER if headers is None else headers, params=params or None)

    async def desk(self, method: str, path: str, body: Any = None) -> Any:
        """What `/api/v1/partners` answers to a request that is all right."""
        answer = await self.ask(method, f"/api/v1/partners{path}", body)
        assert answer.is_success, answer.text
        return answer.json()

    async def refused(self, method: str, path: str, body: Any = None) -> tuple[int, int]:
        """Status and code of what `/api/v1/partners` refuses."""
        answer = await self.ask(method, f"/api/v1/partners{path}", body)
        return answer.status_code, answer.json()["code"]

    async def partner(self, name: str = "taxi", classes: dict[str, list[str]] | None = None, **more: Any) -> dict[str, Any]:
        """A partner that is live and enabled, with its secrets."""
        given = {"name": name, "manifest": TAXI, "live": {"url": self.elsewhere.url(f"/{name}")}, **more}
        made: dict[str, Any] = await self.desk("POST", "", given)
        for state in WAY:
            await self.desk("POST", f"/{name}/state", {"state": state})
        await self.desk("PUT", f"/{name}/grant", {"environment": "live", "classes": classes or {}})
        return made

    async def call(self, function: str = "taxi.offer", params: Any = None, **headers: str) -> httpx.Response:
        """A function as an app calls it."""
        return await self.ask("POST", f"/parse/functions/{function}", params or {}, {**KEYS, **headers})


@asynccontextmanager
async def partnership(folder: Path, elsewhere: Web, database_url: str | None = None, **more: Any) -> AsyncIterator[Partnership]:
    """A server on this folder, or database."""
    clock = FakeClock()
    options = AppOptions(app_id="a", master_key="m", data_dir=folder, database_url=database_url, new_class_permissions="public", **more)
    outbound = Outbound(Reach(open=True, allowed=frozenset({"127.0.0.1"})), _named)
    services = Services(ServerOptions(data_dir=folder), {"a": options}, clock=clock, outbound=outbound)
    server = Server(services)
    async with server.opened():
        transport = httpx.ASGITransport(server, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
            yield Partnership(server, http, clock, elsewhere)


async def _named(host: str, port: int) -> list[str]:
    """Every name is this machine's."""
    return ["127.0.0.1"]
