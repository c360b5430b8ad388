"""The running server that a command asks, over HTTP and with the master key."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import IO, Any
from urllib.parse import quote, urlencode, urlsplit

from mbaas import settings
from mbaas.cli.keys import FILE, kept_keys
from mbaas.configuration import configure
from mbaas.kernel.errors import ParseError
from mbaas.kernel.options import AppOptions
from mbaas.settings import Settings, SettingsError

_SECONDS = 600
"""A change of a class may have to touch every object of it."""
_NOT_LET_IN = (
    "does not take the application id and the master key; set MBAAS_APP_ID and MBAAS_MASTER_KEY to those of that server, whose own "
    "MBAAS_MASTER_KEY_IPS say from where it takes the key"
)
_WHERE = "name the Parse API by --server, as in https://api.example.com/parse"
_EVERY_ADDRESS = ("0.0.0.0", "::")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The master key goes to nobody else."""

    def redirect_request(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Remote:
    """One app of a server. `url` is the address of its mount."""

    url: str
    app_id: str
    master_key: str = field(repr=False)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer to a request below the mount. ParseError as the server refuses; SettingsError if it cannot be asked."""
        return self._decoded(self._asked(method, self.url + path, body))

    def get(self, *path: str | int, **query: object) -> Any:
        """The answer to a GET below `/api/v1`; SettingsError, here and below, as the server refuses."""
        return self._decoded(self._v1("GET", path, query=query))

    def post(self, *path: str | int, body: Any = None) -> Any:
        """The answer to a POST of JSON, or of bytes."""
        return self._decoded(self._v1("POST", path, body))

    def put(self, *path: str | int, body: Any) -> Any:
        """The answer to a PUT of JSON."""
        return self._decoded(self._v1("PUT", path, body))

    def delete(self, *path: str | int) -> Any:
        """The answer to a DELETE."""
        return self._decoded(self._v1("DELETE", path))

    def download(self, *path: str | int) -> bytes:
        """What a GET answers, as it comes."""
        return self._v1("GET", path)

    def _v1(self, method: str, path: tuple[str | int, ...], body: Any = None, query: dict[str, object] | None = None) -> bytes:
        """`/api/v1` is beside the mount, wherever that is."""
        origin = "://".join(urlsplit(self.url)[:2])
        given = {name: value for name, value in (query or {}).items() if value is not None}
        where = f"{origin}/api/v1/" + "/".join(quote(str(part), safe="") for part in path)
        try:
            return self._asked(method, f"{where}?{urlencode(given)}" if given else where, body)
        except ParseError as error:
            raise SettingsError(error.message) from error

    def _asked(self, method: str, url: str, body: Any) -> bytes:
        raw = isinstance(body, bytes)
        headers = {"X-Parse-Application-Id": self.app_id, "X-Parse-Master-Key": self.master_key}
        headers["Content-Type"] = "application/gzip" if raw else "application/json"
        data = body if raw or body is None else json.dumps(body).encode()
        try:
            request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 -- `remote` has looked
            with urllib.request.build_opener(_NoRedirects).open(request, timeout=_SECONDS) as answer:
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error.code, error.read()) from None
        except (OSError, ValueError, HTTPException) as error:
            why = getattr(error, "reason", error)
            raise SettingsError(f"{self.url} does not answer ({why}); start the server, or {_WHERE}") from error

    def _decoded(self, answer: bytes) -> Any:
        try:
            return json.loads(answer)
        except ValueError as error:
            raise SettingsError(f"{self.url} answers in a way that this command does not know; {_WHERE}") from error

    def _refusal(self, status: int, body: bytes) -> Exception:
        try:
            told = json.loads(body)
        except ValueError:
            told = None
        if status in (401, 403) and not (isinstance(told, dict) and "read-only" in str(told.get("error"))):
            return SettingsError(f"{self.url} {_NOT_LET_IN}")
        if isinstance(told, dict) and isinstance(told.get("code"), int) and isinstance(told.get("error"), str):
            return ParseError(told["code"], told["error"], status=status)
        return SettingsError(f"{self.url} answers {status}; {_WHERE}")


def remote(server: str | None, app_id: str | None = None) -> Remote:
    """The server at an address, or the one of this place, asked with the keys of the settings here or those that `mbaas dev` keeps."""
    found = settings.read()
    app = _app(found, app_id)
    host = "localhost" if found.host in _EVERY_ADDRESS else found.host
    origin = (
        "://".join(urlsplit(found.public_url)[:2]) if found.public_url else f"http://{f'[{host}]' if ':' in host else host}:{found.port}"
    )
    own = f"{origin}{app.mount}"
    if server is not None and not server.startswith(("http://", "https://")):
        raise SettingsError(f"--server {server}: an address begins with https:// or http://")
    return Remote((server or own).rstrip("/"), app.app_id, app.master_key)


def _app(found: Settings, app_id: str | None) -> AppOptions:
    named = (found.app_id and found.master_key) or found.apps_file
    keys = kept_keys(found.data_dir) if not named and (found.data_dir / FILE).exists() else {}
    apps = configure(found, keys=keys).apps
    chosen = [app for app in apps if app_id in (None, app.app_id)]
    if not chosen:
        raise SettingsError(f"there is no app {app_id} in the settings here; there is {', '.join(app.app_id for app in apps)}")
    return chosen[0]
