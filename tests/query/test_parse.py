"""What is refused, and how, before a store is asked."""

from __future__ import annotations

from typing import Any

import pytest

from mbaas.kernel.errors import ParseError
from mbaas.kernel.schema import Field
from mbaas.query.parse import Scope, parse_where
from mbaas.testing.clock import FakeClock

SCOPE = Scope({"d": Field("Date"), "l": Field("Array")}, FakeClock())


@pytest.mark.parametrize("kind", [{}, [], {"__type": "File"}, 5, None, True, "Nothing"], ids=str)
@pytest.mark.parametrize("column", ["d", "l", "unknown"])
def test_what_stands_for_a_type_may_be_anything(kind: Any, column: str) -> None:
    value = {"__type": kind}
    for condition in (value, {"$lte": value}, {"$ne": value}, {"$in": [value]}, {"$all": [value]}, {"$containedBy": [value]}):
        try:
            parse_where({column: condition}, SCOPE)
        except ParseError as refused:
            assert refused.code in (102, 107), refused.message
