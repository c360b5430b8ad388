"""What a partner offers: operations, each a function `partner.operation`, as a manifest of ours or an OpenAPI 3 document says.

A manifest is `{"operations": {name: {…}}}`, each with `method`, `path`, `params`, `reply`, `idempotent`, `timeout`, `requireUser`,
`subject` and `examples`: `params` and `reply` are JSON Schemas, `examples` a list of `{"params", "reply"}` that the sandbox answers with,
`subject` the param that the server puts the partner's own id of the user in. Of an OpenAPI document each operation with an `operationId`
becomes one; its parameters and the fields of its JSON body are the params, and `x-subject` is the `subject`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import orjson

from mbaas.kernel.errors import Code, ParseError
from mbaas.kernel.values import Json, Object

if TYPE_CHECKING:
    from jsonschema_rs import Validator

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_VARIABLE = re.compile(r"\{([^{}]*)\}")
_PATH = re.compile(r"/|(/(?!\.\.?(/|\Z))([A-Za-z0-9._~!$&'()*+,;=:@-]|\{[A-Za-z0-9_]+\})+)+")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SECONDS, _MOST_SECONDS = 10.0, 30.0
_MOST_OPERATIONS, _MOST_BYTES, _DEEPEST = 200, 1_000_000, 32
_KEYS = {"method", "path", "params", "reply", "idempotent", "timeout", "requireUser", "subject", "examples", "summary"}


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `places` says where a param goes: `path`, `query`, `header`; one that it does not name is in the body."""

    name: str
    method: str
    path: str
    params: Json
    reply: Json
    idempotent: bool
    seconds: float
    require_user: bool
    subject: str | None
    examples: tuple[Object, ...]
    places: Mapping[str, str]

    def check_params(self, params: Object) -> None:
        """ParseError 142 with the first thing that is wrong."""
        if (wrong := _wrong(self.params, params)) is not None:
            raise ParseError(Code.VALIDATION_ERROR, f"The params of {self.name} are wrong: {wrong}")

    def accepts(self, params: Object) -> bool:
        """True if the params meet their schema."""
        return _wrong(self.params, params) is None

    def misanswered(self, reply: Json) -> str | None:
        """What is wrong with a partner's answer, if anything."""
        return _wrong(self.reply, reply)

    def request(self, base: str, params: Object) -> tuple[str, bytes, dict[str, str]]:
        """URL, body and headers of a call: a param is never more than a part of the path, so that it cannot lead elsewhere."""
        inner = {name: value for name, value in params.items() if name not in self.places}
        placed = {place: {n: _plain(n, params[n]) for n, at in self.places.items() if at == place and n in params} for place in _PLACES}
        path = _VARIABLE.sub(lambda found: _part(found[1], placed["path"]), self.path)
        query = f"?{urlencode(placed['query'])}" if placed["query"] else ""
        body = b"" if self.method in ("GET", "DELETE") and not inner else orjson.dumps(inner)
        headers = {name: value for name, value in placed["header"].items() if "\r" not in value and "\n" not in value}
        return base.rstrip("/") + path + query, body, headers


_PLACES = ("path", "query", "header")


def _plain(name: str, value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        raise ParseError(Code.VALIDATION_ERROR, f"{name} must be a text or a number")
    return str(value)


def _part(name: str, values: Mapping[str, str]) -> str:
    value = values.get(name, "")
    if value in ("", ".", ".."):
        raise ParseError(Code.VALIDATION_ERROR, f"{name} cannot be {value!r}")
    return quote(value, safe="")


def read(given: Object) -> dict[str, Operation]:
    """The operations of a manifest or an OpenAPI document, by name. ParseError 111 says what is wrong with it."""
    if len(orjson.dumps(given)) > _MOST_BYTES:
        raise _bad(f"it is longer than {_MOST_BYTES} bytes")
    if _depth(given) > _DEEPEST:
        raise _bad(f"it is more than {_DEEPEST} levels deep")
    found = dict(_of_openapi(given) if "openapi" in given else _of_manifest(given))
    if not 0 < len(found) <= _MOST_OPERATIONS:
        raise _bad(f"it has {len(found)} operations; from 1 to {_MOST_OPERATIONS} can be had")
    for operation in found.values():
        _check(operation)
    return found


def _check(operation: Operation) -> None:
    """The schemas make sense, and the examples meet them."""
    for schema in (operation.params, operation.reply):
        if (wrong := _malformed(schema)) is not None:
            raise _bad(f"a schema of {operation.name} is none: {wrong}")
    for example in operation.examples:
        for which, wrong in (
            ("params", _wrong(operation.params, example["params"]) if "params" in example else None),
            ("reply", operation.misanswered(example.get("reply"))),
        ):
            if wrong is not None:
                raise _bad(f"the {which} of an example of {operation.name} are not what it declares: {wrong}")


def _of_manifest(given: Object) -> Iterator[tuple[str, Operation]]:
    operations = given.get("operations")
    if not isinstance(operations, dict):
        raise _bad("it has neither `operations` nor `openapi`")
    for name, each in operations.items():
        if not isinstance(each, dict):
            raise _bad(f"the operation {name} is not an object")
        if unknown := sorted(set(each) - _KEYS):
            raise _bad(f"the operation {name} has an unknown key {unknown[0]!r}")
        path = each.get("path", f"/{name}")
        places = dict.fromkeys(_VARIABLE.findall(path), "path") if isinstance(path, str) else {}
        yield name, _operation(name, {"method": "POST", **each, "path": path}, places)


def _operation(name: str, given: Object, places: Mapping[str, str]) -> Operation:
    seconds, examples, subject = given.get("timeout", _SECONDS), given.get("examples", []), given.get("subject")
    if not _NAME.fullmatch(name):
        raise _bad(f"{name!r} is not the name of an operation: a letter, then letters, digits and _")
    if given["method"] not in _METHODS:
        raise _bad(f"the method of {name} is not one of {', '.join(_METHODS)}")
    if not isinstance(given["path"], str) or not _PATH.fullmatch(given["path"]):
        raise _bad(f"the path of {name} is not a path that begins with /, without query and fragment")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds <= _MOST_SECONDS:
        raise _bad(f"the timeout of {name} is not a number of seconds up to {_MOST_SECONDS:g}")
    if not isinstance(examples, list) or not all(isinstance(each, dict) for each in examples):
        raise _bad(f"the examples of {name} are not a list of objects")
    if subject is not None and (not isinstance(subject, str) or not subject):
        raise _bad(f"the subject of {name} is not the name of a param")
    return Operation(
        name=name,
        method=given["method"],
        path=given["path"],
        params=given.get("params", True),
        reply=given.get("reply", True),
        idempotent=given.get("idempotent", given["method"] in ("GET", "PUT", "DELETE")) is True,
        seconds=float(seconds),
        require_user=given.get("requireUser") is True,
        subject=subject,
        examples=tuple(examples),
        places=places,
    )


def _of_openapi(document: Object) -> Iterator[tuple[str, Operation]]:
    if not str(document.get("openapi", "")).startswith("3."):
        raise _bad("only OpenAPI 3 can be read")
    defined = {name: part for name, part in document.items() if name == "components"}
    for path, item in _entries(document.get("paths")):
        shared = item.get("parameters", [])
        for method, each in _entries({name: item[name] for name in item if name.upper() in _METHODS}):
            name = each.get("operationId")
            if not isinstance(name, str):
                raise _bad(f"{method.upper()} {path} has no operationId")
            yield name, _of_operation(name, method.upper(), path, {**each, "parameters": [*shared, *each.get("parameters", [])]}, defined)


def _of_operation(name: str, method: str, path: str, each: Object, defined: Object) -> Operation:
    places: dict[str, str] = {}
    properties: Object = {}
    required: list[str] = []
    for parameter in (_resolved(p, defined) for p in each["parameters"]):
        at, called = parameter.get("in"), str(parameter.get("name"))
        if at == "cookie":
            continue
        places[called] = str(at)
        properties[called] = parameter.get("schema", True)
        if parameter.get("required") or at == "path":
            required.append(called)
    body = _json_of(_resolved(each.get("requestBody", {}), defined))
    closed: Object = {"type": "object", "properties": properties, "required": required, **defined}
    params: Object = closed if body is None else {"allOf": [closed, body], **defined}
    answers = [answer for status, answer in _entries(each.get("responses")) if status.startswith("2")]
    reply = _json_of(_resolved(answers[0], defined)) if answers else None
    shown = _example(each, answers, defined)
    return _operation(
        name,
        {
            "method": method,
            "path": path,
            "params": params,
            "reply": True if reply is None else {"allOf": [reply], **defined},
            "subject": each.get("x-subject"),
            "examples": shown,
        },
        places,
    )


def _entries(value: Json) -> list[tuple[str, Object]]:
    """The members of an object that are objects themselves."""
    if not isinstance(value, dict):
        raise _bad("its paths, operations and responses must be objects")
    return [(str(name), each) for name, each in value.items() if isinstance(each, dict)]


def _resolved(given: Json, defined: Object) -> Object:
    """What a local reference stands for; a document elsewhere is never asked for."""
    part = given
    for _ in range(_DEEPEST):
        if not isinstance(part, dict):
            raise _bad("a parameter, body or response is not an object")
        if "$ref" not in part:
            return part
        reference = str(part["$ref"])
        found: Json = defined
        if not reference.startswith("#/"):
            raise _bad(f"{reference} is not in the document itself")
        for step in reference[2:].split("/"):
            found = found.get(step.replace("~1", "/").replace("~0", "~"), {}) if isinstance(found, dict) else {}
        part = found
    raise _bad("a reference leads to itself")


def _json_of(part: Object) -> Json:
    """The schema of the JSON that a body or a response holds."""
    content = part.get("content")
    found = content.get("application/json") if isinstance(content, dict) else None
    return found.get("schema", True) if isinstance(found, dict) else None


def _example(each: Object, answers: list[Object], defined: Object) -> list[Object]:
    """The example of the first good answer, as what the sandbox answers whatever it is asked."""
    content = _resolved(answers[0], defined).get("content") if answers else None
    found = content.get("application/json") if isinstance(content, dict) else None
    if not isinstance(found, dict):
        return []
    if "example" in found:
        return [{"reply": found["example"]}]
    named = found.get("examples")
    return (
        [{"reply": one["value"]} for one in named.values() if isinstance(one, dict) and "value" in one] if isinstance(named, dict) else []
    )


def _wrong(schema: Json, value: Any) -> str | None:
    if schema is True:
        return None
    for error in _validator(_key(schema)).iter_errors(value):
        where = "/".join(map(str, error.instance_path))
        return f"{where}: {error.message}" if where else error.message
    return None


def _key(schema: Json) -> bytes:
    return orjson.dumps(schema, option=orjson.OPT_SORT_KEYS)


def _malformed(schema: Json) -> str | None:
    from jsonschema_rs import ReferencingError, ValidationError

    try:
        _validator(_key(schema))
    except (ValueError, ReferencingError, ValidationError) as error:
        return str(error).splitlines()[0]
    return None


@lru_cache(maxsize=512)
def _validator(schema: bytes) -> Validator:
    # Loaded by the first partner, not by the start of every server.
    import jsonschema_rs

    return jsonschema_rs.validator_for(orjson.loads(schema), retriever=_nowhere, pattern_options=jsonschema_rs.RegexOptions())


def _nowhere(uri: str) -> Json:
    raise ValueError(f"{uri} is not in the document itself")


def _depth(value: Json) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())]
    return deepest


def _bad(why: str) -> ParseError:
    return ParseError(Code.INCORRECT_TYPE, f"The manifest cannot be used: {why}.")
