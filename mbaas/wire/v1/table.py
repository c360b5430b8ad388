"""All routes below `/api/v1` in one table."""

from __future__ import annotations

from functools import cache

from mbaas.wire.routes import Table
from mbaas.wire.v1 import changes, endpoints, jobs, partners


@cache
def table() -> Table:
    """The table, made once."""
    return Table((*changes.ROUTES, *endpoints.ROUTES, *jobs.ROUTES, *partners.ROUTES))
