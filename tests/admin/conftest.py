"""One server with two apps for all tests of the console, as production has it; its pushes go to a provider that accepts them all."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from mbaas.testing.process import TestServer
from tests.admin.visitor import OPEN, Visitor, joined, keys

SALE = {"name": "Sale", "content": {"title": "Hi {{user.city | there}}", "body": "-20 %"}}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    folder = tmp_path_factory.mktemp("console")
    accept = {"adapter": {"module": "accept"}}
    apps = [{"appId": name, "appName": name.title(), "masterKey": f"{name}-master-key", "push": accept} for name in ("first", "other")]
    (folder / "apps.json").write_text(json.dumps(apps))
    settings = {"apps_file": folder / "apps.json", "trusted_proxies": "127.0.0.1", "preset": "production"}
    with TestServer(folder, settings={**settings, "public_url": "http://127.0.0.1"}, bare=True) as running:
        for name in ("first", "other"):
            seed(running, name)
        yield running
    for client in OPEN:
        client.close()


def seed(server: TestServer, app: str) -> None:
    """A few people with phones, one of whom has a secret."""
    body = {"username": "ann", "password": "ann-has-a-password", "email": "ann@private.example", "city": "Rome", "visits": 3}
    status, ann = server.call("POST", "/parse/users", body, keys(app))
    assert status == 201, ann
    pointer = {"__type": "Pointer", "className": "_User", "objectId": ann["objectId"]}
    for number in range(4):
        phone: dict[str, object] = {
            "installationId": f"i{number}",
            "deviceType": "android",
            "deviceToken": f"private-token-{number}",
            "localeIdentifier": "de",
        }
        phone |= {"user": pointer} if number == 0 else {"optOuts": ["promo"]} if number == 1 else {}
        assert server.call("POST", "/parse/installations", phone, keys(app))[0] == 201


@pytest.fixture(scope="session")
def marketer(server: TestServer) -> Visitor:
    return joined(server, "marketer")


@pytest.fixture(scope="session")
def owner(server: TestServer) -> Visitor:
    return joined(server, "owner")


@pytest.fixture(scope="session")
def reader(server: TestServer) -> Visitor:
    return joined(server, "read-only")


def campaign(server: TestServer, app: str = "first", **more: object) -> str:
    """A draft; its id."""
    status, made = server.call("POST", "/api/v1/campaigns", {**SALE, **more}, keys(app))
    assert status == 201, made
    return str(made["id"])
