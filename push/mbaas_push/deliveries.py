"""Deliveries: one row for each (run, address).

A row's key is `{run}:{due}:{digest of the address}`, so that the rows of a run lie in the order in which they are due. Where a run finds
its devices page by page the beginning of the installation's id stands before the digest (and some of the digest is left out): rows are
then written, and sent, one beside the other, where they would each be in a place of their own of the store's file. Its state:

    pending   to be sent
    again     refused by the provider for now; it is tried again at `at`
    sent      accepted by the provider, which calls it `id`
    failed    refused for good, for the `reason`
    unknown   nobody knows whether the provider has accepted it, and the push is not to be sent twice (`on_ambiguous: skip`)
    skipped   not sent, for the `reason`: `expired`, `passed` (the time had passed in that zone), `cancelled`; of a campaign also
              `no_address`, `opted_out`, `control`, `missing_field`, `too_long`, `quiet_hours`, `capped`, `unregistered`; of a play also
              `min_value`, `cooldown`, `outranked`, `function_timeout`, `function_failed`

Of a play `occurred` is when it happened, `until` when the push is worth nothing any more, `worth` what it was worth when that was
decided, `partner` the function whose offer it is, and `offers` what became of each function that was asked.

`ambiguous` counts the attempts of which it is not known whether the provider had accepted them, `requeued` how often it was sent again when
it had failed for good. `gone` is said of one that has failed since its address is no more.
"""

from __future__ import annotations

from dataclasses import dataclass

from mbaas.kernel.clock import iso
from mbaas.kernel.values import Object
from mbaas.storage.ports import PutRow, Row
from mbaas_push.addresses import digest_of
from mbaas_push.transports.port import Address

TABLE = "deliveries"
KEPT_MS = 30 * 86_400_000
"""How long the deliveries of a run are kept, from when they have their end."""
_WAITING_MS = 400 * 86_400_000
"""How long one is kept that has no end yet: longer than anybody pauses a run."""
UNSETTLED = ("pending", "again")
_TIMES = ("at", "occurred", "until")
_LEAD_BYTES, _DIGEST = 4, 16


def key_of(run: str, due: int, token: str) -> str:
    """Where the delivery to an address lies."""
    return f"{run}:{due:014d}:{digest_of(token)}"


def place_in(run: str, due: int, installation: str) -> str:
    """Where the deliveries to an installation lie, and to few others."""
    return f"{run}:{due:014d}:{_lead(installation)}"


def key_beside(run: str, due: int, installation: str, token: str) -> str:
    """Where the delivery to an installation's address lies beside its page's others."""
    return place_in(run, due, installation) + address_in(digest_of(token))


def beside_others(delivery: Delivery) -> Delivery:
    """The delivery where its page's others lie."""
    due, _, digest = delivery.key.rpartition(":")
    return Delivery(f"{due}:{_lead(delivery.value['installation'])}{address_in(digest)}", delivery.value)


def _lead(installation: str) -> str:
    return installation.encode()[:_LEAD_BYTES].ljust(_LEAD_BYTES, bytes(1)).hex()


def address_in(key: str) -> str:
    """What of a key tells addresses apart, in either form of it."""
    return key[-_DIGEST:]


@dataclass(slots=True)
class Delivery:
    """A row of a run. `value` is what is stored."""

    key: str
    value: Object

    @classmethod
    def of(cls, row: Row) -> Delivery:
        """The delivery that a row holds."""
        return cls(row.key, dict(row.value))

    @property
    def due(self) -> int:
        """When it is to be sent, in ms."""
        return int(self.key.split(":")[1])

    @property
    def address(self) -> Address:
        """Where to."""
        return Address(*self.value["to"])

    @property
    def state(self) -> str:
        """One of those above."""
        return str(self.value["state"])

    def told(self) -> Object:
        """What is said of it: nothing by which the device could be sent anything."""
        hidden = ("to", "seen", "values") if "variant" in self.value else ("to", "seen", "locale")
        named = {name: value for name, value in self.value.items() if name not in hidden}
        named |= {name: iso(named[name]) for name in _TIMES if name in named}
        return {**named, "provider": self.value["to"] and self.address.provider, "due": iso(self.due) if self.due else None}

    def counted(self, name: str) -> list[str]:
        """The counts of its run in which it is one, by the name of how it has ended."""
        why = [f"failed.reason.{self.value.get('reason', '')}"] if name == "failed" else []
        return [name, f"{name}.type.{self.value['type']}", f"{name}.offset.{self.value.get('offset', '')}", *why]

    def step(self, now: int) -> PutRow:
        """The step that stores it."""
        return PutRow(TABLE, self.key, self.value, expires=now + (_WAITING_MS if self.state in UNSETTLED else KEPT_MS))


def expiry_of(push: Object, delivery: Delivery) -> int | None:
    """When it is too late to send a delivery of a push, in ms; None if it never is."""
    if "until" in delivery.value:
        return int(delivery.value["until"])
    if push["expires"] is not None:
        return int(push["expires"])
    return None if push["lasts"] is None else delivery.due + int(push["lasts"])
