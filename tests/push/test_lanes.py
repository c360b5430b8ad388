"""Both lanes keep the same promises: each request is answered once, and of one that is not it is known whether it may have been taken."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from mbaas.kernel.options import PushOptions
from mbaas.outbound.reach import Forbidden
from mbaas_push.mock import credentials
from mbaas_push.mock.providers import ACCESS
from mbaas_push.mock.script import Script
from mbaas_push.mock.server import listening
from mbaas_push.transports import curl_lane, h2_lane
from mbaas_push.transports.lane import Broken, Check, Lane, Reply, lane

HEADERS = (f"authorization: Bearer {ACCESS}", "content-type: application/json")


@pytest.fixture(params=["curl", "h2"])
def kind(request: pytest.FixtureRequest) -> Literal["curl", "h2"]:
    which: Literal["curl", "h2"] = request.param
    return which


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mock")
    credentials.make(folder)
    return folder


@pytest.fixture
async def port(script: Script, keys: Path) -> AsyncIterator[int]:
    async with listening(script, keys / "cert.pem", keys / "cert.key") as bound:
        yield bound


def made(kind: Literal["curl", "h2"], keys: Path, check: Check | None = None) -> Lane:
    return lane(PushOptions(ca_file=keys / "cert.pem", lane=kind), check)


async def said(by: Lane, port: int, token: str, size: int = 10) -> Reply | Broken:
    body = b'{"message": {"token": "%s", "text": "%s"}}' % (token.encode(), b"x" * size)
    try:
        return await by.ask("POST", f"https://127.0.0.1:{port}/v1/projects/mock/messages:send", HEADERS, body)
    except Broken as broken:
        return broken


async def test_whatever_the_method_is_it_is_asked(script: Script, keys: Path, port: int, kind: Literal["curl", "h2"]) -> None:
    by, subscriptions = made(kind, keys), f"https://127.0.0.1:{port}/v1/projects/mock/registrations/t/topicSubscriptions"
    asked = [("POST", "?topic_name=a"), ("POST", "?topic_name=b"), ("DELETE", "/a?allow_missing=true"), ("POST", "?topic_name=b")]
    told = [
        (await by.ask(method, f"{subscriptions}{rest}", HEADERS, b"" if method == "DELETE" else b"{}")).status for method, rest in asked
    ]
    await by.close()
    assert (told, script.topics) == ([200, 200, 200, 409], {"a": set(), "b": {"t"}})


@pytest.mark.parametrize(
    "given",
    [{}, {"streams": 1}, {"streams": 7, "window": 100, "goaway_every": 30}, {"latency_ms": 1}],
    ids=["plain", "one", "small", "late"],
)
async def test_each_is_answered(kind: Literal["curl", "h2"], given: dict[str, int], script: Script, keys: Path, port: int) -> None:
    script.change(given)
    by = made(kind, keys)
    answers = await asyncio.gather(*(said(by, port, f"t{n}", 700) for n in range(150)))
    accepted = Counter(receipt.token for receipt in script.accepted())
    for n, answer in enumerate(answers):
        if isinstance(answer, Reply):
            assert (answer.status, accepted[f"t{n}"]) == (200, 1)
            assert "name" in answer.told()
        else:
            assert accepted[f"t{n}"] <= answer.left
    if not script.goaway_every:
        assert {type(answer) for answer in answers} == {Reply}
    await by.close()


async def test_a_line_that_breaks_says_what_may_have_been_taken(kind: Literal["curl", "h2"], script: Script, keys: Path, port: int) -> None:
    script.reset_every = 20
    by, sent = made(kind, keys), Counter[str]()
    for turn in range(5):
        answers = await asyncio.gather(*(said(by, port, f"t{turn}-{n}") for n in range(60)))
        for n, answer in enumerate(answers):
            sent[f"t{turn}-{n}"] = 1 if isinstance(answer, Reply) else 2 * answer.left
    accepted = Counter(receipt.token for receipt in script.accepted())
    assert 2 in sent.values()
    for token, known in sent.items():
        assert accepted[token] in {0: {0}, 1: {1}, 2: {0, 1}}[known], token
    await by.close()


async def test_where_nobody_answers_nothing_was_taken(kind: Literal["curl", "h2"], keys: Path) -> None:
    by = made(kind, keys)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        answer = await said(by, closed.getsockname()[1], "t")
    assert isinstance(answer, Broken)
    assert not answer.left
    await by.close()


async def test_what_is_not_answered_in_time_may_have_been_taken(
    kind: Literal["curl", "h2"], script: Script, keys: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curl_lane if kind == "curl" else h2_lane, "SECONDS", 1)
    script.latency_ms = 5000
    by = made(kind, keys)
    answer = await said(by, port, "t")
    assert isinstance(answer, Broken)
    assert answer.left
    assert [receipt.token for receipt in script.receipts] == ["t"]
    await by.close()


async def test_an_address_that_is_refused_is_not_dialled(kind: Literal["curl", "h2"], script: Script, keys: Path, port: int) -> None:
    def refuse(address: str) -> None:
        raise Forbidden(address)

    by = made(kind, keys, refuse)
    answer = await said(by, port, "t")
    assert isinstance(answer, Broken)
    assert not answer.left
    assert not script.receipts
    await by.close()


async def test_a_certificate_that_nobody_knows_is_refused(kind: Literal["curl", "h2"], script: Script, keys: Path, port: int) -> None:
    by = lane(replace(PushOptions(), lane=kind))
    answer = await said(by, port, "t")
    assert isinstance(answer, Broken)
    assert not answer.left
    assert not script.receipts
    await by.close()
