"""All routes below `/api/v1` in one table."""

from __future__ import annotations

from functools import cache

from mbaas.wire.routes import Table
from mbaas.wire.v1 import (
    audit,
    campaigns,
    changes,
    consents,
    deployments,
    endpoints,
    events,
    jobs,
    limits,
    logs,
    moments,
    partner,
    partners,
    passkeys,
    plays,
    providers,
    pushes,
    receipts,
    secrets,
    sessions,
    sign_in,
    staff,
)


@cache
def table() -> Table:
    """The table, made once."""
    families = (
        audit,
        campaigns,
        changes,
        consents,
        deployments,
        endpoints,
        events,
        jobs,
        limits,
        logs,
        moments,
        partner,
        partners,
        passkeys,
        plays,
        providers,
        pushes,
        receipts,
        secrets,
        sessions,
        sign_in,
        staff,
    )
    return Table(route for family in families for route in family.ROUTES)
