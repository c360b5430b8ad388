"""Header blocks of HTTP/2 (RFC 7541) read and written with the tables of the `hpack` package.

That package's own decoder takes more time than all the rest of a message: here it is a loop, and a text that comes again is decoded once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import lru_cache

from hpack import HPACKError
from hpack.hpack import encode_integer
from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE
from hpack.table import HeaderTable

Field = tuple[str, str]
_KNOWN: list[Field] = [("", ""), *((name.decode(), value.decode()) for name, value in HeaderTable.STATIC_TABLE)]
"""What both sides know from the first; numbers begin at 1."""
TABLE_BYTES, _FIELD_BYTES = 4096, 32
"""What is kept where nothing else was told, and what each field counts beside its bytes."""
_AUTHORITY, _METHOD, _PATH, _HTTPS, _STATUS = b"\x01", b"\x02", b"\x04", b"\x87", b"\x08"
"""Names by their places in the table that both sides know, their values to follow; of `:scheme` the value, too."""
_NEVER_KEPT = b"\x10"
_MOST_DIGITS = 5


class Unreadable(Exception):
    """The other side's table of headers is not ours any more: the connection has to end."""


class Reader:
    """Reads the blocks of one connection, whose other side was told that it may have `most` bytes of headers kept."""

    def __init__(self, most: int = TABLE_BYTES) -> None:
        self._kept: deque[Field] = deque()
        """What the other side may refer to from now on, the latest first."""
        self._bytes, self._told = 0, most
        self._most = TABLE_BYTES

    def read(self, block: bytes) -> dict[str, str]:
        """A block's headers; of several with a name the last."""
        try:
            return self._read(block)
        except (HPACKError, UnicodeDecodeError, IndexError) as error:
            raise Unreadable(str(error)) from error

    def _read(self, block: bytes) -> dict[str, str]:
        found: dict[str, str] = {}
        at, end = 0, len(block)
        while at < end:
            first = block[at]
            if 0x80 < first < 0xFF:
                # Most are these; the rest of the loop would do, but takes longer.
                name, value = self._field(first & 0x7F)
                at += 1
            elif first & 0x80:
                index, at = _number(block, at, 0x7F)
                name, value = self._field(index)
            elif first & 0xE0 == 0x20:
                most, at = _number(block, at, 0x1F)
                self._resize(most)
                continue
            else:
                mask = 0x3F if first & 0x40 else 0x0F
                index, at = (first & mask, at + 1) if first & mask != mask else _number(block, at, mask)
                if index:
                    name, _ = self._field(index)
                else:
                    name, at = _text(block, at)
                value, at = _text(block, at)
                if first & 0x40:
                    self._keep((name, value))
            found[name] = value
        return found

    def _field(self, index: int) -> Field:
        if 0 < index < len(_KNOWN):
            return _KNOWN[index]
        if not index:
            raise Unreadable("field 0")
        return self._kept[index - len(_KNOWN)]

    def _keep(self, field: Field) -> None:
        self._kept.appendleft(field)
        self._bytes += _size(field)
        self._drop()

    def _resize(self, most: int) -> None:
        if most > self._told:
            raise Unreadable(f"a table of {most} bytes")
        self._most = most
        self._drop()

    def _drop(self) -> None:
        while self._bytes > self._most:
            self._bytes -= _size(self._kept.pop())


def written(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """A block of an answer, which leaves the other side's table alone."""
    return _start(status) + _fields(headers)


def asked(method: str, authority: str, path: str, headers: tuple[str, ...], own: Iterable[tuple[str, str]] = ()) -> bytes:
    """A block of a request by https, which leaves the other side's table alone; `headers` are `name: value` each, which many requests
    have, `own` are those of this one alone, with their names in lower case."""
    return _PATH + _sized(path.encode()) + _shared(method, authority, headers) + _fields(own)


def _fields(given: Iterable[tuple[str, str]]) -> bytes:
    block = b""
    for name, value in given:
        block += b"\0" + _written(name) + _sized(value.encode())
    return block


@lru_cache(maxsize=64)
def _start(status: int) -> bytes:
    return _STATUS + _written(str(status))


@lru_cache(maxsize=1024)
def _shared(method: str, authority: str, headers: tuple[str, ...]) -> bytes:
    """What is the same in many messages is written once."""
    return _METHOD + _written(method) + _HTTPS + _AUTHORITY + _written(authority) + b"".join(map(_line, headers))


def _line(line: str) -> bytes:
    name, _, value = line.partition(":")
    name = name.strip().lower()
    return (_NEVER_KEPT if name == "authorization" else b"\0") + _written(name) + _sized(value.strip().encode())


@lru_cache(maxsize=1024)
def _written(text: str) -> bytes:
    return _sized(text.encode())


def _sized(data: bytes) -> bytes:
    length = len(data)
    return (bytes((length,)) if length < 0x7F else bytes(encode_integer(length, 7))) + data


def _number(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """A number, and what comes after it."""
    number = block[at] & mask
    at += 1
    if number == mask:
        for place in range(_MOST_DIGITS):
            digit = block[at]
            at += 1
            number += (digit & 0x7F) << (7 * place)
            if digit < 0x80:
                return number, at
        raise Unreadable("a number without end")
    return number, at


def _text(block: bytes, at: int) -> tuple[str, int]:
    """A text, and what comes after it."""
    first = block[at]
    if first < 0x7F and (end := at + 1 + first) <= len(block):
        # Most are short, and in no code.
        return block[at + 1 : end].decode(), end
    coded = first & 0x80
    length, at = _number(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise Unreadable("a text that is cut off")
    text = block[at:end]
    return (_decoded(text) if coded else text.decode()), end


@lru_cache(maxsize=1024)
def _decoded(code: bytes) -> str:
    """Access tokens and the like, which are the same in each message, stay in the cache."""
    state, whole, parts = 0, True, []
    for byte in code:
        state, part, whole = _STEPS[state << 8 | byte]
        parts.append(part)
    if not whole:
        raise Unreadable("a text without its end")
    return b"".join(parts).decode()


class _Steps(dict[int, tuple[int, bytes, bool]]):
    """The package's machine for Huffman's code goes four bits at a time; this one goes eight, and learns them as they come."""

    def __missing__(self, key: int) -> tuple[int, bytes, bool]:
        state, flags, found = key >> 8, 0, bytearray()
        for bits in (key >> 4 & 15, key & 15):
            state, flags, byte = HUFFMAN_TABLE[state << 4 | bits]
            if flags & HUFFMAN_FAIL:
                raise Unreadable("a text in no code")
            if flags & HUFFMAN_EMIT_SYMBOL:
                found.append(byte)
        self[key] = step = state, bytes(found), bool(flags & HUFFMAN_COMPLETE)
        return step


_STEPS = _Steps()


def _size(field: Field) -> int:
    name, value = field
    return len(name.encode()) + len(value.encode()) + _FIELD_BYTES
