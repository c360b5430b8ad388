"""A trigger asks for a field that is hidden from its caller: by Parse Server's option it may, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mbaas.testing.process import TestServer
from tests.functions.deploying import folder_with

CODE = """
from mbaas_functions import cloud

@cloud.before_find("Memo")
async def visible(request):
    request.query.equal_to("draft", False).descending("rank")
"""
APP = {"X-Parse-Application-Id": "protecting"}
MASTER = {**APP, "X-Parse-Master-Key": "master"}
REFUSED = (400, {"code": 119, "error": "Permission denied"})


@pytest.fixture(scope="module", params=[True, False, None], ids=["exempt", "not exempt", "by default"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestServer]:
    folder = tmp_path_factory.mktemp("protecting")
    options: dict[str, Any] = {"appId": "protecting", "masterKey": "master", "allowClientClassCreation": True}
    options["protectedFields"] = {"Memo": {"*": ["draft", "rank"]}}
    if request.param is not None:
        options["protectedFieldsTriggerExempt"] = request.param
    code = folder_with(folder / "code", main=CODE)
    with TestServer.with_parse_options(folder, options, functions=code) as running:
        for number in range(4):
            body = {"text": f"memo {number}", "draft": number % 2 == 1, "rank": number}
            assert running.call("POST", "/parse/classes/Memo", body, MASTER)[0] == 201
        yield running


def find(server: TestServer, query: str = "") -> tuple[int, Any]:
    return server.call("GET", f"/parse/classes/Memo{query}", None, APP)


def exempt(request: pytest.FixtureRequest) -> bool:
    return bool(request.node.callspec.params["server"])


def test_what_the_trigger_asks_for(request: pytest.FixtureRequest, server: TestServer) -> None:
    status, answer = find(server)
    if not exempt(request):
        assert (status, answer) == REFUSED
        return
    assert [one["text"] for one in answer["results"]] == ["memo 2", "memo 0"]
    assert all("draft" not in one and "rank" not in one for one in answer["results"])
    assert find(server, "?limit=0&count=1") == (200, {"results": [], "count": 2})


@pytest.mark.parametrize(
    "query", ["where={%22draft%22:true}", "where={%22$or%22:[{%22rank%22:{%22$gt%22:1}}]}", "order=rank", "order=-draft"]
)
def test_what_the_client_asks_for_is_refused_in_any_case(server: TestServer, query: str) -> None:
    assert find(server, f"?{query}") == REFUSED
