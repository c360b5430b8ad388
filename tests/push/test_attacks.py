"""What clients choose (tokens, endpoints, kinds of devices) and what providers answer costs no other device its push, and ends."""

from __future__ import annotations

import pytest

from mbaas.data.app import App
from mbaas.kernel.values import Json, Object
from mbaas_push.mock.script import Script
from tests.push.test_sending import deliveries, device, ended, push, tokens


@pytest.mark.parametrize(
    "token", ["../../token", "%2e%2e/%2e%2e/token", "a?b", "a#b", "a b", "a\r\nb: c", "a\0b", "é", "x" * 100_000], ids=ascii
)
async def test_a_token_that_is_no_token_of_apples_is_never_part_of_a_path(app: App, script: Script, token: str) -> None:
    await device(app, token, "ios")
    await device(app, "f" * 64, "ios")
    told = await ended(app, await push(app))
    assert (told["numSent"], told["numFailed"]) == (1, 1)
    assert tokens(script) == {"f" * 64: 1}


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({"topic": "a\r\napns-priority: 1"}, {}),
        ({"collapse_id": "a\napns-push-type: voip"}, {}),
        ({"push_type": "alert\r\n\r\nPOST / HTTP/1.1"}, {}),
        ({"topic": "é"}, {}),
        ({"topic": "t" * 100_000}, {}),
        ({}, {"appIdentifier": "com.example\r\nauthorization: bearer x"}),
    ],
    ids=ascii,
)
async def test_what_becomes_a_header_cannot_become_two(app: App, script: Script, data: Object, fields: dict[str, Json]) -> None:
    await device(app, "e" * 64, "ios", **fields)
    run = await push(app, data={"alert": "x", **data})
    assert (await ended(app, run))["numFailed"] == 1
    assert not script.receipts
    [row] = await deliveries(app, run)
    assert "printable" in row["reason"]
