"""What the rooms are handed: one frozen record per process. It holds services, and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass, field

from mbaas.kernel.clock import Clock, SystemClock
from mbaas.kernel.ids import Ids
from mbaas.kernel.options import AppOptions, ServerOptions
from mbaas.observe.metrics import Metrics
from mbaas.outbound.calls import Outbound
from mbaas.outbound.reach import Reach


@dataclass(frozen=True, slots=True)
class Services:
    """The server's options, its apps by id, and what every room may use."""

    server: ServerOptions
    apps: dict[str, AppOptions]
    clock: Clock = field(default_factory=SystemClock)
    ids: Ids = field(default_factory=Ids)
    metrics: Metrics = field(default_factory=Metrics)
    outbound: Outbound = field(default_factory=lambda: Outbound(Reach()))
    place: tuple[int, int] = (0, 1)
    """Which of the server's processes this is, from 0, and how many there are."""
