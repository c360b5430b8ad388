"""Files and functions stay short enough to be read at one sitting."""

from __future__ import annotations

import ast
from pathlib import Path
from statistics import median, quantiles

import pytest

from tests.house.source import checks_and_benches, product, short, tree

FILE_MEDIAN, FILE_P90, FILE_MAX, TEST_FILE_MAX = 150, 350, 500, 600
FUNCTION_P90, FUNCTION_MAX = 35, 60


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def functions(path: Path) -> list[tuple[str, int]]:
    found = [node for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return [(f"{short(path)}:{node.lineno} {node.name}", (node.end_lineno or node.lineno) - node.lineno + 1) for node in found]


@pytest.mark.parametrize(("files", "most"), [(product(), FILE_MAX), (checks_and_benches(), TEST_FILE_MAX)], ids=["product", "tests"])
def test_no_file_is_longer_than_its_budget(files: list[Path], most: int) -> None:
    assert {short(path): lines(path) for path in files if lines(path) > most} == {}


def test_files_are_short_as_a_rule() -> None:
    lengths = [lines(path) for path in product() if lines(path)]
    assert median(lengths) <= FILE_MEDIAN
    assert quantiles(lengths, n=10)[-1] <= FILE_P90


def test_no_function_is_longer_than_its_budget() -> None:
    assert {name: length for path in product() for name, length in functions(path) if length > FUNCTION_MAX} == {}


def test_functions_are_short_as_a_rule() -> None:
    assert quantiles([length for path in product() for _, length in functions(path)], n=10)[-1] <= FUNCTION_P90
