"""The places in saves, deletes, finds and sign-ins where a developer's triggers run, and what becomes of what they say.

No lock and no transaction is open while one runs: a save is committed on the version that its trigger saw, and begun again if
that has changed meanwhile. Source: Parse Server 9.10's cloud code, as its transcripts show it.
"""

from __future__ import annotations

from dataclasses import replace

from mbaas.data.app import App
from mbaas.data.files_in import with_urls
from mbaas.data.options import FindOptions
from mbaas.data.policies import Write
from mbaas.kernel.caller import Caller
from mbaas.kernel.errors import MbaasError
from mbaas.kernel.triggers import Kind
from mbaas.kernel.values import Json, Object
from mbaas.observe.logs import get_logger

_KEPT = ("objectId", "createdAt", "updatedAt")
_DELETE: Object = {"__op": "Delete"}


async def before_save(write: Write, original: Object | None) -> None:
    """Let the trigger look at the save, refuse it, or change what is written. `original` is the object as stored, if it is."""
    app, sent = write.app, write.body
    stored = with_urls(app, dict(original or {}))
    given: Object = {"object": stored, "body": sent}
    if original is not None:
        given["original"] = stored
    outcome = await app.triggers.fire("beforeSave", write.class_name, write.caller, given)
    write.caller = replace(write.caller, context=outcome.context)
    write.body = {**{name: sent[name] for name in _KEPT if name in sent}, **outcome.body}
    for name in dict.fromkeys([*outcome.body, *sent]):
        if name in outcome.body and outcome.body[name] != sent.get(name):
            write.triggered[name] = outcome.body[name]
        elif name not in write.body:
            write.triggered[name] = (original or {}).get(name, _DELETE)


def told(write: Write, answer: Object, hidden: frozenset[str]) -> None:
    """Put into a save's answer what the trigger changed: the resulting value, or that it was taken away.

    Nothing of a field that is hidden from the caller: she did not send what a trigger makes of it (CVE-2026-119125, CVE-2026-119570).
    """
    assert write.after is not None
    before = write.before.body if write.before is not None else {}
    for name, value in write.triggered.items():
        if name.partition(".")[0] in hidden:
            answer.pop(name.partition(".")[0], None)
        elif _is_op(value) and value != _DELETE and write.after.body.get(name) == before.get(name):
            # What was done changed nothing.
            answer.pop(name, None)
        elif name in write.after.body:
            answer[name] = with_urls(write.app, {name: write.after.body[name]})[name]
        elif value == _DELETE and _knows_delete(write.caller):
            answer[name] = value


def _knows_delete(caller: Caller) -> bool:
    """The SDKs for iOS and Android would take the operator for a value."""
    return not caller.client_version or caller.client_version.startswith("js")


async def after_save(write: Write, answer: Object, hidden: frozenset[str]) -> Object:
    """The answer with what the trigger set on the object, or the trigger's own. Its failure is logged: the object is saved."""
    assert write.after is not None
    given: Object = {"object": with_urls(write.app, dict(write.after.body))}
    if write.before is not None:
        given["original"] = with_urls(write.app, dict(write.before.body))
    try:
        outcome = await write.app.triggers.fire("afterSave", write.class_name, write.caller, given)
    except MbaasError as error:
        _failed("afterSave", write.class_name, error)
        return answer
    if isinstance(outcome.answer, dict):
        return outcome.answer
    return {**answer, **{name: value for name, value in outcome.body.items() if not _is_op(value) and name not in hidden}}


def _is_op(value: Json) -> bool:
    return isinstance(value, dict) and "__op" in value


async def fire(app: App, kind: Kind, class_name: str, caller: Caller, body: Object) -> Caller:
    """Run a trigger that may refuse and changes nothing, if there is one; the caller with the context that the next one finds."""
    if not app.triggers.has(kind, class_name):
        return caller
    outcome = await app.triggers.fire(kind, class_name, caller, {"object": with_urls(app, dict(body))})
    return replace(caller, context=outcome.context)


async def after(app: App, kind: Kind, class_name: str, caller: Caller, body: Object) -> None:
    """Run a trigger on what has been done already, if there is one: its failure is logged."""
    try:
        await fire(app, kind, class_name, caller, body)
    except MbaasError as error:
        _failed(kind, class_name, error)


def _failed(kind: str, class_name: str, error: MbaasError) -> None:
    get_logger("mbaas.functions").warning("a trigger failed", trigger=kind, class_name=class_name, reason=error.message)


def on_find(app: App, class_name: str) -> bool:
    """True if a search in the class calls a trigger."""
    return app.triggers.has("beforeFind", class_name) or app.triggers.has("afterFind", class_name)


async def before_find(
    app: App, caller: Caller, class_name: str, options: FindOptions, *, get: bool = False
) -> tuple[Caller, FindOptions, list[Object] | None]:
    """The search as the trigger wants it, the objects if it has answered itself, and the caller with the context for the next one."""
    if not app.triggers.has("beforeFind", class_name):
        return caller, options, None
    given: Object = {"query": options.to_json(), "count": options.count, "isGet": get}
    outcome = await app.triggers.fire("beforeFind", class_name, caller, given)
    caller = replace(caller, context=outcome.context)
    if outcome.query is None:
        return caller, options, outcome.objects
    changed = FindOptions.parse({**outcome.query, "count": options.count})
    asked = options if app.options.protected_fields_trigger_exempt else None
    return caller, replace(changed, redirect_key=options.redirect_key, asked=asked), outcome.objects


async def after_find(app: App, caller: Caller, class_name: str, options: FindOptions, rows: list[Object]) -> list[Json]:
    """What the trigger makes of the objects found."""
    if not app.triggers.has("afterFind", class_name):
        return rows
    outcome = await app.triggers.fire("afterFind", class_name, caller, {"query": options.to_json(), "objects": rows})
    return rows if outcome.objects is None else outcome.objects
