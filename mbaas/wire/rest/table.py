"""All routes of the dialect in one table."""

from __future__ import annotations

from functools import cache

from mbaas.wire.rest import batch, classes, config, files, functions, hooks, push, schemas, server, users
from mbaas.wire.routes import Table


@cache
def table() -> Table:
    """The table, made once."""
    families = (classes, users, schemas, batch, config, files, functions, hooks, push, server)
    return Table(route for family in families for route in family.ROUTES)
