"""Moments on a server that is killed again and again while they are fired: none is missed, and a repeat is under the same send id."""

from __future__ import annotations

import json
import os
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any

from mbaas.testing.process import APP_ID, MASTER_KEY, TestServer
from tests.mock_provider import mock_provider, received

MASTER = {"X-Parse-Application-Id": APP_ID, "X-Parse-Master-Key": MASTER_KEY}
KILLS = int(os.environ.get("MBAAS_TEST_MOMENT_KILLS", "2"))
EACH, AT_ONCE = 40, 8


def test_nobody_is_missed_and_nobody_is_shown_it_twice(tmp_path: Path) -> None:
    with mock_provider(tmp_path / "mock") as mock, TestServer(tmp_path / "server", settings={**mock, "workers": 1}) as server:
        device = {"deviceType": "android", "deviceToken": "t", "installationId": "i"}
        made = _asked(server, "POST", "/parse/installations", device)
        play = {"name": "x", "trigger": {"moment": "x"}, "validFor": "1h", "content": {"body": "{{moment.n}}"}}
        play_id = _asked(server, "POST", "/api/v1/plays", play)["id"]
        _asked(server, "POST", f"/api/v1/plays/{play_id}/start", {})
        fired: dict[str, str] = {}
        for kill in range(KILLS):
            events = [f"{kill}-{number}" for number in range(EACH)]
            _fire_until_killed(server, made["objectId"], events, fired)
            server.start()
            with ThreadPoolExecutor(AT_ONCE) as pool:
                # Whoever was not answered tells of it again, and so does whoever was.
                list(pool.map(lambda event: fired.__setitem__(event, _fire(server, made["objectId"], event)), events))
        for moment in fired.values():
            while _asked(server, "GET", f"/api/v1/moments/{moment}")["state"] != "done":
                pass
        sent = defaultdict(list)
        for receipt in received(mock):
            message = receipt["message"]["data"]
            sent[json.loads(message["data"])["alert"]].append(message["push_id"])
        assert sent.keys() == fired.keys()
        assert {event for event, ids in sent.items() if len(set(ids)) > 1} == set()
        report = _asked(server, "GET", f"/api/v1/plays/{play_id}/report")
        assert (report["fired"], report["total"]["sent"]) == (len(fired), len(fired))


def _fire_until_killed(server: TestServer, device: str, events: list[str], fired: dict[str, str]) -> None:
    """Fire moments, and kill the server when a third of them has been answered."""
    enough = threading.Event()

    def one(event: str) -> None:
        try:
            fired[event] = _fire(server, device, event)
        except (OSError, HTTPException):
            return
        if len([each for each in events if each in fired]) > EACH // 3:
            enough.set()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(one, event) for event in events]
        assert enough.wait(60)
        server.kill()
        for each in running:
            each.result()


def _fire(server: TestServer, device: str, event: str) -> str:
    body = {"eventId": event, "subject": {"installation": device}, "props": {"n": event}}
    return str(_asked(server, "POST", "/api/v1/moments/x/fire", body)["id"])


def _asked(server: TestServer, method: str, path: str, body: Any = None) -> Any:
    status, told = server.call(method, path, body, MASTER)
    assert status < 300, told
    return told
