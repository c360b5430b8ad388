"""`MBAAS_SMTP_URL`: a mail server as one address, `smtp://user:password@host:587?from=app@example.com`."""

from __future__ import annotations

from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from mbaas.kernel.options import SmtpServer, Tls
from mbaas.quantities import duration_ms

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_PORTS = {"smtp": 587, "smtps": 465}
_ARGUMENTS = ("from", "timeout", "tls")


def smtp_server(text: str) -> SmtpServer:
    """The server of an address. ValueError says what is wrong with it, and never what its password is."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be an address such as smtp://user:password@host:587") from None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
        raise ValueError("must be an address such as smtp://user:password@host:587, or smtps:// for TLS from the start")
    given = dict(parse_qsl(parts.query))
    if unknown := next((name for name in given if name not in _ARGUMENTS), None):
        raise ValueError(f"may say {', '.join(_ARGUMENTS)} behind its question mark, but not {unknown}")
    timeout = duration_ms(given["timeout"]) if "timeout" in given else 30_000
    if not timeout:
        raise ValueError("has a timeout, which must be a duration such as 30s")
    return SmtpServer(
        host=parts.hostname,
        port=port or _PORTS[parts.scheme],
        tls=_tls(parts.scheme, given.get("tls"), parts.hostname),
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        sender=given.get("from"),
        timeout_s=timeout / 1000,
    )


def _tls(scheme: str, wanted: str | None, host: str) -> Tls:
    """Passwords of people travel through this connection, so nothing but a server on this machine may do without."""
    if scheme == "smtps":
        return "always"
    if wanted not in (None, "required", "offered", "never"):
        raise ValueError("has tls, which must be required, offered or never")
    return cast(Tls, wanted or ("offered" if host in _LOOPBACK else "required"))
