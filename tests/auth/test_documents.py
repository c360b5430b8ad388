"""What is kept of what providers publish: for how long, how often it is fetched, and what holds while a provider is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from mbaas.outbound.calls import Outbound
from mbaas.outbound.reach import Reach
from mbaas.testing.clock import FakeClock
from mbaas_auth.identity.documents import Documents
from mbaas_auth.identity.ports import NotVouched, Unreachable
from tests.auth.issuer import public
from tests.functions.web import Web, respond, web

MINUTE, HOUR = 60_000, 3600_000


class Kept:
    """Documents of a server on this machine, at a time of the test's choice."""

    def __init__(self, served: Web, outbound: Outbound) -> None:
        self.web, self.clock = served, FakeClock()
        self.documents = Documents(outbound, self.clock)
        self.publish("k1")

    def publish(self, *kids: Any, headers: dict[str, str] | None = None, status: int = 200) -> None:
        import json

        body = json.dumps({"keys": [{**public(), "kid": kid} for kid in kids]}).encode()
        self.web.on["/keys"] = lambda to, _: respond(to, status, body, **(headers or {}))

    async def key(self, kid: str) -> dict[str, Any]:
        return await self.documents.key(self.web.url("/keys"), kid)

    @property
    def fetched(self) -> int:
        return len(self.web.to("/keys"))


@pytest.fixture(scope="module")
def served() -> Iterator[Web]:
    with web() as running:
        yield running


@pytest.fixture
async def kept(served: Web) -> AsyncIterator[Kept]:
    outbound = Outbound(Reach(open=True))
    served.received.clear()
    yield Kept(served, outbound)
    await outbound.close()


async def test_many_who_come_at_once_wait_for_one_call(kept: Kept) -> None:
    assert {key["kid"] for key in await asyncio.gather(*(kept.key("k1") for _ in range(50)))} == {"k1"}
    assert kept.fetched == 1


@pytest.mark.parametrize(
    ("said", "held"),
    [
        (None, HOUR),
        ("public, max-age=7200, must-revalidate", 2 * HOUR),
        ("max-age=0", MINUTE),
        ("no-store", HOUR),
        ("max-age=999999999", 24 * HOUR),
        ("s-maxage=5", HOUR),
    ],
)
async def test_keys_are_kept_as_long_as_the_provider_says_within_bounds(kept: Kept, said: str | None, held: int) -> None:
    kept.publish("k1", headers={} if said is None else {"Cache-Control": said})
    await kept.key("k1")
    kept.clock.advance(held - 1)
    await kept.key("k1")
    assert kept.fetched == 1
    kept.clock.advance(1)
    await kept.key("k1")
    assert kept.fetched == 2


async def test_a_new_key_is_found_and_made_up_names_are_looked_for_once_a_minute(kept: Kept) -> None:
    await kept.key("k1")
    kept.publish("k1", "k2")
    for number in range(100):
        with pytest.raises(NotVouched):
            await kept.key(f"made up {number}")
    assert kept.fetched == 1
    kept.clock.advance(MINUTE)
    assert (await kept.key("k2"))["kid"] == "k2"
    for number in range(100):
        with pytest.raises(NotVouched):
            await kept.key(f"made up {number}")
    assert kept.fetched == 2


async def test_keys_hold_for_a_while_longer_where_no_others_are_to_be_had(kept: Kept) -> None:
    """Whatever is wrong: an error, an answer with nothing in it. It is asked again every ten seconds, not for every sign-in."""
    await kept.key("k1")
    for status, kids in ((500, ["k1"]), (200, []), (404, ["k1"]), (302, ["k1"])):
        kept.publish(*kids, status=status)
        kept.clock.advance(HOUR if kept.fetched == 1 else 10_000)
        before = kept.fetched
        for _ in range(5):
            assert (await kept.key("k1"))["kid"] == "k1"
        assert kept.fetched == before + 1
    kept.clock.advance(HOUR)
    with pytest.raises(Unreachable):
        await kept.key("k1")
    kept.publish("k3")
    kept.clock.advance(10_000)
    assert (await kept.key("k3"))["kid"] == "k3"
    with pytest.raises(NotVouched):
        await kept.key("k1")


async def test_of_a_key_that_is_new_while_the_provider_is_away_nothing_is_said(kept: Kept) -> None:
    """Nobody knows that it is none: who comes with it may come again, and is let in as soon as the provider is back."""
    await kept.key("k1")
    kept.publish(status=503)
    kept.clock.advance(MINUTE)
    for _ in range(5):
        with pytest.raises(Unreachable):
            await kept.key("k2")
        assert (await kept.key("k1"))["kid"] == "k1"
    assert kept.fetched == 2
    kept.publish("k1", "k2")
    kept.clock.advance(10_000)
    assert (await kept.key("k2"))["kid"] == "k2"
    with pytest.raises(NotVouched):
        await kept.key("k3")
    assert kept.fetched == 3


async def test_a_clock_that_is_put_back_keeps_nobody_out(kept: Kept) -> None:
    await kept.key("k1")
    kept.clock.advance(-24 * HOUR)
    kept.publish("k1", "k2")
    assert (await kept.key("k2"))["kid"] == "k2"


async def test_no_more_than_a_hundred_keys_are_kept(kept: Kept) -> None:
    kept.publish(*(f"k{number}" for number in range(300)))
    assert await kept.key("k99")
    with pytest.raises(NotVouched):
        await kept.key("k100")


async def test_an_issuers_document_is_its_own_or_none(kept: Kept) -> None:
    issuer, path = kept.web.url("/tenant"), "/tenant/.well-known/openid-configuration"
    kept.web.on[path] = {"issuer": "https://another.example", "jwks_uri": "https://another.example/keys"}
    with pytest.raises(Unreachable):
        await kept.documents.endpoint(issuer, "jwks_uri")
    kept.clock.advance(MINUTE)
    kept.web.on[path] = {"issuer": issuer, "jwks_uri": "https://keys.example"}
    assert await kept.documents.endpoint(issuer, "jwks_uri") == "https://keys.example"
    with pytest.raises(NotVouched):
        await kept.documents.endpoint(issuer, "token_endpoint")
