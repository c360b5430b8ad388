"""Deploying to a running server as the command does, with archives made by hand or from code in a text."""

from __future__ import annotations

import http.client
import io
import json
import tarfile
import time
from pathlib import Path
from typing import Any

from mbaas.testing.process import TestServer
from mbaas_functions.archive import pack
from tests.wire.people import Person

Reply = tuple[int, Any]


def folder_with(folder: Path, **files: str) -> Path:
    """A folder with these Python modules, by their names without the ending."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def version(value: object, more: str = "") -> str:
    """A `main.py` whose function `version` returns a value."""
    return f"""
import asyncio, os
from mbaas_functions import cloud
{more}
@cloud.define("version")
async def version(request):
    return {value!r}
"""


def tar(members: dict[str, bytes], special: tarfile.TarInfo | None = None) -> bytes:
    """An archive with these files, and a member of another kind."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
        if special is not None:
            made.addfile(special)
    return out.getvalue()


class Deployer:
    """Whoever holds the master key."""

    def __init__(self, server: TestServer, **headers: str) -> None:
        self.server = server
        self.headers = {**Person.master(server).headers, **headers}

    def call(self, method: str, path: str, body: Any = None) -> Reply:
        """Status and answer of a request below `/api/v1`."""
        return self.server.call(method, f"/api/v1{path}", body, self.headers)

    def send(self, archive: bytes) -> Reply:
        """Upload an archive; it is being built then."""
        status, _, answer = self.raw("POST", "/deployments", archive)
        return status, json.loads(answer)

    def raw(self, method: str, path: str, body: bytes | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request, as they come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(method, f"/api/v1{path}", body, {**self.headers, "Content-Type": "application/gzip"})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def built(self, archive: bytes) -> Any:
        """The deployment that an archive becomes, ready or failed."""
        status, made = self.send(archive)
        assert (status, made["state"]) == (201, "building"), made
        deadline = time.monotonic() + 60
        while made["state"] == "building":
            assert time.monotonic() < deadline, made
            status, made = self.call("GET", f"/deployments/{made['number']}")
            assert status == 200, made
        return made

    def ready(self, folder: Path) -> int:
        """The number of a deployment of a folder, ready to be activated."""
        made = self.built(pack(folder))
        assert made["state"] == "ready", made
        return int(made["number"])

    def activate(self, number: int, percent: float | None = None) -> Reply:
        """Activate a deployment, or make it the canary."""
        return self.call("POST", f"/deployments/{number}/activate", {} if percent is None else {"percent": percent})

    def active(self, folder: Path) -> int:
        """The number of a deployment of a folder, which is active now."""
        number = self.ready(folder)
        status, answer = self.activate(number)
        assert (status, answer["active"]) == (200, True), answer
        return number
