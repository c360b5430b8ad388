"""How a company's own system is to know the server: basic, bearer, or a client certificate. Told by nobody once it has been set.

It is `auth` of an environment of an internal partner: `{"kind": "basic", "username", "password"}`, `{"kind": "bearer", "token"}` or
`{"kind": "mtls", "certificate", "key", "authorities"?}` in PEM. Calls are signed all the same.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.outbound import tls
from mbaas.outbound.tls import Certificate

_NEEDED: dict[str, tuple[str, ...]] = {"basic": ("username", "password"), "bearer": ("token",), "mtls": ("certificate", "key")}
_MORE = {"mtls": ("authorities",)}
_TOKEN = re.compile(r"[\x21-\x7e]+")
_LONGEST = 65_536


def checked(given: Json) -> Object | None:
    """The `auth` of an environment; None takes it away. ParseError 142."""
    if given is None:
        return None
    kind = given.get("kind") if isinstance(given, dict) else None
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise _invalid(f"auth must be an object whose kind is {', '.join(_NEEDED)}.")
    needed, more = _NEEDED[kind], _MORE.get(kind, ())
    if not set(needed) <= set(given) <= {"kind", *needed, *more} or not all(_text(given[name]) for name in given):
        raise _invalid(f"auth of the kind {kind} has the texts {', '.join((*needed, *more))}.")
    if kind == "basic" and ":" in given["username"]:
        raise _invalid("A username of basic auth has no colon.")
    if kind == "bearer" and not _TOKEN.fullmatch(given["token"]):
        raise _invalid("A token has no spaces and no special characters.")
    found = certificate(given)
    if found is not None:
        try:
            tls.context(found)
        except ValueError as error:
            raise _invalid(f"{str(error)[0].upper()}{str(error)[1:]}.") from error
    return dict(given)


def shown(auth: Object | None) -> Object | None:
    """What may be told of it: the kind, the user's name, when a certificate ends."""
    if auth is None:
        return None
    told: Object = {"kind": auth["kind"]}
    if auth["kind"] == "basic":
        told["username"] = auth["username"]
    if auth["kind"] == "mtls":
        told["expiresAt"] = _end(auth["certificate"])
    return told


def headers(auth: Object | None) -> Mapping[str, str]:
    """What a request says by it."""
    match auth["kind"] if auth is not None else "":
        case "basic":
            assert auth is not None
            pair = f"{auth['username']}:{auth['password']}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
        case "bearer":
            assert auth is not None
            return {"Authorization": f"Bearer {auth['token']}"}
    return {}


def certificate(auth: Object | None) -> Certificate | None:
    """What a connection is made with by it."""
    if auth is None or auth["kind"] != "mtls":
        return None
    return Certificate(auth["certificate"], auth["key"], auth.get("authorities", ""))


def _end(pem: str) -> str:
    # Loaded where somebody looks, not by the start of every server.
    from cryptography import x509

    return iso(round(x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc.timestamp() * 1000))


def _text(value: Json) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _LONGEST


def _invalid(why: str) -> ParseError:
    return ParseError(Code.VALIDATION_ERROR, why)
