"""A provider that takes everything: `push.adapter: {"module": "accept"}`, for rehearsals and tests of apps."""

from __future__ import annotations

from mbaas_push.transports.port import Outcome, Parcel


class Accept:
    """Accepts whatever it is given, and delivers nothing."""

    async def send(self, parcel: Parcel) -> Outcome:
        return Outcome("sent", provider_id=parcel.send_id)

    async def close(self) -> None:
        return
