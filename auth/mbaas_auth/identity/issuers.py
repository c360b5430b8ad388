"""What the options of every provider with id tokens have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mbaas_auth.identity.id_tokens import Expected
from mbaas_auth.identity.options import Options, address, flag


def expected(options: Options, issuers: Iterable[str], audiences: frozenset[str], keys_url: str, **more: Any) -> Expected:
    """What tokens must be like: of these issuers, for these audiences, and as the options say. `keys_url` unless they name another."""
    return Expected(
        frozenset(issuers),
        audiences,
        address(options, "jwksUri", keys_url) if keys_url or options.get("jwksUri") else "",
        nonce_bound=flag(options, "requireNonce", bool(more.pop("nonce_bound", False))),
        any_email=flag(options, "allowUnverifiedEmail"),
        joins=flag(options, "linkByEmail"),
        **more,
    )
