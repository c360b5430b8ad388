"""An object's access list: from its wire form to the principals who may read or write it.

A principal is `*`, a user's id, `role:<name>` or `partner:<name>`. None stands for "no list": everybody may.
"""

from __future__ import annotations

from collections.abc import Iterable

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object

PUBLIC = "*"
GROUPS = ("role:", "partner:")
"""What a principal begins with that is no user; so no user's id does."""
MOST_ENTRIES = 5000


def allowed(acl: Json, permission: str) -> tuple[str, ...] | None:
    """Principals whom `acl` (the wire form) grants `permission` (`read` or `write`), sorted; None without a list."""
    if acl is None:
        return None
    if not isinstance(acl, dict):
        return ()
    return tuple(sorted(who for who, rights in acl.items() if isinstance(rights, dict) and rights.get(permission)))


def normal(acl: Json) -> Object:
    """The list as it is kept: only rights that are granted; anything that is not an object grants nobody. 123 for too long a list."""
    if not isinstance(acl, dict):
        return {}
    if len(acl) > MOST_ENTRIES:
        raise ParseError(Code.INVALID_ACL, f"An access list has no more than {MOST_ENTRIES} entries.")
    kept: Object = {}
    for who, rights in acl.items():
        granted = {p: True for p in ("read", "write") if isinstance(rights, dict) and rights.get(p)}
        if granted:
            kept[who] = granted
    return kept


def permits(allowed_principals: Iterable[str] | None, principals: frozenset[str]) -> bool:
    """True if one of the caller's principals (which include `*`) is on the list, or there is none."""
    return allowed_principals is None or not principals.isdisjoint(allowed_principals)
