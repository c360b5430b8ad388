"""Parse Server 9.10 itself and this server are asked the same, and answer alike."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.compat.differential.compare import NAMED, Comparison
from tests.compat.differential.peers import Request, peers
from tests.compat.differential.requests import scenarios

DOCUMENT = Path(__file__).parents[3] / "docs" / "parse-differences.md"
SEQUENCES = max(1, settings().max_examples * 2 // 3)
"""Of some 15 requests each, so that the 2,000 examples of a night are more than 20,000 requests."""


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Comparison]:
    """Both servers, for the whole file: every example has classes of its own."""
    with peers(tmp_path_factory.mktemp("peers")) as (theirs, ours):
        yield Comparison(theirs, ours)


@settings(max_examples=SEQUENCES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example])
@given(steps=scenarios())
def test_both_servers_answer_alike(comparison: Comparison, steps: list[Request]) -> None:
    """Status and body of every request of a sequence are the same, but for dates of now and the named differences."""
    found = comparison.run(steps)
    assert not found, "\n".join(map(str, found))


def test_every_named_difference_is_explained() -> None:
    """A difference that the comparison passes over has its reason in the documentation, under the same name."""
    text = DOCUMENT.read_text()
    assert not [name for name in NAMED if f"### {name}\n" not in text]
