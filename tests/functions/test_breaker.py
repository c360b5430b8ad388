"""The circuit breaker, on a clock of its own."""

from __future__ import annotations

from mbaas_functions.partners.breaker import Breaker


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_it_opens_after_five_that_could_not_be_made() -> None:
    clock = Seconds()
    breaker = Breaker(clock)
    for _ in range(5):
        assert breaker.wait() == 0
        breaker.went(well=False, reached=False)
    assert breaker.wait() == 5


def test_one_probe_decides_and_pauses_grow_up_to_a_minute() -> None:
    clock = Seconds()
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.went(well=False, reached=False)
    pauses = []
    for _ in range(6):
        pause = breaker.wait()
        pauses.append(pause)
        clock.now += pause
        assert breaker.wait() == 0
        assert breaker.wait() > 0
        breaker.went(well=False, reached=True)
    assert pauses == [5, 10, 20, 40, 60, 60]
    clock.now += 60
    assert breaker.wait() == 0
    breaker.went(well=True, reached=True)
    assert breaker.wait() == 0


def test_it_opens_when_half_of_many_fail_within_half_a_minute() -> None:
    clock = Seconds()
    breaker = Breaker(clock)
    for n in range(19):
        breaker.went(well=n % 2 == 0, reached=True)
    assert breaker.wait() == 0
    breaker.went(well=False, reached=True)
    assert breaker.wait() > 0


def test_failures_of_long_ago_do_not_count() -> None:
    clock = Seconds()
    breaker = Breaker(clock)
    for _ in range(19):
        breaker.went(well=False, reached=True)
    clock.now = 31
    breaker.went(well=False, reached=True)
    assert breaker.wait() == 0


def test_calls_that_were_under_way_when_it_opened_change_nothing() -> None:
    clock = Seconds()
    breaker = Breaker(clock)
    for _ in range(5):
        breaker.went(well=False, reached=False)
    for _ in range(8):
        breaker.went(well=False, reached=False)
    breaker.went(well=True, reached=True)
    assert breaker.wait() == 5
