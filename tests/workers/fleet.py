"""Processes that serve together and are killed, or paused, at any moment: those of one server, or servers of their own."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mbaas.testing.process import TestServer, free_port
from tests.secantus import end_transactions
from tests.workers.asking import MACHINES, Stores

LEASE_SECONDS = 10
SETTLED_SECONDS, MOST_SOON = 5.0, 5
"""A server gives up whose processes die more often in a row sooner than that."""


class Fleet:
    """The processes of one server, or servers of one process each on one database."""

    def __init__(self, servers: list[TestServer], processes: int, chance: random.Random, database_url: str | None) -> None:
        self.servers, self.chance = servers, chance
        self._database_url = database_url
        self._supervised = processes > len(servers)
        self._processes = processes
        self.killed = self.paused = 0

    def serving(self) -> list[int]:
        """The ids of the processes that serve."""
        first = [server.process.pid for server in self.servers if server.process is not None]
        if not self._supervised:
            return first
        return [int(pid) for pid in Path(f"/proc/{first[0]}/task/{first[0]}/children").read_text().split()]

    def kill(self) -> bool:
        """Kill one of them; another takes its place. Not where the server would give up: False then."""
        serving = self.serving()
        victims = [pid for pid in serving if not self._supervised or self.killed < MOST_SOON or age(pid) > SETTLED_SECONDS]
        if len(serving) < self._processes or not victims:
            return False
        victim = self.chance.choice(victims)
        if self._supervised:
            os.kill(victim, signal.SIGKILL)
        else:
            server = next(server for server in self.servers if server.process and server.process.pid == victim)
            server.kill()
        if self._database_url is not None:
            end_transactions(self._database_url)
        if not self._supervised:
            server.start()
        self.killed += 1
        return True

    def pause(self) -> None:
        """Stop one of them for longer than its leases are."""
        victim = self.chance.choice(self.serving())
        os.kill(victim, signal.SIGSTOP)
        pass_time(LEASE_SECONDS * 1.2)
        os.kill(victim, signal.SIGCONT)
        self.paused += 1


def pass_time(seconds: float) -> None:
    """Let the server alone for so long: nothing is waited for."""
    time.sleep(seconds)


def age(pid: int) -> float:
    """For how long a process has been there, in seconds."""
    try:
        began = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except FileNotFoundError:
        return 0
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")


@contextmanager
def fleet(kind: str, stores: Stores, folder: Path, processes: int, **more: object) -> Iterator[Fleet]:
    """So many processes, with these settings."""
    count = processes if kind == MACHINES else 1
    settings = stores.settings(kind, workers=processes // count, **more)
    with ExitStack() as stack:
        servers = [stack.enter_context(TestServer(folder / str(n), settings={**settings, "port": free_port()})) for n in range(count)]
        url = settings.get("database_url")
        yield Fleet(servers, processes, random.Random(7), None if url is None else str(url))
