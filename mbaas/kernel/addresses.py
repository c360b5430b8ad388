"""Who is at the other end: network addresses, allow-lists, and what a proxy says about its client."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=256)
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks of a checked allow-list."""
    return tuple(ipaddress.ip_network(text, strict=False) for text in texts)


@lru_cache(maxsize=4096)
def within(address: str, allowed: tuple[str, ...]) -> bool:
    """True if the address is in one of the networks; an IPv4 address in IPv6 dress counts as itself."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found.version == network.version and found in network for network in networks(allowed))


def client_address(peer: str, forwarded_for: str, trusted: tuple[str, ...]) -> str:
    """The client's address: the peer's, or, where the peer is a trusted proxy, the last untrusted one of X-Forwarded-For."""
    address = peer
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()]):
        if not within(address, trusted):
            break
        address = _without_port(hop)
    return address


def forwarded_for(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """X-Forwarded-For of a request: all its lines, since some proxies add one of their own to the one that a client has made up."""
    return ",".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")


def network_of(ip: str) -> str:
    """What stands for an address: itself, or an IPv6 network of 64 bits, which is one customer's."""
    try:
        found = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return ip
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def _without_port(hop: str) -> str:
    """An address alone, where a proxy says the port, too: each connection has another one."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
