"""The two environments of a partner, sandbox and live: where each is, how much may be asked of it, how it is to know the server."""

from __future__ import annotations

from typing import Literal

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object
from mbaas.outbound.reach import Forbidden, Reach
from mbaas_functions.partners import credentials, signatures

Environment = Literal["sandbox", "live"]
Probe = Literal["ownership", "health", "signature", "errors"]
"""What is found out of the server behind a URL."""
LIMITS = {"perMinute": 600, "perMonth": 1_000_000, "concurrency": 32, "readsPerMinute": 600}
_SETTINGS = {"url", "limits", "auth"}
"""What an environment is given; its keys are made."""


def environment_of(value: Json) -> Environment:
    """One of the two. ParseError 142 for anything else."""
    if value == "sandbox":
        return "sandbox"
    if value == "live":
        return "live"
    raise _invalid("environment must be sandbox or live")


def read(given: Json, kind: str, reach: Reach) -> Object:
    """What an environment is to have of what was given. ParseError 142."""
    given = given if given is not None else {}
    if not isinstance(given, dict) or set(given) - _SETTINGS:
        raise _invalid("sandbox and live are objects with url, limits and auth")
    url, limits = given.get("url"), given.get("limits", {})
    if url is not None:
        check_url(url, kind, reach)
    if not isinstance(limits, dict) or set(limits) - set(LIMITS) or not all(_is_count(limit) for limit in limits.values()):
        raise _invalid(f"limits are whole numbers from 0: {', '.join(LIMITS)}")
    made: Object = {"url": url, "limits": limits}
    if "auth" in given:
        # It stays where it is not named: nobody can read it to say it again.
        made["auth"] = credentials.checked(given["auth"])
        if made["auth"] is not None and kind != "internal":
            raise _invalid("auth is for partners of kind internal: others know the server by its signature")
    return made


def merged(environment: Object, given: Json) -> Json:
    """What an environment is to be after a change of parts of it."""
    if not isinstance(given, dict):
        return given
    known = {name: environment[name] for name in ("url", "limits") if environment.get(name) is not None}
    limits = given.get("limits")
    if isinstance(limits, dict):
        given = {**given, "limits": {name: limit for name, limit in {**environment["limits"], **limits}.items() if limit is not None}}
    return {name: value for name, value in {**known, **given}.items() if value is not None or name == "auth"}


def check(environment: Object) -> None:
    """ParseError 142 if its parts do not go together: a certificate is shown by TLS alone."""
    if credentials.certificate(environment.get("auth")) is not None and not str(environment["url"]).startswith("https:"):
        raise _invalid("a client certificate needs an https url")


def shown(environment: Object) -> Object:
    """An environment without its secrets; of a private key the public half."""
    keys = [
        {"publicKey": signatures.public_key(each["key"]), "until": each["until"]}
        if each["key"].startswith("whsk_")
        else {"secret": f"…{each['key'][-4:]}", "until": each["until"]}
        for each in environment["keys"]
    ]
    return {**environment, "keys": keys, "auth": credentials.shown(environment.get("auth"))}


def check_url(url: Json, kind: str, reach: Reach) -> None:
    """A URL that can never be called is refused as soon as it is named; what its name stands for is checked by each call."""
    if not isinstance(url, str):
        raise _invalid("a url must be a text")
    try:
        parts = reach.check(url)
    except Forbidden as error:
        raise _invalid(str(error)) from error
    if kind == "internal" and parts.hostname not in reach.allowed:
        raise _invalid("an internal partner is on a host that MBAAS_OUTBOUND_ALLOW names")
    if parts.query:
        raise _invalid("a base url has no query")


def _is_count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _invalid(why: str) -> ParseError:
    return ParseError(Code.VALIDATION_ERROR, why[0].upper() + why[1:] + ".")
