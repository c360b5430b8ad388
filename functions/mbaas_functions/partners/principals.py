"""Partners as those who ask: `partner:<name>` in access lists and class permissions, and no more than the app shares with them."""

from __future__ import annotations

from collections.abc import Mapping

from mbaas.kernel.caller import EVERYBODY, Caller
from mbaas_functions.partners.registry import Partner


def watcher(partner: str) -> Caller:
    """Who watches a class for a partner, by a query that the app's developer chose: what is told of it is asked of `reader`."""
    return Caller(principals=_principals(partner))


def reader(partner: Partner, ip: str = "") -> Caller:
    """Who reads what the app shares with a partner by its grant; without one, nothing."""
    grant = partner.grant
    shared: Mapping[str, frozenset[str]] = {}
    if grant is not None and partner.serves(grant["environment"]):
        shared = {class_name: frozenset(fields) for class_name, fields in grant["classes"].items()}
    return Caller(principals=_principals(partner.name), shared=shared, ip=ip)


def _principals(partner: str) -> frozenset[str]:
    return EVERYBODY | {f"partner:{partner}"}
