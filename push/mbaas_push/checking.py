"""Are the credentials of the push providers good? Asked of the providers themselves, without sending anything to anybody.

A message to an address that no device can have goes the whole way: token, signature, project, bundle id. That the address is none, the
provider says last of all. Web Push has no provider to ask before a browser names one: there the keys are tried on themselves.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import Literal

from cryptography.hazmat.primitives import serialization

from mbaas.data.app import App
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.options import PushOptions
from mbaas.kernel.values import Object
from mbaas_push.transports.port import Address, Outcome, Parcel, Provider, Transport
from mbaas_push.transports.signing import base64url, es256, read_key

State = Literal["good", "wrong", "unreachable", "absent"]
_SECONDS = 20
_NOBODY: dict[Provider, str] = {"fcm": "no-device-has-this-token", "apns": "0" * 64}
_ABSENT: dict[Provider, str] = {
    "fcm": "To reach Android, set MBAAS_FCM_CREDENTIALS to the file of a Firebase service account.",
    "apns": "To reach Apple's devices, set MBAAS_APNS_KEY, MBAAS_APNS_KEY_ID, MBAAS_APNS_TEAM_ID and MBAAS_APNS_TOPIC.",
    "webpush": "To reach browsers, set MBAAS_WEBPUSH_KEY and MBAAS_WEBPUSH_SUBJECT.",
}
_NO_ADDRESS = ("BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "UNREGISTERED", "NOT_FOUND", "INVALID_ARGUMENT")
_TODO: dict[Provider, tuple[tuple[str, str], ...]] = {
    "apns": (
        ("Environment", "The key is of Apple's other environment: make one for both, or set MBAAS_APNS_ENDPOINT to the key's own."),
        ("ExpiredProviderToken", "Set the clock of this machine: Apple takes it to be off by an hour."),
        ("Token", "MBAAS_APNS_KEY, MBAAS_APNS_KEY_ID and MBAAS_APNS_TEAM_ID must belong together, and the key must not be revoked."),
        ("Topic", "Set MBAAS_APNS_TOPIC to the bundle id of your app, which must be of the key's team."),
        ("bundle id", "Set MBAAS_APNS_TOPIC to the bundle id of your app."),
        ("Forbidden", "Enable Apple's push service for the key, and for the app's bundle id."),
    ),
    "fcm": (
        ("SERVICE_DISABLED", "Enable the Firebase Cloud Messaging API (V1) for the project in Google's console."),
        ("has not been used", "Enable the Firebase Cloud Messaging API (V1) for the project in Google's console."),
        ("PERMISSION_DENIED", "Give the service account the role Firebase Cloud Messaging API Admin, and enable that API (V1)."),
        ("invalid_grant", "The account's key was revoked, or the clock of this machine is off: make a new key in Firebase's settings."),
        ("UNAUTHENTICATED", "Make a new key of the service account in Firebase's settings, and set MBAAS_FCM_CREDENTIALS to its file."),
    ),
    "webpush": (),
}
"""What mends a reason that has this in it; the first that fits."""
_REACH = "Let this machine reach {host} at port 443; is a proxy, or a firewall, in between?"


@dataclass(frozen=True, slots=True)
class Checked:
    """What is known of one provider, and what is to be done, if anything is."""

    provider: Provider
    state: State
    says: str
    todo: str = ""

    def told(self) -> Object:
        """As it is answered."""
        return asdict(self)


async def check(app: App, options: PushOptions, transport: Transport | None) -> list[Checked]:
    """Every provider. `transport` is what the app sends with, None for nothing."""
    # At once: two that hang take no longer than one.
    asked = await asyncio.gather(
        _asked(app, transport, "fcm", options.fcm_credentials is not None, options.fcm_endpoint),
        _asked(app, transport, "apns", options.apns_key is not None, options.apns_endpoint),
    )
    return [*asked, _web_push(app, options) if options.webpush_key is not None else _absent("webpush")]


def _absent(provider: Provider) -> Checked:
    return Checked(provider, "absent", "It is not set up.", _ABSENT[provider])


async def _asked(app: App, transport: Transport | None, provider: Provider, configured: bool, host: str) -> Checked:
    """What a provider says of a message to nobody."""
    if transport is None or not configured:
        return _absent(provider)
    parcel = Parcel(app.ids.uuid(), Address(provider, _NOBODY[provider]), {"alert": "A check of the credentials"})
    try:
        async with asyncio.timeout(_SECONDS):
            outcome = await transport.send(parcel)
    except TimeoutError:
        outcome = Outcome("again", f"no answer within {_SECONDS} s")
    return _judged(provider, outcome, host)


def _judged(provider: Provider, outcome: Outcome, host: str) -> Checked:
    reason = outcome.reason
    if outcome.verdict == "sent":
        return Checked(provider, "good", "It takes whatever it is sent, also to addresses that nobody has: it is a rehearsal's.")
    if outcome.verdict in ("gone", "failed") and reason.partition(":")[0] in _NO_ADDRESS:
        return Checked(provider, "good", "The credentials are good: nothing but the address, which is nobody's, was refused.")
    if reason == "TooManyProviderTokenUpdates":
        return Checked(provider, "good", "The credentials are good; new tokens were asked for too often.", "Ask again in 20 minutes.")
    for part, todo in _TODO[provider]:
        if part in reason:
            return Checked(provider, "wrong", f"It refuses the credentials: {reason}.", todo)
    if outcome.verdict in ("again", "unknown"):
        return Checked(provider, "unreachable", f"It gave no answer that says: {reason}.", _REACH.format(host=host))
    return Checked(provider, "wrong", f"It refuses: {reason}.", "See what the provider says of that reason.")


def _web_push(app: App, options: PushOptions) -> Checked:
    """Whether the key signs, and who is behind it can be asked: push services refuse what has neither contact."""
    assert options.webpush_key is not None
    try:
        key, subject = read_key(options.webpush_key, "MBAAS_WEBPUSH_KEY"), options.webpush_subject or ""
        es256(key, {"aud": "https://example.com", "exp": app.clock.now() // 1000 + 60, "sub": subject}, typ="JWT")
    except MbaasError as error:
        return Checked(
            "webpush",
            "wrong",
            error.message,
            "Set it to a P-256 key as PEM: openssl ecparam -name prime256v1 -genkey -noout -out webpush.pem",
        )
    address = subject.removeprefix("mailto:")
    if not subject.startswith(("mailto:", "https://")) or (address != subject and "@" not in address) or subject.endswith("localhost"):
        todo = "Set MBAAS_WEBPUSH_SUBJECT to mailto: and an address, or to an https: page, by which you can be asked."
        return Checked("webpush", "wrong", f"{subject} is no contact that push services take.", todo)
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return Checked("webpush", "good", f"The key signs. Browsers have to subscribe with its public part: {base64url(point)}")
