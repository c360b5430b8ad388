"""An LDAP directory: `{id, password}`, by which the person is bound. `pip install mbaas[ldap]` brings the library.

Names are escaped before they stand in a distinguished name or a filter, and an empty password, which directories take for a
visitor's, is refused before anybody is asked. The password is never kept. Source: RFC 4513 to 4515.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from mbaas.kernel.values import Object
from mbaas_auth.identity.options import Lacking, Options, flag, optional, text
from mbaas_auth.identity.ports import Identity, Missing, NotVouched, Tools, Unreachable

_SECONDS = 5
_AT_ONCE = 8
"""The library waits; whoever waits for a slow directory holds up nothing but other directories' people."""
_MOST = 1024


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, "ldap")


@dataclass(frozen=True, slots=True)
class Ldap:
    """One directory. `dn` has `{{id}}` where the name stands; `group` is the name of one, found by `filter`, that people must be in."""

    url: str
    suffix: str
    dn: str
    group: str | None
    filter: str | None
    proved: bool
    authorities: str | None
    by_password: bool = True

    async def vouch(self, data: Object, tools: Tools) -> Identity:
        name, password = data.get("id"), data.get("password")
        if not name or not password:
            raise Missing("password" if name else "id")
        if not isinstance(name, str) or not isinstance(password, str) or len(name) > _MOST or len(password) > _MOST:
            raise NotVouched("the name or the password is none")
        await asyncio.get_running_loop().run_in_executor(_threads(), self._bind, name, password)
        return Identity(name, {"id": name})

    def _bind(self, name: str, password: str) -> None:
        from ldap3 import NONE, Connection, Server, Tls
        from ldap3.core.exceptions import LDAPException
        from ldap3.utils.conv import escape_filter_chars
        from ldap3.utils.dn import escape_rdn

        tls = Tls(validate=ssl.CERT_REQUIRED if self.proved else ssl.CERT_NONE, ca_certs_data=self.authorities)
        server = Server(self.url, tls=tls, get_info=NONE, connect_timeout=_SECONDS)
        connection = Connection(server, self.dn.replace("{{id}}", escape_rdn(name)), password, receive_timeout=_SECONDS)
        try:
            if not connection.bind():
                raise NotVouched("the directory refuses the name or the password")
            if self.group is not None and self.filter is not None:
                connection.search(self.suffix, self.filter.replace("{{id}}", escape_filter_chars(name)), attributes=["cn"])
                if not any(self.group in entry["attributes"].get("cn", ()) for entry in connection.response or () if "attributes" in entry):
                    raise NotVouched("she is not in the group")
        except LDAPException as error:
            raise Unreachable(f"the directory cannot be asked: {type(error).__name__}") from error
        finally:
            connection.unbind()


def configured(options: Options) -> Ldap:
    """The provider. Lacking says what is wrong."""
    if find_spec("ldap3") is None:
        raise Lacking("the library is missing: pip install mbaas[ldap]")
    url, suffix = text(options, "url"), text(options, "suffix")
    if urlsplit(url).scheme not in ("ldap", "ldaps"):
        raise Lacking("url must begin with ldap:// or ldaps://")
    tls: Mapping[str, Any] = options.get("tlsOptions") or {}
    if not isinstance(tls, Mapping):
        raise Lacking("tlsOptions must be an object")
    dn = optional(options, "dn", f"uid={{{{id}}}},{suffix}")
    if "{{id}}" not in dn:
        raise Lacking("dn must have {{id}} where the name stands")
    group, found = optional(options, "groupCn", "") or None, optional(options, "groupFilter", "") or None
    if (group is None) != (found is None):
        raise Lacking("groupCn and groupFilter go together")
    return Ldap(url, suffix, dn, group, found, flag(tls, "rejectUnauthorized", True), optional(tls, "ca", "") or None)
