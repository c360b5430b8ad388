"""A server loads what it uses, and starts within a second."""

from __future__ import annotations

import re
from pathlib import Path

from mbaas.testing.process import TestServer

HEAVY = set(
    (
        "aiohttp aiosmtplib cryptography firebase_admin grpc jinja2 joserfc jsonschema_rs ldap3 numpy"
        " prometheus_client pymongo starlette_admin webauthn"
    ).split()
)
LOADED = re.compile(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)", re.MULTILINE)


def test_a_plain_server_does_not_load_what_it_does_not_use(tmp_path: Path) -> None:
    with TestServer(tmp_path, python=("-X", "importtime")) as server:
        assert server.get("/livez") == (200, {"status": "ok"})
    loaded = {name.partition(".")[0] for name in LOADED.findall(server.log.read_text())}
    assert "starlette" in loaded
    assert loaded & HEAVY == set()
