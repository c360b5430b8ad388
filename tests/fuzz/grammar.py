"""Requests as attackers and broken clients send them: mostly well formed, so that they get past the door, and wrong somewhere inside.

Everything is drawn from one `random.Random`: a seed is a run that can be repeated.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mbaas.testing.process import APP_ID, MASTER_KEY

CLASSES = ("Thing", "Note", "Place", "_User", "_Role", "_Session", "_Installation")
HOSTILE_CLASSES = ("", "_Join:users:_Role", "_SCHEMA", "a b", "é", "'", "x" * 200, "__proto__", "..", "%00", "constructor")
FIELDS = ("n", "s", "b", "d", "o", "l", "g", "p", "f", "c", "r", "user")
HOSTILE_FIELDS = (
    *("", "$x", "a.b", "__proto__", "_id", "_rperm", "objectId", "createdAt", "ACL", "o.k", "o.0.k", "x" * 130),
    *("é", "l.0", "\x00", "a b"),
)
OPERATORS = (
    *("$lt", "$lte", "$gt", "$gte", "$ne", "$eq", "$in", "$nin", "$all", "$exists", "$regex", "$options", "$text", "$containedBy"),
    *("$select", "$dontSelect", "$inQuery", "$notInQuery", "$nearSphere", "$maxDistance", "$maxDistanceInKilometers", "$within"),
    *("$geoWithin", "$geoIntersects", "$relativeTime", "$where", "$expr", "$unknown", "$comment", "$elemMatch", "$size"),
)
GROUPS = ("$or", "$and", "$nor", "$relatedTo", "$not")
OPS = ("Increment", "Add", "AddUnique", "Remove", "Delete", "AddRelation", "RemoveRelation", "Batch", "SetOnInsert", "Unknown", "", None)
TYPES = ("Date", "Pointer", "GeoPoint", "Polygon", "File", "Bytes", "Relation", "Object", "ACL", "Nothing", 5, None)
TEXTS = (
    *("", "a", "r:" + "0" * 32, "1970-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z", "2026-13-45", "null", "undefined", "NaN"),
    *("' OR 1=1 --", "\u0000", "\ud83d", "\U0001f600", "\u202e", "<script>", "../../etc/passwd", "x" * 3000, "%", "\\"),
    *("(a+)+$", "^\\Qa\\E", "["),
)
NUMBERS = (0, 1, -1, 0.5, 1e308, -1e308, 2**31, 2**53, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 1e-320, 5e-324)
PATHS = (
    *("/login", "/logout", "/users/me", "/requestPasswordReset", "/verificationEmailRequest", "/verifyPassword", "/loginAs"),
    *("/config", "/schemas", "/serverInfo", "/health", "/batch", "/functions/hello", "/jobs/any", "/hooks/functions", "/hooks/triggers"),
    *("/cloud_code/jobs", "/push", "/push_audiences", "/installations", "/roles", "/sessions", "/sessions/me", "/users"),
    *("/aggregate/Thing", "/purge/Thing", "/upgradeToRevocableSession", "/challenge", "/graphql", "/apps/test-app/verify_email"),
    *("/files/a.txt", "/events/AppOpened", "/scriptlog"),
)
V1 = ("/changes", "/push", "/partners", "/deployments", "/secrets", "/logs", "/consents", "/endpoints/x", "/partner", "/nothing")
QUERY = (
    *("where", "order", "limit", "skip", "keys", "excludeKeys", "include", "count", "distinct", "pipeline", "hint", "explain"),
    *("readPreference", "redirectClassNameForKey"),
)
HEADERS = ("X-Parse-Cloud-Context", "X-Parse-Request-Id", "X-Parse-Installation-Id", "If-Match", "Range", "Content-Encoding")
KINDS = ("application/json", "application/json", "text/plain", "application/x-www-form-urlencoded", "x")
ODD_PATH = "/%.?;#\\ \xff{}[]ab"
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO")


@dataclass(frozen=True)
class Sent:
    """One request as bytes, and where it came from for the message of a failure."""

    method: str
    target: str
    body: bytes
    raw: bytes


@dataclass
class Grammar:
    """A source of requests. `ids` and `tokens` are what answers have named: half of what is asked for is there."""

    chance: random.Random
    ids: list[str] = field(default_factory=lambda: ["aaaaaaaaaa"])
    tokens: list[str] = field(default_factory=lambda: ["r:" + "0" * 32])

    def value(self, depth: int = 0) -> Any:
        """Any JSON, most of it shallow."""
        kind = self.chance.randrange(11 if depth < 3 else 6)
        if kind == 0:
            return self.chance.choice((None, True, False))
        if kind in (1, 2):
            return self.chance.choice(NUMBERS)
        if kind in (3, 4):
            return self.chance.choice(TEXTS)
        if kind == 5:
            return self.chance.choice(self.ids)
        if kind == 6:
            return [self.value(depth + 1) for _ in range(self.chance.randrange(4))]
        if kind == 7:
            return {self.name(): self.value(depth + 1) for _ in range(self.chance.randrange(4))}
        if kind == 8:
            return self.typed(depth)
        if kind == 9:
            return self.op(depth)
        nested: Any = self.value(3)
        for _ in range(self.chance.choice((5, 30, 200))):
            nested = [nested] if self.chance.random() < 0.5 else {"o": nested}
        return nested

    def name(self) -> str:
        """A column, now and then one that nobody may have."""
        return self.chance.choice(FIELDS if self.chance.random() < 0.85 else HOSTILE_FIELDS)

    def class_name(self) -> str:
        return self.chance.choice(CLASSES if self.chance.random() < 0.93 else HOSTILE_CLASSES)

    def typed(self, depth: int = 0) -> dict[str, Any]:
        """A value of one of Parse's types, with parts that fit or do not."""
        made: dict[str, Any] = {"__type": self.chance.choice(TYPES)}
        fitting = {
            "iso": "2026-01-02T03:04:05.678Z",
            "className": "Thing",
            "objectId": self.chance.choice(self.ids),
            "latitude": 1,
            "longitude": 2,
            "coordinates": [[0, 0], [0, 1], [1, 1]],
            "name": "a.txt",
            "url": "http://x/a.txt",
            "base64": "AAEC",
        }
        for name, usual in fitting.items():
            if self.chance.random() < 0.5:
                made[name] = usual if self.chance.random() < 0.8 else self.value(depth + 1)
        return made

    def fitting(self, column: str) -> Any:
        """A value that a column takes, or an operation on it that is allowed."""
        pointer = {"__type": "Pointer", "className": "Thing", "objectId": self.chance.choice(self.ids)}
        kinds: dict[str, tuple[Any, ...]] = {
            "n": (self.chance.choice(NUMBERS), {"__op": "Increment", "amount": 1}),
            "s": (self.chance.choice(TEXTS),),
            "b": (True, False),
            "d": ({"__type": "Date", "iso": "2026-01-02T03:04:05.678Z"},),
            "o": ({"k": self.value(2)}, {}),
            "l": ([self.value(2)], {"__op": "Add", "objects": [1]}, {"__op": "Remove", "objects": [self.value(2)]}),
            "g": ({"__type": "GeoPoint", "latitude": self.chance.randrange(-90, 91), "longitude": self.chance.randrange(-180, 181)},),
            "p": ({"__type": "Polygon", "coordinates": [[0, 0], [0, self.chance.randrange(1, 9)], [9, 9]]},),
            "f": ({"__type": "File", "name": "a.txt"},),
            "c": (pointer, None),
            "r": ({"__op": self.chance.choice(("AddRelation", "RemoveRelation")), "objects": [pointer]},),
            "user": ({**pointer, "className": "_User"},),
        }
        return self.chance.choice((*kinds[column], {"__op": "Delete"}))

    def op(self, depth: int = 0) -> dict[str, Any]:
        made: dict[str, Any] = {"__op": self.chance.choice(OPS)}
        if self.chance.random() < 0.8:
            made[self.chance.choice(("amount", "objects", "ops", "value"))] = self.value(depth + 1)
        return made

    def where(self, depth: int = 0) -> Any:
        if self.chance.random() < 0.06:
            return self.value(depth)
        found: dict[str, Any] = {}
        for _ in range(self.chance.randrange(4)):
            if depth < 3 and self.chance.random() < 0.25:
                parts = [self.where(depth + 1) for _ in range(self.chance.randrange(3))]
                found[self.chance.choice(GROUPS)] = parts if self.chance.random() < 0.9 else self.value(1)
            elif self.chance.random() < 0.35:
                found[self.name()] = self.value(2)
            else:
                found[self.name()] = {self.chance.choice(OPERATORS): self.operand(depth) for _ in range(1 + self.chance.randrange(2))}
        return found

    def operand(self, depth: int) -> Any:
        """What an operator is given: a query where some want one, else any value."""
        if depth < 2 and self.chance.random() < 0.2:
            query = {"className": self.class_name(), "where": self.where(depth + 1)}
            return query if self.chance.random() < 0.6 else {"query": query, "key": self.name()}
        return self.value(1)

    def body(self) -> Any:
        """What a save says."""
        made = {self.name(): self.value() for _ in range(self.chance.randrange(3))} if self.chance.random() < 0.4 else {}
        made |= {name: self.fitting(name) for name in self._few(FIELDS)}
        if self.chance.random() < 0.05:
            made["ACL"] = {self.chance.choice(("*", "role:x", *self.ids[-2:])): self.value(2)}
        if self.chance.random() < 0.1:
            made |= {"username": self.chance.choice(TEXTS), "password": self.value(2), "email": self.value(2), "authData": self.value(1)}
        return made

    def batch(self) -> Any:
        parts = []
        for _ in range(self.chance.randrange(6)):
            method, path, body = self.what()
            parts.append({"method": method, "path": f"/parse{path}", "body": body})
        return {"requests": parts if self.chance.random() < 0.95 else self.value(), "transaction": self.chance.random() < 0.3}

    def what(self) -> tuple[str, str, Any]:
        """Method, path below the mount and body of a request, most often of an object or a find."""
        draw = self.chance.random()
        if draw < 0.25:
            return self.chance.choice(("POST", "PUT")), self._object(), self.body()
        if draw < 0.6:
            return "GET", f"/classes/{quote(self.class_name())}", {name: self._parameter(name) for name in self._few(QUERY)}
        if draw < 0.7:
            return self.chance.choice(METHODS), self._object(), self.value(2)
        if draw < 0.8:
            field = {"type": self.chance.choice(("Number", "String", "Pointer", "Nothing", 5)), "targetClass": self.class_name()}
            schema = {"className": self.class_name(), "fields": {self.name(): field}, "indexes": self.value(1)}
            rights = {"classLevelPermissions": {self.chance.choice(("find", "get", "protectedFields", "x")): self.value(1)}}
            return self.chance.choice(("GET", "POST", "PUT", "DELETE")), f"/schemas/{quote(self.class_name())}", schema | rights
        return self.chance.choice(METHODS[:4]), self.chance.choice(PATHS), self.value() if self.chance.random() < 0.5 else self.body()

    def request(self) -> Sent:
        """The next one."""
        draw = self.chance.random()
        if draw < 0.02:
            method, path, body = (
                "GET",
                "/" + "".join(self.chance.choice("/%.?;#\\ \xff{}[]ab") for _ in range(self.chance.randrange(30))),
                None,
            )
        elif draw < 0.08:
            method, path, body = "POST", "/batch", self.batch()
        else:
            method, path, body = self.what()
        mount = "/parse"
        if draw > 0.95:
            mount, path = "/api/v1", self.chance.choice(V1) + self.chance.choice(("", f"/{self.chance.choice(self.ids)}", "/x/y"))
        headers, keys = self._headers()
        if method == "GET" and isinstance(body, dict) and self.chance.random() < 0.7:
            pairs = (f"{quote(k)}={quote(v if isinstance(v, str) else _text(v), errors='replace')}" for k, v in body.items())
            path, body = f"{path}?{'&'.join(pairs)}", None
        elif self.chance.random() < 0.15 and isinstance(body, dict):
            method, body = "POST", {**body, **keys, "_method": method}
        data = b"" if body is None else _text(body).encode("utf-8", "surrogatepass")
        if data and self.chance.random() < 0.03:
            data = data[: self.chance.randrange(len(data))] + self.chance.randbytes(3)
        target = (mount + path).encode("latin-1", "replace").replace(b" ", b"%20")
        lines = [b"%s %s HTTP/1.1" % (method.encode(), target), b"Host: x", b"Content-Length: %d" % len(data)]
        lines += [f"{name}: {value}".encode("latin-1", "replace") for name, value in headers.items()]
        return Sent(method, mount + path, data, b"\r\n".join(lines) + b"\r\n\r\n" + data)

    def learn(self, answer: Any) -> None:
        """Ids and sessions that an answer names are asked for later."""
        if isinstance(answer, dict):
            for name, kept, wanted in (("objectId", self.ids, 10), ("sessionToken", self.tokens, 34)):
                if isinstance(found := answer.get(name), str) and len(found) == wanted:
                    kept.append(found)
                    del kept[1:-200]

    def frame(self) -> str | bytes:
        """A message of a live-query client."""
        if self.chance.random() < 0.05:
            return self.chance.choice((self.chance.randbytes(20), "", "{", "null", "[]", "5", '"op"', "\x00"))
        query = {
            "className": self.class_name(),
            "where": self.where(),
            "fields": self.value(2),
            "keys": self.value(2),
            "watch": self.value(2),
        }
        made = {
            "op": self.chance.choice(("connect", "subscribe", "subscribe", "subscribe", "update", "unsubscribe", "ping", "", 5, None)),
            "applicationId": APP_ID,
            "requestId": self.chance.choice((1, 2, 3, self.value(2))),
            "query": query if self.chance.random() < 0.9 else self.value(),
            "sessionToken": self.chance.choice(self.tokens),
            "since": self.value(2),
        }
        for name in self._few(tuple(made)):
            if self.chance.random() < 0.2:
                del made[name]
        return _text(made)

    def _object(self) -> str:
        end = f"/{quote(self.chance.choice(self.ids))}" if self.chance.random() < 0.6 else ""
        return f"/classes/{quote(self.class_name())}{end}"

    def _parameter(self, name: str) -> Any:
        if name == "where":
            return self.where()
        if name in ("order", "keys", "include", "excludeKeys", "distinct") and self.chance.random() < 0.7:
            return ",".join(self.chance.choice(("", "-")) + self.name() for _ in range(1 + self.chance.randrange(3)))
        return self.value(1)

    def _few(self, names: tuple[str, ...]) -> list[str]:
        return self.chance.sample(names, self.chance.randrange(min(5, len(names))))

    def _headers(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Keys and sessions as headers, and as a body may bring them."""
        headers = {"X-Parse-Application-Id": APP_ID} if self.chance.random() < 0.97 else {}
        keys: dict[str, Any] = {"_ApplicationId": APP_ID}
        if self.chance.random() < 0.35:
            headers["X-Parse-Master-Key"] = MASTER_KEY
        if self.chance.random() < 0.3:
            headers["X-Parse-Session-Token"] = self.chance.choice(self.tokens)
        if self.chance.random() < 0.1:
            headers[self.chance.choice(HEADERS)] = self.chance.choice(("{}", "5", '{"__proto__":1}', "gzip", "bytes=5-1", '"x"', "a" * 300))
        headers["Content-Type"] = self.chance.choice(KINDS)
        return headers, keys


def _text(value: Any) -> str:
    return json.dumps(value)
