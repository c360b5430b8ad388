"""The mock's connections: HTTP/2 by h2 over TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from mbaas_push.mock.providers import Answered, answer
from mbaas_push.mock.script import Script


class Connection(asyncio.Protocol):
    """One connection of a sender."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._h2: h2.connection.H2Connection | None = None
        self._transport: asyncio.Transport | None = None
        self._requests: dict[int, tuple[dict[str, str], bytearray]] = {}
        self._bodies: dict[int, memoryview] = {}
        """What is left of answers that the other side does not take yet."""
        self._messages = 0
        self._leaving = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            transport.close()
            return
        # Senders are ours or are being tested: to look at each of their headers takes half of the mock's time.
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8", validate_inbound_headers=False)
        self._h2 = h2.connection.H2Connection(config)
        self._h2.initiate_connection()
        # These hold once the sender has heard of them: until then it may send more, as a real one lets it.
        self._h2.update_settings(
            {
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: self._script.streams,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: self._script.window,
            }
        )
        self._flush()

    def data_received(self, data: bytes) -> None:
        if self._h2 is None:
            return
        try:
            events = self._h2.receive_data(data)
        except h2.exceptions.ProtocolError:
            self._flush()
            self._close()
            return
        for event in events:
            if isinstance(event, h2.events.RequestReceived):
                self._requests[event.stream_id] = {str(name): str(value) for name, value in event.headers}, bytearray()
            elif isinstance(event, h2.events.DataReceived):
                self._requests[event.stream_id][1].extend(event.data)
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self._take(event.stream_id, *self._requests.pop(event.stream_id))
            elif isinstance(event, h2.events.StreamReset):
                self._requests.pop(event.stream_id, None)
                self._bodies.pop(event.stream_id, None)
            elif isinstance(event, h2.events.WindowUpdated):
                for stream in [stream for stream in self._bodies if event.stream_id in (0, stream)]:
                    self._send_body(stream)
        self._flush()
        if self._leaving:
            self._farewell()

    def _take(self, stream: int, headers: dict[str, str], body: bytearray) -> None:
        answered = answer(self._script, headers[":method"], headers[":path"], headers, bytes(body))
        reply, script = answered.reply, self._script
        self._messages += reply is not None
        if reply is not None and (reply.drop or (script.reset_every and self._messages % script.reset_every == 0)):
            if self._transport is not None:
                self._transport.abort()
            return
        latency = script.latency_ms if reply is None or reply.latency_ms is None else reply.latency_ms
        if latency and reply is not None:
            asyncio.get_running_loop().call_later(latency / 1000, self._answer_later, stream, answered)
        else:
            # It leaves with the others of what was received together.
            self._answer(stream, answered)
        if reply is not None and script.goaway_every and self._messages % script.goaway_every == 0:
            self._leaving = True

    def _answer(self, stream: int, answered: Answered) -> None:
        if self._h2 is None or self._transport is None or self._transport.is_closing():
            return
        try:
            self._h2.send_headers(stream, [(":status", str(answered.status)), *answered.headers], end_stream=not answered.body)
            if answered.body:
                self._bodies[stream] = memoryview(answered.body)
                self._send_body(stream)
        except h2.exceptions.ProtocolError:
            # The sender has given this stream up.
            return

    def _answer_later(self, stream: int, answered: Answered) -> None:
        self._answer(stream, answered)
        self._flush()

    def _send_body(self, stream: int) -> None:
        """Send as much of an answer as the other side takes now; it says when it takes more."""
        assert self._h2 is not None
        body = self._bodies.pop(stream)
        while body and (room := min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)) > 0:
            self._h2.send_data(stream, bytes(body[:room]), end_stream=room >= len(body))
            body = body[room:]
        if body:
            self._bodies[stream] = body

    def _farewell(self) -> None:
        assert self._h2 is not None
        self._h2.close_connection(additional_data=b'{"reason":"Shutdown"}')
        self._flush()
        self._close()

    def _flush(self) -> None:
        if self._h2 is not None and self._transport is not None and (data := self._h2.data_to_send()):
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@asynccontextmanager
async def listening(script: Script, certificate: Path, key: Path, port: int = 0) -> AsyncIterator[int]:
    """The mock on loopback; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.set_alpn_protocols(["h2"])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(script), "127.0.0.1", port, ssl=context, backlog=512)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
