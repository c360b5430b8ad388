"""A server as a user starts it, for tests: `mbaas serve` in a process of its own, on a free port and an empty folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

_START_SECONDS = 30


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class TestServer:
    """Runs `mbaas serve --parse-config` with the given Parse options while the block lasts.

    `base` is the address of the mount. `settings` are further `MBAAS_*` variables; a `folder` that is given is kept afterwards.
    """

    __test__ = False

    def __init__(self, options: dict[str, Any], *, folder: Path | None = None, settings: dict[str, str] | None = None) -> None:
        self.options = options
        self.folder = folder or Path(tempfile.mkdtemp(prefix="mbaas-test-"))
        self._kept = folder is not None
        self._settings = settings or {}
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}/parse"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return (self.folder / "server.log").read_text()

    def start(self) -> None:
        """Start the process and return when it answers. Raises RuntimeError with its log if it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "options.json"
        config.write_text(json.dumps({"serverURL": self.base, **self.options}))
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MBAAS_")}
        environment |= {"MBAAS_HOST": "127.0.0.1", "MBAAS_PORT": str(self.port), "MBAAS_DATA_DIR": str(self.folder / "data")}
        environment |= self._settings
        command = [sys.executable, "-c", "from mbaas.cli import main; main()", "serve", "--parse-config", str(config)]
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder)
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{self.base}/health", timeout=2)
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"the server did not start:\n{self.log}")

    def kill(self) -> None:
        """End the process as a crash would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self) -> int:
        """End the process as an operator would; its exit status."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        return int(self.process.returncode)

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """One request below the mount: (status, decoded answer). Without headers it is made with the master key."""
        given = headers or {"X-Parse-Application-Id": self.options["appId"], "X-Parse-Master-Key": self.options["masterKey"]}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json", **given}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.loads(response.read() or b"null")
        except urllib.error.HTTPError as error:
            text = error.read()
            try:
                return error.code, json.loads(text)
            except ValueError:
                return error.code, text.decode("utf-8", "replace")

    def __enter__(self) -> TestServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
        if not self._kept:
            shutil.rmtree(self.folder, ignore_errors=True)
