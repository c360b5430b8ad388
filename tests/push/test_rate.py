"""What a provider is sent a second: halved when it says that this is too much, a step more each second, and everything again in the end."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from mbaas.data.app import App
from mbaas.kernel.options import PushOptions
from mbaas.observe.metrics import Metrics
from mbaas.outbound.reach import Reach
from mbaas.testing.clock import FakeClock
from mbaas_push.mock.script import Reply, Script
from mbaas_push.room import opened
from mbaas_push.transports.rate import Rate
from tests.push.pushing import deliveries, device, passing, push, tokens


class Time:
    """A clock that goes on when somebody sleeps, and by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds
        await asyncio.sleep(0)


@pytest.fixture
def time() -> Time:
    return Time()


async def send(rate: Rate, time: Time, count: int, seconds: float) -> None:
    """So many at even distances."""
    for _ in range(count):
        await rate.turn()
        time.at += seconds / count


async def test_nothing_is_held_back_before_somebody_says_so(time: Time) -> None:
    rate = Rate(time.now, time.sleep)
    for _ in range(1000):
        await rate.turn()
    assert (rate.limit, time.at) == (0, 1000)


async def test_it_is_halved_rises_by_the_same_step_and_is_lifted(time: Time) -> None:
    rate = Rate(time.now, time.sleep)
    await send(rate, time, 400, 1)
    assert rate.refuse(of_all=True)
    seen = []
    for _ in range(12):
        seen.append(rate.limit)
        time.at += 1
    assert seen == pytest.approx([200 + 20 * second for second in range(12)])
    time.at += 30
    assert rate.limit == 0


async def test_what_is_sent_keeps_to_the_limit(time: Time) -> None:
    rate = Rate(time.now, time.sleep)
    await send(rate, time, 400, 1)
    rate.refuse(of_all=True)
    begun = time.at
    await asyncio.gather(*(rate.turn() for _ in range(210)))
    # 200 a second at first, and 220 a second later.
    assert 0.9 < time.at - begun < 1.1


async def test_what_is_urgent_does_not_wait_in_the_line_and_the_line_goes_on(time: Time) -> None:
    rate, left, some_left = Rate(time.now, time.sleep), list[str](), asyncio.Event()

    async def leave(name: str, *, urgent: bool = False) -> None:
        await rate.turn(urgent=urgent)
        left.append(name)
        if len(left) == 10:
            some_left.set()

    await send(rate, time, 100, 1)
    rate.refuse(of_all=True)
    line = [asyncio.create_task(leave("campaign")) for _ in range(100)]
    await some_left.wait()
    await asyncio.gather(*(leave("moment", urgent=True) for _ in range(10)))
    # Of the line one goes before them, one with them, and none is forgotten.
    assert left[10:].count("campaign") <= 2
    await asyncio.gather(*line)
    assert left.count("campaign") == 100


async def test_a_storm_of_refusals_is_one_and_each_second_of_it_halves_again(time: Time) -> None:
    rate = Rate(time.now, time.sleep)
    await send(rate, time, 800, 1)
    assert [rate.refuse(of_all=True) for _ in range(50)] == [True, *[False] * 49]
    assert rate.limit == 400
    await send(rate, time, 400, 1)
    assert rate.refuse(of_all=True)
    assert 195 <= rate.limit <= 225
    for _ in range(20):
        time.at += 1
        rate.refuse(of_all=True)
    assert rate.limit == 10


async def test_retry_after_is_waited_for_first_and_nothing_rises_meanwhile(time: Time) -> None:
    rate = Rate(time.now, time.sleep)
    await send(rate, time, 100, 1)
    rate.refuse(of_all=True)
    rate.rest(60)
    begun = time.at
    assert not rate.refuse(of_all=True)
    await rate.turn()
    assert (time.at - begun, rate.limit) == (60, 50)


async def test_single_devices_that_get_too_much_do_not_slow_the_others_down(time: Time) -> None:
    rate = Rate(time.now, time.sleep)
    await send(rate, time, 100, 1)
    assert [rate.refuse(of_all=False) for _ in range(3)] == [False, False, True]
    other = Rate(time.now, time.sleep)
    for _ in range(10):
        assert not other.refuse(of_all=False)
        time.at += 0.6


@pytest.mark.parametrize(
    ("kind", "provider", "reply"),
    [
        ("android", "fcm", Reply(status=429, reason="QUOTA_EXCEEDED", retry_after_s=1)),
        ("ios", "apns", Reply(status=429, reason="TooManyRequests", retry_after_s=1)),
    ],
)
async def test_a_provider_that_says_so_is_sent_less_and_the_metric_says_how_much(
    closed_app: App, push_settings: PushOptions, script: Script, clock: FakeClock, kind: str, provider: str, reply: Reply
) -> None:
    app, metrics = closed_app, Metrics()
    for number in range(4):
        token = f"{number:064d}"
        script.tokens[token] = deque([reply, Reply()])
        await device(app, token, kind)
    async with opened(app, push_settings, Reach(open=True), metrics):
        assert _rates(metrics) == {"fcm": 0, "apns": 0, "webpush": 0}
        run = await push(app)
        await passing(app, clock, run, 1000)
        rates = _rates(metrics)
    assert {name for name, rate in rates.items() if rate > 0} == {provider}
    assert {row["state"] for row in await deliveries(app, run)} == {"sent"}
    assert set(tokens(script).values()) == {1}


def _rates(metrics: Metrics) -> dict[str, float]:
    text = metrics.render()[0].decode()
    lines = [line for line in text.splitlines() if line.startswith("mbaas_push_rate{")]
    assert all('app="a"' in line for line in lines)
    return {line.partition('provider="')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}
