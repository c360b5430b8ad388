"""All routes of the dialect in one table."""

from __future__ import annotations

from functools import cache

from mbaas.wire.rest import batch, classes, config, files, functions, hooks, pages, push, schemas, server, users
from mbaas.wire.routes import Table


@cache
def table(endpoints: frozenset[str] = frozenset({pages.ENDPOINT})) -> Table:
    """The table, made once for each set of places that pages are at."""
    families = (classes, users, schemas, batch, config, files, functions, hooks, push, server)
    own = (route for family in families for route in family.ROUTES)
    return Table([*own, *(route for endpoint in sorted(endpoints) for route in pages.routes(endpoint))])
