"""An LDAP directory on this machine, as far as sign-in needs one: it binds people by their passwords and finds their groups.

It reads the messages that the library sends (RFC 4511, BER), and knows nothing of how they were made.
"""

from __future__ import annotations

import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread

_BIND, _BOUND, _SEARCH, _ENTRY, _DONE = 0x60, 0x61, 0x63, 0x64, 0x65
_RIGHT, _WRONG = 0, 49


@dataclass
class Directory:
    """`people` are passwords by distinguished name, `groups` names of groups by what a filter asks for. `asked` is what came in."""

    port: int = 0
    people: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    bound: list[tuple[str, str]] = field(default_factory=list)
    searched: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    def answer(self, tag: int, body: bytes) -> list[bytes]:
        """The answers to a request, each tagged; none for one that ends the connection."""
        parts = [value for _, value in _parts(body)]
        if tag == _BIND:
            who, password = parts[1].decode(), parts[2].decode()
            self.bound.append((who, password))
            # As the standard has it, no password is a visitor's, whom every directory lets in.
            right = not password or self.people.get(who) == password
            return [_result(_BOUND, _RIGHT if right else _WRONG)]
        if tag == _SEARCH:
            attribute, value = (part.decode() for _, part in _parts(parts[6]))
            self.searched.append(f"{attribute}={value}")
            entries = [_entry(group) for group in self.groups.get(f"{attribute}={value}", [])]
            return [*entries, _result(_DONE, _RIGHT)]
        return []


def _tagged(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + body


def _result(tag: int, code: int) -> bytes:
    return _tagged(tag, _tagged(0x0A, bytes([code])), _tagged(0x04), _tagged(0x04))


def _entry(group: str) -> bytes:
    named = _tagged(0x30, _tagged(0x04, b"cn"), _tagged(0x31, _tagged(0x04, group.encode())))
    return _tagged(_ENTRY, _tagged(0x04, f"cn={group}".encode()), _tagged(0x30, named))


def _parts(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The tagged values in a row of bytes."""
    while body:
        tag, size, start = body[0], body[1], 2
        if size & 0x80:
            start += size & 0x7F
            size = int.from_bytes(body[2:start], "big")
        yield tag, body[start : start + size]
        body = body[start + size :]


@contextmanager
def directory() -> Iterator[Directory]:
    """A directory on a free port of this machine."""
    made = Directory()

    class Answering(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            while received := self.request.recv(65536):
                for _, message in _parts(received):
                    (_, number), (tag, body), *_ = _parts(message)
                    answers = made.answer(tag, body)
                    for each in answers:
                        self.request.sendall(_tagged(0x30, _tagged(0x02, number), each))
                    if not answers:
                        return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answering) as server:
        server.daemon_threads = True
        made.port = server.server_address[1]
        Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()
