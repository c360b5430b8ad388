"""Captchas: asked for before accounts are made and mails are sent, good once, and never asked of the master key."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.auth.inside import PASSWORD, House, house
from tests.auth.test_breaches import LOCAL, service
from tests.wire.scenarios import APP


def solved(challenge: dict[str, Any], **changed: Any) -> str:
    """The answer of ALTCHA's widget, found by counting."""
    number = next(
        n
        for n in range(challenge["maxnumber"] + 1)
        if hashlib.sha256(f"{challenge['salt']}{n}".encode()).hexdigest() == challenge["challenge"]
    )
    return base64.b64encode(json.dumps({**challenge, "number": number, "took": 1, **changed}).encode()).decode()


async def asked(home: House) -> dict[str, Any]:
    challenge: dict[str, Any] = (await home.ask("GET", "/api/v1/captcha")).json()
    return challenge


async def signs_up(home: House, name: str, answer: str | None) -> int | None:
    """The code of the refusal, None for none."""
    sent = APP if answer is None else {**APP, "X-Captcha": answer}
    refused: int | None = (await home.ask("POST", "/users", {"username": name, "password": PASSWORD}, sent=sent)).json().get("code")
    return refused


async def test_work_is_done_once_for_each_account(tmp_path: Path) -> None:
    async with house(tmp_path, captcha="altcha", rate_limit_factor=1) as home:
        assert await signs_up(home, "none", None) == 142
        answer = solved(await asked(home))
        assert sorted(str(each) for each in await asyncio.gather(*(signs_up(home, f"u{n}", answer) for n in range(4)))) == ["142"] * 3 + [
            "None"
        ]
        assert (await home.ask("POST", "/api/v1/codes", {"email": "a@example.org"})).json()["code"] == 142
        assert (await home.ask("POST", "/requestPasswordReset", {"email": "a@example.org"})).json()["code"] == 142
        parts = {"requests": [{"method": "POST", "path": "/parse/users", "body": {"username": "b", "password": "x"}}]}
        assert (await home.ask("POST", "/batch", parts)).json()[0]["error"]["code"] == 142
        again = {**APP, "X-Captcha": solved(await asked(home))}
        assert (await home.ask("POST", "/api/v1/codes", {"email": "a@example.org"}, sent=again)).status_code == 200
        assert (await home.master("POST", "/users", {"username": "m", "password": "x"})).status_code == 201


async def test_what_was_not_asked_is_no_answer(tmp_path: Path) -> None:
    async with house(tmp_path, captcha="altcha") as home:
        mine = {"algorithm": "SHA-256", "salt": "mine?expires=9999999999", "maxnumber": 1, "signature": "0" * 64}
        mine["challenge"] = hashlib.sha256(b"mine?expires=99999999991").hexdigest()
        right = await asked(home)
        longer = right["salt"].replace("expires=", "expires=9")
        for answer in (
            solved(mine),
            solved(right, salt=longer),
            solved(right, salt=right["salt"][:-1]),
            solved(right, number=-1),
            solved(right, number="1"),
            solved(right, signature=None),
            "",
            "not base64",
            base64.b64encode(b"[]").decode(),
            "A" * 5000,
        ):
            assert await signs_up(home, "ann", answer) == 142, answer
        late = solved(right)
        home.clock.advance(600_000)
        assert await signs_up(home, "ann", late) == 142
        assert await signs_up(home, "ann", solved(await asked(home))) is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((200, '{"success": true}'), None),
        ((200, '{"success": false}'), 142),
        ((200, '{"success": "yes"}'), 142),
        ((500, '{"success": true}'), 142),
        ((200, "x"), 142),
    ],
)
async def test_a_service_that_people_know_is_asked(tmp_path: Path, answer: tuple[int, str], code: int | None) -> None:
    async with service() as other:
        other.answer = answer
        url = f"http://127.0.0.1:{other.port}/siteverify"
        async with house(tmp_path, reach=LOCAL, captcha=url, captcha_secret="sesame") as home:
            assert await asked(home) == {}
            assert await signs_up(home, "ann", "the&answer") == code
        assert other.asked[0][1] == "secret=sesame&response=the%26answer&remoteip=10.1.1.1"


async def test_nobody_is_asked_unless_the_app_says_so(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        assert (await home.ask("GET", "/api/v1/captcha")).status_code == 404
        assert await signs_up(home, "ann", None) is None
