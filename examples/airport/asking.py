"""How the airport's programs ask a running server, with the master key, and where they find its keys. It stands on Python alone."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any


class Server:
    """A server, whose paths are below `url`."""

    def __init__(self, url: str, keys: dict[str, str]) -> None:
        self.url = url.rstrip("/")
        named = {"X-Parse-Application-Id": keys["app_id"], "X-Parse-Master-Key": keys["master_key"]}
        self._headers = {**named, "Content-Type": "application/json"}

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """What it answers; an error of the server ends the program with its text."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, self._headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.read().decode()}") from error
        except urllib.error.URLError as error:
            raise SystemExit(f"no server at {self.url} ({error.reason}); start one with `make serve`") from error


def arguments(parser: ArgumentParser, url: str = "http://localhost:1337") -> Namespace:
    """What was said, where the server is and where it keeps its keys among it."""
    parser.add_argument("--url", default=url, help="where the server is (%(default)s)")
    parser.add_argument("--data-dir", type=Path, default=Path("data"), help="where `mbaas dev` keeps its keys (%(default)s)")
    return parser.parse_args()


def server_of(given: Namespace) -> Server:
    """The server that was meant. Its keys are MBAAS_APP_ID and MBAAS_MASTER_KEY, or those that `make serve` keeps."""
    file: Path = given.data_dir / "keys.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    keys = {name: os.environ.get(f"MBAAS_{name.upper()}") or kept.get(name, "") for name in ("app_id", "master_key")}
    if not all(keys.values()):
        raise SystemExit(f"no keys in {file}: start the server with `make serve`, or set MBAAS_APP_ID and MBAAS_MASTER_KEY")
    return Server(given.url, keys)
