"""uvicorn's WebSocket connections, less one way in which they can last for ever."""

from __future__ import annotations

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_LAST_WORD_SECONDS = 1.0


class Connection(WebSocketsSansIOProtocol):
    """A connection whose client is cut off when it answers no ping.

    uvicorn closes such a one once all that waits has been sent. A client that is gone without a word takes none of it, so that
    its socket and its subscriptions would be kept until the kernel gives up, or for good behind a proxy that does not.
    """

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        # Not at once: why it is closed still reaches a client that was merely slow.
        self.loop.call_later(_LAST_WORD_SECONDS, self.transport.abort)
