"""The clock that a store under contract reads."""

from __future__ import annotations

import pytest

from mbaas.testing.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
