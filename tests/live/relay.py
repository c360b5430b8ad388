"""A way to a server that can be cut and mended, or go silent, as a phone's network does; for tests."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")
_AT_ONCE = 65536
_AT_CLOSE = struct.pack("ii", 1, 0)
"""Lingering for no time: the other side is told at once that the connection is broken, not that it has ended."""


class Relay:
    """Takes connections at `port`, and passes on what comes over them to a port of this machine and back."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._whole = True
        self._lines: set[Line] = set()
        self._serving: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Relay:
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.cut()
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def cut(self) -> None:
        """Break all connections on both sides, and every new one until it is mended."""
        self._do(self._cut())

    def mend(self) -> None:
        """Take connections again."""
        self._whole = True

    def silence(self) -> None:
        """Pass on nothing more over the connections there are, which neither side is told."""
        self._do(self._silence())

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        line, task = Line(writer), asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        self._lines.add(line)
        try:
            if self._whole:
                await line.carry(reader, *await line.reach(self._to))
        except OSError:
            pass  # One of the sides is gone: so is the other in a moment.
        finally:
            line.breaks()
            self._lines.discard(line)

    async def _cut(self) -> None:
        self._whole = False
        for line in self._lines:
            line.breaks()

    async def _silence(self) -> None:
        for line in self._lines:
            line.open.clear()

    async def _end(self) -> None:
        self._server.close()
        await asyncio.gather(*self._serving, return_exceptions=True)


class Line:
    """One connection through the relay."""

    def __init__(self, writer: StreamWriter) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self._writers = [writer]
        self._broken = asyncio.Event()

    async def reach(self, port: int) -> tuple[StreamReader, StreamWriter]:
        """The other side. Little fits into the kernel's buffers on the way there, so that who is silent is soon felt to be."""
        line = socket.socket()
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _AT_ONCE)
        line.setblocking(False)
        await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", port))
        reader, writer = await asyncio.open_connection(sock=line)
        self._writers.append(writer)
        return reader, writer

    async def carry(self, near: StreamReader, far: StreamReader, onward: StreamWriter) -> None:
        """Pass on both ways until one side ends or the line breaks."""
        ways = [asyncio.create_task(way) for way in (self._pump(near, onward), self._pump(far, self._writers[0]), self._broken.wait())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)

    def breaks(self) -> None:
        """Break it on both sides."""
        self._broken.set()
        for writer in self._writers:
            if writer.transport.is_closing():
                continue
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_CLOSE)
            writer.transport.abort()

    async def _pump(self, reader: StreamReader, writer: StreamWriter) -> None:
        while data := await reader.read(_AT_ONCE):
            await self.open.wait()
            writer.write(data)
            await writer.drain()
