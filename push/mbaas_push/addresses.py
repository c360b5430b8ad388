"""From an installation to the address at which its device is reached.

`pushType` says which provider where it is set; else `deviceType` does, as in Parse's push adapter.
"""

from __future__ import annotations

from hashlib import blake2b

from mbaas.kernel.values import Json, Object
from mbaas_push.transports.port import Address, Kind, Provider

ENVIRONMENT, PRODUCTION, SANDBOX = "apnsEnvironment", "production", "sandbox"
"""The column of an installation that says in which of Apple's two environments its token is good, and what it says."""
_BY_PUSH_TYPE: dict[Json, Provider] = {
    "apn": "apns",
    "apns": "apns",
    "gcm": "fcm",
    "fcm": "fcm",
    "fid": "fcm",
    "web": "webpush",
    "webpush": "webpush",
}
_BY_DEVICE_TYPE: dict[Json, Provider] = {
    "ios": "apns",
    "osx": "apns",
    "tvos": "apns",
    "watchos": "apns",
    "visionos": "apns",
    "android": "fcm",
    "web": "webpush",
}


def address_of(installation: Object) -> Address | None:
    """Where the device is reached; None without a token, or for a kind of device that no provider reaches."""
    token = installation.get("deviceToken")
    if not isinstance(token, str) or not token:
        return None
    asked = installation.get("pushType")
    provider = _BY_PUSH_TYPE.get(asked) if isinstance(asked, str) and asked else _BY_DEVICE_TYPE.get(_text(installation.get("deviceType")))
    if provider is None:
        return None
    kind: Kind = "fid" if asked == "fid" else "subscription" if provider == "webpush" else "token"
    return Address(provider, token, kind, _text(installation.get("appIdentifier")), installation.get(ENVIRONMENT) == SANDBOX)


def type_of(installation: Object) -> str:
    """The kind of the device as pushes are counted by it. What clients make up is one kind: neither a column of its own nor a wrong one."""
    kind = _text(installation.get("deviceType"))
    return kind if kind in _BY_DEVICE_TYPE else "other"


def digest_of(token: str) -> str:
    """A short name of an address, by which two installations with the same one are one."""
    return blake2b(token.encode(), digest_size=12).hexdigest()


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""
