"""Allow-lists, and whom a proxy speaks for."""

from __future__ import annotations

import pytest

from mbaas.kernel.addresses import client_address, forwarded_for, within


@pytest.mark.parametrize(
    ("address", "allowed", "inside"),
    [
        ("127.0.0.1", ("127.0.0.1", "::1"), True),
        ("::1", ("127.0.0.1", "::1"), True),
        ("::ffff:127.0.0.1", ("127.0.0.1",), True),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("10.1.2.3", ("10.1.2.4/8",), True),
        ("11.0.0.1", ("10.0.0.0/8",), False),
        ("11.0.0.1", ("::/0",), False),
        ("11.0.0.1", ("0.0.0.0/0",), True),
        ("", ("0.0.0.0/0",), False),
        ("unix", ("0.0.0.0/0",), False),
        ("127.0.0.1", (), False),
    ],
)
def test_within(address: str, allowed: tuple[str, ...], inside: bool) -> None:
    assert within(address, allowed) is inside


@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "client"),
    [
        ("1.1.1.1", "", (), "1.1.1.1"),
        ("1.1.1.1", "127.0.0.1", (), "1.1.1.1"),
        ("10.0.0.1", "2.2.2.2", ("10.0.0.0/8",), "2.2.2.2"),
        ("10.0.0.1", "127.0.0.1, 2.2.2.2", ("10.0.0.0/8",), "2.2.2.2"),
        ("10.0.0.1", "2.2.2.2, 10.0.0.2", ("10.0.0.0/8",), "2.2.2.2"),
        ("10.0.0.1", "10.0.0.3", ("10.0.0.0/8",), "10.0.0.3"),
        ("10.0.0.1", "127.0.0.1, 2.2.2.2:4711, 10.0.0.2:443", ("10.0.0.0/8",), "2.2.2.2"),
        ("10.0.0.1", "[2001:db8::1]:4711", ("10.0.0.0/8",), "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", ("10.0.0.0/8",), "2001:db8::1"),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str, forwarded: str, trusted: tuple[str, ...], client: str) -> None:
    assert client_address(peer, forwarded, trusted) == client


def test_a_line_that_a_proxy_has_added_is_read_after_that_of_the_client() -> None:
    headers = [(b"x-forwarded-for", b"127.0.0.1"), (b"host", b"x"), (b"x-forwarded-for", b"2.2.2.2"), (b"x-forwarded-for", b"10.0.0.2")]
    assert client_address("10.0.0.1", forwarded_for(headers), ("10.0.0.0/8",)) == "2.2.2.2"
    assert forwarded_for(headers[1:2]) == ""
