"""Create, update and delete an object: the pipeline that every entrance uses.

The order of checks is Parse Server 9.10's, since clients see which error comes first: may the class be used, what the
class's own room says, types and new columns, defaults and required columns, class permissions, then one commit.
"""

from __future__ import annotations

from collections.abc import Mapping

from mbaas.data import triggers
from mbaas.data.admission import admit, refuse_unknown_class
from mbaas.data.app import App
from mbaas.data.body import Change, adds_columns, columns_of, fill, read_create, read_update
from mbaas.data.classes import REQUIRED_ON_CREATE, class_name_is_valid
from mbaas.data.commit import commit, in_transaction
from mbaas.data.files_in import with_urls
from mbaas.data.permissions import Rules
from mbaas.data.policies import Policy, Saved, Write
from mbaas.kernel import acl
from mbaas.kernel.caller import Caller
from mbaas.kernel.clock import iso
from mbaas.kernel.errors import Code, Conflict, Duplicate, ParseError, forbidden, not_found
from mbaas.kernel.ops import Set
from mbaas.kernel.schema import ClassSchema
from mbaas.kernel.values import Json, Object, date, date_ms
from mbaas.query.ast import EVERYTHING, NOTHING, Equals, Node, both
from mbaas.query.match import match
from mbaas.storage.ports import Delete, Document, Insert, Relate, Step, Update

_ATTEMPTS = 5
"""How often a save is begun whose object others change while its trigger runs, or whose new object others have made meanwhile."""


async def create(app: App, caller: Caller, class_name: str, body: Object, *, object_id: str | None = None) -> Saved:
    """Save a new object. `object_id` is the one that the server has chosen for it; None: any."""
    attempts = 1 if in_transaction(caller) else _ATTEMPTS
    while True:
        attempts -= 1
        try:
            return await _create(app, caller, class_name, body, object_id)
        except Conflict:
            if attempts == 0:
                raise


async def _create(app: App, caller: Caller, class_name: str, body: Object, object_id: str | None) -> Saved:
    policy = admit(app, caller, "create", class_name)
    _check_given_id(app, class_name, body)
    await app.classes.sought(class_name, body)
    refuse_unknown_class(app, caller, class_name)
    write = Write(app, caller, class_name, object_id, dict(body), creating=True)
    await policy.before(write)
    if write.reply is not None:
        return write.reply
    if not write.creating:
        return await _change(policy, write)
    if app.triggers.has("beforeSave", class_name):
        app.classes.rules(class_name).check(caller, "create")
        await triggers.before_save(write, None)
    return await _insert(policy, write)


async def update(
    app: App,
    caller: Caller,
    class_name: str,
    object_id: str,
    body: Object,
    *,
    updated_at: int | None = None,
    guard: Node = EVERYTHING,
    hidden: Mapping[str, Json] | None = None,
    expect: int | None = None,
) -> Saved:
    """Change an object: set, unset, and the operators. Conflict unless it still has the `updatedAt`, or the version (`expect`), given,
    if one is.

    101 unless the stored object, with its hidden fields, matches `guard`; `hidden` are hidden fields to set with it.
    """
    policy = admit(app, caller, "update", class_name)
    await app.classes.sought(class_name, body)
    refuse_unknown_class(app, caller, class_name)
    attempts = 1 if in_transaction(caller) or updated_at is not None or expect is not None else _ATTEMPTS
    while True:
        attempts -= 1
        write = Write(app, caller, class_name, object_id, dict(body), creating=False, updated_at=updated_at, guard=guard, expect=expect)
        write.hidden.update(hidden or {})
        try:
            await policy.before(write)
            if write.reply is not None:
                return write.reply
            return await _change(policy, write)
        except Conflict:
            if write.expect is None or attempts == 0:
                raise
        except ParseError as error:
            if error.code == Code.OBJECT_NOT_FOUND:
                raise policy.missing(caller, "update", error) from error
            raise


async def delete(app: App, caller: Caller, class_name: str, object_id: str, *, updated_at: int | None = None) -> None:
    """Remove an object. Conflict unless it still has the `updatedAt` given, if one is."""
    policy = admit(app, caller, "delete", class_name)
    await app.classes.sought(class_name)
    try:
        await _delete(app, caller, policy, class_name, object_id, _still(updated_at))
    except ParseError as error:
        if error.code == Code.OBJECT_NOT_FOUND:
            raise policy.missing(caller, "delete", error) from error
        raise


def _check_given_id(app: App, class_name: str, body: Object) -> None:
    if class_name == "_User" and isinstance(body.get("objectId"), str) and body["objectId"].startswith(acl.GROUPS):
        raise forbidden("Invalid object ID.")
    if app.options.allow_custom_object_id:
        if "objectId" in body and not body["objectId"]:
            raise ParseError(Code.MISSING_OBJECT_ID, "objectId must not be empty, null or undefined")
        given = body.get("objectId")
        if given is not None and (not isinstance(given, str) or given == "*" or given.startswith(acl.GROUPS) or len(given) > 256):
            raise ParseError(Code.INVALID_KEY_NAME, "objectId is an invalid field name.")
        return
    for name in ("objectId", "id"):
        if body.get(name):
            raise ParseError(Code.INVALID_KEY_NAME, f"{name} is an invalid field name.")


async def _insert(policy: Policy, write: Write) -> Saved:
    app, caller, body = write.app, write.caller, write.body
    schema = _schema_to_write(app, write.class_name)
    rules = app.classes.rules(write.class_name)
    if app.classes.get(write.class_name) is not None and adds_columns(schema, body):
        rules.check(caller, "addField")
    columns = columns_of(schema, body)
    _require(REQUIRED_ON_CREATE.get(write.class_name, ()), body)
    _default_acl(write, rules)
    now = app.clock.now()
    created, updated = _times(caller, body, now)
    write.object_id = write.object_id or body.get("objectId") or app.ids.object_id(app.options.object_id_size)
    if rules.demanding:
        write.set_by_server |= fill(schema, rules.demanding, body, creating=True)
    rules.check(caller, "create")
    await policy.prepare(write)
    _refuse_unresolved(body)
    app.keywords.refuse(body)
    made, change = read_create(schema, body)
    if columns or app.classes.get(write.class_name) is None:
        schema = await app.classes.grow(write.class_name, columns)
    document = _document(write, created, updated, made)
    steps: list[Step] = [Insert(schema, document), *_relations(schema, write.object_id, change), *write.steps]
    try:
        written = await commit(app, caller, steps)
    except Duplicate as error:
        if (reply := await policy.forestalled(write, error)) is not None:
            return reply
        raise policy.refusal(error) from error
    except ParseError as error:
        if error.code == Code.OBJECT_NOT_FOUND and write.steps:
            # What was to be changed with it has gone meanwhile.
            raise Conflict from error
        raise
    write.after = written[0].after or document
    answer = {"objectId": write.object_id, "createdAt": iso(created)}
    if change.echo or write.set_by_server:
        answer.update(_echo(change, document.body))
        answer.update({name: write.body.get(name) for name in write.set_by_server})
        with_urls(app, answer)
    answer = await _finish(policy, write, answer)
    return Saved(_told(write, rules, answer), 201, policy.path(write.class_name) + write.object_id)


async def _change(policy: Policy, write: Write) -> Saved:
    app, caller = write.app, write.caller
    assert write.object_id is not None
    if app.triggers.has("beforeSave", write.class_name):
        await _before_change(policy, write)
    body = write.body
    schema = _schema_to_write(app, write.class_name)
    rules = app.classes.rules(write.class_name)
    guard = both(policy.scope(caller, "update"), write.guard)
    if adds_columns(schema, body):
        rules.check(caller, "addField", on_update=True)
        guard = both(guard, rules.narrowed(caller, "addField"))
    columns = columns_of(schema, body)
    if rules.demanding:
        fill(schema, list(body), body, creating=False)
    await policy.prepare(write)
    _refuse_unresolved(body)
    app.keywords.refuse(body)
    rules.check(caller, "update")
    guard = both(both(guard, rules.narrowed(caller, "update")), write.guard)
    if guard == NOTHING or app.classes.get(write.class_name) is None:
        raise not_found()
    change = read_update(schema, body)
    writers = None if caller.omnipotent else caller.principals
    still = _still(write.updated_at)
    if columns:
        await _refuse_unless_writable(app, schema, write.object_id, writers, guard, still)
        schema = await app.classes.grow(write.class_name, columns)
    # Later than the state that was asked for, so that of two who ask for the same one within a millisecond only one is right.
    now = max(app.clock.now(), (write.updated_at or 0) + 1)
    ops = (*change.ops, Set(("updatedAt",), iso(now)))
    steps: list[Step] = [
        Update(schema, write.object_id, ops, write.hidden, writers, both(guard, still), write.expect),
        *_relations(schema, write.object_id, change),
        *write.steps,
    ]
    try:
        written = await commit(app, caller, steps)
    except Duplicate as error:
        raise policy.refusal(error) from error
    except ParseError as error:
        if still != EVERYTHING and error.code == Code.OBJECT_NOT_FOUND:
            await _refuse_unless_writable(app, schema, write.object_id, writers, guard, still)
        raise
    write.before, write.after = written[0].before, written[0].after
    assert write.after is not None
    answer = await _finish(policy, write, {**_echo(change, write.after.body), "updatedAt": iso(now)})
    return Saved(with_urls(app, _told(write, rules, answer)))


async def _before_change(policy: Policy, write: Write) -> None:
    """Run the trigger on an object that the caller may change; the commit is then for the version that it saw."""
    app, caller = write.app, write.caller
    schema, rules = app.classes.get(write.class_name), app.classes.rules(write.class_name)
    rules.check(caller, "update")
    guard = both(both(policy.scope(caller, "update"), rules.narrowed(caller, "update")), write.guard)
    if guard == NOTHING or schema is None or write.object_id is None:
        raise not_found()
    writers = None if caller.omnipotent else caller.principals
    document = await _refuse_unless_writable(app, schema, write.object_id, writers, guard, _still(write.updated_at))
    write.expect = write.expect or document.version
    await triggers.before_save(write, document.body)


async def _finish(policy: Policy, write: Write, answer: Object) -> Object:
    """The answer to a save that is on disk, with what its triggers add."""
    called = write.app.triggers.has("afterSave", write.class_name)
    hidden: frozenset[str] = frozenset()
    if (write.triggered or called) and write.after is not None:
        rules = write.app.classes.rules(write.class_name)
        hidden = rules.protected_in(write.caller, write.after.body, rules.protected(write.caller))
    if write.triggered:
        triggers.told(write, answer, hidden)
    await policy.after(write)
    answer.update(write.answer)
    answer = await triggers.after_save(write, answer, hidden) if called else answer
    if write.refusal is not None:
        raise write.refusal
    return answer


async def _delete(app: App, caller: Caller, policy: Policy, class_name: str, object_id: str, still: Node) -> None:
    rules = app.classes.rules(class_name)
    rules.check(caller, "delete")
    guard = both(policy.scope(caller, "delete"), rules.narrowed(caller, "delete"))
    schema = app.classes.get(class_name)
    writers = None if caller.omnipotent else caller.principals
    if schema is None or guard == NOTHING:
        raise not_found()
    document = await _refuse_unless_writable(app, schema, object_id, writers, guard, still)
    caller = await triggers.fire(app, "beforeDelete", class_name, caller, document.body)
    attempts = 1 if in_transaction(caller) else _ATTEMPTS
    while True:
        attempts -= 1
        further = await policy.before_delete(app, caller, document)
        # What comes to belong to it meanwhile changes it, and is found the next time.
        expect = document.version if further and attempts else None
        try:
            await commit(app, caller, [Delete(schema, object_id, writers, both(guard, still), expect), *further])
            break
        except Conflict:
            if not attempts:
                raise
            document = await _refuse_unless_writable(app, schema, object_id, writers, guard, still)
        except ParseError as error:
            if still != EVERYTHING and error.code == Code.OBJECT_NOT_FOUND:
                await _refuse_unless_writable(app, schema, object_id, writers, guard, still)
            raise
    await policy.after_delete(app, caller, document)
    await triggers.after(app, "afterDelete", class_name, caller, document.body)


def _schema_to_write(app: App, class_name: str) -> ClassSchema:
    known = app.classes.get(class_name)
    if known is not None:
        return known
    if not class_name_is_valid(class_name):
        raise ParseError(Code.INVALID_JSON, "schema class name does not revalidate")
    return app.classes.blank(class_name)


def _require(columns: tuple[str, ...], body: Object) -> None:
    for name in columns:
        if body.get(name) in (None, "", 0):
            raise ParseError(Code.INCORRECT_TYPE, f"{name} is required.")


def _default_acl(write: Write, rules: Rules) -> None:
    """The class's own default access list, where the client sent none; `currentUser` stands for whoever is signed in."""
    default = rules.default_acl
    if default is None or write.body.get("ACL"):
        return
    made = {who: dict(rights) for who, rights in default.items() if who != "currentUser"}
    if "currentUser" in default and write.caller.user_id:
        made[write.caller.user_id] = dict(default["currentUser"])
    write.body["ACL"] = made
    write.set_by_server.add("ACL")


def _times(caller: Caller, body: Object, now: int) -> tuple[int, int]:
    """When the object was made and changed: now, or what the maintenance key says."""
    created = date_ms(body.get("createdAt")) if caller.maintenance else None
    if created is None:
        return now, now
    updated = date_ms(body.get("updatedAt"))
    if updated is None:
        return created, created
    if updated < created:
        raise ParseError(Code.VALIDATION_ERROR, "updatedAt cannot occur before createdAt")
    return created, updated


def _refuse_unresolved(body: Object) -> None:
    wanted = body.get("ACL")
    if isinstance(wanted, dict) and "*unresolved" in wanted:
        raise ParseError(Code.INVALID_ACL, "Invalid ACL.")


def _document(write: Write, created: int, updated: int, made: Object) -> Document:
    access = made.pop("ACL", None)
    body: Object = {"objectId": write.object_id, "createdAt": iso(created), "updatedAt": iso(updated), **made}
    if access is not None:
        body["ACL"] = access
    return Document(body, {name: value for name, value in write.hidden.items() if value is not None} if write.hidden else {}, 1)


def _relations(schema: ClassSchema, owner: str, change: Change) -> list[Step]:
    if not change.relations:
        return []
    return [
        Relate(schema, key, owner, tuple(dict.fromkeys(relation.add)), tuple(dict.fromkeys(relation.remove)))
        for key, relation in change.relations.items()
    ]


def _echo(change: Change, body: Object) -> Object:
    """The resulting value of each operator, nested as the dotted key says."""
    answer: Object = {}
    for path in change.echo:
        value: Json = body
        for depth, key in enumerate(path):
            if isinstance(value, list):
                # What changes inside a list is told as the whole list.
                path = path[:depth]
                break
            value = value.get(key) if isinstance(value, dict) else None
        if value is None:
            continue
        at = answer
        for key in path[:-1]:
            at = at.setdefault(key, {})
        at[path[-1]] = value
    return answer


def _told(write: Write, rules: Rules, answer: Object) -> Object:
    """The answer without protected fields, where they are kept from the one who saves, too."""
    if write.app.options.protected_fields_save_response_exempt or rules.owns(write.caller, write.object_id):
        return answer
    hidden = rules.protected(write.caller)
    return {name: value for name, value in answer.items() if name not in hidden}


def _writable(document: Document, writers: frozenset[str] | None, guard: Node) -> bool:
    if writers is not None and not acl.permits(acl.allowed(document.body.get("ACL"), "write"), writers):
        return False
    return guard == EVERYTHING or match(guard, {**document.body, **document.hidden})


def _still(updated_at: int | None) -> Node:
    """The condition that an object has not been changed since."""
    return EVERYTHING if updated_at is None else Equals(("updatedAt",), date(updated_at))


async def _refuse_unless_writable(
    app: App, schema: ClassSchema, object_id: str, writers: frozenset[str] | None, guard: Node, still: Node
) -> Document:
    """The object as it is, if the write could be done to it. 101 unless it is there for the caller to write, and only then
    Conflict if it has been changed: nothing is told of other objects."""
    document = await app.store.documents.get(schema, object_id)
    if document is None or not _writable(document, writers, guard):
        raise not_found()
    if still != EVERYTHING and not match(still, document.body):
        raise Conflict()
    return document
