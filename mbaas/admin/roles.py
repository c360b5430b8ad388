"""What the console's people may do, by their role. Every page and every change asks here."""

from __future__ import annotations

from typing import Literal

from mbaas_auth.staff.people import Role

Right = Literal["see", "change", "people"]
"""`see`: campaigns, plays, audiences, reports. `change`: write, test, begin, pause and end them. `people`: who may use the console."""
RIGHTS: dict[Role, frozenset[Right]] = {
    "owner": frozenset(("see", "change", "people")),
    "developer": frozenset(("see", "change")),
    "marketer": frozenset(("see", "change")),
    "read-only": frozenset(("see",)),
}
"""Nobody is shown a key, or what the master key alone opens: the console has no page for it."""
SAYS: dict[Role, str] = {
    "owner": "everything, and who else may use the console",
    "developer": "campaigns, plays and audiences",
    "marketer": "campaigns, plays and audiences",
    "read-only": "looks at campaigns, plays, audiences and reports, and changes nothing",
}
