"""A running server, asked over `/api/v1` with the master key: what `mbaas deploy`, `secrets` and `logs` talk to."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from mbaas import settings
from mbaas.cli.keys import FILE, kept_keys
from mbaas.settings import Settings, SettingsError

_SECONDS = 60
_NO_KEYS = "set MBAAS_APP_ID and MBAAS_MASTER_KEY to those of the server, in the environment or in .env"
_REFUSED = "did not accept the keys; {}. A server elsewhere takes the master key only from addresses that its MBAAS_MASTER_KEY_IPS names"


@dataclass(frozen=True, slots=True)
class Remote:
    """Where the server is, and with which keys it is asked."""

    url: str
    app_id: str
    master_key: str

    @classmethod
    def found(cls, server: str | None) -> Remote:
        """The server at an address, or the one that the settings of this folder describe. SettingsError says what is missing."""
        known = settings.read()
        keys = _keys(known)
        if not keys.get("app_id") or not keys.get("master_key"):
            raise SettingsError(f"it is not known with which keys to ask; {_NO_KEYS}")
        url = server or known.public_url or f"http://localhost:{known.port}"
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{url} is no address of a server; it begins with http:// or https://")
        return cls(f"{parts.scheme}://{parts.netloc}", keys["app_id"], keys["master_key"])

    def get(self, *path: str | int, **query: object) -> Any:
        """The answer to a GET."""
        return self._told("GET", path, query=query)

    def post(self, *path: str | int, body: Any = None) -> Any:
        """The answer to a POST of JSON, or of bytes."""
        return self._told("POST", path, body)

    def put(self, *path: str | int, body: Any) -> Any:
        """The answer to a PUT of JSON."""
        return self._told("PUT", path, body)

    def delete(self, *path: str | int) -> Any:
        """The answer to a DELETE."""
        return self._told("DELETE", path)

    def download(self, *path: str | int) -> bytes:
        """What a GET answers, as it comes."""
        return self._asked("GET", path)

    def _told(self, method: str, path: tuple[str | int, ...], body: Any = None, query: dict[str, object] | None = None) -> Any:
        try:
            return json.loads(self._asked(method, path, body, query))
        except ValueError as error:
            raise SettingsError(f"{self.url} answers in a way that this command does not know; is it a server of this kind?") from error

    def _asked(self, method: str, path: tuple[str | int, ...], body: Any = None, query: dict[str, object] | None = None) -> bytes:
        """The body of an answer. SettingsError tells, with the server's words, why there is none."""
        headers = {"X-Parse-Application-Id": self.app_id, "X-Parse-Master-Key": self.master_key}
        raw = isinstance(body, bytes)
        if body is not None:
            headers["Content-Type"] = "application/gzip" if raw else "application/json"
        where = "/api/v1/" + "/".join(quote(str(part), safe="") for part in path)
        given = {name: value for name, value in (query or {}).items() if value is not None}
        connection = self._connection()
        try:
            data = body if raw or body is None else json.dumps(body).encode()
            connection.request(method, f"{where}?{urlencode(given)}" if given else where, data, headers)
            answer = connection.getresponse()
            status, told = answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error) or type(error).__name__
            text = f"no server answers at {self.url} ({why}); start one, or name another by --server or MBAAS_PUBLIC_URL"
            raise SettingsError(text) from error
        finally:
            connection.close()
        if status >= 400:
            raise SettingsError(self._refusal(status, told))
        return told

    def _connection(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return http.client.HTTPSConnection(host, parts.port, timeout=_SECONDS, context=ssl.create_default_context())
        return http.client.HTTPConnection(host, parts.port, timeout=_SECONDS)

    def _refusal(self, status: int, told: bytes) -> str:
        try:
            answer = json.loads(told)
            text = str(answer["error"])
        except (ValueError, KeyError, TypeError):
            return f"{self.url} answers {status}; is it a server of this kind?"
        if status == 403 and "read-only" not in text:
            return f"{self.url} {_REFUSED.format(_NO_KEYS)}"
        return text


def _keys(known: Settings) -> dict[str, str]:
    """The keys of the settings, or those that a development server keeps in the data dir."""
    if known.app_id and known.master_key:
        return {"app_id": known.app_id, "master_key": known.master_key}
    return kept_keys(known.data_dir) if (known.data_dir / FILE).is_file() else {}
