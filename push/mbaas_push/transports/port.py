"""The port of the providers: a parcel in, an outcome out. An outcome says what may be done next, never raises."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from mbaas.kernel.values import Object

Provider = Literal["fcm", "apns", "webpush"]
Kind = Literal["token", "fid", "subscription", "topic", "condition"]
"""What an address is. Of Firebase's they are called as its messages call them; the last two are of nobody in particular."""
Verdict = Literal["sent", "failed", "gone", "again", "unknown"]
"""`gone`: the address is dead. `again`: surely not accepted, may be tried later. `unknown`: the line broke after the body had left."""


@dataclass(slots=True)
class Address:
    """Where a device is reached. `app` is the app's bundle id, where the installation names it. `sandbox`: in Apple's, if there are two."""

    provider: Provider
    value: str
    kind: Kind = "token"
    app: str = ""
    sandbox: bool = False


@dataclass(slots=True)
class Parcel:
    """One push to one device. `send_id` is a UUID, the same for every attempt, by which devices know a repeat. `expires` in ms, or None.
    `urgent`: where a provider takes only so much, it goes before others."""

    send_id: str
    address: Address
    data: Object
    expires: int | None = None
    urgent: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of a parcel: the provider's id for it, or its reason; how long to wait before the next attempt, in ms, if it says.

    `since`: from when on the address is known to be dead, in ms. `all_wait`: the wait is for every parcel to this provider. `quota`: it was
    refused since it is more than the provider takes in that time. `sandbox`:
    the address turned out to be one of Apple's sandbox, or not to be one; None where it is what it was taken for.
    """

    verdict: Verdict
    reason: str = ""
    provider_id: str = ""
    wait_ms: int | None = None
    since: int | None = None
    all_wait: bool = False
    quota: bool = False
    sandbox: bool | None = None


class Transport(Protocol):
    """One way to a provider."""

    async def send(self, parcel: Parcel) -> Outcome:
        """Try once."""
        ...

    async def close(self) -> None:
        """Let go of its connections."""
        ...
