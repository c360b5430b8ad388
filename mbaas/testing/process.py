"""A server started as a user starts it: the `mbaas` command in a process of its own, on a free port, in a folder of its own."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Protocol

APP_ID, MASTER_KEY = "test-app", "test-master-key"
START_SECONDS, COMMAND_SECONDS = 20.0, 60.0
_LOADED = [
    "mbaas.cli.serve",
    "mbaas.cli.deploy",
    "mbaas.cli.doctor",
    "mbaas.cli.schema",
    "mbaas.storage.sqlite.store",
    "uvicorn.loops.uvloop",
    "uvicorn.lifespan.off",
]
"""What a server with the default settings loads, and the commands that are called often."""
_LISTENING = re.compile(r"http://[^\s\"]*?:(\d+)")


class Process(Protocol):
    """A server's process, of which `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """The exit code once it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; TimeoutExpired."""

    def send_signal(self, sig: int, /) -> None:
        """`kill(2)`, unless it has ended."""


class TestServer:
    """`with TestServer(folder) as server:` starts it and waits until it is ready; leaving stops it by SIGTERM.

    `settings` are `MBAAS_*` variables without the prefix, in lower case. An application id and a master key are given
    unless `bare`. Nothing of the caller's own `MBAAS_*` environment is passed on; `MBAAS_TEST_WORKERS` says with how many
    processes servers run whose settings do not.
    """

    __test__ = False  # not a test class, whatever pytest thinks of its name
    preloaded: ClassVar[bool] = False
    """Fork `mbaas serve` from a process that has loaded the program, which spares each start a second of imports. A suite of many
    servers turns it on; what measures a start or its memory does not."""

    def __init__(
        self, folder: Path, *arguments: str, settings: Mapping[str, object] | None = None, bare: bool = False, python: tuple[str, ...] = ()
    ) -> None:
        self.folder, self.log = folder, folder / "server.log"
        self._arguments, self._python = arguments or ("serve",), python
        keys = {} if bare else {"app_id": APP_ID, "master_key": MASTER_KEY}
        workers = os.environ.get("MBAAS_TEST_WORKERS", "1")
        wanted = {"port": 0, "host": "127.0.0.1", "data_dir": folder / "data", "workers": workers, **keys, **(settings or {})}
        self.environment = clean_environment({f"MBAAS_{name.upper()}": str(value) for name, value in wanted.items()})
        self.process: Process | None = None
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
        self.process = self._started()
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

    def function_workers(self) -> list[int]:
        """The processes that run its functions, where one process serves: those that its zygote has forked (Linux)."""
        assert self.process is not None
        return [worker for zygote in _children(self.process.pid) for worker in _children(zygote)]

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

    def _started(self) -> Process:
        out = self.folder / "server.out"
        for file in (out, self.log):
            file.write_bytes(b"")
        if self.preloaded and self._arguments[0] == "serve" and not self._python:
            return _Forked(self._arguments, self.folder, self.environment, Path(os.devnull), out, self.log)
        command = [sys.executable, *self._python, "-m", "mbaas", *self._arguments]
        with self.log.open("wb") as log, out.open("wb") as output:
            return subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=output, stderr=log)

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


def mbaas(folder: Path, *arguments: str, said: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """An `mbaas` command from its start to its end: exit code and what it printed. `said` is its standard input, `variables` are
    added to its environment."""
    environment = clean_environment(variables)
    if not TestServer.preloaded:
        command = [sys.executable, "-m", "mbaas", *arguments]
        return subprocess.run(
            command, cwd=folder, env=environment, input=said, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
    with tempfile.TemporaryDirectory() as place:
        said_file, out, err = (Path(place, name) for name in ("said", "out", "err"))
        said_file.write_text(said)
        code = _Forked(arguments, folder, environment, said_file, out, err).wait(COMMAND_SECONDS)
        return subprocess.CompletedProcess(["mbaas", *arguments], code, out.read_text(), err.read_text())


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


class _Forked:
    """An `mbaas` command in a fork of a process that has loaded the program."""

    def __init__(self, arguments: tuple[str, ...], folder: Path, environment: dict[str, str], *streams: Path) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(_LOADED)
        self._process = context.Process(target=_command, args=(arguments, folder, environment, streams))
        self._process.start()
        assert self._process.pid
        self.pid: int = self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("mbaas", timeout or 0)
        return self._process.exitcode

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)


def _command(arguments: tuple[str, ...], folder: Path, environment: dict[str, str], streams: tuple[Path, ...]) -> None:
    """What a shell does for `mbaas … <said >out 2>err`: folder, environment, streams, then the command itself."""
    from mbaas.cli import main

    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for stream, path in enumerate(streams):
        file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(file, stream)
        os.close(file)
    sys.stdin = open(0)  # noqa: SIM115 - multiprocessing closed the one it had
    sys.argv = ["mbaas", *arguments]
    main()


def free_port() -> int:
    """A port that nothing listens on now, below those that the system gives out by itself: nobody takes it by chance."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
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
