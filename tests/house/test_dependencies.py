"""What the server is shipped with: licences that go with ours, and lock files that are fresh."""

from __future__ import annotations

from tests.house.licences import locked, refused
from tests.house.locks import problems


def test_every_licence_goes_with_ours() -> None:
    assert len(locked()) > 20
    assert refused() == {}


def test_lock_files_are_fresh() -> None:
    assert list(problems()) == []
