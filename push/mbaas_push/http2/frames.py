"""The frames of HTTP/2 (RFC 9113, sections 4 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITY = 1, 1, 4, 8, 32
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = 0, 1, 3, 6, 7, 8, 9
FRAME, WINDOW, LARGEST = 16_384, 65_535, (1 << 31) - 1
"""What a frame and a window hold at first, and the largest window and number of a stream."""
_HEAD = Struct("!HBBBI")
_HEAD_BYTES = 9

Frame = tuple[int, int, int, bytes]
"""Kind, flags, stream, payload."""


class Wrong(Exception):
    """The other side does what it must not: the connection ends, with this error code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """A frame's bytes."""
    length = len(payload)
    return _HEAD.pack(length >> 8, length & 0xFF, kind, flags, stream) + payload


def whole(unread: bytearray) -> Iterator[Frame]:
    """The frames that have come whole; what remains is left there. Wrong for one that is too large."""
    data, at = bytes(unread), 0
    unread.clear()
    size = len(data)
    while size - at >= _HEAD_BYTES:
        high, low, kind, flags, stream = _HEAD.unpack_from(data, at)
        length = high << 8 | low
        if length > FRAME:
            raise Wrong(FRAME_SIZE_ERROR)
        end = at + _HEAD_BYTES + length
        if end > size:
            break
        yield kind, flags, stream & LARGEST, data[at + _HEAD_BYTES : end]
        at = end
    unread += data[at:]


def settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """The settings of a frame, by number. Wrong if it holds no whole number of them."""
    if len(payload) % 6:
        raise Wrong(FRAME_SIZE_ERROR)
    for at in range(0, len(payload), 6):
        yield int.from_bytes(payload[at : at + 2], "big"), int.from_bytes(payload[at + 2 : at + 6], "big")


def with_settings(given: Iterable[tuple[int, int]]) -> bytes:
    """A frame of settings."""
    return frame(SETTINGS, 0, 0, b"".join(name.to_bytes(2, "big") + value.to_bytes(4, "big") for name, value in given))


def unpadded(flags: int, payload: bytes) -> bytes:
    """What a frame holds beside its padding. Wrong if that is longer than the frame."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Wrong(PROTOCOL_ERROR)
    return payload[1 : len(payload) - payload[0]]


def block_of(flags: int, payload: bytes) -> bytes:
    """The header block of a frame of headers."""
    block = unpadded(flags, payload)
    return block[5:] if flags & PRIORITY else block
