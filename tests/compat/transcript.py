"""Replays golden transcripts: what Parse Server 9.10 answered, step by step, against a running server.

A transcript is a file of JSON lines; `<id:1>` and the like stand for values that a server makes up, bound at first sight.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.live.client import Client

FOLDER = Path(__file__).parent / "golden"
_ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
_SHAPES = {
    "id": r"[A-Za-z0-9]{10,}",
    "token": r"r:[0-9a-f]{32}",
    "date": _ISO,
    "file": r'[0-9a-f]{32}_[^/"?]+',
    "url": r"\S+",
    "uuid": r"[0-9a-f-]{36}",
    "any": r"(?:.|\n)*",
}
_HOLE = re.compile(r"<(id|token|date|file|url|uuid|any|base|mount|origin)(?::([A-Za-z0-9_]+))?>")
_LISTS = ("allow", "access-control-allow-headers", "access-control-allow-methods", "access-control-expose-headers")


def scenarios(theme: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The scenarios of a theme, each with its steps in order."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in (FOLDER / f"{theme}.jsonl").read_text().split("\n"):
        if not line:
            continue
        step = json.loads(line)
        found.setdefault(step["scenario"], []).append(step)
    yield from found.items()


@dataclass
class Replay:
    """One scenario's run: the server's address and the values bound so far."""

    base: str
    bound: dict[str, str] = field(default_factory=dict)
    sockets: dict[str, Client] = field(default_factory=dict)

    def run(self, step: dict[str, Any]) -> list[str]:
        """Do what the step says; the differences between what was wanted and what came."""
        return self._live(step) if step.get("kind") == "live" else self._request(step)

    def close(self) -> None:
        """Close what is open."""
        for socket in self.sockets.values():
            socket.close()

    def _live(self, step: dict[str, Any]) -> list[str]:
        """A step of a live-query socket. Waits are Parse Server's: here, nothing takes effect later."""
        do = step["live"]
        if "wait" in do:
            return []
        name = do["socket"]
        if do.get("open"):
            self.sockets[name] = Client(self.base.replace("http", "ws", 1))
        socket = self.sockets[name]
        if do.get("close"):
            self.sockets.pop(name).close()
            return []
        if "send" in do or "text" in do:
            socket.send(self._fill(do["send"]) if "send" in do else do["text"])
        return self._differences(step.get("expect", []), socket.due(), "", bool(step.get("unordered")))

    def _request(self, step: dict[str, Any]) -> list[str]:
        status, headers, raw = self._send(step.get("as", "anon"), self._fill(step["request"]))
        wanted = step["response"]
        kind, got = _decoded(headers, raw)
        found = [] if status == wanted["status"] else [f"status {status}, wanted {wanted['status']}: {got}"]
        for name, value in (wanted.get("headers") or {}).items():
            mine, theirs = _normal(name.lower(), headers.get(name.lower())), _normal(name.lower(), value)
            if (mine is None) != (theirs is None) or (theirs is not None and not self._fits(theirs, mine or "")):
                found.append(f"header {name} is {mine!r}, wanted {theirs!r}")
        for form in ("body", "text", "base64"):
            if form in wanted:
                if form != kind and wanted[form] != "<any>":
                    found.append(f"{kind} instead of {form}: {got}")
                else:
                    found += self._differences(wanted[form], got, "", bool(step.get("unordered")))
        return found

    def _value(self, kind: str, name: str | None) -> str | None:
        parts = urlsplit(self.base)
        fixed = {"base": self.base, "mount": parts.path, "origin": f"{parts.scheme}://{parts.netloc}"}
        return fixed.get(kind) or (self.bound.get(f"{kind}:{name}") if name else None)

    def _fill(self, value: Any) -> Any:
        if isinstance(value, str):
            return _HOLE.sub(self._put, value)
        if isinstance(value, list):
            return [self._fill(item) for item in value]
        if isinstance(value, dict):
            return {self._fill(key): self._fill(item) for key, item in value.items()}
        return value

    def _put(self, hole: re.Match[str]) -> str:
        value = self._value(hole[1], hole[2])
        if value is None and hole[1] == "uuid" and hole[2]:
            value = self.bound[f"uuid:{hole[2]}"] = str(uuid.uuid4())
        return hole[0] if value is None else value

    def _fits(self, wanted: str, got: str) -> bool:
        """True if the text matches, holes and all; binds the holes that were open."""
        names: list[str] = []
        pattern, at = "", 0
        for hole in _HOLE.finditer(wanted):
            pattern += re.escape(wanted[at : hole.start()])
            value, name = self._value(hole[1], hole[2]), f"{hole[1]}:{hole[2]}"
            if value is not None:
                pattern += re.escape(value)
            elif hole[2] and name in names:
                pattern += f"(?P=g{names.index(name)})"
            elif hole[2]:
                pattern += f"(?P<g{len(names)}>{_SHAPES[hole[1]]})"
                names.append(name)
            else:
                pattern += f"(?:{_SHAPES[hole[1]]})"
            at = hole.end()
        match = re.fullmatch(pattern + re.escape(wanted[at:]), got)
        if match:
            self.bound.update({name: match[f"g{i}"] for i, name in enumerate(names)})
        return match is not None

    def _differences(self, wanted: Any, got: Any, at: str, unordered: bool) -> list[str]:
        if wanted == "<any>":
            return []
        if isinstance(wanted, str):
            return [] if isinstance(got, str) and self._fits(wanted, got) else [f"{at}: {got!r}, wanted {wanted!r}"]
        if isinstance(wanted, dict) and isinstance(got, dict):
            return self._object(wanted, got, at, unordered)
        if isinstance(wanted, list) and isinstance(got, list):
            return self._list(wanted, got, at, unordered)
        number = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (wanted, got))
        same = (abs(wanted - got) <= 1e-9 * max(abs(wanted), abs(got))) if number else (wanted is got)
        return [] if same else [f"{at}: {got!r}, wanted {wanted!r}"]

    def _object(self, wanted: dict[str, Any], got: dict[str, Any], at: str, unordered: bool) -> list[str]:
        found, left = [], dict(got)
        for key, value in wanted.items():
            name = self._fill(key)
            if name not in left:
                found.append(f"{at}.{name}: absent")
                continue
            found += self._differences(value, left.pop(name), f"{at}.{name}", unordered)
        return found + [f"{at}.{key}: unexpected {value!r}" for key, value in left.items()]

    def _list(self, wanted: list[Any], got: list[Any], at: str, unordered: bool) -> list[str]:
        if len(wanted) != len(got):
            return [f"{at}: {len(got)} elements, wanted {len(wanted)}: {got}"]
        if not unordered:
            return [d for i, (w, g) in enumerate(zip(wanted, got, strict=True)) for d in self._differences(w, g, f"{at}[{i}]", False)]
        found, left = [], list(got)
        for i, item in enumerate(wanted):
            for other in left:
                before = dict(self.bound)
                if not self._differences(item, other, "", True):
                    left.remove(other)
                    break
                self.bound = before
            else:
                found.append(f"{at}[{i}]: nothing like {item}")
        return found

    def _identity(self, who: str) -> dict[str, str]:
        app = {"X-Parse-Application-Id": "app"}
        rest = {**app, "X-Parse-REST-API-Key": "rest"}
        plain = {
            "none": {},
            "app": app,
            "anon": rest,
            "master": {**app, "X-Parse-Master-Key": "master"},
            "readonly": {**app, "X-Parse-Master-Key": "ro"},
            "maintenance": {**rest, "X-Parse-Maintenance-Key": "maint"},
        }
        kind, _, token = who.partition(":")
        if kind == "session":
            return {**rest, "X-Parse-Session-Token": self.bound[f"token:{token}"]}
        if kind == "master+session":
            return {**plain["master"], "X-Parse-Session-Token": self.bound[f"token:{token}"]}
        return dict(plain[who])

    def _send(self, who: str, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        headers, data = self._identity(who), None
        if "body" in request:
            data = json.dumps(request["body"], ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        elif "raw" in request:
            data = request["raw"].encode()
        elif "raw64" in request:
            data = base64.b64decode(request["raw64"])
        elif request["method"] in ("POST", "PUT"):
            headers["Content-Type"] = "application/json"
        for name, value in (request.get("headers") or {}).items():
            headers = {k: v for k, v in headers.items() if k.lower() != name.lower()}
            if value is not None:
                headers[name] = value
        url = request["path"] if request["path"].startswith("http") else self.base + request["path"]
        parts = urlsplit(self.base)
        target = quote(url.removeprefix(f"{parts.scheme}://{parts.netloc}"), safe="/?&=%:+,;@!$'()*~-._")
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            connection.request(request["method"], target, data, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
        finally:
            connection.close()


def _decoded(headers: dict[str, str], raw: bytes) -> tuple[str, Any]:
    if "json" in headers.get("content-type", "json"):
        try:
            return "body", json.loads(raw)
        except ValueError:
            pass
    try:
        return "text", raw.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(raw).decode()


def _normal(name: str, value: str | None) -> str | None:
    if value is None:
        return None
    if name == "content-type":
        return value.split(";")[0].strip().lower()
    return ", ".join(sorted(part.strip() for part in value.split(","))) if name in _LISTS else value
