"""Cross-origin headers, which every answer carries, and those that keep a browser from making more of it than it is; precomputed per app.

The names are those that Parse clients rely on: without the exposed ones the JS SDK cannot see job and push ids.
"""

from __future__ import annotations

from mbaas.kernel.options import AppOptions

Header = tuple[bytes, bytes]

_ALLOWED = (
    "X-Parse-Master-Key, X-Parse-REST-API-Key, X-Parse-Javascript-Key, X-Parse-Application-Id, X-Parse-Client-Version, "
    "X-Parse-Session-Token, X-Requested-With, X-Parse-Revocable-Session, X-Parse-Request-Id, Content-Type, Pragma, Cache-Control"
)
JSON_TYPE: Header = (b"content-type", b"application/json; charset=utf-8")
_NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
_DATA: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'"),
)
"""Of JSON: it is somebody's data, for now, and no page."""
GUARDS = frozenset(name for name, _ in (_NOSNIFF, *_DATA))
"""Headers that an answer may say otherwise itself."""


class Cors:
    """The headers of one app. With several allowed origins the answer names the one that asked."""

    def __init__(self, options: AppOptions) -> None:
        origins = options.allow_origin or ("*",)
        self._many = len(origins) > 1
        self._allowed = ", ".join((_ALLOWED, *options.allow_headers)).encode("latin-1", "replace")
        self._plain = {origin.encode("latin-1", "replace"): self._for(origin) for origin in origins}
        self._first = next(iter(self._plain.values()))
        self._json = {id(headers): [*headers, *_DATA, JSON_TYPE] for headers in (*self._plain.values(), self._first)}
        self._first_json = self._json[id(self._first)]

    def _for(self, origin: str) -> list[Header]:
        headers = [
            (b"access-control-allow-origin", origin.encode("latin-1", "replace")),
            (b"access-control-allow-methods", b"GET,PUT,POST,DELETE,OPTIONS"),
            (b"access-control-allow-headers", self._allowed),
            (b"access-control-expose-headers", b"X-Parse-Job-Status-Id, X-Parse-Push-Status-Id"),
            _NOSNIFF,
        ]
        return [*headers, (b"vary", b"Origin")] if self._many else headers

    def json(self, request_headers: list[Header]) -> list[Header]:
        """Headers of a JSON answer; the list is one of a few that are kept, callers copy it."""
        return self._json[id(self.bare(request_headers))] if self._many else self._first_json

    def bare(self, request_headers: list[Header]) -> list[Header]:
        """Headers of an answer of another type."""
        if not self._many:
            return self._first
        origin = next((value for name, value in request_headers if name == b"origin"), b"")
        return self._plain.get(origin, self._first)
