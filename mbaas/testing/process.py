"""A server started as a user starts it: the `mbaas` command in a process of its own, on a free port, in a folder of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

APP_ID, MASTER_KEY = "test-app", "test-master-key"
START_SECONDS = 20.0
_LISTENING = re.compile(r"http://[^\s\"]*?:(\d+)")


class TestServer:
    """`with TestServer(folder) as server:` starts it and waits until it is ready; leaving stops it by SIGTERM.

    `settings` are `MBAAS_*` variables without the prefix, in lower case. An application id and a master key are given
    unless `bare`. Nothing of the caller's own `MBAAS_*` environment is passed on; `MBAAS_TEST_WORKERS` says with how many
    processes servers run whose settings do not.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(
        self, folder: Path, *arguments: str, settings: Mapping[str, object] | None = None, bare: bool = False, python: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.log = folder, folder / "server.log"
        self._command = [sys.executable, *python, "-m", "mbaas", *(arguments or ("serve",))]
        keys = {} if bare else {"app_id": APP_ID, "master_key": MASTER_KEY}
        workers = os.environ.get("MBAAS_TEST_WORKERS", "1")
        wanted = {"port": 0, "host": "127.0.0.1", "data_dir": folder / "data", "workers": workers, **keys, **(settings or {})}
        self.environment = clean_environment({f"MBAAS_{name.upper()}": str(value) for name, value in wanted.items()})
        self.process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def __enter__(self) -> TestServer:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The server's origin."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> TestServer:
        """Start the process and wait until `/readyz` says so."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = 0
        with self.log.open("wb") as log, (self.folder / "server.out").open("wb") as out:
            self.process = subprocess.Popen(self._command, cwd=self.folder, env=self.environment, stdout=out, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")
            time.sleep(0.01)
        return self

    def stop(self) -> int:
        """End it as a service manager does; the exit code."""
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        """End it without a chance to tidy up."""
        return self._end(signal.SIGKILL)

    @classmethod
    def with_parse_options(cls, folder: Path, options: Mapping[str, Any], **settings: object) -> TestServer:
        """A server started with `--parse-config` on these options of Parse Server, `serverURL` filled in."""
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        file = folder / "options.json"
        file.write_text(json.dumps({"serverURL": f"http://127.0.0.1:{port}/parse", **options}))
        return cls(folder, "serve", "--parse-config", str(file), settings={"port": port, **settings}, bare=True)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and body of a plain GET; JSON is decoded."""
        return self.call("GET", path, headers=headers)

    def call(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> tuple[int, Any]:
        """Status and body of any request; `body` is sent as JSON, an answer in JSON is decoded."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, dict(headers or {}), method=method)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, _decoded(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.read())

    def _ready(self) -> bool:
        if not self.port and (found := _LISTENING.search(self.log.read_text(errors="replace"))):
            self.port = int(found[1])
        try:
            return bool(self.port) and self.get("/readyz")[0] == 200
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(30)


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def clean_environment(more: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these, without settings of its own, and with compiled modules being kept."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MBAAS_")}
    inherited.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**inherited, **more}


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
