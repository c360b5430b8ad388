"""Apple's two environments: a token that one does not know is tried once in the other, and the installation remembers which it was."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.kernel.caller import MASTER
from mbaas.kernel.options import PushOptions
from mbaas.outbound.reach import Reach
from mbaas_push.mock.script import Reply, Script
from mbaas_push.mock.server import listening
from mbaas_push.room import opened
from tests.push.pushing import deliveries, device, ended, push

TOKEN = "a" * 64
UNKNOWN = Reply(status=400, reason="BadDeviceToken")


@pytest.fixture
def sandbox() -> Script:
    """The mock that is Apple's sandbox; `script` is production."""
    return Script()


@pytest.fixture
async def both(closed_app: App, push_settings: PushOptions, sandbox: Script, tmp_path: Path) -> AsyncIterator[App]:
    """An app that sends to both."""
    folder = tmp_path / "mock"
    async with listening(sandbox, folder / "cert.pem", folder / "cert.key") as port:
        options = replace(push_settings, apns_sandbox_endpoint=f"https://127.0.0.1:{port}")
        async with opened(closed_app, options, Reach(open=True)):
            yield closed_app


def asked(script: Script) -> Counter[int]:
    """How often a mock was asked, by what it answered."""
    return Counter(receipt.status for receipt in script.receipts)


async def environment(app: App, installation: str) -> object:
    found = await app.store.documents.get(app.classes.known_or_blank("_Installation"), installation)
    assert found is not None
    assert found.body["deviceToken"] == TOKEN
    return found.body.get("apnsEnvironment")


async def sent(app: App) -> str:
    """How a push to everybody ended for the one device there is."""
    run = await push(app)
    await ended(app, run)
    [row] = await deliveries(app, run)
    return f"{row['state']} {row.get('reason', '')}".strip()


async def test_a_token_of_the_sandbox_is_found_there_once_and_for_good(both: App, script: Script, sandbox: Script) -> None:
    script.tokens[TOKEN] = deque([UNKNOWN])
    installation = await device(both, TOKEN, "ios")
    assert await sent(both) == "sent"
    assert await environment(both, installation) == "sandbox"
    assert await sent(both) == "sent"
    assert (asked(script), asked(sandbox)) == ({400: 1}, {200: 2})


async def test_a_token_that_has_gone_to_the_store_is_found_in_production(both: App, script: Script, sandbox: Script) -> None:
    sandbox.tokens[TOKEN] = deque([UNKNOWN])
    installation = await device(both, TOKEN, "ios", apnsEnvironment="sandbox")
    assert await sent(both) == "sent"
    assert await environment(both, installation) == "production"
    assert await sent(both) == "sent"
    assert (asked(script), asked(sandbox)) == ({200: 2}, {400: 1})


async def test_a_token_that_neither_knows_has_failed_after_one_look_at_each(both: App, script: Script, sandbox: Script) -> None:
    for mock in (script, sandbox):
        mock.tokens[TOKEN] = deque([UNKNOWN])
    installation = await device(both, TOKEN, "ios")
    assert await sent(both) == "failed BadDeviceToken"
    assert await environment(both, installation) is None
    assert (asked(script), asked(sandbox)) == ({400: 1}, {400: 1})


@pytest.mark.parametrize("reason", ["BadEnvironmentKeyIdInToken", "DeviceTokenNotForTopic"])
async def test_a_key_that_is_not_for_the_other_one_changes_nothing(both: App, script: Script, sandbox: Script, reason: str) -> None:
    script.tokens[TOKEN] = deque([UNKNOWN])
    sandbox.tokens[TOKEN] = deque([Reply(status=403, reason=reason)])
    await device(both, TOKEN, "ios")
    assert await sent(both) == "failed BadDeviceToken"


async def test_what_is_wrong_otherwise_is_not_tried_elsewhere(both: App, script: Script, sandbox: Script) -> None:
    script.tokens[TOKEN] = deque([Reply(status=400, reason="DeviceTokenNotForTopic")])
    await device(both, TOKEN, "ios")
    assert await sent(both) == "failed DeviceTokenNotForTopic"
    assert asked(sandbox) == {}


async def test_with_one_environment_alone_there_is_nothing_to_try(app: App, script: Script) -> None:
    script.tokens[TOKEN] = deque([UNKNOWN])
    installation = await device(app, TOKEN, "ios", apnsEnvironment="sandbox")
    assert await sent(app) == "failed BadDeviceToken"
    assert await environment(app, installation) == "sandbox"
    assert asked(script) == {400: 1}


async def test_a_column_of_another_type_under_that_name_stays_the_apps_own(both: App, script: Script) -> None:
    script.tokens[TOKEN] = deque([UNKNOWN])
    installation = await device(both, TOKEN, "ios")
    await objects.update(both, MASTER, "_Installation", installation, {"apnsEnvironment": 5})
    assert await sent(both) == "sent"
    assert await environment(both, installation) == 5
