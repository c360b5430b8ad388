"""What several processes of one machine have counted, told by whichever is asked.

Each process of a data folder answers, on a socket of its own in the folder, with what it has counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

from mbaas.kernel.local_sockets import address_in
from mbaas.observe.metrics import Metrics, Snapshot

_SECONDS = 1.0


class Together:
    """One process's part: `number` of `count`, from 0."""

    def __init__(self, metrics: Metrics, folder: Path, number: int, count: int) -> None:
        self._metrics, self._number, self._count = metrics, number, count
        self._folder, self._opened = folder, os.open(folder, os.O_RDONLY)
        self._server: asyncio.Server | None = None

    @staticmethod
    def _name(number: int) -> str:
        return f"mbaas.{number}.metrics"

    def _address(self, number: int) -> str:
        return address_in(self._folder, self._opened, self._name(number))

    async def open(self) -> None:
        """Answer the others."""
        (self._folder / self._name(self._number)).unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(self._address(self._number))
        self._server = await asyncio.start_unix_server(self._answer, sock=listener)

    async def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
        os.close(self._opened)

    async def render(self) -> tuple[bytes, str]:
        """The exposition text of all, and its content type. A process that does not answer is left out."""
        others = [number for number in range(self._count) if number != self._number]
        told = await asyncio.gather(*map(self._ask, others))
        found = {str(number): snapshot for number, snapshot in zip(others, told, strict=True) if snapshot is not None}
        return self._metrics.render({str(self._number): self._metrics.snapshot(), **found})

    async def _answer(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(json.dumps(self._metrics.snapshot()).encode())
        writer.close()
        await writer.wait_closed()

    async def _ask(self, number: int) -> Snapshot | None:
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._address(number))
                try:
                    found: Snapshot = json.loads(await reader.read())
                    return found
                finally:
                    writer.close()
        except (OSError, ValueError, TimeoutError):
            return None
