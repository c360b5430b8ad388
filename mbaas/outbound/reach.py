"""Where the server may call: which URLs, and which addresses behind their names.

A URL that somebody else chose must not lead into the network that the server stands in (server-side request forgery). So
nothing but the public internet can be reached, by https on its usual ports, unless the operator names a host.
Source: OWASP's SSRF prevention, RFC 6890 (special-purpose addresses), RFC 6052 (NAT64), 3056 (6to4), 4380 (Teredo).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {443, 8443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_REFUSED = tuple(
    ipaddress.ip_network(text)
    # Not all of them are "not global" to Python: local NAT64, IPv4 in IPv6's oldest form, site-local.
    for text in ("0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "192.0.0.0/24", "64:ff9b:1::/48", "::/96", "fec0::/10", "fc00::/7")
)


class Forbidden(Exception):
    """The server does not call there. The text says why, for the operator and for who names the URL."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What may be called. `open`: plain http and this machine itself, too. `allowed`: hosts that may be anywhere, by any port."""

    open: bool = False
    allowed: frozenset[str] = frozenset()

    def check(self, url: str) -> SplitResult:
        """The parts of a URL that may be called, as far as it says itself. Forbidden says what is wrong with it."""
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise Forbidden(f"{url!r} is not a URL: {error}") from error
        allowed = host in self.allowed
        if parts.scheme not in ("https", "http"):
            raise Forbidden(f"{url!r} is not an http or https URL")
        if parts.username is not None or parts.password is not None or parts.fragment:
            raise Forbidden("a URL that is called has no user name, password or fragment")
        if not host or not url.isascii() or any(char <= " " or char in '\\"<>^`{|}' for char in url):
            raise Forbidden(f"{url!r} is not a URL in its canonical form")
        if parts.scheme == "http" and not (self.open or allowed):
            raise Forbidden("https only, unless MBAAS_OUTBOUND_ALLOW names the host")
        if port is not None and port not in _PORTS and not (self.open or allowed):
            raise Forbidden(f"port {port} is not one of {sorted(_PORTS)}, and MBAAS_OUTBOUND_ALLOW does not name the host")
        literal = _literal(host)
        if literal is None:
            _refuse_odd(host)
        else:
            self.check_address(host, str(literal))
        return parts

    def vouched(self, host: str) -> bool:
        """True if whose the host is need not be proven: the operator names it, or it is this machine itself, in development."""
        literal = _literal(host.lower())
        return host.lower() in self.allowed or (self.open and (host == "localhost" or (literal is not None and literal.is_loopback)))

    def check_address(self, host: str, address: str) -> None:
        """Forbidden unless this address of the host may be connected to."""
        if host.lower() in self.allowed:
            return
        found = ipaddress.ip_address(address.partition("%")[0])
        inner = _embedded(found)
        if self.open and (found.is_loopback or (inner is not None and inner.is_loopback)):
            return
        if "%" in address or not _public(found) or (inner is not None and not _public(inner)):
            raise Forbidden(f"{host} is not on the public internet, and MBAAS_OUTBOUND_ALLOW does not name it")


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refuse_odd(host: str) -> None:
    """Names that some resolver takes for a number (127.1, 0x7f000001, 2130706433), and names that end in a dot."""
    last = host.rpartition(".")[2]
    if not last or last.isdigit() or last.startswith("0x") or ":" in host or "%" in host:
        raise Forbidden(f"{host!r} is not a host in its canonical form")


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return True  # What it stands for decides.
    if address.is_multicast or address.is_reserved or any(address.version == net.version and address in net for net in _REFUSED):
        return False
    return address.is_global or (isinstance(address, ipaddress.IPv6Address) and address in _NAT64)
