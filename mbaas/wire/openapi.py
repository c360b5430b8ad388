"""The contract of the REST dialect and of `/api/v1` as OpenAPI 3.1, made from the route tables, and the catalogue of error codes.

`python -m mbaas.wire.openapi sdk-schema` writes both files; a test fails when they and the table differ.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import orjson

from mbaas.kernel.errors import HTTP_STATUS, Code
from mbaas.kernel.values import Json, Object
from mbaas.wire import openapi_push as push
from mbaas.wire.rest.table import table
from mbaas.wire.routes import Route
from mbaas.wire.v1.table import table as v1_table

_FIND = {
    "where": "Constraints, as a JSON object",
    "order": "Fields, separated by commas; `-` before a name is descending",
    "limit": "At most so many results",
    "skip": "Leave out so many",
    "keys": "Only these fields",
    "excludeKeys": "All fields but these",
    "include": "Pointers to be replaced by their objects; dots go deeper, `*` is all",
    "includeAll": "`true`: include every pointer of the class",
    "count": "`1`: tell also how many objects match",
    "redirectClassNameForKey": "A pointer column: find objects of the class that it points to",
    "hint": "The name of an index that the store should use",
    "explain": "Tell how the store answers instead of the objects (master key)",
    "comment": "A note for the store's log",
}
_AGGREGATE = {
    "pipeline": "Stages of MongoDB's aggregation, as a JSON list",
    "where": "Constraints on the objects that enter the pipeline",
    "distinct": "The column whose different values are wanted, instead of a pipeline",
    "hint": _FIND["hint"],
    "explain": _FIND["explain"],
    "comment": _FIND["comment"],
    "rawValues": "`true`: values as MongoDB's extended JSON",
    "rawFieldNames": "`true`: fields by the names that MongoDB has for them",
}
_PAGE = {"limit": "At most so many: 100 unless given, 1000 at most", "cursor": "`next` of an earlier answer: those after it"}
_CHANGES = {
    "className": "The class; may be left out where only the present position is asked for",
    "since": "A position: `next` of an earlier answer, or a `seq`. Without it the answer is the present position alone",
    "where": f"{_FIND['where']}; they must be such that a single object can answer them",
    "limit": "At most so many changes: 100 unless given, 1000 at most",
}
_DEPLOYMENTS = {
    "limit": "At most so many: 20 unless given, 100 at most",
    "cursor": "`next` of an earlier answer: those before it",
}
_LOGS = {
    "function": "Only what was said by the function, trigger or job of this name (a trigger's is its class)",
    "limit": "At most so many lines: 100 unless given, 500 at most",
    "cursor": "`next` of an earlier answer: the lines after it. Without it the answer is the last lines",
    "wait": "Seconds to wait for a line if there is none, 10 at most",
}
_GET = ("keys", "excludeKeys", "include")
_USAGE = {
    "by": "`hour` (unless given), `day` or `month`",
    "from": "The first span, as `2026-01`, `2026-01-31` or `2026-01-31T09`",
    "to": "The last one, in the same form",
    "format": "`json` (unless given), `csv` or `ndjson`",
}
_WINDOW = {"from": "From this date on, a week before `to` unless given", "to": "Before this date, now unless given"}
_ACTIVE = {"of": "What is counted: `user` (unless given) or `installation`", "name": "Only this event"}
_ARGUMENTS: dict[str, dict[str, str]] = {
    "follow": _CHANGES,
    "find": _FIND,
    "get": {key: _FIND[key] for key in _GET},
    "find_shared": _FIND,
    "get_shared": {key: _FIND[key] for key in _GET},
    "follow_shared": _CHANGES,
    "usage": _USAGE,
    "usage_of_all": _USAGE,
    "own_usage": _USAGE,
    "aggregate": _AGGREGATE,
    "deployments": _DEPLOYMENTS,
    "read_logs": _LOGS,
    "export_events": {"name": "Only this event", **_WINDOW},
    "event_counts": {
        "name": "The event",
        "of": _ACTIVE["of"],
        "where": "Dimensions that it must have, as a JSON object",
        "limit": "At most so many: 100 unless given",
        **_WINDOW,
    },
    "campaigns": _PAGE,
    "plays": _PAGE,
    "fires": _PAGE,
    "fire": {"sync": "`1`: answer with what came of it, and 200"},
    "play_report": {"format": _USAGE["format"]},
    "preview": {"sample": "So many of the audience, 5 unless given"},
    "dry_run": {"limit": "At most so many of each, 100 unless given", "format": "`json` (unless given), or `ndjson` for all of them"},
    "report": {"run": "Only this run; all but tests unless given", "format": _USAGE["format"]},
    "why": {"user": "The id of a user: an answer for each of her devices", "installation": "Or the id of an installation"},
    "actives": {**_ACTIVE, "days": "So many days, 7 unless given", "to": "The last one, today unless given"},
}
"""What a handler takes from the query, by its name."""
_KEYS = {
    "appId": "X-Parse-Application-Id",
    "restKey": "X-Parse-REST-API-Key",
    "masterKey": "X-Parse-Master-Key",
    "session": "X-Parse-Session-Token",
}


def _object(**properties: Json) -> Object:
    return {"type": "object", "properties": properties}


def _special(type_name: str, /, **properties: Json) -> Object:
    shape = {"__type": {"const": type_name}, **properties}
    return {"type": "object", "properties": shape, "required": list(shape)}


_PLAIN_KEY = re.compile(r"[A-Za-z][A-Za-z0-9]*$")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_TEXT: Object = {"type": "string"}
_NUMBER: Object = {"type": "number"}
_BOOLEAN: Object = {"type": "boolean"}
_INSTANT: Object = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
_SCHEMAS: Object = {
    "Error": {
        "type": "object",
        "description": "`code` is missing where the keys of the request were not accepted. The codes are in errors.json.",
        "properties": {"code": {"type": "integer"}, "error": _TEXT},
        "required": ["error"],
    },
    "Object": {
        "type": "object",
        "properties": {"objectId": _TEXT, "createdAt": _INSTANT, "updatedAt": _INSTANT, "ACL": {"type": "object"}},
    },
    "Created": {"type": "object", "properties": {"objectId": _TEXT, "createdAt": _INSTANT}, "additionalProperties": True},
    "Updated": {"type": "object", "properties": {"updatedAt": _INSTANT}, "additionalProperties": True},
    "Results": {
        "type": "object",
        "properties": {"results": {"type": "array", "items": {}}, "count": {"type": "integer"}, "className": _TEXT},
        "required": ["results"],
    },
    "Changes": {
        "type": "object",
        "properties": {"results": {"type": "array", "items": {"$ref": "#/components/schemas/Change"}}, "next": _TEXT, "more": _BOOLEAN},
        "required": ["next"],
    },
    "Change": {
        "type": "object",
        "description": "`op` is `create`, `update` or `delete`; a delete has no `object`.",
        "properties": {"op": _TEXT, "className": _TEXT, "objectId": _TEXT, "seq": _TEXT, "object": {"$ref": "#/components/schemas/Object"}},
        "required": ["op", "className", "objectId", "seq"],
    },
    "Batch": {
        "type": "object",
        "properties": {
            "requests": {"type": "array", "items": _object(method=_TEXT, path=_TEXT, body={"type": "object"})},
            "transaction": _BOOLEAN,
        },
        "required": ["requests"],
    },
    "BatchResults": {"type": "array", "items": _object(success={}, error={"$ref": "#/components/schemas/Error"})},
    "File": _object(name=_TEXT, url=_TEXT),
    "Deployment": {
        "type": "object",
        "description": "`state` is `building`, `ready` or `failed`, with a `reason`; `percent` is there for a canary.",
        "properties": {
            "number": {"type": "integer"},
            "state": _TEXT,
            "reason": _TEXT,
            "digest": _TEXT,
            "size": {"type": "integer"},
            "createdAt": _INSTANT,
            "createdFrom": _TEXT,
            "active": _BOOLEAN,
            "percent": _NUMBER,
            "declares": {"type": "array", "items": _object(kind=_TEXT, name=_TEXT)},
        },
        "required": ["number", "state", "digest", "size", "createdAt", "createdFrom", "active"],
    },
    "Deployments": {
        "type": "object",
        "properties": {"results": {"type": "array", "items": {"$ref": "#/components/schemas/Deployment"}}, "next": {}},
        "required": ["results", "next"],
    },
    "Lines": {
        "type": "object",
        "properties": {"results": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}}, "next": _TEXT},
        "required": ["results", "next"],
    },
    "Line": {
        "type": "object",
        "description": "`call` is the id of the invocation; it, `kind` and `function` are empty for what no call said.",
        "properties": {
            "n": {"type": "integer"},
            "at": _INSTANT,
            "level": _TEXT,
            "text": _TEXT,
            "values": {"type": "object"},
            "call": _TEXT,
            "kind": _TEXT,
            "function": _TEXT,
            "deployment": {"type": ["integer", "null"]},
        },
        "required": ["n", "at", "level", "text", "values", "call", "kind", "function", "deployment"],
    },
    "Anything": {},
    "Date": _special("Date", iso=_INSTANT),
    "Pointer": _special("Pointer", className=_TEXT, objectId=_TEXT),
    "Relation": _special("Relation", className=_TEXT),
    "GeoPoint": _special("GeoPoint", latitude=_NUMBER, longitude=_NUMBER),
    "Polygon": _special("Polygon", coordinates={"type": "array", "items": {"type": "array", "items": _NUMBER}}),
    "Bytes": _special("Bytes", base64=_TEXT),
    "FileValue": _special("File", name=_TEXT),
}
_REFUSED = (
    "The keys were not accepted, or the master key is needed. Where the app is not known the answer has no Content-Type, as Parse Server's."
)
_NO_MAIL = "Code 1: the server has nothing to send mails with, as Parse Server answers it"
_GONE = "Code 120: the position is too old, or the caller's rights are others than there. Ask for `next` and for the objects anew"
_CHANGED = "Code 251: the object is no longer as `If-Match` says"
_GIVES = {
    "follow": "Changes",
    "find": "Results",
    "create": "Created",
    "update": "Updated",
    "batch": "BatchResults",
    "upload": "File",
    "upload_code": "Deployment",
    "deployment": "Deployment",
    "activate": "Deployment",
    "deployments": "Deployments",
    "read_logs": "Lines",
}


def routes() -> tuple[Route, ...]:
    """Every route of every table."""
    return (*table().routes, *v1_table().routes)


def document(mount: str = "/parse") -> Object:
    """The OpenAPI document of the server."""
    paths: dict[str, Object] = {}
    for route in routes():
        paths.setdefault(_path(route), {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Parse REST", "version": "9.10.0", "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "servers": [{"url": mount}],
        "tags": [{"name": tag} for tag in dict.fromkeys(route.tag for route in routes())],
        "paths": paths,
        "components": {
            "schemas": {**_SCHEMAS, **push.SCHEMAS},
            "securitySchemes": {
                **{name: {"type": "apiKey", "in": "header", "name": header} for name, header in _KEYS.items()},
                "partnerKey": {"type": "http", "scheme": "bearer"},
            },
            "responses": {
                "Error": {"description": "What was wrong", "content": _json("Error")},
                "Refused": {"description": _REFUSED, "content": _json("Error")},
            },
        },
    }


def errors() -> list[Object]:
    """Every code with its name and HTTP status."""
    return [{"code": int(code), "name": code.name, "status": HTTP_STATUS.get(code, 400)} for code in Code]


def _path(route: Route) -> str:
    return route.base + "/".join(f"{{{_variable(part)}}}" if part[:1] in (":", "*") else part for part in route.pattern.split("/"))


def _variable(part: str) -> str:
    return "path" if part == "*" else part[1:]


def _operation(route: Route) -> Object:
    names = [_variable(part) for part in route.pattern.split("/") if part[:1] in (":", "*")]
    made: Object = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "tags": [route.tag],
        "parameters": [{"name": name, "in": "path", "required": True, "schema": _TEXT} for name in names] + _query(route),
        "security": _security(route),
        "responses": {**_success(route), **_failures(route)},
    }
    if route.base:
        made["servers"] = [{"url": "/"}]
    if _conditional(route):
        text = 'Do it only if the object has this `updatedAt`: `"2026-01-31T12:00:00.000Z"`, in quotes; `*` for any'
        made["parameters"].append({"name": "If-Match", "in": "header", "schema": _TEXT, "description": text})
    if route.once:
        made["parameters"].append(
            {"name": "X-Parse-Request-Id", "in": "header", "schema": _TEXT, "description": "Makes the request unrepeatable"}
        )
    if route.method in ("POST", "PUT", "PATCH"):
        taken = push.TAKES.get(route.label) or ("Batch" if route.tag == "batch" else "Anything")
        made["requestBody"] = {"content": _octets() if route.raw else _json(taken)}
    if route.label in push.ONCE:
        text = "The same key, for a day, with the same body: it is done once. 422 with another body"
        made["parameters"].append({"name": "Idempotency-Key", "in": "header", "schema": _TEXT, "description": text})
    return made


def _conditional(route: Route) -> bool:
    """True for a write of one object, one campaign or one play, that is there."""
    if route.pattern in ("/campaigns/:campaignId/:order", "/plays/:playId/:order"):
        return True
    return route.pattern.endswith(("/:objectId", "/campaigns/:campaignId", "/plays/:playId")) and route.method in ("PUT", "DELETE")


def _operation_id(route: Route) -> str:
    words = [word.lstrip(":").replace("*", "path") for word in (route.base + route.pattern).replace("_", "/").split("/") if word]
    return route.method.lower() + "".join(word[:1].upper() + word[1:] for word in words)


def _query(route: Route) -> list[Object]:
    name = getattr(route.handler, "__name__", "")
    about = _ARGUMENTS.get(name, {})
    return [{"name": key, "in": "query", "schema": _TEXT, "description": text} for key, text in about.items()]


def _security(route: Route) -> list[Object]:
    if route.tag == "partner":
        return [{"partnerKey": []}]
    if not route.keys:
        return []
    return [{"appId": [], "masterKey": []}] if route.master else [{"appId": [], "restKey": []}, {"appId": [], "restKey": [], "session": []}]


def _success(route: Route) -> Object:
    name = getattr(route.handler, "__name__", "")
    if name in ("download", "delete") and route.tag == "files":
        return {"200": {"description": "The contents" if name == "download" else "Removed", "content": _octets()}}
    if name == "endpoint":
        return {"200": {"description": "What the app's own code answers", "content": _octets()}}
    if name == "archive":
        return {"200": {"description": "The archive, as it was uploaded", "content": _octets()}}
    if route.tag == "pages":
        return {"200": {"description": "The page", "content": _octets()}, "303": {"description": "The way to a page", "content": _plain()}}
    schema = push.GIVES.get(route.label) or (_GIVES.get(name, "Anything") if route.tag != "schemas" else "Anything")
    if route.base and route.status != 200 and schema in push.SCHEMAS:
        return {str(route.status): {"description": "Made", "content": _json(schema)}}
    if lines := push.EXPORTS.get(route.label):
        plain = {kind: {"schema": _TEXT} for kind in lines}
        return {"200": {"description": "Done", "content": {**(_json(schema) if schema != "Anything" else {}), **plain}}}
    created = {"201": {"description": "Made", "content": _json(schema)}} if name in ("create", "upload", "upload_code") else {}
    return {"200": {"description": "Done", "content": _json(schema)}, **created}


def _failures(route: Route) -> Object:
    name = getattr(route.handler, "__name__", "")
    found: Object = {"403": {"$ref": "#/components/responses/Refused"}} if route.keys and not route.base else {}
    if _conditional(route):
        found["409"] = {"description": _CHANGED, "content": _json("Error")}
    if name in ("follow", "follow_shared"):
        found["410"] = {"description": _GONE, "content": _json("Error")}
    if route.tag == "pages":
        found["404"] = {"description": "There is no such page, or nothing is known that it needs", "content": _plain()}
    if name == "download":
        found["404"] = {"description": "There is no such file", "content": _plain()}
    found["4XX"] = {"$ref": "#/components/responses/Error"}
    if name in ("request_password_reset", "request_verification"):
        found["500"] = {"description": _NO_MAIL, "content": _json("Error")}
    return found


def _json(schema: str) -> Object:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _plain() -> Object:
    return {"text/plain": {"schema": _TEXT}}


def _octets() -> Object:
    return {"*/*": {"schema": {"type": "string", "format": "binary"}}}


def yaml(value: Json, depth: int = 0) -> str:
    """Plain block YAML of JSON values; texts are always in double quotes, so that none is mistaken for something else."""
    lead = "  " * depth
    if isinstance(value, dict) and value:
        return "".join(f"{lead}{_key(key)}:{_below(inner, depth)}" for key, inner in value.items())
    if isinstance(value, list) and value:
        return "".join(f"{lead}-{_below(inner, depth)}" for inner in value)
    return f"{lead}{_scalar(value)}\n"


def _below(value: Json, depth: int) -> str:
    if isinstance(value, (dict, list)) and value:
        return "\n" + yaml(value, depth + 1)
    return f" {_scalar(value)}\n"


def _key(name: str) -> str:
    return name if _PLAIN_KEY.match(name) and name not in _WORDS else _scalar(name)


def _scalar(value: Json) -> str:
    return orjson.dumps(value).decode()


def files() -> dict[str, str]:
    """The contents of the generated files by name."""
    catalogue = orjson.dumps(errors(), option=orjson.OPT_INDENT_2).decode() + "\n"
    return {"openapi.yaml": yaml(document()), "errors.json": catalogue}


if __name__ == "__main__":
    for name, text in files().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
