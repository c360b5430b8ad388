"""A connection that sends bytes as they are and reads whole answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httptools


@dataclass
class Reply:
    """What came back; `status` 0 where the server closed the line without a word."""

    status: int = 0
    body: bytearray = field(default_factory=bytearray)


class Line:
    """One keep-alive connection, opened anew whenever the server has closed it. `address` is this end's, any of 127.0.0.0/8; without
    one the system finds a port as it does for everybody, also among those that have just been used."""

    def __init__(self, port: int, address: str | None = None) -> None:
        self._port, self._own = port, None if address is None else (address, 0)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, raw: bytes, method: str, seconds: float = 60) -> Reply:
        """Send a request and read its answer; TimeoutError if none comes."""
        async with asyncio.timeout(seconds):
            if self._writer is None or self._writer.is_closing():
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, local_addr=self._own)
            assert self._reader is not None
            answer = _Answer(method)
            parser = httptools.HttpResponseParser(answer)
            try:
                self._writer.write(raw)
                while not answer.complete:
                    data = await self._reader.read(65536)
                    if not data:
                        break
                    parser.feed_data(data)
                    if not answer.reply.status:
                        answer.reply.status = parser.get_status_code()
            except ConnectionError:
                answer.complete = False
            if not answer.complete or not parser.should_keep_alive():
                await self.close()
            return answer.reply

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class _Answer:
    """Callbacks of the parser."""

    def __init__(self, method: str) -> None:
        self.reply, self.complete, self._bodiless = Reply(), False, method == "HEAD"

    def on_headers_complete(self) -> None:
        # The parser does not know what was asked: the answer to HEAD tells a length and has no body.
        self.complete = self._bodiless

    def on_body(self, body: bytes) -> None:
        self.reply.body += body

    def on_message_complete(self) -> None:
        self.complete = True
