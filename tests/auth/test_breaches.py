"""Passwords that were stolen elsewhere, and messages through a service: what other servers are asked, and what becomes of odd answers."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mbaas.outbound.calls import Outbound
from mbaas.outbound.reach import Reach
from mbaas_auth import breaches
from mbaas_auth.sms.http import HttpTexter
from mbaas_auth.sms.ports import NotSent
from tests.auth.inside import House, house

STOLEN = "password1"
REST = hashlib.sha1(STOLEN.encode()).hexdigest().upper()[5:]
LOCAL = Reach(allowed=frozenset({"127.0.0.1"}))
SLOW = "slow"


class Service:
    """Answers every request with the same, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answer: tuple[int, str] | str = (200, "")
        self.asked: list[tuple[str, str]] = []
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")), 0)
        self.asked.append((head, (await reader.readexactly(length)).decode()))
        if isinstance(self.answer, tuple):
            status, body = self.answer
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
            await writer.drain()
            writer.close()
        else:
            await reader.read()  # until the other end has had enough
            writer.close()


@asynccontextmanager
async def service() -> AsyncIterator[Service]:
    made = Service()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


async def signs_up(home: House, name: str, password: str) -> int:
    return (await home.ask("POST", "/users", {"username": name, "password": password})).status_code


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ((200, f"0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n{REST}:2427158\r\n"), 400),
        ((200, f"{REST.lower()}:1"), 400),
        ((200, f"{REST}:0\r\n"), 201),
        ((200, "0018A45C4D1DEF81644B54AB7F969B88D65:1"), 201),
        ((500, REST), 201),
        ((302, REST), 201),
        ((200, "\u00e9" * 10), 201),
        ((200, "x" * 2_000_000), 201),
        (SLOW, 201),
    ],
    ids=["stolen", "small letters", "padding", "others", "down", "moved", "garbage", "endless", "slow"],
)
async def test_a_stolen_password_is_refused_and_a_lost_service_keeps_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: tuple[int, str] | str, status: int
) -> None:
    if answer != SLOW:
        # However slow the machine is.
        monkeypatch.setattr(breaches, "_SECONDS", 60.0)
    async with service() as asked:
        asked.answer = answer
        async with house(tmp_path, reach=LOCAL, breach_url=f"http://127.0.0.1:{asked.port}/range/") as home:
            began = time.monotonic()
            assert await signs_up(home, "ann", STOLEN) == status
            assert answer != SLOW or time.monotonic() - began < 5
        [(head, _)] = asked.asked
        assert head.startswith(f"GET /range/{hashlib.sha1(STOLEN.encode()).hexdigest().upper()[:5]} HTTP/1.1")
        assert STOLEN not in head
        assert REST not in head


async def test_a_service_that_is_not_there_keeps_nobody_out(tmp_path: Path) -> None:
    async with service() as gone:
        pass
    async with house(tmp_path, reach=LOCAL, breach_url=f"http://127.0.0.1:{gone.port}/") as home:
        assert await signs_up(home, "ann", STOLEN) == 201


async def test_it_is_asked_when_a_password_changes_and_not_when_one_is_shown(tmp_path: Path) -> None:
    async with service() as asked:
        asked.answer = (200, "")
        async with house(tmp_path, reach=LOCAL, breach_url=f"http://127.0.0.1:{asked.port}/") as home:
            person = await home.person()
            assert (await home.sign_in(person)).status_code == 200
            assert len(asked.asked) == 1
            asked.answer = (200, f"{REST}:5")
            refused = await home.ask("PUT", f"/users/{person.id}", {"password": STOLEN}, sent=person.sent)
            assert (refused.json()["code"], "stolen" in refused.json()["error"]) == (142, True)
            assert (await home.sign_in(person)).status_code == 200


async def test_messages_go_through_a_service() -> None:
    """What it does not take is told, for whoever waits for the code."""
    outbound = Outbound(LOCAL)
    try:
        async with service() as asked:
            texter = HttpTexter(outbound, f"http://127.0.0.1:{asked.port}/sms")
            asked.answer = (202, "")
            await texter.send("+49 1", "1234 is your code")
            head, body = asked.asked[0]
            assert head.startswith("POST /sms HTTP/1.1")
            assert json.loads(body) == {"to": "+49 1", "text": "1234 is your code"}
            asked.answer = (500, "")
            with pytest.raises(NotSent, match="500"):
                await texter.send("+49 1", "x")
        with pytest.raises(NotSent):
            await texter.send("+49 1", "x")
    finally:
        await outbound.close()
