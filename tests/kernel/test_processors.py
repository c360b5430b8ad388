"""How many processors a process may use, by the scheduler and by a container's quota."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mbaas.kernel.processors import processors


@pytest.fixture
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("eight")
@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000\n", 8), ("250000 100000\n", 2), ("50000 100000\n", 1), ("1600000 100000\n", 8), ("", 8), ("what is this\n", 8)],
)
def test_a_containers_quota_counts(tmp_path: Path, quota: str, count: int) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert processors(file) == count


@pytest.mark.usefixtures("eight")
def test_without_a_quota_the_scheduler_says_it(tmp_path: Path) -> None:
    assert processors(tmp_path / "none") == 8
