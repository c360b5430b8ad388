"""Whether the providers take the credentials, said by the providers themselves; nobody is sent anything."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import orjson
import pytest

from mbaas.data.app import App
from mbaas.kernel.options import PushOptions
from mbaas.outbound.reach import Reach
from mbaas.testing.process import mbaas
from mbaas_push.checking import Checked
from mbaas_push.mock.script import Reply, Script
from mbaas_push.room import checked, opened, providers_checked
from tests.push.marketing import phone
from tests.waiting import until

pytestmark = pytest.mark.parametrize("closed_app", ["embedded"], indirect=True)
NOBODY = {"fcm": "no-device-has-this-token", "apns": "0" * 64}


async def asked(app: App, options: PushOptions) -> dict[str, Checked]:
    return {str(each.provider): each for each in await checked(app, options, Reach(open=True))}


async def test_what_refuses_nothing_but_the_address_takes_the_credentials(
    closed_app: App, push_settings: PushOptions, script: Script
) -> None:
    await phone(closed_app, "one")
    script.tokens = {NOBODY["apns"]: deque([Reply(400, "BadDeviceToken")]), NOBODY["fcm"]: deque([Reply(404, "UNREGISTERED")])}
    async with opened(closed_app, push_settings, Reach(open=True)):
        found = await providers_checked(closed_app)
    assert [(each.provider, each.state, each.todo) for each in found] == [
        ("fcm", "good", ""),
        ("apns", "good", ""),
        ("webpush", "good", ""),
    ]
    assert sorted(receipt.token for receipt in script.receipts) == sorted(NOBODY.values())
    assert script.accepted() == []


@pytest.mark.parametrize(
    ("provider", "status", "reason", "state", "todo"),
    [
        ("apns", 403, "InvalidProviderToken", "wrong", "MBAAS_APNS_TEAM_ID must belong together"),
        ("apns", 400, "TopicDisallowed", "wrong", "MBAAS_APNS_TOPIC"),
        ("apns", 403, "BadEnvironmentKeyInToken", "wrong", "other environment"),
        ("apns", 429, "TooManyProviderTokenUpdates", "good", "20 minutes"),
        ("apns", 503, "ServiceUnavailable", "unreachable", "port 443"),
        ("apns", 400, "Something", "wrong", "what the provider says"),
        ("fcm", 403, "PERMISSION_DENIED", "wrong", "Firebase Cloud Messaging API Admin"),
        ("fcm", 401, "UNAUTHENTICATED", "wrong", "new key of the service account"),
        ("fcm", 400, "INVALID_ARGUMENT", "good", ""),
        ("fcm", 200, "", "good", ""),
    ],
)
async def test_each_refusal_says_what_to_do(
    closed_app: App, push_settings: PushOptions, script: Script, provider: str, status: int, reason: str, state: str, todo: str
) -> None:
    script.tokens = {NOBODY[provider]: deque([Reply(status, reason)])}
    told = (await asked(closed_app, push_settings))[provider]
    assert (told.state, todo in told.todo, reason in told.says or state == "good") == (state, True, True)


async def test_what_cannot_be_reached_or_is_not_set_up_says_so(closed_app: App, push_settings: PushOptions, tmp_path: Path) -> None:
    account = orjson.loads((push_settings.fcm_credentials or tmp_path).read_bytes())
    (tmp_path / "account.json").write_bytes(orjson.dumps({**account, "token_uri": "https://127.0.0.1:9/token"}))
    told = await asked(closed_app, replace(push_settings, fcm_credentials=tmp_path / "account.json", apns_key=None, webpush_key=None))
    assert {name: each.state for name, each in told.items()} == {"fcm": "unreachable", "apns": "absent", "webpush": "absent"}
    assert ("port 443" in told["fcm"].todo, "MBAAS_APNS_KEY" in told["apns"].todo) == (True, True)
    assert {each.state for each in (await asked(closed_app, PushOptions())).values()} == {"absent"}


async def test_a_provider_that_hangs_is_asked_once_however_many_want_to_know(
    closed_app: App, push_settings: PushOptions, script: Script
) -> None:
    script.tokens = {token: deque([Reply(latency_ms=3_600_000)]) for token in NOBODY.values()}
    begun = asyncio.get_running_loop().time()
    async with opened(closed_app, push_settings, Reach(open=True)):
        asking = [asyncio.create_task(providers_checked(closed_app)) for _ in range(5)]

        async def both() -> bool:
            return len(script.receipts) >= 2

        await until(both)
        # Who goes away leaves the others what they have asked for.
        asking[0].cancel()
        asking.append(asyncio.create_task(providers_checked(closed_app)))
        await asyncio.wait(asking[:1])
        assert (sorted(receipt.token for receipt in script.receipts), any(each.done() for each in asking[1:])) == (
            sorted(NOBODY.values()),
            False,
        )
    # Whoever still waits is not waited for.
    done, _ = await asyncio.wait(asking)
    assert (len(done), asyncio.get_running_loop().time() - begun < 15) == (6, True)


@pytest.mark.parametrize("subject", ["mailto:nobody", "http://example.com", "mailto:ann@localhost", "ann@example.com"])
async def test_a_contact_that_push_services_refuse_is_named(closed_app: App, push_settings: PushOptions, subject: str) -> None:
    told = (await asked(closed_app, replace(push_settings, webpush_subject=subject)))["webpush"]
    assert (told.state, subject in told.says) == ("wrong", True)


async def test_doctor_asks_them_too(closed_app: App, push_settings: PushOptions, script: Script, tmp_path: Path) -> None:
    names = {"push_ca_file": "ca_file", "push_lane": "lane"}
    named = {each.name: names.get(each.name, each.name) for each in fields(PushOptions)} | names
    variables = {
        f"MBAAS_{name.upper()}": str(value)
        for name, option in named.items()
        if name not in ("ca_file", "lane") and (value := getattr(push_settings, option)) is not None
    }
    run = partial(mbaas, tmp_path, "doctor", MBAAS_APP_ID="a", MBAAS_MASTER_KEY="a-master-key-of-some-length", MBAAS_PORT="0", **variables)
    fine = await asyncio.to_thread(run)
    assert ("ok     fcm: " in fine.stdout, "ok     webpush: The key signs" in fine.stdout, fine.returncode) == (True, True, 0), fine.stdout
    script.tokens = {NOBODY["apns"]: deque([Reply(403, "InvalidProviderToken")])}
    refused = await asyncio.to_thread(run)
    assert ("wrong  apns: " in refused.stdout, "must belong together" in refused.stdout, refused.returncode) == (True, True, 1)
