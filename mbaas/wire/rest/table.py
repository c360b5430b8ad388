"""All routes of the dialect in one table."""

from __future__ import annotations

from functools import cache

from mbaas.wire.rest import batch, classes, config, files, server
from mbaas.wire.routes import Table


@cache
def table() -> Table:
    """The table, made once."""
    return Table((*classes.ROUTES, *batch.ROUTES, *config.ROUTES, *files.ROUTES, *server.ROUTES))
