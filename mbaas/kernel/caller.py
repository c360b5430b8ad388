"""Who asks: one immutable record per request, made by the wire and handed to every use-case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mbaas.kernel.acl import PUBLIC
from mbaas.kernel.values import Object

EVERYBODY = frozenset({PUBLIC})


@dataclass(frozen=True, slots=True)
class Caller:
    """The rights of one request.

    `principals` is what access lists are compared with: `*`, the user's id, and `role:<name>` for each role she has, inherited
    ones included; for a partner service `partner:<name>`. `master` passes every permission; `read_only` takes its writes away.
    `maintenance` passes the permissions on objects and says when new ones were made; it opens no route of the master key's.
    """

    master: bool = False
    read_only: bool = False
    maintenance: bool = False
    user_id: str | None = None
    anonymous: bool = False
    """True for a user who has no more than an anonymous id (`authData.anonymous`)."""
    roles: frozenset[str] = frozenset()
    principals: frozenset[str] = EVERYBODY
    shared: Mapping[str, frozenset[str]] | None = None
    """For a partner service: what the app shares with it, fields by class (`*`: all of them); it reads no more, and writes nothing.
    None for everybody else."""
    session_id: str | None = None
    session_token: str | None = None
    session_expires: int | None = None
    """When the session ends, in ms; None if it does not, or there is none."""
    installation_id: str | None = None
    client_version: str | None = None
    ip: str = ""
    staff: str = ""
    """Who of the console's people asks, by her address; what she may do the console has looked at."""
    context: Object = field(default_factory=dict)
    depth: int = 0
    """How many functions and triggers deep the request is: 0 for a client's own."""
    within: object | None = None
    """Where the function runs in whose name this is asked; None for a client's own request."""
    unit: object | None = None
    """What commits with this request's writes (`mbaas.data.commit.RequestUnit`): its idempotency record, its transaction."""

    @property
    def omnipotent(self) -> bool:
        """Master or maintenance: no access list is asked."""
        return self.master or self.maintenance

    @property
    def readers(self) -> frozenset[str] | None:
        """Principals to compare read permissions with; None asks no list."""
        return None if self.master or self.maintenance else self.principals

    def as_master(self) -> Caller:
        """The same request with all rights, for the server's own steps."""
        return replace(self, master=True, read_only=False)


def user_principals(user_id: str, roles: frozenset[str]) -> frozenset[str]:
    """The principals of a signed-in user with these role names (without the `role:` prefix)."""
    return frozenset({PUBLIC, user_id, *(f"role:{name}" for name in roles)})


MASTER = Caller(master=True)
ANONYMOUS = Caller()
