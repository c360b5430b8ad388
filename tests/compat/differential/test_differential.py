"""Parse Server 9.10 itself and this server are asked the same, and answer alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.compat.differential import definitions, people, requests
from tests.compat.differential.compare import NAMED, Comparison
from tests.compat.differential.peers import Request, peers

DOCUMENT = Path(__file__).parents[3] / "docs" / "parse-differences.md"
SEQUENCES = max(1, settings().max_examples * 2 // 3)
"""Of some 15 requests each, so that the 2,000 examples of a night are more than 20,000 requests."""


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    """Both servers, for the whole file: every example has classes of its own."""
    with peers(tmp_path_factory.mktemp("peers")) as (theirs, ours):
        yield Comparison(theirs, ours)


def often(times: int) -> settings:
    """So many sequences: in a night other ones each time, else always the same."""
    unhealthy = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
    # What is found is short enough as it is, and each attempt to make it shorter asks both servers anew.
    return settings(max_examples=max(1, times), derandomize=times < 1000, phases=[Phase.generate], suppress_health_check=unhealthy)


@often(SEQUENCES)
@given(steps=requests.scenarios())
def test_both_servers_answer_alike(comparison: Comparison, steps: list[Request]) -> None:
    """Status and body of every request of a sequence are the same, but for dates of now and the named differences."""
    found = comparison.differences(steps)
    assert not found, "\n".join(map(str, found))


@often(SEQUENCES // 2)
@given(steps=people.scenarios())
def test_both_servers_answer_alike_of_people(comparison: Comparison, steps: list[Request]) -> None:
    """Also with what a server makes up: tokens, and the ids of sessions."""
    found = comparison.differences(steps)
    assert not found, "\n".join(map(str, found))


@often(SEQUENCES // 2)
@given(steps=definitions.scenarios())
def test_both_servers_answer_alike_of_definitions(comparison: Comparison, steps: list[Request]) -> None:
    found = comparison.differences(steps)
    assert not found, "\n".join(map(str, found))


def test_every_named_difference_is_explained() -> None:
    """A difference that the comparison passes over has its reason in the documentation, under the same name."""
    text = DOCUMENT.read_text()
    assert not [name for name in NAMED if f"### {name}\n" not in text]
