"""A small taxi service, as a partner of the airport example: offers on request, and a list of the rides that it was told of.

    python examples/airport/taxi.py                # registers itself with the server of ./data, and serves on port 4711

It stands for a company's own server: nothing here comes from mbaas. It believes only what is signed with its secret, by Standard
Webhooks (https://www.standardwebhooks.com).
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import asin, cos, radians, sin, sqrt
from typing import Any

from asking import Server, arguments, server_of

PLACE = {
    "type": "object",
    "properties": {"latitude": {"type": "number"}, "longitude": {"type": "number"}},
    "required": ["latitude", "longitude"],
}
MANIFEST = {
    "operations": {
        "offer": {
            "params": {"type": "object", "properties": {"from": PLACE, "to": PLACE}, "required": ["from", "to"]},
            "reply": {"type": "object", "properties": {"km": {"type": "number"}, "price": {"type": "number"}}, "required": ["km", "price"]},
            "idempotent": True,
            "timeout": 5,
            "examples": [{"reply": {"km": 12.5, "price": 30.0}}],
        }
    }
}
TOLERANCE_SECONDS = 300


def verified(secret: str, headers: Any, body: bytes) -> bool:
    """True if the body was signed with the secret, a short while ago."""
    message_id, timestamp, signatures = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)).decode()
    return any(hmac.compare_digest(f"v1,{expected}", signature) for signature in signatures.split(" "))


def offer(wanted: Any) -> Any:
    """Kilometres on the way, and a price for them."""
    (a, b), (c, d) = ((radians(place["latitude"]), radians(place["longitude"])) for place in (wanted["from"], wanted["to"]))
    km = 2 * 6371 * asin(sqrt(sin((c - a) / 2) ** 2 + cos(a) * cos(c) * sin((d - b) / 2) ** 2))
    return {"km": round(km, 1), "price": round(4 + 1.8 * km, 2)}


def service(secret: str, port: int) -> ThreadingHTTPServer:
    """The service, ready to serve."""

    class Taxi(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if not verified(secret, self.headers, body):
                self.answer(401, {"error": "not signed"})
            elif self.path == "/offer":
                self.answer(200, offer(json.loads(body)))
            else:
                print("told of", json.loads(body)["type"], json.loads(body)["data"]["objectId"], flush=True)
                self.answer(200, {})

        def answer(self, status: int, value: Any) -> None:
            told = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 -- the name that the library gives it
            pass

    return ThreadingHTTPServer(("127.0.0.1", port), Taxi)


def register(server: Server, port: int) -> str:
    """Make the service a partner that the app may call and tells of its rides; the secret that it is told once."""
    made = server.call("POST", "/api/v1/partners", {"name": "taxi", "manifest": MANIFEST, "live": {"url": f"http://127.0.0.1:{port}"}})
    for state in ("sandbox", "submitted", "approved", "live"):
        server.call("POST", "/api/v1/partners/taxi/state", {"state": state})
    server.call("PUT", "/api/v1/partners/taxi/grant", {"environment": "live", "classes": {"Ride": ["status", "to"]}})
    server.call("POST", "/parse/schemas/Ride", {"fields": {"status": {"type": "String"}, "to": {"type": "String"}}})
    server.call("POST", "/api/v1/partners/taxi/subscriptions", {"className": "Ride"})
    return str(made["secrets"]["live"])


def main() -> None:
    """Register once, and serve."""
    parser = argparse.ArgumentParser(description="A taxi service as a partner.")
    parser.add_argument("--port", type=int, default=4711)
    given = arguments(parser)
    kept = given.data_dir / "taxi.secret"
    if not kept.exists():
        kept.write_text(register(server_of(given), given.port))
    with service(kept.read_text(), given.port) as serving:
        print(f"taxi serves on port {serving.server_port}", flush=True)
        serving.serve_forever()


if __name__ == "__main__":
    main()
