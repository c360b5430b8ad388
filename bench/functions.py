"""What cloud code adds: a call of `hello` over a plain route, a before-save trigger over a create; one connection, all asked in turn."""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from pathlib import Path

from mbaas.testing.process import APP_ID, TestServer

CODE = """
from mbaas_functions import cloud

@cloud.define("hello")
async def hello(request):
    return "Hello world!"

@cloud.before_save("Watched")
async def watched(request):
    request.object["seen"] = True
"""
WARM, ROUNDS = 300, 4000
HEADERS = {"X-Parse-Application-Id": APP_ID, "Content-Type": "application/json"}
ASKED = {
    "a plain route": ("GET", "/parse/health", None),
    "hello": ("POST", "/parse/functions/hello", {}),
    "a create": ("POST", "/parse/classes/Plain", {"n": 1}),
    "a create with a trigger": ("POST", "/parse/classes/Watched", {"n": 1}),
}


def main() -> None:
    """Start a server, ask it, print the times in milliseconds."""
    took: dict[str, list[float]] = {name: [] for name in ASKED}
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "functions"
        code.mkdir()
        (code / "main.py").write_text(CODE)
        settings = {"preset": "parse", "functions": code}
        with TestServer(Path(folder) / "server", settings=settings) as server:
            connection = http.client.HTTPConnection("127.0.0.1", server.port)
            for turn in range(WARM + ROUNDS):
                for name, asked in ASKED.items():
                    seconds = _ask(connection, *asked)
                    if turn >= WARM:
                        took[name].append(seconds * 1000)
            connection.close()
    found = {name: (_of(each, 0.5), _of(each, 0.95)) for name, each in took.items()}
    for name, (median, most) in found.items():
        print(f"{name:24} median {median:.2f} ms, p95 {most:.2f} ms")
    print(f"hello adds {found['hello'][1] - found['a plain route'][1]:.2f} ms to a plain route's p95 (floor 2)")
    print(f"a trigger adds {found['a create with a trigger'][0] - found['a create'][0]:.2f} ms to a create's median (floor 1)")


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: object) -> float:
    data, since = None if body is None else json.dumps(body), time.perf_counter()
    connection.request(method, path, data, HEADERS)
    answer = connection.getresponse()
    said = answer.read()
    took = time.perf_counter() - since
    if answer.status not in (200, 201):
        raise RuntimeError(f"{method} {path}: {answer.status} {said.decode()}")
    return took


def _of(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


if __name__ == "__main__":
    main()
