"""Webhooks: functions and triggers that are a POST to a URL, declared with the master key under `/hooks`.

What is sent and how an answer is read are Parse Server 9.10's; where a URL may lead is `mbaas.outbound.reach`. They are objects of
`_Hooks`, as there, and every process of the app knows them by heart. A webhook comes before a function of the code that has its name.
"""

from __future__ import annotations

import hashlib
from typing import get_args

import orjson

from mbaas.data import objects
from mbaas.data.app import App
from mbaas.data.find import find_objects
from mbaas.data.options import EVERYTHING
from mbaas.data.policies import Policy, Write
from mbaas.kernel.caller import MASTER, Caller
from mbaas.kernel.errors import Code, Duplicate, ParseError
from mbaas.kernel.triggers import Kind, Outcome
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger
from mbaas.outbound.calls import Failed, Outbound
from mbaas.storage.ports import Document
from mbaas_functions.asking import who
from mbaas_functions.kinds import FUNCTION

CLASS = "_Hooks"
_FUNCTION_SECONDS, _TRIGGER_SECONDS = 10.0, 3.0
"""How long an answer may take. While a trigger's is awaited, so is a save."""
_MOST_BYTES = 1_000_000
_MANAGED = ("objectId", "createdAt", "updatedAt", "className", "__type")
_UNTOLD = "password"

Key = tuple[str, str]
"""A kind of trigger and a class, or `("function", name)`."""


class Hooks:
    """The webhooks of one app."""

    def __init__(self, app: App, outbound: Outbound) -> None:
        self._app, self._outbound = app, outbound
        self._urls: dict[Key, str] = {}
        app.register(CLASS, HookPolicy(self))

    async def load(self) -> None:
        """Learn them from the store."""
        self._urls = {key: row["url"] for row in await self._rows() if (key := _key(row)) is not None and isinstance(row.get("url"), str)}

    async def _rows(self) -> list[Object]:
        return await find_objects(self._app, MASTER, CLASS, EVERYTHING)

    def has(self, kind: str, name: str) -> bool:
        """True if there is a webhook for a function (`"function"` and its name) or a trigger (its kind and class)."""
        return (kind, name) in self._urls

    # Declaring

    def functions(self) -> list[Object]:
        """`{functionName, url}` of each."""
        return [_shown(key, url) for key, url in self._urls.items() if key[0] == FUNCTION]

    def triggers(self) -> list[Object]:
        """`{className, triggerName, url}` of each."""
        return [_shown(key, url) for key, url in self._urls.items() if key[0] != FUNCTION]

    def get(self, key: Key) -> Object:
        """One webhook. ParseError 143 if there is none."""
        if key not in self._urls:
            text = f"no function named: {key[1]} is defined" if key[0] == FUNCTION else f"class {key[1]} does not exist"
            raise ParseError(Code.WEBHOOK_ERROR, text)
        return _shown(key, self._urls[key])

    async def declare(self, given: Object) -> Object:
        """Have a webhook `{functionName, url}` or `{className, triggerName, url}`. ParseError 143 if it makes no sense or is there."""
        key, url = _declared(given)
        taken = f"function name: {key[1]} already exists" if key[0] == FUNCTION else f"class {key[1]} already has trigger {key[0]}"
        if key in self._urls:
            raise ParseError(Code.WEBHOOK_ERROR, taken)
        try:
            await objects.create(self._app, MASTER, CLASS, _shown(key, url), object_id=_object_id(key))
        except Duplicate as error:
            raise ParseError(Code.WEBHOOK_ERROR, taken) from error
        if self._app.options.webhook_key is None:
            get_logger(__name__).warning("webhooks are called without a key, so that they cannot tell who calls; set MBAAS_WEBHOOK_KEY")
        return _shown(key, url)

    async def change(self, given: Object) -> Object:
        """Give a webhook another URL. ParseError 143 if there is none."""
        key, url = _declared(given)
        self.get(key)
        for object_id in await self._ids(key):
            await objects.update(self._app, MASTER, CLASS, object_id, {"url": url})
        return _shown(key, url)

    async def delete(self, key: Key) -> None:
        """Take a webhook away. ParseError 101 if there is none."""
        found = await self._ids(key)
        if not found:
            raise ParseError(Code.OBJECT_NOT_FOUND, "Object not found.")
        for object_id in found:
            await objects.delete(self._app, MASTER, CLASS, object_id)

    async def _ids(self, key: Key) -> list[str]:
        return [row["objectId"] for row in await self._rows() if _key(row) == key]

    # Calling

    async def call(self, name: str, caller: Caller, params: Object, headers: Object) -> Object:
        """`{"result": …}`, or `{}` if the webhook answered with none. ParseError 141 with its error."""
        given: Object = {"functionName": name, "params": params, "headers": headers}
        answer = await self._post((FUNCTION, name), caller, given, _FUNCTION_SECONDS)
        return {} if answer is None else {"result": answer}

    async def fire(self, kind: Kind, class_name: str, caller: Caller, given: Object) -> Outcome:
        """Run a trigger; `given` as in `mbaas.kernel.triggers`. ParseError 141 with its error."""
        sent: Object = {"triggerName": kind}
        if "object" in given:
            sent["object"] = {**_as_it_becomes(given, class_name), "className": class_name}
        if "original" in given:
            sent["original"] = {**given["original"], "className": class_name}
        sent.update({name: given[name] for name in ("query", "count", "isGet", "objects") if name in given})
        answer = await self._post((kind, class_name), caller, sent, _TRIGGER_SECONDS)
        outcome = Outcome(given.get("body") or {}, caller.context)
        if kind == "beforeSave" and isinstance(answer, dict) and answer:
            outcome.body = _meant(given.get("body") or {}, sent["object"], answer)
        elif kind == "afterSave":
            outcome.body, outcome.answer = {}, answer or None
        elif kind in ("beforeFind", "afterFind") and isinstance(answer, list):
            outcome.objects = [one for one in answer if isinstance(one, dict)]
        return outcome

    async def _post(self, key: Key, caller: Caller, given: Object, seconds: float) -> Json:
        asking = await who(self._app, caller)
        del asking["roles"]
        body = orjson.dumps({name: value for name, value in {**asking, **given}.items() if value is not None})
        headers = {"Content-Type": "application/json"}
        if self._app.options.webhook_key is not None:
            headers["X-Parse-Webhook-Key"] = self._app.options.webhook_key
        try:
            reply = await self._outbound.send("POST", self._urls[key], body, headers, seconds=seconds, most=_MOST_BYTES)
        except Failed as error:
            get_logger(__name__).warning("a webhook failed", hook=key, url=self._urls[key], reason=error.detail)
            # Where calls go is a secret of the operator's network, but for servers that reach no more than a developer does.
            text = error.detail if self._outbound.reach.open else f"The webhook of {key[1]} failed: {error.told}."
            raise ParseError(Code.SCRIPT_FAILED, text) from error
        return _read(key, reply.status, reply.body)


def _read(key: Key, status: int, body: bytes) -> Json:
    """What a webhook says with `{"success": …}`; ParseError 141 with what it says with `{"error": …}`."""
    if not 200 <= status < 300:
        raise ParseError(Code.SCRIPT_FAILED, f"The webhook of {key[1]} failed: its answer has the status {status}.")
    try:
        answer = orjson.loads(body) if body else {}
    except orjson.JSONDecodeError as error:
        raise ParseError(Code.SCRIPT_FAILED, "Malformed response") from error
    if not isinstance(answer, dict):
        return None
    if failure := answer.get("error"):
        told = failure["message"] if isinstance(failure, dict) and failure.get("message") else failure
        raise ParseError(Code.SCRIPT_FAILED, str(told), told=told)
    return answer.get("success")


def _meant(body: Object, shown: Object, answer: Object) -> Object:
    """The save that makes an object what the webhook says it is: operators that it left as they came stay what they are."""
    told = {name: value for name, value in answer.items() if name not in _MANAGED}
    left = {name for name, value in told.items() if value == shown.get(name)}
    kept = {name: value for name, value in body.items() if name == _UNTOLD or name.partition(".")[0] in left}
    return {**kept, **{name: value for name, value in told.items() if name not in left}}


def _as_it_becomes(given: Object, class_name: str) -> Object:
    """The object of a trigger with what is done to it; nobody is told a password."""
    # The developer's API is loaded by the first of them, not by the start of every server.
    from mbaas_functions.cloud.objects import from_json

    shown = from_json(given["object"], class_name).meant(given.get("body") or {}).to_json()
    shown.pop(_UNTOLD, None)
    return shown


def _declared(given: Object) -> tuple[Key, str]:
    key, url = _key(given), given.get("url")
    if key is None or not isinstance(url, str) or not url:
        raise ParseError(Code.WEBHOOK_ERROR, "invalid hook declaration")
    if key[1] == "_Session" and key[0] != "afterLogout":
        raise ParseError(Code.WEBHOOK_ERROR, "Only the afterLogout trigger is allowed for the _Session class.")
    return key, url


def _key(given: Object) -> Key | None:
    function, kind, class_name = given.get("functionName"), given.get("triggerName"), given.get("className")
    if function:
        return (FUNCTION, function) if isinstance(function, str) else None
    if kind in get_args(Kind) and isinstance(class_name, str) and class_name:
        return str(kind), class_name
    return None


def trigger_key(class_name: str, kind: str) -> Key:
    """The key of a trigger's webhook."""
    return kind, class_name


def function_key(name: str) -> Key:
    """The key of a function's webhook."""
    return FUNCTION, name


def _shown(key: Key, url: str) -> Object:
    kind, name = key
    return {"functionName": name, "url": url} if kind == FUNCTION else {"className": name, "triggerName": kind, "url": url}


def _object_id(key: Key) -> str:
    """One id for one key, so that two who declare it at once cannot both."""
    return hashlib.sha256("\0".join(key).encode()).hexdigest()[:24]


class HookPolicy(Policy):
    """What is remembered of `_Hooks` follows what is written there, by whichever process."""

    remembers = True
    remembers_all = True

    def __init__(self, hooks: Hooks) -> None:
        self._hooks = hooks

    async def after(self, write: Write) -> None:
        await self._hooks.load()

    async def after_delete(self, app: App, caller: Caller, document: Document) -> None:
        await self._hooks.load()

    async def changed(self, object_id: str | None) -> None:
        await self._hooks.load()
